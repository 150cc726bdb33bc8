"""
A run on the bench, file by file
================================

Images and masks become a run sheet, the bench plays it, and the frames are read back: what a lab does with its panel,
display and camera, here with a simulated one. Four kernels lie in one mask, so each image takes one frame.
"""

import tempfile
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.bench.settings import EXAMPLE
from fouroptics.masks import bundle, captures, runsheet
from fouroptics.masks.pictures import pictures
from fouroptics.masks.play import camera_pixels, play
from models.data import fashion_subset

torch.set_num_threads(1)

# %%
# The bench of the guide with a camera of which a part is read, three pixels a side for each pixel of the image.
data = tomllib.loads(EXAMPLE)
data["camera"] |= {"pitch": "10.55 um", "shape": [420, 420]}
bench = fo.FourF(data)
edges = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
laplace = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
kernels = np.stack([edges, edges.T, edges + edges.T, laplace])[:, None]
masks = fo.masks.from_kernels(kernels, bench, light=0.1)
folder = Path(tempfile.mkdtemp())
bundle.save(folder / "masks.h5", masks)

# %%
# The run sheet: three test images, four frames of each, eight dark frames first. The playlist is a table that any
# script reads.
test = fashion_subset().test.first(3)
shown = pictures(test.images.numpy(), test.labels.numpy(), np.arange(3))
sha256 = runsheet.fingerprint(folder / "masks.h5")
sheet = runsheet.sheet(bench.config, masks, sha256, shown, exposure=1e-4, repeats=4, dark=8)
runsheet.write(sheet, folder / "sheet", masks)
print((folder / "sheet" / "playlist.csv").read_text())

# %%
# The simulated lab writes the file that a real one writes; it is checked, and read.
play(runsheet.read(folder / "sheet"), bench, masks, folder / "captures.h5", generator=torch.Generator().manual_seed(0))
assert captures.verify(folder / "captures.h5", sha256, bench.camera_grid.shape) == []
taken = captures.read(folder / "captures.h5", sha256)
dark, *signals = (mean for mean in taken.means(range(len(taken.lines))))

# %%
# A whole frame, upside down as a 4f bench makes it, with the undiffracted image in the middle; and the windows of the
# four kernels, turned upright and each with its own scale: the pixels nearest to those of the image.
figure = plt.figure(figsize=(9.5, 4.4), layout="constrained")
whole, grid = figure.subfigures(1, 2, width_ratios=(1.25, 1))
frame = signals[1] - dark
ax = whole.subplots()
drawn = ax.imshow(frame, cmap="gray", vmin=0, vmax=np.percentile(frame, 99.5))
whole.colorbar(drawn, label="DN above dark", shrink=0.9, extend="max")
ax.set(title="mean of 4 frames, image 1", xlabel="camera column", ylabel="camera row")
windows = {}
for row, (place, tile) in enumerate(zip(grid.subplots(2, 2).ravel(), masks.kernels.tile, strict=True)):
    rows, columns = camera_pixels(bench, (int(tile[0]), int(tile[1])))
    windows[row] = frame[np.ix_(rows, columns)][::-1, ::-1]
    place.imshow(windows[row], cmap="gray")
    place.set(title=f"kernel {row}", xticks=[], yticks=[])
    corner = (columns.min(), rows.min())
    ax.add_patch(plt.Rectangle(corner, np.ptp(columns), np.ptp(rows), fill=False, ec="tab:cyan"))
    ax.annotate(f"{row}", corner, color="tab:cyan", xytext=(2, 2), textcoords="offset points")

# %%
# What is read is the intensity that the bench promises in these windows, with the noise of four frames.
light = bench.intensity(test.images[1], masks, bench.camera_grid)[0]
promised = bench.camera.expected(bench.camera.photons_for(light, bench.wavelength, 1e-4), 1e-4).numpy()
for row, seen in windows.items():
    rows, columns = camera_pixels(bench, tuple(int(at) for at in masks.kernels.tile[row]))
    wanted = promised[np.ix_(rows, columns)][::-1, ::-1] - bench.camera.config.black_level
    correlation = np.corrcoef(seen.ravel(), wanted.ravel())[0, 1]
    print(f"kernel {row}: {wanted.mean():6.1f} DN on average, correlation of captures and promise {correlation:.4f}")
    assert correlation > 0.998
