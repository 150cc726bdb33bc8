"""The power ledger of a 4f bench, entry by entry against closed forms."""

import math

import numpy as np
import pytest
import torch
from conftest import bench_data, random_frames

import fouroptics as fo
from fouroptics.bench.shown import PanelFrames


def bench(**changes) -> fo.FourF:
    return fo.FourF(bench_data(changes))


def entries(place: fo.FourF, masks=None) -> dict:
    image = torch.ones(place.config.input.shape, dtype=torch.float64)
    found = place.ledger(image, torch.ones(place.fourier_grid.shape) if masks is None else masks)
    assert sum(entry.taken for entry in found.entries) == pytest.approx(found.entered - found.left, rel=1e-12)
    assert found.entered == place.config.light.power
    return {entry.element: entry for entry in found.entries}


def test_what_misses_the_display():
    """A Gaussian beam on a square display: 1 - erf(sqrt 2 a / w)^2; 64 pixels sample it to 1e-6."""
    place = bench(
        input={"shape": [64, 64], "pitch": "31.65 um"}, light={"beam_radius": "1 mm"}, panel={"shape": [500, 500]}
    )
    passed = math.erf(math.sqrt(2) * 32 * 31.65e-6 / 1e-3) ** 2
    assert entries(place)["beam"].share == pytest.approx(1 - passed, abs=2e-4)  # the midpoint rule at the rim


def test_the_display_takes_what_its_pixels_do_not_fill():
    shares = entries(bench(input={"fill_factor": 0.8}))
    assert shares["display"].taken == pytest.approx(0.2 * shares["display"].before, rel=1e-9)


def test_the_panel_window_takes_the_orders_of_the_display():
    """Of a point pixel all light is in one period; of a white square display on one band, sinc^2 decides.

    The light of N equal pixels is a comb of peaks; the tails of the one on the axis beyond half a band are 1/(pi^2 N)
    an axis, twice.
    """
    n = 24
    place = bench(
        input={"shape": [n, n], "pitch": "126.6 um"}, panel={"shape": [125, 125]}, light={"beam_radius": None}
    )
    window = entries(place)["panel"]
    band = place.config.band * place.config.panel.pitch
    x = np.linspace(-band / 2, band / 2, 200_001)
    unit = 126.6e-6 / (633e-9 * 0.2)
    line = (np.sinc(x * unit * n)) ** 2 * unit * n
    inside = np.trapezoid(line, x) ** 2
    assert window.taken / window.before == pytest.approx(1 - inside, rel=0.02)


@pytest.mark.parametrize("dead", [0.0, 0.6, 1.0])
def test_the_gap_takes_its_area(dead: float):
    place = bench(panel={"shape": [96, 128], "fill_factor": 0.85, "dead_amplitude": dead})
    found = entries(place, random_frames(place))
    assert found["panel gap"].taken == pytest.approx(0.15 * (1 - dead**2) * found["panel gap"].before, rel=1e-9)
    assert found["panel pixels"].share == pytest.approx(0, abs=1e-12)


def test_flicker_and_amplitude_take_theirs():
    flickering = bench(panel={"shape": [96, 128], "flicker": "0.3 rad", "fill_factor": 1.0})
    found = entries(flickering, random_frames(flickering))["panel pixels"]
    assert found.taken == pytest.approx((1 - math.exp(-0.09)) * found.before, rel=1e-9)
    half = entries(bench(), torch.full(bench().fourier_grid.shape, 0.5))["panel pixels"]
    assert half.taken == pytest.approx(0.75 * half.before, rel=1e-9)


def test_splitter_and_analyser():
    place = bench(fold={"kind": "beam_splitter", "reflectance": 0.4}, polarisation={"angle": "0.2 rad"})
    found = entries(place)["fold, polariser"]
    assert found.behind == pytest.approx(0.24 * math.cos(0.2) ** 2 * found.before, rel=1e-9)


def test_the_camera_gets_what_is_left():
    """An open panel over one period of a point display: all of it, in the zero order, to the rounding of float64."""
    place = bench(input={"pixel": "point"}, camera={"pitch": "247.265625 um", "shape": [64, 64]})
    found = entries(place)
    for part in ("panel", "panel pixels", "fold, polariser", "camera"):
        assert found[part].share == pytest.approx(0, abs=1e-6), part
    assert found["zero order"].behind == pytest.approx(0, abs=1e-6 * found["zero order"].before)


def test_a_carrier_leaves_the_zero_order():
    """What a blazed panel of fill F leaves on the axis, of points over a whole period: ((1 - F) r)^2 of the light."""
    place = bench(input={"pixel": "point"}, panel={"shape": [96, 128], "fill_factor": 0.9})
    x = np.arange(128) - 64
    levels = place.slm.levels(torch.from_numpy(2 * math.pi * x / 4 + 0 * np.zeros((96, 1)))).numpy()[None]
    found = entries(place, PanelFrames(levels, place.config.panel))["zero order"]
    lit = entries(place, PanelFrames(levels, place.config.panel))["panel"].behind
    assert found.taken / lit == pytest.approx(0.01, rel=0.1)  # and the tails of the pixels' sinc in the window


def test_a_ledger_is_of_one_image():
    place = bench()
    with pytest.raises(fo.GeometryError, match="one image"):
        place.ledger(torch.ones(2, 8, 8), torch.ones(place.fourier_grid.shape))
    assert "zero order" in str(place.ledger(torch.ones(8, 8), torch.ones(place.fourier_grid.shape)))
