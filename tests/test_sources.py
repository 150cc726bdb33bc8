"""Sources: power, direction and phase."""

import math

import pytest
import torch

import fouroptics as fo
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.sources import axes
from fouroptics.units import um

GRID = fo.Grid((40, 51), (8 * um, 6 * um), (100 * um, -30 * um))
WAVELENGTH = 532e-9


@pytest.mark.parametrize("power", [1.0, 2e-3])
def test_a_plane_wave_carries_its_power_uniformly(power: float):
    u = fo.plane_wave(GRID, WAVELENGTH, power=power, direction=(0.01, -0.02))
    assert float(u.power()) == pytest.approx(power, rel=1e-6)  # float32
    assert float(u.intensity.std() / u.intensity.mean()) < 1e-6


def test_a_plane_wave_turns_by_its_direction():
    """2 pi sx dx / lambda a sample, 0 on the axis; float64 but for the sum over 51 samples."""
    sy, sx = 0.01, -0.02
    u = fo.plane_wave(GRID, WAVELENGTH, direction=(sy, sx), dtype=torch.complex128)
    y, x = axes(GRID)
    expected = torch.polar(torch.ones(GRID.shape, dtype=torch.float64), 2 * math.pi / WAVELENGTH * (sy * y + sx * x))
    torch.testing.assert_close(u.data / u.data.abs(), expected, rtol=0, atol=1e-9)


def test_single_precision_keeps_the_phase_far_off_the_axis():
    """The phase is reduced before it is cast: 1e5 turns from the axis nothing is lost but float32 itself."""
    grid = fo.Grid((4, 4), (4 * um, 4 * um), (1.0, 0.5))
    single, double = (
        fo.plane_wave(grid, WAVELENGTH, direction=(0.05, 0.06), dtype=d).data
        for d in (torch.complex64, torch.complex128)
    )
    assert float((single - double).abs().max() / double.abs().max()) < 2e-7


def test_a_tilt_beyond_nyquist_warns_and_one_within_does_not():
    limit = WAVELENGTH / 2 / (8 * um)
    fo.plane_wave(GRID, WAVELENGTH, direction=(0.99 * limit, 0))
    with pytest.warns(SamplingWarning, match="use a finer grid"):
        fo.plane_wave(GRID, WAVELENGTH, direction=(1.01 * limit, 0))
    with pytest.warns(SamplingWarning, match="the wave is aliased"):
        fo.plane_wave(GRID, WAVELENGTH, direction=(0, -1.01 * WAVELENGTH / 2 / (6 * um)))


def test_a_direction_has_a_length_of_at_most_one():
    with pytest.raises(GeometryError, match="direction sines"):
        fo.plane_wave(GRID, WAVELENGTH, direction=(0.8, 0.7))


@pytest.mark.parametrize("z", [-0.05, 0.0, 0.1])
def test_a_beam_carries_its_power_and_has_its_radius(z: float):
    """The sum of a smooth function over samples is its integral to rounding; 1e-9 is what lies outside the grid."""
    waist, grid = 60 * um, fo.Grid((257, 256), (8 * um, 8 * um))
    u = fo.gaussian_beam(
        grid, WAVELENGTH, waist=waist, power=2e-3, z=z, center=(50 * um, -20 * um), dtype=torch.complex128
    )
    assert float(u.power()) == pytest.approx(2e-3, rel=1e-9)
    y, x = axes(grid)
    weight = u.intensity * grid.cell / 2e-3
    w = waist * math.hypot(1, z * WAVELENGTH / (math.pi * waist**2))
    assert float((weight * y).sum()) == pytest.approx(50 * um, abs=1e-10)
    assert float((weight * x).sum()) == pytest.approx(-20 * um, abs=1e-10)
    assert 2 * float((weight * (x + 20 * um) ** 2).sum()) ** 0.5 == pytest.approx(w, rel=1e-6)  # 1/e^2 radius: 2 sigma


def test_before_the_waist_is_the_conjugate():
    before, behind = (
        fo.gaussian_beam(GRID, WAVELENGTH, waist=60 * um, z=z, dtype=torch.complex128).data for z in (-0.1, 0.1)
    )
    torch.testing.assert_close(before, behind.conj(), rtol=1e-9, atol=0)  # 2e5 turns of carrier in float64


def test_gouy_phase_and_curvature_at_the_rayleigh_range():
    waist = 60 * um
    rayleigh = math.pi * waist**2 / WAVELENGTH
    grid = fo.Grid((1, 201), (4 * um, 4 * um))
    u = fo.gaussian_beam(grid, WAVELENGTH, waist=waist, z=rayleigh, dtype=torch.complex128).data[0]
    u = u * torch.exp(torch.tensor(-2j * math.pi * (rayleigh / WAVELENGTH % 1), dtype=torch.complex128))
    assert float(u[100].angle()) == pytest.approx(-math.pi / 4, abs=1e-9)
    bend = float((u[110] / u[100]).angle())
    assert bend == pytest.approx(
        math.pi * (40 * um) ** 2 / (WAVELENGTH * 2 * rayleigh), rel=1e-6
    )  # R = 2 zR, diverging


def test_a_beam_too_curved_for_its_grid_warns():
    with pytest.warns(SamplingWarning, match="use samples of"):
        fo.gaussian_beam(fo.Grid((256, 256), 20e-6), 532e-9, waist=5e-6, z=0.05)
