"""The camera against EMVA 1288: means, variances, saturation, the photon-transfer relation."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from fouroptics.devices.camera import Camera, CameraConfig
from fouroptics.errors import ConfigError, GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import nm


def camera(**fields) -> Camera:
    return Camera(CameraConfig(**fields))


def frames(cam: Camera, photons: float, seed: int = 0, n: int = 400_000) -> torch.Tensor:
    return cam(torch.full((n,), photons, dtype=torch.float64), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("photons", [50.0, 1000.0, 8000.0])
def test_mean_and_variance(photons):
    """sigma_y^2 = K^2 (sigma_d^2 + eta mu) + 1/12."""
    cam = camera()
    c, y = cam.config, frames(cam, photons)
    variance = c.gain**2 * (c.read_noise**2 + c.qe * photons) + 1 / 12
    assert float(y.mean()) == pytest.approx(
        float(cam.expected(torch.tensor(photons))), abs=5 * math.sqrt(variance / len(y))
    )
    assert float(y.var()) == pytest.approx(variance, rel=5 * math.sqrt(2 / len(y)))  # 5 standard errors


def test_numbers_are_whole_clipped_and_reproducible():
    cam = camera(bits=8, full_well=300, gain=1.0, black_level=10)
    y = frames(cam, 200.0)
    assert torch.equal(y, y.round())
    assert torch.equal(y, frames(cam, 200.0))
    assert not torch.equal(y, frames(cam, 200.0, seed=1))
    assert float(frames(cam, 1e5).max()) == 255
    assert float(frames(cam, 1e25, n=10).min()) == 255  # a Poisson sample of so much would overflow
    assert float(cam.expected(torch.tensor(1e6))) == 255
    assert (
        float(camera(full_well=100, gain=1.0, read_noise=0).expected(torch.tensor(1e6))) == 200
    )  # the well, not the converter
    assert float(frames(camera(black_level=0), 0.0).min()) == 0


def test_noise_does_not_change_the_mean_signal():
    """Signal plus Poisson of the signal would double it."""
    cam = camera(read_noise=0.0, black_level=0.0)
    assert float(frames(cam, 1000.0).mean()) == pytest.approx(1000 * 0.64 * 0.37, rel=1e-3)


def test_photons_of_a_field():
    """1 W/m^2 at 633 nm on 10 um pixels for 1 ms: P t lambda / (h c)."""
    grid = Grid((2, 2), 10e-6)
    field = Field(torch.ones(2, 2, dtype=torch.complex128), grid, 633 * nm)
    photons = camera(pitch=10e-6, exposure=1e-3, fill_factor=0.5).photons(field)
    expected = 0.5 * 1e-10 * 1e-3 * 633e-9 / (6.62607015e-34 * 299792458)
    torch.testing.assert_close(photons, torch.full((2, 2), expected, dtype=torch.float64))


def test_automatic_exposure_reaches_the_mean():
    cam = camera(mean_photons=750)
    intensity = torch.rand(50, 50, generator=torch.Generator().manual_seed(0))
    seconds = cam.exposure_for(intensity, 633 * nm)
    assert float(cam.photons_for(intensity, 633 * nm, seconds).mean()) == pytest.approx(750, rel=1e-6)


def test_mean_is_differentiable():
    photons = torch.tensor([100.0, 1e6], dtype=torch.float64, requires_grad=True)
    camera().expected(photons).sum().backward()
    torch.testing.assert_close(photons.grad, torch.tensor([0.64 * 0.37, 0], dtype=torch.float64))


def test_wrong_input_is_refused():
    for bad in (torch.tensor([-1.0]), torch.tensor([math.nan]), torch.tensor([math.inf]), torch.tensor([1j])):
        with pytest.raises(GeometryError, match="photons"):
            camera()(bad)
    grid = Grid((1, 1), 1e-6)
    with pytest.raises(GeometryError, match="exposure"):
        camera().photons(Field(torch.ones(1, 1), grid, 633 * nm))
    with pytest.raises(GeometryError, match="light"):
        camera().exposure_for(torch.zeros(3), 633 * nm)
    with pytest.raises(ConfigError, match="generic-12bit"):
        CameraConfig.preset("no such")
    assert CameraConfig.model_validate({"preset": "generic-12bit", "exposure": "auto"}).exposure is None


def test_snr_approaches_the_root_of_the_electrons():
    for photons in (-1.0, math.nan):
        with pytest.raises(GeometryError, match="photons"):
            camera().snr(photons)
    assert camera().snr(1e5) == pytest.approx(math.sqrt(0.64e5), rel=1e-3)


def test_samples_closer_than_pixels_warn():
    cam = camera(pitch=3.45e-6)
    cam.photons(Field(torch.ones(4, 4, dtype=torch.complex64), Grid((4, 4), 3.45e-6), 532 * nm), 1e-3)
    with pytest.warns(SamplingWarning, match=r"pixels of 3\.45 um"):
        cam.photons(Field(torch.ones(4, 4, dtype=torch.complex64), Grid((4, 4), 1.7e-6), 532 * nm), 1e-3)


# ---- the mean of a cut signal ----------------------------------------------------------------------------------------

SMALL = {"bits": 8, "full_well": 300, "gain": 0.7, "black_level": 10}


def exact_mean(c: CameraConfig, electrons: float) -> float:
    """Sum over Poisson's law, cut and bent, of the mean of the rounded and cut Gaussian: E[N] = sum_j P(N > j)."""
    count = np.arange(int(electrons + 12 * math.sqrt(electrons) + 20))
    charge = np.minimum(count, c.full_well)
    mean = c.gain * charge * (1 - c.nonlinearity * charge / c.full_well) + c.black_level
    above = stats.norm.sf((np.arange(2**c.bits - 1) + 0.5 - mean[:, None]) / (c.gain * c.read_noise))
    return float(stats.poisson.pmf(count, electrons) @ above.sum(1))


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, 0.035),
        ({"nonlinearity": 0.1}, 0.035),
        ({"gain": 1.0}, 0.035),
        ({"black_level": 0, "read_noise": 3}, 0.035),
        ({"full_well": 250, "gain": 1.0, "read_noise": 5, "black_level": 5}, 0.05 * math.sqrt(250)),
    ],
    ids=["well", "bent", "converter", "black", "well and converter together"],
)
def test_expected_is_the_mean_of_the_cut_signal(changes, allowed):
    """Against the exact sum. The Gaussian in place of Poisson's law costs 0.03 DN; where well and converter end within
    the noise of each other, a twentieth of that noise here. The cut of the mean would be off by 0.5 to 7 DN."""
    cam = camera(**SMALL | changes)
    well = cam.config.full_well
    electrons = [0.0, 1.0, 3.0, 10.0, *(well * f for f in (0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.3))]
    wanted = np.array([exact_mean(cam.config, e) for e in electrons])
    seen = cam.expected(torch.tensor(electrons, dtype=torch.float64) / cam.config.qe).numpy()
    assert np.abs(seen - wanted).max() < allowed
    single = cam.expected(torch.tensor(electrons) / cam.config.qe).numpy()
    assert np.abs(single - seen).max() < 1e-3  # float32 of 255 DN has steps of 1.5e-5; squares of the charge cancel


def test_expected_does_not_step_where_the_cut_begins():
    """6 standard deviations away a cut moves the mean by 1e-9 of the noise; the two formulas meet there."""
    cam = camera(**SMALL | {"black_level": 0.0, "nonlinearity": 0.1})
    for edge in cam._clear(0.0):
        at = torch.tensor([edge - 1e-9, edge + 1e-9], dtype=torch.float64) / cam.config.qe
        first, second = cam.expected(at)
        assert float(second - first) == pytest.approx(0, abs=1e-6)


def test_a_pixel_does_not_depend_on_its_neighbours():
    cam = camera(**SMALL)
    row = torch.tensor([0.0, 100.0, 420.0, 500.0, 1e6])
    assert torch.equal(cam.expected(row), torch.cat([cam.expected(part) for part in row.split(1)]))


@pytest.mark.parametrize("pattern", [{}, {"dsnu": 5.0, "prnu": 0.1}], ids=["even", "pattern"])
def test_full_pixels_have_the_mean_of_a_full_well(pattern):
    """Beyond 9 standard deviations nothing is left to evaluate, and nothing steps there; a pixel of the pattern that
    sees a fifth less is at 5 of them, and 1e-6 DN below."""
    cam = camera(**SMALL | {"gain": 0.81, "nonlinearity": 0.02} | pattern)
    full = torch.full((2, 3, 4), cam._full, dtype=torch.float64)
    far = cam.expected(full * 1e3)
    torch.testing.assert_close(far, cam.expected(full / cam.config.qe), atol=1e-6 if pattern else 1e-12, rtol=0)
    torch.testing.assert_close(far, cam.expected(full * 1e25), atol=0, rtol=0)
    if not pattern:
        wanted = exact_mean(cam.config, 3 * cam.config.full_well)
        assert float(far[0, 0, 0]) == pytest.approx(wanted, abs=1e-3)


def test_saturated_is_where_the_mean_signal_ends():
    cam = camera(**SMALL)  # the well ends at 300 / 0.64 = 469 photons, 220 DN
    assert cam.saturated(torch.tensor([460.0, 470.0])).tolist() == [False, True]
    converter = camera(**SMALL | {"gain": 1.0})  # 245 electrons fill 8 bits
    assert converter.saturated(torch.tensor([382.0, 383.0])).tolist() == [False, True]


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"nonlinearity": 0.1, "black_level": 0.0, "dark_current": 3.0, "exposure": 1.0}]
)
def test_soft_model_has_the_gradient_of_its_numbers(changes):
    cam = camera(**SMALL | changes)
    photons = torch.tensor([[2.0, 40.0], [300.0, 440.0]], dtype=torch.float64, requires_grad=True)

    def soft(p):
        return cam.differentiable(p, torch.Generator().manual_seed(3), whole=False)

    assert torch.autograd.gradcheck(soft, photons)
    assert torch.autograd.gradcheck(cam.expected, photons)


def test_differentiable_has_the_moments_of_a_frame():
    """1e5 draws each: 7 sd / sqrt(n) is 5 standard errors of a difference of means, 3 % that of variances.

    The Gaussian in place of Poisson's law costs 0.03 DN, and 10 % of the variance where the well cuts half of it.
    """
    cam, n = camera(**SMALL | {"dsnu": 3.0, "prnu": 0.05, "nonlinearity": 0.05}), 100_000
    for electrons in (30.0, 200.0, 290.0, 400.0):
        light = torch.full((n, 1, 1), electrons / cam.config.qe, dtype=torch.float64)
        hard = cam(light, torch.Generator().manual_seed(1))
        soft = cam.differentiable(light, torch.Generator().manual_seed(2))
        assert torch.equal(soft, soft.round())
        assert 0 <= float(soft.min()) <= float(soft.max()) <= 255
        assert float(soft.mean() - hard.mean()) == pytest.approx(0, abs=7 * float(hard.std()) / math.sqrt(n) + 0.03)
        assert float(soft.var()) == pytest.approx(float(hard.var()), rel=0.03 if electrons != 290 else 0.1)


def test_a_frame_has_no_gradient_and_empty_ones_are_empty():
    """Counts do not change with a small change of the light; `differentiable` is there for that."""
    photons = torch.full((3, 3), 50.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(camera(prnu=0.1)(photons).sum(), photons)
    assert float(gradient.abs().max()) == 0
    for cam in (camera(), camera(prnu=0.1)):
        assert cam(torch.ones(0, 3)).shape == cam.expected(torch.ones(0, 3)).shape == (0, 3)


def test_gradients_are_finite_without_light_and_far_beyond_saturation():
    photons = torch.tensor([0.0, 1e30], requires_grad=True)
    cam = camera(read_noise=0.0, black_level=0.0)
    for numbers in (cam.expected(photons), cam.differentiable(photons, torch.Generator().manual_seed(0))):
        (gradient,) = torch.autograd.grad(numbers.sum(), photons)
        assert torch.isfinite(gradient).all()
        assert float(gradient[1]) == 0


# ---- dark current, nonlinearity --------------------------------------------------------------------------------------


def test_dark_current_counts_with_the_exposure_and_doubles():
    """5 e-/s for 2 s; 8 K warmer twice that, and its shot noise with it."""
    cam = camera(dark_current=5.0, temperature=33.0)
    assert cam.dark(2.0) == pytest.approx(20)
    none = torch.zeros(1)
    assert float(cam.expected(none, exposure=2.0)) == pytest.approx(100 + 0.37 * 20)
    y = cam(torch.zeros(200_000, dtype=torch.float64), torch.Generator().manual_seed(0), exposure=2.0)
    assert float(y.var()) == pytest.approx(0.37**2 * (2.4**2 + 20) + 1 / 12, rel=5 * math.sqrt(2 / len(y)))
    assert camera(dark_current=5.0, exposure=2.0).dark() == pytest.approx(10)
    assert cam.snr(100, 2.0) == pytest.approx(64 / math.sqrt(2.4**2 + 20 + 1 / (12 * 0.37**2) + 64))
    with pytest.raises(GeometryError, match="exposure"):
        cam.expected(none)


def test_nonlinearity_is_the_largest_deviation():
    cam = camera(nonlinearity=0.1)
    few, full = 100.0, 10500 / 0.64
    numbers = cam.expected(torch.tensor([few, 0.9 * full], dtype=torch.float64)) - 100
    loss = 1 - numbers / (0.37 * 0.64 * torch.tensor([few, 0.9 * full]))
    assert loss.tolist() == pytest.approx([0.1 * few / full, 0.09], abs=2e-5)  # + 0.1 / 10500 of the shot noise
    y = cam(torch.full((100_000,), 0.9 * full, dtype=torch.float64), torch.Generator().manual_seed(0)) - 100
    assert float(y.mean()) == pytest.approx(float(numbers[1]), abs=5 * float(y.std()) / math.sqrt(len(y)))


# ---- binning, region, schedule ---------------------------------------------------------------------------------------


def test_binning_sums_the_charge_before_it_is_read():
    """2 x 2: four times the photons, wells and dark current, one read noise; the pattern is that of the four pixels."""
    cam = camera(binning=2, dark_current=3.0, exposure=1.0)
    one = camera()
    light = torch.ones(1)
    assert float(cam.photons_for(light, 1e-6, 1.0) / one.photons_for(light, 1e-6, 1.0)) == pytest.approx(4)
    y = cam(torch.full((200_000,), 1000.0, dtype=torch.float64), torch.Generator().manual_seed(0))
    variance = 0.37**2 * (2.4**2 + 640 + 12) + 1 / 12
    assert float(y.mean()) == pytest.approx(100 + 0.37 * 652, abs=5 * math.sqrt(variance / len(y)))
    assert float(y.var()) == pytest.approx(variance, rel=5 * math.sqrt(2 / len(y)))
    assert camera(binning=2, bits=16).saturated(torch.tensor([4 * 16400.0, 4 * 16410.0])).tolist() == [False, True]
    even, binned = torch.full((8, 6), 500.0), torch.full((4, 3), 2000.0)
    pattern = {"dsnu": 20.0, "prnu": 0.05}
    fine, coarse = (camera(**pattern, binning=n).expected(p) - 100 for n, p in ((1, even), (2, binned)))
    torch.testing.assert_close(coarse, 4 * torch.nn.functional.avg_pool2d(fine[None], 2)[0])


def test_frame_time_is_what_takes_longer():
    assert camera(readout_time=2e-3).frame_time(1e-3) == pytest.approx(3e-3)
    assert camera(readout_time=2e-3, frame_rate=100.0).frame_time(1e-3) == pytest.approx(1e-2)
    assert camera(readout_time=2e-3, frame_rate=100.0, exposure=20e-3).frame_time() == pytest.approx(22e-3)


# ---- area of a pixel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fill", "binning"), [(1.0, 1), (0.5, 1), (0.5, 2)])
def test_fringes_lose_contrast_as_the_transfer_function_says(fill, binning):
    """sinc(sqrt(F) p v), times the cosine of two pixels. Second order in the pitch of the samples, a quarter each time;
    (pi d v)^2 / 6 = 3e-4 at the finest, and a side that ends within a sample adds as much."""
    cam, p = camera(pitch=4e-6, fill_factor=fill, binning=binning), 4e-6
    frequency = 0.3 / p
    pixels = Grid((3, 3), binning * p)
    side = math.sqrt(fill) * p * frequency
    contrast = math.sin(math.pi * side) / (math.pi * side) * (math.cos(math.pi * p * frequency) if binning == 2 else 1)
    wanted = 1 + contrast * torch.from_numpy(np.cos(2 * math.pi * frequency * pixels.coordinates()[1]))
    errors = []
    for n in (6, 12, 24):
        fine = Grid((8 * n, 8 * n), p / n)
        light = 1 + torch.from_numpy(np.cos(2 * math.pi * frequency * fine.coordinates()[1])).expand(8 * n, -1)
        errors.append(float((cam.read(light, fine, pixels) - wanted).abs().max()))
    assert errors[2] < 1e-3
    if fill == 1:  # else where the side ends within a sample changes from pitch to pitch
        assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
        assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_photons_of_a_fine_field_are_those_of_its_power():
    """All pixels together get the power of the field: P t lambda / (h c), to rounding."""
    cam, pixels = camera(pitch=3e-6, exposure=1e-3), Grid((6, 7), 3e-6)
    fine = Grid((25, 26), 1e-6)
    draw = torch.rand(25, 26, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inside = torch.zeros_like(draw)
    inside[5:20, 5:20] = draw[5:20, 5:20]
    field = Field(inside.sqrt(), fine, 600 * nm)
    photons = cam.photons(field, onto=pixels)
    expected = float(field.power()) * 1e-3 * 600e-9 / (6.62607015e-34 * 299792458)
    assert float(photons.sum()) == pytest.approx(expected, rel=1e-12)


def test_coarse_samples_warn():
    cam, pixels = camera(pitch=3e-6), Grid((2, 2), 3e-6)
    with pytest.warns(SamplingWarning, match=r"1\.5 um or less"):
        cam.read(torch.ones(9, 9), Grid((9, 9), 2e-6), pixels)
    cam.read(torch.ones(9, 9), Grid((9, 9), 1.5e-6), pixels)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exposure", [-1.0, 0.0, math.nan, math.inf])
def test_wrong_exposures_are_refused(exposure):
    field = Field(torch.ones(2, 2), Grid((2, 2), 3.45e-6), 633 * nm)
    for call in (
        lambda: camera().photons(field, exposure),
        lambda: camera().photons_for(torch.ones(2), 633 * nm, exposure),
        lambda: camera(dark_current=1.0).expected(torch.ones(2), exposure),
        lambda: camera().frame_time(exposure),
    ):
        with pytest.raises(GeometryError, match="exposure"):
            call()


@pytest.mark.parametrize("intensity", [[1.0, -0.1], [math.nan, 1.0], [1j, 1.0]], ids=["negative", "NaN", "complex"])
def test_no_exposure_for_wrong_intensities(intensity):
    with pytest.raises(GeometryError, match="intensity"):
        camera().exposure_for(torch.tensor(intensity), 633 * nm)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8, torch.uint16, torch.int64, torch.bool])
def test_numbers_of_few_bits_are_counted_in_float32(dtype):
    """Half precision has steps of 2 DN at 4000."""
    photons = (torch.arange(12).reshape(3, 4) % 2 + 60).to(dtype)
    cam = camera(gain=1.0)
    for call in (cam.expected, cam, cam.differentiable):
        seen = call(photons)
        assert seen.dtype == torch.float32
        assert torch.isfinite(seen).all()
    assert torch.equal(cam.expected(photons), cam.expected(photons.float()))
    from_numpy = cam.expected(photons.float().numpy())  # pyright: ignore[reportArgumentType]
    assert torch.equal(from_numpy, cam.expected(photons.float()))


def test_frames_that_are_not_on_the_sensor_are_refused():
    cam = camera(prnu=0.01, shape=(4, 5))
    for photons, pixels in (
        (torch.ones(5, 5), None),
        (torch.ones(7), None),
        (torch.ones(2, 2), ([0, 4], [0, 1])),
        (torch.ones(2, 2), ([0], [0, 1])),
        (torch.ones(2, 2), ([-1, 0], [0, 1])),
        (torch.ones(2, 2), ([0.5, 1.5], [0, 1])),
    ):
        with pytest.raises(GeometryError, match="photons"):
            cam(photons, pixels=pixels)
