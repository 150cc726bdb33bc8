"""The display: coding, gamma, contrast, fill, pointing and nuisances; on its own against its sub-pixels."""

import math

import numpy as np
import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.bench.display import illumination

GREY = torch.linspace(0, 1, 48, dtype=torch.float64).reshape(6, 8)


def bench(changes=None) -> fo.FourF:
    return fo.FourF(bench_data(changes))


def display(**fields) -> fo.InputDisplay:
    return fo.InputDisplay(fo.InputConfig(**({"shape": (6, 8), "pitch": 10e-6} | fields)))


@pytest.mark.parametrize("coding", ["amplitude", "intensity", "phase", "binary"])
def test_it_codes_as_the_bench(coding):
    """The light of the bench is the beam times what its display shows."""
    fields = {"coding": coding, "gamma": 1.8, "contrast": 200.0}
    place = fo.FourF(bench_data({"input": {"shape": [6, 8], **fields}}))
    white = fo.FourF(bench_data({"input": {"shape": [6, 8]}})).encode(torch.ones_like(GREY)).data
    torch.testing.assert_close(place.encode(GREY).data, display(**fields)(GREY) * white)


@pytest.mark.parametrize("fill", [1.0, 0.64])
def test_the_envelope_is_the_spectrum_of_its_sub_pixels(fill):
    """Of one bright pixel; the midpoint rule on n sub-pixels is of second order, an edge on their border too."""
    place, f = display(shape=(1, 1), fill_factor=fill), torch.linspace(-1.5e5, 1.5e5, 7, dtype=torch.float64)
    expected, errors = place.envelope(f[:, None], f), []
    for n in (20, 40):
        shown = place.expand(torch.ones(1, 1, dtype=torch.float64), n)
        x = ((torch.arange(n) + 0.5) / n - 0.5) * 10e-6
        wave = torch.exp(-2j * math.pi * f[:, None] * x) / n
        errors.append(float(((wave @ (shown + 0j) @ wave.mT) - expected).abs().max()))
    assert errors[1] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert float(place.expand(torch.ones(1, 1), 40).mean()) == pytest.approx(fill)


def test_orders_on_the_panel():
    """A band apart: as many panel pixels as the bench says."""
    config = fo.FourF(bench_data()).config
    assert fo.InputDisplay(config.input).orders(633e-9, 0.2) == pytest.approx(config.band * config.panel.pitch)
    point = display(pixel="point")
    assert bool((point.envelope(torch.zeros(3, 1), torch.arange(4.0)) == 1).all())
    with pytest.raises(fo.GeometryError, match="square"):
        point.expand(GREY, 2)
    with pytest.raises(fo.GeometryError, match=r"\[0, 1\]"):
        point(2 * GREY)


def test_split_of_coherent_light_says_what_it_asks():
    data = bench_data({"readout": {"kind": "split"}})
    (row,) = [row for row in fo.FourF(data).check() if row.quantity == "readout"]
    assert row.verdict == "note"
    assert "roots" in row.have
    assert "without a sign" in row.need
    with pytest.raises(fo.ConfigError, match="root of coherent light"):
        fo.FourF(bench_data({"readout": {"kind": "split"}, "input": {"coding": "phase"}}))
    incoherent = bench_data({"readout": {"kind": "split"}, "light": {"coherence": "incoherent"}})
    assert "readout" not in [row.quantity for row in fo.FourF(incoherent).check()]


def test_display_gamma_contrast_and_pointing():
    grey = torch.linspace(0, 1, 64, dtype=torch.float64).reshape(8, 8)
    beam = illumination(bench().config)
    dark = bench({"input": {"gamma": 2.2, "contrast": 50.0}}).encode(grey).data
    torch.testing.assert_close(dark, (0.02 + 0.98 * grey**4.4).sqrt() * beam + 0j)
    off, on = (abs(complex(dark[i, i] / beam[i, i])) for i in (0, -1))
    assert (on / off) ** 2 == pytest.approx(50)
    with pytest.raises(fo.GeometryError, match=r"\[0, 1\]"):
        bench({"input": {"gamma": 0.5}}).encode(-grey)
    tilted = bench({"light": {"pointing": ["0 mrad", "0.4 mrad"]}}).encode(grey).data
    x = torch.from_numpy(bench().input_grid.coordinates()[1])
    turns = math.sin(0.4e-3) * x / 633e-9
    torch.testing.assert_close(tilted, grey * beam * torch.exp(2j * math.pi * turns))


def test_pointing_moves_the_light_on_the_panel():
    """By f sin(angle); with the square pixel's sinc, which the tilt carries along."""
    shift = 8e-6 * 10
    angle = math.asin(shift / 0.2)
    plain, tilted = bench(), bench({"light": {"pointing": ["0 rad", f"{angle!r} rad"]}})
    image = torch.rand(8, 8, dtype=torch.float64)
    a, b = plain.at("fourier", image).data, tilted.at("fourier", image).data
    torch.testing.assert_close(a[:, :-10], b[:, 10:])


@pytest.mark.parametrize("fill", [0.5, 0.9])
def test_fill_of_the_display(fill):
    """A smaller active square sends less light, and over a wider sinc; its power is the fill of that of the pixel."""
    place = bench({"input": {"fill_factor": fill}, "panel": {"shape": [1500, 1500], "iris": None}})
    spectrum = place.pixel_spectrum()
    y = np.array([0.0, 2e-4])
    row = place.pixel_spectrum(fo.Grid((1, 3), (8e-6, 2e-4)))[0]
    unit = 247.265625e-6 / (633e-9 * 0.2)
    expected = fill * np.sinc(math.sqrt(fill) * unit * y)
    assert row[1:].numpy() == pytest.approx(expected)
    power = float(spectrum.square().sum()) / place.config.band**2
    beyond = 1 / (math.pi**2 * math.sqrt(fill) * 1500 / 64 / 2)  # the tails of sinc^2 that miss the panel, an axis
    assert power == pytest.approx(fill * (1 - beyond) ** 2, rel=1e-3)


def test_nuisances_of_the_file():
    grey = torch.ones(8, 8, dtype=torch.float64)
    bare = bench().encode(grey).data
    fringes = {"amplitude": 0.02, "period": "1 mm", "angle": "30 deg", "phase": "1 rad"}
    y, x = bench().input_grid.coordinates()
    turns = torch.from_numpy((math.sin(math.pi / 6) * y[:, None] + math.cos(math.pi / 6) * x) / 1e-3)
    expected = bare * (1 + 0.02 * torch.exp(2j * math.pi * turns + 1j)) / 1.02
    torch.testing.assert_close(bench({"nuisances": {"fringes": fringes}}).encode(grey).data, expected)
    dusty = bench({"nuisances": {"dust": {"count": 2, "radius": "700 um"}}}).encode(grey).data
    assert float((dusty / bare).abs().min()) < 0.5
    noisy = bench({"nuisances": {"power_drift": 0.01, "pointing_jitter": "20 urad", "seed": 3}})
    first, second = noisy.encode(grey), noisy.encode(grey)
    assert float(first.power()) != float(second.power())
    again = bench({"nuisances": {"power_drift": 0.01, "pointing_jitter": "20 urad", "seed": 3}})
    torch.testing.assert_close(again.encode(grey).data, first.data)
