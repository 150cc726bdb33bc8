"""Contact sheet of a mask file: what the panel shows, and where its light goes. Imports no torch."""

import io
import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from fouroptics.devices.panel import TURN, response
from fouroptics.masks.maskset import MaskSet

DECADES = 4  #: of the far field
_MM = 1e3
_DOTS = 300  #: across a picture, at least


class Plane(NamedTuple):
    """Pixels of the panel that one band of the input falls on, and the scale of their far field.

    Attributes
    ----------
    pixels : tuple of slice
        Rows and columns.
    band : float
        Panel pixels in a band, which is the period of the far field in image pixels; 1 where the file does not say.
    window : tuple of int or None
        Height and width of the input in image pixels, where the file says so.
    """

    pixels: tuple[slice, slice]
    band: float
    window: tuple[int, int] | None


def plane(masks: MaskSet) -> Plane:
    """Find the band ``lambda f1 / (input pitch * panel pitch)`` on the panel; the whole panel where it is not known."""
    optics, wavelength = masks.instrument.get("optics", {}), masks.instrument.get("beam", {}).get("incident_wavelength")
    known = wavelength is not None and {"f1", "input_pitch", "input_shape"} <= set(optics)
    band = wavelength * optics["f1"] / (optics["input_pitch"] * masks.slm.pitch) if known else math.inf
    sizes = [min(n, max(1, round(min(band, n)))) for n in masks.slm.shape]
    rows, columns = (slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(masks.slm.shape, sizes, strict=True))
    return Plane((rows, columns), band if known else 1.0, tuple(optics["input_shape"]) if known else None)


def far_field(masks: MaskSet, i: int, place: Plane) -> NDArray[np.float64]:
    """Power ``|FFT(t)|^2`` of the levels of mask i over its sum, zero order at n//2; pixels without gaps."""
    phase, amplitude = response(masks.slm)
    shown = (amplitude * np.exp(1j * phase))[masks.gray[i][place.pixels]]
    power = np.abs(np.fft.fftshift(np.fft.fft2(shown))) ** 2
    return power / power.sum()


def sheet(masks: MaskSet, count: int) -> bytes:
    """PNG of the first `count` masks: beside each its far field, with the windows of its kernels."""
    across, side = (1, 4.0) if count < 2 else (2, 3.0) if count < 9 else (4, 2.4)
    down, place = math.ceil(count / across), plane(masks)
    figure = Figure(figsize=(side * 2 * across, (side + 0.1) * down + 0.8), layout="constrained")
    grid = figure.add_gridspec(down + 1, 2 * across, height_ratios=[side] * down + [0.12])
    levels, light = None, None
    for i in range(count):
        row, column = divmod(i, across)
        left = figure.add_subplot(grid[row, 2 * column], title=f"mask {i}")
        right = figure.add_subplot(grid[row, 2 * column + 1], title=_account(masks, i))
        levels, light = _frame(masks, i, place, left), _far(masks, i, place, right)
        for ax in (left, right):
            ax.title.set_fontsize(9)
            ax.tick_params(labelsize=7)
            ax.set_xlabel(ax.get_xlabel() if i + across >= count else "", fontsize=8)
            ax.set_ylabel(ax.get_ylabel() if column == 0 else "", fontsize=8)
    caption, ticks = (
        ("level", None) if masks.phase is None else ("phase (rad)", {0: "0", math.pi: r"$\pi$", TURN: r"$2\pi$"})
    )
    _bar(figure, levels, grid[-1, :across], caption, ticks)
    _bar(figure, light, grid[-1, across:], "light in the far field, relative to its brightest sample", extend="min")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _bar(
    figure: Figure, shown: Any, where: Any, caption: str, ticks: dict[float, str] | None = None, **how: Any
) -> None:
    bar = figure.colorbar(shown, cax=figure.add_subplot(where), orientation="horizontal", **how)
    bar.set_label(caption, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    if ticks:
        bar.set_ticks(list(ticks), labels=list(ticks.values()))


def _account(masks: MaskSet, i: int) -> str:
    """Kernels of a mask and their worst error, where something is known of them."""
    rows = masks.kernels.mask == i
    if not rows.any() or (masks.kernels.correlation[rows] == 0).all():
        return "far field"
    count, error = int(rows.sum()), float(masks.kernels.error[rows].max())
    return f"1 kernel, error {error:.2%}" if count == 1 else f"{count} kernels, error up to {error:.2%}"


def _frame(masks: MaskSet, i: int, place: Plane, ax: Axes) -> Any:
    """Phase of a mask, or its levels where they stand for none, in the band; axes in mm from the panel's middle."""
    edges = [
        _MM * masks.slm.pitch * (edge - n // 2 - 0.5)
        for n, part in zip(masks.slm.shape[::-1], place.pixels[::-1], strict=True)
        for edge in (part.start, part.stop)
    ]
    shown = (masks.gray if masks.phase is None else masks.phase)[i][place.pixels]
    top, cmap = (2**masks.slm.bits - 1, "gray") if masks.phase is None else (TURN, "twilight")
    ax.set(xlabel="x on the panel (mm)", ylabel="y on the panel (mm)")
    return ax.imshow(shown, cmap=cmap, vmin=0, vmax=top, extent=tuple(edges), origin="lower", interpolation="nearest")


def _far(masks: MaskSet, i: int, place: Plane, ax: Axes) -> Any:
    """Far field of a mask and the windows of its kernels, as far as these reach."""
    power, table, band = far_field(masks, i, place), masks.kernels, place.band
    edges = [band * (end - n // 2 - 0.5) / n for n in power.shape[::-1] for end in (0, n)]
    rows = np.flatnonzero(table.mask == i)
    size = place.window or (0, 0)
    far = [max((abs(int(table.tile[row, axis])) for row in rows), default=0) + size[axis] for axis in (0, 1)]
    if place.window is None or max(far) > band / 2:
        far = [band / 2] * 2
    samples = max(2 * max(far) / band * n for n in power.shape)
    power = maximum_filter(power, max(1, math.ceil(samples / _DOTS)))  # a picture of fewer dots would lose single spots
    ax.set_facecolor("black")
    drawn = ax.imshow(
        np.maximum(power / power.max(), 1e-30),
        norm=LogNorm(10.0**-DECADES, 1.0),
        cmap="inferno",
        extent=tuple(edges),
        origin="lower",
        interpolation="nearest",
    )
    for row in rows if place.window else ():
        (y, x), (height, width) = table.tile[row], size
        ax.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, fill=False, ec="tab:cyan", lw=0.7))
        ax.annotate(
            str(table.out_channel[row]), (x - width / 2, y + height / 2), (1.5, -1.5), textcoords="offset points",
            color="tab:cyan", fontsize=6, ha="left", va="top",
        )  # fmt: skip
    unit = "image pixels" if place.window else "cycles/pixel"
    ax.set(xlabel=f"x on the camera ({unit})", ylabel=f"y on the camera ({unit})")
    ax.set(xlim=(-max(far), max(far)), ylim=(-max(far), max(far)))
    return drawn
