"""The light on a pixel that is read: numbers that are known, and what the bench and the camera say."""

import math

import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.bench import budget
from fouroptics.bench.settings import FourFConfig


def config(changes=None) -> FourFConfig:
    return FourFConfig.model_validate(bench_data(changes, small=False))


def test_photons_of_a_nanojoule():
    """3.187e9 photons of 633 nm; all of the light on one pixel of the image, and that on one pixel of the camera."""
    one = {"input": {"shape": [8, 8]}, "light": {"power": "1 uW", "beam_radius": None}, "camera": {"pitch": "31.65 um"}}
    photons = 1e-3 * budget.photon_rate(config(one), light=1.0) * 64
    assert photons == pytest.approx(3.187e9, rel=2e-4)  # as far as it is given


def test_photons_of_the_worked_example():
    """1 mW for 1 ms through an SLM of 0.6, F^2 = 0.865, an encoding of 1/16, six surfaces of 0.9 onto 256^2 pixels."""
    changes = {
        "light": {"wavelength": "532 nm", "power": "1 mW", "beam_radius": None},
        "input": {"shape": [256, 256], "pitch": "32 um"},
        "camera": {"pitch": "32 um", "fill_factor": 1.0},
    }
    rate = budget.photon_rate(config(changes), light=0.6 * 0.93**2 / 16 * 0.9**6)
    assert 1e-3 * rate == pytest.approx(7.0e5, rel=0.01)  # two digits are given


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ({"input": {"fill_factor": 0.8}}, 0.64),
        ({"fold": {"kind": "beam_splitter", "reflectance": 0.4}}, 0.24),
        ({"polarisation": {"angle": "0.5 rad"}}, math.cos(0.5) ** 2),
        ({"camera": {"binning": 3}}, 9.0),
        ({"camera": {"fill_factor": 0.5}}, 0.5),
        ({"light": {"beam_radius": None}}, 1 / math.erf(28 * 31.65e-6 / math.sqrt(2) / 6e-3) ** 2),
    ],
)
def test_what_the_light_loses(changes, factor):
    assert budget.photon_rate(config(changes)) / budget.photon_rate(config()) == pytest.approx(factor, rel=1e-12)


def test_the_rate_is_that_of_the_open_bench():
    """White image, open panel, one band, point pixels: the light of the whole image, with its edges, to 2 %."""
    place = fo.FourF(bench_data({"input": {"pixel": "point"}}))
    light = place(
        torch.ones(8, 8, dtype=torch.float64),
        torch.ones(place.fourier_grid.shape, dtype=torch.complex128),
        place.image_grid,
    )
    seen = float(place.camera.photons_for(light.intensity, light.wavelength, 1.0).mean())
    assert seen == pytest.approx(budget.photon_rate(place.config, light=1.0), rel=0.02)


@pytest.mark.parametrize("changes", [{}, {"camera": {"dark_current": 50.0, "temperature": "41 degC", "binning": 2}}])
def test_signal_to_noise_is_that_of_the_camera(changes):
    c = config(changes)
    assert budget.signal_to_noise(c, 700.0, 0.5) == pytest.approx(fo.Camera(c.camera).snr(700.0, 0.5), rel=1e-12)
