"""Which method, how far off it will be, what it costs and why: `plan` looks at the field before it propagates."""

import math
import warnings
from dataclasses import dataclass

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
SMOOTH = 25  #: fall of ln |U|^2 over 1/d from which on a spectrum is not that of steps


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
    method, wrap = ("convolution" if pitch_fits(field.grid, onto) else "matrices"), 0.0
    if onto == field.grid and not pixels and z != 0:
        wrap = _share(sum(_wrap(field, z, axis, tolerance) for axis in (0, 1)), base)
        if math.hypot(*terms.values(), wrap) <= tolerance:
            method, terms["wrap"] = "periodic", wrap
    error, cost = math.hypot(*terms.values()), _cost(field, z, onto, method, pixels)
    reason = _way(field, z, onto, method, wrap) + f"; expected error {error:.1e}"
    worst = max(terms, key=lambda name: terms[name])
    if error <= tolerance:
        reason += f", most of it from {worst}"
    else:
        reason += f", not {tolerance:.1e}, most of it from {worst}: {_remedy(worst, lines, base, field, tolerance)}"
    return Plan(method, error, terms, cost, reason, field.grid, onto, field.wavelength, z, tolerance, pixels)


# ---- one axis at a time ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """The field along one axis, as sums over the lines of the target along the other one."""

    d: float
    wavelength: float
    z: float
    borders: tuple[float, float, float]  # of the first sample, and of the target
    per_metre: float  # samples of the target
    light: float  # sum of |u|^2
    arriving: float  # the same on the target, of the field and what goes on beyond its grid
    outside: float  # of the latter alone
    bent: float  # of light that the kernel carries wrong, for it passes by the target
    rough: float  # sum of |u_i+1 - u_i|^2
    where: Tensor  # part of the light at the end of the band that comes from before each border between samples
    strength: float  # s of a spectrum s/f^2, that of steps
    grey: tuple[float, float]  # mean c (1 - c) of steps that cover a part c of a cell: as seen there, and on the grid
    end: float  # spectrum at 0.475/d
    fall: float  # of its logarithm there, over 1/d

    @property
    def stepped(self) -> bool:
        """Whether the spectrum ends like that of steps."""
        return self.fall < SMOOTH

    def missing(self, f: Tensor) -> Tensor:
        """Spectrum beyond the band."""
        return self.strength / f**2 if self.stepped else self.end * torch.exp(-self.fall * (f * self.d - 0.475))

    def lands(self, f: Tensor) -> Tensor:
        """Share of the light of each frequency that lands on the target, from where the end of the band is."""
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
    d, half = field.grid.spacing[axis], onto.extent[axis] / 2
    u = field.data.detach().to("cpu", torch.complex128).reshape(-1, *field.grid.shape)
    inside, outside = (part if axis else part.mT for part in _extended(u if axis else u.mT, goes_on=not pixels))
    size = list(field.grid.shape)
    size[axis] = inside.shape[axis + 1]
    grid = Grid((size[0], size[1]), field.grid.spacing, field.grid.center)
    both = torch.stack([inside, outside])
    if max(kernels.margins(grid, onto, field.wavelength, z)) > 1:  # steep light lands farther out than the paraxial
        wide = kernels.widened(grid, onto, field.wavelength, z)
        kernel = kernels.spread(grid, onto, field.wavelength, z).to(both.dtype, both.device, both.shape[:-2].numel())
        both, grid = convolve(both, kernel, wide.shape), wide
    sums = _carry(_mix(onto.shape[1 - axis]), grid, onto, 1 - axis, field.wavelength, z, pixels=pixels, back=True)
    rows, beyond = (sums @ (both if axis else both.mT)).flatten(1, 2)
    there, missed = (_carry(part, grid, onto, axis, field.wavelength, z, pixels=pixels) for part in (rows, beyond))
    power = (there + missed).abs().square().sum(0)
    f, spectrum, where = _spectrum(rows + beyond, d)

    def mean(low: float, high: float, power: int = 0) -> float:
        some = (f.abs() * d >= low) & (f.abs() * d <= high)
        return float((spectrum[some] * f[some].abs() ** power).mean()) + 1e-300

    near, nearer, end = mean(0.3, 0.4), mean(0.4, 0.45), mean(0.45, 0.5)
    grey = _grey(rows), _grey(u if axis else u.mT)
    return _Line(
        d,
        field.wavelength,
        z,
        (grid.center[axis] - (grid.shape[axis] // 2 + 0.5) * d, onto.center[axis] - half, onto.center[axis] + half),
        1 / onto.spacing[axis],
        light=float(rows.abs().square().sum()),
        arriving=float(power.sum()),
        outside=float(missed.abs().square().sum()),
        bent=_bent(rows, grid, field, onto, z, axis, pixels),
        rough=float(rows.diff(dim=-1).abs().square().sum()),
        where=where,
        strength=min(mean(0.2, 0.5, 2), 6 * mean(0.4, 0.5, 2)) / (1.6 - 5.15 * grey[0]),
        grey=grey,
        end=end,
        fall=min(math.log(near / nearer) / 0.075, math.log(nearer / end) / 0.05),
    )


def _bent(rows: Tensor, grid: Grid, field: Field, onto: Grid, z: float, axis: int, pixels: bool) -> float:
    """Energy on the target of what `kernels.residual` does otherwise for light that passes by."""
    if z == 0:
        return 0.0
    f = frequencies(rows.shape[-1], grid.spacing[axis])
    steepest, zero = sampling.arriving(field.grid, onto, z), torch.zeros(1, dtype=torch.float64)
    across = sampling.span(field.grid, onto, 1 - axis)
    steepest -= across**2 / (across**2 + z**2)  # what is left where the other axis has its steepest light
    made, exact = (
        kernels.residual(zero, f, field.wavelength, z, limit, torch.float64)[0] for limit in (steepest, math.inf)
    )
    if torch.equal(made, exact):
        return 0.0
    wrong = _carry(_convolved(rows, made - exact, len(f)), grid, onto, axis, field.wavelength, z, pixels=pixels)
    return float(wrong.abs().square().sum())


def _extended(rows: Tensor, *, goes_on: bool) -> tuple[Tensor, Tensor]:
    """Rows within twice their length, and what is around them: they go on as they end, not rising, and fade."""
    n = rows.shape[-1]
    extra = n // 2
    inside = pad(rows, (extra, extra))
    if not goes_on or n < 2:
        return inside, torch.zeros_like(inside)
    k = torch.arange(1, extra + 1)
    fade = torch.cos(math.pi / 2 * k / (extra + 1)) ** 2
    ends = []
    for last, before in ((rows[..., :1], rows[..., 1:2]), (rows[..., -1:], rows[..., -2:-1])):
        dark = before.abs() < 1e-100
        ratio = torch.where(dark, 0, last / torch.where(dark, 1, before))
        ends.append(last * (ratio / ratio.abs().clamp_min(1)) ** k * fade)
    return inside, torch.cat([ends[0].flip(-1), torch.zeros_like(rows), ends[1]], -1)


def _mix(n: int) -> Tensor:
    """Weights (sums, n) of random phases: the energy of such sums is on average that of n lines."""
    if n <= SUMS:
        return torch.eye(n, dtype=torch.complex128)
    turns = torch.rand(SUMS, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    return phasor(turns) / math.sqrt(SUMS)


def _carry(
    rows: Tensor, source: Grid, onto: Grid, axis: int, wavelength: float, z: float, *, pixels: bool, back: bool = False
) -> Tensor:
    """Propagate lines along an axis, paraxially; or `back` by the transpose, from the samples of `onto`."""
    if not pitch_fits(source, onto):
        matrix = kernels.matrix(source, onto, axis, wavelength, z, pixels)
        return rows @ (matrix if back else matrix.T)
    old, new = (onto, source) if back else (source, onto)
    n, m, d = old.shape[axis], new.shape[axis], source.spacing[axis]
    first = new.center[axis] - old.center[axis] - (m // 2 - n // 2) * d
    length = fast_length(n + m - 1)
    index = torch.arange(length, dtype=torch.float64)
    index = torch.where(index < m, index, index - length)
    return _convolved(rows, fft(kernels.line(first + index * d, d, wavelength, z, pixels=pixels)), m)


def _convolved(rows: Tensor, spectrum: Tensor, m: int) -> Tensor:
    return convolve(rows[..., None, :].contiguous(), Kernel(spectrum[None] / len(spectrum)), (1, m))[..., 0, :]


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
    """Energy on the target that samples of pitch d get wrong, that misplaced steps make, and that is missing.

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
    return energy[0] * line.per_metre, energy[1] * line.per_metre, energy[2] * line.per_metre


def _terms(lines: list[_Line], field: Field, onto: Grid, z: float, pixels: bool) -> tuple[dict[str, float], float]:
    """Relative errors, and the energy on the target that they are relative to."""
    total, arriving = float(field.data.detach().abs().square().sum()), min(line.arriving for line in lines)
    eps, ulp = torch.finfo(field.data.dtype).eps, 2**-53
    shifts, gain = [], 1.0
    for axis, d in enumerate(field.grid.spacing):
        span = sampling.span(field.grid, onto, axis)
        scale = max(field.wavelength * abs(z), d**2)
        shifts.append(2 * math.pi * min(span**2 / (2 * scale), scale / (8 * d**2)) * ulp)
        fits = onto.shape[axis] / (field.grid.shape[axis] + onto.shape[axis])
        gain *= fits if pitch_fits(field.grid, onto) else min(onto.shape[axis] * d**2 / scale, d / onto.spacing[axis])
    noise = gain * total
    steps = [_steps(line, line.d) for line in lines] if not pixels else [(0.0, 0.0, 0.0)]
    wrong, misplaced, missing = (sum(part) for part in zip(*steps, strict=True))
    outside = sum(line.outside for line in lines)
    floor = noise * (4 * ulp + max(shifts)) ** 2
    base = max(arriving - wrong - floor, 0.0) if arriving > outside / 20 else 0.0
    base += sum(step[2] for step, line in zip(steps, lines, strict=False) if line.stepped)  # else a bound
    each = 4 * eps + max(shifts)
    terms = {
        "wrap": 0.0,
        "edges": _share(wrong + missing, base),
        "place": _share(misplaced, base),
        "window": _share(outside, base),
        "kernel": _kernel(lines, base, field, z, pixels),
        "rounding": each * math.hypot(1, _share(noise, base)) + 2 * math.pi * abs(z) / field.wavelength * ulp,
    }
    if z == 0 and onto == field.grid:
        terms |= {"edges": 0.0, "place": 0.0, "window": 0.0, "rounding": 0.0}
    return terms, base


def _kernel(lines: list[_Line], base: float, field: Field, z: float, pixels: bool) -> float:
    """What the factor beyond the paraxial response misses: see `kernels.residual`."""
    if z == 0:
        return 0.0
    kernel = _share(sum(line.bent for line in lines), base)
    if pixels:
        rough = sum(line.rough / max(line.light, 1e-300) for line in lines) / math.pi**2
        kernel = math.hypot(kernel, 8 * field.wavelength / abs(z) * math.sqrt(rough))
    return kernel


def _share(energy: float, base: float) -> float:
    """Relative amplitude."""
    if energy == 0:
        return 0.0
    return math.sqrt(energy / base) if base > 0 else math.inf


def _wrap(field: Field, z: float, axis: int, tolerance: float) -> float:
    """Energy of the light that a periodic window brings back, along an axis."""
    grid, wavelength = field.grid, field.wavelength
    n, d = grid.shape[axis], grid.spacing[axis]
    u = field.data.detach().to("cpu", torch.complex128).reshape(-1, *grid.shape)
    sums = _carry(_mix(grid.shape[1 - axis]), grid, grid, 1 - axis, wavelength, z, pixels=False, back=True)
    rows = (sums @ (u if axis else u.mT)).flatten(0, 1)
    f = frequencies(n, d)
    power, order = fft(rows).abs().square().sum(0), f.abs().argsort(descending=True)
    much = power[order].cumsum(0) > (0.1 * tolerance) ** 2 * float(power.sum())
    sine = min(wavelength * float(f.abs()[order][much][:1].sum()), 0.99)  # of the steepest light that matters
    away = z / math.sqrt(1 - sine**2)
    once = _convolved(rows, phasor(-wavelength * away / 2 * f**2), n)
    return float((once - _carry(rows, grid, grid, axis, wavelength, away, pixels=False)).abs().square().sum())


# ---- cost and reason -------------------------------------------------------------------------------------------------


def _cost(field: Field, z: float, onto: Grid, method: str, pixels: bool) -> Cost:
    """Count the larger buffers: half-transformed rows, the kernel's quadrant, the result."""
    return Cost(2, (0, 0), 0, 0)


def _way(field: Field, z: float, onto: Grid, method: str, wrap: float) -> str:
    """Why this method."""
    if method == "periodic":
        return f"hardly any light leaves the grid over {show(z, 'length', 4)}, so its own window will do"
    if method == "matrices":
        return "the target has another pitch, so each axis takes a matrix product"
    if onto != field.grid:
        return "a convolution without period, onto another place of the same pitch"
    return f"a convolution without period, for in its own window light of {wrap:.1e} of the field comes round"


def _remedy(worst: str, lines: list[_Line], base: float, field: Field, tolerance: float) -> str:
    """What brings the largest term below the tolerance."""
    return ""
