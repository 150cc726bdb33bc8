"""Gratings and diffusers: the textbook's orders on any grid and at any pose, and the statistics of a rough plate."""

import math

import pytest
import torch
from scipy.special import jv

import fouroptics as fo
from fouroptics.bench.gratings import Diffuser, Grating
from fouroptics.bench.pose import Pose
from fouroptics.units import mm, nm, um

WAVELENGTH, PITCH, PERIOD = 633 * nm, 8 * um, 96 * um
GRID = fo.Grid((24, 120), PITCH)  # ten periods wide
FLAT = fo.Field(torch.ones(GRID.shape, dtype=torch.complex128), GRID, WAVELENGTH)


def order(u: fo.Field, m: float, period: float = PERIOD) -> complex:
    """Amplitude of ``exp(2 pi i m x / period)`` over whole periods."""
    x = torch.from_numpy(u.grid.coordinates()[1])
    return complex((u.data * torch.polar(torch.ones_like(x), -2 * math.pi * m * x / period)).mean())


def sinc(t: float) -> float:
    return math.sin(math.pi * t) / (math.pi * t) if t else 1.0


@pytest.mark.parametrize("m", range(-5, 6))
def test_orders_are_those_of_the_textbook(m: int):
    """All that twelve samples a period carry but the last; a sum of waves, each to rounding."""
    assert abs(order(Grating(PERIOD)(FLAT), m)) == pytest.approx(float(m == 1), abs=1e-12)
    assert abs(order(Grating(PERIOD, depth=math.pi)(FLAT), m)) == pytest.approx(abs(sinc(0.5 - m)), abs=1e-12)
    assert order(Grating(PERIOD, "binary", duty=0.3)(FLAT), m) == pytest.approx(0.3 * sinc(0.3 * m), abs=1e-12)
    assert order(Grating(PERIOD, "sinusoidal", depth=1.2)(FLAT), m) == pytest.approx(
        jv(m, 0.6), abs=1e-7
    )  # J_7 is 2e-7


def test_orders_belong_to_no_grid():
    fine = fo.Grid((24, 240), PITCH / 2)
    twice = Grating(PERIOD, "binary")(fo.Field(torch.ones(fine.shape, dtype=torch.complex128), fine, WAVELENGTH))
    once = Grating(PERIOD, "binary")(FLAT)
    for m in range(-5, 6):
        assert order(twice, m) == pytest.approx(order(once, m), abs=1e-12)
    assert abs(order(twice, 9)) == pytest.approx(1 / (9 * math.pi), abs=1e-12)


def test_blazed_samples_are_a_saw_tooth():
    """Away from its steps the series nears ``exp(i depth frac(x/period))``, by 1/(pi M) of the step of M orders."""
    fine = fo.Grid((1, 4800), PERIOD / 480)
    made = Grating(PERIOD, depth=3.0)(fo.Field(torch.ones(fine.shape, dtype=torch.complex128), fine, WAVELENGTH))
    turns = torch.from_numpy(fine.coordinates()[1]) / PERIOD % 1
    away = (turns > 0.1) & (turns < 0.9)
    assert float((made.data[0] - torch.polar(torch.ones_like(turns), 3 * turns)).abs()[away].max()) < 0.01


def test_moving_a_grating_turns_its_orders():
    """By ``exp(-2 pi i m d / period)``, the way a lab shifts a phase."""
    moved = Grating(PERIOD, "binary", pose=Pose(PERIOD / 8))(FLAT)
    for m in (1, -1, 3):
        assert order(moved, m) / (0.5 * sinc(m / 2)) == pytest.approx(
            complex(math.cos(t := -math.pi * m / 4), math.sin(t))
        )


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2, -2.0])
def test_a_turned_grating_sends_its_light_there(angle: float):
    """A blaze is a wave of the sine ``lambda / period`` towards `rotation`; behind a lens, a spot at f times that."""
    grid = fo.Grid((128, 128), PITCH)
    u = fo.gaussian_beam(grid, WAVELENGTH, waist=0.2 * mm, dtype=torch.complex128)
    far = 0.1 * WAVELENGTH / PERIOD
    there = fo.Grid((1, 1), 1 * um, (far * math.sin(angle), far * math.cos(angle)))
    straight = fo.fourier_lens(u, 0.1, fo.Grid((1, 1), 1 * um))
    bent = fo.fourier_lens(Grating(PERIOD, pose=Pose(rotation=angle))(u), 0.1, there)
    torch.testing.assert_close(bent.data, straight.data, rtol=1e-9, atol=0)


def test_a_tilted_grating_is_finer():
    """Seen along the axis its period is shorter by the cosine."""
    pose = Pose(tilt_y=math.acos(0.75))
    made = Grating(PERIOD / 0.75).act(FLAT, pose)
    assert abs(order(made, 1)) == pytest.approx(1, abs=1e-9)


def test_gradients_reach_depth_and_place():
    def first(t: torch.Tensor) -> torch.Tensor:
        pose = Pose(10 * um * t[1], rotation=0.2 + 0.1 * t[2])
        both = [Grating(PERIOD, kind, depth=2 + t[0], pose=pose)(FLAT).data for kind in ("blazed", "sinusoidal")]
        return torch.stack(both)[:, ::6, ::20]

    assert torch.autograd.gradcheck(first, torch.zeros(3, dtype=torch.float64, requires_grad=True))


def test_periods_too_fine_and_wrong_numbers_are_named():
    Grating(2.01 * PITCH)(FLAT)
    with pytest.warns(fo.SamplingWarning, match=r"15 um, holds 1\.8[78] samples .* needs 2: use samples of 7\.42 um"):
        Grating(15 * um)(FLAT)
    with pytest.warns(fo.SamplingWarning, match="needs 14"):
        Grating(PERIOD, "sinusoidal", depth=10.0)(FLAT)
    with pytest.raises(fo.GeometryError, match="duty = 1"):
        Grating(PERIOD, "binary", duty=1)
    with pytest.raises(fo.GeometryError, match="a blazed grating has no duty"):
        Grating(PERIOD, duty=0.3)
    with pytest.raises(fo.GeometryError, match="a binary grating has no depth"):
        Grating(PERIOD, "binary", depth=1.0)
    with pytest.raises(fo.GeometryError, match="kind = 'blaze'"):
        Grating(PERIOD, "blaze")  # pyright: ignore[reportArgumentType]


# ---- diffusers -------------------------------------------------------------------------------------------------------

ROUGH = fo.Grid((401, 401), PITCH)
PLATE = Diffuser(0.8, 8 * PITCH, seed=1)


def behind(plate: Diffuser, grid: fo.Grid = ROUGH) -> torch.Tensor:
    return plate(fo.Field(torch.ones(grid.shape, dtype=torch.complex128), grid, WAVELENGTH)).data


@pytest.mark.parametrize("shape", [(1, 1), (64, 1)])
def test_lines_that_one_sample_cannot_show_are_an_error(shape: tuple[int, int]):
    column = fo.Field(torch.ones(shape, dtype=torch.complex128), fo.Grid(shape, PITCH), WAVELENGTH)
    with pytest.raises(fo.SamplingError, match="one sample across"):
        Grating(PERIOD)(column)


def test_a_plate_is_the_same_on_every_grid_and_for_a_seed():
    coarse = fo.Grid((101, 101), 4 * PITCH, (4 * PITCH, 0.0))
    finer = behind(PLATE)[2::4, 0::4][:100]
    torch.testing.assert_close(
        behind(PLATE, fo.Grid((100, 101), 4 * PITCH, (2 * PITCH, 0.0))), finer, rtol=0, atol=1e-9
    )
    assert torch.equal(behind(Diffuser(0.8, 8 * PITCH, seed=1), coarse), behind(PLATE, coarse))
    assert float((behind(Diffuser(0.8, 8 * PITCH, seed=2), coarse) - behind(PLATE, coarse)).abs().mean()) > 0.5


def test_a_plate_turns_and_moves_with_its_pose():
    """A quarter of a turn is that of the samples; the sum over waves and the product of matrices are one."""
    small = fo.Grid((41, 41), PITCH)
    turned = behind(Diffuser(0.8, 8 * PITCH, seed=1, pose=Pose(rotation=math.pi / 2)), small)
    torch.testing.assert_close(turned, behind(PLATE, small).rot90(-1), rtol=0, atol=1e-9)
    moved = behind(Diffuser(0.8, 8 * PITCH, seed=1, pose=Pose(3 * PITCH)), small)
    torch.testing.assert_close(moved[:, 3:], behind(PLATE, small)[:, :-3], rtol=0, atol=1e-9)


def test_the_statistics_are_those_of_a_gaussian_process():
    """2500 areas of correlation know moments to 2 %, 256 waves know a slope to 4 %; ``<t> = exp(-rms^2/2)``."""
    height = behind(PLATE).angle()  # 0.8 rad RMS: five of a million beyond pi
    assert float(height.std()) == pytest.approx(0.8, rel=0.04)
    assert abs(complex(behind(PLATE).mean())) == pytest.approx(math.exp(-0.32), abs=0.03)
    for axis in (0, 1):
        pairs = height.narrow(axis, 0, 393) * height.narrow(axis, 8, 393)
        assert float(pairs.mean() / height.square().mean()) == pytest.approx(math.exp(-1), abs=0.05)
        slope = (height.diff(dim=axis) / PITCH).square().mean().sqrt()
        assert float(slope) == pytest.approx(0.8 * math.sqrt(2) / (8 * PITCH), rel=0.1)


def test_a_plate_too_rough_for_its_samples_warns():
    with pytest.warns(fo.SamplingWarning, match="1.41 rad RMS from one sample of 8 um .* use samples of 5.6 um"):
        behind(Diffuser(1.0, PITCH))
    with pytest.raises(fo.GeometryError, match="correlation = 0"):
        Diffuser(1.0, 0)
