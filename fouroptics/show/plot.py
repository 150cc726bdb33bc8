"""Pictures of fields, sections, masks, kernels and frames, on Axes that each takes, or makes, and returns; in mm."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fouroptics.bench.bench import Section
from fouroptics.bench.fourf import FourF
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.measure import taps

MM = 1e3


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def _extent(grid: Grid) -> tuple[float, float, float, float]:
    """Left, right, bottom, top in mm: the outer edges of the outer samples, y pointing up."""
    y, x = grid.coordinates()
    dy, dx = grid.spacing
    return MM * (x[0] - dx / 2), MM * (x[-1] + dx / 2), MM * (y[0] - dy / 2), MM * (y[-1] + dy / 2)


def image(data: ArrayLike | Tensor, grid: Grid, ax: Axes | None = None, *, label: str = "", **options: Any) -> Axes:
    """Real data (y, x) on a grid, with a colour bar named `label`; `options` go to ``Axes.imshow``.

    Here and below, a batch, complex numbers or another shape than that of the grid are a GeometryError.
    """
    return _draw(_numbers(data, grid), grid, _axes(ax), label, None, **options)


def _numbers(data: ArrayLike | Tensor, grid: Grid) -> NDArray[Any]:
    values = data.detach().cpu().numpy() if isinstance(data, Tensor) else np.asarray(data)
    if values.shape != grid.shape or np.iscomplexobj(values):
        raise GeometryError(
            f"{values.dtype} data {values.shape}: a picture is of real numbers (y, x), as many as its grid has, "
            f"{grid.shape}; take one of a batch, and its intensity or phase"
        )
    return values


def _draw(
    values: NDArray[Any], grid: Grid, ax: Axes, label: str, ticks: dict[float, str] | None, **options: Any
) -> Axes:
    top = options.get("vmax")
    shown = ax.imshow(values, extent=_extent(grid), origin="lower", interpolation="nearest", **options)
    brighter = top is not None and np.nanmax(values) > top
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.85, extend="max" if brighter else "neither")
    bar.set_label(label)
    if ticks:
        bar.set_ticks(list(ticks), labels=list(ticks.values()))
    ax.set(xlabel="x (mm)", ylabel="y (mm)")
    return ax


def field(
    u: Field,
    ax: Axes | None = None,
    *,
    what: Literal["intensity", "amplitude", "phase"] = "intensity",
    log: bool = False,
) -> Axes:
    """One field (y, x): intensity in W/m^2 (linear, or over four decades with `log`), amplitude, or phase in rad."""
    if what not in ("intensity", "amplitude", "phase"):
        raise GeometryError(f"what = {what!r}: use 'intensity', 'amplitude' or 'phase'")
    if what == "phase":
        return image(u.phase, u.grid, ax, label="phase (rad)", cmap="twilight", vmin=-np.pi, vmax=np.pi)
    shown = u.intensity.detach().cpu().numpy()
    if what == "amplitude":
        return image(np.sqrt(shown), u.grid, ax, label=r"$|u|$ ($\sqrt{\mathrm{W}}$/m)", cmap="viridis")
    norm = LogNorm(shown.max() * 1e-4, shown.max()) if log and shown.any() else None
    return image(
        shown, u.grid, ax, label="intensity (W/m$^2$)" + (", log scale" if log else ""), cmap="inferno", norm=norm
    )


def section(
    light: Section, ax: Axes | None = None, *, marks: Iterable[tuple[float, str]] = (), decades: float = 4
) -> Axes:
    """Light along the bench: z to the right, y or x up, each plane relative to its own brightest point, on a log scale.

    Parameters
    ----------
    light : Section
        From ``Bench.section`` or ``FourF.section``.
    ax : Axes, optional
        Where to draw.
    marks : iterable of (float, str)
        Positions in metres and names of parts to mark.
    decades : float
        Range of the colour scale.
    """
    ax = _axes(ax)
    relative = light.intensity / np.maximum(light.intensity.max(0, keepdims=True), 1e-300)
    norm = LogNorm(10**-decades, 1)
    shown = ax.pcolormesh(
        MM * light.z, MM * light.y, np.maximum(relative, 10**-decades), norm=norm, cmap="inferno", rasterized=True
    )
    bar = ax.figure.colorbar(shown, ax=ax)
    bar.set_label("intensity / maximum of its plane")
    for z, name in marks:
        ax.axvline(MM * z, color="white", lw=0.8, ls=":")
        ax.annotate(
            name,
            (MM * z, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
        )
    ax.set(xlabel="z (mm)", ylabel=f"{light.axis[0]} (mm)")
    return ax


def mask(phase: ArrayLike | Tensor, grid: Grid, ax: Axes | None = None) -> Axes:
    """Phase of a mask (y, x) in rad, wrapped to [0, 2 pi)."""
    ticks = {0: "0", np.pi: r"$\pi$", 2 * np.pi: r"$2\pi$"}
    wrapped = np.mod(_numbers(phase, grid), 2 * np.pi)
    return _draw(wrapped, grid, _axes(ax), "phase (rad)", ticks, cmap="twilight", vmin=0, vmax=2 * np.pi)


def frame(
    numbers: ArrayLike | Tensor,
    grid: Grid,
    ax: Axes | None = None,
    *,
    windows: Iterable[tuple[float, float, float, float]] = (),
    zero_order: tuple[float, float, float, float] | None = None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """A camera frame in DN, with the read windows and the undiffracted image marked.

    Parameters
    ----------
    numbers : array_like
        Frame (y, x) in DN.
    grid : Grid
        Pixels of the camera.
    ax : Axes, optional
        Where to draw.
    windows : iterable of (y, x, height, width)
        Centres and sizes in metres of the windows that are read.
    zero_order : (y, x, height, width), optional
        Centre and size in metres of the undiffracted image.
    limits : (float, float), optional
        Ends of the grey scale in DN; left out, those of the frame.
    """
    low, high = limits or (None, None)
    ax = image(numbers, grid, ax, label="camera output (DN)", cmap="gray", vmin=low, vmax=high)
    for y, x, height, width in windows:
        ax.add_patch(_box(y, x, height, width, "tab:cyan", "-"))
    if zero_order is not None:
        ax.add_patch(_box(*zero_order, "tab:orange", "--"))
    return ax


def kernels(masks: MaskSet, bench: FourF, ax: Axes | None = None, *, columns: int = 8) -> Axes:
    """Kernels as they are wanted, as the bench realises them, and the difference, enlarged; each over its peak.

    Parameters
    ----------
    masks : MaskSet
        K kernels of k x k taps; of complex ones the real part is drawn.
    bench : FourF
        The bench that shows them.
    ax : Axes, optional
        Where to draw.
    columns : int
        Kernels in a row.
    """
    wanted, got = taps(masks, bench)
    peak = np.abs(wanted).max((1, 2), keepdims=True)
    gain = 10 ** math.floor(-math.log10(max(np.abs((got - wanted) / peak).max(), 1e-9)))
    parts = np.real(np.stack([wanted / peak, got / peak, gain * (got - wanted) / peak], 1))  # (K, 3, k, k)
    count, k = len(parts), parts.shape[-1]
    wide = min(columns, count)
    high = -(-count // wide)
    sheet = np.full((high * (3 * (k + 1) + 2), wide * (k + 1)), np.nan)
    for i, three in enumerate(parts):
        for j, one in enumerate(three):
            y, x = (i // wide) * (3 * (k + 1) + 2) + j * (k + 1), (i % wide) * (k + 1)
            sheet[y : y + k, x : x + k] = one
    ax = _axes(ax)
    shown = ax.imshow(sheet, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.figure.colorbar(shown, ax=ax, shrink=0.85).set_label("tap / largest tap")
    middles = [row * (3 * (k + 1) + 2) + j * (k + 1) + (k - 1) / 2 for row in range(high) for j in range(3)]
    ax.set_yticks(middles, ["wanted", "realised", f"difference x {gain:g}"] * high)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _box(y: float, x: float, height: float, width: float, color: str, style: str) -> Rectangle:
    corner = (MM * (x - width / 2), MM * (y - height / 2))
    return Rectangle(corner, MM * width, MM * height, fill=False, ec=color, ls=style, lw=0.8)
