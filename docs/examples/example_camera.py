"""
What a camera does to light
===========================

Photons become electrons and electrons become numbers. The photon transfer of EMVA 1288 reads the figures of a camera
back from its frames, simulated or real, and the area of a pixel costs contrast.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.devices import photon_transfer
from fouroptics.devices.sensor import divided
from fouroptics.units import um

# %%
# A 12-bit camera, with a warm sensor whose pixels differ. Two frames with light and two without at each of 50 exposures
# up to 10 s, and two stacks of 100, tell all its figures.
sheet = fo.CameraConfig.preset("generic-12bit")
config = sheet.model_copy(update={"dark_current": 5.0, "dsnu": 1.5, "prnu": 0.008})
camera = fo.Camera(config)
seconds = np.linspace(0.2, 10, 50)
photons = 1.15 * config.full_well / config.qe * seconds / 10
expose = photon_transfer.frames(camera, (128, 128), torch.Generator().manual_seed(0))
found = photon_transfer.measure(expose, photons.tolist(), seconds.tolist())
figures = {
    "gain K (DN/e-)": (config.gain, found.gain),
    "quantum efficiency": (config.qe, found.qe),
    "read noise (e-)": (config.read_noise, found.read_noise),
    "dark current (e-/s)": (config.dark_current, found.dark_current),
    "DSNU (e-)": (config.dsnu, found.dsnu),
    "PRNU (%)": (100 * config.prnu, 100 * found.prnu),
}
for name, (true, measured) in figures.items():
    print(f"{name:<20} {true:8.4g}, measured {measured:8.4g}")

# %%
# The variance of the numbers rises with their mean, for the shot noise of n electrons has the variance n: the slope is
# the gain. Where the pixels are full there is no noise left. The signal-to-noise ratio follows the root of the
# electrons.
mean, variance = photon_transfer.temporal((expose(p, 1e-3), expose(p, 1e-3)) for p in photons)
dark_mean, dark_variance = photon_transfer.temporal([(expose(0.0, 1e-3), expose(0.0, 1e-3))])
few = np.geomspace(1, photons[-1], 60)
signal, noise = photon_transfer.temporal((expose(p, 1e-3), expose(p, 1e-3)) for p in few)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.plot(mean - dark_mean, variance - dark_variance, ".", label="50 exposures")
rising = np.array([0, 0.7 * (mean - dark_mean).max()])
left.plot(rising, found.gain * rising, label=f"slope K = {found.gain:.3f} DN/e-, fitted up to 70 %")
left.set(xlabel="mean signal (DN)", ylabel="temporal variance (DN²)", xlim=(0, 4100), ylim=(0, 1800))
left.legend(loc="upper left")
unfilled = few < 0.93 * config.full_well / config.qe
right.loglog(few[unfilled], ((signal - dark_mean) / np.sqrt(noise))[unfilled], ".", label="frames")
law = np.geomspace(1, config.full_well / config.qe, 200)
right.loglog(law, [camera.snr(p, 1e-3) for p in law], label="data sheet")
right.loglog(law, np.sqrt(law), color="grey", lw=0.8, ls="--", label="ideal camera")
right.axvline(found.threshold, color="grey", lw=0.8, ls=":")
right.text(1.1 * found.threshold, 60, f"threshold,\n{found.threshold:.1f} photons")
right.set(xlabel="photons a pixel", ylabel="signal-to-noise ratio", ylim=(0.1, 200))
right.legend(loc="lower right")

# %%
# A pixel averages the light over its photosensitive area, a square of the side w = sqrt(fill factor) times the pitch.
# Fringes of frequency v keep sinc(w v) of their contrast. `Camera.read` averages an intensity that is known on a finer
# grid; here on 24 x 24 samples a pixel.
pixels = fo.Grid((1, 64), config.pitch)
fine = divided(fo.Grid((1, 66), config.pitch), 24)
frequencies = np.arange(1, 64) / (32 * config.pitch)
x, at = (torch.from_numpy(2 * math.pi * grid.coordinates()[1]) for grid in (fine, pixels))
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
errors = []
for fill in (1.0, 0.5, 0.2):
    sensor = fo.Camera(config.model_copy(update={"fill_factor": fill}))
    lines = torch.stack([1 + torch.cos(v * x) for v in frequencies])[:, None].expand(-1, 24, -1)
    seen = sensor.read(lines, fine, pixels)[:, 0]
    waves = torch.stack([torch.cos(v * at) for v in frequencies])
    contrast = (((seen - 1) * waves).sum(1) / waves.square().sum(1)).numpy()
    transfer = np.sinc(math.sqrt(fill) * config.pitch * frequencies)
    errors.append(abs(contrast - transfer).max())
    (dots,) = ax.plot(frequencies * config.pitch, contrast, ".", ms=4)
    ax.plot(frequencies * config.pitch, transfer, color=dots.get_color(), lw=0.8, label=f"fill factor {fill:.0%}")
ax.axvline(0.5, color="grey", lw=0.8, ls=":")
ax.text(0.48, 0.05, "Nyquist\nfrequency", color="grey", ha="right")
ax.axhline(0, color="grey", lw=0.6)
ax.set(xlabel="frequency times pitch", ylabel="contrast", xlim=(0, 2))
ax.legend(title="dots: pixels, line: sinc", loc="center left", bbox_to_anchor=(1, 0.5))
print(f"largest difference {max(errors):.4f}; pixels of {config.pitch / um:.2f} um")

# %%
# The figures come back within 5 standard deviations of what 128 x 128 pixels tell, 1.4 % for the gain, and the contrast
# to second order in the pitch of the samples.
assert all(abs(measured / true - 1) < 0.03 for true, measured in figures.values())
assert max(errors) < 0.01
