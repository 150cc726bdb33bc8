"""Mirrors: on or off, their light, and patterns packed as controllers take them."""

import math

import numpy as np
import pytest
import torch

from fouroptics.bench.settings import PanelConfig
from fouroptics.devices import patterns
from fouroptics.devices.dmd import DMD, DMDConfig
from fouroptics.devices.slm import SLM
from fouroptics.errors import ConfigError, GeometryError


def test_half_an_amplitude_is_on():
    mirrors = DMD(DMDConfig(shape=(1, 5)))
    asked = torch.tensor([[0.0, 0.499999, 0.5, 0.500001, 1.0]])
    assert mirrors.levels(asked).tolist() == [[0, 0, 1, 1, 1]]
    assert mirrors.levels(asked.to(torch.complex64) * 1j).tolist() == [[0, 0, 0, 0, 0]]  # the nearest of 0 and 1
    assert mirrors.levels(asked).dtype == torch.uint8


def test_light_of_a_mirror():
    """sqrt(R) F near the axis; nothing from the gaps and from mirrors that are off."""
    mirrors = DMD(DMDConfig(shape=(1, 2), fill_factor=0.9, reflectivity=0.64))
    light = mirrors(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    assert light.dtype == torch.complex128
    torch.testing.assert_close(light, torch.tensor([[0, 0.72 + 0j]], dtype=torch.complex128), atol=1e-15, rtol=0)


def test_gradient_passes_straight_through():
    mirrors = DMD(DMDConfig(shape=(1, 3), fill_factor=0.9))
    asked = torch.tensor([[0.1, 0.5, 0.9]], dtype=torch.float64, requires_grad=True)
    mirrors(asked).real.sum().backward()
    torch.testing.assert_close(asked.grad, torch.full((1, 3), 0.9, dtype=torch.float64))


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [math.nan], [1.1 + 0j], [1]])
def test_what_no_mirror_shows_is_refused(bad: list[complex]):
    with pytest.raises(GeometryError, match=r"give amplitudes in \[0, 1\]"):
        DMD(DMDConfig()).levels(torch.tensor(bad))


def test_presets():
    config = DMDConfig.preset("ti-dlp7000")
    assert (config.shape, config.mirror_tilt, config.refresh_rate) == ((768, 1024), pytest.approx(math.pi / 15), 32552)
    with pytest.raises(ConfigError, match="bits = 8"):
        DMDConfig.preset("generic-1080p-8um")


def test_a_panel_of_a_bench_can_be_mirrors():
    """The same levels and light, with or without a class of its own."""
    asked = torch.rand(6, 7, generator=torch.Generator().manual_seed(0))
    slm = SLM(PanelConfig.model_validate({"preset": "ti-dlp7000", "iris": "band"}))
    mirrors = DMD(DMDConfig.preset("ti-dlp7000"))
    assert torch.equal(slm.levels(asked), mirrors.levels(asked))
    torch.testing.assert_close(slm(asked), mirrors(asked))
    torch.testing.assert_close(slm.transmission(slm.levels(asked)), slm(asked.double()))


@pytest.mark.parametrize("width", [1, 8, 13, 1024])
def test_packed_patterns_come_back(width: int):
    on = np.random.default_rng(0).integers(0, 2, (3, 5, width))
    packed = patterns.pack(on)
    assert (packed.shape, packed.dtype) == ((3, 5, -(-width // 8)), np.uint8)
    assert np.array_equal(patterns.unpack(packed, width), on)
    assert patterns.pack(np.eye(1, 8, dtype=int)).tolist() == [[128]]  # the leftmost mirror is the highest bit


def test_size_of_packed_patterns():
    assert patterns.pack(np.zeros((24, 1080, 1920), np.uint8)).nbytes == 6_220_800


def test_a_frame_plays_24_patterns_from_blue_to_red():
    for i, (channel, bit) in {0: (2, 0), 7: (2, 7), 8: (1, 0), 15: (1, 7), 16: (0, 0), 23: (0, 7)}.items():
        on = np.zeros((24, 2, 3), np.uint8)
        on[i] = 1
        expected = np.zeros((1, 2, 3, 3), np.uint8)
        expected[..., channel] = 1 << bit
        assert np.array_equal(patterns.video(on), expected)
    assert patterns.video(np.ones((25, 2, 3), bool)).tolist()[1] == [[[0, 0, 1]] * 3] * 2  # the 25th, and no more


def test_bit_planes_add_up():
    grey = np.random.default_rng(0).integers(0, 256, (4, 5, 6), dtype=np.uint8)
    planes = patterns.planes(grey)
    assert planes.shape == (4, 8, 5, 6)
    assert np.array_equal((planes * 2 ** np.arange(8)[:, None, None]).sum(1), grey)


def test_wrong_patterns_are_refused():
    with pytest.raises(GeometryError, match="zeros and ones"):
        patterns.pack(np.full((2, 3), 2))
    with pytest.raises(GeometryError, match="zeros and ones"):
        patterns.video(np.full((1, 2, 3), 0.5))
    with pytest.raises(GeometryError, match=r"give \(M, H, W\)"):
        patterns.video(np.ones((5, 6), int))  # its rows are no patterns
    with pytest.raises(GeometryError, match=r"\(\.\.\., H, W\)"):
        patterns.planes(np.array([1, 2]))
    with pytest.raises(GeometryError, match=r"17 wide: give uint8 \(..., H, 3\)"):
        patterns.unpack(np.zeros((2, 2), np.uint8), 17)
    with pytest.raises(GeometryError, match="give whole numbers 0"):
        patterns.planes(np.full((2, 3), 16), bits=4)
