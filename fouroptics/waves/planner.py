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
from fouroptics.waves.transforms import convolve, fast_length, fft, frequencies, ifft2, phasor

SUMS = 32  #: random sums that stand for the lines of a target: their energy is off by 1/sqrt(SUMS) at most


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
        of steps between them or of too few; ``place``: steps that no grey sample places better than to half a sample;
        ``window``: the field goes on where its grid ends; ``kernel``; ``rounding``.
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
    """Choose the cheapest way over a distance that keeps to a tolerance, by the field itself."""
    onto, z = onto or field.grid, float(z)
    if not (math.isfinite(z) and tolerance > 0):
        raise GeometryError(f"z = {z}, tolerance = {tolerance}: z must be finite, in metres, the tolerance positive")
    lines = [_Line(field, onto, z, axis, pixels, tolerance) for axis in (0, 1)]
    arriving = sum(line.arriving for line in lines) / 2
    steps = [(0.0, 0.0, 0.0) if pixels or z == 0 else line.steps(line.d) for line in lines]
    window = 0.0 if pixels or z == 0 else sum(line.cut for line in lines)
    missing = sum(each[2] for each in steps) + window
    def share(energy):
        return math.sqrt(energy / max(arriving + missing, 1e-300))
    noise = _noise(field, onto, z)
    terms = {
        "wrap": 0.0,
        "edges": share(sum(each[0] for each in steps)),
        "place": share(sum(each[1] for each in steps)),
        "window": share(window),
        "kernel": 0.0,
        "rounding": 4 * torch.finfo(field.data.dtype).eps * math.sqrt(1 + noise * lines[0].energy / max(arriving, 1e-300)) + 2 * math.pi * abs(z) / field.wavelength * 2**-53,
    }
    wrap = share(sum(line.wrap for line in lines))
    method = "convolution" if pitch_fits(field.grid, onto) else "matrices"
    if onto == field.grid and not pixels and math.hypot(*terms.values(), wrap) <= tolerance:
        method, terms["wrap"] = "periodic", wrap
    error = math.hypot(*terms.values())
    return Plan(method, error, terms, Cost(0,(0,0),0,0), f"{[(l.slope, l.part) for l in lines]}", field.grid, onto, field.wavelength, z, tolerance, pixels)


def _noise(field, onto, z):
    gain = 1.0
    for axis in (0, 1):
        n, d, m, big = field.grid.shape[axis], field.grid.spacing[axis], onto.shape[axis], onto.spacing[axis]
        if pitch_fits(field.grid, onto):
            gain *= m / (n + m)
        else:
            gain *= min(m * d**2 / (field.wavelength * max(abs(z), 1e-300)), d / big)
    return gain


class _Line:
    """The field along one axis, as random sums over the lines of the target along the other one."""

    def __init__(self, field: Field, onto: Grid, z: float, axis: int, pixels: bool, tolerance: float) -> None:
        self.grid, self.wavelength, self.z = field.grid, field.wavelength, z
        grid = field.grid
        self.d, n = grid.spacing[axis], grid.shape[axis]
        u = field.data.detach().to("cpu", torch.complex128).flatten(0, -3) if field.data.ndim > 2 else field.data.detach().to("cpu", torch.complex128)[None]
        other = 1 - axis
        across = _matrix(grid, onto, other, field.wavelength, z, pixels)
        sums = _mix(onto.shape[other]) @ across
        rows = self.sums(u, sums, axis)
        extra = n // 2
        size = [grid.shape[0], grid.shape[1]]
        size[axis] += 2 * extra
        wide = Grid((size[0], size[1]), grid.spacing, grid.center)
        along = _matrix(wide, onto, axis, field.wavelength, z, pixels)
        self.energy = float(u.abs().square().sum())
        outside = _goes_on(rows, extra)
        self.big = onto.spacing[axis]
        there = rows @ along[:, extra:extra + n].T
        self.arriving = float(there.abs().square().sum())
        self.cut = float((outside @ along.T).abs().square().sum())
        outside[..., extra : extra + n] = rows
        self.spectrum_of(outside, extra, n)
        half = onto.extent[axis] / 2
        self.low, self.high = onto.center[axis] - half, onto.center[axis] + half
        self.first = grid.center[axis] - (n // 2) * self.d - self.d / 2
        self.wrap = 0.0
        if onto == grid and not pixels:
            tail = self.spectrum[self.f >= 0].flip(0).cumsum(0).flip(0) + 0
            total = float(self.spectrum.sum()) + 1e-300
            beyond = torch.tensor([float(self.spectrum[self.f.abs() >= f].sum()) for f in self.f[self.f >= 0][:: max(len(tail) // 64, 1)]])
            fs = self.f[self.f >= 0][:: max(len(tail) // 64, 1)]
            inside = fs[beyond / total > tolerance**2 / 100]
            sine = min(field.wavelength * float(inside.max()) if len(inside) else 0.0, 0.99)
            away = z / math.sqrt(1 - sine**2)
            linear = _matrix(grid, onto, axis, field.wavelength, away, pixels)
            turns = -field.wavelength * away * frequencies(n, self.d) ** 2 / 2
            once = fft(phasor(turns)) / n
            index = (torch.arange(n)[:, None] - torch.arange(n)) % n
            self.wrap = float((rows @ (once[index] - linear).T).abs().square().sum())

    def sums(self, u, sums, axis):
        rows = sums @ u if axis == 1 else sums @ u.mT
        return rows.flatten(0, -2)

    def spectrum_of(self, rows, extra, n):
        length = fast_length(rows.shape[-1])
        f = frequencies(length, self.d)
        waves = fft(torch.nn.functional.pad(rows, (0, length - rows.shape[-1])))
        S = waves.abs().square().sum(0)
        self.f, self.spectrum = f, S * self.d**2
        fd = f.abs() * self.d
        sharp = ifft2((waves * (fd > 0.3))[:, None])[:, 0, extra : extra + n].abs().square().sum(0)
        self.place = sharp / max(float(sharp.sum()), 1e-300)
        def mean(low, high, power=0):
            inside = (fd >= low) & (fd <= high)
            return float((self.spectrum[inside] * f[inside].abs() ** power).mean()) + 1e-300
        b, c1, c2 = mean(0.3, 0.4), mean(0.4, 0.45), mean(0.45, 0.5)
        self.slope = min(math.log(b / c1) / 0.075, math.log(c1 / c2) / 0.05)
        self.end = c2
        # correlation of neighbouring steps
        fine = self.spectrum * (2 * torch.sin(math.pi * fd)) ** 4
        rho = float((fine * torch.cos(2 * math.pi * fd)).sum()) / max(float(fine.sum()), 1e-300)
        self.part = 0.0 if rho < -0.5 else min((2 * rho + 1) / (4 + 6 * rho), 0.25)
        self.strength = min(mean(0.2, 0.5, 2), 6 * mean(0.4, 0.5, 2)) / (1.6 - 5.15 * self.part)

    def lands(self, f: Tensor) -> Tensor:
        """Share of the steps' light of each frequency that lands on the target."""
        sine = self.wavelength * f
        walk = self.z * sine / (1 - sine**2).clamp_min(1e-12).sqrt()
        before = torch.cat([self.place.new_zeros(1), self.place.cumsum(0)])
        n = len(self.place)
        def share(position):
            at = ((position - walk - self.first) / self.d).clamp(0, n)
            left = at.floor().clamp_max(n - 1).long()
            return before[left] + (before[left + 1] - before[left]) * (at - left)
        high, low = (share(torch.full_like(f, each)) for each in (self.high, self.low))
        return (high - low) * (sine.abs() < 1)

    def beyond(self, f):
        if self.slope < 25:
            return self.strength / f**2
        return self.end * torch.exp(-self.slope * (f * self.d - 0.475))

    def steps(self, d: float) -> tuple[float, float, float]:
        """Energy on the target (edges, place, missing) for samples of pitch d."""
        band = 0.5 / d
        f = torch.linspace(0, band, 257, dtype=torch.float64)[1:]
        out = torch.logspace(math.log10(band), max(math.log10(1 / self.wavelength), math.log10(band)), 513, dtype=torch.float64)
        kappa = 1 / 24 + self.part / 6
        stepping = self.slope < 25
        if stepping:
            inside = self.beyond(f) * (kappa * (2 * math.pi * f * d) ** 2) ** 2
            place = max(1 - 9 * self.part, 0.0) * self.beyond(f) * (2 * math.pi * f * d) ** 2 / 12
        else:
            inside, place = self.beyond(1 / d - f), 0 * f
        total = [0.0, 0.0, 0.0]
        for sign in (1, -1):
            lit = self.lands(sign * f)
            total[0] += float(torch.trapezoid(inside * lit, f))
            total[1] += float(torch.trapezoid(place * lit, f))
            total[2] += float(torch.trapezoid(self.beyond(out) * self.lands(sign * out), out))
        total[0] += total[2]
        # band end
        scale = self.wavelength * abs(self.z)
        span = max(self.high - self.first, self.first + len(self.place) * self.d - self.low)
        gap = max(scale * band - span, math.sqrt(scale))
        end = 2.47 * max(1 - 4 * self.part, 0) * float(self.beyond(torch.tensor(band))) if stepping else self.end
        total[0] += end / (2 * math.pi**2) * min(self.high - self.low, gap) / gap**2
        return tuple(e / self.big for e in total)


def _mix(m):
    if m <= SUMS:
        return torch.eye(m, dtype=torch.complex128)
    g = torch.Generator().manual_seed(m)
    return phasor(torch.rand(SUMS, m, dtype=torch.float64, generator=g)) / math.sqrt(SUMS)


def _goes_on(rows, extra):
    k = torch.arange(1, extra + 1)
    taper = torch.cos(math.pi / 2 * k / (extra + 1)) ** 2
    parts = []
    for first, second in ((0, 1), (-1, -2)):
        ratio = rows[:, first] / torch.where(rows[:, second] == 0, 1, rows[:, second])
        ratio = torch.where(rows[:, second] == 0, 0, ratio)
        ratio = ratio / ratio.abs().clamp_min(1)
        parts.append(rows[:, first, None] * ratio[:, None] ** k * taper)
    return torch.cat([parts[0].flip(-1), torch.zeros_like(rows), parts[1]], -1)


def _matrix(source, onto, axis, wavelength, z, pixels):
    new, old = (torch.from_numpy(grid.coordinates()[axis]) for grid in (onto, source))
    if not pitch_fits(source, onto):
        return kernels.line(new[:, None] - old, source.spacing[axis], wavelength, z, pixels=pixels)
    n, m, d = len(old), len(new), source.spacing[axis]
    offset = torch.arange(1 - n, m, dtype=torch.float64) * d + float(new[0] - old[0])
    values = kernels.line(offset, d, wavelength, z, pixels=pixels)
    return values[torch.arange(m)[:, None] - torch.arange(n) + n - 1]
