"""The contact sheet: the band on the panel, where the light of a mask goes, and pictures of all kinds of panels."""

import io
from dataclasses import replace

import numpy as np
import pytest
from conftest import bench_data
from PIL import Image

from fouroptics.bench.fourf import FourF
from fouroptics.devices.panel import SLMConfig
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.phases import from_phases
from fouroptics.show import contact

BENCH = {
    "beam": {"incident_wavelength": 633e-9},
    "optics": {"f1": 0.1, "input_pitch": 123.6328125e-6, "input_shape": [8, 8]},  # 64 pixels of 8 um are a band
}


def blazed(tile: tuple[int, int], slm: SLMConfig, instrument: dict) -> MaskSet:
    y, x = np.mgrid[: slm.shape[0], : slm.shape[1]]
    masks = from_phases(2 * np.pi * (tile[0] * y + tile[1] * x)[None] / 64, slm, instrument=instrument)
    return replace(masks, kernels=replace(masks.kernels, tile=np.array([tile])))


def test_the_band_is_that_of_the_bench():
    place = FourF(bench_data())
    masks = blazed((0, 0), SLMConfig(shape=(96, 128)), {})
    optics = {"f1": 0.2, "input_pitch": place.config.input.pitch, "input_shape": [8, 8]}
    found = contact.plane(replace(masks, instrument=BENCH | {"optics": optics}))
    frame = np.arange(96 * 128).reshape(96, 128)
    assert np.array_equal(frame[found.pixels], place.crop(frame))
    assert found.band == pytest.approx(place.config.band)
    assert contact.plane(masks) == ((slice(0, 96), slice(0, 128)), 1.0, None)


@pytest.mark.parametrize("tile", [(0, 0), (12, -7), (-3, 20)])
@pytest.mark.parametrize("bits", [8, 10])
def test_a_blaze_sends_its_light_to_its_tile(tile: tuple[int, int], bits: int):
    """All but the light that rounding to 8 bit spreads, (2 pi / 256)^2 / 12 = 5e-5 of it."""
    masks = blazed(tile, SLMConfig(shape=(64, 72), bits=bits), BENCH)
    power = contact.far_field(masks, 0, contact.plane(masks))
    assert power.shape == (64, 64)
    assert power[32 + tile[0], 32 + tile[1]] == pytest.approx(1, abs=1e-4)


def test_amplitudes_dim_the_far_field():
    """Mirrors on and off in turn: of what they send on, half stays on the axis and half goes half a period away."""
    gray = np.tile(np.arange(64) % 2, (1, 64, 1)).astype(np.uint8)
    slm = SLMConfig(shape=(64, 64), bits=1, modulation="binary")
    masks = MaskSet(None, gray, blazed((0, 0), SLMConfig(shape=(64, 64)), BENCH).kernels, slm, BENCH)
    power = contact.far_field(masks, 0, contact.plane(masks))
    assert power[32, 32] == pytest.approx(0.5)
    assert power[32, 0] == pytest.approx(0.5)


def test_a_single_spot_is_seen_on_a_large_panel():
    """Without a band the whole far field is drawn, 4 samples a dot here; the blaze's light falls on one of them."""
    masks = blazed((18, -13), SLMConfig(shape=(1080, 1920)), {})
    picture = np.asarray(Image.open(io.BytesIO(contact.sheet(masks, 1))).convert("L"))
    inside = picture[100:550, 700:1150]  # of the axes of the far field
    assert 0 < (inside > 200).sum() < 50


@pytest.mark.parametrize("instrument", [BENCH, {}], ids=["bench", "unknown"])
@pytest.mark.parametrize("modulation", ["phase", "binary"])
def test_sheets_are_drawn(instrument: dict, modulation: str):
    one = blazed((12, -7), SLMConfig(shape=(64, 72)), instrument)
    if modulation == "binary":
        slm = SLMConfig(shape=(64, 72), bits=1, modulation="binary")
        one = MaskSet(None, (one.gray > 127).astype(np.uint8), one.kernels, slm, instrument)
    with Image.open(io.BytesIO(contact.sheet(one, 1))) as picture:
        assert (picture.format, picture.width) == ("PNG", 1200)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
