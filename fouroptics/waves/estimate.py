"""How far off a propagation will be: what arrives, goes astray or is missing, from the samples of a field."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.waves import kernels, sampling
from fouroptics.waves.propagation import pitch_fits
from fouroptics.waves.transforms import Kernel, convolve, fast_length, fft, frequencies, ifft2, phasor

SUMS = 16  #: random sums that stand for the lines of a target; their energy is that of all lines within a quarter
SMOOTH = 25  #: fall of ``ln |U|^2`` over 1/d from which on a spectrum is not that of steps
ULP = 2**-53  #: relative rounding of a double


@dataclass(frozen=True)
class Line:
    """The field along one axis, as sums over the lines of the target along the other one."""

    d: float
    wavelength: float
    z: float
    borders: tuple[float, float, float]  # of the first sample, and both of the target
    samples: float  # of the target, a metre
    arriving: float  # sum of |u|^2 on the target, of the field with what goes on beyond its grid
    outside: float  # of the latter alone
    known: bool  # whether it is not the most of it
    wrap: float  # of what comes round in a periodic window
    bent: float  # of what `kernels.residual` does otherwise to light that passes by the target
    fading: float  # |u| at the ends of the grid over that one sample further in
    rough: float  # sum of |u_i+1 - u_i|^2 over that of |u|^2
    grey: tuple[float, float]  # mean c (1 - c) of steps that cover a part c of a cell: as seen there, on the grid
    where: Tensor  # part of the light at the end of the band that is before each border between samples
    strength: float  # s of a spectrum s/f^2 of steps
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


def look(field: Field, onto: Grid, z: float, axis: int, tolerance: float, pixels: bool) -> Line:
    """See a field along an axis, from where it will be.

    What arrives, what goes on beyond the grid, what comes round and what the kernel bends is propagated, paraxially,
    for some random sums over the lines of the target along the other axis; the spectrum of these sums tells what the
    samples miss.
    """
    grid, wavelength = field.grid, field.wavelength
    u = field.data.detach().to("cpu", torch.complex128).reshape(-1, *grid.shape)
    rows, others = _sums(u, grid, onto, axis, wavelength, z, pixels), (u if axis else u.mT)
    around = _around(rows) * (not pixels)
    there, missed = (
        _energy(_carry(part, grid, onto, axis, wavelength, z, pixels)) for part in (_within(rows) + around, around)
    )
    wrap = 0.0 if pixels or onto != grid else _wrapped(rows, field, z, axis, tolerance)
    bent, known = _bent(_within(rows), field, onto, z, axis, pixels), there > 2 * missed
    fading = _energy(rows[:, [0, -1]]) / max(_energy(rows[:, [min(1, rows.shape[1] - 1), -2 % rows.shape[1]]]), 1e-300)
    if max(kernels.margins(grid, onto, wavelength, z)) > 1:  # steep light lands farther out than paraxial light
        wide = kernels.widened(grid, onto, wavelength, z)
        kernel = kernels.spread(grid, onto, wavelength, z).to(u.dtype, u.device, len(u))
        rows, grid = _sums(convolve(u, kernel, wide.shape), wide, onto, axis, wavelength, z, pixels), wide
        around = _around(rows) * (not pixels)
        there = _energy(_carry(_within(rows) + around, grid, onto, axis, wavelength, z, pixels))
    n, d, half = grid.shape[axis], grid.spacing[axis], onto.extent[axis] / 2
    borders = grid.center[axis] - (2 * (n // 2) + 0.5) * d, onto.center[axis] - half, onto.center[axis] + half
    grey = _grey(rows), _grey(others[:, :: max(others.shape[1] // 128, 1)])
    return Line(
        d,
        wavelength,
        z,
        borders,
        1 / onto.spacing[axis],
        there,
        missed,
        known,
        wrap,
        bent,
        math.sqrt(fading),
        _energy(rows.diff(dim=-1)) / max(_energy(rows), 1e-300),
        grey,
        *_end_of_band(_within(rows) + around, d, grey[0]),
    )


def _sums(u: Tensor, grid: Grid, onto: Grid, axis: int, wavelength: float, z: float, pixels: bool) -> Tensor:
    """Rows along an axis: random sums over the lines of the target along the other one, where the light has arrived."""
    other = 1 - axis
    weights = _carry(_weights(onto.shape[other]), grid, onto, other, wavelength, z, pixels, back=True)
    return (weights @ (u if axis else u.mT)).flatten(0, 1)


def _energy(data: Tensor) -> float:
    return float(data.abs().square().sum())


def _within(rows: Tensor) -> Tensor:
    """Rows within twice their length."""
    return pad(rows, (rows.shape[-1] // 2,) * 2)


def _around(rows: Tensor) -> Tensor:
    """What is around them there: they go on as they end, not rising, and fade."""
    n = rows.shape[-1]
    if n < 2:
        return 0 * _within(rows)
    k = torch.arange(1, n // 2 + 1)
    fade = torch.cos(math.pi / 2 * k / (n // 2 + 1)) ** 2
    sides = []
    for last, further in ((rows[..., :1], rows[..., 1:2]), (rows[..., -1:], rows[..., -2:-1])):
        dark = further.abs() < 1e-100
        ratio = torch.where(dark, 0, last / torch.where(dark, 1, further))
        sides.append(last * (ratio / ratio.abs().clamp_min(1)) ** k * fade)
    return torch.cat([sides[0].flip(-1), 0 * rows, sides[1]], -1)


def _weights(n: int) -> Tensor:
    """Weights (sums, n) of random phases: the energy of such sums is on average that of the n lines."""
    if n <= SUMS:
        return torch.eye(n, dtype=torch.complex128)
    turns = torch.rand(SUMS, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    return phasor(turns) / math.sqrt(SUMS)


def _carry(
    rows: Tensor, source: Grid, onto: Grid, axis: int, wavelength: float, z: float, pixels: bool, *, back: bool = False
) -> Tensor:
    """Propagate rows along an axis, paraxially, from twice the length of `source` about it.

    Or `back`, by the transpose, from the samples of `onto` to those of `source`.
    """
    extra, d = source.shape[axis] // 2, source.spacing[axis]
    if not pitch_fits(source, onto):
        shape = source.shape[0] + 2 * (source.shape[0] // 2), source.shape[1] + 2 * (source.shape[1] // 2)
        key = (Grid(shape, source.spacing, source.center), onto, axis, wavelength, z, pixels)
        matrix = kernels.cached_matrix(*key, torch.complex128, rows.device)
        return rows @ matrix[:, extra : extra + source.shape[axis]] if back else rows @ matrix.T
    n, m = source.shape[axis] + 2 * extra, onto.shape[axis]
    first = onto.center[axis] - source.center[axis] - (m // 2 - n // 2) * d
    if back:
        n, m, first = m, source.shape[axis], extra * d - first
    length = fast_length(n + m - 1)
    index = torch.arange(length, dtype=torch.float64)
    index = torch.where(index < m, index, index - length)
    return _filtered(rows, fft(kernels.line(first + index * d, d, wavelength, z, pixels=pixels)), m)


def _filtered(rows: Tensor, spectrum: Tensor, m: int) -> Tensor:
    return convolve(rows[..., None, :].contiguous(), Kernel(spectrum[None] / len(spectrum)), (1, m))[..., 0, :]


def _bent(rows: Tensor, field: Field, onto: Grid, z: float, axis: int, pixels: bool) -> float:
    """Energy on the target of what `kernels.residual` does otherwise to light that passes by."""
    n, across = rows.shape[-1], sampling.span(field.grid, onto, 1 - axis)
    # Where the light of the other axis is the steepest that arrives, this is left.
    limit = sampling.arriving(field.grid, onto, z) - across**2 / (across**2 + z**2)
    f, zero = frequencies(n, field.grid.spacing[axis]), torch.zeros(1, dtype=torch.float64)
    made, exact = (
        _filtered(rows, kernels.residual(zero, f, field.wavelength, z, most, torch.float64)[0], n)
        for most in (limit, 4 * limit)
    )
    if not pitch_fits(field.grid, onto):  # there it ends with the wider grid
        cut = max(n - kernels.widened(field.grid, onto, field.wavelength, z).shape[axis], 0) // 2
        made[..., :cut] = made[..., n - cut :] = 0
    return 4 * _energy(_carry(made - exact, field.grid, onto, axis, field.wavelength, z, pixels))


def _wrapped(rows: Tensor, field: Field, z: float, axis: int, tolerance: float) -> float:
    """Energy of the light that a periodic window brings back, along an axis."""
    grid, wavelength = field.grid, field.wavelength
    n = grid.shape[axis]
    f = frequencies(n, grid.spacing[axis])
    order = f.abs().argsort(descending=True)
    power = fft(rows).abs().square().sum(0)[order].cumsum(0)
    steepest = f[order][power > (0.1 * tolerance) ** 2 * float(power[-1])][:1]
    sine = min(wavelength * float(steepest.abs().sum()), 0.99)
    away = z / math.sqrt(1 - sine**2)  # as far as the steepest light that matters has to go
    once = _filtered(rows, phasor(-wavelength * away / 2 * f**2), n)
    return _energy(once - _carry(_within(rows), grid, grid, axis, wavelength, away, False))


def _end_of_band(rows: Tensor, d: float, grey: float) -> tuple[Tensor, float, float, float]:
    """`where`, `strength`, `end` and `fall` of a Line."""
    n = rows.shape[-1]
    length = max(fast_length(n), 64)
    f = frequencies(length, d).abs()
    waves = fft(pad(rows, (0, length - n)))
    sharp = ifft2((waves * (f * d > 0.3))[:, None])[:, 0, :n].abs().square().sum(0)
    where = sharp.cumsum(0) / max(float(sharp.sum()), 1e-300)
    spectrum = waves.abs().square().sum(0) * d**2

    def mean(low: float, high: float, power: int = 0) -> float:
        some = (f * d >= low) & (f * d <= high)
        return float((spectrum[some] * f[some] ** power).mean()) + 1e-300

    strength = min(mean(0.2, 0.5, 2), 6 * mean(0.4, 0.5, 2)) / (1.6 - 5.15 * grey)
    near, nearer, end = mean(0.3, 0.4), mean(0.4, 0.45), mean(0.45, 0.5)
    fall = min(math.log(near / nearer) / 0.075, math.log(nearer / end) / 0.05)
    return torch.cat([where.new_zeros(1), where]), strength, end, fall


def _grey(rows: Tensor) -> float:
    """Mean ``q = c (1 - c)`` of steps that cover a part c of a cell: 0 if no sample is grey, 1/4 if all are half.

    Second differences of such a step are (c, 1-2c, c-1): their products sum up to 2 - 6q, with their neighbours' to
    4q - 1. Smooth light adds the same to both.
    """
    bend = rows.diff(n=2, dim=-1)
    here, next_ = _energy(bend), float((bend[..., 1:] * bend[..., :-1].conj()).real.sum())
    return min((2 * next_ + here) / (4 * here + 6 * next_), 0.25) if 2 * next_ > -here else 0.0


def share(energy: float, base: float) -> float:
    """Relative amplitude."""
    return math.sqrt(energy / max(base, 1e-300)) if energy > 0 else 0.0


def steps(line: Line, d: float) -> tuple[float, float, float]:
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


def errors(lines: list[Line], field: Field, onto: Grid, z: float, pixels: bool) -> tuple[dict[str, float], float]:
    """Relative errors of a linear propagation by their cause, and the energy on the target that they are relative to.

    One of them is infinite where what it makes or misses may be all there is.
    """
    causes = ("wrap", "edges", "place", "window", "kernel", "rounding")
    eps, total = torch.finfo(field.data.dtype).eps, _energy(field.data.detach())
    if total == 0 or (z == 0 and onto == field.grid):
        return dict.fromkeys(causes, 0.0), total
    noise, shift = _noise(field, onto, z)
    steps_ = [(0.0, 0.0, 0.0)] if pixels else [steps(line, line.d) for line in lines]
    wrong, misplaced, missing = (sum(part) for part in zip(*steps_, strict=True))
    arriving, outside = min(line.arriving for line in lines), sum(line.outside for line in lines)
    astray = {"edges": wrong, "rounding": noise * (4 * ULP + shift) ** 2}
    base = max(arriving - sum(astray.values()), 0.0)
    base += sum(each[2] for each, line in zip(steps_, lines, strict=False) if line.stepped)
    unknown = next((cause for cause, energy in astray.items() if energy >= max(arriving, base)), None)
    unknown = unknown if all(line.known for line in lines) else "window"
    base = arriving if unknown else base
    bent = share(sum(line.bent for line in lines), base)
    orders = _orders(lines, field, onto, z) if pixels and z else 0.0
    rounding = (4 * eps + shift) * math.hypot(1, share(noise, base)) + 2 * math.pi * abs(z) / field.wavelength * ULP
    sizes = share(wrong + missing, base), share(misplaced, base), share(outside, base), math.hypot(bent, orders)
    terms = dict(zip(causes, (0.0, *sizes, rounding), strict=True))
    return terms | ({unknown: math.inf} if unknown else {}), base


def _orders(lines: list[Line], field: Field, onto: Grid, z: float) -> float:
    """What the orders of cells miss: their response is paraxial, and beyond so many parts of a cell there are none."""
    key = (field.grid, onto, field.wavelength, z)
    needed, possible = kernels.parts_wanted(*key), kernels.parts(*key)
    beyond = math.sqrt(sum(line.rough for line in lines)) / math.pi
    return beyond * (3 * field.wavelength / abs(z) + (possible < needed) / math.sqrt(possible))


def _noise(field: Field, onto: Grid, z: float) -> tuple[float, float]:
    """Energy on the target of noise as strong as the field, and the relative rounding of a double kernel's phase."""
    noise, shift = _energy(field.data.detach()), 0.0
    for axis, (n, d) in enumerate(zip(field.grid.shape, field.grid.spacing, strict=True)):
        m, scale = onto.shape[axis], max(field.wavelength * abs(z), d**2)
        turns = min(sampling.span(field.grid, onto, axis) ** 2 / (2 * scale), scale / (8 * d**2))
        shift = max(shift, 2 * math.pi * turns * ULP)
        noise *= m / (n + m) if pitch_fits(field.grid, onto) else min(m * d**2 / scale, d / onto.spacing[axis])
    return noise, shift
