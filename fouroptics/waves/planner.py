"""Which method, how far off it will be, what it costs and why: `plan` looks at the field before it propagates."""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves import kernels, sampling
from fouroptics.waves.propagation import angular_spectrum, pitch_fits, propagate
from fouroptics.waves.transforms import fast_length, fft2, frequencies


@dataclass(frozen=True)
class Cost:
    """What a propagation takes.

    Attributes
    ----------
    transforms : int
        Two-dimensional FFTs a field.
    shape : tuple of int
        Their size (ny, nx).
    products : int
        Complex multiplications in matrix products, a field.
    bytes : int
        Largest extra memory for one field, kernel and result included.
    """

    transforms: int
    shape: tuple[int, int]
    products: int
    bytes: int


@dataclass(frozen=True)
class Plan:
    """A way to propagate fields of one grid and wavelength, and what to expect of it; call it with a field.

    Attributes
    ----------
    method : str
        ``"periodic"`` (angular spectrum in the field's own window), ``"convolution"`` (linear, by FFT) or
        ``"matrices"`` (linear, onto another pitch).
    error : float
        Estimated L2 error on the target, relative to the field there: the root of the summed squares of `terms`.
    terms : dict of str to float
        ``wrap``: light that leaves a periodic window and comes round; ``cut``: a target beyond the steepest light that
        the samples carry; ``kernel``: what a kernel of finite length does to noise near the edge of the band;
        ``edges``: steps between samples; ``window``: the step where the grid ends before the field; ``rounding``.
    cost : Cost
        Transforms and memory.
    reason : str
        One sentence.
    """

    method: str
    error: float
    terms: dict[str, float]
    cost: Cost
    reason: str
    grid: Grid
    onto: Grid
    wavelength: float
    z: float
    tolerance: float
    pixels: bool

    def __call__(self, field: Field) -> Field:
        """Propagate a field like the one that was planned for; warns if the tolerance is out of reach.

        Raises
        ------
        GeometryError
            If the field has another grid or wavelength.
        """
        if field.grid != self.grid or field.wavelength != self.wavelength:
            raise GeometryError(
                f"the plan is for {self.grid} at {show(self.wavelength, 'length')}, the field has {field.grid} at "
                f"{show(field.wavelength, 'length')}: plan again"
            )
        if self.error > self.tolerance:
            warnings.warn(self.reason, SamplingWarning, stacklevel=2)
        if self.method == "periodic":
            return angular_spectrum(field, self.z, pad=1)
        return propagate(field, self.z, self.onto, pixels=self.pixels)


def plan(field: Field, z: float, onto: Grid | None = None, tolerance: float = 1e-3, *, pixels: bool = False) -> Plan:
    """Choose the cheapest way over a distance that keeps to a tolerance, by the spectrum of the field itself.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x); the estimate is for the batch as a whole.
    z : float
        Distance in metres.
    onto : Grid, optional
        Grid of the result; left out, the grid of the field.
    tolerance : float
        Largest relative L2 error wanted.
    pixels : bool
        The samples are cells of uniform light; see `propagate`. The plan takes that as true.

    Returns
    -------
    Plan
        If no way keeps to the tolerance, the best there is; its reason says what would.
    """
    onto, z = onto or field.grid, float(z)
    if not (math.isfinite(z) and tolerance > 0):
        raise GeometryError(f"z = {z}, tolerance = {tolerance}: z must be finite, in metres, the tolerance positive")
    views = [_View(field, onto, z, axis) for axis in (0, 1)]
    terms = {"wrap": 0.0, "cut": _cut(views, pixels), "kernel": 0.0, "edges": 0.0, "window": 0.0}
    if z != 0 and not pixels:
        terms["edges"] = math.sqrt(sum(view.steps(view.edges) for view in views))
        terms["window"] = math.sqrt(sum(view.steps(view.border) for view in views))
    terms["rounding"] = 4 * torch.finfo(field.data.dtype).eps + 2 * math.pi * abs(z) / field.wavelength * 2**-53
    periodic = terms | {"wrap": math.sqrt(sum(view.leaving() for view in views))}
    linear = terms | {"kernel": _tails(views)}
    if onto == field.grid and not pixels and math.hypot(*periodic.values()) <= tolerance:
        method, terms = "periodic", periodic
    else:
        method, terms = ("convolution" if pitch_fits(field.grid, onto) else "matrices"), linear
    error = math.hypot(*terms.values())
    reason = _reason(field, z, onto, method, periodic["wrap"], terms, tolerance)
    cost = _cost(field, z, onto, method)
    return Plan(method, error, terms, cost, reason, field.grid, onto, field.wavelength, z, tolerance, pixels)


class _View:
    """The field along one axis: where its light is, where it goes, how much of it steps from sample to sample."""

    def __init__(self, field: Field, onto: Grid, z: float, axis: int) -> None:
        grid, self.wavelength, self.z = field.grid, field.wavelength, z
        self.d, n = grid.spacing[axis], grid.shape[axis]
        u = field.data.detach().to("cpu", torch.complex128).movedim(axis - 2, -1).reshape(-1, n)
        self.energy = float(u.abs().square().sum()) * self.d
        self.light = u.abs().square().sum(0) / max(float(u.abs().square().sum()), 1e-300)  # by position
        self.x = torch.from_numpy(grid.coordinates()[axis])
        length = fast_length(2 * n)
        spectrum = fft2(u[:, None], (1, length))[:, 0].abs().square().sum(0) * self.d**2  # energy a cycle/m
        self.f = frequencies(length, self.d)
        self.color = spectrum / max(float(spectrum.sum()), 1e-300)  # light by frequency
        # A step of height a has |a / (2 pi f)|^2; half a cell of grey takes a tenth of it at the end of the band.
        steps, fd = spectrum * self.f**2, self.f.abs() * self.d
        every = min(float(steps[(fd > 0.2) & (fd < 0.3)].mean()), 10 * float(steps[fd > 0.35].mean()))
        self.border = float(u[:, [0, -1]].abs().square().sum()) / (4 * math.pi**2)
        self.edges = max(every - self.border, 0.0)
        half = onto.extent[axis] / 2
        self.low, self.high = onto.center[axis] - half, onto.center[axis] + half
        self.arriving = max(float((self.color * self.lands(self.f)).sum()), 1e-6)

    def lands(self, f: Tensor) -> Tensor:
        """Share of the light of each frequency that lands on the target."""
        sine = self.wavelength * f
        walk = self.z * sine / (1 - sine**2).clamp_min(1e-12).sqrt()
        before = torch.cat([self.light.new_zeros(1), self.light.cumsum(0)])  # light before each border between samples
        first, n = float(self.x[0]) - self.d / 2, len(self.x)

        def share(position: Tensor) -> Tensor:
            place = ((position - walk - first) / self.d).clamp(0, n)
            left = place.floor().clamp_max(n - 1).long()
            return before[left] + (before[left + 1] - before[left]) * (place - left)

        ends = (torch.full_like(f, each) for each in (self.high, self.low))
        return (share(next(ends)) - share(next(ends))) * (sine.abs() < 1)

    def steps(self, strength: float) -> float:
        """Squared error of steps whose spectrum is ``strength / f^2``, relative to the light that arrives.

        The sum over samples differs from the integral up to a step by ``kappa d^2`` of the slope of the wave there,
        ``kappa = c (1 - c)/2 - 1/24`` where a part c of the cell is covered, from -1/24 to 1/12; 0.075 allows for the
        part of the step's light that grey cells hide. Beyond the band the light of the step is missing.
        """
        band = 0.5 / self.d
        f = torch.linspace(0, band, 257, dtype=torch.float64)[1:]
        inside = (0.075 * (2 * math.pi * self.d) ** 2 * f) ** 2
        beyond = torch.logspace(math.log10(band), math.log10(1 / self.wavelength), 513, dtype=torch.float64)[1:-1]
        beyond = beyond[beyond > band]
        total = 0.0
        for sign in (1, -1):
            total += float(torch.trapezoid(inside * self.lands(sign * f), f))
            if len(beyond) > 1:
                total += float(torch.trapezoid(self.lands(sign * beyond) / beyond**2, beyond))
        return strength * total / (self.energy * self.arriving)

    def leaving(self) -> float:
        """Bound of the share of light that leaves the grid, whatever comes from where, relative to what stays."""
        sine = (self.wavelength * self.f).abs()
        walk = (abs(self.z) * sine / (1 - sine**2).clamp_min(1e-12).sqrt()) * (sine < 1)
        half = len(self.x) * self.d / 2
        middle = float(self.x[0]) - self.d / 2 + half
        reach = torch.linspace(0, 1, 65, dtype=torch.float64)[:, None] * half
        outside = (self.light * ((self.x - middle).abs() + self.d / 2 > reach)).sum(1)
        far = (self.color * (walk > half - reach)).sum(1)
        share = float((outside + far).min())
        return share / max(1 - share, 1e-6)


def _cut(views: list[_View], pixels: bool) -> float:
    """1 where the middle of the target lies beyond the steepest light that the samples carry."""
    beyond = 0.0
    for view in views:
        walk = sampling.walk(sampling.steepest(view.d, view.wavelength), view.z)
        aside = abs((view.low + view.high) / 2 - float(view.x[len(view.x) // 2]))
        beyond = max(beyond, float(aside > walk + len(view.x) * view.d / 2 and not pixels))
    return beyond


def _tails(views: list[_View]) -> float:
    """What light near the edge of the band loses in a kernel of finite length: measured on noise of the whole band."""
    total = 0.0
    for view in views:
        steep = min(sampling.steepest(view.d, view.wavelength), 1.0)
        near = float(view.color[view.f.abs() > 0.4 / view.d].sum())
        total += ((0.03 * steep + 0.25 * steep**3) ** 2) * near / view.arriving
    return math.sqrt(total)


def _cost(field: Field, z: float, onto: Grid, method: str) -> Cost:
    """Count the larger buffers: half-transformed rows, the kernel's quadrant, the result."""
    grid, item = field.grid, field.data.element_size()
    (ny, nx), (my, mx) = grid.shape, onto.shape
    shape, products = grid.shape, 0
    if method == "convolution":
        shape = kernels.window(grid, onto, field.wavelength, z)
    if method == "matrices":
        inner, kernel = kernels.spread(grid, onto, field.wavelength, z)
        shape, (ny, nx) = kernel.shape, inner.shape
        rows_first = my * ny * nx + my * nx * mx
        columns_first = ny * nx * mx + my * ny * mx
        products = rows_first if my / ny <= mx / nx else columns_first
    size = max(ny, my) * shape[1] + (shape[0] // 2 + 1) * (shape[1] // 2 + 1) + my * mx
    size += my * ny + mx * nx + my * nx if method == "matrices" else 0
    return Cost(2, shape, products, size * item)


def _reason(
    field: Field, z: float, onto: Grid, method: str, wrap: float, terms: dict[str, float], tolerance: float
) -> str:
    """One sentence: why this method, and what limits it."""
    way = {
        "periodic": f"hardly any light leaves the grid over {show(z, 'length', 4)}, so its own window will do",
        "convolution": f"a convolution without period, for a smaller window would wrap light of {wrap:.1e} of the field",
        "matrices": "the target has another pitch, so each axis takes a matrix product",
    }[method]
    if method == "convolution" and onto != field.grid:
        way = "a convolution without period onto another place of the same pitch"
    error, worst = math.hypot(*terms.values()), max(terms, key=lambda name: terms[name])
    if error <= tolerance:
        return f"{way}; expected error {error:.1e}, most of it from {worst}"
    finer = min(d * (tolerance / error) ** (2 / 3) for d in field.grid.spacing)
    remedy = {
        "cut": "the samples carry no light that steep: use finer ones",
        "kernel": "noise up to the edge of the band: use finer samples of the same field",
        "edges": f"steps between samples: use samples of {show(finer, 'length', 2)}, or pixels=True if each is a "
        "uniform cell",
        "window": "the field is cut where its grid ends: use a larger grid, or pixels=True if it ends there in truth",
        "rounding": "use complex128",
        "wrap": "use a larger grid",
    }[worst]
    return f"{way}; expected error {error:.1e}, not {tolerance:.1e}, most of it from {worst}: {remedy}"
