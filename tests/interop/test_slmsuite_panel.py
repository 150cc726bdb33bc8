"""Levels are those that slmsuite sends, to the last bit; runs where slmsuite is installed."""

import logging
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from fouroptics.devices.panel import SLMConfig, levels_for
from fouroptics.devices.slm import SLM

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    simulated = pytest.importorskip("slmsuite.hardware.slms.simulated", exc_type=ImportError)

pytestmark = pytest.mark.filterwarnings("ignore")  # those of slmsuite and of what it imports
SHAPE = (270, 480)


@pytest.fixture(params=[8, 10], ids="{} bit".format)
def theirs(request: pytest.FixtureRequest) -> Any:
    logging.getLogger("slmsuite").setLevel(logging.ERROR)
    return simulated.SimulatedSLM(SHAPE[::-1], pitch_um=8, bitdepth=request.param, wav_um=0.633, gpu=False)


@pytest.fixture
def phase() -> np.ndarray:
    return np.random.default_rng(0).uniform(-20, 20, SHAPE).astype(np.float32)


def test_levels_of_a_phase(theirs: Any, phase: np.ndarray):
    config = SLMConfig(shape=SHAPE, bits=theirs.bitdepth)
    sent = theirs.set_phase(phase, phase_correct=False)
    assert np.array_equal(levels_for(config, phase), sent)
    mine = SLM(config).levels(torch.from_numpy(phase)).numpy()
    assert mine.dtype == sent.dtype
    assert np.array_equal(mine, sent)


def test_levels_are_sent_as_they_are(theirs: Any, phase: np.ndarray):
    mine = SLM(SLMConfig(shape=SHAPE, bits=theirs.bitdepth)).levels(torch.from_numpy(phase)).numpy()
    assert np.array_equal(theirs.set_phase(mine), mine)


def test_a_measured_table_is_inverted_as_theirs(theirs: Any, phase: np.ndarray):
    """Its gamma is our table in turns; their lookup has 65536 entries, so ties may fall to the neighbour."""
    count = 2**theirs.bitdepth
    g = (np.arange(count) + 1) / count
    gamma = g + 0.05 * np.sin(2 * math.pi * g)
    theirs.set_gamma(gamma)
    config = SLMConfig(
        shape=SHAPE, bits=theirs.bitdepth, table=tuple((2 * math.pi * gamma).tolist()), table_source="gamma"
    )
    apart = (levels_for(config, phase).astype(int) - theirs.set_phase(phase, phase_correct=False)) % count
    apart = np.minimum(apart, count - apart)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.02 * count / 1024 + 0.005
