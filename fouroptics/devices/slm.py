"""SLM: what a real panel does to the light it is asked to shape."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fouroptics.devices import panel
from fouroptics.devices.maps import read_map
from fouroptics.devices.panel import SLMConfig
from fouroptics.devices.pixels import active_part, blurred_rows, spread
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
    """A panel: its levels, what it does wrong, and the light that its dead area leaves undiffracted.

    What is asked of a ``phase`` panel is a phase in rad, of any other an amplitude in [0, 1] or a complex transmission.
    Gradients pass straight through the levels. Arrays that are smaller than the panel are its middle.

    Parameters
    ----------
    config : SLMConfig
        The panel's data sheet.
    wavelength : float, optional
        In metres, see `SLMConfig.at`; left out, the one that stroke and table were measured at.

    Examples
    --------
    >>> slm = SLM(SLMConfig.preset("generic-1080p-8um"))
    >>> slm.levels(torch.tensor([0.0, math.pi]))
    tensor([255, 127], dtype=torch.uint8)
    """

    def __init__(self, config: SLMConfig, wavelength: float | None = None) -> None:
        super().__init__()
        self.config = config if wavelength is None else config.at(wavelength)
        self._response = panel.response(self.config)
        self._stroke_map = None if config.stroke_map is None else read_map(config.stroke_map)
        self._flatness = None if config.flatness is None else read_map(config.flatness)

    @property
    def grid(self) -> Grid:
        """Pixel centres of the panel about its own centre."""
        return Grid(self.config.shape, (self.config.pitch, self.config.pitch))

    @property
    def dead(self) -> complex:
        """Complex amplitude of the light from the area between the pixels."""
        r, phase = self.config.dead_amplitude, self.config.dead_phase
        return complex(r * math.cos(phase), r * math.sin(phase))

    def levels(self, target: Tensor) -> Tensor:
        """Grey level of each pixel; uint8 up to 8 bits, else uint16. See `panel.levels_for`."""
        return self._levels(self._checked(target))

    def realised(self, target: Tensor) -> Tensor:
        """What the panel's table says is shown for `target`: a phase in [0, 2 pi), or a response of its amplitude.

        Maps, dead pixels, crosstalk and flicker, which no table knows, are in the transmission only.
        """
        target = self._checked(target)
        shown = self._table(self._levels(target).long())
        if not shown.is_complex():  # once more, for what float32 rounds up to a turn
            shown = (shown % panel.TURN).to(target.dtype) % panel.TURN
        return shown.to(_dtype(shown, target)) + (target - target.detach())

    def forward(self, target: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One complex number per pixel, ``F a exp(i phi') + r (1 - F) exp(i phi0)``.

        Exact for light near the axis; farther out the pixel's own diffraction counts, see `over_pixel` and `expand`.

        Parameters
        ----------
        target : torch.Tensor
            Phase in rad, any range, or amplitude or complex transmission, (..., y, x).
        generator : torch.Generator, optional
            Draws the flicker of one frame; left out, the mean over all frames is given, ``exp(-s^2 / 2)``.

        Returns
        -------
        torch.Tensor
            Complex transmission (..., y, x); its gradient ignores the rounding to levels, so that of a shown phase is
            that of the phase asked for, modulo 2 pi. A dead pixel has none.
        """
        return self._mean(self._asked(target), generator)

    def transmission(self, levels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One complex number per pixel for levels (..., y, x), as `forward` gives it, complex128."""
        return self._mean(self._sent(self._known(levels)), generator)

    def over_pixel(
        self, levels: Tensor, order: int | None = None, generator: torch.Generator | None = None
    ) -> Iterator[tuple[PixelNode, Tensor]]:
        """Transmission at the points of a pixel that add up to it, one after the other.

        Parameters
        ----------
        levels : torch.Tensor
            Whole numbers (..., y, x).
        order : int, optional
            Points an axis, from `order_for`; left out, what light near the axis needs.
        generator : torch.Generator, optional
            As for `forward`.

        Yields
        ------
        tuple of PixelNode and torch.Tensor
            The point, and the transmission (..., y, x) that it stands for, complex128, its share of the pixel's area
            included. Without light from the gap, the points with ``active == 0`` give zeros.
        """
        yield from self._points(self._sent(self._known(levels)), order or self.order_for(0), generator)

    def light(self, addressed: Tensor) -> Tensor:
        """Light of each pixel, without its area: (..., y, x) complex; of what is addressed, not rounded to levels.

        A phase in rad, not wrapped, or an amplitude; with maps and dead pixels, and a gradient. With crosstalk it is
        the mean over the active area, at 3 points an axis.
        """
        shown = self._alive(addressed)
        if not self.config.crosstalk:
            return _light(shown) * self._factor(addressed, None)
        mean = reduce(torch.add, (light for _, light in self._points(shown, 3, None)))
        return (mean - (1 - self.config.fill_factor) * self.dead) / self.config.fill_factor

    def _alive(self, addressed: Tensor) -> Tensor:
        """What the pixels get of what is addressed, dead pixels and the stroke map included."""
        if self.config.modulation in ("amplitude", "binary"):
            addressed = addressed.to(addressed.dtype.to_complex())
        rows, columns, stuck = self._dead_pixels(addressed)
        if len(rows):
            addressed = addressed.index_put((rows, columns), self._table(stuck).to(addressed))
        return addressed if self._stroke_map is None else addressed * self._middle(self._stroke_map, addressed)

    def expand(self, target: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Sub-pixels of the panel, n x n a pixel, each the area-weighted sum of its modulating and its dead part.

        Parameters
        ----------
        target : torch.Tensor
            What is asked for, (..., y, x).
        n : int
            Sub-pixels an axis.
        generator : torch.Generator, optional
            As for `forward`.

        Returns
        -------
        torch.Tensor
            Complex transmission (..., n y, n x) with pitch / n. Crosstalk is taken at the middle of a sub-pixel;
            without it the mean over a pixel is ``slm(target)``.
        """
        if not isinstance(n, int) or n < 1:
            raise GeometryError(f"n = {n!r}: give a whole number of sub-pixels an axis, 1 at least")
        asked = _plane(self._asked(target))
        middles = [(i + 0.5) / n - 0.5 for i in range(n)]
        light = _light(spread(asked, self.config.crosstalk, middles))
        factor = self._factor(asked, generator)
        if isinstance(factor, Tensor):
            factor = factor.repeat_interleave(n, -2).repeat_interleave(n, -1)
        light = light * factor
        active = active_part(n, self.config.fill_factor).to(light.real).repeat(asked.shape[-2:])
        return active * light + (1 - active) * self.dead

    # ---- the area of a pixel ---------------------------------------------------------------------

    def nodes(self, order: int = 3) -> list[PixelNode]:
        """Gauss-Legendre points over the square active area of side sqrt(F), to integrate light over a pixel.

        The gap between the pixels is the whole pixel, with points of its own, less the active area. Near the axis,
        where 3 points an axis will do, the points of the active area carry the gap as well, with weights that integrate
        polynomials of second degree exactly over the whole pixel. `order_for` says how many points a wave needs.
        """
        side = math.sqrt(self.config.fill_factor)
        active = _over_square(*_gauss(order, side))
        if order == 3:
            points, _ = _gauss(3, side)
            outer = 1 / 24 / points[2] ** 2  # the second moment of a whole pixel is 1/12
            whole = _over_square(points, np.array([outer, 1 - 2 * outer, outer]))
            return [PixelNode(at, a, w - a) for (at, a), (_, w) in zip(active, whole, strict=True)]
        gap = _over_square(*_gauss(max(order - self._order_of_crosstalk, 2), 1.0))  # no crosstalk there
        return [PixelNode(at, a, -a) for at, a in active] + [PixelNode(at, 0.0, w) for at, w in gap]

    def order_for(self, turns: float) -> int:
        """Points an axis, at least 3, that integrate a wave of so many turns across a pixel to 1e-5 of its area.

        The remainder of Gauss-Legendre with n points is ``(2 pi nu)^(2n) (n!)^4 / ((2n+1) (2n)!^3)``. Crosstalk adds
        ``3.3 / sqrt(sigma)`` points, which leave 1e-4 (rms) of masks of random phase for sigma from 0.05 pixels on.
        """
        if not 0 <= turns <= 20:
            raise GeometryError(f"{turns} turns across a pixel: a panel sends its light into 20 orders at most")
        wave, n = 2 * math.pi * turns, 3
        while wave ** (2 * n) * math.factorial(n) ** 4 / ((2 * n + 1) * math.factorial(2 * n) ** 3) > 1e-5:
            n += 1
        return n + self._order_of_crosstalk

    @property
    def _order_of_crosstalk(self) -> int:
        sigma = self.config.crosstalk
        return math.ceil(3.3 / math.sqrt(max(sigma, 0.02))) - 2 if sigma else 0

    def envelope(self, turns_y: float, turns_x: float) -> float:
        """Intensity that a pixel sends into a direction, over that on the axis: ``sinc^2(sqrt(F) nu p)`` an axis.

        `turns_y` and `turns_x` are ``nu p = sin(angle) pitch / wavelength``: the phase across a pitch in turns.
        """
        side = math.sqrt(self.config.fill_factor)
        return float((np.sinc(side * turns_y) * np.sinc(side * turns_x)) ** 2)

    # ---- what the pixels show --------------------------------------------------------------------

    def _asked(self, target: Tensor) -> Tensor:
        """What is addressed for a target: phase in rad, not wrapped, or complex; the gradient is that of the target."""
        target = self._checked(target)
        shown = self._sent(self._levels(target).long())
        shown = shown.to(_dtype(shown, target))
        if not target.requires_grad:
            return shown
        passed = target - target.detach()  # zero, with a gradient
        if self._stroke_map is not None and not shown.is_complex():
            passed = passed * self._middle(self._stroke_map, target)
        rows, columns, _ = self._dead_pixels(target)
        if len(rows):
            alive = torch.ones(target.shape[-2:], dtype=passed.dtype, device=target.device)
            alive[rows, columns] = 0
            passed = passed * alive
        return shown + passed

    def _levels(self, target: Tensor) -> Tensor:
        dtype = torch.uint8 if self.config.bits <= 8 else torch.uint16
        return panel.levels_for(self.config, target.detach()).to(dtype)

    def _sent(self, levels: Tensor) -> Tensor:
        """What is addressed for levels, dead pixels and the stroke map included."""
        rows, columns, stuck = self._dead_pixels(levels)
        if len(rows):
            levels = levels.clone()
            levels[..., rows, columns] = stuck
        scale = 1.0 if self._stroke_map is None else self._middle(self._stroke_map, levels)
        return self._table(levels, scale)

    def _table(self, levels: Tensor, scale: float | Tensor = 1.0) -> Tensor:
        """Phase in rad, float64, of a phase panel, response, complex128, of another."""
        phase, amplitude = (torch.from_numpy(each).to(levels.device)[levels] for each in self._response)
        return phase * scale if self.config.modulation == "phase" else torch.polar(amplitude, phase * scale)

    def _mean(self, asked: Tensor, generator: torch.Generator | None) -> Tensor:
        """Mean over the pixel."""
        if self.config.crosstalk:
            parts = (part for _, part in self._points(asked, self.order_for(0), generator))
            return reduce(torch.add, parts)
        fill = self.config.fill_factor
        return fill * (_light(asked) * self._factor(asked, generator)) + (1 - fill) * self.dead

    def _points(
        self, asked: Tensor, order: int, generator: torch.Generator | None
    ) -> Iterator[tuple[PixelNode, Tensor]]:
        factor, sigma = self._factor(asked, generator), self.config.crosstalk
        light, row, at = _light(asked) * factor, _plane(asked) if sigma else asked, None
        for node in self.nodes(order):
            y, x = node.offset
            if sigma and node.active:
                if y != at:  # the points of a row share its blur
                    row, at = blurred_rows(asked.mT, sigma, [y]).mT, y
                light = _light(blurred_rows(row, sigma, [x])) * factor
            yield node, node.active * light + node.dead * self.dead

    def _factor(self, asked: Tensor, generator: torch.Generator | None) -> float | Tensor:
        """What flatness and flicker multiply the light with: a number, or one for each pixel."""
        sigma, mean, phase = self.config.flicker, 1.0, None
        if self._flatness is not None:
            phase = self._middle(self._flatness, asked)
        if sigma and generator is not None:
            dtype = asked.real.dtype
            noise = sigma * torch.randn(asked.shape, generator=generator, dtype=dtype, device=generator.device)
            phase = noise.to(asked.device) + (0.0 if phase is None else phase)
        elif sigma:
            mean = math.exp(-(sigma**2) / 2)
        return mean if phase is None else mean * _light(phase)

    def _dead_pixels(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, columns and levels of the dead pixels inside an array (..., y, x)."""
        rows, columns, level = torch.tensor(self.config.dead_pixels, dtype=torch.long, device=like.device).view(-1, 3).T
        if not len(rows):
            return rows, columns, level
        top, left = _corner(self.config.shape, like)
        rows, columns = rows - top, columns - left
        inside = (rows >= 0) & (rows < like.shape[-2]) & (columns >= 0) & (columns < like.shape[-1])
        return rows[inside], columns[inside], level[inside]

    def _middle(self, values: NDArray[np.float64], like: Tensor) -> Tensor:
        """Middle of a map of the panel, as large as an array (..., y, x), in its precision."""
        (top, left), (height, width) = _corner(self.config.shape, like), like.shape[-2:]
        part = torch.from_numpy(values[top : top + height, left : left + width])
        return part.to(like.device, like.real.dtype if like.is_complex() or like.is_floating_point() else part.dtype)

    def _known(self, levels: Tensor) -> Tensor:
        """Refuse levels that the panel has not."""
        given, highest = torch.as_tensor(levels), 2**self.config.bits - 1
        whole = given.long()
        least, most = whole.aminmax() if whole.numel() else (0, 0)
        if given.is_floating_point() or given.is_complex() or least < 0 or most > highest:
            raise GeometryError(f"levels ({given.dtype}): give whole numbers 0 .. {highest}; `levels` makes them")
        return whole

    def _checked(self, target: Tensor) -> Tensor:
        """Refuse what this panel cannot be asked for; an array of numpy becomes a tensor."""
        target = torch.as_tensor(target)
        if self.config.modulation == "phase":
            farthest = panel.TURN * 2**24  # there neighbours in float32, in which levels are rounded, are a turn apart
            inside = target.dtype in (torch.float32, torch.float64)
            if inside and target.numel():
                least, most = target.detach().aminmax()
                inside = bool((least >= -farthest) & (most <= farthest))  # False for NaN, too
            if not inside:
                raise GeometryError(
                    f"phase ({target.dtype}) must be finite float32 or float64, in rad, within +-{farthest:.4g}; "
                    "convert it, wrap it modulo 2 pi, or mend what made it"
                )
            return target
        real = not target.is_complex()
        kinds = (torch.float32, torch.float64, torch.complex64, torch.complex128)
        passive = target.dtype in kinds and bool((target.abs() <= 1 + 1e-6).all())  # False for NaN, too
        if not passive or (real and not bool((target >= 0).all())):
            raise GeometryError(
                f"{target.dtype} for a panel with modulation = {self.config.modulation!r}: give amplitudes "
                "in [0, 1], or complex numbers of modulus up to 1; divide by the largest modulus"
            )
        return target


def _corner(shape: tuple[int, int], like: Tensor) -> tuple[int, int]:
    """Row and column of the panel at which the middle of the size of an array (..., y, x) begins."""
    top, left = (n // 2 - m // 2 for n, m in zip(shape, _plane(like).shape[-2:], strict=True))
    if top < 0 or left < 0:
        raise GeometryError(
            f"{tuple(like.shape)} is more than the panel, {shape}, whose maps and dead pixels are known"
        )
    return top, left


def _plane(like: Tensor) -> Tensor:
    """Refuse what has no rows and columns, where neighbours count or the place on the panel does."""
    if like.ndim < 2:
        raise GeometryError(f"shape {tuple(like.shape)}: this panel needs the axes (..., y, x)")
    return like


def _gauss(order: int, side: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points, weights = np.polynomial.legendre.leggauss(order)
    return points * (side / 2), weights * (side / 2)


def _over_square(position: NDArray[np.float64], weight: NDArray[np.float64]) -> list[tuple[Pair, float]]:
    """Points of the quadrature of an axis over a square, and their weights."""
    axis = list(zip(position.tolist(), weight.tolist(), strict=True))
    return [((y, x), v * w) for y, v in axis for x, w in axis]


def _light(shown: Tensor) -> Tensor:
    return shown if shown.is_complex() else torch.polar(torch.ones_like(shown), shown)


def _dtype(shown: Tensor, target: Tensor) -> torch.dtype:
    """Kind of what is shown in the precision of what was asked."""
    return target.real.dtype if not shown.is_complex() else target.real.dtype.to_complex()
