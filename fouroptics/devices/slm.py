"""SLM: what a real phase panel does to the phase it is asked for."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fouroptics.devices import panel
from fouroptics.devices.panel import SLMConfig
from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid, Pair


@dataclass(frozen=True)
class PixelNode:
    """A point of the quadrature over one pixel.

    Attributes
    ----------
    offset : tuple of float
        Position (y, x) from the pixel centre in pixel pitches.
    active, dead : float
        Share of the pixel's area that the point stands for: modulating, and not.
    """

    offset: Pair
    active: float
    dead: float


class SLM(nn.Module):
    """A phase-only panel: 2**bits levels over 2 pi, and the light that its dead area leaves undiffracted.

    Parameters
    ----------
    config : SLMConfig
        The panel's data sheet.

    Examples
    --------
    >>> slm = SLM(SLMConfig.preset("generic-1080p-8um"))
    >>> slm.levels(torch.tensor([0.0, math.pi]))
    tensor([255, 127], dtype=torch.uint8)
    """

    def __init__(self, config: SLMConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def grid(self) -> Grid:
        """Pixel centres of the panel about its own centre."""
        return Grid(self.config.shape, (self.config.pitch, self.config.pitch))

    def levels(self, phase: Tensor) -> Tensor:
        """Grey level of each pixel for a phase in rad; uint8 up to 8 bits, else uint16. See `panel.levels`."""
        dtype = torch.uint8 if self.config.bits <= 8 else torch.uint16
        return panel.levels(_checked(phase).detach(), self.config.bits, self.config.grey).to(dtype)

    def realised(self, phase: Tensor) -> Tensor:
        """Phase that the panel shows when asked for `phase`, in [0, 2 pi); the gradient passes straight through."""
        levels = panel.levels(_checked(phase).detach(), self.config.bits, self.config.grey)
        shown = panel.realised(levels, self.config.bits, self.config.grey).to(phase.dtype)
        return phase + (shown - phase.detach())

    def forward(self, phase: Tensor) -> Tensor:
        """One complex number per pixel, ``F exp(i phi') + r (1 - F) exp(i phi0)``.

        Exact for light near the axis; farther out the pixel's own diffraction counts, see `nodes` and `expand`.

        Parameters
        ----------
        phase : torch.Tensor
            Phase in rad, (..., y, x), any range.

        Returns
        -------
        torch.Tensor
            Complex transmission (..., y, x); the gradient with respect to the phase ignores the rounding to levels.
        """
        fill = self.config.fill_factor
        return fill * _phasor(self.realised(phase)) + (1 - fill) * self.dead

    @property
    def dead(self) -> complex:
        """Complex amplitude of the light from the area between the pixels."""
        r, phase = self.config.dead_amplitude, self.config.dead_phase
        return complex(r * math.cos(phase), r * math.sin(phase))

    def nodes(self, order: int = 3) -> list[PixelNode]:
        """Gauss-Legendre points over the square active area of side sqrt(F), to integrate light over a pixel.

        The gap between the pixels is the whole pixel, with points of its own, less the active area. Near the axis,
        where 3 points an axis will do, the points of the active area carry the gap as well, with weights that integrate
        polynomials of second degree exactly over the whole pixel. `order_for` says how many points a wave needs.
        """
        side = math.sqrt(self.config.fill_factor)
        points, weights = (each / 2 for each in np.polynomial.legendre.leggauss(order))
        active = _over_square(side * points, side * weights)
        if order == 3:
            outer = 1 / 24 / (side * points[2]) ** 2  # the second moment of a whole pixel is 1/12
            whole = _over_square(side * points, np.array([outer, 1 - 2 * outer, outer]))
            return [PixelNode(at, a, w - a) for (at, a), (_, w) in zip(active, whole, strict=True)]
        gap = [PixelNode(at, 0.0, w) for at, w in _over_square(points, weights)]
        return [PixelNode(at, a, -a) for at, a in active] + gap

    def order_for(self, turns: float) -> int:
        """Points an axis, at least 3, that integrate a wave of so many turns across a pixel to 1e-5 of its area.

        The remainder of Gauss-Legendre with n points is ``(2 pi nu)^(2n) (n!)^4 / ((2n+1) (2n)!^3)``.
        """
        if not 0 <= turns <= 20:
            raise GeometryError(f"{turns} turns across a pixel: a panel sends its light into 20 orders at most")
        wave, n = 2 * math.pi * turns, 3
        while wave ** (2 * n) * math.factorial(n) ** 4 / ((2 * n + 1) * math.factorial(2 * n) ** 3) > 1e-5:
            n += 1
        return n

    def expand(self, phase: Tensor, n: int) -> Tensor:
        """Sub-pixels of the panel, n x n a pixel, each the area-weighted sum of its modulating and its dead part.

        Parameters
        ----------
        phase : torch.Tensor
            Phase in rad, (..., y, x).
        n : int
            Sub-pixels an axis.

        Returns
        -------
        torch.Tensor
            Complex transmission (..., n y, n x) with pitch / n; its mean over a pixel is ``slm(phase)``.
        """
        if n < 1:
            raise GeometryError(f"n = {n}: give at least one sub-pixel an axis")
        side = math.sqrt(self.config.fill_factor)
        covered = torch.linspace(-0.5, 0.5, n + 1, dtype=torch.float64).clamp(-side / 2, side / 2).diff() * n
        active = (covered[:, None] * covered[None, :]).to(phase.dtype).repeat(phase.shape[-2], phase.shape[-1])
        shown = self.realised(phase).repeat_interleave(n, -2).repeat_interleave(n, -1)
        return active * _phasor(shown) + (1 - active) * self.dead


def _over_square(position: NDArray[np.float64], weight: NDArray[np.float64]) -> list[tuple[Pair, float]]:
    """Points of the quadrature of an axis over a square, and their weights."""
    axis = list(zip(position.tolist(), weight.tolist(), strict=True))
    return [((y, x), v * w) for y, v in axis for x, w in axis]


def _checked(phase: Tensor) -> Tensor:
    if phase.dtype not in (torch.float32, torch.float64) or not bool(torch.isfinite(phase).all()):
        raise GeometryError(
            f"phase ({phase.dtype}) must be finite float32 or float64, in rad; convert it, or mend what made it"
        )
    return phase


def _phasor(phase: Tensor) -> Tensor:
    return torch.polar(torch.ones_like(phase), phase)
