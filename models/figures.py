"""The figures of a run: light along the bench, the mask, and target, mask and camera frame side by side."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.masks.maskset import MaskSet
from fouroptics.show import plot

STYLE = {"font.size": 9, "figure.dpi": 110, "savefig.dpi": 200, "axes.titlesize": 9}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and close it."""
    partial = path.with_name(f"{path.name}.partial")
    figure.savefig(partial, format="png")
    partial.replace(path)
    plt.close(figure)


def shown_phase(masks: MaskSet, bench: FourF, mask: int = 0) -> np.ndarray:
    """Phase (fy, fx) in rad that the compiler asked for, on the pixels that the light passes."""
    return bench.crop(masks.phase[mask])


def section(bench: FourF, masks: MaskSet, image: Tensor, planes: int = 61) -> Figure:
    """Light along the bench in the y-z plane, by the wave model, for one image (y, x)."""
    with torch.no_grad():
        transmission = bench.slm(torch.from_numpy(shown_phase(masks, bench).copy()))
        light = bench.section(image, transmission, planes)
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
        f1, f2 = bench.config.lens1.focal_length, bench.config.lens2.focal_length
        marks = [(0, "display"), (f1, "lens 1"), (2 * f1, "SLM"), (2 * f1 + f2, "lens 2"), (2 * (f1 + f2), "camera")]
        plot.section(light, ax, marks=marks, decades=4)
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
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
        data, grid = target(bench, masks)
        top = np.abs(data).max()
        plot.image(data, grid, axes[0], label="wanted response (amplitude)", cmap="RdBu_r", vmin=-top, vmax=top)
        plot.mask(shown_phase(masks, bench), bench.fourier_grid, axes[1])
        frame = camera_frame(bench, masks, image, exposure, seed)
        size = bench.image_grid.extent
        pitch = bench.image_grid.spacing
        windows = [(y * pitch[0], x * pitch[1], *size) for y, x in masks.kernels.tile[masks.kernels.mask == 0]]
        # The camera looks at the tiles; saturated pixels of the undiffracted image are shown as they are.
        plot.frame(frame, bench.camera_grid, axes[2], windows=windows, zero_order=size)
        axes[2].images[0].set_clim(bench.config.camera.black_level, np.percentile(frame, 99.7))
        limit = (
            1.02
            * 1e3
            * max(abs(v) for window in windows for v in (abs(window[0]) + size[0] / 2, abs(window[1]) + size[1] / 2))
        )
        for ax in (axes[0], axes[2]):
            ax.set(xlim=(-limit, limit), ylim=(-limit, limit))
        for ax, title in zip(
            axes,
            (
                f"(a) what {len(windows)} kernels should do to one point",
                f"(b) {masks.slm.bits}-bit phase mask in the Fourier plane",
                "(c) camera frame: read windows (solid), undiffracted image (dashed)",
            ),
            strict=True,
        ):
            ax.set_title(title)
    return figure


def target(bench: FourF, masks: MaskSet, frame: int = 0) -> tuple[np.ndarray, Grid]:
    """Wanted response to one point in the camera plane, in image pixels: each kernel at its tile, inverted as the bench inverts it.

    A point at the origin is seen by ``image[m] = kernel[-m]`` upright, at ``-m`` on the camera: the kernel itself, about its tile.
    """
    table = masks.kernels
    chosen = np.flatnonzero(table.mask == frame)
    k = table.weight.shape[-1]
    reach = int(np.abs(table.tile[chosen]).max()) + k
    data = np.zeros((2 * reach + 1, 2 * reach + 1))
    for row in chosen:
        top, left = table.tile[row] + reach - k // 2
        data[top : top + k, left : left + k] = table.weight[row] / np.linalg.norm(table.weight[row])
    return data, Grid(data.shape, bench.image_grid.spacing)


def point_response(bench: FourF, masks: MaskSet) -> Field:
    """Response to one point in the camera plane, at the image pixels that hold all windows."""
    reach = int(np.abs(masks.kernels.tile).max()) + max(bench.config.input.shape)
    return bench.psf(masks, Grid((2 * reach + 1, 2 * reach + 1), bench.image_grid.spacing))
