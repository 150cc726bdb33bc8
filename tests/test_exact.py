"""The closed forms of validation/exact.py against the integrals and the equation that they solve, by quadrature."""

import math

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss

from fouroptics.units import mm, nm, um
from validation import exact

WAVELENGTH = 532 * nm
K = 2 * math.pi / WAVELENGTH


def distance(a, b) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def nodes(low: float, high: float, count: int):
    node, weight = leggauss(count)
    return low + (high - low) * (1 + node) / 2, weight * (high - low) / 2


def rayleigh_sommerfeld(y, x, z: float, at_y, at_x, light):
    """The first Rayleigh-Sommerfeld integral as a sum over points; `light` includes the weights."""
    r = np.sqrt((y[:, None] - at_y) ** 2 + (x[:, None] - at_x) ** 2 + z**2)
    return (z / (2 * np.pi * r**2) * (1 / r - 1j * K) * np.exp(1j * K * r) * light).sum(-1)


# ---- beams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sines", [(0.0, 0.0), (0.3, -0.5)])
@pytest.mark.parametrize("waist", [0.6 * um, 3 * um])
def test_a_beam_solves_the_helmholtz_equation(waist: float, sines: tuple[float, float]):
    """Second differences of order 4 over 1/40 of a wavelength: (2 pi/40)^4/90 = 7e-6 an axis at most."""
    rng, h = np.random.default_rng(0), WAVELENGTH / 40
    place = rng.uniform(-2, 2, (3, 20)) * um + np.array([0, 0, 3 * um])[:, None]

    def u(shift):
        y, x, z = place + h * np.asarray(shift)[:, None]
        return exact.beam(y, x, z, WAVELENGTH, waist, sines)

    curvature = sum(
        weight / (12 * h**2) * u(step * axis)
        for axis in np.eye(3)
        for step, weight in ((0, -30), (1, 16), (-1, 16), (2, -1), (-2, -1))
    )
    assert distance(-curvature / K**2, u(np.zeros(3))) < 2e-5


def test_a_wide_beam_is_the_paraxial_one_and_starts_at_one():
    """They differ by the square of the divergence, 3e-6, times a few."""
    y, x = np.linspace(-200, 200, 21)[:, None] * um, np.linspace(-150, 150, 15) * um
    for z in (0.0, 0.1, 1.0):
        wide = exact.beam(y, x, z, WAVELENGTH, 100 * um)
        assert distance(wide, exact.gaussian(y, x, z, WAVELENGTH, 100 * um)) < 3e-5
    assert exact.beam(np.zeros(1), np.zeros(1), 0.0, WAVELENGTH, 5 * um) == pytest.approx(1)


def test_the_correction_of_the_paraxial_beam_is_that_of_its_plane_waves():
    """A sum of plane waves, exact for a Gaussian spectrum; the correction's own square is 5e-6."""
    waist, z, width = 20 * um, 0.01, 4 * mm
    y, x = np.array([[-30 * um], [0.0], [55 * um]]), np.array([0.0, 40 * um])
    f = (np.arange(801) - 400) / width
    spectrum = np.exp(-((np.pi * waist * f) ** 2)) * np.sqrt(np.pi) * waist / width
    kz = 2 * np.pi * np.sqrt(1 / WAVELENGTH**2 - f[:, None] ** 2 - f**2)
    waves = spectrum[:, None] * spectrum * np.exp(1j * kz * z)
    plane = np.exp(2j * np.pi * y * f) @ waves @ np.exp(2j * np.pi * x * f[:, None])
    paraxial = exact.gaussian(y, x, z, WAVELENGTH, waist)
    assert distance(paraxial, plane) > 1e-5
    assert distance(paraxial + exact.gaussian_correction(y, x, z, WAVELENGTH, waist), plane) < 1e-8


# ---- openings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [3 * mm, 0.2])
def test_a_polygon_is_the_integral_over_its_area(z: float):
    """A triangle, in coordinates that share out its area; 1e-9 for 2e6 rad of carrier in the quadrature."""
    rng = np.random.default_rng(1)
    y, x = rng.uniform(-150, 150, (2, 25)) * um
    corners = np.array([(-70, -60), (-20, 90), (80, 10)]) * um
    (s, ds), (t, dt) = nodes(0, 1, 160), nodes(0, 1, 160)
    at = corners[0] + s[:, None, None] * ((corners[1] - corners[0]) + t[:, None] * (corners[2] - corners[1]))
    (ay, ax), (by, bx) = corners[1] - corners[0], corners[2] - corners[1]
    light = (s * ds)[:, None] * dt * abs(ay * bx - ax * by)
    exact_field = rayleigh_sommerfeld(y, x, z, at[..., 0].ravel(), at[..., 1].ravel(), light.ravel())
    edges = tuple((float(cy), float(cx)) for cy, cx in corners)
    assert distance(exact.polygon(y, x, z, WAVELENGTH, edges), exact_field) < 1e-8
    assert distance(-exact.polygon(y, x, z, WAVELENGTH, edges[::-1]), exact_field) < 1e-8  # turned the other way


def test_slits_are_polygons_far_away():
    """Fresnel integrals are paraxial: what they miss falls by more than the square of the distance."""
    y, x = np.linspace(-300, 310, 9)[:, None] * um, np.linspace(-290, 330, 8) * um
    box = ((-201 * um, -101 * um), (-201 * um, 99 * um), (199 * um, 99 * um), (199 * um, -101 * um))
    missed = []
    for z in (0.1, 0.2):
        rows = exact.slit(y, z, WAVELENGTH, (-201 * um, 199 * um))
        product = exact.phasor(z / WAVELENGTH) * rows * exact.slit(x, z, WAVELENGTH, (-101 * um, 99 * um))
        missed.append(distance(product, exact.polygon(y, x, z, WAVELENGTH, box)))
    assert missed[0] < 1e-4
    assert missed[1] < missed[0] / 4


@pytest.mark.parametrize("z", [5 * mm, 0.2])
def test_a_circle_is_the_integral_over_its_disk(z: float):
    """Boundary wave, quadrature of the disk and closed form on the axis; rounding."""
    rho = np.array([0.0, 30.0, 80.0, 130.0, 200.0]) * um
    wave = exact.circle(rho, np.zeros(5), z, WAVELENGTH, 100 * um)
    assert distance(wave, exact.disk(rho, z, WAVELENGTH, 100 * um, np.zeros_like, (300, 300))) < 1e-11
    assert exact.circle_axis(z, WAVELENGTH, 100 * um) == pytest.approx(wave[0], rel=1e-9)


@pytest.mark.parametrize(("depth", "z"), [(50 * mm, 30 * mm), (-50 * mm, 30 * mm), (-50 * mm, 50.1 * mm)])
def test_the_spherical_wave_on_the_axis_is_the_integral(depth: float, z: float):
    s, ds = nodes(0, 0.5 * mm, 400)
    r0 = math.copysign(1, depth) * np.hypot(s, depth)
    light = np.exp(1j * K * r0) / r0 * 2 * np.pi * s * ds
    expected = rayleigh_sommerfeld(np.zeros(1), np.zeros(1), z, np.zeros(400), s, light)[0]
    assert exact.circle_axis(z, WAVELENGTH, 0.5 * mm, depth) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("edge", [-60 * um, 0.0, 45 * um])
def test_the_cut_beam_is_its_fresnel_integral(edge: float):
    z, waist, axis = 0.1, 100 * um, np.linspace(-300, 300, 13) * um
    x, dx = nodes(edge, 7 * waist, 500)
    response = np.exp(1j * np.pi * (axis[:, None] - x) ** 2 / (WAVELENGTH * z)) / np.sqrt(1j * WAVELENGTH * z)
    expected = (response * np.exp(-((x / waist) ** 2)) * dx).sum(-1)
    assert distance(exact.half_gaussian(axis, z, WAVELENGTH, waist, edge), expected) < 1e-12


def test_an_edge_beyond_the_beam_cuts_nothing():
    axis, z, waist = np.linspace(-300, 300, 13) * um, 0.1, 100 * um
    line = exact.half_gaussian(axis, z, WAVELENGTH, waist, -9 * waist)
    both = exact.phasor(z / WAVELENGTH) * line[:, None] * line
    assert distance(both, exact.gaussian(axis[:, None], axis, z, WAVELENGTH, waist)) < 1e-12
