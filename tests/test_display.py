"""The display on its own, against the bench it is part of and against the sum over its sub-pixels."""

import math

import pytest
import torch
from conftest import bench_data

import fouroptics as fo

GREY = torch.linspace(0, 1, 48, dtype=torch.float64).reshape(6, 8)


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
