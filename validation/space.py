"""Free space: Gaussian beams near, far, tight, tilted, backward, in two steps and of cells."""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.units import mm, nm, show, um
from validation import exact
from validation.case import DOUBLE, SINGLE, Case, Point, Setting

WAVELENGTH = 532 * nm
WAIST = 100 * um
GRID = fo.Grid((256, 256), 8 * um)
BOTH = {DOUBLE: 1e-8, SINGLE: 1e-6}
ROUNDING = (
    "nothing is left out: 1e-6 is some float32 steps of 6e-8 in two FFTs, 1e-8 what 4e7 rad of carrier leave float64"
)
Wave = Callable[..., exact.Complex]


@lru_cache(maxsize=4)
def sampled(wave: Wave, setting: tuple[Any, ...], grid: fo.Grid, z: float) -> Tensor:
    """A wave of `exact`, complex128; `setting` is what it takes after the wavelength."""
    y, x = grid.coordinates()
    return torch.from_numpy(wave(y[:, None], x, z, WAVELENGTH, *setting))


def field(wave: Wave, setting: tuple[Any, ...], grid: fo.Grid, z: float, dtype: torch.dtype) -> fo.Field:
    """A wave of `exact` as a Field."""
    return fo.Field(sampled(wave, setting, grid, z).to(dtype), grid, WAVELENGTH)


def follow(
    label: str,
    tolerance: dict[torch.dtype, float],
    wave: tuple[Any, ...],
    z: float,
    start: float = 0.0,
    grid: fo.Grid = GRID,
    onto: fo.Grid | None = None,
    **options: Any,
) -> Setting:
    """A wave, ``(function of exact, what it takes)``, from the plane `start` over z, against itself there."""
    function, *rest = wave
    sent = partial(field, function, tuple(rest), grid, start)
    there = partial(sampled, function, tuple(rest), onto or grid, start + z)
    return Setting(label, tolerance, sent, z, there, onto, **options)


def cells(z: float, pitch: float = 8 * um) -> Setting:
    """A Gaussian beam whose samples are cells of uniform light; tolerance: what they take from its spectrum."""
    n = round(2.048 * mm / pitch)
    spread = math.sqrt(2) / 12 * (pitch / WAIST) ** 2
    label = f"d = {show(pitch, 'length')}, z = {show(z, 'length')}"
    grid = fo.Grid((n, n), pitch)
    return follow(label, {DOUBLE: 1.01 * spread}, (exact.beam, WAIST), z, grid=grid, pixels=True, ours_only=True)


def cells_order(z: float) -> float:
    """How far the order of convergence of `cells`, over one halving of the pitch, is from 2."""
    return abs(math.log2(cells(z, 16 * um).measure(DOUBLE) / cells(z, 8 * um).measure(DOUBLE)) - 2)


def landing(sines: tuple[float, float], z: float, onto: fo.Grid, grid: fo.Grid, waist: float) -> float:
    """Distance in samples between the centre of a tilted beam and the point where its axis meets the plane."""
    intensity = fo.propagate(field(exact.beam, (waist, sines), grid, 0.0, SINGLE), z, onto).intensity.double()
    y, x = (torch.from_numpy(axis) for axis in onto.coordinates())
    center = [float((intensity * axis).sum() / intensity.sum()) for axis in (y[:, None], x)]
    slopes = [sine / math.sqrt(1 - sines[0] ** 2 - sines[1] ** 2) for sine in sines]
    return math.hypot(*((c - z * slope) / d for c, slope, d in zip(center, slopes, onto.spacing, strict=True)))


def bend(sines: tuple[float, float], z: float, onto: fo.Grid, waist: float) -> float:
    """Bound of that distance: the slope tan(theta) bends upward over the divergence of the beam."""
    sine, divergence = math.hypot(*sines), WAVELENGTH / (2 * math.pi * waist)
    return 4 * z * divergence**2 * sine / (1 - sine**2) ** 2.5 / min(onto.spacing)


def in_two_steps(u: fo.Field, z: float) -> fo.Field:
    """Half of z onto a larger plane of another pitch, and the rest back onto the grid of u."""
    half = fo.propagate(u, z / 2, fo.Grid((400, 300), (10 * um, 12 * um), (30 * um, -50 * um)))
    return fo.propagate(half, z / 2, u.grid)


#: The Gaussian beam that other packages are compared on: the paraxial closed form, from 10 mm to 3 m.
PARAXIAL = {0.01: 1.5e-7, 0.05: 7.5e-7, 0.1: 1.5e-6, 0.3: 4.4e-6, 1.0: 1.3e-6, 3.0: 1e-7}
GAUSSIAN = tuple(
    follow(f"z = {show(z, 'length')}", {DOUBLE: limit, SINGLE: limit + 5e-7}, (exact.gaussian, WAIST), z)
    for z, limit in PARAXIAL.items()
)
NEAR_AND_FAR = tuple(
    follow(f"z = {show(z, 'length')}", BOTH, (exact.beam, WAIST), z, ours_only=True) for z in (0.01, 0.1, 1.0, 3.0)
)
FINE = fo.Grid((128, 128), 0.2 * um)
TIGHT = tuple(
    follow(
        f"w0 = {show(waist, 'length')}, z = {show(z, 'length')}",
        BOTH,
        (exact.beam, waist),
        z,
        grid=FINE,
        onto=fo.Grid((65, 80), pitch, (3 * um, -2 * um)),
    )
    for waist in (0.8 * um, 1.6 * um)
    for z, pitch in ((2 * um, 0.2 * um), (20 * um, 0.5 * um), (1 * mm, 10 * um))
)
ODD = fo.Grid((201, 256), (9 * um, 6 * um))
OTHER_GRIDS = tuple(
    follow(label, BOTH, (exact.beam, WAIST), z, start, grid, onto, ours_only=True)
    for label, z, start, grid, onto in (
        ("201 x 256 of 9 x 6 um", 0.3, 0.0, ODD, None),
        ("onto 100 x 65 of 5 x 7.3 um", 0.3, 0.0, ODD, fo.Grid((100, 65), (5 * um, 7.3 * um), (41 * um, -33 * um))),
        ("onto 96 x 97 of 150 um, z = 3 m", 3.0, 0.0, GRID, fo.Grid((96, 97), 150 * um)),
        ("z = -100 mm, to the waist", -0.1, 0.1, GRID, None),
        ("z = -100 mm, through the waist", -0.1, 0.05, GRID, None),
    )
)
IN_STEPS = follow("in two steps of 150 mm", BOTH, (exact.beam, WAIST), 0.3, by=partial(in_two_steps, z=0.3))
ASIDE = fo.Grid((90, 121), (7 * um, 9 * um), (0.5 * mm, -0.3 * mm))
FRESNEL = (
    *(
        follow(f"z = {show(z, 'length')}", BOTH, (exact.gaussian, WAIST), z, by=partial(fo.fresnel, z=z))
        for z in (0.01, 0.1, 3.0)
    ),
    follow(
        "5 and -3 mrad, onto 90 x 121 of 7 x 9 um",
        BOTH,
        (exact.gaussian, WAIST, (0.005, -0.003)),
        0.1,
        onto=ASIDE,
        by=partial(fo.fresnel, z=0.1, onto=ASIDE),
    ),
)

HALF, STEEP = fo.Grid((256, 256), 4 * um), fo.Grid((256, 256), 0.4 * um)
TILTS = (  # sines, waist, grid, z, onto
    ((0.03, -0.045), WAIST, HALF, 0.1, fo.Grid((256, 256), 4 * um, (3.0 * mm, -4.5 * mm))),
    ((0.03, -0.045), WAIST, HALF, 1.0, fo.Grid((160, 200), 80 * um, (30 * mm, -45 * mm))),
    ((0.0, 0.5), 6 * um, STEEP, 0.5 * mm, fo.Grid((200, 256), 0.6 * um, (0.0, 290 * um))),
)
TILTED = (
    follow("5 and -3 mrad, z = 100 mm", BOTH, (exact.beam, WAIST, (0.005, -0.003)), 0.1),
    *(
        follow(f"sines {s}, z = {show(z, 'length')}", BOTH, (exact.beam, waist, s), z, grid=grid, onto=onto)
        for s, waist, grid, z, onto in TILTS
    ),
)

CASES = (
    Case(
        "Gaussian beam",
        "A. E. Siegman, Lasers, sec. 16.3: fundamental mode with its phase; w0 = 0.1 mm, 256 x 256 samples of 8 um",
        "the closed form is paraxial: the next term of kz, q^4/8k^3, turns the phase; 2 % above what that term "
        "amounts to in this window; complex64: plus 5e-7 of rounding",
        GAUSSIAN,
    ),
    Case(
        "Gaussian beam by fresnel",
        "the same closed form, which is what fo.fresnel solves, straight and tilted: a tilt moves it by z sin(theta)",
        ROUNDING,
        FRESNEL,
    ),
    Case(
        "beam, exact",
        "G. A. Deschamps, Electron. Lett. 7, 684 (1971): spherical wave of a source at an imaginary depth; w0 = 0.1 mm",
        ROUNDING,
        NEAR_AND_FAR,
    ),
    Case(
        "tight beam",
        "the same, waists of 4 and 8 samples of 0.2 um; onto 65 x 80 samples of 0.2, 0.5 and 10 um",
        ROUNDING,
        TIGHT,
    ),
    Case(
        "beam onto other grids",
        "the same, w0 = 0.1 mm; not square, odd, another pitch, off the axis, backward, in two steps",
        ROUNDING,
        (*OTHER_GRIDS, IN_STEPS),
    ),
    Case(
        "tilted beam",
        "the same with a turned source, in a window where it lands",
        ROUNDING,
        TILTED,
    ),
    Case(
        "tilted beam, landing",
        "its axis meets the plane z tan(theta) away; distance of the centroid in samples",
        "a beam is a bundle of slopes, and tan bends upward over its divergence s = lambda/(2 pi w0): at most "
        "4 z s^2 sin(theta)/cos(theta)^5",
        tuple(
            Point(
                f"sines {s}, z = {show(z, 'length')}",
                bend(s, z, onto, waist),
                partial(landing, s, z, onto, grid, waist),
                "complex64",
            )
            for s, waist, grid, z, onto in TILTS
        ),
    ),
    Case(
        "beam of cells",
        "the same, each sample a uniform cell (pixels=True)",
        "a cell averages: sinc(d fy) sinc(d fx) takes (pi f d)^2/6 of the spectrum, sqrt(2)/12 (d/w0)^2 of this beam; "
        "1 % for the next order",
        (cells(0.1, 16 * um), cells(0.1), cells(0.3)),
    ),
    Case(
        "beam of cells, order",
        "the same, from d = 16 um to 8 um: distance of the order of convergence from 2",
        "the next order is (pi f d)^2/10 of the first, 1e-3 here",
        (Point("z = 100 mm", 1e-2, partial(cells_order, 0.1)),),
    ),
)
