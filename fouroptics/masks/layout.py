"""Layouts: which mask carries each kernel, and where in the camera plane its window lies."""

import math
from dataclasses import dataclass

from fouroptics.bench.fourf import FourF
from fouroptics.errors import SamplingError
from fouroptics.units import show


@dataclass(frozen=True)
class Layout:
    """Which mask carries each of K kernels, and where its window lies.

    Attributes
    ----------
    mask : tuple of int
        (K) index of the mask.
    tiles : tuple of (int, int)
        (K) centre (y, x) of the window in the camera plane, in image pixels from the axis, in the physical orientation.
    """

    mask: tuple[int, ...]
    tiles: tuple[tuple[int, int], ...]


def spacing(bench: FourF, size: int) -> tuple[int, int]:
    """Distance of windows (y, x) in image pixels: all displacements that an image uses, and a kernel's width; even."""
    y, x = (2 * math.ceil((2 * n - 1 + size) / 2) for n in bench.config.input.shape)
    return y, x


def tiled(count: int, size: int, bench: FourF) -> Layout:
    """All kernels in one frame: windows on a lattice about the axis, which stays free for the undiffracted light.

    Parameters
    ----------
    count, size : int
        Number of kernels and taps an axis.
    bench : FourF
        The bench; its camera and the period of its panel limit the lattice.

    Raises
    ------
    SamplingError
        If the windows do not fit; the message says how many do.
    """
    step = spacing(bench, size)
    room = [_places(bench, axis, step[axis]) for axis in (0, 1)]
    columns = min(room[1], 2 * math.ceil(math.sqrt(count) / 2))
    rows = min(room[0], 2 * math.ceil(count / max(columns, 1) / 2))
    columns = min(room[1], 2 * math.ceil(count / max(rows, 1) / 2))
    if rows * columns < count:
        raise SamplingError(
            f"{count} kernels of {size} x {size} need as many windows of {step[0]} x {step[1]} image pixels, "
            f"one frame of this bench has {room[0]} x {room[1]}: {_limit(bench)}; "
            "or show one kernel a frame (layout sequential)"
        )
    y, x = ([round((i - (n - 1) / 2) * d) for i in range(n)] for n, d in zip((rows, columns), step, strict=True))
    nearest = sorted(((a, b) for a in y for b in x), key=lambda tile: tile[0] ** 2 + tile[1] ** 2)[:count]
    return Layout((0,) * count, tuple(sorted(nearest)))


def sequential(count: int, size: int, bench: FourF) -> Layout:
    """One frame a kernel, all at one place up to a window off the axis in y and x. Parameters as for `tiled`."""
    step = spacing(bench, size)
    off = [min(step[axis], math.floor(reach(bench, axis))) for axis in (0, 1)]
    if any(2 * have < need for have, need in zip(off, step, strict=True)):
        raise SamplingError(
            f"a window must lie {step[0] // 2} (y) and {step[1] // 2} (x) image pixels off the axis, this bench "
            f"has room for {off[0]} and {off[1]}: {_limit(bench)}"
        )
    return Layout(tuple(range(count)), ((off[0], off[1]),) * count)


def _places(bench: FourF, axis: int, step: int) -> int:
    """Windows that a lattice about the axis holds along y or x; even."""
    farthest = reach(bench, axis)
    return 0 if farthest < step / 2 else 2 * (math.floor((farthest - step / 2) / step) + 1)


def reach(bench: FourF, axis: int) -> float:
    """Farthest centre of a window that the camera holds and the period of the panel does not fold, in image pixels."""
    return min(_rooms(bench, axis))


def _rooms(bench: FourF, axis: int) -> tuple[float, float]:
    n, pixel = bench.config.input.shape[axis], bench.image_grid.spacing[axis]
    return bench.camera_grid.extent[axis] / (2 * pixel) - n / 2, bench.config.band / 2 - (n - 1)


def _limit(bench: FourF) -> str:
    """What limits the windows of a bench, and the remedy."""
    camera, folded = zip(*(_rooms(bench, axis) for axis in (0, 1)), strict=True)
    if min(camera) < min(folded):
        height, width = (show(side, "length", 3) for side in bench.camera_grid.extent)
        return f"its camera of {height} x {width} ends first, take a larger one (camera.shape)"
    return (
        f"its band of {bench.config.band:.0f} panel pixels folds first, take a finer input or panel, or a longer lens1"
    )
