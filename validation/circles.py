"""Round openings: on the axis and across it, a stop and its bright spot, a point source, a focus and its shift."""

import math
from functools import partial

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

import fouroptics as fo
from fouroptics.light.sources import axes
from fouroptics.units import mm, show, um
from validation import exact
from validation.case import DOUBLE, SINGLE, Case, Point, Setting
from validation.space import WAVELENGTH, sampled

RADIUS = 0.5 * mm


def window(radius: float, pitch: float) -> fo.Grid:
    """Samples around a circle."""
    n = 2 * math.ceil(1.02 * radius / pitch)
    return fo.Grid((n, n), pitch)


def circle(radius: float, pitch: float, stop: float, depth: float, dtype: torch.dtype) -> fo.Field:
    """A circle, with a stop in its middle, under the wave ``exp(ik r0)/r0`` of a point at `depth` before it.

    Cells on the edge carry the open part. For a plane wave (depth inf) the amplitude is 1.
    """
    grid = window(radius, pitch)
    data = fo.shapes.circle(grid, radius).to(torch.complex128)
    if stop:
        data -= fo.shapes.circle(grid, stop)
    if math.isfinite(depth):
        y, x = axes(grid)
        rho2 = y**2 + x**2
        r0 = math.copysign(1, depth) * torch.sqrt(rho2 + depth**2)
        turns = depth / WAVELENGTH % 1 + rho2 / (r0 + depth) / WAVELENGTH
        data *= torch.polar(torch.ones_like(turns), 2 * math.pi * turns) / r0
    return fo.Field(data.to(dtype), grid, WAVELENGTH)


def axial(radius: float, stop: float, depth: float, z: float) -> Tensor:
    """The exact field on the axis, of shape (1, 1)."""
    light = exact.circle_axis(z, WAVELENGTH, radius, depth)
    dark = exact.circle_axis(z, WAVELENGTH, stop, depth) if stop else 0
    return torch.tensor([[light - dark]], dtype=torch.complex128)


def edge_miss(radius: float, depth: float, pitch: float, z: float) -> float:
    """What a sum over samples misses on the axis, for light of amplitude 1 and curvature 1/depth.

    ``d^2/24`` of the slope of the integrand around the edge, the mean of ``t(1-t)/2 - 1/24`` (see `edges`) over the
    parts t of a cell; the arcs that a straight edge leaves out, ``d^2/(24 a)`` a length; and where the edge runs along
    the samples, over ``sqrt(2 a d)`` at four places, the last wave of their band, ``d^2/(pi lambda z)``.
    """
    slope = math.pi**2 / 6 * radius**2 / WAVELENGTH * abs(1 / z + 1 / depth)
    band = 4 / math.pi * math.sqrt(2 * radius * pitch / (WAVELENGTH * z))
    return (slope + math.pi / 12 + band) * pitch**2 / (WAVELENGTH * z)


def of_peak(result: Tensor, exact_field: Tensor) -> float:
    """Largest error over the largest amplitude."""
    return float((result.to(torch.complex128) - exact_field).abs().max() / exact_field.abs().max())


def on_axis(z: float, pitch: float, radius: float = RADIUS, stop: float = 0.0, depth: float = math.inf) -> Setting:
    """One point on the axis."""
    there = axial(radius, stop, depth, z)
    light = 1 / abs(depth) if math.isfinite(depth) else 1.0
    limit = 1.1 * light * sum(edge_miss(r, depth, pitch, z) for r in (radius, stop)) / float(there.abs())
    label = f"d = {show(pitch, 'length')}, z = {show(z, 'length')}"
    if math.isfinite(depth):
        label += f", source at {show(-depth, 'length')}"
    sent = partial(circle, radius, pitch, stop, depth)
    return Setting(label, {DOUBLE: limit}, sent, z, lambda: there, fo.Grid((1, 1), pitch), ours_only=True)


def across(z: float, pitch: float, stop: float = 0.0, pixels: bool = False) -> Setting:
    """A line through the axis, from well inside to well outside the shadow of the edge."""
    onto = fo.Grid((1, 40), (pitch, 27.3 * um), (0.0, 0.3 * mm))

    def there() -> Tensor:
        light = sampled(exact.circle, (RADIUS,), onto, z)
        return light - sampled(exact.circle, (stop,), onto, z) if stop else light

    limit = 1.1 * sum(edge_miss(r, math.inf, pitch, z) for r in (RADIUS, stop)) * (2 if pixels else 1)
    label = f"across, d = {show(pitch, 'length')}, z = {show(z, 'length')}" + ", cells" * pixels
    sent = partial(circle, RADIUS, pitch, stop, math.inf)
    return Setting(label, {DOUBLE: limit}, sent, z, there, onto, pixels, of_peak, ours_only=True)


def order(z: float) -> float:
    """How far the order of convergence on the axis, over three halvings of the pitch, is from 2."""
    return abs(math.log2(on_axis(z, 8 * um).measure(DOUBLE) / on_axis(z, 1 * um).measure(DOUBLE)) / 3 - 2)


# ---- a lens ----------------------------------------------------------------------------------------------------------


def behind_lens(radius: float, focal_length: float, pitch: float, dtype: torch.dtype) -> fo.Field:
    """A thin lens in a round opening under a plane wave."""
    return fo.lens(circle(radius, pitch, 0.0, math.inf, dtype), focal_length)


def focal_line(radius: float, focal_length: float, onto: fo.Grid, z: float) -> Tensor:
    """The exact field after z on a line through the axis."""
    x = onto.coordinates()[1]
    line = exact.disk(abs(x), z, WAVELENGTH, radius, lambda s: -np.pi * s**2 / (WAVELENGTH * focal_length), (160, 64))
    return torch.from_numpy(line)[None]


def focus(z: float, pitch: float, focal_length: float = 0.2, radius: float = 1 * mm) -> Setting:
    """A line through the focus, or before or behind it."""
    onto = fo.Grid((1, 41), 4 * um)
    peak = np.pi * radius**2 / (WAVELENGTH * focal_length)
    rings = 0.13 * math.pi**2 / 6 * (pitch * onto.extent[1] / 2 / (WAVELENGTH * z)) ** 2
    limit = 1.1 * (edge_miss(radius, -focal_length, pitch, z) / peak + rings)
    return Setting(
        f"d = {show(pitch, 'length')}, z = {show(z, 'length')}",
        {DOUBLE: limit, SINGLE: limit + 1e-6},
        partial(behind_lens, radius, focal_length, pitch),
        z,
        partial(focal_line, radius, focal_length, onto, z),
        onto,
        error=of_peak,
        ours_only=True,
    )


def focal_shift(focal_length: float, radius: float, pitch: float) -> float:
    """Distance between the brightest points of the axis, of the simulation and of the closed form, over f."""
    u, axis = behind_lens(radius, focal_length, pitch, DOUBLE), fo.Grid((1, 1), pitch)
    number = radius**2 / (WAVELENGTH * focal_length)

    def simulated(z: float) -> float:
        return -float(fo.propagate(u, z, axis).intensity)

    def closed(z: float) -> float:
        return -float((focal_length / z * np.sinc(number * (focal_length / z - 1) / 2)) ** 2)

    bounds = (0.4 * focal_length, 1.05 * focal_length)
    found = [
        minimize_scalar(f, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x for f in (simulated, closed)
    ]
    return abs(found[0] - found[1]) / focal_length


SECOND = (
    "1.1 times pi^2/6 (d a/lambda)^2 |1/z + 1/R|/z, the second-order term of a sum over samples that carry the open "
    "part of their cell, R the distance of the source; pi/12 d^2/(lambda z) for the arcs that straight edges leave "
    "out; 4/pi d^2/(lambda z) sqrt(2 a d/(lambda z)) for the end of the band"
)
ACROSS = (
    *(across(z, 4 * um) for z in (0.02, 0.1, 0.3, 1.0, 3.0)),
    *(across(z, 4 * um, pixels=True) for z in (0.1, 1.0)),
)
FOCUS = tuple(focus(z, d) for d in (8 * um, 4 * um) for z in (0.19, 0.2, 0.22))

CASES = (
    Case(
        "circle, on the axis",
        "H. Osterberg and L. W. Smith, J. Opt. Soc. Am. 51, 1050 (1961): the Rayleigh-Sommerfeld integral on the axis",
        SECOND,
        tuple(on_axis(z, d) for d in (4 * um, 2 * um) for z in (0.05, 0.1, 0.3, 1.0)),
    ),
    Case(
        "circle, order",
        "the same, from d = 8 um to 1 um: distance of the order of convergence from 2",
        "a tenth for the next order, and for the samples at the edge, which carry what a straight edge covers",
        (Point("z = 100 mm", 0.1, partial(order, 0.1)),),
    ),
    Case(
        "circle, across",
        "E. W. Marchand and E. Wolf, J. Opt. Soc. Am. 52, 761 (1962): the boundary wave; largest error over the peak",
        SECOND + "; twice that where the samples are cells, which spread an edge once more",
        ACROSS,
    ),
    Case(
        "bright spot behind a stop",
        "A. Fresnel and F. Arago (1818); by Babinet the circle less the stop, both in closed form: on the axis and "
        "across it",
        SECOND + ", of both edges",
        (
            *(on_axis(z, 4 * um, stop=0.2 * mm) for z in (0.1, 0.3, 1.0)),
            *(across(z, 4 * um, stop=0.21 * mm) for z in (0.1, 1.0)),
        ),
    ),
    Case(
        "point source, on the axis",
        "Osterberg and Smith, the same integral for a spherical wave through a circle of 0.5 mm, diverging or "
        "converging",
        SECOND,
        tuple(on_axis(z, 4 * um, depth=depth) for depth in (0.1, -0.1) for z in (0.05, 0.08, 0.11, 0.3)),
    ),
    Case(
        "focal region",
        "quadrature of the Rayleigh-Sommerfeld integral behind a thin lens, f = 200 mm, a = 1 mm: 160 Gauss-Legendre "
        "nodes along the radius, 128 around; largest error over the peak in the focus",
        SECOND + "; 0.13 pi^2/6 (d X/(lambda z))^2 for the rings",
        FOCUS,
    ),
    Case(
        "focal shift",
        "Y. Li and E. Wolf, Opt. Commun. 39, 211 (1981): (f/z)^2 sinc^2(N (f/z - 1)/2) along the axis; the brightest "
        "point, over f",
        "a maximum is flat: an error e of the amplitude moves it by up to w sqrt(2 e), w = 0.4 and 0.23 its width "
        "over f, e = 3e-5 and 6e-6 that of the sum over samples on the axis",
        tuple(
            Point(f"N = {radius**2 / (WAVELENGTH * 0.1):.3g}", limit, partial(focal_shift, 0.1, radius, 2 * um))
            for radius, limit in ((0.25 * mm, 3e-3), (0.5 * mm, 8e-4))
        ),
    ),
)
