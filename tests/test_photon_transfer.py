"""Photon transfer: the figures that went into a camera come out of its frames, within the statistics of the frames."""

import math

import numpy as np
import pytest
import torch

from fouroptics.devices import photon_transfer
from fouroptics.devices.camera import Camera, CameraConfig
from fouroptics.devices.sensor import fixed_pattern
from fouroptics.errors import GeometryError

STEPS = 50


def measured(config: CameraConfig, side: int, longest: float, images: int = 0, seed: int = 0):
    """50 steps of even light up to 1.15 full wells, the exposure rising with the light."""
    part = np.arange(1, STEPS + 1) / STEPS
    photons, seconds = 1.15 * config.full_well / config.qe * part, longest * part
    expose = photon_transfer.frames(Camera(config), (side, side), torch.Generator().manual_seed(seed))
    return photon_transfer.measure(expose, photons.tolist(), seconds.tolist(), images)


@pytest.fixture(scope="module")
def patterned() -> tuple[CameraConfig, photon_transfer.PhotonTransfer]:
    """A warm sensor with a fixed pattern, exposed for up to 10 s."""
    config = CameraConfig(dark_current=5.0, dsnu=1.5, prnu=0.008)
    return config, measured(config, 128, 10.0, images=100)


@pytest.mark.parametrize("name", ["generic-12bit", "hamamatsu-orca-flash4-v3"])
def test_gain_quantum_efficiency_and_read_noise(name):
    """5 standard deviations of the fit, ``sqrt(2/P) 1.342 / sqrt(n)`` for each.

    A read noise near the step of the converter comes out 0.1 % high, for rounding is not quite white: 0.3 % more.
    """
    config = CameraConfig.preset(name)
    found = measured(config, 256, 1e-3)
    allowed = 5 * math.sqrt(2 / 256**2) * 1.342 / math.sqrt(found.steps)
    assert 25 <= found.steps <= 35
    assert found.gain == pytest.approx(config.gain, rel=allowed)
    assert found.qe == pytest.approx(config.qe, rel=allowed)
    assert found.read_noise == pytest.approx(config.read_noise, rel=allowed + 0.003)


def test_dark_current_by_mean_and_by_variance(patterned):
    """Standard deviation of a slope over times t: sd / (sqrt(50) sd(t)), of means and variances of 2 x 128^2 pixels.

    With about 31 e-^2 of dark variance: 0.03 % and 0.33 % of 5 e-/s. K has 0.35 %, once and twice. 5 of each.
    """
    _, found = patterned
    gain = math.sqrt(2 / 128**2) * 1.342 / math.sqrt(found.steps)
    assert found.dark_current == pytest.approx(5, rel=5 * math.hypot(3e-4, gain))
    assert found.dark_current_by_variance == pytest.approx(5, rel=5 * math.hypot(3.3e-3, 2 * gain))


def test_non_uniformity_without_the_temporal_noise(patterned):
    """100 frames, against the spread that this sensor has.

    What is left of the temporal noise in their mean, 0.36 e- and 0.14 % rms, correlates with the pattern by chance:
    0.3 % and 0.2 % of the result with 128^2 pixels. 5 of each. Uncorrected, DSNU would be 3 % high.
    """
    config, found = patterned
    dark, light = fixed_pattern(0, tuple(range(128)), tuple(range(128))).astype(np.float64)
    assert found.dsnu == pytest.approx(config.dsnu * dark.std(ddof=1), rel=0.015)
    assert found.prnu == pytest.approx(config.prnu * light.std(ddof=1), rel=0.01)
    frames = [np.full((64, 64), 7.0) + np.random.default_rng(i).normal(0, 3, (64, 64)) for i in range(100)]
    mean, variance = photon_transfer.spatial(frames)
    assert mean == pytest.approx(7, abs=5 * 0.3 / 64)
    assert abs(variance) < 5 * 0.09 * math.sqrt(2 / 64**2)  # the mean frame alone has 0.09
    assert np.mean(frames, axis=0).var() > 0.08


def test_what_follows_from_the_fit():
    """Threshold (sqrt(sigma_d^2 + 1/12K^2) + 1/2) / eta = 4.72 photons, to 4 standard deviations (0.5 %).

    The variance is greatest two or three standard deviations (1 % each) below the full well, found to a step (2.3 %).
    """
    found = measured(CameraConfig(), 128, 1e-3)
    assert found.threshold == pytest.approx(4.72, rel=0.02)
    assert 0.94 < found.saturation / (10500 / 0.64) < 1.0
    assert found.snr_max == pytest.approx(math.sqrt(found.qe * found.saturation))
    assert found.dynamic_range == pytest.approx(found.saturation / found.threshold)
    assert max(map(abs, found.linearity_error)) < 5 * math.sqrt(1 / 2 / 128**2 / 500)  # shot noise of 500 e- at 5 %
    assert math.isnan(found.dsnu)
    assert math.isnan(found.prnu)


def test_linearity_error_is_that_of_the_law():
    """e (1 - 0.05 e / W) against its own weighted line, evaluated without noise; noise is below 4e-4."""
    config = CameraConfig(nonlinearity=0.05)
    found = measured(config, 128, 1e-3)
    part = 1.15 * np.arange(1, STEPS + 1) / STEPS
    signal = part * (1 - 0.05 * part)
    top = signal[np.argmin(abs(part - found.saturation * config.qe / config.full_well))]
    inside = (signal >= 0.05 * top) & (signal <= 0.95 * top)
    line = np.polyval(np.polyfit(part[inside], signal[inside], 1, w=1 / signal[inside]), part[inside])
    wanted = signal[inside] / line - 1
    assert wanted.min() < -0.004
    assert found.linearity_error == pytest.approx((wanted.min(), wanted.max()), abs=1e-3)


def test_temporal_variance_knows_neither_pattern_nor_drift():
    """A lamp that is 5 DN brighter in the second frame, a pattern of 50 DN: the variance is that of the noise, 4."""
    draw = np.random.default_rng(0)
    pattern = draw.normal(1000, 50, (300, 300))
    first, second = (pattern + drift + draw.normal(0, 2, pattern.shape) for drift in (0, 5))
    mean, variance = photon_transfer.temporal([(first, second)])
    assert variance == pytest.approx([4], rel=5 * math.sqrt(2 / 300**2))
    assert mean == pytest.approx([pattern.mean() + 2.5], abs=0.05)


def test_frames_of_a_lab():
    """Arrays of whole numbers, as files hold them, at one exposure: no dark current.

    A dark noise below the step of the converter counts as the 0.24 DN^2 of the standard.
    """
    cam, draw = Camera(CameraConfig(read_noise=0.1, gain=0.2)), torch.Generator().manual_seed(0)
    photons = np.linspace(500, 20000, 30)
    pairs = [[cam(torch.full((64, 64), p), draw).numpy().astype(np.uint16) for _ in "AB"] for p in [*photons, 0.0]]
    found = photon_transfer.fit(photons, np.full(30, 1e-3), pairs[:30], [pairs[30]] * 30)
    assert found.gain == pytest.approx(0.2, rel=5 * math.sqrt(2 / 64**2) * 1.342 / math.sqrt(found.steps))
    assert found.read_noise == pytest.approx(math.sqrt(0.24 - 1 / 12) / found.gain)
    assert math.isnan(found.dark_current)


PAIR = [np.ones((4, 4)), np.ones((4, 4))]


@pytest.mark.parametrize(
    ("photons", "bright", "message"),
    [
        ([1.0, 2.0], [PAIR, PAIR], "3 at least"),
        ([1.0, 2.0, 3.0], [PAIR, PAIR], "as many"),
        ([1.0, 2.0, 3.0], [PAIR, PAIR, PAIR], "no photon transfer"),
        ([1.0, 2.0, 3.0], [PAIR, PAIR, [np.ones((4, 4)), np.ones((4, 3))]], "pair 2"),
        ([1.0, 2.0, 3.0], [PAIR, [np.full((4, 4), np.nan)] * 2, PAIR], "pair 1"),
    ],
    ids=["two steps", "pair missing", "no light", "shapes", "NaN"],
)
def test_wrong_frames_are_refused(photons, bright, message):
    with pytest.raises(GeometryError, match=message):
        photon_transfer.fit(photons, photons, bright, [PAIR] * len(photons))


def test_one_frame_has_no_spatial_variance():
    with pytest.raises(GeometryError, match="1 frames"):
        photon_transfer.spatial([np.ones((3, 3))])


def test_wrong_stacks_and_calls_are_refused():
    for stack, says in (
        ([np.ones((3, 3)), np.ones((1, 3))], r"frame 1: \(1, 3\) after \(3, 3\)"),
        ([np.full((3, 3), np.nan)] * 2, "frame 0"),
        ([np.ones((1, 1))] * 2, "2 of 2 pixels"),
        ([np.ones(3)] * 2, r"arrays \(y, x\)"),
    ):
        with pytest.raises(GeometryError, match=says):
            photon_transfer.spatial(stack)
    with pytest.raises(GeometryError, match="give two of one shape"):
        photon_transfer.temporal([[np.ones((2, 2))] * 3])
    for exposure, images in (([1.0], 0), ([1.0, 1.0], 1), ([1.0, 1.0], -1)):
        with pytest.raises(GeometryError, match="as many of each, and 0 images or 2"):
            photon_transfer.measure(lambda p, s: np.ones((4, 4)), [1.0, 2.0], exposure, images)
