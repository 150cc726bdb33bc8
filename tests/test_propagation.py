"""Free space and lenses: laws, methods, limits, and the traps that other packages fell into."""

import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.light.sources import axes
from fouroptics.units import um
from fouroptics.waves import kernels, propagation
from fouroptics.waves.kernels import transfer_function
from validation import space
from validation.case import relative

WAVELENGTH = 532e-9
PITCH = (8 * um, 8 * um)
DOUBLE = torch.complex128


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def beam(shape: tuple[int, int] = (128, 128), z: float = 0.0, waist: float = 80 * um, **options: object) -> fo.Field:
    return fo.gaussian_beam(fo.Grid(shape, PITCH), WAVELENGTH, waist=waist, z=z, **({"dtype": DOUBLE} | options))  # pyright: ignore[reportArgumentType]


def field(data: Tensor, pitch: tuple[float, float] = PITCH, center: tuple[float, float] = (0.0, 0.0)) -> fo.Field:
    return fo.Field(data, fo.Grid((data.shape[-2], data.shape[-1]), pitch, center), WAVELENGTH)


def periodic(u: fo.Field, z: float | Tensor) -> fo.Field:
    return fo.angular_spectrum(u, z, pad=1)


def phasor(turns: float) -> complex:
    return complex(np.exp(2j * np.pi * (turns % 1)))


# ---- against the sums as they are defined ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 7), (8, 5)])
@pytest.mark.parametrize("z", [1e-4, -1e-4])
def test_angular_spectrum_is_a_sum_of_plane_waves(shape: tuple[int, int], z: float):
    """float64, 1e-11: 200 turns of carrier."""
    u = field(noise(*shape), (0.7 * um, 0.9 * um))
    (y, x), (fy, fx) = u.grid.coordinates(), u.grid.frequencies()
    rows, columns = np.exp(2j * np.pi * np.outer(y, fy)), np.exp(2j * np.pi * np.outer(x, fx))
    spectrum = rows.conj().T @ u.data.numpy() @ columns.conj() / u.data.numel()
    kz = 2 * np.pi * np.sqrt(1 / WAVELENGTH**2 - fy[:, None] ** 2 - fx[None, :] ** 2)
    expected = rows @ (spectrum * np.exp(1j * kz * z)) @ columns.T
    assert relative(periodic(u, z).data, torch.from_numpy(expected)) < 1e-11


@pytest.mark.parametrize("z", [4e-3, -4e-3])
@pytest.mark.parametrize("center", [(0.0, 0.0), (13 * um, -40 * um)])
def test_rayleigh_sommerfeld_is_the_integral_as_a_sum(z: float, center: tuple[float, float]):
    """float64, 1e-10: 8000 turns of the spherical wave. No half pixel is lost, on the same grid or on another."""
    u = field(noise(6, 9))
    onto = fo.Grid((7, 4), PITCH, center)
    (y, x), (big_y, big_x) = axes(u.grid), axes(onto)
    dy, dx = big_y[..., None, None] - y, big_x[..., None, None] - x
    r = (dy**2 + dx**2 + z**2).sqrt()
    k = 2 * math.pi / WAVELENGTH
    h = abs(z) / (2 * math.pi * r**2) * (1 / r - 1j * k) * torch.exp(1j * k * r) * u.grid.cell
    expected = ((h if z > 0 else h.conj()) * u.data).sum((-2, -1))
    assert relative(fo.rayleigh_sommerfeld(u, z, onto).data, expected) < 1e-10


def test_evanescent_waves_decay_in_both_directions():
    """Pitch lambda/4: half the frequencies are evanescent; exp(-2 pi sqrt(s^2-1) |z|/lambda)."""
    d = WAVELENGTH / 4
    for z in (WAVELENGTH / 3, -WAVELENGTH / 3):
        kernel = transfer_function((1, 8), (1.0, d), WAVELENGTH, z, bandlimit=False)
        assert float(kernel[0, 4].abs()) == pytest.approx(math.exp(-2 * math.pi * math.sqrt(3) / 3), rel=1e-12)
        assert float(kernel[0, 1].abs()) == pytest.approx(1, rel=1e-12)


# ---- laws ------------------------------------------------------------------------------------------------------------

NEAR, FAR = 2e-3, 0.2  # on 64 samples of 8 um: the angular spectrum in a window, Rayleigh-Sommerfeld
METHODS: dict[str, Callable[[fo.Field], fo.Field]] = {
    "periodic": lambda u: periodic(u, NEAR),
    "angular spectrum": lambda u: fo.angular_spectrum(u, NEAR),
    "rayleigh sommerfeld": lambda u: fo.rayleigh_sommerfeld(u, FAR),
    "propagate, near": lambda u: fo.propagate(u, NEAR),
    "propagate, far": lambda u: fo.propagate(u, FAR),
    "other grid": lambda u: fo.propagate(u, NEAR, fo.Grid((31, 50), (5 * um, 9 * um), (20 * um, -7 * um))),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@each_method
def test_propagation_is_linear(method: Callable[[fo.Field], fo.Field]):
    a, b = noise(48, 64), noise(48, 64, seed=1)
    both = method(field((2 - 1j) * a + b)).data
    assert relative((2 - 1j) * method(field(a)).data + method(field(b)).data, both) < 1e-12  # rounding


@each_method
def test_a_batch_is_propagated_one_by_one(method: Callable[[fo.Field], fo.Field]):
    data = noise(2, 3, 48, 64)
    assert relative(method(field(data[1, 2])).data, method(field(data)).data[1, 2]) < 1e-12  # rounding


@each_method
def test_source_and_receiver_may_be_exchanged(method: Callable[[fo.Field], fo.Field]):
    """Reciprocity: the transpose of propagation, which autograd gives, is propagation back onto the source's grid."""
    u = field(noise(48, 64).requires_grad_())
    out = method(u)
    v = out.replace(data=noise(*out.grid.shape, seed=1))
    (out.data * v.data).sum().real.backward()
    assert u.data.grad is not None
    transpose = u.data.grad.conj().resolve_conj()
    inner = (out.data.detach() * v.data).sum()
    assert abs(complex((transpose * u.data.detach()).sum() - inner)) < 1e-12 * abs(complex(inner))  # the dot test
    if out.grid == u.grid:
        assert relative(method(v).data, transpose) < 1e-11


@pytest.mark.parametrize("z", [1e-3, 0.3, 30.0, -5.0])
def test_a_periodic_field_keeps_its_power(z: float):
    u = field(noise(3, 40, 51))
    torch.testing.assert_close(periodic(u, z).power(), u.power(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("z", [0.01, 0.05, 0.1])
def test_a_beam_inside_the_window_keeps_its_power(z: float):
    """A beam of 80 um has a radius of 0.22 mm after 0.1 m; less than 1e-9 of it is outside 256 samples of 8 um."""
    assert float(fo.propagate(beam((256, 256)), z).power()) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(("first", "second"), [(0.01, 0.03), (0.3, -0.1), (1e-4, 2.0)])
def test_two_steps_are_one(first: float, second: float):
    u = field(noise(32, 45))
    assert relative(periodic(periodic(u, first), second).data, periodic(u, first + second).data) < 1e-8  # 4e6 turns


def test_two_steps_are_one_across_the_methods():
    """Angular spectrum, then Rayleigh-Sommerfeld; 1e-7: what leaves the window between the steps."""
    u, z = beam((256, 256)), 0.05
    assert relative(fo.propagate(fo.propagate(u, z), 0.3).data, fo.propagate(u, z + 0.3).data) < 1e-7


@pytest.mark.parametrize("method", [periodic, fo.propagate])
def test_back_is_the_way_back(method: Callable[..., fo.Field]):
    """A beam that stays inside the window is band-limited: nothing is lost; 1e-9 for its tail."""
    u = beam((256, 256))
    assert relative(method(method(u, 0.1), -0.1).data, u.data) < 1e-9


@pytest.mark.parametrize("z", [0.0, -0.0])
def test_no_distance_is_no_change(z: float):
    u = field(noise(16, 16))
    assert fo.propagate(u, z) is u
    assert relative(fo.angular_spectrum(u, z).data, u.data) < 1e-14
    moved = fo.propagate(u, z, u.grid.shifted(8 * um, -16 * um)).data
    assert relative(moved[:-1, 2:], u.data[1:, :-2]) < 1e-14


# ---- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [0.01, 0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("onto", [None, fo.Grid((65, 80), PITCH, (200 * um, -100 * um))])
def test_single_precision_is_enough(z: float, onto: fo.Grid | None):
    """A random phase panel, complex64 against complex128, carrier and global phase included.

    1e-4 is promised up to 3 m; float32 itself, with the phases built in float64, is good for 1e-6.
    """
    phase = noise(128, 128).real * 10
    double = fo.propagate(field(torch.polar(torch.ones_like(phase), phase)), z, onto).data
    single = fo.propagate(field(torch.polar(torch.ones_like(phase), phase)).to(torch.complex64), z, onto).data
    assert single.dtype == torch.complex64
    assert relative(single, double) < 1e-6


def test_the_carrier_is_kept_in_single_precision():
    """exp(ikz) at 0.3 m is 564 thousand turns; 1e-5 is twice the error of the closed form, which is paraxial."""
    out, exact = fo.propagate(beam(dtype=torch.complex64), 0.3).data, beam(z=0.3).data
    assert relative(out, exact) < 1e-5
    assert relative(out * phasor(1e-4), exact) > 1e-4  # a phase as small as this would be seen


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_energy_at_1024_samples_in_single_precision():
    """pytorch/pytorch#169670: with two threads a scaled inverse FFT of this size applies its scale twice."""
    u = fo.gaussian_beam(fo.Grid((1024, 1024), PITCH), WAVELENGTH, waist=1e-3)
    assert float(fo.angular_spectrum(u, 0.05, pad=2).power()) == pytest.approx(1, abs=1e-5)  # float32 sums


# ---- where light lands -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [0.02, 0.15])
@pytest.mark.parametrize(("sy", "sx"), [(0.0, 0.002), (-0.0015, 0.0), (0.001, 0.002)])
def test_a_tilted_beam_lands_where_it_aims(z: float, sy: float, sx: float):
    """Positive sines go to +y, +x, by z s/sqrt(1-s^2); a hundredth of a sample."""
    u = beam((256, 256), waist=120 * um)
    tilt = fo.plane_wave(u.grid, WAVELENGTH, direction=(sy, sx), dtype=DOUBLE)
    out = fo.propagate(u.modulate(tilt.data / tilt.data.abs()), z)
    y, x = axes(u.grid)
    weight = out.intensity / out.intensity.sum()
    cosine = math.sqrt(1 - sy**2 - sx**2)
    assert float((weight * y).sum()) == pytest.approx(z * sy / cosine, abs=0.08 * um)
    assert float((weight * x).sum()) == pytest.approx(z * sx / cosine, abs=0.08 * um)


@pytest.mark.parametrize("n", [127, 128])
def test_rayleigh_sommerfeld_does_not_shift_by_half_a_sample(n: int):
    """1e-5 against the closed form; half a sample is a hundredth of this beam's radius, and 1e-2 of its field."""
    center = (16 * um, -24 * um)
    out, exact = fo.rayleigh_sommerfeld(beam((n, n), center=center), 0.3).data, beam((n, n), z=0.3, center=center).data
    assert relative(out, exact) < 1e-5
    moved = beam((n, n), z=0.3, center=(center[0] + 4 * um, center[1] + 4 * um)).data
    assert relative(moved, exact) > 1e-3


ONTO = {
    "shifted": fo.Grid((128, 128), PITCH, (40 * um, -80 * um)),
    "part": fo.Grid((31, 50), PITCH, (-104 * um, 8 * um)),
    "larger, odd": fo.Grid((201, 165), PITCH),
    "between samples": fo.Grid((64, 64), PITCH, (3 * um, 5 * um)),
    "finer": fo.Grid((75, 64), (3 * um, 2 * um), (30 * um, 0.0)),
    "coarser": fo.Grid((40, 41), (25 * um, 21 * um)),
    "one point": fo.Grid((1, 1), PITCH, (24 * um, 0.0)),
}


@pytest.mark.parametrize("z", [0.01, 0.1])
@pytest.mark.parametrize("name", ONTO)
def test_onto_any_grid(name: str, z: float):
    """Near, by the angular spectrum; 1e-5 is the error of the paraxial closed form."""
    onto = ONTO[name]
    exact = fo.gaussian_beam(onto, WAVELENGTH, waist=80 * um, z=z, dtype=DOUBLE)
    out = fo.propagate(beam(), z, onto)
    assert out.grid == onto
    assert relative(out.data, exact.data) < 1e-5


@pytest.mark.parametrize("name", ["shifted", "larger, odd", "between samples", "finer"])
def test_onto_any_grid_far_away(name: str):
    """Far, by Rayleigh-Sommerfeld or, for another pitch, by a window as large as it takes."""
    onto, u = ONTO[name], beam((64, 64))
    exact = fo.gaussian_beam(onto, WAVELENGTH, waist=80 * um, z=0.25, dtype=DOUBLE)
    assert relative(fo.propagate(u, 0.25, onto).data, exact.data) < 2e-5  # and what the 64 samples cut off the beam


def test_a_grid_off_the_axis_changes_nothing_but_the_numbers():
    u = beam()
    moved = fo.Field(u.data, u.grid.shifted(1e-3, -2e-3), WAVELENGTH)
    for z in (0.01, 0.5):
        out = fo.propagate(moved, z)
        assert out.grid == moved.grid
        assert relative(out.data, fo.propagate(u, z).data) < 1e-9  # the offsets of the samples are rounded differently


# ---- the choice of method --------------------------------------------------------------------------------------------


def test_propagate_takes_the_angular_spectrum_near_and_rayleigh_sommerfeld_far():
    u = field(noise(64, 64))
    assert torch.equal(fo.propagate(u, NEAR).data, fo.angular_spectrum(u, NEAR).data)
    assert torch.equal(fo.propagate(u, FAR).data, fo.rayleigh_sommerfeld(u, FAR).data)
    with pytest.warns(SamplingWarning):  # each is the wrong one at the other distance
        fo.rayleigh_sommerfeld(u, NEAR)
    with pytest.warns(SamplingWarning):
        fo.angular_spectrum(u, FAR)


def test_the_two_methods_agree_where_both_are_valid():
    """Smooth light; 1e-6 is what Rayleigh-Sommerfeld loses by summing over samples at its shortest distance."""
    u = beam()
    z = 1.05 * propagation._impulse_limit(u.grid, u.grid, WAVELENGTH)
    assert relative(fo.angular_spectrum(u, z, pad=4).data, fo.rayleigh_sommerfeld(u, z).data) < 1e-6


@pytest.mark.parametrize("z", [0.02, 0.06, 0.2, 0.8])
@pytest.mark.parametrize("shape", [(16, 256), (256, 16)])
def test_long_narrow_grids_find_a_method_too(shape: tuple[int, int], z: float):
    """1e-3: what the 16 samples cut off the beam, which is that of the reference window of 256 x 256 too."""
    narrow = beam(shape, waist=30 * um)
    wide = torch.zeros(256, 256, dtype=DOUBLE)
    rows, columns = (slice(128 - n // 2, 128 - n // 2 + n) for n in shape)
    wide[rows, columns] = narrow.data
    assert relative(fo.propagate(narrow, z).data, fo.propagate(field(wide), z).data[rows, columns]) < 1e-3


def test_the_window_grows_along_the_axis_that_needs_it(monkeypatch: pytest.MonkeyPatch):
    shapes = []
    original = kernels.cached_transfer_function

    def watched(shape: tuple[int, int], *rest: object) -> Tensor:
        shapes.append(shape)
        return original(shape, *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(kernels, "cached_transfer_function", watched)
    fo.propagate(field(noise(16, 256)), 1e-3)
    fo.propagate(field(noise(16, 16)), 1e-3, fo.Grid((256, 8), PITCH))
    assert shapes == [(32, 512), (275, 32)]


def test_beyond_its_window_angular_spectrum_warns_and_propagate_is_right():
    """The square of the validation page at 1 m: 1.5e-4 is its tolerance there."""
    pitch = (8 * um, 8 * um)
    grid = fo.Grid((256, 256), pitch)
    u = fo.Field(fo.shapes.rectangle(grid, (0.992e-3, 0.992e-3)).to(DOUBLE), grid, WAVELENGTH)
    y, x = (space.knife_edges(axis, 0.992e-3, 1.0, 0.0) for axis in grid.coordinates())
    exact = phasor(1.0 / WAVELENGTH) * y[:, None] * x
    with pytest.warns(SamplingWarning, match=r"angular_spectrum over 1 m: .* walks 33.* mm, .* use propagate\(\)"):
        cut = fo.angular_spectrum(u, 1.0).data
    assert relative(cut, exact) > 1e-3
    assert relative(fo.propagate(u, 1.0).data, exact) < 3e-4  # twice the page's: these edges lie on samples
    assert space.rectangle(1.0) < 1.5e-4


@pytest.mark.parametrize("pad", [1.125, 1.5])
def test_light_that_comes_around_a_small_window_is_not_silent(pad: float):
    """The steepest light walks z lambda/(2 d); more than the padding, and it enters on the other side."""
    u = field(noise(256, 256))
    walk = (pad - 1) * 256 * 8 * um
    z = walk / propagation._steepest(8 * um, WAVELENGTH)
    fo.angular_spectrum(u, 0.99 * z, pad=pad)
    with pytest.warns(SamplingWarning, match="is cut or wraps"):
        fo.angular_spectrum(u, 1.01 * z, pad=pad)


def test_the_warning_is_the_callers(recwarn: pytest.WarningsRecorder):
    warnings.simplefilter("always")
    fo.angular_spectrum(beam(), 1.0)
    fo.rayleigh_sommerfeld(beam(), 1e-3)
    fo.lens(beam(), 1e-3)
    fo.fourier_lens(beam(), 0.1, fo.Grid((8, 8), (1e-3, 1e-3)))
    fo.plane_wave(beam().grid, WAVELENGTH, direction=(0.5, 0))
    fo.propagate(beam((2048, 2)), 0.5, fo.Grid((1, 1), (1e-6, 1e-6)))
    assert len(recwarn) == 6
    assert {warning.filename for warning in recwarn} == {__file__}


@pytest.mark.parametrize("z", [math.inf, math.nan])
def test_an_endless_distance_is_refused(z: float):
    with pytest.raises(GeometryError, match="must be finite"):
        fo.propagate(beam(), z)


@pytest.mark.parametrize(("z", "pitch"), [(0.0, 8 * um), (0.3, 5 * um)])
def test_what_rayleigh_sommerfeld_cannot_do_it_refuses(z: float, pitch: float):
    with pytest.raises(SamplingError, match=r"use propagate\(\)"):
        fo.rayleigh_sommerfeld(beam(), z, fo.Grid((8, 8), (pitch, pitch)))


# ---- periodic fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [60, 64])
def test_an_unpadded_window_is_periodic_onto_any_grid(n: int):
    u, z = field(noise(n, n)), 0.05
    out = periodic(u, z)
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
    assert relative(periodic(u, z).data, carrier * u.data) < 1e-10
    assert relative(periodic(u, z / 2).data, phasor(z / 2 / WAVELENGTH) * (2 - u.data)) < 1e-10


def test_a_binary_grating_images_itself_only_as_far_as_it_is_paraxial():
    """Order m is late by (m^4 - m^2) (lambda/p)^2/4 turns at the exact distance, order 3 by 18 (lambda/p)^2."""
    d, n = 2 * um, 64
    comb = (torch.arange(n) % n < n // 2).to(DOUBLE).expand(4, n)
    u = field(comb, (d, d))
    z = talbot(n * d)
    out = periodic(u, z).data * phasor(-z / WAVELENGTH)
    spectrum = torch.fft.fft(out[0]) / torch.fft.fft(comb[0]).where(torch.arange(n) % 2 == 1, 1)
    late = 18 * (WAVELENGTH / (n * d)) ** 2
    assert float(spectrum[1].angle()) == pytest.approx(0, abs=1e-8)
    assert float(spectrum[3].angle()) / (2 * math.pi) == pytest.approx(-late, rel=1e-3)  # the next order of the series
    assert 1e-3 < relative(out, u.data) < 0.5


# ---- gradients -------------------------------------------------------------------------------------------------------


def test_gradient_of_the_angular_spectrum_with_respect_to_z():
    """In steps of a wavelength, for z turns the phase by 2 pi in one."""
    u = field(noise(4, 6), (2 * um, 2 * um))
    steps = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    for pad in (1, 2):
        assert torch.autograd.gradcheck(
            lambda t, p=pad: fo.angular_spectrum(u, 2e-5 + t * WAVELENGTH, pad=p).data, steps
        )
    assert torch.autograd.gradcheck(lambda t: fo.propagate(u, -2e-5 + t * WAVELENGTH).data, steps)


def test_gradient_of_the_lens_with_respect_to_its_focal_length():
    u = field(noise(5, 4), (50 * um, 50 * um))
    focal_length = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: fo.lens(u, f).data, focal_length)


@pytest.mark.parametrize("z", [NEAR, FAR])
def test_gradient_with_respect_to_the_field(z: float):
    data = noise(3, 4).requires_grad_()
    onto = fo.Grid((2, 3), PITCH, (8 * um, 0.0))
    assert torch.autograd.gradcheck(lambda d: fo.propagate(field(d), z, onto).data, data)


def test_a_distance_as_a_tensor_gives_what_the_number_gives():
    u = beam()
    for z in (0.01, -0.02, 0.3):
        tensor = torch.tensor(z, dtype=torch.float64)
        assert relative(fo.propagate(u, tensor).data, fo.propagate(u, z).data) < 1e-6  # far, the methods differ


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
    u, f = beam((128, 128), waist=100 * um), 0.1
    wide = fo.Grid((400, 400), (4 * um, 4 * um))
    out = fo.propagate(fo.lens(fo.propagate(u, f, wide), f), f, u.grid).data
    ideal = fo.fourier_lens(u, f, u.grid).data * phasor(2 * f / WAVELENGTH)
    assert relative(out, ideal) < 1e-4
