"""Gratings and diffusers: parts that send light aside, by closed forms that belong to no grid."""

import math
import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from fouroptics.bench.pose import Pose, coordinates, placed
from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.shapes import ACROSS
from fouroptics.units import show
from fouroptics.waves.sampling import number
from fouroptics.waves.transforms import phasor

Profile = Literal["blazed", "sinusoidal", "binary"]


class Grating(nn.Module):
    """Grating of lines along y, as the sum of the diffraction orders that the grid carries.

    Order m is the wave ``c_m exp(2 pi i m x / period)``, exact at any pose and on any grid:

    - ``blazed``: a phase that rises by `depth` over each period, ``c_m = exp(i pi (s-m)) sinc(s-m)``, s = depth/2pi;
    - ``sinusoidal``: the phase ``depth/2 sin(2 pi x / period)``, ``c_m = J_m(depth / 2)``;
    - ``binary``: bars, open over the part `duty` about x = 0, ``c_m = duty sinc(m duty)``

    (Goodman, sec. 4.4 and appendix). Orders beyond the band of the samples leave the bench: the ledger shows their
    power. A sinusoidal grating is sampled as it stands, so they must be faint.

    Parameters
    ----------
    period : float
        In metres.
    kind : {"blazed", "sinusoidal", "binary"}
        Its profile.
    depth : float or torch.Tensor, optional
        Of the phase in rad, from valley to top; left out, 2 pi. A binary one has none.
    duty : float, optional
        Open part of a period of a binary one, in (0, 1); left out, 1/2. The others have none.
    pose : Pose, optional
        How it stands: `x` moves the lines, `rotation` turns them from +x to +y.

    Raises
    ------
    GeometryError
        If a number is out of its range, or one is given that the kind has not.
    SamplingError
        If the grid has one sample across the lines.

    Warns
    -----
    SamplingWarning
        If a period holds fewer than 2 samples, of a sinusoidal one fewer than 5 or than its orders ask for.
    """

    length = 0.0
    takes = "orders"

    def __init__(
        self,
        period: float,
        kind: Profile = "blazed",
        depth: float | Tensor | None = None,
        duty: float | None = None,
        pose: Pose | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("blazed", "sinusoidal", "binary"):
            raise GeometryError(f"kind = {kind!r}: use 'blazed', 'sinusoidal' or 'binary'")
        if (duty if kind != "binary" else depth) is not None:
            raise GeometryError(f"a {kind} grating has no {'depth' if kind == 'binary' else 'duty'}: leave it out")
        depth, duty = 2 * math.pi if depth is None else depth, 0.5 if duty is None else duty
        if not (math.isfinite(period) and period > 0 and math.isfinite(number(depth)) and 0 < duty < 1):
            raise GeometryError(
                f"period = {period}, depth = {number(depth)}, duty = {duty}: the period is positive, in metres, the "
                "depth finite, in rad, the duty between 0 and 1"
            )
        self.period, self.kind, self.depth, self.duty, self.pose = period, kind, depth, duty, pose

    def forward(self, field: Field) -> Field:
        """See `placed`."""
        return placed(field, self.pose, self.act)

    def act(self, field: Field, pose: Pose | None) -> Field:
        """What it does to light on its plane."""
        turns, depth = coordinates(field, pose)[1] / self.period, torch.as_tensor(self.depth, dtype=torch.float64)
        step = _steps(field, pose) / self.period
        if self.kind == "sinusoidal":
            highest = math.ceil(abs(number(depth)) / 2 + 2)  # J_m falls fast beyond m = depth/2
            _warn_if_coarse(field, step, max(ACROSS, 2 * highest), self.period)
            return field.modulate(phasor(depth * torch.sin(2 * math.pi * turns) / (4 * math.pi)))
        _warn_if_coarse(field, step, 2, self.period)
        most = max(1, math.ceil(0.5 / step) - 1)
        m = torch.arange(-most, most + 1, dtype=torch.float64)
        if self.kind == "binary":
            orders = (self.duty * torch.sinc(m * self.duty)).to(torch.complex128)
        else:
            orders = phasor((depth / (2 * math.pi) - m) / 2) * torch.sinc(depth / (2 * math.pi) - m)
        return field.modulate(_series(orders.to(turns.device), turns))


class Diffuser(nn.Module):
    """Random phase plate: a Gaussian process of height `rms` in rad, with the correlation ``exp(-r^2 / length^2)``.

    A sum of 256 plane waves of random direction and phase, drawn once from the seed: the same plate on every grid and
    at every pose, stationary, Gaussian to the 256th part, its RMS slope right to 4 %. The mean amplitude behind it is
    ``exp(-rms^2 / 2)``: what goes straight through; the rest spreads over direction sines of
    ``lambda rms / (sqrt(2) pi length)`` RMS an axis (J. W. Goodman, Speckle Phenomena in Optics, 2nd ed., sec. 4.5).

    Parameters
    ----------
    rms : float or torch.Tensor
        Of the phase in rad.
    correlation : float
        Length over which the correlation falls to 1/e, in metres.
    seed : int
        Of the plate.
    pose : Pose, optional
        How it stands; move it, and the speckle changes.

    Warns
    -----
    SamplingWarning
        If the RMS slope turns the phase by more than 1 rad a sample: at pi it would be aliased, three times that.
    """

    length = 0.0
    takes = "absorption"
    waves: Tensor

    def __init__(self, rms: float | Tensor, correlation: float, seed: int = 0, pose: Pose | None = None) -> None:
        super().__init__()
        if not (0 <= number(rms) < math.inf and 0 < correlation < math.inf):
            raise GeometryError(f"rms = {number(rms)} rad, correlation = {correlation} m: give positive numbers")
        draw = torch.Generator().manual_seed(seed)
        slopes = torch.randn(2, 256, generator=draw, dtype=torch.float64) / (math.sqrt(2) * math.pi * correlation)
        start = torch.rand(1, 256, generator=draw, dtype=torch.float64)
        self.register_buffer("waves", torch.cat([slopes, start]), persistent=False)
        self.rms, self.correlation, self.pose = rms, correlation, pose

    def forward(self, field: Field) -> Field:
        """See `placed`."""
        return placed(field, self.pose, self.act)

    def act(self, field: Field, pose: Pose | None) -> Field:
        """What it does to light on its plane."""
        slope = number(self.rms) * math.sqrt(2) / self.correlation
        coarse = max(field.grid.spacing)
        if slope * coarse > 1:
            warnings.warn(
                f"a diffuser of {number(self.rms):.4g} rad RMS over {show(self.correlation, 'length', 4)} turns the "
                f"phase by {slope * coarse:.3g} rad RMS from one sample of {show(coarse, 'length', 4)} to the next: "
                f"use samples of {show(0.99 / slope, 'length', 3)}",
                SamplingWarning,
                stacklevel=3,
            )
        y, x = coordinates(field, pose)
        height = torch.zeros(field.grid.shape, dtype=torch.float64, device=y.device)
        if y.shape[1] == x.shape[0] == 1:  # exp(a + b) = exp(a) exp(b): one product of matrices
            fy, fx, start = (row.to(y.device) for row in self.waves)
            height = (phasor(y * fy + start) @ phasor(x.mT * fx).mT).real
        else:
            for fy, fx, start in self.waves.T.to(y.device):
                height = height + torch.cos(2 * math.pi * (y * fy + x * fx + start))
        return field.modulate(phasor(self.rms * height * math.sqrt(2 / 256) / (2 * math.pi)))


def _series(orders: Tensor, turns: Tensor) -> Tensor:
    """``sum_m orders_m exp(2 pi i m turns)`` over orders -M .. M, by Horner's rule."""
    wave, total = phasor(turns), orders[-1]
    for order in orders.flip(0)[1:]:
        total = total * wave + order
    return total * phasor(-(len(orders) // 2) * turns)


def _steps(field: Field, pose: Pose | None) -> float:
    """How far the coordinate across the lines moves from one sample to the next, at most, in metres."""
    x = coordinates(field, pose)[1].detach()
    steps = [float(x.diff(dim=axis).abs().max()) for axis in (0, 1) if x.shape[axis] > 1]
    if not any(steps):
        raise SamplingError(f"{field.grid} have one sample across the lines of a grating: give them two at least")
    return max(steps)


def _warn_if_coarse(field: Field, step: float, need: int, period: float) -> None:
    if step * need > 1 + 1e-9:
        warnings.warn(
            f"the period of a grating, {show(period, 'length', 4)}, holds {1 / step:.3g} samples of {field.grid} and "
            f"needs {need}: use samples of {show(max(field.grid.spacing) * 0.99 / (step * need), 'length', 3)}",
            SamplingWarning,
            stacklevel=4,
        )
