"""The camera against EMVA 1288: means, variances, saturation, the photon-transfer relation."""

import math

import pytest
import torch

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


def test_photon_transfer_recovers_gain_and_quantum_efficiency():
    cam = camera()
    dark = frames(cam, 0.0)
    means, variances, photons = [], [], [500.0, 2000.0, 5000.0, 9000.0]
    for i, mu in enumerate(photons):
        y = frames(cam, mu, seed=i + 1)
        means.append(float(y.mean() - dark.mean()))
        variances.append(float(y.var() - dark.var()))
    gain = sum(m * v for m, v in zip(means, variances, strict=True)) / sum(m * m for m in means)
    response = sum(m * p for m, p in zip(means, photons, strict=True)) / sum(p * p for p in photons)
    tolerance = 5 * math.sqrt(2 / len(dark)) * 1.342 / math.sqrt(len(photons)) * 2  # the dark frames count twice
    assert gain == pytest.approx(cam.config.gain, rel=tolerance)
    assert response / gain == pytest.approx(cam.config.qe, rel=tolerance)


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
    assert camera().snr(1e5) == pytest.approx(math.sqrt(0.64e5), rel=1e-3)


def test_samples_closer_than_pixels_warn():
    cam = camera(pitch=3.45e-6)
    cam.photons(Field(torch.ones(4, 4, dtype=torch.complex64), Grid((4, 4), 3.45e-6), 532 * nm), 1e-3)
    with pytest.warns(SamplingWarning, match=r"pixels of 3\.45 um"):
        cam.photons(Field(torch.ones(4, 4, dtype=torch.complex64), Grid((4, 4), 1.7e-6), 532 * nm), 1e-3)
