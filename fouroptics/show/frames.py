"""Camera frames for one image file: what `fouroptics simulate` writes."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fouroptics.bench.bench import Axis
from fouroptics.bench.fourf import FourF
from fouroptics.bench.shown import PanelFrames
from fouroptics.errors import FourOpticsError, GeometryError
from fouroptics.light.sources import picture
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.measure import warn_if_foreign
from fouroptics.show import plot
from fouroptics.units import show


class Window(NamedTuple):
    """Where the camera reads one kernel.

    Attributes
    ----------
    mask : int
        The frame.
    y, x : float
        Centre in the camera plane in metres.
    pixels : tuple of numpy.ndarray
        Index (y, x) of the camera pixels centred on the image pixels.
    """

    mask: int
    y: float
    x: float
    pixels: Any


@dataclass(frozen=True, eq=False)
class Frames:
    """One exposure for each mask.

    Attributes
    ----------
    numbers : numpy.ndarray
        Frames (M, y, x) in DN: uint16, or float32 for the mean of the camera.
    windows : list of Window
        One a kernel; an open panel has one.
    exposure : float
        In seconds.
    automatic : bool
        Whether it was set here, for `mean_photons`.
    photons : float
        Mean photons of a pixel that is read.
    read, saturated, saturated_read : int
        Number of pixels that are read, that reach the full well or the converter's end on average, and both.
    """

    numbers: NDArray[Any]
    windows: list[Window]
    exposure: float
    automatic: bool
    photons: float
    read: int
    saturated: int
    saturated_read: int

    def summary(self) -> dict[str, float]:
        """Figures of the exposure, as summary.json holds them."""
        return {
            "frames": len(self.numbers),
            "exposure_s": self.exposure,
            "exposure_automatic": self.automatic,
            "mean_photons_per_read_pixel": self.photons,
            "read_pixels": self.read,
            "saturated_pixels": self.saturated,
            "saturated_read_pixels": self.saturated_read,
        }

    def __str__(self) -> str:
        origin = "set for camera.mean_photons" if self.automatic else "from the bench file"
        return (
            f"exposure {show(self.exposure, 'time', 4)}, {origin}: {self.photons:.4g} photons a read pixel on average\n"
            f"saturated: {self.saturated_read} of {self.read} read pixels, {self.saturated} in all"
        )


def read_image(path: str | Path, shape: tuple[int, int], say: Callable[[str], Any] = str) -> Tensor:
    """Grey values (height, width) in [0, 1] of a picture, averaged over the pixels of a display.

    See `picture` for what becomes of colours and depth.

    Parameters
    ----------
    path : str or Path
        The image.
    shape : tuple of int
        Height and width of the display in pixels.
    say : callable, optional
        Takes a line that says what became of the image.

    Raises
    ------
    GeometryError
        If the file is missing or is no picture.
    """
    grey = picture(path).numpy()
    averaged = Image.fromarray(grey).resize((shape[1], shape[0]), Image.Resampling.BOX)
    (height, width), stretch = grey.shape, shape[0] * grey.shape[1] / (shape[1] * grey.shape[0])
    aspect = "" if abs(stretch - 1) < 0.01 else f", stretched by {stretch:.3g} in y"
    change = f"averaged to the {shape[0]} x {shape[1]} of the display{aspect}"
    say(f"{path}: {height} x {width} pixels, {'as they are' if grey.shape == shape else change}")
    return torch.from_numpy(np.array(averaged, np.float32).clip(0, 1))


def windows(bench: FourF, masks: MaskSet | None) -> list[Window]:
    """Camera pixels that are read, for each kernel of the masks or for an open panel.

    Raises
    ------
    GeometryError
        If a window lies outside the camera.
    """
    camera, image, found = bench.camera_grid, bench.image_grid, []
    table = [(0, (0, 0))] if masks is None else list(zip(masks.kernels.mask, masks.kernels.tile, strict=True))
    for mask, tile in table:
        y, x = (float(place * pitch) for place, pitch in zip(tile, image.spacing, strict=True))
        wanted, have = image.shifted(y, x).coordinates(), camera.coordinates()
        index = [np.rint((w - h[0]) / d).astype(int) for w, h, d in zip(wanted, have, camera.spacing, strict=True)]
        if any(i[0] < 0 or i[-1] >= n for i, n in zip(index, camera.shape, strict=True)):
            where = f"y = {show(y, 'length', 4)}, x = {show(x, 'length', 4)}"
            raise GeometryError(f"the window at {where} lies outside the camera, {camera}; set a larger camera.shape")
        found.append(Window(int(mask), float(wanted[0].mean()), float(wanted[1].mean()), np.ix_(*index)))
    return found


@torch.no_grad()
def expose(bench: FourF, masks: MaskSet | None, image: Tensor, generator: torch.Generator | None = None) -> Frames:
    """Take one frame a mask; at the exposure of the bench file or, if that is "auto", for `mean_photons` a read pixel.

    Parameters
    ----------
    bench : FourF
        The bench with its camera.
    masks : MaskSet or None
        Shown one after the other; None is an ideal open panel.
    image : torch.Tensor
        Grey values (y, x) in [0, 1].
    generator : torch.Generator, optional
        Of the camera's noise; None gives the mean.

    Raises
    ------
    GeometryError
        If the masks are for another panel, or a window lies outside the camera.
    FourOpticsError
        If no light reaches the pixels that are read, so that no exposure can be set.
    """
    if masks is not None:
        warn_if_foreign(masks, bench)
    places, camera = windows(bench, masks), bench.camera
    open_panel = torch.ones(1, *bench.fourier_grid.shape)
    shown = [open_panel] if masks is None else [PanelFrames(gray[None], masks.slm) for gray in masks.gray]
    intensity = torch.cat([bench.intensity(image, mask, bench.camera_grid) for mask in shown])
    read = torch.stack([intensity[place.mask][place.pixels] for place in places])
    if not bool(read.mean() > 0):
        raise FourOpticsError("no light reaches the pixels that are read; give a brighter image")
    exposure = camera.config.exposure or camera.exposure_for(read, bench.wavelength)
    photons = camera.photons_for(intensity, bench.wavelength, exposure)
    full = camera.saturated(photons, exposure=exposure)
    if generator is None:
        numbers = camera.expected(photons, exposure).numpy()
    else:
        numbers = camera(photons, generator, exposure).numpy().astype(np.uint16)
    return Frames(
        numbers=numbers,
        windows=places,
        exposure=exposure,
        automatic=camera.config.exposure is None,
        photons=float(camera.photons_for(read, bench.wavelength, exposure).double().mean()),
        read=read.numel(),
        saturated=int(full.sum()),
        saturated_read=sum(int(full[place.mask][place.pixels].sum()) for place in places),
    )


def draw(frames: Frames, bench: FourF, mask: int, ax: Axes, percentile: float = 100) -> Axes:
    """One frame, its windows, the undiffracted image (dashed); the scale ends at a percentile of the read pixels."""
    image, own = bench.image_grid, [place for place in frames.windows if place.mask == mask]
    marks = [(place.y, place.x, *image.extent) for place in own]
    # Undiffracted light ignores the pose of the camera, so this is not the image grid.
    centre = bench.config.input_grid.inverted(bench.config.magnification)
    y, x = (float(axis.mean()) for axis in centre.coordinates())
    top = float(np.percentile([frames.numbers[mask][place.pixels] for place in own], percentile))
    limits = (min(bench.config.camera.black_level, top - 1), top)
    shown = frames.numbers[mask]
    return plot.frame(shown, bench.camera_grid, ax, windows=marks, zero_order=(y, x, *image.extent), limits=limits)


def section(bench: FourF, masks: MaskSet | None, image: Tensor, ax: Axes, planes: int = 81, axis: Axis = "yz") -> Axes:
    """Light along the bench behind the first mask or an open panel, y or x against z, by the wave model.

    Up to the panel the plane of the picture holds the axis; behind it, it follows the central ray of the last column of
    windows (bars at the camera; in an x-z plane the last row), which meets lens 2 at their height.

    Raises
    ------
    GeometryError
        If the masks are for another panel.
    """
    f1, f2 = bench.config.lens1.focal_length, bench.config.lens2.focal_length
    transmission = torch.ones(bench.fourier_grid.shape) if masks is None else bench.transmission(masks)[0]
    up, across = (0, 1) if axis == "yz" else (1, 0)
    height = bench.image_grid.extent[up]
    places = [(place.y, place.x) for place in windows(bench, masks) if place.mask == 0]
    column = max(place[across] for place in places)
    rows = [place[up] for place in places if place[across] == column]
    y = np.linspace(-1, 1, 400) * 1.3 * (max(map(abs, rows)) + height)
    follow = lambda z: column * min(max((z - 2 * f1) / f2, 0), 1)  # noqa: E731
    light = bench.section(image, transmission, planes, y, follow, axis)
    ends = (0, "display"), (f1, "lens 1"), (2 * f1, "SLM"), (2 * f1 + f2, "lens 2"), (2 * (f1 + f2), "camera")
    plot.section(light, ax, marks=ends, decades=3)
    for row in rows:
        span = [plot.MM * (row - height / 2), plot.MM * (row + height / 2)]
        ax.plot([plot.MM * 2 * (f1 + f2)] * 2, span, color="tab:cyan", lw=4, clip_on=False)
    return ax


def sheet(count: int, draw: Callable[[int, Axes], Any], size: tuple[float, float] = (5.0, 4.0)) -> bytes:
    """PNG of `count` pictures of `size` inches, each drawn by ``draw(i, ax)``; several are numbered."""
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    for i in range(count):
        ax = figure.add_subplot(rows, columns, i + 1)
        draw(i, ax)
        if count > 1:
            ax.set_title(f"mask {i}")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()
