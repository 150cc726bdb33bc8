"""
A hundred spots, and a panel that is not flat
=============================================

A bench makes more than convolutions: one pixel of the display lights the panel, and a phase mask turns its light into
an array of spots in the camera plane. A panel that is not flat blurs them; a correction, added to the mask, brings
them back.
"""

import tempfile
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.bench.settings import EXAMPLE
from fouroptics.masks.corrections import corrected
from fouroptics.masks.hologram import spots, to_masks
from fouroptics.units import mm, um

# %%
# The places are in the camera plane, in metres from the axis: ten rows and ten columns, clear of the undiffracted light
# on the axis. They need not lie on the grid of an FFT, whose samples here are 31.65 um apart.
data = tomllib.loads(EXAMPLE)
bench = fo.FourF(data)
rows, columns = (0.16 * np.arange(10) - 0.72) * mm, (0.16 * np.arange(10) + 0.3) * mm
places = np.array([(y, x) for y in rows for x in columns])
found = spots(places, bench)
print(found)

# %%
# Rounded to the 256 levels of the panel the mask goes into a file like any other.
masks = to_masks(found.phase, bench)
folder = tempfile.TemporaryDirectory()
fo.bundle.save(Path(folder.name, "spots.h5"), masks)
findings = fo.bundle.verify(Path(folder.name, "spots.h5"))

# %%
# A panel as it comes is not flat. This one has defocus, astigmatism and coma, rad rms over a disk of 3 mm that holds
# the part of the panel that is lit. The opposite phase goes on top of the mask: as Zernike terms, as here, or as the
# array of a vendor's correction (``phase=``).
terms, radius = {4: 1.2, 6: -0.8, 8: 0.6}, 3 * mm
y, x = (torch.from_numpy(axis) / radius for axis in fo.Grid(bench.config.panel.shape, 8 * um).coordinates())
np.save(Path(folder.name, "flatness.npy"), sum(a * fo.zernike.noll(j, y[:, None], x) for j, a in terms.items()))
data["panel"]["flatness"] = str(Path(folder.name, "flatness.npy"))
bent = fo.FourF(data)
mended = corrected(masks, zernike={j: -a for j, a in terms.items()}, radius=radius)
print(mended.provenance["corrections"])

# %%
# What the camera sees, in units of the mean power that a spot should have. Top left the mask. The dot on the axis is
# the light that the panel does not diffract.
plane = fo.Grid((240, 276), 7.5 * um, (0.0, 0.9 * mm))
spot = bench.psf(torch.ones(bench.fourier_grid.shape), onto=fo.Grid((1, 1), um)).intensity.item() * float(
    found.power.mean()
)
frames = {
    "flat panel": bench.psf(masks, onto=plane).intensity[0] / spot,
    "panel not flat": bent.psf(masks, onto=plane).intensity[0] / spot,
    "corrected": bent.psf(mended, onto=plane).intensity[0] / spot,
}
figure, axes = plt.subplots(2, 2, figsize=(9.5, 7.4), layout="constrained")
fo.plot.mask(bench.crop(masks.phase[0]), bench.fourier_grid, axes[0, 0]).set_title("mask")
for ax, (name, frame) in zip(axes.flat[1:], frames.items(), strict=True):
    fo.plot.image(frame, plane, ax, label="intensity / that of a spot", cmap="inferno", vmin=0, vmax=1.2).set_title(
        name
    )
folder.cleanup()


# %%
# The powers at the hundred places, and how even they are.
def powers(place, shown):
    d, first = 0.16 * mm, (places[-1] + places[0]) / 2
    return place.psf(shown, onto=fo.Grid((10, 10), d, tuple(first + d / 2))).intensity[0] / spot


even = {}
for name, light in {
    "flat panel": powers(bench, masks),
    "panel not flat": powers(bent, masks),
    "corrected": powers(bent, mended),
}.items():
    even[name] = float(1 - (light.max() - light.min()) / (light.max() + light.min()))
    print(f"{name:<16}mean {float(light.mean()):.3f}, uniformity {even[name]:.3f}")
assert findings == []
assert found.uniformity > 0.99
assert even["flat panel"] > 0.95
assert even["corrected"] > 0.95
assert even["panel not flat"] < 0.8
