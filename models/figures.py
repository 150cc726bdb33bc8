"""The figures of a run: light along the bench, the mask, and target, mask and camera frame side by side."""

import io
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from fouroptics.show import frames, plot

STYLE: dict[Any, Any] = {"font.size": 9, "figure.dpi": 110, "savefig.dpi": 200, "axes.titlesize": 9}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and close it."""
    file = io.BytesIO()
    with plt.rc_context(STYLE):
        figure.savefig(file, format="png")
    plt.close(figure)
    write_whole(path, file.getvalue())


def section(bench: FourF, masks: MaskSet, image: Tensor, planes: int = 96) -> Figure:
    """Light along the bench for one image (y, x), in the y-z plane that follows one column of windows."""
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
        frames.section(bench, masks, image, ax, planes)
    return figure


def mask(bench: FourF, masks: MaskSet) -> Figure:
    """The mask on the panel pixels that the light passes."""
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
        plot.mask(bench.crop(masks.phase[0]), bench.fourier_grid, ax)
        ax.set_title(f"{len(masks.kernels)} kernels in one {masks.slm.bits}-bit phase mask")
    return figure


def overview(bench: FourF, masks: MaskSet, image: Tensor, exposure: float, seed: int = 0) -> Figure:
    """Target response, mask, and predicted camera frame in DN with windows and undiffracted image marked."""
    camera = bench.config.camera.model_copy(update={"exposure": exposure})
    timed = FourF(bench.config.model_copy(update={"camera": camera}))
    shot = frames.expose(timed, masks, image, torch.Generator().manual_seed(seed))
    with plt.rc_context(STYLE):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
        kernels(masks, left)
        plot.mask(bench.crop(masks.phase[0]), bench.fourier_grid, middle)
        middle.set_title(f"(b) {masks.slm.bits}-bit phase mask, Fourier plane")
        frames.draw(shot, timed, 0, right, percentile=98)
        size = bench.image_grid.extent
        limit = 1.05e3 * max(
            abs(at) + side / 2 for place in shot.windows for at, side in zip(place[1:3], size, strict=True)
        )
        right.set(xlim=(-limit, limit), ylim=(-limit, limit))
        right.set_title("(c) camera frame and its windows")
    return figure


def kernels(masks: MaskSet, ax: Axes, frame: int = 0) -> Axes:
    """Wanted response to one point: the taps of each kernel, in the order of the windows on the camera.

    A point on the axis is seen by ``image[m] = kernel[-m]`` upright, at ``-m`` on the camera: as the kernel itself,
    about its tile.
    """
    table = masks.kernels
    chosen, k = np.flatnonzero(table.mask == frame), table.weight.shape[-1]
    rows, columns = (np.unique(table.tile[chosen, axis], return_inverse=True) for axis in (0, 1))
    sheet = np.full((len(rows[0]) * (k + 2) - 2, len(columns[0]) * (k + 2) - 2), np.nan)
    for row, i, j in zip(chosen, rows[1], columns[1], strict=True):
        weight = table.weight[row]
        sheet[i * (k + 2) : i * (k + 2) + k, j * (k + 2) : j * (k + 2) + k] = weight / np.abs(weight).max()
    shown = ax.imshow(sheet, cmap="RdBu_r", vmin=-1, vmax=1, origin="lower", interpolation="nearest")
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.85)
    bar.set_label("amplitude / largest tap")
    for axis, name, (places, _) in ((ax.xaxis, "x", columns), (ax.yaxis, "y", rows)):
        axis.set_ticks(np.arange(len(places)) * (k + 2) + k // 2, [str(place) for place in places])
        axis.set_label_text(f"window centre {name} (image pixels)")
    ax.set_title(f"(a) target: {len(chosen)} kernels, {k} x {k} taps")
    return ax
