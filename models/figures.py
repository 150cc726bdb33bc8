"""The figures of a run: light along the bench, the mask, and target, mask and camera frame side by side."""

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
from fouroptics.masks.maskset import MaskSet
from fouroptics.show import plot

STYLE: dict[Any, Any] = {"font.size": 9, "figure.dpi": 110, "savefig.dpi": 200, "axes.titlesize": 9}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and close it."""
    partial = path.with_name(f"{path.name}.partial")
    figure.savefig(partial, format="png")
    partial.replace(path)
    plt.close(figure)


def shown_phase(masks: MaskSet, bench: FourF, mask: int = 0) -> np.ndarray:
    """Phase (fy, fx) in rad that the compiler asked for, on the pixels that the light passes."""
    return bench.crop(masks.phase[mask])


def section(bench: FourF, masks: MaskSet, image: Tensor, planes: int = 48) -> Figure:
    """Light along the bench for one image (y, x), in the y-z plane that follows one column of windows.

    Up to the panel that plane holds the axis; behind it the central ray of the windows, which meets lens 2 at their
    height.
    """
    f1, f2 = bench.config.lens1.focal_length, bench.config.lens2.focal_length
    pitch, height = bench.image_grid.spacing, bench.image_grid.extent[0]
    column, rows = float(masks.kernels.tile[:, 1].max()) * pitch[1], np.unique(masks.kernels.tile[:, 0]) * pitch[0]
    y = np.linspace(-1, 1, 400) * 1.3 * (np.abs(rows).max() + height / 2)
    with torch.no_grad():
        transmission = bench.slm(torch.from_numpy(shown_phase(masks, bench).copy()))
        light = bench.section(image, transmission, planes, y, x=lambda z: column * min(max((z - 2 * f1) / f2, 0), 1))
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
        marks = [(0, "display"), (f1, "lens 1"), (2 * f1, "SLM"), (2 * f1 + f2, "lens 2"), (2 * (f1 + f2), "camera")]
        plot.section(light, ax, marks=marks, decades=3)
        for row in rows:
            ends = [plot.MM * (row - height / 2), plot.MM * (row + height / 2)]
            ax.plot([plot.MM * 2 * (f1 + f2)] * 2, ends, color="tab:cyan", lw=4, clip_on=False)
    return figure


def mask(bench: FourF, masks: MaskSet) -> Figure:
    """The mask on the panel pixels that the light passes."""
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
        plot.mask(shown_phase(masks, bench), bench.fourier_grid, ax)
        ax.set_title(f"{len(masks.kernels)} kernels in one {masks.slm.bits}-bit phase mask")
    return figure


def camera_frame(bench: FourF, masks: MaskSet, image: Tensor, exposure: float, seed: int) -> np.ndarray:
    """One noisy frame (y, x) in DN of the whole camera for one image (y, x)."""
    with torch.no_grad():
        field = bench(image, masks)
        photons = bench.camera.photons(field, exposure)[0]
        return bench.camera(photons, torch.Generator().manual_seed(seed)).numpy()


def overview(bench: FourF, masks: MaskSet, image: Tensor, exposure: float, seed: int = 0) -> Figure:
    """Target response, mask, and predicted camera frame in DN with windows and undiffracted image marked."""
    size, pitch = bench.image_grid.extent, bench.image_grid.spacing
    windows = [(y * pitch[0], x * pitch[1], *size) for y, x in masks.kernels.tile[masks.kernels.mask == 0]]
    with plt.rc_context(STYLE):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
        kernels(masks, left)
        plot.mask(shown_phase(masks, bench), bench.fourier_grid, middle)
        middle.set_title(f"(b) {masks.slm.bits}-bit phase mask, Fourier plane")
        frame = camera_frame(bench, masks, image, exposure, seed)
        plot.frame(frame, bench.camera_grid, right, windows=windows, zero_order=size)
        right.images[0].set_clim(bench.config.camera.black_level, np.percentile(frame, 99.7))
        limit = 1.05e3 * max(
            abs(place) + side / 2 for window in windows for place, side in zip(window[:2], size, strict=True)
        )
        right.set(xlim=(-limit, limit), ylim=(-limit, limit))
        right.set_title("(c) camera: windows, undiffracted image (dashed)")
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
