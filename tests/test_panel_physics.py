"""Light behind a panel against closed forms and against numbers that were computed elsewhere, by the panel's own code.

Orders are those of a periodic panel: ``c_m = mean(t(x) exp(-2 pi i m x / P))`` over whole periods of P pixels, with the
pixels' own diffraction in sub-pixels or as the closed form of the envelope.
"""

import math

import numpy as np
import pytest
import torch
from scipy.special import j1, jn_zeros, jv
from torch import Tensor

from fouroptics.devices.panel import SLMConfig
from fouroptics.devices.slm import SLM

TURN = 2 * math.pi
SUB = 40  #: sub-pixels an axis


def panel(**fields) -> SLM:
    return SLM(SLMConfig(**{"shape": (64, 64), "fill_factor": 1.0, "dead_amplitude": 0.0, "bits": 16, **fields}))


def ramp(period: int, total: int | None = None) -> Tensor:
    """Blaze of a turn a period, (1, x) in rad, float64."""
    return (TURN / period * torch.arange(total or period, dtype=torch.float64) % TURN)[None]


def order(light: Tensor, m: float, periods: int = 1) -> complex:
    """Amplitude of an order of light (1, x) over so many periods, at the middles of its samples."""
    x = (torch.arange(light.shape[-1], dtype=torch.float64) + 0.5) * periods / light.shape[-1]
    return complex((light * torch.exp(-2j * math.pi * m * x)).mean())


def efficiency(light: Tensor, m: float, periods: int = 1) -> float:
    return abs(order(light, m, periods)) ** 2


def repeated(slm: SLM, phase: Tensor) -> Tensor:
    """Sub-pixels (1, SUB x) of a panel that repeats a phase (1, x): a period in the middle of several."""
    wide = slm.expand(phase.repeat(1, 5), SUB)[SUB // 2, None]
    return wide[:, 2 * SUB * phase.shape[-1] : 3 * SUB * phase.shape[-1]]


# ---- 1 levels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "mrad"), [(4, 113.4), (6, 28.3), (8, 7.085), (10, 1.771)])
def test_rounding_error(bits: int, mrad: float):
    """2 pi / 2^b / sqrt(12), for phases that fill the levels evenly."""
    phase = torch.linspace(0, TURN, 400_001, dtype=torch.float64)[:-1]
    miss = torch.remainder(panel(bits=bits).realised(phase) - phase + math.pi, TURN) - math.pi
    rms = float(miss.square().mean().sqrt())
    assert rms == pytest.approx(TURN / 2**bits / math.sqrt(12), rel=1e-4)  # 400,000 phases fall evenly to 3e-5
    assert rms * 1e3 == pytest.approx(mrad, rel=2e-3)  # the digits given


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 8])
def test_first_order_of_rounded_levels(bits: int):
    """sinc^2(1/2^b), where a period has many pixels; 4096 of them: 1e-6, and as much for levels not quite centred."""
    shown = panel(bits=bits)(ramp(4096))
    assert efficiency(shown, 1) == pytest.approx(np.sinc(1 / 2**bits) ** 2, abs=1e-5)


# ---- 2 blazes --------------------------------------------------------------------------------------------------------

BLAZE = [(2, 0.405285), (3, 0.683918), (4, 0.810569), (5, 0.875140), (6, 0.911891), (8, 0.949641), (16, 0.987215)]
BLAZE += [(32, 0.996791), (64, 0.999197)]


@pytest.mark.parametrize(("n", "eta"), BLAZE)
def test_blaze_of_n_pixels(n: int, eta: float):
    """On samples at the pixels it looks perfect; the pixels' envelope makes it sinc^2(1/N), and so do sub-pixels.

    40 sub-pixels stand for the integral over a pixel to (pi / 40 N)^2 / 3.
    """
    slm = panel()
    samples = efficiency(slm(ramp(n)), 1)
    assert samples == pytest.approx(1, abs=1e-6)
    assert samples * slm.envelope(0, 1 / n) == pytest.approx(eta, abs=2e-6)
    assert efficiency(repeated(slm, ramp(n)), 1) == pytest.approx(eta, rel=(math.pi / SUB / n) ** 2 / 3 + 1e-6)


@pytest.mark.parametrize(("bits", "eta"), [(1, 0.40659), (2, 0.81318), (3, 0.95270), (4, 0.99039)])
def test_levels_on_samples_lack_the_envelope(bits: int, eta: float):
    """sinc^2(1/2^b) / sinc^2(1/P) for a period of 32 samples."""
    slm = panel(bits=bits)
    phase = ramp(32) + 0.01 * TURN / 32  # off the edges between two levels
    assert efficiency(slm(phase), 1) == pytest.approx(eta, abs=1e-5)
    assert efficiency(slm(phase), 1) * slm.envelope(0, 1 / 32) == pytest.approx(np.sinc(1 / 2**bits) ** 2, abs=1e-5)


# ---- 3 fill factor ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fill", "zero", "first"),
    [(0.93, 0.8649, 0.001176), (0.87, 0.7569, 0.003878), (0.9, 0.81, 0.00235), (0.957, 0.9158, 0.000451)],
)
def test_orders_of_a_flat_panel(fill: float, zero: float, first: float):
    """F^2 sinc^2(m sqrt(F)) sinc^2(n sqrt(F)); all orders together carry F."""
    slm = panel(fill_factor=fill)
    near = float(slm(torch.zeros(1, 1, dtype=torch.float64)).abs() ** 2)
    assert near == pytest.approx(zero, abs=5e-5)
    assert near * slm.envelope(0, 1) == pytest.approx(first, abs=5e-7)
    share = sum(slm.envelope(0, m) for m in range(-2000, 2001))
    assert fill**2 * share**2 == pytest.approx(fill, rel=3e-4)  # the tail is 1 / (pi^2 F m) an axis, at most


def test_gaps_that_reflect_add_to_the_axis():
    """(1 - F)^2 = 0.0049 at 93 %, whatever the mask: here a blaze, which sends nothing there itself."""
    shown = panel(fill_factor=0.93, dead_amplitude=1.0)(ramp(64))
    assert efficiency(shown, 0) == pytest.approx(0.0049, abs=1e-6)


def test_orders_lie_under_the_envelope_of_the_active_area():
    slm = panel(fill_factor=0.9)
    rows = slm.expand(ramp(4), SUB).mean(0, keepdim=True)
    assert efficiency(rows, 1) == pytest.approx(0.81 * slm.envelope(0, 1 / 4), rel=2e-4)  # 40 sub-pixels: 1.3e-4
    assert efficiency(rows, -3) == pytest.approx(0.81 * slm.envelope(0, 3 / 4), rel=2e-3)


# ---- 4 stroke --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "first", "zero"), [(0.8, 0.87514, 0.05470), (0.9, 0.96753, 0.01194)])
def test_blaze_stretched_to_a_short_stroke(alpha: float, first: float, zero: float):
    """eta_m = sinc^2(alpha - m); 4096 pixels a period leave 1e-5."""
    shown = panel(stroke=alpha * TURN)(alpha * ramp(4096))
    assert efficiency(shown, 1) == pytest.approx(first, abs=2e-5)
    assert efficiency(shown, 0) == pytest.approx(zero, abs=2e-5)


def test_blaze_on_a_long_stroke():
    shown = panel(stroke=1.1 * TURN).transmission(torch.arange(65535, -1, -1)[None])  # every level, one after the other
    assert efficiency(shown, 1) == pytest.approx(0.96753, abs=2e-5)
    assert efficiency(shown, 0) == pytest.approx(0.00800, abs=2e-5)


@pytest.mark.parametrize(("alpha", "clamped"), [(0.8, 0.91719), (0.9, 0.98806)])
def test_nearest_beats_clamped_beats_stretched(alpha: float, clamped: float):
    """Held at its end: ``a + e^{2 pi i a} (e^{-2 pi i} - e^{-2 pi i a}) / (-2 pi i)``; at the nearer one, as the panel
    chooses: ``a + sin(pi (1 - a)) / pi``. 4096 pixels a period."""
    slm, blaze, turns = panel(stroke=alpha * TURN), ramp(4096) + TURN / 8192, 2j * math.pi
    held = slm(blaze.clamp(max=alpha * TURN * (1 - 1e-5)))
    asked = slm(blaze)
    form = alpha + np.exp(turns * alpha) * (np.exp(-turns) - np.exp(-turns * alpha)) / -turns
    assert efficiency(held, 1) == pytest.approx(clamped, abs=2e-5)
    assert efficiency(held, 1) == pytest.approx(abs(form) ** 2, abs=2e-5)
    nearest = (alpha + math.sin(math.pi * (1 - alpha)) / math.pi) ** 2
    assert efficiency(asked, 1) == pytest.approx(nearest, abs=2e-5)
    stretched = np.sinc(alpha - 1) ** 2
    assert nearest > clamped > stretched


# ---- 5 measured tables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", ["slmsuite", "direct"])
@pytest.mark.parametrize("bits", [4, 8, 10])
def test_a_table_is_inverted_to_half_its_local_step(bits: int, grey: str):
    g = np.arange(2**bits) / (2**bits - 1)
    table = TURN * (g + 0.12 * np.sin(2 * math.pi * g) / 1.3)
    slm = panel(bits=bits, grey=grey, table=tuple(table), table_source="a curve")
    phase = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 40 - 20
    shown = slm.realised(phase)
    miss = (torch.remainder(shown - phase + math.pi, TURN) - math.pi).abs().numpy()
    levels, steps = (
        slm.levels(phase).numpy().astype(int),
        np.diff(table, prepend=table[-2] - TURN, append=table[1] + TURN),
    )
    half = np.maximum(steps[levels], steps[levels + 1]) / 2
    assert (miss <= half + 1e-9).all()
    assert (miss > 0.9 * half).any()  # the bound is not idle


# ---- 6 crosstalk -----------------------------------------------------------------------------------------------------


def test_crosstalk_of_a_sinusoid():
    """No fly-back: J1^2(m0 exp(-2 pi^2 sigma^2 / Lambda^2)), 0.28406 at sigma = Lambda / 8, 0.33857 without crosstalk.

    256 pixels a period hold the sinusoid to sinc(1/256), 3e-5 of m0.
    """
    n, depth = 256, 1.8412
    phase = depth * (1 + torch.sin(ramp(n)))
    for sigma, eta in ((32.0, 0.28406), (0.0, 0.33857)):
        shown = repeated(panel(crosstalk=sigma), phase) if sigma == 0 else panel(crosstalk=sigma)(phase.repeat(1, 5))
        middle = shown if sigma == 0 else shown[:, 2 * n : 3 * n]
        assert efficiency(middle, 1) == pytest.approx(eta, abs=2e-5)


@pytest.mark.parametrize(
    ("sigma", "etas"),
    [(0.2, (0.6754, 0.8442, 0.9244)), (0.3, (0.5931, 0.7883, 0.8923)), (0.5, (0.4038, 0.6688, 0.8261))],
)
def test_crosstalk_smears_the_fly_back_of_a_blaze(sigma: float, etas: tuple[float, ...]):
    """It is the wrapped phase that is blurred. 1e-4: the digits given, 5e-5, and 40 sub-pixels."""
    for period, eta in zip((4, 8, 16), etas, strict=True):
        assert efficiency(repeated(panel(crosstalk=sigma), ramp(period)), 1) == pytest.approx(eta, abs=1e-4)


@pytest.mark.parametrize(("period", "zero", "first"), [(4, 0.0444, 0.3889), (2, 0.1775, 0.3434)])
def test_crosstalk_of_a_binary_grating(period: int, zero: float, first: float):
    phase = math.pi * (torch.arange(period, dtype=torch.float64) >= period // 2)[None].double()
    shown = repeated(panel(crosstalk=0.2), phase)
    assert efficiency(shown, 0) == pytest.approx(zero, abs=1e-4)
    assert efficiency(shown, 1) == pytest.approx(first, abs=1e-4)


@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("fill", [0.9, 1.0])
def test_points_of_a_pixel_integrate_crosstalk(sigma: float, fill: float):
    """Orders of a random mask from the few points of `over_pixel` and from a far finer mesh; `order_for` says 1e-4."""
    slm = panel(crosstalk=sigma, fill_factor=fill, dead_amplitude=0.7)
    phase = TURN * torch.rand(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    levels, nu = slm.levels(phase), 0.3
    few, many = (
        torch.stack(
            [part * np.exp(-2j * math.pi * nu * at.offset[1]) for at, part in slm.over_pixel(levels, points)]
        ).sum(0)
        for points in (slm.order_for(nu), 26)
    )
    assert float((few - many).abs().square().mean().sqrt()) < 2e-4  # two axes
    torch.testing.assert_close(slm.transmission(levels), slm(phase))


# ---- 7 flicker -------------------------------------------------------------------------------------------------------


def test_flicker_of_each_pixel_dims_every_order():
    """exp(-s^2) = 0.96079 at 0.2 rad; one frame of 512 x 512 pixels scatters by 1e-4, so 1e-3."""
    slm = panel(flicker=0.2)
    phase = ramp(8, 512).repeat(512, 1)
    assert efficiency(slm(phase[:1]), 1, 64) == pytest.approx(0.96079, abs=1e-5)
    frame = slm(phase, generator=torch.Generator().manual_seed(0))
    assert efficiency(frame.mean(0, keepdim=True), 1, 64) == pytest.approx(0.96070, abs=1e-3)
    background = float(frame.abs().square().mean()) - efficiency(frame.mean(0, keepdim=True), 1, 64)
    assert background == pytest.approx(1 - math.exp(-0.04), abs=1e-3)


def test_flicker_of_all_pixels_together():
    """phi (1 + eps): a blaze keeps sinc^2(eps). It is a stroke that differs from frame to frame."""
    for eps in (0.01, 0.1):
        shown = panel(stroke=(1 + eps) * TURN).transmission(panel().levels(ramp(4096)))
        assert efficiency(shown, 1) == pytest.approx(np.sinc(eps) ** 2, abs=1e-5)


# ---- 8 maps ----------------------------------------------------------------------------------------------------------


def test_strehl_of_a_flatness(tmp_path):
    """exp(-rms^2) for small phases: 0.3 rad of random phase, 2e-3 for 64 x 64 draws. Its mean is exact."""
    flat = np.random.default_rng(0).normal(0, 0.3, (64, 64))
    np.save(tmp_path / "flat.npy", flat)
    light = panel(flatness=tmp_path / "flat.npy")(torch.zeros(64, 64, dtype=torch.float64))
    assert float(light.mean().abs() ** 2) == pytest.approx(abs(np.exp(1j * flat).mean()) ** 2, rel=1e-9)
    assert float(light.mean().abs() ** 2) == pytest.approx(math.exp(-(0.3**2)), abs=5e-3)


def test_a_stroke_map_is_a_stroke_for_each_pixel(tmp_path):
    np.save(tmp_path / "stroke.npy", np.full((64, 64), 0.9))
    slm = panel(stroke_map=tmp_path / "stroke.npy")
    levels = slm.levels(ramp(64).repeat(64, 1))
    torch.testing.assert_close(slm.transmission(levels), panel(stroke=0.9 * TURN).transmission(levels))


# ---- 9 gratings into one order ---------------------------------------------------------------------------------------


def test_gratings():
    """Cosine amplitude 1/16; binary amplitude sin^2(pi q)/pi^2; sinusoidal phase 33.857 %; binary phase 4/pi^2.

    4096 pixels a period: an edge lies within half a pixel, 4e-4 of the amplitude where it does.
    """
    x = ramp(4096)
    grey, mirrors = panel(modulation="amplitude"), panel(modulation="binary", bits=1)
    assert efficiency(grey((1 + torch.cos(x)) / 2), 1) == pytest.approx(1 / 16, abs=1e-5)
    for q, eta in ((0.5, 0.10132), (0.25, 0.05066)):
        assert efficiency(mirrors((x < TURN * q).double()), 1) == pytest.approx(eta, abs=1e-5)
    assert efficiency(panel()(1.84118 * torch.sin(x)), 1) == pytest.approx(0.33857, abs=1e-5)
    assert efficiency(panel()(math.pi * (x < math.pi).double()), 1) == pytest.approx(4 / math.pi**2, abs=1e-5)
    assert efficiency(panel(bits=1)(x), 1) == pytest.approx(4 / math.pi**2, abs=1e-5)  # what 1 bit makes of a blaze


# ---- 10 to 14 encodings, on panels -----------------------------------------------------------------------------------


def test_lee_hologram():
    """On where cos(2 pi x / P - phi) > cos(arcsin A): first order A exp(-i phi) / pi; 16384 mirrors a period."""
    a, phi = 0.6, 1.1
    x = ramp(16384)
    light = panel(modulation="binary", bits=1)((torch.cos(x - phi) > math.cos(math.asin(a))).double())
    first = complex((light * torch.exp(-1j * x)).mean())
    assert first == pytest.approx(a * np.exp(-1j * phi) / math.pi, abs=1e-4)


def test_superpixels_have_6561_values():
    """4 x 4 mirrors whose phases are 2 pi j / 16: 3^8 distinct sums, the largest 0.32036 of 16."""
    phases = np.exp(2j * np.pi * np.arange(16) / 16)
    mirrors = panel(modulation="binary", bits=1)
    bits = (torch.arange(2**16)[:, None] >> torch.arange(16)) & 1
    sums = (mirrors(bits.double()).numpy() * phases).sum(-1) / 16
    assert len(np.unique(np.round(sums, 9))) == 6561
    assert np.abs(sums).max() == pytest.approx(0.32036, abs=5e-6)


def test_double_phase():
    """exp(i (phi +- arccos A)) on a checkerboard: A exp(i phi) on the axis, and 1 - A^2 at (1/2, 1/2)."""
    a, phi, slm = 0.7, 2.0, panel()
    odd = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    light = slm(phi + math.acos(a) * (1 - 2.0 * odd.double()))
    step = TURN / 2**16  # of the levels
    assert complex(light.mean()) == pytest.approx(a * np.exp(1j * phi), abs=step)
    assert abs(complex((light * (-1.0) ** odd).mean())) ** 2 == pytest.approx(1 - a**2, abs=2 * step)


def test_arrizon_type_3():
    """psi = f(A) sin(phi + carrier), J1(f) = 0.58187 A: first order 0.58187 A exp(i phi), with a stroke of 3.68 rad."""
    peak = 1.84118378
    f = np.linspace(0, peak, 200_001)
    for a, phi in ((1.0, 0.3), (0.5, 2.5), (0.1, -1.0)):
        depth = np.interp(0.58186522 * a, j1(f), f)
        x = ramp(256)
        slm = panel(stroke=2 * peak * 1.0001, bits=16)
        light = slm(peak + depth * torch.sin(phi + x))
        first = complex((light * torch.exp(-1j * x)).mean()) * np.exp(-1j * peak)
        assert first == pytest.approx(0.58187 * a * np.exp(1j * phi), abs=1e-4)
    assert jv(1, peak) ** 2 == pytest.approx(0.33857, abs=5e-6)
    assert jn_zeros(1, 1)[0] > peak


def test_davis_and_bolduc():
    """Davis: psi = M mod(phi + carrier, 2 pi) gives |c1| = sinc(1 - M), a phase of pi (1 - M) short; Bolduc adds it."""
    m, phi, slm, x = 0.6, 0.8, panel(), ramp(16384)

    def first(wanted: float) -> complex:
        psi = m * torch.remainder(wanted + x, TURN)
        return complex((slm(psi) * torch.exp(-1j * x)).mean())

    amplitude = np.sinc(1 - m)
    davis, bolduc = first(phi), first(phi + math.pi * (1 - m))
    assert davis == pytest.approx(
        amplitude * np.exp(1j * (phi - math.pi * (1 - m))), abs=2e-4
    )  # 2 pi / 16384 at fly-back
    assert bolduc == pytest.approx(amplitude * np.exp(1j * phi), abs=2e-4)
