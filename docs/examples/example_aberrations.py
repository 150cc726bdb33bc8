"""
What aberrations do to a focus
==============================

A round pupil gets one Zernike mode after the other, in the order of Noll and in rad RMS. The pictures are the focus of
each; the curve is the peak that is left, the Strehl ratio, beside the textbook.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.bench.elements import aberrate
from fouroptics.units import mm, nm, um

# %%
# A pupil of 10 mm before a lens of 200 mm. `aberrate` warns where the grid is too coarse for a phase.
radius, focal_length, wavelength = 5 * mm, 200 * mm, 633 * nm
grid = fo.Grid((264, 264), 40 * um)
pupil = fo.plane_wave(grid, wavelength).modulate(fo.shapes.circle(grid, radius))
airy = 0.61 * wavelength * focal_length / radius  # radius of the first dark ring
near = fo.Grid((161, 161), 0.06 * airy)


def focus(coefficients: dict[int, float]) -> torch.Tensor:
    """Intensity around the focus, in units of the peak without aberrations."""
    light = fo.fourier_lens(aberrate(pupil, coefficients, radius), focal_length, onto=near)
    return light.intensity / fo.fourier_lens(pupil, focal_length, onto=near).intensity.max()


# %%
# Four modes of 1 rad RMS each, above the phase in the pupil and below the focus, on one scale.
names = {4: "defocus", 6: "astigmatism", 8: "coma", 11: "spherical"}
figure, axes = plt.subplots(2, 4, figsize=(9, 4.2), layout="constrained")
for (top, bottom), (j, name) in zip(axes.T, names.items(), strict=True):
    phase = aberrate(pupil, {j: 1.0}, radius).phase.where(pupil.intensity > 0, math.nan)
    wave = top.imshow(np.asarray(phase), origin="lower", cmap="twilight", vmin=-math.pi, vmax=math.pi)
    spot = bottom.imshow(np.asarray(focus({j: 1.0}).sqrt()), origin="lower", cmap="inferno", vmin=0, vmax=0.7)
    top.set_title(f"$Z_{{{j}}}$, {name}")
    for ax in (top, bottom):
        ax.set(xticks=[], yticks=[])
figure.colorbar(wave, ax=axes[0], label="phase (rad)", shrink=0.8)
figure.colorbar(spot, ax=axes[1], label="amplitude / peak", shrink=0.8)

# %%
# What is left of the peak falls like `exp(-a^2)` for a small a, whatever the mode. Defocus has a closed form, with
# a zero: `(sin(v) / v)^2` with `v = sqrt(3) a`.
rms = np.linspace(0, 2.2, 23)
middle = near.shape[0] // 2
peaks = {j: np.array([float(focus({j: a})[middle, middle]) for a in rms]) for j in names}
exact = np.sinc(math.sqrt(3) * rms / math.pi) ** 2
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot(rms, np.exp(-(rms**2)), "k--", lw=1, label=r"$\exp(-a^2)$")
ax.plot(rms, exact, "k", lw=1, label=r"$(\sin v / v)^2$")
for (j, name), marker in zip(names.items(), "os^d", strict=True):
    ax.plot(rms, peaks[j], marker, ms=4, label=name)
ax.set(xlabel="aberration $a$ (rad RMS)", ylabel="intensity on the axis / peak")
ax.legend(frameon=False)

# %%
# Defocus follows the closed form, and up to 0.5 rad every mode follows the exponential.
small = rms <= 0.5
worst = max(np.abs(peaks[j][small] - np.exp(-(rms[small] ** 2))).max() for j in names)
print(f"defocus: {np.abs(peaks[4] - exact).max():.1e} from the closed form; all: {worst:.1e} from exp(-a^2)")
assert np.abs(peaks[4] - exact).max() < 1e-3
assert worst < 0.02
