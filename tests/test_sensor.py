"""The sensor: its figures as a file holds them, the pixels that are read, and the pattern that belongs to them."""

import math

import numpy as np
import pytest
import torch

from fouroptics.devices.camera import Camera
from fouroptics.devices.sensor import CameraConfig, fixed_pattern, joined, presets
from fouroptics.errors import ConfigError, GeometryError
from fouroptics.light.grid import Grid


def camera(**fields) -> Camera:
    return Camera(CameraConfig(**fields))


def test_pattern_has_its_spread():
    """1e4 pixels: 5 standard errors of a standard deviation, 5 / sqrt(2e4) = 3.5 %; the two maps are independent."""
    dark, light = (fixed_pattern(0, tuple(range(100)), tuple(range(100)))[i] for i in (0, 1))
    assert abs(np.corrcoef(dark.ravel(), light.ravel())[0, 1]) < 0.05  # 5 / sqrt(1e4)
    offsets = camera(dsnu=20.0).expected(torch.zeros(100, 100)) - 100
    gains = camera(prnu=0.05).expected(torch.full((100, 100), 1000.0)) - 100
    assert float(offsets.std()) == pytest.approx(0.37 * 20, rel=0.035)
    assert float(gains.std() / gains.mean()) == pytest.approx(0.05, rel=0.035)


def test_pattern_belongs_to_the_sensor():
    """The same pixel has the same numbers in any frame; another seed is another sensor."""
    sensor = {"dsnu": 20.0, "prnu": 0.05, "shape": (40, 50), "read_noise": 0.0}
    whole = camera(**sensor).expected(torch.full((40, 50), 1000.0))
    part = camera(**sensor, roi=(7, 9, 20, 30)).expected(torch.full((3, 20, 30), 1000.0))
    assert torch.equal(part, whole[7:27, 9:39].expand(3, -1, -1))
    some = camera(**sensor).expected(torch.full((2, 3), 1000.0), pixels=([3, 30], [0, 20, 49]))
    assert torch.equal(some, whole[[3, 30]][:, [0, 20, 49]])
    assert not torch.equal(whole, camera(**sensor, fixed_pattern_seed=1).expected(torch.full((40, 50), 1000.0)))


def test_grid_of_the_pixels_that_are_read():
    """Pixels 2 to 5 and 1 to 4 of a sensor, joined two by two: the centres lie between theirs."""
    sensor = Grid((8, 9), 2.0, (0.5, 0.25))
    y, x = sensor.coordinates()
    read = CameraConfig(shape=(8, 9), roi=(2, 1, 4, 5), binning=2).grid(sensor)
    assert read.shape == (2, 2)
    assert read.coordinates()[0] == pytest.approx([y[2:4].mean(), y[4:6].mean()])
    assert read.coordinates()[1] == pytest.approx([x[1:3].mean(), x[3:5].mean()])
    assert CameraConfig().grid(sensor) == sensor
    assert joined(sensor, 1).coordinates()[0] == pytest.approx(y)
    with pytest.raises(GeometryError, match="roi"):
        CameraConfig(roi=(5, 0, 4, 4)).grid(sensor)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"black_level": 4095}, "12 bits end at 4095"),
        ({"shape": (10, 10), "roi": (0, 5, 10, 6)}, "roi = .* beyond"),
        ({"shape": (10, 10), "binning": 11}, "binning = 11"),
        ({"roi": (0, 0, 1, 4), "binning": 2}, "binning = 2"),
        ({"roi": (-1, 0, 4, 4)}, "roi"),
        ({"nonlinearity": 0.5}, "nonlinearity"),
        ({"dark_current": -1.0}, "dark_current"),
        ({"dsnu": math.nan}, "dsnu"),
        ({"prnu": 0.5}, "prnu"),
        ({"temperature": -300.0}, "temperature"),
        ({"frame_rate": 0.0}, "frame_rate"),
        ({"binning": 1.5}, "binning"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value.split()[0],
)
def test_wrong_configurations_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        CameraConfig(**fields)


@pytest.mark.parametrize("name", presets())
def test_presets_are_whole(name):
    """Each states its source, reads back from a file, and its converter holds the full well to a tenth."""
    config = CameraConfig.preset(name)
    assert {"qe", "read_noise", "full_well", "gain", "pitch", "bits", "source"} <= set(presets()[name])
    assert CameraConfig.model_validate(config.model_dump()) == config
    assert (2**config.bits - 1 - config.black_level) / config.gain > 0.9 * config.full_well
    frame = Camera(config)(torch.tensor([0.0, 1e6]), torch.Generator().manual_seed(0), exposure=1e-3)
    assert frame[1] > 0.9 * 2**config.bits


def test_config_reads_back_from_its_file(tmp_path):
    config = CameraConfig(roi=(0, 2, 8, 8), binning=2, temperature=-10.0, frame_rate=60.0, readout_time=1e-3, dsnu=1.5)
    (tmp_path / "camera.toml").write_text(config.to_toml())
    assert 'temperature = "-10 degC"' in config.to_toml()
    assert CameraConfig.from_toml(tmp_path / "camera.toml") == config
