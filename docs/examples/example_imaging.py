"""
What a lens does to an image
============================

A camera looks at a Siemens star in incoherent light of one colour: in focus, out of focus and with coma. The point
spread function, the transfer function and the picture say the same thing, each in its own way.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.light.zernike import noll
from fouroptics.units import mm, nm, um
from fouroptics.waves import imaging

# %%
# A lens of 4 mm and f = 50 mm (f/12.5). A pupil is a field: its amplitude is the aperture, its phase the aberration,
# here 0.4 and 0.2 wavelengths RMS of two of Noll's polynomials. All three pupils travel together as a batch.
wavelength, f, radius = 550 * nm, 50 * mm, 2 * mm
grid = fo.Grid((256, 256), 2 * radius / 250)
y, x = (torch.from_numpy(axis) / radius for axis in grid.coordinates())
names = ["in focus", "defocus", "coma"]
waves = torch.stack([rms * noll(j, y[:, None], x) for rms, j in ((0.0, 4), (0.4, 4), (0.2, 8))])
aperture = fo.shapes.circle(grid, radius)
pupil = fo.Field(aperture * torch.exp(2j * math.pi * waves), grid, wavelength)
for name, ratio in zip(names, imaging.strehl(pupil).tolist(), strict=True):
    print(f"{name:<10} Strehl ratio {ratio:.3f}")

# %%
# The images of a point, each on a colour scale of its own. The first dark ring of the perfect lens has a radius of
# ``1.22 lambda f / D`` = 8.4 um.
near = fo.Grid((161, 161), 0.5 * um)
spots = imaging.psf(pupil, f, near)
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
for ax, name, spot in zip(axes, names, spots, strict=True):
    fo.plot.image((spot / spots[0].max()).sqrt(), near, ax, cmap="inferno", label="amplitude / best", vmin=0)
    ax.set_title(name)

# %%
# The transfer functions along x. Out of focus it goes below zero: dark and bright change places. Coma turns
# the phase too, so the spokes move; ``imaging.mtf`` is the modulus.
frequencies, transfer = imaging.otf(pupil, f)
middle = frequencies.shape[0] // 2
lines = frequencies.coordinates()[1][middle:] * mm
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, values in zip(names, transfer[:, middle, middle:], strict=True):
    (line,) = ax.plot(lines, values.real, label=name)
    ax.plot(lines, values.abs(), color=line.get_color(), ls=":")
ax.axhline(0, color="grey", lw=0.6)
ax.set(xlabel="spatial frequency (cycles/mm)", ylabel="transfer function", xlim=(0, 150))
ax.legend(title="real part; dotted: modulus")

# %%
# The picture. `incoherent` convolves the ideal image with the point spread function, without wrapping around its edges.
# Towards the middle of the star the spokes get finer, and out of focus they turn grey and come back inverted.
camera = fo.Grid((250, 250), 3 * um)
star = fo.shapes.star(camera, 24, 0.33 * mm)
pictures = imaging.incoherent(star, camera, pupil, f)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.1), layout="constrained")
for ax, name, picture in zip(axes, names, pictures, strict=True):
    fo.plot.image(picture, camera, ax, cmap="gray", label="intensity / ideal", vmin=0, vmax=1)
    ax.set_title(name)

# %%
# On a circle in the picture the spokes are a wave of known frequency; its modulation over that of the star is the
# transfer function. The circle is taken where the defocused lens inverts best.
k = int(transfer[1, middle, middle : middle + 60].real.argmin())
expected = float(transfer[1, middle, middle + k].real)
at = 24 / (2 * math.pi * lines[k] / mm)  # 24 spokes on a circumference
around = np.arange(720) * 2 * np.pi / 720
row, column = (np.rint(at * side / camera.spacing[0]).astype(int) for side in (np.sin(around), np.cos(around)))
wave = np.exp(-24j * np.arctan2(row, column))
seen, ideal = ((image.numpy()[row + 125, column + 125] * wave).mean() for image in (pictures[1], star))
ratio = float((seen / ideal).real)
print(f"at {lines[k]:.0f} cycles/mm: {ratio:.3f} in the picture, {expected:.3f} by the transfer function")
assert abs(ratio - expected) < 0.02
assert expected < -0.05
