"""The SLM against numbers that are known: levels, orders of a blaze, fill factor, the integral over a pixel."""

import math

import numpy as np
import pytest
import torch

from fouroptics.devices.panel import PRESETS, SLMConfig, levels, realised
from fouroptics.devices.slm import SLM
from fouroptics.errors import ConfigError, GeometryError


def panel(**fields) -> SLM:
    return SLM(SLMConfig(**{"shape": (32, 48), "fill_factor": 1.0, **fields}))


@pytest.mark.parametrize("bits", [1, 8, 10])
def test_levels_are_those_of_slmsuite(bits):
    phase = np.linspace(-20, 20, 10001).astype(np.float32)
    n = 2**bits
    expected = np.mod(-np.rint(phase * np.float32(n / (2 * np.pi))) - 1, n)
    np.testing.assert_array_equal(levels(phase, bits), expected)
    np.testing.assert_array_equal(levels(torch.from_numpy(phase), bits).numpy(), expected)
    assert levels(np.zeros(1, np.float32), 8) == 255  # phase 0 is the highest level
    assert levels(np.array([np.pi], np.float32), 8) == 127


@pytest.mark.parametrize("grey", ["slmsuite", "direct"])
def test_realised_phase_is_within_half_a_level(grey):
    phase = torch.linspace(-7, 7, 5001, dtype=torch.float64)
    shown = realised(levels(phase, 6, grey), 6, grey)
    miss = torch.remainder(shown - phase + math.pi, 2 * math.pi) - math.pi
    assert miss.abs().max() <= math.pi / 64 * (1 + 1e-5)  # half a level, and the rounding of float32
    assert set(levels(realised(torch.arange(64), 6, grey), 6, grey).tolist()) == set(range(64))


def test_levels_have_the_dtype_of_the_panel():
    assert panel().levels(torch.zeros(2, 2)).dtype == torch.uint8
    assert panel(bits=10).levels(torch.zeros(2, 2)).dtype == torch.uint16


def test_quantisation_error_of_8_bit_is_7_mrad():
    phase = torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    miss = torch.remainder(panel().realised(phase) - phase + math.pi, 2 * math.pi) - math.pi
    assert float(miss.square().mean().sqrt()) == pytest.approx(7.085e-3, rel=5e-3)  # 2 pi/256/sqrt 12; 200,000 samples


@pytest.mark.parametrize(("n", "efficiency"), [(2, 0.405285), (4, 0.810569), (8, 0.949641), (16, 0.987215)])
def test_first_order_of_an_n_level_blaze(n, efficiency):
    """sinc^2(1/N): a blaze of N pixels has N levels, its pixels carry the envelope."""
    slm = panel(bits=8)
    phase = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    fine = slm.expand(phase.expand(1, n), 400)[200]  # sub-pixels make the steps of a real pixel
    x = torch.arange(len(fine), dtype=torch.float64) / len(fine)
    order = (fine * torch.exp(-2j * math.pi * x)).mean()
    assert float(order.abs() ** 2) == pytest.approx(efficiency, rel=2e-4)  # 8-bit rounding and 400 sub-pixels


@pytest.mark.parametrize("fill", [0.81, 0.9, 0.93])
def test_fill_factor(fill):
    slm = panel(fill_factor=fill, dead_amplitude=0.0)
    flat = torch.zeros(1, 1, dtype=torch.float64)
    near = slm(flat).mean().abs() ** 2
    assert float(near) == pytest.approx(fill**2, rel=1e-12)  # zero order of a flat panel
    power = float(slm.expand(flat, 1000).abs().square().mean())
    assert power == pytest.approx(fill, abs=1e-3)  # all orders; four edges of 1/1000, half covered, lose c - c^2 <= 1/4


def test_undiffracted_light_adds_to_every_pixel():
    slm = panel(fill_factor=0.9, dead_phase=math.pi / 2)
    phase = torch.tensor([[0.0, math.pi]], dtype=torch.float64)
    expected = 0.9 * torch.exp(1j * slm.realised(phase)) + 0.1j
    torch.testing.assert_close(slm(phase), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_mean_of_the_sub_pixels_is_the_pixel(n):
    slm = panel(fill_factor=0.87)
    phase = torch.rand(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 9
    cells = slm.expand(phase, n).reshape(6, n, 7, n).mean((1, 3))
    torch.testing.assert_close(cells, slm(phase), atol=1e-12, rtol=0)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_nodes_integrate_a_wave_over_the_pixel(order):
    fill = 0.9
    nodes = panel(fill_factor=fill).nodes(order)
    assert sum(node.active for node in nodes) == pytest.approx(fill, rel=1e-12)
    assert sum(node.active + node.dead for node in nodes) == pytest.approx(1, rel=1e-12)
    nu = 0.25  # turns across the pitch
    value = sum(node.active * math.cos(2 * math.pi * nu * node.offset[1]) for node in nodes)
    exact = fill * np.sinc(math.sqrt(fill) * nu)
    error = {2: 2e-3, 3: 6e-6, 4: 2e-8}[order]  # Gauss-Legendre remainder (2 pi nu a)^(2n) (n!)^4 / ((2n+1) (2n)!^3)
    assert value == pytest.approx(exact, rel=error)
    assert value != pytest.approx(exact, rel=error / 1e3)  # the bound is not idle


@pytest.mark.parametrize("nu", [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("fill", [0.6, 0.9])
def test_light_of_the_gap_is_that_of_the_pixel_less_the_active_area(fill, nu):
    slm = panel(fill_factor=fill)
    value = sum(n.dead * math.cos(2 * math.pi * nu * n.offset[1]) for n in slm.nodes(slm.order_for(nu)))
    # 1e-5 an axis is what `order_for` leaves, and where 3 points do, the fourth moment of the pixel: less than
    # (2 pi nu)^4/24 (1/80 - 0.6 F/144), which is 2.6e-3
    assert value == pytest.approx(np.sinc(nu) - fill * np.sinc(math.sqrt(fill) * nu), abs=2.6e-3 if nu < 0.26 else 2e-5)


@pytest.mark.parametrize("turns", [-1, 21, math.inf, math.nan])
def test_no_panel_sends_light_that_far(turns):
    with pytest.raises(GeometryError, match="turns across a pixel"):
        panel().order_for(turns)


def test_gradient_passes_straight_through_the_levels():
    slm = panel(bits=3, fill_factor=0.9)
    phase = torch.tensor([0.3, 2.9, 6.2], dtype=torch.float64, requires_grad=True)
    slm(phase).real.sum().backward()
    torch.testing.assert_close(phase.grad, -0.9 * torch.sin(slm.realised(phase.detach())))


def test_presets_and_wrong_ones():
    for name in PRESETS:
        assert SLMConfig.preset(name).source
    with pytest.raises(ConfigError, match=r"holoeye-pluto-2\.1"):
        SLMConfig.preset("pluto")
    with pytest.raises(ConfigError, match=r"fill_factor = 1.2"):
        SLMConfig(fill_factor=1.2)
    with pytest.raises(GeometryError, match="sub-pixel"):
        panel().expand(torch.zeros(2, 2), 0)
