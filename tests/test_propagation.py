"""Free space and lenses: the sums they stand for, where light lands, which limits are said aloud."""

import math
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special
from torch import Tensor

import fouroptics as fo
from fouroptics.errors import FourOpticsError, GeometryError, SamplingError, SamplingWarning
from fouroptics.light.sources import axes
from fouroptics.units import mm, nm, parse, um
from validation import exact
from validation.case import relative

WAVELENGTH = 532 * nm
PITCH = (8 * um, 8 * um)
DOUBLE = torch.complex128


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def field(data: Tensor, pitch: tuple[float, float] = PITCH, center: tuple[float, float] = (0.0, 0.0)) -> fo.Field:
    return fo.Field(data, fo.Grid((data.shape[-2], data.shape[-1]), pitch, center), WAVELENGTH)


GRID = fo.Grid((128, 128), PITCH)


def beam(
    grid: fo.Grid = GRID, z: float = 0.0, waist: float = 80 * um, sines: tuple[float, float] = (0.0, 0.0)
) -> fo.Field:
    """An exact solution, at a distance behind its waist."""
    y, x = grid.coordinates()
    return fo.Field(torch.from_numpy(exact.beam(y[:, None], x, z, WAVELENGTH, waist, sines)), grid, WAVELENGTH)


def phasor(turns: float) -> complex:
    return complex(np.exp(2j * np.pi * (turns % 1)))


def plane_waves(u: fo.Field, z: float, onto: fo.Grid, window: tuple[int, int]) -> Tensor:
    """The field in a window of so many samples as a sum of plane waves, each followed over z."""
    f = [torch.fft.fftfreq(n, d, dtype=torch.float64).numpy() for n, d in zip(window, u.grid.spacing, strict=True)]
    (y, x), (big_y, big_x) = u.grid.coordinates(), onto.coordinates()
    rows, columns = (np.exp(-2j * np.pi * np.outer(a, b)) for a, b in ((f[0], y), (f[1], x)))
    back = [np.exp(2j * np.pi * np.outer(a, b)) for a, b in ((big_y, f[0]), (f[1], big_x))]
    kz = np.sqrt(1 / WAVELENGTH**2 - f[0][:, None] ** 2 - f[1] ** 2 + 0j)
    kz = kz.real * z + 1j * kz.imag * abs(z)
    spectrum = rows @ u.data.numpy() @ columns.T * np.exp(2j * np.pi * kz) / (window[0] * window[1])
    return torch.from_numpy(back[0] @ spectrum @ back[1])


# ---- against the sums as they are defined ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 7), (8, 5)])
@pytest.mark.parametrize("z", [1e-4, -1e-4])
@pytest.mark.parametrize("pitch", [(0.7 * um, 0.9 * um), (0.2 * um, 0.15 * um)])
def test_a_periodic_field_is_a_sum_of_plane_waves(shape: tuple[int, int], z: float, pitch: tuple[float, float]):
    """float64, 1e-11: 200 turns of carrier. The finer samples carry evanescent waves, which decay both ways."""
    u = field(noise(*shape), pitch)
    assert relative(fo.angular_spectrum(u, z, pad=1).data, plane_waves(u, z, u.grid, shape)) < 1e-11


ONTO = {
    "same": fo.Grid((24, 31), PITCH),
    "moved": fo.Grid((40, 25), PITCH, (-56 * um, 24 * um)),
    "between samples": fo.Grid((30, 30), PITCH, (3 * um, 5 * um)),
    "finer": fo.Grid((50, 45), (3 * um, 5 * um), (30 * um, 0.0)),
    "coarser": fo.Grid((12, 11), (25 * um, 21 * um)),
    "one point": fo.Grid((1, 1), PITCH, (24 * um, 0.0)),
}


@pytest.mark.parametrize("name", ONTO)
@pytest.mark.parametrize("z", [0.1 * mm, -2 * mm, 10 * mm])
def test_smooth_light_is_a_sum_of_plane_waves_in_a_wide_window(name: str, z: float):
    """From 1024 samples nothing comes round. 1e-5: the tail of 1e-3 where the grid ends has no band."""
    y, x = axes(ONTO["same"])
    u = field(torch.exp(-((y / (40 * um)) ** 2) - (x / (40 * um)) ** 2 + 1j * (3 * x - 2 * y) / (40 * um)))
    out = fo.propagate(u, z, ONTO[name])
    assert out.grid == ONTO[name]
    assert relative(out.data, plane_waves(u, z, ONTO[name], (1024, 1024))) < 1e-5


@pytest.mark.parametrize(("z", "tolerance"), [(0.1 * mm, 1e-5), (-1 * mm, 1e-4), (10 * mm, 2e-3)])
def test_noise_of_the_whole_band_is_a_sum_of_plane_waves_too(z: float, tolerance: float):
    """The response at the edge of the band falls as 1/x and is cut at the end of the window; that grows with z."""
    u = field(noise(32, 35))
    assert relative(fo.propagate(u, z).data, plane_waves(u, z, u.grid, (2048, 2048))) < tolerance


@pytest.mark.parametrize("z", [4e-3, -4e-3])
@pytest.mark.parametrize("onto", [fo.Grid((7, 4), PITCH, (13 * um, -40 * um)), fo.Grid((7, 4), (5 * um, 9 * um))])
def test_rayleigh_sommerfeld_is_the_integral_as_a_sum(z: float, onto: fo.Grid):
    """float64, 1e-10: 8000 turns of the spherical wave."""
    u = field(noise(6, 9))
    (y, x), (big_y, big_x) = axes(u.grid), axes(onto)
    dy, dx = big_y[..., None, None] - y, big_x[..., None, None] - x
    r = (dy**2 + dx**2 + z**2).sqrt()
    k = 2 * math.pi / WAVELENGTH
    h = abs(z) / (2 * math.pi * r**2) * (1 / r - 1j * k) * torch.exp(1j * k * r) * u.grid.cell
    expected = ((h if z > 0 else h.conj()) * u.data).sum((-2, -1))
    assert relative(fo.rayleigh_sommerfeld(u, z, onto).data, expected) < 1e-10


@pytest.mark.parametrize("onto", [fo.Grid((10, 7), PITCH, (-43 * um, 30 * um)), fo.Grid((9, 7), (7 * um, 9 * um))])
@pytest.mark.parametrize(("z", "tolerance"), [(2 * mm, 1e-3), (-2 * mm, 1e-3), (10 * mm, 3e-4)])
def test_cells_are_squares_of_uniform_light(z: float, tolerance: float, onto: fo.Grid):
    """The sum over 20 x 20 points of each, good to 4e-4 (it is four times as far off with half as many)."""
    u, n = field(noise(8, 9)), 20
    d, (y, x) = PITCH[0] / n, u.grid.coordinates()
    first = y[0] - PITCH[0] / 2 + d / 2, x[0] - PITCH[1] / 2 + d / 2
    center = first[0] + 8 * n // 2 * d, first[1] + 9 * n // 2 * d
    points = field(u.data.repeat_interleave(n, 0).repeat_interleave(n, 1), (d, d), center)
    out = fo.propagate(u, z, onto, pixels=True)
    assert relative(out.data, fo.rayleigh_sommerfeld(points, z, onto).data) < tolerance


@pytest.mark.parametrize("z", [0.0, -0.0])
def test_no_distance_is_no_change(z: float):
    u = field(noise(16, 16))
    assert fo.propagate(u, z) is u
    assert fo.fresnel(u, z) is u
    assert relative(fo.angular_spectrum(u, z).data, u.data) < 1e-14
    for method in (fo.propagate, fo.fresnel, fo.angular_spectrum):
        moved = method(u, z, u.grid.shifted(8 * um, -16 * um)).data
        assert relative(moved[:-1, 2:], u.data[1:, :-2]) < 1e-14


def test_cells_meet_at_their_borders():
    """Over no distance a sample on a border belongs to its two or four cells in equal parts."""
    u = field(torch.ones(6, 6, dtype=DOUBLE))
    out = fo.propagate(u, 0.0, fo.Grid((9, 9), 4 * um), pixels=True)
    torch.testing.assert_close(out.data, torch.ones(9, 9, dtype=DOUBLE))


# ---- where light lands -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [0.02, 0.15, -0.02])
@pytest.mark.parametrize("sines", [(0.0, 0.002), (-0.0015, 0.0), (0.001, 0.002)])
def test_a_tilted_beam_lands_where_it_aims(z: float, sines: tuple[float, float]):
    """Positive sines go to +y, +x, by z s/sqrt(1-s^2); a hundredth of a sample."""
    grid = fo.Grid((256, 256), PITCH)
    out = fo.propagate(beam(grid, waist=120 * um, sines=sines), z)
    cosine = math.sqrt(1 - sines[0] ** 2 - sines[1] ** 2)
    for axis, s in zip(axes(grid), sines, strict=True):
        assert float((out.intensity * axis).sum() / out.intensity.sum()) == pytest.approx(z * s / cosine, abs=0.08 * um)


BEAM_ONTO = {
    "moved": fo.Grid((128, 128), PITCH, (40 * um, -80 * um)),
    "larger, odd": fo.Grid((201, 165), PITCH),
    "finer": fo.Grid((75, 64), (3 * um, 2 * um), (30 * um, 0.0)),
    "coarser": fo.Grid((40, 41), (25 * um, 21 * um)),
}


@pytest.mark.parametrize(("z", "tolerance"), [(0.01, 1e-12), (0.1, 1e-12), (1.0, 1e-7)])
@pytest.mark.parametrize("name", BEAM_ONTO)
def test_a_beam_on_any_grid(name: str, z: float, tolerance: float):
    """Against the exact solution; rounding. At 1 m much of the light passes by, and the kernel need not be right there;
    how it goes over into that takes 6e-8.
    """
    assert relative(fo.propagate(beam(), z, BEAM_ONTO[name]).data, beam(BEAM_ONTO[name], z).data) < tolerance


@pytest.mark.parametrize("z", [0.01, 0.3])
def test_a_grid_off_the_axis_changes_nothing_but_the_numbers(z: float):
    u = beam()
    moved = fo.propagate(u.replace(grid=u.grid.shifted(1e-3, -2e-3)), z)
    assert moved.grid == u.grid.shifted(1e-3, -2e-3)
    assert relative(moved.data, fo.propagate(u, z).data) < 1e-9  # the offsets of the samples are rounded differently


@pytest.mark.parametrize("z", [0.02, 0.06, 0.2, 0.8])
@pytest.mark.parametrize("shape", [(16, 256), (256, 16)])
def test_a_long_narrow_grid_is_a_part_of_a_square_one(shape: tuple[int, int], z: float):
    """The light of 16 samples, cut there, is the same whatever zeros are around it; 1e-4: of other kernels' lengths."""
    narrow, wide = beam(fo.Grid(shape, PITCH), waist=30 * um), torch.zeros(256, 256, dtype=DOUBLE)
    rows, columns = (slice(128 - n // 2, 128 - n // 2 + n) for n in shape)
    wide[rows, columns] = narrow.data
    assert relative(fo.propagate(narrow, z).data, fo.propagate(field(wide), z).data[rows, columns]) < 1e-4


@pytest.mark.parametrize(
    ("method", "other", "z", "tolerance"),
    [
        (fo.rayleigh_sommerfeld, fo.propagate, 0.1, 1e-6),  # at its shortest distance: a sum, no integral
        (fo.angular_spectrum, fo.propagate, 0.01, 1e-12),
        (fo.fresnel, fo.propagate, 0.1, 5e-6),  # the paraxial phase, z lambda^3/(4 pi^3 w^4) and some
        (fo.fraunhofer, fo.fresnel, 10.0, 4e-3),  # the phase that it drops, pi w^2/(lambda z)
    ],
)
def test_methods_agree_where_both_hold(method: Any, other: Any, z: float, tolerance: float):
    u, onto = beam(), fo.Grid((120, 110), PITCH if z < 1 else (200 * um, 300 * um), (80 * um, -40 * um))
    assert relative(method(u, z, onto).data, other(u, z, onto).data) < tolerance


def test_several_planes_are_each_one():
    """With 0 and back among them, of a batch, and onto another pitch; 1e-9: each plane alone has a shorter kernel."""
    u, distances = beam().replace(data=torch.stack([beam().data, 1j * beam(waist=60 * um).data])), [0.01, 0.0, -0.05]
    for onto in (None, BEAM_ONTO["moved"], BEAM_ONTO["finer"]):
        whole = fo.propagate(u, distances, onto)
        assert whole.data.shape == (2, 3, *whole.grid.shape)
        assert relative(fo.propagate(u, torch.tensor(distances, dtype=torch.float64), onto).data, whole.data) < 1e-12
        for i, (z, plane) in enumerate(zip(distances, fo.planes(u, distances, onto), strict=True)):
            assert plane.grid == whole.grid
            assert relative(plane.data, whole.data[:, i]) < 1e-12
            assert relative(plane.data, fo.propagate(u, z, onto).data) < 1e-9


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_beyond_its_window_angular_spectrum_warns_and_propagate_is_right():
    """A square of whole cells at 1 m; 1e-6: its closed form is paraxial."""
    u = field(torch.zeros(256, 256, dtype=DOUBLE))
    u.data[66:190, 66:190] = 1
    lines = []
    for axis in u.grid.coordinates():
        (s0, c0), (s1, c1) = (special.fresnel((axis - a) * math.sqrt(2 / WAVELENGTH)) for a in (-500 * um, 492 * um))
        lines.append((0.5 - 0.5j) * (c0 - c1 + 1j * (s0 - s1)))
    expected = torch.from_numpy(phasor(1 / WAVELENGTH) * lines[0][:, None] * lines[1])
    with pytest.warns(SamplingWarning, match=r"angular_spectrum over 1 m: .* walks 33.* mm, .* use propagate\(\)"):
        cut = fo.angular_spectrum(u, 1.0).data
    assert relative(cut, expected) > 1e-3
    assert relative(fo.propagate(u, 1.0, pixels=True).data, expected) < 1e-6


@pytest.mark.parametrize("pad", [1.125, 1.5, 2])
def test_light_that_comes_around_a_small_window_is_not_silent(pad: float):
    """The steepest light walks z tan(asin(lambda/2d)); more than the padding, and it enters on the other side."""
    u, sine = field(noise(256, 256)), WAVELENGTH / (2 * PITCH[0])
    z = (pad - 1) * 256 * PITCH[0] * math.sqrt(1 - sine**2) / sine
    fo.angular_spectrum(u, 0.99 * z, pad=pad)
    with pytest.warns(SamplingWarning, match="is cut or wraps"):
        fo.angular_spectrum(u, 1.01 * z, pad=pad)


def test_a_warning_names_what_would_do():
    """With that it is silent."""
    u, aside = beam(fo.Grid((32, 32), PITCH)), fo.Grid((8, 8), PITCH, (0.0, 10 * mm))
    with pytest.warns(SamplingWarning, match="begins 9.968 mm aside: use samples of") as caught:
        fo.propagate(u, 0.1, aside)
    fine = parse(str(caught[0].message).rpartition("samples of ")[2].removesuffix(" or less"), "length")
    fo.propagate(beam(fo.Grid((96, 96), 0.99 * fine)), 0.1, aside)  # the number is rounded
    with pytest.warns(SamplingWarning, match=r"samples the spherical wave from [\d.]+ \w+ on") as caught:
        fo.rayleigh_sommerfeld(u, 1 * mm)
    far = parse(str(caught[0].message).rpartition("from ")[2].partition(" on;")[0], "length")
    fo.rayleigh_sommerfeld(u, 1.01 * far)
    with pytest.warns(SamplingWarning, match="far field begins at") as caught:
        fo.fraunhofer(u, 0.1)
    far = parse(str(caught[0].message).rpartition("begins at ")[2].partition(";")[0], "length")
    fo.fraunhofer(u, 1.01 * far)


def test_the_warning_is_the_callers(recwarn: pytest.WarningsRecorder):
    warnings.simplefilter("always")
    fo.angular_spectrum(beam(), 1.0)
    fo.rayleigh_sommerfeld(beam(), 1e-3)
    fo.lens(beam(), 1e-3)
    fo.fourier_lens(beam(), 0.1, fo.Grid((8, 8), (1e-3, 1e-3)))
    fo.plane_wave(beam().grid, WAVELENGTH, direction=(0.5, 0))
    fo.propagate(beam(), 0.1, fo.Grid((8, 8), PITCH, (0.1, 0.0)))
    fo.fresnel(beam(fo.Grid((64, 64), 1 * um)), 50 * um)
    fo.fraunhofer(beam(), 0.1)
    assert len(recwarn) == 8
    assert [str(warning.message)[:40] for warning in recwarn if warning.filename != __file__] == []


FREE = [fo.propagate, fo.angular_spectrum, fo.fresnel, fo.rayleigh_sommerfeld, fo.fraunhofer]


@pytest.mark.parametrize("method", FREE)
@pytest.mark.parametrize("z", [math.inf, math.nan])
def test_an_endless_distance_is_refused(method: Any, z: float):
    with pytest.raises(FourOpticsError, match=r"must be finite|give a distance"):
        method(beam(), z)


def test_what_has_no_value_is_refused():
    for method in (fo.rayleigh_sommerfeld, fo.fraunhofer):
        with pytest.raises(SamplingError, match=r"z = 0(\.0)? m: .* use propagate\(\)"):
            method(beam(), 0.0)
    with pytest.raises(GeometryError, match=r"distances = \[\]"):
        fo.propagate(beam(), [])


# ---- periodic fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [60, 64])
def test_an_unpadded_window_is_periodic_onto_any_grid(n: int):
    u, z = field(noise(n, n)), 0.05
    out = fo.angular_spectrum(u, z, pad=1)
    moved = fo.angular_spectrum(u, z, u.grid.shifted(5 * 8 * um, -9 * 8 * um), pad=1)
    assert relative(moved.data, out.data.roll((-5, 9), (0, 1))) < 1e-12
    twice = fo.angular_spectrum(u, z, fo.Grid((2 * n, n), PITCH), pad=1)
    assert relative(twice.data, torch.cat([out.data] * 2).roll(n // 2, 0)) < 1e-12
    finer = fo.angular_spectrum(u, z, fo.Grid((2 * n, 2 * n), (4 * um, 4 * um)), pad=1)
    assert relative(finer.data[::2, ::2], out.data) < 1e-11


def talbot(period: float) -> float:
    """Distance over which the first orders fall behind the zeroth by one turn: exact, not paraxial."""
    return WAVELENGTH / (1 - math.sqrt(1 - (WAVELENGTH / period) ** 2))


@pytest.mark.parametrize("samples", [4, 16])
def test_a_cosine_grating_images_itself_exactly(samples: int):
    """Orders -1, 0, 1 alone meet in phase at the exact Talbot distance; half way the image is off by half a period."""
    d = 2 * um
    x = (torch.arange(64, dtype=torch.float64) - 32) * (2 * math.pi / samples)
    grating = (1 + 0.5 * torch.cos(x)).expand(8, 64)
    u, z = field(grating.to(DOUBLE), (d, d)), talbot(samples * d)
    carrier = phasor(z / WAVELENGTH)
    assert relative(fo.angular_spectrum(u, z, pad=1).data, carrier * u.data) < 1e-10
    assert relative(fo.angular_spectrum(u, z / 2, pad=1).data, phasor(z / 2 / WAVELENGTH) * (2 - u.data)) < 1e-10


def test_a_binary_grating_images_itself_only_as_far_as_it_is_paraxial():
    """Order m is late by (m^4 - m^2) (lambda/p)^2/4 turns at the exact distance, order 3 by 18 (lambda/p)^2."""
    d, n = 2 * um, 64
    comb = (torch.arange(n) % n < n // 2).to(DOUBLE).expand(4, n)
    u = field(comb, (d, d))
    z = talbot(n * d)
    out = fo.angular_spectrum(u, z, pad=1).data * phasor(-z / WAVELENGTH)
    spectrum = torch.fft.fft(out[0]) / torch.fft.fft(comb[0]).where(torch.arange(n) % 2 == 1, 1)
    late = 18 * (WAVELENGTH / (n * d)) ** 2
    assert float(spectrum[1].angle()) == pytest.approx(0, abs=1e-8)
    assert float(spectrum[3].angle()) / (2 * math.pi) == pytest.approx(-late, rel=1e-3)  # the next order of the series
    assert 1e-3 < relative(out, u.data) < 0.5


# ---- lenses ----------------------------------------------------------------------------------------------------------


def test_a_lens_is_its_phase():
    u = field(noise(20, 31))
    y, x = axes(u.grid)
    phase = -math.pi * ((y - 8 * um) ** 2 + x**2) / (WAVELENGTH * 0.1)
    expected = u.data * torch.polar(torch.ones_like(phase), phase)
    assert relative(fo.lens(u, 0.1, (8 * um, 0.0)).data, expected) < 1e-13
    assert relative(fo.lens(fo.lens(u, 0.1), -0.1).data, u.data) < 1e-13


def test_a_lens_too_steep_for_the_pitch_warns():
    """At the edge, n d/2 from the axis, its phase turns by pi a sample when f = n d^2/lambda."""
    u = beam()
    f = 128 * (8 * um) ** 2 / WAVELENGTH
    fo.lens(u, 1.01 * f)
    with pytest.warns(SamplingWarning, match="use samples of"):
        fo.lens(u, 0.99 * f)
    with pytest.warns(SamplingWarning, match="from its axis"):
        fo.lens(u, -1.01 * f, (0.0, 100 * um))


@pytest.mark.parametrize("f", [0.0, math.inf, math.nan])
def test_a_lens_has_a_focal_length(f: float):
    with pytest.raises(GeometryError, match="focal_length"):
        fo.lens(beam(), f)
    with pytest.raises(GeometryError, match="focal_length"):
        fo.fourier_lens(beam(), f)


def test_beyond_one_period_the_lens_transform_warns():
    u, f = beam(), 0.1
    half = WAVELENGTH * f / (8 * um) / 2
    fo.fourier_lens(u, f, fo.Grid((3, 3), (0.99 * half, 0.99 * half)))
    with pytest.warns(SamplingWarning, match="repeat it beyond"):
        fo.fourier_lens(u, f, fo.Grid((3, 3), (1.01 * half, 0.5 * half)))
    with pytest.warns(SamplingWarning, match="use finer samples or a smaller grid"):
        fo.fourier_lens(u, f, fo.Grid((3, 3), (1e-6, 1e-6), (0.0, -half)))


def test_thin_lens_between_two_focal_lengths_is_the_lens_transform():
    """Free space f, lens, free space f; the ideal transform lacks exp(2ikf) and, 1e-4, what is not paraxial."""
    u, f = beam(waist=100 * um), 0.1
    wide = fo.Grid((400, 400), (4 * um, 4 * um))
    out = fo.propagate(fo.lens(fo.propagate(u, f, wide), f), f, u.grid).data
    ideal = fo.fourier_lens(u, f, u.grid).data * phasor(2 * f / WAVELENGTH)
    assert relative(out, ideal) < 1e-4


@pytest.mark.parametrize("pad", [0, -1, 0.5, math.nan, math.inf])
def test_a_window_smaller_than_the_field_is_refused(pad: float):
    with pytest.raises(GeometryError, match=f"pad = {pad}"):
        fo.angular_spectrum(field(noise(4, 4)), 1 * mm, pad=pad)


def test_no_field_is_no_error():
    empty = field(noise(0, 4, 5))
    for out in (fo.propagate(empty, 0.1 * mm), fo.angular_spectrum(empty, 0.1 * mm)):
        assert tuple(out.data.shape) == (0, 4, 5)


def test_kernels_do_not_follow_the_default_device():
    u = field(noise(6, 7))
    with torch.device("meta"):
        out = fo.propagate(u, 1.2346 * mm)
    assert relative(out.data, fo.propagate(u, 1.2346 * mm).data) < 1e-12


def test_threads_work_while_the_interpreter_ends():
    """The pool takes no more work once the main thread has ended; a thread that goes on does its own."""
    script = """
import threading, time, torch, fouroptics as fo
torch.set_num_threads(2)
u = fo.Field(torch.ones(512, 512, dtype=torch.complex64), fo.Grid((512, 512), 8e-6), 532e-9)
def late():
    time.sleep(0.5)
    print(tuple(fo.propagate(u, 0.1).data.shape))
threading.Thread(target=late).start()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.strip() == "(512, 512)", run.stderr


def test_a_beam_that_its_samples_cannot_hold_warns():
    with pytest.warns(SamplingWarning, match="use samples of 6.6 um or less"):
        fo.gaussian_beam(GRID, WAVELENGTH, waist=8 * um)
    aside = fo.Grid((256, 256), 8 * um, (0.0, 4 * mm))  # the phase of the beam turns fastest far from its axis
    with pytest.warns(SamplingWarning, match="more than pi a sample"):
        fo.gaussian_beam(aside, WAVELENGTH, waist=10 * um, z=0.1)
    fo.gaussian_beam(fo.Grid((256, 256), 8 * um), WAVELENGTH, waist=10 * um, z=0.1)  # on the axis: no warning
    with pytest.raises(GeometryError, match="waist = -9"):
        fo.gaussian_beam(GRID, WAVELENGTH, waist=-10 * um)


def test_a_lens_says_what_is_wrong_with_it():
    fo.lens(field(noise(1, 8), (1 * mm, 8 * um)), 0.1)  # one sample turns nothing: no warning
    with pytest.raises(GeometryError, match="center"):
        fo.lens(field(noise(4, 4)), 0.1, (math.nan, 0.0))
    for f in (torch.tensor(0.1), -0.1, math.inf):
        with pytest.raises(GeometryError, match="focal_length"):
            fo.fourier_lens(field(noise(4, 4)), f)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("aside", "z"), [(24, 1000), (32, 1500), (-24, -1000)])
def test_the_window_of_angular_spectrum_holds_a_target_far_aside(aside: int, z: int):
    """Its band is cut on the far side no nearer to the axis than without the shift; 1e-4: what the cut leaves."""
    d = 4 * WAVELENGTH
    grid = fo.Grid((32, 32), d)
    u = fo.gaussian_beam(grid, WAVELENGTH, waist=2.5 * d, dtype=DOUBLE)
    onto = fo.Grid((8, 8), d, (0.0, aside * d))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # for light steeper than this beam's
        seen = fo.angular_spectrum(u, z * WAVELENGTH, onto, pad=3)
    assert relative(seen.data, fo.propagate(u, z * WAVELENGTH, onto).data) < 1e-4


def test_far_away_another_pitch_is_a_sum():
    """Far off, light of the samples spreads what is exact beyond the paraxial response over a grid without bound."""
    u = fo.Field(torch.ones(20, 20, dtype=DOUBLE), fo.Grid((20, 20), 4 * um), WAVELENGTH)
    onto = fo.Grid((15, 15), 2.0)
    far = fo.propagate(u, 1000.0, onto)  # in no time, and in little memory
    plan = fo.plan(u, 1000.0, onto)
    assert (plan.method, plan.cost.products) == ("sum", 20**2 * 15**2)
    assert relative(far.data, fo.rayleigh_sommerfeld(u, 1000.0, onto).data) < 1e-12
    with pytest.raises(SamplingError, match="takes a grid of"):
        fo.propagate(u, 300.0, fo.Grid((300, 300), 0.3))


def test_steep_light_of_a_fine_pitch_on_another():
    """A beam of a third of a wavelength, mostly evanescent or near grazing; 1e-6: the edges of the window."""
    grid, onto = fo.Grid((32, 32), 0.1 * WAVELENGTH), fo.Grid((21, 21), 0.4 * WAVELENGTH)
    y, x = grid.coordinates()
    u = fo.Field(torch.from_numpy(np.exp(-(y[:, None] ** 2 + x**2) / (0.35 * WAVELENGTH) ** 2) + 0j), grid, WAVELENGTH)
    expected = fo.rayleigh_sommerfeld(u, 3 * WAVELENGTH, onto)
    assert relative(fo.propagate(u, 3 * WAVELENGTH, onto).data, expected.data) < 1e-6
    with pytest.warns(SamplingWarning, match="from 1.064 um on"):
        fo.rayleigh_sommerfeld(u, 0.1 * WAVELENGTH)


@pytest.mark.parametrize("method", [fo.fresnel, fo.angular_spectrum, fo.rayleigh_sommerfeld])
@pytest.mark.parametrize("z", [[0.1, 0.2], "0.1", None])
def test_a_distance_is_a_number(method: Any, z: Any):
    with pytest.raises(GeometryError, match="z = "):
        method(field(noise(4, 4)), z)


def test_a_target_that_light_reaches_is_no_warning():
    """Its middle lies beyond the steepest light, its edge does not."""
    fo.propagate(field(noise(16, 16)), 1 * mm, fo.Grid((64, 64), 8 * um, (0.0, 300 * um)))
