"""
What is where: segmentation with one optical layer
==================================================

A student of segmentation gives a class to each pixel: one linear optical layer, a camera that squares, and a small
convolutional head. Here are the scenes that it learns, what its optics is made of, and what it and its rivals make of
scenes that they have not seen. The networks were trained with ``python -m models.segmentation
models/recipes/scenes-texture.toml``; what they say of eight test scenes comes with the repository.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from torch.nn import functional as F

import models
from models.data import DataConfig, load
from models.segmentation import class_iou, confusion
from models.segmenter import Segmenter, SegmenterConfig

torch.set_num_threads(1)

# %%
# Two to four garments a scene, of five classes, that hide parts of each other. With the same seed the scenes are the
# same ones bit by bit; those of the test do not depend on how many there are to train with.
data = load(DataConfig(name="scenes", background="texture", train=1, validation=1, test=8))
scenes, truth = data.test.images, data.test.labels
shares = truth.flatten().bincount(minlength=6) / truth.numel()
print({name: f"{share:.1%}" for name, share in zip(data.classes, shares.tolist(), strict=True)})

# %%
# The optics of two students. The first learns 56 kernels as four 3 x 3 layers with nothing between them; the second has
# 8 + 16 + 32 kernels of 3 x 3 taps, each tap a square of 1, 2 or 4 pixels, as if the picture were halved twice. Either
# is one stack of kernels for a bench: in double precision, what the layers make one by one is what the stack makes.
torch.manual_seed(0)
stack = Segmenter(SegmenterConfig()).double()
groups = Segmenter(SegmenterConfig(front="free", groups=(8, 16, 32))).double()
differences = []
for name, student in {"stack": stack, "groups": groups}.items():
    with torch.no_grad():
        kernels = student.collapse()
        layered, once = student.run_stack(scenes.double()), student.amplitude(scenes.double())
        half = student.amplitude(scenes.double() / 2)
    differences += [float((layered - once).abs().max()), float((once - 2 * half).abs().max())]
    size = " x ".join(map(str, kernels.shape))
    print(f"{name}: kernels {size}, {student.electronic_macs():,} electronic multiply-accumulates")

# %%
# What the networks say. The digital net has two strided convolutions in place of the optics, and as many electronic
# products as the student; the plain lens has no mask, and the same kind of head.
with np.load(Path(models.__file__).parents[1] / "docs/results/scenes-texture.npz") as kept:
    named = {name: torch.from_numpy(kept[name]).long() for name in kept}
columns = {"scene": scenes, "truth": truth} | named
score = {}
for name, classes in named.items():
    votes = F.one_hot(classes, 6).movedim(-1, 1)
    score[name] = float(class_iou(confusion(votes, truth)).nanmean())
    print(f"{name}: mIoU {score[name]:.1%} of these eight scenes")

colours = ListedColormap(["#eeeeee", "#4477aa", "#ee6677", "#228833", "#ccbb44", "#aa3377"])
shown = 5
figure, axes = plt.subplots(shown, len(columns), figsize=(1.55 * len(columns), 1.62 * shown), layout="constrained")
for row, line in enumerate(axes):
    for ax, (name, pictures) in zip(line, columns.items(), strict=True):
        style = {"cmap": "gray", "vmin": 0, "vmax": 1} if name == "scene" else {"cmap": colours, "vmin": 0, "vmax": 5}
        ax.imshow(pictures[row], interpolation="nearest", **style)
        ax.set(xticks=[], yticks=[])
        if row == 0:
            ax.set_title(name, fontsize=9)
patches = [Patch(color=colours(i), label=name) for i, name in enumerate(data.classes)]
figure.legend(handles=patches, loc="outside lower center", ncols=6, frameon=False, fontsize=9)

assert max(differences) < 1e-9  # rounding of double precision
assert score["U-Net"] > max(score["student"], score["digital"]) > score["plain lens"]
