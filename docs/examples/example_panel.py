"""
What a panel does to a blaze
============================

A blaze asks the panel for a phase that rises by a turn each period and flies back. What comes out is decided by the
levels, the stroke, the crosstalk between pixels and the gaps. Four pictures hold the panel against the closed forms.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo

TURN = 2 * math.pi


def panel(**fields):
    """A panel of 16 bits without gaps, but for what is said."""
    return fo.SLM(fo.SLMConfig(**{"shape": (64, 64), "bits": 16, "fill_factor": 1.0, "dead_amplitude": 0.0, **fields}))


def blaze(period: int) -> torch.Tensor:
    return (TURN * (torch.arange(period, dtype=torch.float64) + 0.5) / period)[None]


def first_order(light: torch.Tensor) -> float:
    """Share of the light in the first order, from samples of one period."""
    x = (torch.arange(light.shape[-1]) + 0.5) / light.shape[-1]
    return float((light * torch.exp(-1j * TURN * x)).mean().abs() ** 2)


def repeated(slm, phase: torch.Tensor, n: int = 24) -> torch.Tensor:
    """Sub-pixels of one period in the middle of five."""
    return slm.expand(phase.repeat(1, 5), n)[n // 2, 2 * n * phase.shape[-1] : 3 * n * phase.shape[-1]][None]


# %%
# Crosstalk blurs the phase that is addressed. The fly-back, which should be a jump, becomes a slope that sends its
# light elsewhere: a short period has more of it.
sigmas, periods = (0.0, 0.2, 0.5), np.array([2, 3, 4, 5, 6, 8, 12, 16, 24, 32])
by_crosstalk = {
    sigma: np.array([first_order(repeated(panel(crosstalk=sigma), blaze(p))) for p in periods]) for sigma in sigmas
}

# %%
# A stroke shorter than a turn can be used in three ways. The panel shows whichever of its two ends is nearer; holding
# the upper end is worse, and stretching the blaze is worse still unless the stroke is very short.
alphas = np.linspace(0.5, 1.0, 11)
fine = blaze(4096)
short = {
    "nearest": np.array([first_order(panel(stroke=a * TURN)(fine)) for a in alphas]),
    "clamped": np.array([first_order(panel(stroke=a * TURN)(fine.clamp(max=a * TURN * (1 - 1e-4)))) for a in alphas]),
    "stretched": np.array([first_order(panel(stroke=a * TURN)(a * fine)) for a in alphas]),
}
nearest = (alphas + np.sin(np.pi * (1 - alphas)) / np.pi) ** 2
clamped = np.abs(alphas + np.exp(1j * TURN * alphas) * (1 - np.exp(-1j * TURN * alphas)) / (-1j * TURN)) ** 2
stretched = np.sinc(alphas - 1) ** 2

# %%
# A measured table bends the levels; the panel inverts it, to half a step of the table at each place.
bits = 5
grey = np.arange(2**bits)
table = TURN * (grey / 2**bits + 0.1 * np.sin(TURN * grey / 2**bits))
asked = torch.linspace(0, TURN, 2001, dtype=torch.float64)[:-1]
bent = panel(bits=bits, grey="direct", table=tuple(table.tolist()), table_source="a curve")
error = np.asarray(torch.remainder(bent.realised(asked) - asked + math.pi, TURN) - math.pi)
linear = bent.transmission(panel(bits=bits, grey="direct").levels(asked[None])).angle()[0]
ignored = np.asarray(torch.remainder(linear - asked + math.pi, TURN) - math.pi)

# %%
# The four pictures; lines are closed forms, dots come from the panel.
figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(9, 6.6), layout="constrained")
x = (np.arange(5 * 24) + 0.5) / 24
for sigma, colour in zip(sigmas, ("0.6", "C0", "C3"), strict=True):
    a.plot(x, repeated(panel(crosstalk=sigma), blaze(5))[0].angle() % TURN / TURN, color=colour)
    b.plot(periods, by_crosstalk[sigma], "o", ms=4, color=colour, label=rf"$\sigma$ = {sigma:g} pixels")
every = np.geomspace(2, 32, 200)
b.plot(every, np.sinc(1 / every) ** 2, "k", lw=1, label=r"$\mathrm{sinc}^2(1/P)$")
a.set(xlabel="position (pixels)", ylabel="phase shown (turns)", title="a period of five pixels")
b.set(xlabel="period $P$ (pixels)", ylabel="first order", title="a blaze with crosstalk", xscale="log", ylim=(0, 1.02))
b.set_xticks([2, 4, 8, 16, 32], labels=["2", "4", "8", "16", "32"])
b.minorticks_off()
b.legend(loc="lower right")
for (name, dots), line, mark in zip(short.items(), (nearest, clamped, stretched), "os^", strict=True):
    (shape,) = c.plot(alphas, line, lw=1)
    c.plot(alphas, dots, mark, ms=4, color=shape.get_color(), label=name)
c.set(xlabel="stroke (turns)", ylabel="first order", title="a blaze on a short stroke")
c.legend(loc="lower right")
d.plot(asked / TURN, ignored / TURN, color="0.6", lw=1, label="taken for linear")
d.plot(asked / TURN, error / TURN, color="C0", lw=1, label="table inverted")
d.set(xlabel="phase asked (turns)", ylabel="phase shown - asked (turns)", title="a bent table of 5 bits")
d.legend(loc="upper right")

# %%
# The panel keeps to the closed forms, and inverting the table leaves half a step.
assert np.abs(by_crosstalk[0.0] - np.sinc(1 / periods) ** 2).max() < 1e-3  # 24 sub-pixels a pixel
assert max(np.abs(short["nearest"] - nearest).max(), np.abs(short["stretched"] - stretched).max()) < 1e-4
assert np.abs(short["clamped"] - clamped).max() < 1e-3
assert (short["nearest"] >= short["clamped"] - 1e-6).all()
assert (short["nearest"] >= short["stretched"] - 1e-6).all()
assert np.abs(error).max() <= np.diff(table, append=TURN).max() / 2 + 1e-9 < np.abs(ignored).max() / 3
