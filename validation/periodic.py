"""Gratings: waves that repeat, each order with its own exp(i kz z): images of a grating, evanescent orders."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.units import nm, show, um
from validation import exact
from validation.case import DOUBLE, SINGLE, Case, Point, Setting
from validation.space import BOTH, ROUNDING, WAVELENGTH

Orders = tuple[tuple[int, int, complex], ...]  # (my, mx, amplitude)


def grating(waves: Orders, period: tuple[float, float], grid: fo.Grid, z: float) -> Tensor:
    """Sum of plane waves, complex128, that turn (my, mx) times in `period`; evanescent ones fall with abs(z)."""
    y, x = grid.coordinates()
    data = np.zeros(grid.shape, complex)
    for my, mx, amplitude in waves:
        fy, fx = my / period[0], mx / period[1]
        s2 = (WAVELENGTH * fy) ** 2 + (WAVELENGTH * fx) ** 2
        cosine, decay = (
            math.sqrt(max(1 - s2, 0)),
            math.exp(-2 * math.pi * math.sqrt(max(s2 - 1, 0)) * abs(z) / WAVELENGTH),
        )
        late = min(s2, 1) / (1 + cosine) * z / WAVELENGTH  # turns behind order 0
        data += amplitude * decay * exact.phasor(fy * y[:, None] + fx * x) * exact.phasor(-late)
    data *= exact.phasor(z / WAVELENGTH)
    return torch.from_numpy(data)


def orders(label: str, waves: Orders, grid: fo.Grid, z: float, onto: fo.Grid | None = None) -> Setting:
    """Orders of a grating that fits its grid, sent over z as a field without end."""

    def sent(dtype: torch.dtype) -> fo.Field:
        return fo.Field(grating(waves, grid.extent, grid, 0.0).to(dtype), grid, WAVELENGTH)

    there = partial(grating, waves, grid.extent, onto or grid, z)
    by = partial(fo.angular_spectrum, z=z, onto=onto, pad=1)
    return Setting(label, BOTH, sent, z, there, onto, by=by, ours_only=True)


def self_image(period: float, count: int) -> Setting:
    """A cosine grating at the distance at which its side orders lag `count` whole turns behind: the grating again."""
    sine = WAVELENGTH / period
    z = count * WAVELENGTH * (1 + math.sqrt(1 - sine**2)) / sine**2
    label = f"period {show(period, 'length')}, image {count}, z = {show(z, 'length', 4)}"
    setting = orders(label, ((0, 0, 0.5), (0, 1, 0.25), (0, -1, 0.25)), fo.Grid((5, 24), period / 24), z)
    return replace(setting, exact=lambda: setting.field(DOUBLE).data * complex(exact.phasor(z / WAVELENGTH)))


BARS = fo.Grid((6, 32), 20 * um)
LENGTH = 2 * BARS.extent[1] ** 2 / WAVELENGTH  # Talbot's, 1.54 m


def bars(dtype: torch.dtype) -> fo.Field:
    """One period of a grating without symmetry: 10 of 32 samples are dark and a quarter of a turn late."""
    data = torch.ones(BARS.shape, dtype=DOUBLE)
    data[:, 3:13] *= 0.25j
    return fo.Field(data.to(dtype), BARS, WAVELENGTH)


def images(part: int) -> Tensor:
    """The bars at ``LENGTH / part``: `part` copies, each a part of the period further, times Gauss sums.

    Order n has turned by ``-n^2 / part``, which repeats with n: it is a sum of the turns ``-n j / part`` of a shift.
    """
    n = np.arange(part)
    start, total = bars(DOUBLE).data, torch.zeros(BARS.shape, dtype=DOUBLE)
    for j in range(part):
        weight = complex(exact.phasor(n * (j - n) / part).mean())
        total += weight * start.roll(j * BARS.shape[1] // part, -1)
    return total * complex(exact.phasor(LENGTH / part / WAVELENGTH))


def late(part: int) -> float:
    """How far off `images` is, for it is paraxial: order n turns by another ``(pi/4) (lambda n / p)^4 z / lambda``."""
    amplitudes = np.fft.fft(bars(DOUBLE).data[0].numpy())
    sines = WAVELENGTH * np.fft.fftfreq(BARS.shape[1], BARS.spacing[1])
    turned = amplitudes * np.pi / 4 * sines**4 * LENGTH / part / WAVELENGTH
    return float(np.linalg.norm(turned) / np.linalg.norm(amplitudes))


def talbot(part: int) -> Setting:
    """The bars over ``LENGTH / part`` against their images."""
    z = LENGTH / part
    label = f"z = 1/{part} of {show(LENGTH, 'length', 3)}" if part > 1 else f"z = {show(z, 'length', 3)}"
    limit = 1.01 * late(part)
    by = partial(fo.angular_spectrum, z=z, pad=1)
    tolerance = {DOUBLE: limit, SINGLE: limit + 1e-6}
    return Setting(label, tolerance, bars, z, partial(images, part), by=by, ours_only=True)


def growth(z: float) -> float:
    """Power of noise, most of it evanescent, after z over what it was."""
    grid = fo.Grid((32, 40), 120 * nm)
    data = torch.randn(grid.shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    u = fo.Field(data, grid, WAVELENGTH)
    return float(fo.angular_spectrum(u, z, pad=1).power() / u.power())


WAVES = ((0, 0, 1.0), (1, -2, 0.5j), (-3, 4, -0.3), (0, 7, 0.2 - 0.1j))
PLATE = fo.Grid((21, 40), (11 * um, 8 * um))
RULED = fo.Grid((9, 40), (150 * nm, 100 * nm))  # orders 8 and 9 along x are evanescent

CASES = (
    Case(
        "orders of a grating",
        "J. W. Goodman, sec. 3.10: each plane wave gains exp(i kz z); four orders, two oblique, on 21 x 40 samples",
        ROUNDING,
        (
            orders("z = 30 mm", WAVES, PLATE, 0.03),
            orders("z = -30 mm", WAVES, PLATE, -0.03),
            orders("z = 3 m", WAVES, PLATE, 3.0),
            orders("z = 3 m, another pitch", WAVES, PLATE, 3.0, fo.Grid((31, 30), (7 * um, 5 * um), (40 * um, -1e-3))),
        ),
    ),
    Case(
        "self-image of a grating",
        "Lord Rayleigh, Phil. Mag. 11, 196 (1881): a cosine grating is back where its orders lag whole turns behind "
        "order 0, z = m lambda/(1 - sqrt(1 - (lambda/p)^2))",
        ROUNDING,
        tuple(self_image(period, count) for period, count in ((200 * um, 1), (10 * um, 7), (0.8 * um, 3))),
    ),
    Case(
        "fractional Talbot image",
        "M. V. Berry and S. Klein, J. Mod. Opt. 43, 2139 (1996): at 2 p^2/(lambda q) the bars are q copies with Gauss "
        "sums for weights; p = 0.64 mm",
        "the images are paraxial: order n is late by (pi/4) (lambda n/p)^4 z/lambda; 1 % above what that makes of the "
        "bars",
        tuple(talbot(part) for part in (1, 2, 4, 8, 16)),
    ),
    Case(
        "evanescent orders",
        "J. W. Goodman, sec. 3.10.2: orders finer than the wavelength fall as exp(-|kz| z); backward too, for what a "
        "step back would amplify is lost",
        ROUNDING,
        tuple(
            orders(f"z = {show(z, 'length')}", ((0, 3, 1.0), (1, 8, 1.0), (0, -9, 1j)), RULED, z)
            for z in (100 * nm, 1 * um, -100 * nm)
        ),
    ),
    Case(
        "evanescent noise",
        "the power after z over that before, noise on samples of 120 nm: a share pi (d/lambda)^2 = 0.16 of its orders "
        "travels and keeps its power, the rest falls",
        "0.16 plus 3.5 standard deviations of the power in 205 orders of 1280; any growth is far above",
        tuple(Point(f"z = {show(z, 'length')}", 0.2, partial(growth, z)) for z in (-10 * um, 10 * um)),
    ),
)
