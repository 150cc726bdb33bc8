"""The SLM against numbers that are known: levels, orders of a blaze, fill factor, the integral over a pixel."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from fouroptics.devices.panel import SLMConfig, levels, realised
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


def test_wrong_panels_are_named():
    with pytest.raises(ConfigError, match=r"holoeye-pluto-2\.1"):
        SLMConfig.preset("pluto")
    with pytest.raises(ConfigError, match=r"fill_factor = 1.2"):
        SLMConfig(fill_factor=1.2)
    for n in (0, 1.5):
        with pytest.raises(GeometryError, match="sub-pixel"):
            panel().expand(torch.zeros(2, 2), n)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("phase", [math.nan, -math.inf, 1.1e8, 1e300], ids=["NaN", "infinite", "far", "farther"])
def test_a_phase_that_float32_does_not_know_is_refused(phase):
    """Its neighbours in float32 are a turn apart from 2^24 turns on, 1.054e8 rad."""
    slm = panel()
    for call in (slm.levels, slm.realised, slm):
        with pytest.raises(GeometryError, match=r"1\.054e"):
            call(torch.tensor([0.0, phase], dtype=torch.float64))
    assert slm.levels(torch.tensor([1e8])).shape == (1,)


@pytest.mark.parametrize("levels", [[[-1]], [[256]], [[1.0]]])
def test_levels_that_the_panel_has_not_are_refused(levels):
    for call in (panel().transmission, lambda given: next(panel().over_pixel(given))):
        with pytest.raises(GeometryError, match=r"whole numbers 0 \.\. 255"):
            call(torch.tensor(levels))


def test_arrays_of_numpy_are_tensors():
    phase = np.random.default_rng(0).uniform(-9, 9, (4, 5)).astype(np.float32)
    slm = panel(crosstalk=0.2)
    calls: list[Any] = [slm.levels, slm.realised, slm, lambda p: slm.expand(p, 2)]
    for call in calls:
        assert torch.equal(call(phase), call(torch.from_numpy(phase)))


def test_neighbours_need_rows_and_columns():
    for slm in (panel(crosstalk=0.2), panel(dead_pixels=((0, 0, 0),))):
        with pytest.raises(GeometryError, match=r"needs the axes \(\.\.\., y, x\)"):
            slm(torch.zeros(5))
    with pytest.raises(GeometryError, match=r"needs the axes \(\.\.\., y, x\)"):
        panel().expand(torch.zeros(5), 2)


def test_a_realised_phase_is_below_a_turn_in_float32():
    """2 pi - 1e-8 rounds up to 2 pi."""
    config = {"bits": 1, "grey": "direct", "table": (1.0, 2 * math.pi - 1e-8), "table_source": "x"}
    for dtype in (torch.float32, torch.float64):
        assert float(panel(**config).realised(torch.tensor([6.2], dtype=dtype))) < 2 * math.pi


# ---- what panels do wrong, and gradients through it ------------------------------------------------------------------

TABLE = tuple((np.linspace(0.2, 5.0, 16) + 0.2 * np.sin(np.linspace(0, 3, 16))).tolist())
DRIVES = {
    "linear": {},
    "short stroke": {"stroke": 4.0},
    "long stroke": {"stroke": 8.0},
    "table": {"table": TABLE, "table_source": "a curve"},
}


@pytest.mark.parametrize("fields", DRIVES.values(), ids=DRIVES)
def test_gradient_of_the_shown_phase_is_that_of_the_asked_one(fields):
    """One everywhere: between the levels, at the wrap, beyond the stroke, and turns away."""
    slm = panel(bits=4, **fields)
    phase = torch.tensor([0.0, 1.0, 3.9, 4.1, 6.2, 2 * math.pi, -0.1, 25.0, -30.0], dtype=torch.float64)
    asked = phase.clone().requires_grad_()
    slm.realised(asked).sum().backward()
    assert asked.grad is not None
    assert torch.equal(asked.grad, torch.ones_like(phase))
    asked.grad = None
    light = slm(asked)
    (light * torch.arange(1, 10)).real.sum().backward()
    torch.testing.assert_close(asked.grad, -torch.arange(1, 10) * light.detach().imag)
    assert torch.equal(slm.realised(asked).detach(), slm.realised(phase))  # and the value is that of the level, exactly


def test_gradient_through_crosstalk_is_that_of_the_blur():
    """Against differences of light that is blurred in the same way but not rounded: 16 bits leave 1e-4 of it."""
    slm = panel(bits=16, crosstalk=0.4, fill_factor=0.9)
    phase = 1.5 + torch.rand(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    asked = phase.clone().requires_grad_()
    weight = torch.randn(5, 6, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    (slm(asked) * weight).real.sum().backward()
    assert asked.grad is not None
    step = 2 * math.pi / 2**16 * 40
    for row, column in ((0, 0), (2, 3)):
        moved = torch.zeros_like(phase)
        moved[row, column] = step
        difference = ((slm(phase + moved) - slm(phase - moved)) * weight).real.sum() / (2 * step)
        assert float(asked.grad[row, column]) == pytest.approx(float(difference), abs=0.03)  # half a level of 80


@pytest.mark.parametrize("modulation", ["amplitude", "coupled", "binary"])
def test_gradient_of_amplitudes_and_complex_targets(modulation):
    fields = {"bits": 1, "stroke": 1.0, "amplitudes": (0.2, 0.9)} if modulation == "coupled" else {"bits": 1}
    slm = panel(modulation=modulation, fill_factor=0.8, dead_amplitude=0.0, **fields)
    for asked in (torch.rand(3, 4), torch.rand(3, 4, dtype=torch.complex64) / 2):
        asked.requires_grad_()
        light = slm(asked)
        light.real.sum().backward()
        torch.testing.assert_close(asked.grad, torch.full_like(asked, 0.8))
        assert light.dtype == torch.complex64


def test_dead_pixels_show_their_level_whatever_is_asked():
    slm = panel(shape=(6, 8), dead_pixels=((0, 7, 255), (2, 3, 127), (5, 0, 0)))
    asked = torch.full((6, 8), 1.0, dtype=torch.float64, requires_grad=True)
    light = slm(asked)
    stuck = torch.polar(torch.ones(3, dtype=torch.float64), torch.tensor([0, math.pi, 255 * math.pi / 128]).double())
    torch.testing.assert_close(light.detach()[[0, 2, 5], [7, 3, 0]], stuck)
    light.imag.sum().backward()
    assert int((asked.grad == 0).sum()) == 3
    inner = slm(asked[1:5, 2:6])  # the middle of the panel, as `Grid` counts it
    torch.testing.assert_close(inner, light[1:5, 2:6])
    torch.testing.assert_close(slm.transmission(slm.levels(asked)), light.detach())


def test_maps_are_those_of_the_middle(tmp_path):
    flat, scale = np.random.default_rng(0).uniform(0.5, 1, (2, 7, 8))
    np.save(tmp_path / "flat.npy", flat)
    np.save(tmp_path / "scale.npy", scale)
    slm = panel(shape=(7, 8), flatness=tmp_path / "flat.npy", stroke_map=tmp_path / "scale.npy")
    phase = torch.rand(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 6
    part = np.s_[1:5, 2:7]
    expected = torch.polar(
        torch.ones_like(phase), slm.realised(phase) * torch.from_numpy(scale[part]) + torch.from_numpy(flat[part])
    )
    torch.testing.assert_close(slm(phase), expected)
    torch.testing.assert_close(slm(phase.float()), expected.to(torch.complex64), atol=2e-6, rtol=0)
    with pytest.raises(GeometryError, match=r"more than the panel, \(7, 8\)"):
        slm(torch.zeros(8, 8))


def test_flicker_is_drawn_from_the_generator():
    slm = panel(flicker=0.3)
    phase = torch.zeros(20, 20)
    draw = [slm(phase, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    torch.testing.assert_close(draw[0].abs(), torch.ones(20, 20))
    torch.testing.assert_close(slm(phase), torch.full((20, 20), math.exp(-0.045) + 0j))


@pytest.mark.parametrize("fields", [{}, {"crosstalk": 0.3}, {"flicker": 0.2}, {"dead_amplitude": 0.0}])
@pytest.mark.parametrize("order", [3, 5])
def test_points_of_a_pixel_add_up_to_it(fields, order):
    slm = panel(fill_factor=0.9, dead_phase=1.0, **fields)
    phase = torch.rand(3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 6
    levels = slm.levels(phase)
    points = list(slm.over_pixel(levels, order))
    assert [node.offset for node, _ in points] == [node.offset for node in slm.nodes(order)]
    assert all(part.shape == phase.shape and part.dtype == torch.complex128 for _, part in points)
    if not fields.get("crosstalk"):
        torch.testing.assert_close(sum(part for _, part in points), slm(phase))


def test_crosstalk_leaves_an_even_phase_alone_and_keeps_the_mean():
    slm = panel(crosstalk=0.7)
    flat = torch.full((4, 5), 1.5, dtype=torch.float64)
    torch.testing.assert_close(slm(flat), torch.polar(torch.ones_like(flat), slm.realised(flat)))
    spot = torch.zeros(15, 15, dtype=torch.float64)
    spot[7, 7] = 1.0
    phase = slm.expand(spot, 8).angle()
    assert float(phase.sum()) / 64 == pytest.approx(float(slm.realised(spot)[7, 7]), rel=1e-9)
    assert float(phase.max()) < 0.4  # (2 Phi(1/(2 0.7)) - 1)^2 = 0.28


def test_stroke_at_another_wavelength():
    """A turn at 800 nm is 1.26 turns at 633 nm: levels that ignore it are off by up to 2 sin(0.13 6.2) = 1.45."""
    sheet = SLMConfig(shape=(4, 4), fill_factor=1.0, stroke_wavelength=800e-9)
    blue = SLM(sheet, 633e-9)
    assert blue.config.stroke == pytest.approx(2 * math.pi * 800 / 633)
    phase = torch.linspace(0, 6.2, 300, dtype=torch.float64)
    miss = torch.remainder(blue.realised(phase) - phase + math.pi, 2 * math.pi) - math.pi
    assert float(miss.abs().max()) <= blue.config.stroke / 512 * (1 + 1e-9)
    naive = blue.transmission(SLM(sheet).levels(phase[None]))
    assert float((naive - torch.polar(torch.ones_like(phase), phase)).abs().max()) > 1.4
