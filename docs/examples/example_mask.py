"""
From kernels to a file that an SLM loads
========================================

Three edge detectors and a blur become one phase mask. The file is written, checked and read back, and the
bench shows what the camera sees through it.
"""

import tempfile
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.bench.settings import EXAMPLE

# %%
# The bench is a TOML file; this is the one that ``fouroptics new`` writes. Every row of the check should be in order.
bench = fo.FourF(tomllib.loads(EXAMPLE))
for row in bench.check():
    print(f"{row.quantity:<32}{row.have:>12}   {row.need}")
    assert row.ok

# %%
# The kernels, in the order of torch: ``(out, in, k, k)``. All four go into one frame, each at its own place off the
# axis.
sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
laplace = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
kernels = torch.stack([sobel, sobel.T, laplace, torch.ones(3, 3) / 9])[:, None]
masks = fo.masks.from_kernels(kernels, bench, light=0.1)
print(masks.report())

# %%
# The report as a picture: what the bench makes of each kernel differs by less than a thousandth of its largest tap.
picture, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
fo.plot.kernels(masks, bench, ax)

# %%
# The file holds the grey levels as they are sent, the phases, the panel, the kernels and the instrument;
# ``verify`` returns what is wrong with it, here nothing.
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "masks.h5")
fo.bundle.save(path, masks)
findings = fo.bundle.verify(path)
loaded = fo.bundle.load(path)
folder.cleanup()

# %%
# What the camera sees of a bright square. The solid boxes are the four windows that are read; the dashed one holds the
# light that the panel does not diffract, which is an image of its own and stays away from them.
image = torch.zeros(28, 28)
image[8:20, 8:20] = 1
field = bench(image, loaded)
d = bench.image_grid.spacing[0]
size = bench.image_grid.extent
centre = [float(axis.mean()) for axis in bench.image_grid.coordinates()]
windows = [(centre[0] + y * d, centre[1] + x * d, *size) for y, x in loaded.kernels.tile]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
fo.plot.mask(bench.crop(loaded.phase[0]), bench.fourier_grid, left)
frame = bench.camera.expected(bench.camera.photons(field, exposure=2e-3)[0])
fo.plot.frame(frame, bench.camera_grid, right, windows=windows, zero_order=(*centre, *size))
right.set(xlim=(-2, 2), ylim=(-2, 2))
left.set_title("mask")
right.set_title("camera")

# %%
# The window of the Sobel kernel holds its convolution: the field at the read pixels, turned upright, against torch.
y, x = loaded.kernels.tile[0]
seen = bench(image, loaded, onto=bench.image_grid.shifted(y * d, x * d)).data[0].flip((-2, -1))
wanted = torch.nn.functional.conv2d(image[None, None], sobel[None, None], padding=1)[0, 0]
overlap = np.abs(np.vdot(seen.numpy(), wanted.numpy())) / np.linalg.norm(seen) / np.linalg.norm(wanted)
print(f"overlap of the optical and the digital result: {overlap:.4f}")
assert findings == []
assert loaded == masks
assert overlap > 0.99
assert masks.kernels.error.max() < 0.02
