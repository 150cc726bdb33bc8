"""Sources: power, direction and phase."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

import fouroptics as fo
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.sources import axes, from_image, modulation, picture, point_source
from fouroptics.units import parse, um

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


# ---- point source ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [0.02, -0.02, 0.3])
def test_a_point_source_is_a_spherical_wave(distance: float):
    """``exp(ikr)/r`` in 80-bit floats. In complex128 half a wave of 5e5 keeps nine digits, the carrier is reduced."""
    center = (50 * um, 20 * um)
    u = point_source(GRID, WAVELENGTH, distance=distance, power=2e-3, center=center, dtype=torch.complex128)
    assert float(u.power()) == pytest.approx(2e-3, rel=1e-12)
    y, x = (axis.astype(np.longdouble) - c for axis, c in zip(GRID.coordinates(), center, strict=True))
    r = np.sqrt(y[:, None] ** 2 + x[None, :] ** 2 + np.longdouble(distance) ** 2)
    turns = np.sign(distance) * r / np.longdouble(WAVELENGTH)
    wave = (np.exp(2j * np.pi * (turns % 1).astype(float)) / r).astype(complex)
    expected = wave * math.sqrt(2e-3 / (np.abs(wave) ** 2).sum() / GRID.cell)
    np.testing.assert_allclose(u.data.numpy(), expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_single_precision_keeps_the_phase_of_a_point():
    single, double = (
        point_source(GRID, WAVELENGTH, distance=0.5, dtype=d).data for d in (torch.complex64, torch.complex128)
    )
    assert float((single - double).abs().max() / double.abs().max()) < 2e-7


def test_a_point_source_from_afar_is_a_plane_wave():
    """From 1 km the sphere leaves the plane by pi r^2/(lambda z) = 3e-4 rad at the corners, 0.22 mm off."""
    u = point_source(GRID, WAVELENGTH, distance=1e3, center=(100 * um, -30 * um), dtype=torch.complex128).data
    flat = fo.plane_wave(GRID, WAVELENGTH, dtype=torch.complex128).data
    torch.testing.assert_close(u / u[20, 25] * flat[20, 25], flat, rtol=0, atol=3e-4 * float(flat.abs().max()))


def test_a_converging_wave_meets_in_its_point():
    """There the first Rayleigh-Sommerfeld integral is ``-i A/lambda`` times the solid angle of the grid, and 1/(kr)."""
    z, center = 0.02, (8 * um, -16 * um)
    grid = fo.Grid((128, 160), 4 * um)
    u = point_source(grid, WAVELENGTH, distance=-z, center=center, dtype=torch.complex128)
    amplitude = float(u.data.abs().max()) * z
    ends = [
        [axis[0] - d / 2 - c, axis[-1] + d / 2 - c]
        for axis, d, c in zip(grid.coordinates(), grid.spacing, center, strict=True)
    ]
    solid = sum(
        sy * sx * math.atan2(y * x, z * math.hypot(y, x, z))
        for sy, y in zip((-1, 1), ends[0], strict=True)
        for sx, x in zip((-1, 1), ends[1], strict=True)
    )
    focus = fo.propagate(u, z, fo.Grid((1, 1), 1 * um, center))
    expected = -1j * amplitude / WAVELENGTH * solid
    assert complex(focus.data) == pytest.approx(expected, rel=1e-3)  # the grid ends between samples: O(d^2)


@pytest.mark.parametrize("center", [(0.0, 0.0), (300 * um, -100 * um)])
def test_a_point_too_near_warns_and_names_the_samples_that_do(center: tuple[float, float]):
    grid = fo.Grid((100, 100), 8 * um)
    with pytest.warns(SamplingWarning, match="more than pi a sample of 8 um at .* use samples of") as caught:
        point_source(grid, WAVELENGTH, distance=5e-3, center=center)
    pitch = parse(str(caught[0].message).partition("use samples of ")[2].partition(",")[0], "length")
    n = math.ceil(800 * um / pitch) - 1
    point_source(fo.Grid((n, n), pitch), WAVELENGTH, distance=5e-3, center=center)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("distance", [0.0, math.nan, math.inf])
def test_a_point_has_a_distance(distance: float):
    with pytest.raises(GeometryError, match="distance ="):
        point_source(GRID, WAVELENGTH, distance=distance)


# ---- images ----------------------------------------------------------------------------------------------------------

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 23


def test_codings_say_what_grey_means():
    """``power`` is that of white; half of the grey is a quarter of the light, half, or all of it at a quarter wave."""
    half = np.full((3, 4), 0.5)
    amplitude, intensity, phase, binary = (
        from_image(half, 8 * um, WAVELENGTH, coding=coding, power=4e-3, dtype=torch.complex128)
        for coding in ("amplitude", "intensity", "phase", "binary")
    )
    assert [float(u.power()) for u in (amplitude, intensity, phase, binary)] == pytest.approx([1e-3, 2e-3, 4e-3, 4e-3])
    assert float(phase.phase[0, 0]) == pytest.approx(math.pi / 2)
    assert amplitude.grid == fo.Grid((3, 4), 8 * um)
    white = from_image(np.ones((40, 51)), GRID, WAVELENGTH)
    torch.testing.assert_close(white.data, fo.plane_wave(GRID, WAVELENGTH).data)


@pytest.mark.parametrize(
    ("image", "largest"),
    [(GREY, 255), (GREY.astype(np.uint16) * 257, 65535), (GREY > 100, 1), (torch.from_numpy(GREY), 255)],
)
def test_integers_are_divided_by_the_largest_of_their_kind(image, largest: int):
    u = from_image(image, (8 * um, 6 * um), WAVELENGTH, power=12 * 48 * um**2)
    np.testing.assert_allclose(u.data.real.numpy(), np.asarray(image) / largest, rtol=1e-6)


def test_images_are_a_batch_and_carry_gradients():
    images = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    u = from_image(images, 8 * um, WAVELENGTH, coding="phase", dtype=torch.complex128)
    assert u.data.shape == (2, 3, 4)
    (slope,) = torch.autograd.grad(u.data.real.sum(), images)
    torch.testing.assert_close(slope, -math.pi * u.data.imag.detach())


@pytest.mark.parametrize("mode", ["L", "I;16", "1", "RGB", "RGBA", "P"])
def test_a_picture_gives_its_grey_values(mode: str, tmp_path):
    path = tmp_path / "grey.png"
    if mode == "I;16":
        Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(GREY).convert(mode, dither=Image.Dither.NONE).save(path)
    expected = GREY / 255 if mode != "1" else GREY >= 128
    np.testing.assert_allclose(picture(path).numpy(), expected, atol=1e-6 if mode != "P" else 0.15)  # its few greys
    white = 12 * (8 * um) ** 2
    torch.testing.assert_close(from_image(str(path), 8 * um, WAVELENGTH, power=white).data.real, picture(path))


def test_what_is_transparent_is_dark(tmp_path):
    Image.fromarray(np.array([[[200, 200, 200, 0], [200, 200, 200, 255]]], np.uint8)).save(tmp_path / "alpha.png")
    assert picture(tmp_path / "alpha.png").tolist() == [[0, pytest.approx(200 / 255)]]


@pytest.mark.parametrize(
    ("image", "grid", "message"),
    [
        (np.array([[0.5, 1.1]]), 8 * um, r"in \[0, 1\]"),
        (np.array([[0.5, math.nan]]), 8 * um, r"in \[0, 1\]"),
        (np.array([[1j]]), 8 * um, "must be real"),
        (GREY.astype(np.int64), 8 * um, "give bools, uint8, uint16, or floats"),
        (np.ones((3, 5, 3)), 8 * um, "looks like colours"),
        (np.ones(4), 8 * um, "give grey values"),
        (np.ones((3, 5)), GRID, r"shape of its grid, \(40, 51\)"),
        ("nowhere.png", 8 * um, "nowhere.png: is not there"),
        (__file__, 8 * um, "cannot be read as a picture"),
    ],
    ids=["above 1", "nan", "complex", "int64", "colours", "1-D", "shape", "missing", "no picture"],
)
def test_no_image_is_misread(image, grid, message: str):
    with pytest.raises(GeometryError, match=message):
        from_image(image, grid, WAVELENGTH)


def test_an_unknown_coding_is_named():
    with pytest.raises(GeometryError, match="coding = 'phases'"):
        modulation(torch.ones(1), "phases")  # pyright: ignore[reportArgumentType]
