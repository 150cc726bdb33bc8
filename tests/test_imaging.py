"""Imaging: against brute-force sums, against each other, and what they warn of."""

import math
import re

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

import fouroptics as fo
from fouroptics.light.sources import axes
from fouroptics.light.zernike import noll
from fouroptics.units import mm, nm, parse, um
from fouroptics.waves.imaging import coherent, incoherent, mtf, otf, prepared, psf, strehl
from fouroptics.waves.lenses import focal_grid

WAVELENGTH, F = 500 * nm, 0.2
SCALE = WAVELENGTH * F  # 1e-7 m^2: a pupil of 1 mm has its cut-off at 10 cycles/mm
SHAPES = [((8, 8), (0.0, 0.0)), ((7, 10), (0.0, 0.0)), ((6, 9), (0.3 * mm, -1.1 * mm))]


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def field(data: torch.Tensor, pitch: float = 50 * um, center: tuple[float, float] = (0.0, 0.0)) -> fo.Field:
    ny, nx = data.shape[-2:]
    return fo.Field(data, fo.Grid((ny, nx), pitch, center), WAVELENGTH)


def disk(n: int = 40, radius: float = 1 * mm) -> fo.Field:
    """Circle that fills its grid of n x n samples."""
    grid = fo.Grid((n, n), 2 * radius / n, (radius / n, radius / n))
    return fo.Field(fo.shapes.circle(grid, radius), grid, WAVELENGTH)


def soft(n: int = 80, waist: float = 0.5 * mm, pitch: float = 60 * um) -> fo.Field:
    """Gaussian pupil: its PSF is a Gaussian with a 1/e^2 radius of lambda f / (pi w), 64 um."""
    return fo.gaussian_beam(fo.Grid((n, n), pitch), WAVELENGTH, waist=waist, dtype=torch.complex128)


# ---- psf -------------------------------------------------------------------------------------------------------------


def test_psf_has_the_power_of_the_pupil_and_its_peak_the_square_of_the_sum():
    """Parseval over one period; float64, 1e-12 for rounding."""
    pupil = field(noise(2, 7, 10))
    onto = fo.Grid((14, 20), (SCALE / (14 * 50 * um), SCALE / (20 * 50 * um)))
    spread = psf(pupil, F, onto)
    torch.testing.assert_close(spread.sum((-2, -1)) * onto.cell, pupil.power(), rtol=1e-12, atol=0)
    peak = (pupil.data.sum((-2, -1)).abs() * pupil.grid.cell / SCALE) ** 2
    torch.testing.assert_close(spread[:, 7, 10], peak, rtol=1e-12, atol=0)


def test_psf_moves_to_where_a_tilt_sends_it():
    """exp(2 pi i fx x) with fx > 0 travels to +x and comes to lambda f fx."""
    light = fo.plane_wave(fo.Grid((16, 16), 50 * um), WAVELENGTH, direction=(-2e-3, 1e-3))
    spread = psf(light, F, fo.Grid((33, 33), 50 * um))
    assert divmod(int(spread.argmax()), 33) == (16 - 8, 16 + 4)  # -0.4 mm and 0.2 mm


def test_psf_warns_beyond_its_period():
    with pytest.warns(fo.SamplingWarning, match="use finer samples or a smaller grid"):
        psf(field(noise(8, 8)), F, fo.Grid((8, 8), 260 * um))  # the period is 2 mm
    psf(field(noise(8, 8)), F, fo.Grid((8, 8), 250 * um))


# ---- otf and mtf -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "center"), SHAPES)
def test_otf_is_the_linear_autocorrelation(shape: tuple[int, int], center: tuple[float, float]):
    """Every shift of the samples, sign and conjugate included; float64, 1e-12 of 1 for rounding."""
    pupil = field(noise(*shape), center=center)
    p = pupil.data.numpy()
    expected = convolve2d(p.conj(), p[::-1, ::-1]) / (np.abs(p) ** 2).sum()  # sum_x p(x) p*(x + s)
    grid, values = otf(pupil, F)
    np.testing.assert_allclose(values.numpy(), expected, rtol=0, atol=1e-12)
    assert complex(values[shape[0] - 1, shape[1] - 1]) == pytest.approx(1, abs=1e-12)
    assert grid.spacing == pytest.approx((50 * um / SCALE, 50 * um / SCALE), rel=1e-12)
    assert grid.center == (0, 0)


def test_otf_of_a_tilted_gaussian_on_any_frequencies():
    """``exp(-(lambda f v)^2/(2 w^2) - 2 pi i v X)`` for a PSF at X: the sign of the field transforms.

    Between the multiples of d/(lambda f) too; 1e-9: the grid cuts the pupil at exp(-23).
    """
    onto = fo.Grid((5, 4), (700.0, 900.0), (300.0, -1100.0))  # cycles/m; the samples give multiples of 600
    at_y, at_x = -50 * um, 200 * um
    pupil = soft()
    y, x = axes(pupil.grid)
    turns = (at_y * y + at_x * x) / SCALE
    grid, values = otf(pupil.modulate(torch.polar(torch.ones_like(turns), 2 * math.pi * turns)), F, onto)
    fy, fx = axes(grid)
    turns = -(fy * at_y + fx * at_x)
    size = torch.exp(-((SCALE / (0.5 * mm)) ** 2) * (fy**2 + fx**2) / 2)
    assert grid == onto
    torch.testing.assert_close(values, torch.polar(size, 2 * math.pi * turns), rtol=0, atol=1e-9)


def test_otf_ends_at_the_cutoff():
    """A pupil of 7 samples in a grid of 16: nothing from a shift of 7 samples on, and no period beyond the grid."""
    data = torch.zeros(16, 16, dtype=torch.complex128)
    data[3:10, 5:12] = noise(7, 7)
    step = 50 * um / SCALE
    values = otf(field(data), F, fo.Grid((101, 101), step))[1].abs()
    off = torch.arange(-50, 51).abs()
    beyond = (off[:, None] >= 7) | (off[None, :] >= 7)
    assert float(values[beyond].max()) < 1e-13
    assert float(values[50 + 6, 50 + 6]) > 1e-6


def test_mtf_of_a_disk():
    """First order in the edge, 0.332 d/R (validation/imaging.py), here 0.017; and both precisions agree."""
    pupil = disk()
    grid, values = mtf(pupil, F)
    s = (torch.from_numpy(grid.coordinates()[1]).abs() * SCALE / (2 * mm)).clamp_max(1)
    exact = 2 / math.pi * (s.acos() - s * (1 - s * s).sqrt())
    assert float((values[values.shape[0] // 2] - exact).abs().max()) < 0.332 / 20
    single = mtf(pupil.to(torch.complex64), F)[1]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), values, rtol=0, atol=1e-6)


def test_pupils_come_in_batches():
    data, onto = noise(2, 3, 6, 6), fo.Grid((4, 5), 600.0)
    torch.testing.assert_close(otf(field(data), F)[1][1, 2], otf(field(data[1, 2]), F)[1])
    torch.testing.assert_close(otf(field(data), F, onto)[1][1, 2], otf(field(data[1, 2]), F, onto)[1])
    torch.testing.assert_close(strehl(field(data))[1, 2], strehl(field(data[1, 2])))


@pytest.mark.parametrize("f", [0.0, -0.2, math.nan])
def test_a_focal_length_is_positive(f: float):
    for function in (psf, otf, mtf):
        with pytest.raises(fo.GeometryError, match="focal_length"):
            function(disk(), f)
    with pytest.raises(fo.GeometryError, match="focal_length"):
        incoherent(torch.ones(8, 8), fo.Grid((8, 8), 5 * um), disk(), f)


# ---- incoherent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "center"), SHAPES)
def test_incoherent_is_the_linear_convolution_with_the_psf(shape: tuple[int, int], center: tuple[float, float]):
    """Every sample against scipy's direct sum, wherever the grid lies; 1e-12 of the largest for rounding."""
    grid, pupil = fo.Grid(shape, 30 * um, center), field(noise(12, 10))
    image = noise(*shape).abs()
    ny, nx = shape
    kernel = psf(pupil, F, fo.Grid((2 * ny - 1, 2 * nx - 1), 30 * um)) * grid.cell / pupil.power()
    expected = convolve2d(image.numpy(), kernel.numpy())[ny - 1 : 2 * ny - 1, nx - 1 : 2 * nx - 1]
    np.testing.assert_allclose(incoherent(image, grid, pupil, F).numpy(), expected, rtol=0, atol=1e-12 * expected.max())


def test_a_point_becomes_the_psf_and_keeps_its_power():
    """A PSF of 64 um in a grid of 0.8 mm loses exp(-2 (400/64)^2), nothing; 1e-10 leaves room for rounding."""
    grid, pupil = fo.Grid((80, 81), 10 * um), soft()
    image = torch.zeros(80, 81, dtype=torch.float64)
    image[40, 40] = 3.0
    seen = incoherent(image, grid, pupil, F)
    torch.testing.assert_close(seen, 3 * psf(pupil, F, grid) * grid.cell / pupil.power(), rtol=0, atol=1e-12)
    assert float(seen.sum()) == pytest.approx(3.0, rel=1e-10)


def test_nothing_comes_in_from_the_other_side():
    """A point in a corner loses three quarters of its light and leaves the opposite corner dark."""
    grid, image = fo.Grid((80, 80), 10 * um), torch.zeros(80, 80, dtype=torch.float64)
    image[0, 0] = 1.0
    seen = incoherent(image, grid, soft(), F)
    assert float(seen[40:, 40:].max()) < 1e-12 * float(seen.max())
    row = math.sqrt(2 / math.pi) / (SCALE / (math.pi * 0.5 * mm)) * 10 * um  # line through the middle of the Gaussian
    assert float(seen.sum()) == pytest.approx(((1 + row) / 2) ** 2, rel=1e-9)


def test_incoherent_light_is_never_negative_and_stays_linear():
    """Rounding makes float32 dip below zero by 1e-8; a signed difference of two images is left as it is."""
    grid, pupil = fo.Grid((64, 64), 10 * um), soft().to(torch.complex64)
    image = torch.zeros(64, 64)
    image[20:30, 20:44] = 1e4
    seen = incoherent(image, grid, pupil, F)
    assert seen.dtype == torch.float32
    assert float(seen.min()) >= 0
    torch.testing.assert_close(incoherent(-image, grid, pupil, F), -seen, rtol=0, atol=1e-2)  # 1e-6 of the peak
    assert float(incoherent(-image, grid, pupil, F).min()) < -5e3


def test_images_and_pupils_broadcast():
    grid, pupil, images = fo.Grid((8, 9), 30 * um), field(noise(3, 12, 10)), noise(2, 1, 8, 9).abs()
    seen = incoherent(images, grid, pupil, F)
    assert seen.shape == (2, 3, 8, 9)
    one = incoherent(images[1, 0], grid, field(pupil.data[2]), F)
    torch.testing.assert_close(seen[1, 2], one, rtol=1e-12, atol=1e-12)


def test_incoherent_light_of_points_is_the_sum_of_coherent_images():
    """Two definitions of one bench, f1 = f2: intensities of the points one by one, and the PSF; inverted alike."""
    grid, pupil = fo.Grid((9, 8), 20 * um), field(noise(24, 20))
    objects = noise(9, 8).abs()
    seen = torch.zeros(9, 8, dtype=torch.float64)
    for i, j in ((0, 0), (4, 3), (8, 1)):
        point = torch.zeros(9, 8, dtype=torch.complex128)
        point[i, j] = objects[i, j].sqrt()
        seen += coherent(fo.Field(point, grid, WAVELENGTH), pupil, F, F).intensity
    kept = torch.zeros(9, 8, dtype=torch.float64)
    for i, j in ((0, 0), (4, 3), (8, 1)):
        kept[i, j] = objects[i, j]
    ideal = kept.flip((-2, -1))  # on the inverted grid
    factor = pupil.power() * grid.cell / SCALE**2  # what a point of one cell sends through the pupil
    torch.testing.assert_close(seen, incoherent(ideal, grid.inverted(), pupil, F) * factor, rtol=1e-10, atol=1e-12)


def test_incoherent_names_what_the_grids_do_not_hold():
    pupil = disk()  # 2 mm: periods down to 50 um
    with pytest.warns(fo.SamplingWarning, match=r"down to 50 um, samples of 30 um .* use samples of 25 um"):
        incoherent(torch.ones(8, 8), fo.Grid((8, 8), 30 * um), pupil, F)
    with pytest.warns(fo.SamplingWarning, match="finer samples or a smaller grid"):  # the PSF repeats after 2 mm
        incoherent(torch.ones(50, 50), fo.Grid((50, 50), 25 * um), pupil, F)
    incoherent(torch.ones(40, 40), fo.Grid((40, 40), 25 * um), pupil, F)
    with pytest.raises(fo.GeometryError, match="does not end in the shape"):
        incoherent(torch.ones(8, 9), fo.Grid((9, 8), 25 * um), pupil, F)


# ---- coherent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "center"), SHAPES)
def test_an_open_pupil_inverts_with_the_sign_of_the_field(shape: tuple[int, int], center: tuple[float, float]):
    """A sum over one whole period is exact; 1e-11 for rounding."""
    u, f2 = field(noise(2, *shape), center=center), 0.3
    pupil = fo.Field(torch.ones(80, 80), fo.Grid((80, 80), SCALE / (80 * 50 * um)), WAVELENGTH)
    out = coherent(u, pupil, F, f2)
    torch.testing.assert_close(out.data.flip((-2, -1)), -F / f2 * u.data, rtol=0, atol=1e-11)
    position, inverted = u.grid.coordinates(), out.grid.coordinates()
    for before, after in zip(position, inverted, strict=True):
        np.testing.assert_allclose(after[::-1], -f2 / F * before, rtol=1e-12, atol=1e-15)


def test_a_pupil_is_a_convolution():
    """exp(-2 pi i X x0 / (lambda f1)) moves the object by +x0, here by two samples, and the image by -x0."""
    u = field(noise(16, 16))
    grid = fo.Grid((32, 32), SCALE / (32 * 50 * um))
    _, x = axes(grid)
    turns = (-x * 100 * um / SCALE).expand(32, 32)
    pupil = fo.Field(torch.polar(torch.ones_like(turns), 2 * math.pi * turns), grid, WAVELENGTH)
    out = coherent(u, pupil, F, F).data.flip((-2, -1))
    torch.testing.assert_close(out[:, 2:], -u.data[:, :-2], rtol=0, atol=1e-11)


def test_coherent_broadcasts_and_takes_any_grid():
    u, masks = field(noise(2, 1, 8, 8)), noise(3, 20, 20)
    pupil = fo.Field(masks, fo.Grid((20, 20), 100 * um), WAVELENGTH)
    onto = fo.Grid((5, 6), 40 * um, (0.1 * mm, 0.0))
    out = coherent(u, pupil, F, F, onto)
    assert out.grid == onto
    assert out.data.shape == (2, 3, 5, 6)
    one = coherent(field(u.data[1, 0]), pupil.replace(data=masks[2]), F, F, onto)
    torch.testing.assert_close(out.data[1, 2], one.data)


def test_coherent_names_what_the_grids_do_not_hold():
    u, wide = field(noise(8, 8)), field(noise(50, 50))  # the spectrum of samples of 50 um repeats after 2 mm
    with pytest.warns(fo.SamplingWarning, match="fourier_lens"):
        coherent(u, wide, F, F)
    with pytest.raises(fo.GeometryError, match="633 nm"):
        coherent(u.replace(wavelength=633 * nm), u, F, F)


# ---- strehl ----------------------------------------------------------------------------------------------------------


def test_strehl_of_a_defocused_gaussian():
    """``1/(1 + b^2 w^4)`` for a phase ``b r^2`` under ``exp(-r^2/w^2)``; smooth, so exact but for rounding."""
    pupil, b = soft(), 3 / mm**2
    y, x = axes(pupil.grid)
    phase = b * (y**2 + x**2)
    aberrated = pupil.modulate(torch.polar(torch.ones_like(phase), phase))
    assert float(strehl(aberrated)) == pytest.approx(1 / (1 + (b * (0.5 * mm) ** 2) ** 2), rel=1e-10)
    assert float(strehl(pupil)) == pytest.approx(1, rel=1e-12)


def test_strehl_is_the_ratio_of_the_peaks_and_near_marechal():
    """Maréchal's ``exp(-variance)`` misses terms of the fourth order: 0.3^4 = 8e-3."""
    pupil, axis = disk(), fo.Grid((1, 1), 1 * um)
    y, x = axes(pupil.grid)
    phase = 0.3 * noll(11, y / mm, x / mm)
    aberrated = pupil.modulate(torch.polar(torch.ones_like(phase), phase))
    ratio = float(strehl(aberrated))
    assert ratio == pytest.approx(float(psf(aberrated, F, axis) / psf(pupil, F, axis)), rel=1e-12)
    assert ratio == pytest.approx(math.exp(-0.09), abs=8e-3)


# ---- gradients -------------------------------------------------------------------------------------------------------


def test_gradients_reach_the_pupil_and_the_object():
    """Against finite differences in float64."""
    grid, frequencies = fo.Grid((4, 5), 100 * um), fo.Grid((3, 3), 400.0)
    image = noise(4, 5).abs().requires_grad_()
    data = noise(4, 4).requires_grad_()

    def of(function):
        return lambda d, *rest: function(field(d), *rest)

    assert torch.autograd.gradcheck(of(lambda p: psf(p, F, grid)), data)
    assert torch.autograd.gradcheck(of(lambda p: otf(p, F, frequencies)[1]), data)
    assert torch.autograd.gradcheck(of(strehl), data)
    assert torch.autograd.gradcheck(of(lambda p, i: incoherent(i, grid, p, F)), (data, image))
    assert torch.autograd.gradcheck(
        of(lambda p, u: coherent(field(u), p, F, F).data), (data, noise(4, 4).requires_grad_())
    )


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (9, 9)])
def test_a_prepared_4f_is_the_two_lens_transforms(shape: tuple[int, int]):
    """Against the sums onto the same grid, any pupil, unequal lenses; float64 rounding. Gradients reach the pupil."""
    noise = torch.Generator().manual_seed(0)
    u = fo.Field(torch.randn(2, *shape, dtype=torch.complex128, generator=noise), fo.Grid(shape, 5 * um), WAVELENGTH)
    focal = fo.fourier_lens(u, 0.2).grid
    data = torch.randn(*shape, dtype=torch.complex128, generator=noise, requires_grad=True)
    pupil = fo.Field(data, focal, WAVELENGTH)
    spectrum = fo.fourier_lens(u, 0.2, focal).modulate(data)
    expected = fo.fourier_lens(spectrum, 0.3, u.grid.inverted(0.3 / 0.2))
    ours = coherent(u, pupil, 0.2, 0.3)
    assert ours.grid == expected.grid
    torch.testing.assert_close(ours.data, expected.data, rtol=1e-11, atol=1e-11)
    seen, there = (torch.autograd.grad(field.intensity.sum(), data)[0] for field in (ours, expected))
    torch.testing.assert_close(seen, there, rtol=1e-10, atol=1e-10)


def test_a_prepared_4f_refuses_what_it_was_not_made_for():
    u = fo.Field(torch.ones(8, 8), fo.Grid((8, 8), 5 * um), WAVELENGTH)
    pupil = fo.Field(torch.ones(8, 8), fo.fourier_lens(u, 0.2).grid, WAVELENGTH)
    with pytest.raises(fo.GeometryError, match="pupil"):
        prepared(pupil, u, 0.3, 0.2)
    with pytest.raises(fo.GeometryError, match="prepared for"):
        prepared(pupil, u, 0.2, 0.2)(u.replace(grid=fo.Grid((8, 8), 6 * um)))


def test_a_pupil_too_coarse_for_the_object_warns_of_its_ghost():
    """Samples of the pupil twice as far apart repeat the object twice as near: what is aside appears in the middle."""
    u = field(torch.zeros(8, 16, dtype=torch.complex128))
    u.data[4, 13] = 1
    fine = focal_grid(u, F)
    coarse = fo.Grid((8, 8), (fine.spacing[0], 2 * fine.spacing[1]))
    middle = fo.Grid((8, 7), 50 * um)
    with pytest.warns(fo.SamplingWarning, match="repeat the object every 400 um") as caught:
        image = coherent(u, fo.Field(torch.ones(8, 8), coarse, WAVELENGTH), F, F, middle)
    assert image.power() > 0.1 * u.power()
    (needed,) = re.findall(r"pupil samples of ([0-9.]+ um) or less", str(caught[0].message))
    enough = fo.Grid((8, 11), (fine.spacing[0], parse(needed, "length")))
    seen = coherent(u, fo.Field(torch.ones(8, 11), enough, WAVELENGTH), F, F, middle)  # no warning
    assert seen.power() < 0.01 * image.power()


@pytest.mark.parametrize(("f1", "f2", "name"), [(0.0, F, "f1"), (F, 0.0, "f2"), (F, math.nan, "f2"), (-F, F, "f1")])
def test_a_4f_names_the_lens_that_is_none(f1: float, f2: float, name: str):
    u = field(noise(4, 4))
    with pytest.raises(fo.GeometryError, match=f"{name} = "):
        coherent(u, u, f1, f2)
    with pytest.raises(fo.GeometryError, match=f"{name} = "):
        prepared(u, u, f1, f2)
