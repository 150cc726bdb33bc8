"""A bench small enough for a test: 8 x 8 images, a band of 64 panel pixels, windows for four kernels of 3 x 3 taps."""

import copy
import tomllib
from typing import Any

import numpy as np
import pytest

from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import EXAMPLE
from fouroptics.bench.shown import PanelFrames
from fouroptics.light.field import Field
from fouroptics.light.sources import axes

SMALL = {
    "light": {"beam_radius": "20 mm"},
    "input": {"shape": [8, 8], "pitch": "247.265625 um"},
    "panel": {"shape": [96, 128]},
    "camera": {"pitch": "82.421875 um", "shape": [144, 144]},
}


def bench_data(changes: dict[str, Any] | None = None, *, small: bool = True) -> dict[str, Any]:
    """The example bench file as a dict, made small, with some keys of its sections changed."""
    data = copy.deepcopy(tomllib.loads(EXAMPLE))
    for part in ([SMALL] if small else []) + [changes or {}]:
        for section, value in part.items():
            if isinstance(value, dict):
                data[section] = data.get(section, {}) | value
            else:
                data[section] = value
    return data


def random_frames(place: FourF, count: int = 1) -> PanelFrames:
    """Random grey levels for the panel of a bench."""
    shape = (count, *place.config.panel.shape)
    return PanelFrames(np.random.default_rng(0).integers(0, 256, shape, np.uint8), place.config.panel)


def centroid(u: Field) -> tuple[float, float]:
    """Centre of the intensity, (y, x) in metres."""
    y, x = axes(u.grid)
    return float((u.intensity * y).sum() / u.intensity.sum()), float((u.intensity * x).sum() / u.intensity.sum())


@pytest.fixture(scope="session")
def small_bench() -> FourF:
    return FourF(bench_data())


@pytest.fixture(scope="session")
def example_bench() -> FourF:
    return FourF(bench_data(small=False))
