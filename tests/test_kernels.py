"""Kernels of free space against the integrals that they stand for, by quadrature, and against each other."""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

import fouroptics as fo
from fouroptics.units import mm, nm, um
from fouroptics.waves import kernels, sampling
from fouroptics.waves.transforms import frequencies, phasor
from validation.case import relative

WAVELENGTH = 532 * nm
D = 8 * um
OFFSETS = torch.tensor([-700.0, -80.0, -8.0, -4.0, 0.0, 1.3, 4.0, 60.0, 500.0], dtype=torch.float64) * um


def quadrature(low: float, high: float, pieces: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss-Legendre with 20 points in each of so many pieces."""
    node, weight = leggauss(20)
    edges = np.linspace(low, high, pieces + 1)
    half = np.diff(edges)[:, None] / 2
    nodes = (edges[:-1, None] + half * (1 + node)).ravel()
    return torch.from_numpy(nodes), torch.from_numpy((half * weight).ravel())


# ---- one axis --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [1e-12, 1 * um, -50 * um, 1 * mm, 20 * mm, 0.3, -3.0])
def test_line_is_the_integral_over_the_band(z: float):
    """``d int exp(2 pi i f x - i pi lambda z f^2) df``; 1e-9: rounding of at most 3100 turns against 6e-3."""
    f, weight = quadrature(-0.5 / D, 0.5 / D, 2000)
    expected = D * (weight * phasor(f * OFFSETS[:, None] - WAVELENGTH * z * f**2 / 2)).sum(-1)
    assert relative(kernels.line(OFFSETS, D, WAVELENGTH, z), expected) < 1e-9


@pytest.mark.parametrize("z", [50 * um, -1 * mm, 20 * mm, 3.0])
def test_line_of_a_cell_is_the_wave_over_the_cell(z: float):
    """``int exp(i pi (x - s)^2/(lambda z)) ds / sqrt(i lambda z)`` over d; at most 220 turns."""
    s, weight = quadrature(-D / 2, D / 2, 100)
    wave = phasor((OFFSETS[:, None] - s) ** 2 / (2 * WAVELENGTH * z)) / complex(1j * WAVELENGTH * z) ** 0.5
    assert relative(kernels.line(OFFSETS, D, WAVELENGTH, z, pixels=True), (weight * wave).sum(-1)) < 1e-11


@pytest.mark.parametrize("pixels", [False, True])
def test_lines_of_all_samples_add_up_to_a_plane_wave(pixels: bool):
    """Uniform light stays so. Cells of a wide aperture: its edges give 1/(pi t) each, t = 0.04 m / sqrt(lambda z/2)."""
    offsets = (torch.arange(10001, dtype=torch.float64) - 5000) * D + 1.3 * um
    total = kernels.line(offsets, D, WAVELENGTH, 10 * mm, pixels=pixels).sum()
    t = 5000 * D / math.sqrt(WAVELENGTH * 10 * mm / 2)
    assert abs(complex(total) - 1) < 2 * 1.5 / (math.pi * t)


def test_no_distance_is_the_interpolation_of_the_samples():
    assert kernels.line(OFFSETS, D, WAVELENGTH, 0.0).real.tolist() == pytest.approx(np.sinc(OFFSETS / D), abs=1e-15)
    inside = kernels.line(OFFSETS, D, WAVELENGTH, 0.0, pixels=True).real
    assert inside[OFFSETS.abs() < 0.49 * D].tolist() == [1, 1]
    assert inside[OFFSETS.abs() > 0.51 * D].tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("z", [0.5 * mm, -0.5 * mm, 0.2])
def test_line_has_a_gradient_with_respect_to_the_distance(z: float, pixels: bool):
    t = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: kernels.line(OFFSETS[1:-1], D, WAVELENGTH, z * (1 + t), pixels=pixels), t)


def test_the_wave_from_an_edge():
    """``G(0) = int_0^inf exp(-i pi s^2/2) ds = (1-i)/2``; far off ``1/(i pi t)``, to 1/(pi t^2); and its equation."""
    t = torch.tensor([0.0, 1e-3, 0.7, 3.0, 50.0], dtype=torch.float64)
    wave = kernels._edge_wave(t)
    assert complex(wave[0]) == pytest.approx(0.5 - 0.5j, abs=1e-15)
    assert complex(wave[-1]) == pytest.approx(1 / (50j * math.pi), rel=1 / (math.pi * 50**2))
    s, weight = quadrature(0, 3, 40)
    rest = complex((weight * phasor(-(s**2) / 4)).sum())
    assert complex(wave[3]) == pytest.approx(complex(phasor(t[3] ** 2 / 4)) * (0.5 - 0.5j - rest), abs=1e-14)
    assert torch.autograd.gradcheck(kernels._edge_wave, t.requires_grad_())


# ---- both axes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [50 * um, -10 * mm, 0.3, 3.0])
def test_the_phase_of_the_angular_spectrum_is_right_to_the_last_turns(z: float):
    """Against kz z itself in long double, where there is one; 3e-8: what float64 keeps of 5.6e6 turns at 3 m."""
    f = np.linspace(0, 0.99 / WAVELENGTH, 50)
    cosine = np.sqrt(1 - (np.longdouble(WAVELENGTH) * f) ** 2)
    turns = (np.longdouble(z) / np.longdouble(WAVELENGTH) * cosine) % 1
    expected = np.exp(2j * np.pi * turns.astype(float))
    kernel = kernels.transfer_function(torch.tensor(0.0, dtype=torch.float64), torch.from_numpy(f), WAVELENGTH, z)
    if np.finfo(np.longdouble).eps < 1e-18:
        assert np.abs(kernel.numpy() - expected).max() < 3e-8


@pytest.mark.parametrize("z", [WAVELENGTH / 3, -WAVELENGTH / 3])
def test_evanescent_waves_decay_in_both_directions(z: float):
    """``exp(-2 pi sqrt(s^2-1) |z|/lambda)``, here s = 2; what travels keeps its size."""
    f = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64) / WAVELENGTH
    size = kernels.transfer_function(torch.zeros_like(f), f, WAVELENGTH, z).abs()
    assert size.tolist() == pytest.approx([1, 1, math.exp(-2 * math.pi * math.sqrt(3) / 3)], rel=1e-12)


@pytest.mark.parametrize("z", [0.5 * um, -20 * um, 5 * mm])
def test_the_residual_is_what_the_paraxial_phase_lacks(z: float):
    """``residual exp(ikz - i pi lambda z f^2)`` is the transfer function, evanescent waves included; rounding of 1e5
    turns. Beyond the light that arrives it stays a phase.
    """
    fy, fx = frequencies(40, 0.2 * um)[:21].abs(), frequencies(33, 0.23 * um)[:17].abs()
    rest = kernels.residual(fy, fx, WAVELENGTH, z, 1e9, torch.float64)
    paraxial = phasor(z / WAVELENGTH - WAVELENGTH * z * (fy[:, None] ** 2 + fx**2) / 2)
    expected = kernels.transfer_function(fy[:, None], fx, WAVELENGTH, z)
    torch.testing.assert_close(rest * paraxial, expected, rtol=0, atol=1e-10)
    s2 = (WAVELENGTH * fy[:, None]) ** 2 + (WAVELENGTH * fx) ** 2
    part = kernels.residual(fy, fx, WAVELENGTH, z, 0.3, torch.float64)
    torch.testing.assert_close(part[s2 <= 0.3], rest[s2 <= 0.3])
    torch.testing.assert_close(part.abs(), rest.abs())


@pytest.mark.parametrize("z", [3 * mm, -3 * mm, 2.0])
def test_spherical_is_the_response_of_rayleigh_and_sommerfeld(z: float):
    """``(1/2 pi) (z/r) (1/r - ik) exp(ikr)/r``, and for z < 0 the conjugate; 4e6 turns in float64."""
    y, x, k = OFFSETS[:, None], OFFSETS, 2 * math.pi / WAVELENGTH
    r = (y**2 + x**2 + z**2).sqrt()
    expected = abs(z) / (2 * math.pi * r**2) * (1 / r - 1j * k) * phasor(r / WAVELENGTH)
    expected = expected if z > 0 else expected.conj()
    assert relative(kernels.spherical(y, x, WAVELENGTH, z), expected) < 1e-8


@pytest.mark.parametrize("z", [20 * mm, 0.2])
def test_far_off_both_responses_are_one(z: float):
    """Two lines and the carrier are d^2 of the spherical wave; each end of the band adds 1/(sqrt(2) pi t) to a line,
    with ``t = sqrt(2 lambda z)/2d``, 73 and 230 here.
    """
    y, x, d = OFFSETS[1:-1, None] / 4, OFFSETS[1:-1] / 4, 1 * um
    lines = [kernels.line(each, d, WAVELENGTH, z) for each in (y, x)]
    both = phasor(torch.tensor(z / WAVELENGTH, dtype=torch.float64)) * lines[0] * lines[1]
    t = math.sqrt(2 * WAVELENGTH * z) / (2 * d)
    assert relative(both, d**2 * kernels.spherical(y, x, WAVELENGTH, z)) < 4 / (math.sqrt(2) * math.pi * t)


# ---- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [0.2 * um, 1 * um, 8 * um])
@pytest.mark.parametrize("z", [1 * um, 1 * mm, 1.0])
def test_the_window_holds_every_offset_and_grows_for_steep_light_alone(d: float, z: float):
    source, target = fo.Grid((16, 100), d), fo.Grid((200, 8), d, (3 * d, 0.0))
    shape = kernels.window(source, target, WAVELENGTH, z)
    margins = kernels.margins(source, target, WAVELENGTH, z)
    for n, a, b, margin in zip(shape, source.shape, target.shape, margins, strict=True):
        assert a + b - 1 <= n <= 2.2 * (a + b)
        if d == 8 * um and z < 1:  # the steepest light walks 0.6 um more than the paraxial one over 1 mm
            assert margin < 0.2
            assert n <= 1.05 * (a + b)
    assert shape == kernels.window(target, source, WAVELENGTH, -z)


def test_cells_are_divided_as_finely_as_the_light_that_arrives():
    grid = fo.Grid((64, 64), D)
    parts = [kernels.parts(grid, grid, WAVELENGTH, z) for z in (1.0, 30 * mm, 10 * mm, 5 * mm, 1 * um)]
    assert parts[0] == 1
    assert parts == sorted(parts)
    assert all(n % 2 == 1 for n in parts)
    assert parts[-1] == 41  # 1.3 times all light, sine 1, of the band 0.033
    assert kernels.parts_wanted(grid, grid, WAVELENGTH, 10 * mm) == parts[2]


def test_cells_whose_light_cannot_be_followed_warn():
    """Parts of a cell are limited by memory: a wide grid close up says so."""
    grid = fo.Grid((2000, 8), D)
    u = fo.Field(torch.ones(2000, 8), grid, WAVELENGTH)
    with pytest.warns(fo.SamplingWarning, match="15 parts of a cell to follow, and 3 fit") as caught:
        fo.propagate(u, 40 * mm, pixels=True)
    assert caught[0].filename == __file__


def test_a_kernel_onto_its_own_grid_is_even_and_a_quarter_large():
    """Of nearly size 1: over 1 mm the window holds what the response of one sample holds but 1/(pi^2 t) an end."""
    grid, rest = fo.Grid((20, 25), D), (WAVELENGTH, 1 * mm, False)
    shape = kernels.window(grid, grid, WAVELENGTH, 1 * mm)
    own = kernels.linear(grid, grid, *rest, shape, torch.float64)
    moved = kernels.linear(grid, grid.shifted(D, 0.0), *rest, shape, torch.float64)
    assert own.rest.shape == moved.rest.shape == (shape[0] // 2 + 1, shape[1] // 2 + 1)
    assert own.even == own.shape == moved.shape == shape
    assert moved.y is not None
    power = float((own.dense().rest * shape[0] * shape[1]).abs().square().mean())
    assert power == pytest.approx(1, abs=0.03)


def test_the_band_limit_leaves_what_stays_in_the_window_about_the_target():
    """Matsushima: local frequencies up to ``sin(atan(half/z))/lambda``, about the direction of the target."""
    grid, shape, z = fo.Grid((64, 64), D), (128, 128), 0.1
    aside = 1 * mm
    kernel = kernels.windowed(grid, grid.shifted(0.0, aside), WAVELENGTH, z, shape, bandlimit=True)
    assert kernel.x is not None
    f = frequencies(128, D)
    kept = f[kernel.x.abs() > 0]
    low, high = ((aside + side * 64 * D) / math.hypot(aside + side * 64 * D, z) / WAVELENGTH for side in (-1, 1))
    assert float(kept.min()) == pytest.approx(low, abs=1 / (128 * D))
    assert float(kept.max()) == pytest.approx(high, abs=1 / (128 * D))
    whole = kernels.windowed(grid, grid.shifted(0.0, aside), WAVELENGTH, z, shape, bandlimit=False)
    assert whole.x is not None
    assert bool((whole.x.abs() > 0).all())


def test_kernels_are_kept_for_plain_distances():
    """By grid, not by its identity; each dtype has its own."""
    key = (WAVELENGTH, 5 * mm, False, (15, 15), torch.complex64)
    data = torch.zeros(9, 8, dtype=torch.complex64)
    first = kernels.ready("linear", data, fo.Grid((9, 8), D), fo.Grid((7, 8), D), *key)
    again = kernels.ready("linear", data, fo.Grid((9, 8), D), fo.Grid((7, 8), D), *key)
    double = kernels.ready("linear", data.to(torch.complex128), fo.Grid((9, 8), D), fo.Grid((7, 8), D), *key)
    assert first.rest.data_ptr() == again.rest.data_ptr()
    assert first.rest.dtype == torch.complex64
    assert double.rest.dtype == torch.complex128


# ---- what a sampling carries -----------------------------------------------------------------------------------------


def test_light_walks_as_far_as_its_angle_says():
    assert sampling.walk(0.6, -2.0) == pytest.approx(1.5)
    assert sampling.walk(1.2, 1.0) == math.inf
    assert sampling.steepest(8 * um, WAVELENGTH) == pytest.approx(0.03325)
    excess = sampling.paraxial_excess((0.6, 0.0), 1.0)
    assert excess == pytest.approx((0.75 - 0.6, 0.0))


def test_what_reaches_a_target():
    """Edge to opposite edge, 1 mm plus 2 mm aside; the band of 8 um samples ends sooner where that is steep."""
    source, target = fo.Grid((100, 50), 10 * um), fo.Grid((100, 50), 10 * um, (2 * mm, 0.0))
    assert sampling.span(source, target, 0) == pytest.approx(3 * mm)
    assert sampling.span(source, target, 1) == pytest.approx(0.5 * mm)
    assert sampling.reach(source, target, WAVELENGTH, 1.0) == pytest.approx((3e-3, 0.5e-3), rel=1e-4)
    assert sampling.reach(source, target, WAVELENGTH, 1 * mm) == pytest.approx((0.0266, 0.0266))
    assert sampling.arriving(source, target, 1 * mm) == pytest.approx(9 / 10 + 0.25 / 1.25)


def test_the_shortest_distance_of_the_spherical_wave_turns_it_by_pi_a_sample():
    """Between the two samples farthest apart along an axis, as its phase k r says."""
    grid = fo.Grid((64, 20), 8 * um)
    z, far = sampling.impulse_limit(grid, grid, WAVELENGTH), 64 * 8 * um
    turn = (math.hypot(z, far + 4 * um) - math.hypot(z, far - 4 * um)) / WAVELENGTH
    assert turn == pytest.approx(0.5, rel=1e-3)
