"""Coherent nuisances: contrast, power, area and variance in closed form; and that none of them makes light."""

import math

import pytest
import torch

import fouroptics as fo
from fouroptics.bench.nuisances import (
    Dust,
    GaussianIllumination,
    Ghost,
    LaserDrift,
    PointingJitter,
    WindowFringes,
)
from fouroptics.units import mm, nm, parse, um

WAVELENGTH = 633 * nm
GRID = fo.Grid((160, 150), 10 * um)
BEAM = fo.gaussian_beam(GRID, WAVELENGTH, waist=0.1 * mm, dtype=torch.complex128)
FLAT = fo.plane_wave(GRID, WAVELENGTH, dtype=torch.complex128)

PASSIVE = {
    "fringes": WindowFringes(0.3, (2e3, 1e3)),
    "ghost": Ghost(0.2, (50 * um, 0.0), 10 * mm, 1.0),
    "ghost, in phase": Ghost(0.5),
    "dust": Dust([(0.0, 0.0), (30 * um, 0.0)], [50 * um, 40 * um], 0.5j),
    "illumination": GaussianIllumination(0.2 * mm, (0.1 * mm, 0.0)),
}


@pytest.mark.parametrize("element", PASSIVE.values(), ids=PASSIVE)
@pytest.mark.parametrize("light", [BEAM, FLAT, BEAM.modulate(FLAT.phase + 1j)], ids=["beam", "flat", "turned"])
def test_none_makes_light(element: torch.nn.Module, light: fo.Field):
    """To rounding: a ghost in phase with its light gives back all of it."""
    assert float(element(light).power()) <= float(light.power()) * (1 + 1e-12)


@pytest.mark.parametrize("r", [0.04, 0.3, 1.0])
def test_fringes_have_the_contrast_of_two_waves(r: float):
    """``2r/(1+r^2)``, dark lines ``4r/(1+r)^2`` below the bright ones; twenty samples a fringe meet both exactly."""
    u = WindowFringes(r, (0.0, 5e3))(FLAT).intensity / FLAT.intensity
    high, low = float(u.max()), float(u.min())
    assert (high - low) / (high + low) == pytest.approx(2 * r / (1 + r**2), rel=1e-9)
    assert high - low == pytest.approx(4 * r / (1 + r) ** 2, rel=1e-9)
    assert high == pytest.approx(1, rel=1e-12)
    assert (u[0].diff().sign().diff() != 0).sum() == 15  # 1.5 mm of 5 lines/mm: a bright and a dark line each


def test_fringes_too_fine_for_the_samples_warn_and_name_those_that_do():
    with pytest.warns(fo.SamplingWarning, match="period 16 um .* aliased") as caught:
        WindowFringes(0.1, (0.0, 1 / (16 * um)))(FLAT)
    pitch = parse(str(caught[0].message).partition("use samples of ")[2], "length")
    grid = fo.Grid(GRID.shape, pitch)
    WindowFringes(0.1, (0.0, 1 / (16 * um)))(fo.plane_wave(grid, WAVELENGTH))


def test_the_phase_moves_the_fringes():
    half = WindowFringes(0.3, (0.0, 5e3), math.pi)(FLAT).intensity
    torch.testing.assert_close(half[:, :-10], WindowFringes(0.3, (0.0, 5e3))(FLAT).intensity[:, 10:])


def test_a_ghost_has_its_power_its_place_and_its_size():
    """Aside from its light: ``(1 + a^2)/(1 + a)^2`` in all; a beam there, wider by the defocus."""
    a, way, w = 0.2, 20 * mm, 0.05 * mm
    u = fo.gaussian_beam(GRID, WAVELENGTH, waist=w, dtype=torch.complex128)
    out = Ghost(a, (0.45 * mm, -0.4 * mm), way)(u)
    assert float(out.power()) == pytest.approx((1 + a**2) / (1 + a) ** 2, rel=1e-3)  # overlap of the two tails
    alone = out.data * (1 + a) - u.data
    expected = fo.gaussian_beam(GRID, WAVELENGTH, waist=w, z=way, center=(0.45 * mm, -0.4 * mm), dtype=torch.complex128)
    carrier = torch.exp(torch.tensor(-2j * math.pi * (way / WAVELENGTH % 1), dtype=torch.complex128))
    miss = (alone - a * expected.data * carrier).norm() / (a * expected.data.norm())
    assert float(miss) < 3e-5  # the closed form is paraxial: sines of 4e-3 over 20 mm


def test_a_ghost_interferes_by_its_phase():
    assert float(Ghost(0.5, phase=math.pi)(BEAM).power()) == pytest.approx((0.5 / 1.5) ** 2, rel=1e-9)


def test_dust_takes_its_area():
    """Sum of amplitude over the window: edges carry the covered part; what overlaps counts once."""
    specks = Dust([(0.3 * mm, 0.2 * mm), (-0.4 * mm, -0.1 * mm)], [60 * um, 90 * um])
    area = math.prod(GRID.extent)
    missing = 1 - float(specks(FLAT).data.real.sum() / FLAT.data.real.sum())
    assert missing * area == pytest.approx(math.pi * ((60 * um) ** 2 + (90 * um) ** 2), rel=5e-3)
    twice = Dust([(0.0, 0.0)] * 2, [100 * um] * 2)(FLAT)
    inside = fo.shapes.circle(GRID, 90 * um) == 1
    assert float(twice.data[inside].abs().max()) == 0
    drop = Dust([(0.0, 0.0)], [100 * um], 1j)(FLAT)
    torch.testing.assert_close(drop.data[inside], 1j * FLAT.data[inside])


def test_scattered_dust_is_reproducible_and_inside():
    specks = Dust.scattered(300, (1 * mm, 0.5 * mm), (5 * um, 20 * um), seed=3)
    again = Dust.scattered(300, (1 * mm, 0.5 * mm), (5 * um, 20 * um), seed=3)
    assert (specks.centers, specks.radii) == (again.centers, again.radii)
    assert Dust.scattered(300, (1 * mm, 0.5 * mm), (5 * um, 20 * um), seed=4).centers != specks.centers
    y, x = torch.tensor(specks.centers).T
    assert 0.45 * mm < float(y.abs().max()) < 0.5 * mm
    assert 0.2 * mm < float(x.abs().max()) < 0.25 * mm
    assert 5 * um <= min(specks.radii) <= max(specks.radii) <= 20 * um


def test_illumination_is_a_beam():
    """A uniform wave of 1 W on A keeps ``pi w^2 / 2A``; the beam ends in the window, so the sum is exact."""
    u = GaussianIllumination(0.2 * mm, (0.05 * mm, -0.1 * mm))(FLAT)
    assert float(u.power()) == pytest.approx(math.pi * (0.2 * mm) ** 2 / (2 * math.prod(GRID.extent)), rel=1e-6)
    beam = fo.gaussian_beam(GRID, WAVELENGTH, waist=0.2 * mm, center=(0.05 * mm, -0.1 * mm), dtype=torch.complex128)
    torch.testing.assert_close(u.data / u.data.abs().max(), beam.data / beam.data.abs().max(), rtol=0, atol=1e-9)


def test_drift_walks():
    """``var ln P = n rms^2``: over 400 walks of 9 frames it is known to sqrt(2/400) = 7 %; three times that."""
    small = fo.Field(torch.ones(1, 1, dtype=torch.complex128), fo.Grid((1, 1), 1.0), WAVELENGTH)
    draws = torch.Generator().manual_seed(0)
    walks = torch.tensor([[float(laser(small).power()) for _ in range(9)]
                          for laser in (LaserDrift(0.02, draws) for _ in range(400))]).log()  # fmt: skip
    assert float(walks[:, 0].var()) == pytest.approx(0.02**2, rel=0.21)
    assert float(walks[:, 8].var()) == pytest.approx(9 * 0.02**2, rel=0.21)
    assert float(walks.mean()) == pytest.approx(0, abs=0.01)


def test_jitter_moves_a_focus_by_its_angle():
    """RMS ``f rms`` an axis; 300 frames know it to 4 %, three times that."""
    f, rms = 0.1, 200e-6
    jitter, onto = PointingJitter(rms, 5), fo.Grid((48, 48), 20 * um)
    y, x = (torch.from_numpy(axis) for axis in onto.coordinates())
    places = []
    for _ in range(300):
        spot = fo.fourier_lens(jitter(BEAM), f, onto).intensity
        places.append([float((spot.sum(1) * y).sum() / spot.sum()), float((spot.sum(0) * x).sum() / spot.sum())])
    assert torch.tensor(places).std(0).tolist() == pytest.approx([f * rms] * 2, rel=0.12)


@pytest.mark.parametrize("make", [LaserDrift, PointingJitter])
def test_frames_differ_and_come_again(make: type[LaserDrift] | type[PointingJitter]):
    element = make(1e-3, 7)
    frames = [element(BEAM).data for _ in range(3)]
    assert not torch.equal(frames[0], frames[1])
    element.reset()
    assert all(torch.equal(element(BEAM).data, frame) for frame in frames)
    given = torch.Generator().manual_seed(7)
    other = make(1e-3, given)
    assert torch.equal(other(BEAM).data, frames[0])
    with pytest.raises(fo.GeometryError, match=r"rms = -0\.1"):
        make(-0.1)


def test_gradients_reach_amplitude_and_phase():
    small = fo.Field(BEAM.data[70:76, 70:77], fo.Grid((6, 7), 10 * um), WAVELENGTH)
    t = torch.tensor([0.3, 0.5, 1.2], dtype=torch.float64, requires_grad=True)
    for make in (
        lambda t: WindowFringes(t[0], (2e3, 0.0), t[1]),
        lambda t: Ghost(t[0], (10 * um, 0.0), 1 * mm, t[1]),
        lambda t: GaussianIllumination(50 * um * t[2], (10 * um * t[0], 0.0)),
    ):
        assert torch.autograd.gradcheck(lambda t, make=make: make(t)(small).data / 1e3, t)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WindowFringes(1.5, (0.0, 0.0)), r"amplitude = 1\.5"),
        (lambda: WindowFringes(0.1, (0.0, math.nan)), "frequency"),
        (lambda: Ghost(-0.1), r"amplitude = -0\.1"),
        (lambda: Dust([(0.0, 0.0)], []), "1 centers"),
        (lambda: Dust([(0.0, 0.0)], [1 * mm], 2.0), r"transmission = 2\.0"),
        (lambda: GaussianIllumination(0.0), r"waist = 0\.0"),
    ],
)
def test_wrong_numbers_are_named(make, message: str):
    with pytest.raises(fo.GeometryError, match=message):
        make()
