"""One lens: Airy pattern, windows of the focal plane, the thin lens between stretches of free space."""

import math
from functools import partial

import torch
from scipy.special import j1
from torch import Tensor

import fouroptics as fo
from fouroptics.light.sources import axes
from fouroptics.units import mm, nm, show, um
from validation.case import DOUBLE, SINGLE, Case, Point, Setting, largest

WAVELENGTH, F, RADIUS = 633 * nm, 0.2, 1 * mm
SCALE = WAVELENGTH * F
EXACT = {DOUBLE: 1e-12, SINGLE: 2e-6}
ROUNDING = "rounding alone: thousands of steps of float64, sixteen of float32"
RINGS = fo.Grid((96, 129), (5 * um, 4 * um), (60 * um, -100 * um))


def disk(dtype: torch.dtype, pitch: float) -> fo.Field:
    """Round pupil of 1 mm under a plane wave."""
    n = 2 * round(1.02 * RADIUS / pitch)
    grid = fo.Grid((n, n), (pitch, pitch))
    return fo.Field(fo.shapes.circle(grid, RADIUS).to(dtype), grid, WAVELENGTH)


def airy() -> Tensor:
    """``pi a^2/(i lambda f) 2 J1(v)/v`` with ``v = 2 pi a r/(lambda f)``, in a zoomed window off the axis."""
    y, x = axes(RINGS)
    v = 2 * math.pi * RADIUS * torch.hypot(y, x).clamp_min(1e-12) / SCALE
    return -1j * math.pi * RADIUS**2 / SCALE * 2 * torch.from_numpy(j1(v.numpy())) / v


def rings(pitch: float) -> Setting:
    """Airy pattern of a pupil of some pitch."""
    corner = math.hypot(300 * um, 356 * um)
    average = 0.13 * math.pi**2 / 6 * (pitch * corner / SCALE) ** 2
    return Setting(
        f"d = {show(pitch, 'length')}",
        {DOUBLE: average, SINGLE: average + 1e-6},
        partial(disk, pitch=pitch),
        2 * F,
        airy,
        error=largest,
        by=partial(fo.fourier_lens, focal_length=F, onto=RINGS),
    )


def airy_order() -> float:
    """How far the order of convergence, over three halvings of the pitch, is from 2."""
    return abs(math.log2(rings(8 * um).measure(DOUBLE) / rings(1 * um).measure(DOUBLE)) / 3 - 2)


# ---- a spot off the axis, tilted, in windows of its focal plane ------------------------------------------------------

SPOT, CENTER, FREQUENCY = 50 * um, (24 * um, -40 * um), (-2e3, 3e3)


def spot(y: Tensor, x: Tensor) -> Tensor:
    """Gaussian ``exp(-|r - c|^2/w^2 + 2 pi i nu r)``."""
    r2 = (y - CENTER[0]) ** 2 + (x - CENTER[1]) ** 2
    return torch.polar(torch.exp(-r2 / SPOT**2), 2 * math.pi * (FREQUENCY[0] * y + FREQUENCY[1] * x))


def spot_field(dtype: torch.dtype, shape: tuple[int, int]) -> fo.Field:
    """The spot in samples of 8 x 6 um."""
    grid = fo.Grid(shape, (8 * um, 6 * um))
    return fo.Field(spot(*axes(grid)).to(dtype), grid, WAVELENGTH)


def spectrum(onto: fo.Grid) -> Tensor:
    """``pi w^2/(i lambda f) exp(-(pi w)^2 |m|^2 - 2 pi i m c)`` with ``m = X/(lambda f) - nu``."""
    my, mx = (axis / SCALE - nu for axis, nu in zip(axes(onto), FREQUENCY, strict=True))
    amplitude = math.pi * SPOT**2 / SCALE * torch.exp(-((math.pi * SPOT) ** 2) * (my**2 + mx**2))
    return torch.polar(amplitude, -2 * math.pi * (my * CENTER[0] + mx * CENTER[1] + 0.25))


def window(label: str, shape: tuple[int, int], onto: fo.Grid | None = None) -> Setting:
    """The spot through `fourier_lens` onto a window, or onto the grid that it chooses."""
    natural = fo.Grid(shape, (SCALE / (shape[0] * 8 * um), SCALE / (shape[1] * 6 * um)))
    return Setting(
        label,
        EXACT,
        partial(spot_field, shape=shape),
        2 * F,
        partial(spectrum, onto or natural),
        by=partial(fo.fourier_lens, focal_length=F, onto=onto),
    )


# ---- thin lens and free space ----------------------------------------------------------------------------------------

BENCH = fo.Grid((384, 385), (8 * um, 8 * um))
WAIST = 0.25 * mm


def beam(dtype: torch.dtype) -> fo.Field:
    """Gaussian beam of unit amplitude at its waist."""
    y, x = axes(BENCH)
    return fo.Field(torch.exp(-(y**2 + x**2) / WAIST**2).to(dtype), BENCH, WAVELENGTH)


def through_lens(u: fo.Field, before: float, after: float) -> fo.Field:
    """Free space, a thin lens of f = 200 mm, free space."""
    return fo.propagate(fo.lens(fo.propagate(u, before), F), after)


def focused(before: float, after: float) -> Tensor:
    """Gaussian beam by the matrix [[A, B], [C, D]] of the bench: ``exp(ikL)/(A + B/q) exp(ik r^2/(2 q'))``."""
    inverse = 1j * WAVELENGTH / (math.pi * WAIST**2)  # 1/q at the waist
    a, b = 1 - after / F, before + after - before * after / F
    c, d = -1 / F, 1 - before / F
    y, x = axes(BENCH)
    turns = (c + d * inverse) / (a + b * inverse) * (y**2 + x**2) / (2 * WAVELENGTH) + (before + after) / WAVELENGTH % 1
    return torch.exp(2j * math.pi * turns) / (a + b * inverse)


def paraxial(before: float, after: float) -> float:
    """Bound of what the closed form misses: ``k z s^4/8`` at direction sine s, in quadratic mean over the beam."""
    k, rayleigh = 2 * math.pi / WAVELENGTH, math.pi * WAIST**2 / WAVELENGTH
    waist = WAIST * F / math.hypot(before - F, rayleigh)
    sines = (WAVELENGTH / (math.pi * w) for w in (WAIST, waist))
    return math.sqrt(1.5) * k / 8 * sum(z * s**4 for z, s in zip((before, after), sines, strict=True))


def bench(before: float, after: float) -> Setting:
    """A beam through the thin lens."""
    limit = paraxial(before, after)
    return Setting(
        f"{show(before, 'length')}, f = {show(F, 'length')}, {show(after, 'length')}",
        {DOUBLE: limit, SINGLE: limit + 1e-6},
        beam,
        before + after,
        partial(focused, before, after),
        by=partial(through_lens, before=before, after=after),
    )


CASES = (
    Case(
        "Airy pattern",
        "G. B. Airy (1835); Goodman, sec. 4.4.2: 2 J1(v)/v in amplitude, phase -90 degrees, on a zoomed, shifted grid",
        "largest error over the peak: a sample averages over its cell, which takes pi^2/6 (d X/(lambda f))^2 of the "
        "rings, at most 0.13 of the peak; complex64: plus 1e-6, some float32 steps of the peak",
        (rings(8 * um), rings(4 * um)),
    ),
    Case(
        "Airy pattern, order",
        "the same, from d = 8 um to 1 um: distance of the order of convergence from 2",
        "a tenth for the next order, and for the samples at the edge, which carry what a straight edge covers",
        (Point("f = 200 mm", 0.1, airy_order, "complex128"),),
    ),
    Case(
        "lens transform, windows",
        "transform of a Gaussian (Goodman, sec. 2.1.3) off the axis and tilted: shift and modulation theorems",
        f"the samples hold the Gaussian to 1e-16; {ROUNDING}",
        (
            window("even, its own grid", (96, 128)),
            window("odd, its own grid", (97, 127)),
            window("zoomed 5 times", (96, 128), fo.Grid((64, 65), (40 * um, 40 * um))),
            window("shifted by 3 mm", (96, 127), fo.Grid((101, 80), (30 * um, 50 * um), (0.5 * mm, 3 * mm))),
            window("one line", (97, 128), fo.Grid((1, 201), (10 * um, 10 * um), (-0.2 * mm, 0.4 * mm))),
            window("one sample", (97, 128), fo.Grid((1, 1), (10 * um, 10 * um), (-0.25 * mm, 0.38 * mm))),
        ),
    ),
    Case(
        "thin lens",
        "H. Kogelnik and T. Li, Appl. Opt. 5, 1550 (1966): a Gaussian beam through an ABCD system; 200 mm before and "
        "behind is the ideal lens transform, 300 and 600 mm an image, twice as large",
        "the closed form is paraxial: it misses a phase of k z s^4/8, whose quadratic mean over the beam is 1.5^0.5 "
        "times that at its divergence; complex64: plus 1e-6",
        (bench(F, F), bench(0.3, 0.6), bench(0.1, F), bench(F, 0.3)),
    ),
)
