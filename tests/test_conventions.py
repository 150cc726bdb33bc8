"""docs/conventions.rst as code: axes, signs and factors, once and for everything."""

import math
from typing import Any

import pytest
import torch
from conftest import centroid
from torch import Tensor
from torch.nn.functional import conv2d, pad

import fouroptics as fo
from fouroptics.light.sources import axes
from fouroptics.masks.targets import transfer
from fouroptics.units import mm, nm, um

WAVELENGTH = 633 * nm
F1, F2 = 0.2, 0.3
DOUBLE = torch.complex128


def beam(shape: tuple[int, int] = (128, 128), **options: Any) -> fo.Field:
    return fo.gaussian_beam(
        fo.Grid(shape, (8 * um, 8 * um)), WAVELENGTH, **({"waist": 80 * um, "dtype": DOUBLE} | options)
    )


def bench(shape: tuple[int, int], **parts: Any) -> fo.FourF:
    pitch = WAVELENGTH * F1 / (125 * 8 * um)  # one band is 125 panel pixels
    sections = {
        "light": {"wavelength": WAVELENGTH},
        "input": {"shape": shape, "pitch": pitch, "pixel": "point"},
        "lens1": {"focal_length": F1},
        "panel": {"preset": "generic-1080p-8um", "iris": "band"},
        "lens2": {"focal_length": F2},
        "camera": {"pitch": 5 * um},
    }
    return fo.FourF(sections | parts)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))


# ---- axes and grids --------------------------------------------------------------------------------------------------


def test_arrays_end_in_y_x_and_shapes_are_height_width():
    grid = fo.Grid((7, 5), (1 * mm, 2 * mm))
    y, x = grid.coordinates()
    assert (len(y), len(x)) == (7, 5)
    assert grid.extent == pytest.approx((7 * mm, 10 * mm))
    assert fo.shapes.rectangle(grid, (5 * mm, 10 * mm)).tolist() == [[0] * 5, *[[1] * 5] * 5, [0] * 5]  # along x


@pytest.mark.parametrize(("n", "expected"), [(4, [-2, -1, 0, 1]), (5, [-2, -1, 0, 1, 2])])
def test_sample_half_is_the_centre_in_space_and_in_frequency(n: int, expected: list[int]):
    grid = fo.Grid((n, 1), (0.5, 1.0), (10.0, 0.0))
    assert grid.coordinates()[0].tolist() == [10 + 0.5 * i for i in expected]
    assert grid.frequencies()[0].tolist() == pytest.approx([i / (0.5 * n) for i in expected])


def test_axes_before_y_x_are_a_batch():
    u = fo.Field(noise(2, 3, 16, 20), fo.Grid((16, 20), (8 * um, 8 * um)), WAVELENGTH)
    assert u.power().shape == (2, 3)
    assert fo.propagate(u, 1 * mm).data.shape == (2, 3, 16, 20)


# ---- units -----------------------------------------------------------------------------------------------------------


def test_numbers_are_si_in_python_and_carry_their_unit_in_files():
    assert 532 * nm == pytest.approx(5.32e-7, rel=1e-15)
    text = bench((8, 8)).config.to_toml()
    assert 'wavelength = "633 nm"' in text
    assert 'focal_length = "200 mm"' in text


# ---- signs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [0.01, 0.25])
def test_more_path_is_more_phase_and_the_carrier_is_kept(z: float):
    """A wide beam's axis turns by exp(+ik dz), less its Gouy phase; a quarter of a wavelength is +90 degrees."""
    u = beam((256, 256), waist=300 * um)
    here, there = (complex(fo.propagate(u, z + dz).data[128, 128]) for dz in (0, WAVELENGTH / 4))
    assert math.atan2((there / here).imag, (there / here).real) == pytest.approx(math.pi / 2, abs=1e-5)
    plane = fo.Field(torch.ones(4, 4, dtype=DOUBLE), fo.Grid((4, 4), (8 * um, 8 * um)), WAVELENGTH)
    turns = z / WAVELENGTH % 1
    carrier = complex(math.cos(2 * math.pi * turns), math.sin(2 * math.pi * turns))
    assert complex(fo.angular_spectrum(plane, z, pad=1).data[1, 2]) == pytest.approx(carrier, abs=1e-9)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_positive_frequency_travels_to_positive_x(sign: int):
    """exp(2 pi i fx x) goes by z lambda fx, to a hundredth of a sample."""
    u, z, fx = beam((256, 256)), 0.1, sign * 6e3
    _, x = axes(u.grid)
    out = fo.propagate(u.modulate(torch.exp(2j * math.pi * fx * x)), z)
    assert centroid(out) == pytest.approx((0, z * WAVELENGTH * fx), abs=0.08 * um)


def test_direction_sine_is_wavelength_times_frequency():
    u = fo.plane_wave(beam().grid, WAVELENGTH, direction=(0.0, 0.01), dtype=DOUBLE)
    step = float((u.data[0, 1] / u.data[0, 0]).angle())
    assert step == pytest.approx(2 * math.pi * 0.01 / WAVELENGTH * 8 * um, rel=1e-9)


def test_a_positive_lens_focuses():
    """Waist lambda f/(pi w) in the focus (Self, Appl. Opt. 22, 658, 1983: f' with f^2/zR^2 here 4e-3 of it)."""
    u, f = beam((256, 256), waist=400 * um), 0.05
    grid = fo.Grid((128, 128), (1 * um, 1 * um))

    def radius(out: fo.Field) -> float:
        y, x = axes(out.grid)
        return 2 * float((out.intensity * x**2).sum() / out.intensity.sum()) ** 0.5 + 0 * float(y.sum())

    fine = fo.gaussian_beam(fo.Grid((512, 512), (4 * um, 4 * um)), WAVELENGTH, waist=400 * um, dtype=DOUBLE)
    assert radius(fo.propagate(fo.lens(fine, f), f, grid)) == pytest.approx(
        WAVELENGTH * f / (math.pi * 400 * um), rel=1e-2
    )
    assert radius(fo.propagate(fo.lens(fine, -f), f)) > 1.5 * radius(u)


# ---- poses -----------------------------------------------------------------------------------------------------------


def test_a_part_turns_from_x_towards_y_and_tilts_right_handed():
    assert fo.Pose(1 * mm, 2 * mm).outside((0.0, 1 * mm)) == pytest.approx((2 * mm, 2 * mm))
    assert fo.Pose(rotation=math.pi / 2).outside((0.0, 1 * mm)) == pytest.approx((1 * mm, 0.0))
    rise_y, rise_x = fo.Pose(tilt_x=0.1, tilt_y=0.1).slope()
    assert rise_x < 0 < rise_y


def test_z_is_along_the_light():
    """The space before a lens that stands 3 mm behind its place grows by 3 mm, the space behind it shrinks.

    To 2e-5 of the peak: at the edge of the window, which cuts it, the beam is 4e-5.
    """
    beam = fo.gaussian_beam(fo.Grid((128, 128), 10 * um), WAVELENGTH, waist=0.2 * mm, dtype=DOUBLE)
    moved = fo.propagate(fo.Lens(100 * mm, pose=fo.Pose(z=3 * mm))(beam), 50 * mm)
    there = fo.propagate(fo.Lens(100 * mm)(fo.propagate(beam, 3 * mm)), 47 * mm)
    torch.testing.assert_close(moved.data, there.data, atol=1e-4 * float(there.data.abs().max()), rtol=0)


# ---- power -----------------------------------------------------------------------------------------------------------


def test_power_in_watts_is_conserved_by_free_space_and_by_the_lens_transform():
    u = beam((128, 128), power=2e-3)
    assert float((u.data.abs() ** 2).sum()) * (8 * um) ** 2 == pytest.approx(2e-3, rel=1e-9)
    assert float(fo.propagate(u, 0.05).power()) == pytest.approx(2e-3, rel=1e-9)
    assert float(fo.fourier_lens(u, F1).power()) == pytest.approx(2e-3, rel=1e-9)
    rough = fo.Field(noise(31, 40), fo.Grid((31, 40), (8 * um, 5 * um)), WAVELENGTH)
    assert float(fo.fourier_lens(rough, F1).power()) == pytest.approx(
        float(rough.power()), rel=1e-12
    )  # one whole period


# ---- the lens transform ----------------------------------------------------------------------------------------------


def test_prefactor_and_sign_of_the_lens_transform():
    """One sample at (y, x) gives dy dx/(i lambda f) exp(-2 pi i (x X + y Y)/(lambda f)); without exp(2ikf)."""
    grid = fo.Grid((5, 6), (8 * um, 10 * um))
    data = torch.zeros(5, 6, dtype=DOUBLE)
    data[4, 1] = 1  # y = 16 um, x = -20 um
    onto = fo.Grid((3, 4), (300 * um, 200 * um), (50 * um, 0.0))
    out = fo.fourier_lens(fo.Field(data, grid, WAVELENGTH), F1, onto)
    y, x = axes(onto)
    turns = -(16 * um * y - 20 * um * x) / (WAVELENGTH * F1)
    expected = 8 * um * 10 * um / (1j * WAVELENGTH * F1) * torch.exp(2j * math.pi * turns)
    torch.testing.assert_close(out.data, expected, rtol=1e-12, atol=0)


def test_a_point_of_the_back_focal_plane_is_a_frequency():
    """A wave of frequency fx comes to a focus at X = lambda f fx."""
    u = beam()
    _, x = axes(u.grid)
    out = fo.fourier_lens(u.modulate(torch.exp(2j * math.pi * 5e3 * x)), F1)
    assert centroid(out) == pytest.approx((0, WAVELENGTH * F1 * 5e3), abs=1 * nm)


# ---- the 4f bench ----------------------------------------------------------------------------------------------------

SHAPES = [(28, 28), (27, 27), (20, 31)]


@pytest.mark.parametrize("shape", SHAPES)
def test_two_lens_transforms_invert_and_change_the_sign(shape: tuple[int, int]):
    u = fo.Field(noise(*shape), fo.Grid(shape, (8 * um, 8 * um)), WAVELENGTH)
    onto = u.grid.inverted(F2 / F1)
    out = fo.fourier_lens(fo.fourier_lens(u, F1), F2, onto).data
    torch.testing.assert_close(out.flip((-2, -1)), -F1 / F2 * u.data, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_makes_the_image_upright_and_no_roll_is_needed(shape: tuple[int, int]):
    """Even sizes too: FourF returns the physical field on the inverted grid. Rounding of float64."""
    four_f = bench(shape)
    u = fo.Field(noise(*shape), four_f.input_grid, WAVELENGTH)
    out = four_f(u, torch.ones(four_f.fourier_grid.shape, dtype=DOUBLE), four_f.image_grid)
    assert out.grid == four_f.image_grid
    torch.testing.assert_close(out.data.flip((-2, -1)), -F1 / F2 * u.data, rtol=0, atol=1e-9)


def test_the_physical_field_is_inverted():
    """A point at +x, +y comes out at -x f2/f1, -y f2/f1."""
    four_f = bench((9, 9))
    data = torch.zeros(9, 9, dtype=DOUBLE)
    data[6, 8] = 1
    u = fo.Field(data, four_f.input_grid, WAVELENGTH)
    out = four_f(u, torch.ones(four_f.fourier_grid.shape, dtype=DOUBLE), four_f.image_grid)
    assert int(out.data.abs().argmax()) == 2 * 9 + 0
    y, x = four_f.image_grid.coordinates()
    pitch = four_f.input_grid.spacing[0]
    assert (y[2], x[0]) == pytest.approx((-2 * pitch * F2 / F1, -4 * pitch * F2 / F1))


@pytest.mark.parametrize(("n", "off"), [(4, 1), (5, 0)])
def test_the_frame_of_an_inverted_grid(n: int, off: int):
    """Even n: samples -n/2 + 1 .. n/2, so the centre lies one sample off; odd n: on the axis."""
    grid = fo.Grid((n, n), (2.0, 2.0)).inverted(1.5)
    assert grid.center == pytest.approx((3.0 * off, 3.0 * off))
    assert grid.coordinates()[0].tolist() == [3.0 * (i - n // 2 + off) for i in range(n)]
    even = bench((n, n)).image_grid
    assert even.center == pytest.approx((off * even.spacing[0], off * even.spacing[1]))


# ---- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_kernels_are_in_the_order_of_torch(k: int):
    """Cross-correlation; tap k//2 at the origin; zeros k//2 before and k-1-k//2 behind; the size of the input."""
    four_f, images = bench((12, 15)), noise(2, 12, 15).real
    weights = noise(3, k, k).real
    u = fo.Field(images.to(DOUBLE), four_f.input_grid, WAVELENGTH)
    out = four_f(u, transfer(weights, four_f), four_f.image_grid).data.flip((-2, -1)) * (-F2 / F1)
    before, after = k // 2, k - 1 - k // 2
    expected = conv2d(pad(images[:, None], (before, after, before, after)), weights[:, None])
    torch.testing.assert_close(out.real, expected, rtol=0, atol=1e-9)
    assert float(out.imag.abs().max()) < 1e-9


def test_tap_half_is_the_origin():
    """One tap to the right of the origin reads the pixel to the right: the image moves to the left."""
    four_f = bench((8, 8))
    taps = torch.zeros(3, 3)
    taps[1, 2] = 1
    data = torch.zeros(8, 8, dtype=DOUBLE)
    data[4, 5] = 1
    out = four_f(fo.Field(data, four_f.input_grid, WAVELENGTH), transfer(taps, four_f), four_f.image_grid)
    assert int(out.data.flip((-2, -1)).abs().argmax()) == 4 * 8 + 4


def test_scale_is_the_factor_that_makes_a_mask_passive():
    """An amplitude readout multiplies by it, an intensity readout by its square."""
    four_f, weights = bench((12, 12)), noise(3, 3).real
    exact = transfer(weights, four_f)
    scale = float(exact.abs().max())
    u = fo.Field(noise(12, 12), four_f.input_grid, WAVELENGTH)
    full, passive = (four_f(u, mask, four_f.image_grid) for mask in (exact, exact / scale))
    assert float((exact / scale).abs().max()) <= 1 + 1e-12
    torch.testing.assert_close(passive.data * scale, full.data)
    torch.testing.assert_close(passive.intensity * scale**2, full.intensity)


# ---- the panel -------------------------------------------------------------------------------------------------------


def test_a_pixel_adds_the_light_of_its_dead_area():
    """F exp(i phi') + r (1 - F) exp(i phi0); a grey level rises as the phase falls."""
    slm = fo.SLM(fo.SLMConfig(fill_factor=0.9, dead_amplitude=0.5, dead_phase=0.3, bits=8))
    phase = torch.linspace(0, 6, 50, dtype=torch.float64)
    shown = slm.realised(phase)
    expected = 0.9 * torch.exp(1j * shown) + 0.5 * 0.1 * complex(math.cos(0.3), math.sin(0.3))
    torch.testing.assert_close(slm(phase), expected)
    assert float((shown - phase).abs().max()) <= math.pi / 256 * (1 + 1e-5)  # the nearest of 256 levels, float32
    assert slm.levels(torch.tensor([0.1, 0.2])).diff().item() > 128  # uint8: a step down wraps
