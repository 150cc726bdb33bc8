"""Which method, how far off it will be, what it costs and why: `plan` looks at the field before it propagates."""

import math
import warnings
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves import kernels, sampling
from fouroptics.waves.propagation import angular_spectrum, pitch_fits, propagate
from fouroptics.waves.transforms import BLOCKED, Kernel, convolve, fast_length, fft, frequencies, ifft2, phasor

SUMS = 32  #: random sums that stand for the lines of a target; their energy is that of all lines within 1/sqrt(32)
ULP = 2**-53  #: relative rounding of a double
SMOOTH = 25  #: fall of the logarithm of the power over 1/d from which on a spectrum is not that of steps


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
        Memory for one field beside its own: kernel, buffers and result. To make a kernel, which is kept, takes a few
        times its size for a moment.
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
        ``wrap``: light that leaves a periodic window and comes round; ``edges``: light beyond the band of the samples,
        of steps between them or of too few; ``place``: steps without a grey sample, which may lie half a sample off;
        ``window``: light of a field that goes on beyond its grid; ``kernel``: the step from the paraxial response to
        the exact one, for light that passes by the target and for the orders of cells; ``rounding``.
    cost : Cost
        Transforms and memory.
    reason : str
        One sentence: why this method, what limits it and, out of tolerance, what would help.
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
    """Choose the cheapest way over a distance that keeps to a tolerance, by the field itself.

    The samples are taken for those of a field that is smooth between them and goes on beyond them, but for steps, which
    show at the end of the spectrum. What arrives, what comes round and what is missing from beyond the grid is
    propagated, axis by axis, for some random sums over the lines of the target; the light of steps is followed to where
    each frequency walks. Noise up to the end of the band cannot be told from steps.

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

    Raises
    ------
    GeometryError
        If the distance is not finite or the tolerance not positive.
    """
    onto, z = onto or field.grid, float(z)
    if not (math.isfinite(z) and tolerance > 0):
        raise GeometryError(f"z = {z}, tolerance = {tolerance}: z must be finite, in metres, the tolerance positive")
    lines = [_look(field, onto, z, axis, pixels) for axis in (0, 1)]
    terms, base = _terms(lines, field, onto, z, pixels)
    method = "convolution" if pitch_fits(field.grid, onto) else "matrices"
    way = {
        "convolution": "a convolution onto another place of the same pitch",
        "matrices": "the target has another pitch, so each axis takes a matrix product",
    }[method]
    if onto == field.grid and not pixels:
        wrap = _share(sum(_wrap(field, z, axis, tolerance) for axis in (0, 1)), base)
        way = f"a convolution without period, for in its own window light of {wrap:.1e} of the field comes round"
        if math.hypot(*(terms | {"wrap": wrap, "kernel": 0.0}).values()) <= tolerance:
            method, terms = "periodic", terms | {"wrap": wrap, "kernel": 0.0}
            way = f"hardly any light leaves the grid over {show(z, 'length', 4)}, so its own window will do"
    error, worst = math.hypot(*terms.values()), max(terms, key=lambda name: terms[name])
    reason = f"{way}; expected error {error:.1e}"
    if error > tolerance:
        reason += (
            f", not {tolerance:.1e}, most of it from {worst}: {_remedy(worst, terms, lines, base, field, tolerance)}"
        )
    elif error > 0:
        reason += f", most of it from {worst}"
    cost = _cost(field, z, onto, method, pixels)
    return Plan(method, error, terms, cost, reason, field.grid, onto, field.wavelength, z, tolerance, pixels)


# ---- one axis at a time ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """The field along one axis, as sums over the lines of the target along the other one."""

    d: float
    wavelength: float
    z: float
    borders: tuple[float, float, float]  # of the first sample, and both of the target
    samples: float  # of the target, a metre
    arriving: float  # sum of |u|^2 on the target, of the field with what goes on beyond its grid
    outside: float  # of the latter alone
    bent: float  # of what `kernels.residual` does otherwise to light that passes by the target
    fading: float  # |u| at the ends of the grid over that one sample further in
    rough: float  # sum of |u_i+1 - u_i|^2 over that of |u|^2
    where: Tensor  # part of the light at the end of the band that is before each border between samples
    strength: float  # s of a spectrum s/f^2 of steps
    grey: tuple[float, float]  # mean c (1 - c) of steps that cover a part c of a cell: as seen there, on the grid
    end: float  # spectrum at 0.475/d
    fall: float  # of its logarithm there, over 1/d

    def missing(self, f: Tensor) -> Tensor:
        """Spectrum beyond the band: that of steps, or one that falls on as it does at the end of the band."""
        return self.strength / f**2 if self.stepped else self.end * torch.exp(-self.fall * (f * self.d - 0.475))

    @property
    def stepped(self) -> bool:
        """Whether the spectrum ends as that of steps does."""
        return self.fall < SMOOTH

    def lands(self, f: Tensor) -> Tensor:
        """Part of the light of each frequency that lands on the target, if it starts `where` the end of the band is."""
        sine = self.wavelength * f
        walk = self.z * sine / (1 - sine**2).clamp_min(1e-12).sqrt()
        first, low, high = self.borders
        n = len(self.where) - 1

        def before(border: float) -> Tensor:
            place = ((border - walk - first) / self.d).clamp(0, n)
            left = place.floor().clamp_max(n - 1).long()
            return self.where[left] + (self.where[left + 1] - self.where[left]) * (place - left)

        return (before(high) - before(low)) * (sine.abs() < 1)


def _look(field: Field, onto: Grid, z: float, axis: int, pixels: bool) -> _Line:
    d, n, wavelength = field.grid.spacing[axis], field.grid.shape[axis], field.wavelength
    u = _turned(field, axis)
    ends, further = u[..., [0, -1]], u[..., [min(1, n - 1), max(n - 2, 0)]]
    inside, outside = _extended(u, goes_on=not pixels)
    shape = (field.grid.shape[0], inside.shape[-1]) if axis else (inside.shape[-1], field.grid.shape[1])
    grid, both = Grid(shape, field.grid.spacing, field.grid.center), torch.stack([inside, outside])
    line = partial(_carry, onto=onto, wavelength=wavelength, z=z, pixels=pixels)
    weights = _weights(onto.shape[1 - axis])
    straight = (line(weights, grid, axis=1 - axis, back=True) @ both[0]).flatten(0, 1)
    bent = _bent(straight, grid, field, onto, z, axis, pixels)
    if max(kernels.margins(grid, onto, wavelength, z)) > 1:  # steep light lands farther out than paraxial light
        wide = kernels.widened(grid, onto, wavelength, z)
        both = both if axis else both.mT
        kernel = kernels.spread(grid, onto, wavelength, z).to(both.dtype, both.device, both.shape[:-2].numel())
        both, grid = convolve(both.contiguous(), kernel, wide.shape), wide
        both = both if axis else both.mT
    rows, beyond = (line(weights, grid, axis=1 - axis, back=True) @ both).flatten(1, 2)
    there, missed = (line(part, grid, axis=axis) for part in (rows, beyond))
    f, spectrum, where = _spectrum(rows + beyond, d)

    def mean(low: float, high: float, power: int = 0) -> float:
        some = (f.abs() * d >= low) & (f.abs() * d <= high)
        return float((spectrum[some] * f[some].abs() ** power).mean()) + 1e-300

    near, nearer, end = mean(0.3, 0.4), mean(0.4, 0.45), mean(0.45, 0.5)
    grey, half = (_grey(rows), _grey(u)), onto.extent[axis] / 2
    return _Line(
        d,
        wavelength,
        z,
        (grid.center[axis] - (grid.shape[axis] // 2 + 0.5) * d, onto.center[axis] - half, onto.center[axis] + half),
        1 / onto.spacing[axis],
        _energy(there + missed),
        _energy(missed),
        bent,
        math.sqrt(_energy(ends) / max(_energy(further), 1e-300)),
        _energy(rows.diff(dim=-1)) / max(_energy(rows), 1e-300),
        where,
        min(mean(0.2, 0.5, 2), 6 * mean(0.4, 0.5, 2)) / (1.6 - 5.15 * grey[0]),
        grey,
        end,
        min(math.log(near / nearer) / 0.075, math.log(nearer / end) / 0.05),
    )


def _turned(field: Field, axis: int) -> Tensor:
    """Samples (batch, other axis, axis) in double precision."""
    u = field.data.detach().to("cpu", torch.complex128).reshape(-1, *field.grid.shape)
    return u if axis else u.mT


def _energy(data: Tensor) -> float:
    return float(data.abs().square().sum())


def _extended(rows: Tensor, *, goes_on: bool) -> tuple[Tensor, Tensor]:
    """Rows within twice their length, and what is around them: they go on as they end, not rising, and fade."""
    n = rows.shape[-1]
    extra = n // 2
    inside = pad(rows, (extra, extra))
    if not goes_on or n < 2:
        return inside, torch.zeros_like(inside)
    k = torch.arange(1, extra + 1)
    fade = torch.cos(math.pi / 2 * k / (extra + 1)) ** 2
    sides = []
    for last, further in ((rows[..., :1], rows[..., 1:2]), (rows[..., -1:], rows[..., -2:-1])):
        dark = further.abs() < 1e-100
        ratio = torch.where(dark, 0, last / torch.where(dark, 1, further))
        sides.append(last * (ratio / ratio.abs().clamp_min(1)) ** k * fade)
    return inside, torch.cat([sides[0].flip(-1), torch.zeros_like(rows), sides[1]], -1)


def _weights(n: int) -> Tensor:
    """Weights (sums, n) of random phases: the energy of such sums is on average that of the n lines."""
    if n <= SUMS:
        return torch.eye(n, dtype=torch.complex128)
    turns = torch.rand(SUMS, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    return phasor(turns) / math.sqrt(SUMS)


def _carry(
    rows: Tensor, source: Grid, onto: Grid, axis: int, wavelength: float, z: float, *, pixels: bool, back: bool = False
) -> Tensor:
    """Propagate lines along an axis, paraxially; `back` by the transpose, from the samples of `onto`."""
    if not pitch_fits(source, onto):
        matrix = kernels.matrix(source, onto, axis, wavelength, z, pixels)
        return rows @ (matrix if back else matrix.T)
    old, new = (onto, source) if back else (source, onto)
    n, m, d = old.shape[axis], new.shape[axis], source.spacing[axis]
    first = new.center[axis] - old.center[axis] - (m // 2 - n // 2) * d
    length = fast_length(n + m - 1)
    index = torch.arange(length, dtype=torch.float64)
    index = torch.where(index < m, index, index - length)
    return _filtered(rows, fft(kernels.line(first + index * d, d, wavelength, z, pixels=pixels)), m)


def _filtered(rows: Tensor, spectrum: Tensor, m: int) -> Tensor:
    return convolve(rows[..., None, :].contiguous(), Kernel(spectrum[None] / len(spectrum)), (1, m))[..., 0, :]


def _bent(rows: Tensor, grid: Grid, field: Field, onto: Grid, z: float, axis: int, pixels: bool) -> float:
    """Energy on the target of what `kernels.residual` does otherwise to light that passes by."""
    d, n = grid.spacing[axis], grid.shape[axis]
    across, zero = sampling.span(field.grid, onto, 1 - axis), torch.zeros(1, dtype=torch.float64)
    # Where the light of the other axis is the steepest that arrives, this is left.
    limit = sampling.arriving(field.grid, onto, z) - across**2 / (across**2 + z**2)
    f = frequencies(n, d)
    made, exact = (
        _filtered(rows, kernels.residual(zero, f, field.wavelength, z, most, torch.float64)[0], n)
        for most in (limit, 4 * limit)
    )
    if not pitch_fits(field.grid, onto):  # there it ends with the wider grid
        cut = max(n - kernels.widened(field.grid, onto, field.wavelength, z).shape[axis], 0) // 2
        made[..., :cut] = made[..., n - cut :] = 0
    return 4 * _energy(_carry(made - exact, grid, onto, axis, field.wavelength, z, pixels=pixels))


def _spectrum(rows: Tensor, d: float) -> tuple[Tensor, Tensor, Tensor]:
    """Frequencies, energy a frequency, and where along the row the light at the end of the band is, summed up."""
    n = rows.shape[-1]
    length = max(fast_length(n), 64)
    f = frequencies(length, d)
    waves = fft(pad(rows, (0, length - n)))
    sharp = ifft2((waves * (f.abs() * d > 0.3))[:, None])[:, 0, :n].abs().square().sum(0)
    where = sharp.cumsum(0) / max(float(sharp.sum()), 1e-300)
    return f, waves.abs().square().sum(0) * d**2, torch.cat([where.new_zeros(1), where])


def _grey(rows: Tensor) -> float:
    """Mean ``q = c (1 - c)`` of steps that cover a part c of a cell: 0 if no sample is grey, 1/4 if all are half.

    Second differences of such a step are (c, 1-2c, c-1): their products sum up to 2 - 6q, with their neighbours' to
    4q - 1. Smooth light adds the same to both.
    """
    bend = rows.diff(n=2, dim=-1)
    here, next_ = float(bend.abs().square().sum()), float((bend[..., 1:] * bend[..., :-1].conj()).real.sum())
    return min((2 * next_ + here) / (4 * here + 6 * next_), 0.25) if 2 * next_ > -here else 0.0


# ---- errors ----------------------------------------------------------------------------------------------------------


def _steps(line: _Line, d: float) -> tuple[float, float, float]:
    """Energy on the target that samples of pitch d get wrong, that of steps out of place, and what is missing.

    The sum over samples differs from the integral up to a step by ``kappa d^2`` of the slope of the wave there,
    ``kappa = c (1 - c)/2 - 1/24`` where a part c of the cell is covered; by the last wave of the band; and where no
    sample is grey the step may lie anywhere in the cell, ``d/sqrt(12)`` off. Light beyond the band is missing and, of a
    smooth field, comes back within it.
    """
    band, scale = 0.5 / d, max(line.wavelength * abs(line.z), d**2)
    inside = torch.linspace(0, band, 257, dtype=torch.float64)[1:]
    beyond = torch.logspace(math.log10(band), math.log10(max(1 / line.wavelength, band)), 513, dtype=torch.float64)
    turn = (2 * math.pi * d * inside) ** 2
    misplaced = max(1 - 9 * line.grey[1], 0) * turn / 12 * line.missing(inside)
    wrong = ((1 / 24 + line.grey[0] / 6) * turn) ** 2 * line.missing(inside)
    if not line.stepped:
        misplaced, wrong = 0 * inside, line.missing(1 / d - inside)
    energy = [
        sum(float(torch.trapezoid(spectrum * line.lands(sign * f), f)) for sign in (1, -1))
        for f, spectrum in ((inside, wrong), (inside, misplaced), (beyond, line.missing(beyond)))
    ]
    first, low, high = line.borders
    reach = max(high - first, first + (len(line.where) - 1) * line.d - low)
    gap = max(scale * band - reach, math.sqrt(scale))  # from the last wave of the band to the target
    last = float(line.missing(torch.tensor(band))) * (2.5 * max(1 - 4 * line.grey[0], 0) if line.stepped else 1)
    energy[0] += last * min(high - low, gap) / gap**2 / (2 * math.pi**2)
    return energy[0] * line.samples, energy[1] * line.samples, energy[2] * line.samples


def _share(energy: float, base: float) -> float:
    """Relative amplitude."""
    return math.sqrt(energy / base) if energy > 0 else 0.0


def _terms(lines: list[_Line], field: Field, onto: Grid, z: float, pixels: bool) -> tuple[dict[str, float], float]:
    """Relative errors, and the energy on the target that they are relative to."""
    eps, carrier = torch.finfo(field.data.dtype).eps, 2 * math.pi * abs(z) / field.wavelength * ULP
    noise, shift = _noise(field, onto, z)
    steps = [(0.0, 0.0, 0.0)] if pixels else [_steps(line, line.d) for line in lines]
    wrong, misplaced, missing = (sum(part) for part in zip(*steps, strict=True))
    arriving, outside = min(line.arriving for line in lines), sum(line.outside for line in lines)
    seen = {"window": outside / 20, "edges": wrong, "rounding": noise * (4 * ULP + shift) ** 2}
    base = max(arriving - seen["edges"] - seen["rounding"], 0.0)
    base += sum(step[2] for step, line in zip(steps, lines, strict=False) if line.stepped)
    unknown = next((name for name, energy in seen.items() if energy >= arriving > 0 and energy >= base), None)
    if unknown:
        base = arriving
    orders = 8 * field.wavelength / abs(z) * math.sqrt(sum(line.rough for line in lines)) / math.pi if z else 0.0
    terms = {
        "wrap": 0.0,
        "edges": _share(wrong + missing, base),
        "place": _share(misplaced, base),
        "window": _share(outside, base),
        "kernel": math.hypot(_share(sum(line.bent for line in lines), base), orders * pixels),
        "rounding": (4 * eps + shift) * math.hypot(1, _share(noise, base)) + carrier,
    }
    if z == 0 and onto == field.grid:
        terms = dict.fromkeys(terms, 0.0)
    elif unknown:
        terms[unknown] = math.inf
    return terms, base


def _noise(field: Field, onto: Grid, z: float) -> tuple[float, float]:
    """Energy on the target of noise as strong as the field, and the relative rounding of a double kernel's phase."""
    noise, shift = _energy(field.data.detach()), 0.0
    for axis, (n, d) in enumerate(zip(field.grid.shape, field.grid.spacing, strict=True)):
        m, scale = onto.shape[axis], max(field.wavelength * abs(z), d**2)
        turns = min(sampling.span(field.grid, onto, axis) ** 2 / (2 * scale), scale / (8 * d**2))
        shift = max(shift, 2 * math.pi * turns * ULP)
        noise *= m / (n + m) if pitch_fits(field.grid, onto) else min(m * d**2 / scale, d / onto.spacing[axis])
    return noise, shift


def _wrap(field: Field, z: float, axis: int, tolerance: float) -> float:
    """Energy of the light that a periodic window brings back, along an axis."""
    grid, wavelength = field.grid, field.wavelength
    n, d = grid.shape[axis], grid.spacing[axis]
    sums = _carry(_weights(grid.shape[1 - axis]), grid, grid, 1 - axis, wavelength, z, pixels=False, back=True)
    rows = (sums @ _turned(field, axis)).flatten(0, 1)
    f = frequencies(n, d)
    order = f.abs().argsort(descending=True)
    power = fft(rows).abs().square().sum(0)[order].cumsum(0)
    steepest = f[order][power > (0.1 * tolerance) ** 2 * float(power[-1])][:1]
    sine = min(wavelength * float(steepest.abs().sum()), 0.99)
    away = z / math.sqrt(1 - sine**2)  # as far as the steepest light that matters has to go
    once = _filtered(rows, phasor(-wavelength * away / 2 * f**2), n)
    return _energy(once - _carry(rows, grid, grid, axis, wavelength, away, pixels=False))


# ---- remedy and cost -------------------------------------------------------------------------------------------------


def _remedy(
    worst: str, terms: dict[str, float], lines: list[_Line], base: float, field: Field, tolerance: float
) -> str:
    """What brings the largest term below the tolerance."""
    if worst in ("edges", "place"):
        finer = _finer(lines, base, tolerance)
        what = "edge samples that carry the covered part of their cell (fo.shapes), " if worst == "place" else ""
        return f"use {what}samples of {finer}, or pixels=True if each is a uniform cell"
    if worst == "window":
        return f"the field goes on where its grid ends: use {_larger(terms, lines, field, tolerance)}"
    if worst == "kernel":
        return "use rayleigh_sommerfeld()"
    if field.data.dtype == torch.complex64:
        return "use complex128"
    return "hardly any light arrives there"


def _finer(lines: list[_Line], base: float, tolerance: float) -> str:
    """Pitch at which steps and what is beyond the band keep to the tolerance."""
    return ""


def _larger(terms: dict[str, float], lines: list[_Line], field: Field, tolerance: float) -> str:
    return ""


def _cost(field: Field, z: float, onto: Grid, method: str, pixels: bool) -> Cost:
    """Count the kernel, the larger buffers and the result."""
    grid, (my, mx) = field.grid, onto.shape
    if z == 0 and onto == grid:
        return Cost(0, grid.shape, 0, 0)
    (ny, nx), shape, products, size = grid.shape, grid.shape, 0, my * mx
    if method == "convolution":
        shape = kernels.window(grid, onto, field.wavelength, z)
    if method == "matrices":
        parts = kernels.parts(grid, onto, field.wavelength, z) if pixels and z else 1
        fine = Grid((parts * ny, parts * nx), (grid.spacing[0] / parts, grid.spacing[1] / parts), grid.center)
        ny, nx = kernels.widened(fine, onto, field.wavelength, z).shape
        shape = fast_length(ny), fast_length(nx)
        products = my * nx * (ny + mx) if my / ny <= mx / nx else mx * ny * (nx + my)
        size += my * ny + mx * nx + ny * nx
    window = shape[0] * shape[1]
    if field.data.device.type == "cpu" and field.data[..., 0, 0].numel() * window >= BLOCKED:
        size += max(ny, my) * shape[1] + window // 4
    else:
        size += 3 * window
    return Cost(2 * (method != "matrices" or z != 0), shape, products, size * field.data.element_size())
