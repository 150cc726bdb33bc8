"""Fields of which the samples and what becomes of them are known: what `estimates` sends."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from scipy.special import j0
from torch import Tensor

import fouroptics as fo
from fouroptics.light.sources import axes
from fouroptics.units import nm, show, um
from validation import exact
from validation.case import DOUBLE, Setting

GREEN = 532 * nm
GRID = fo.Grid((256, 256), 8 * um)
SMALL = fo.Grid((128, 128), 8 * um)
Wave = Callable[[exact.Real, exact.Real, float], exact.Complex]  # y, x, z that broadcast
Asked = dict[torch.dtype, float]  #: tolerances, for each precision of the samples
Box = tuple[float, float, float, float]  # y from, to, x from, to


def samples(wave: Wave, grid: fo.Grid, z: float) -> Tensor:
    """A wave on the points of a grid."""
    y, x = grid.coordinates()
    return torch.from_numpy(wave(y[:, None], x[None, :], z))


def send(
    label: str,
    wave: Wave,
    z: float,
    grid: fo.Grid = GRID,
    onto: fo.Grid | None = None,
    asked: Asked | None = None,
    *,
    data: Callable[[], Tensor] | None = None,
    wavelength: float = GREEN,
    pixels: bool = False,
) -> Setting:
    """Samples of a wave at z = 0, or other `data`, sent over z; the wave there."""

    def sent(dtype: torch.dtype) -> fo.Field:
        return fo.Field((data() if data else samples(wave, grid, 0.0)).to(dtype), grid, wavelength)

    there = partial(samples, wave, onto or grid, z)
    return Setting(f"{label}, z = {show(z, 'length', 3)}", asked or {DOUBLE: 1e-3}, sent, z, there, onto, pixels)


def beam(
    waist: float,
    start: float = 0.0,
    sines: exact.Pair = (0.0, 0.0),
    center: exact.Pair = (0.0, 0.0),
    wavelength: float = GREEN,
) -> Wave:
    """Exact beam, at a distance `start` behind its waist where z = 0."""

    def wave(y: exact.Real, x: exact.Real, z: float) -> exact.Complex:
        return exact.beam(y - center[0], x - center[1], start + z, wavelength, waist, sines)

    return wave


def many(count: int, waist: float, steepest: float, spread: float, seed: int, wavelength: float = GREEN) -> Wave:
    """Speckle: beams of random places, directions and phases."""
    rng = np.random.default_rng(seed)
    place, sines = rng.uniform(-spread, spread, (count, 2)), rng.uniform(-steepest, steepest, (count, 2))
    weight = rng.normal(size=(count, 2)) @ [1, 1j]

    def wave(y: exact.Real, x: exact.Real, z: float) -> exact.Complex:
        beams = (beam(waist, 0.0, tuple(s), tuple(c), wavelength)(y, x, z) for s, c in zip(sines, place, strict=True))
        return sum((w * b for w, b in zip(weight, beams, strict=True)), np.zeros(1, complex))

    return wave


def shadow(boxes: Iterable[Box], wavelength: float = GREEN) -> Wave:
    """Fresnel field behind openings; backward it is the conjugate."""

    def wave(y: exact.Real, x: exact.Real, z: float) -> exact.Complex:
        far = abs(z)
        sides = ((exact.slit(y, far, wavelength, b[:2]), exact.slit(x, far, wavelength, b[2:])) for b in boxes)
        field = exact.phasor(far / wavelength) * sum(rows * columns for rows, columns in sides)
        return field if z > 0 else field.conj()

    return wave


def boundary(box: Box) -> Wave:
    """Exact field behind one opening, by its boundary wave: slow close up."""
    low, high, left, right = box
    corners = ((low, left), (low, right), (high, right), (high, left))
    return lambda y, x, z: exact.polygon(y, x, z, GREEN, corners)


def covered(boxes: Iterable[Box], grid: fo.Grid) -> Tensor:
    """Openings; edge cells carry their open part."""
    each = (
        fo.shapes.rectangle(grid, (b[1] - b[0], b[3] - b[2]), ((b[0] + b[1]) / 2, (b[2] + b[3]) / 2)) for b in boxes
    )
    return sum(each, torch.zeros(grid.shape, dtype=torch.float64))


def binary(boxes: Iterable[Box], grid: fo.Grid) -> Tensor:
    """Openings; a sample is 1 where its point is open."""
    y, x = axes(grid)
    each = ((y > b[0]) & (y < b[1]) & (x > b[2]) & (x < b[3]) for b in boxes)
    return sum((one.double() for one in each), torch.zeros(grid.shape, dtype=torch.float64))


def square(side: float, offset: float) -> Box:
    """A square whose middle is off by so much in y and x."""
    return offset - side / 2, offset + side / 2, offset - side / 2, offset + side / 2


def disk(radius: float) -> Wave:
    """Fresnel field behind a circle: a sum of Bessel functions along the radius (Goodman, eq. 4-17)."""
    node, weight = leggauss(1000)
    s, ds = radius * (1 + node) / 2, radius * weight / 2

    def wave(y: exact.Real, x: exact.Real, z: float) -> exact.Complex:
        rho, back = np.unique(np.round(np.hypot(y, x), 12), return_inverse=True)
        scale = GREEN * z
        line = j0(2 * np.pi * rho[:, None] * s / scale) @ (exact.phasor(s**2 / (2 * scale)) * s * ds)
        line = -2j * np.pi / scale * exact.phasor(z / GREEN) * exact.phasor(rho**2 / (2 * scale)) * line
        return line[back].reshape(np.broadcast_shapes(y.shape, x.shape))

    return wave


def cut_beam(waist: float, edges: Box, wavelength: float = GREEN) -> Wave:
    """Fresnel field of a Gaussian beam in its waist that passes an opening."""

    def wave(y: exact.Real, x: exact.Real, z: float) -> exact.Complex:
        lines = []
        for axis, (low, high) in ((y, edges[:2]), (x, edges[2:])):
            low, high = max(low, -8 * waist), min(high, 8 * waist)
            if z == 0:
                lines.append(np.exp(-((axis / waist) ** 2)) * ((axis > low) & (axis < high)))
                continue
            ends = (exact.half_gaussian(axis, z, wavelength, waist, edge) for edge in (low, high))
            lines.append(next(ends) - next(ends))
        return exact.phasor(z / wavelength) * lines[0] * lines[1]

    return wave


def noise(n: int, d: float, band: float, seed: int, envelope: float = 0.0) -> tuple[Tensor, Wave]:
    """Noise on n x n samples, below a part of their band, and its angular spectrum summed up by quadrature."""
    rng = np.random.default_rng(seed)
    place = (np.arange(n) - n // 2) * d
    data = rng.normal(size=(n, n, 2)) @ [1, 1j]
    if band < 1:
        keep = np.abs(np.fft.fftfreq(n)) < band / 2
        data = np.fft.ifft2(np.fft.fft2(data) * keep[:, None] * keep)
    if envelope:
        weight = np.exp(-((place / envelope) ** 2))
        data = data * weight[:, None] * weight

    def wave(y: exact.Real, x: exact.Real, z: float) -> exact.Complex:
        far = max(np.abs(y).max(), np.abs(x).max()) + n * d + abs(z) * GREEN / d
        node, weight = leggauss(64 + math.ceil(6 * far / d))
        f, df = node / (2 * d), weight / 2
        back = np.exp(-2j * np.pi * np.outer(f, place)) * df[:, None]
        s2 = (GREEN * f[:, None]) ** 2 + (GREEN * f) ** 2
        late = s2 / (1 + np.sqrt(1 - s2)) * z / GREEN
        spectrum = back @ data @ back.T * exact.phasor(z / GREEN % 1 - late % 1)
        rows, columns = np.exp(2j * np.pi * y * f), np.exp(2j * np.pi * x.T * f)
        return rows @ spectrum @ columns.T

    return torch.from_numpy(data), wave
