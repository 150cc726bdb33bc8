"""Layouts: which mask carries each kernel, and where in the camera plane its window lies.

A layout is a function ``(count, size, bench, channels=1) -> Layout`` for `count` kernels of `size` taps an axis, or for
`count` times `channels` of them, the channels of an output one after the other.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.bench.geometry import GUARD, Place, geometry, lattice, step
from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
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
    places : tuple of (int, int)
        (K) centre (y, x) of the kernel's input picture on the display, in its pixels from the middle one, ``n//2``;
        empty: all in the middle.
    wavelengths : tuple of float
        (K) light of the kernel, in metres; empty: that of the bench.
    shape : tuple of int, optional
        Pixels (y, x) of an input picture; left out, of the whole display.
    """

    mask: tuple[int, ...]
    tiles: tuple[Place, ...]
    places: tuple[Place, ...] = ()
    wavelengths: tuple[float, ...] = ()
    shape: tuple[int, int] | None = None

    @property
    def centres(self) -> tuple[Place, ...]:
        """Displacement (y, x) from the picture on the display to its window, for each kernel."""
        places = self.places or ((0, 0),) * len(self.tiles)
        return tuple((t[0] + p[0], t[1] + p[1]) for t, p in zip(self.tiles, places, strict=True))


def tiled(count: int, size: int, bench: FourF, channels: int = 1, *, guard: int = GUARD, frames: int = 1) -> Layout:
    """All kernels in one frame: windows on a lattice about the axis, which stays free for the undiffracted light.

    Parameters
    ----------
    count, size : int
        Number of kernels and taps an axis.
    bench : FourF
        The bench; its camera and the period of its panel limit the lattice.
    channels : int
        1: light of one picture.
    guard : int
        Image pixels that stay free between the taps of a kernel and the window of the next: room for a bench that is
        off by as much.
    frames : int
        Masks over which the kernels are spread, where one does not hold all of them.

    Raises
    ------
    SamplingError
        If the windows do not fit; the message says how many do.
    GeometryError
        If there are several channels, or no frames.
    """
    _one_channel("tiled", channels)
    if frames < 1:
        raise GeometryError(f"frames = {frames}: give 1 at least")
    place = geometry(bench.config, taps=size)
    apart = step(place.shape, size, guard)
    each, places = math.ceil(count / frames), lattice(place.reach, apart, _off(place.shape, guard))
    tiles = sorted(_nearest(each, places, size, bench))
    return Layout(tuple(i // each for i in range(count)), tuple(tiles[i % each] for i in range(count)))


def _nearest(count: int, places: Sequence[Place], size: int, bench: FourF) -> Sequence[Place]:
    if len(places) < count:
        apart = step(bench.config.input.shape, size)
        frames = f"in {math.ceil(count / len(places))} frames (tiled with frames=), " if places else ""
        raise SamplingError(
            f"{count} kernels of {size} x {size} need as many windows {apart[0]} x {apart[1]} image pixels apart, "
            f"one frame of this bench has {len(places)}: {_limit(bench)}; or show them {frames}"
            "or one kernel a frame (layout sequential)"
        )
    return places[:count]


def sequential(count: int, size: int, bench: FourF, channels: int = 1) -> Layout:
    """One frame a kernel, all at one place off the axis in y and x, clear of the other orders. As for `tiled`."""
    _one_channel("sequential", channels)
    apart = tuple(2 * math.ceil((2 * n - 1 + size) / 2) for n in bench.config.input.shape)
    off = [min(want, math.floor(far)) for want, far in zip(apart, geometry(bench.config, taps=size).reach, strict=True)]
    if any(2 * have < need for have, need in zip(off, apart, strict=True)):
        raise SamplingError(
            f"a window must lie {apart[0] // 2} (y) and {apart[1] // 2} (x) image pixels off the axis, this bench "
            f"has room for {off[0]} and {off[1]}: {_limit(bench)}"
        )
    return Layout(tuple(range(count)), ((off[0], off[1]),) * count)


def on_axis(count: int, size: int, bench: FourF, channels: int = 1) -> Layout:
    """One frame a kernel, on the axis, where the light that the panel does not diffract falls, too.

    Parameters and errors as for `tiled`.

    Warns
    -----
    SamplingWarning
        If the panel has such light: the result depends on its phase, which nobody knows.
    """
    _one_channel("on_axis", channels)
    del size
    stray = (1 - bench.config.panel.fill_factor) * bench.config.panel.dead_amplitude
    if stray > 0:
        warnings.warn(
            f"on the axis the undiffracted light, {stray:.3g} of the amplitude, adds to the result with a phase that "
            "nobody knows; take layout=tiled or sequential, or calibrate panel.dead_phase",
            SamplingWarning,
            stacklevel=3,
        )
    return Layout(tuple(range(count)), ((0, 0),) * count)


def input_tiling(count: int, size: int, bench: FourF, channels: int = 1, *, guard: int = GUARD) -> Layout:
    """Pictures of all channels side by side on the display; their kernels bring them together: amplitudes add in light.

    Each output has one window for all channels, and the mask one kernel for each pair. The display holds the pictures
    on the squarest lattice, with ``size//2 + guard`` dark pixels between them; `on_display` puts them there.
    Parameters and errors as for `tiled`.
    """
    display = bench.config.input.shape
    splits = [(r, math.ceil(channels / r)) for r in range(1, channels + 1)]
    gap = size // 2 + guard
    sizes = [tuple((n - (m - 1) * gap) // m for n, m in zip(display, split, strict=True)) for split in splits]
    rows, columns = max(zip(sizes, splits, strict=True), key=lambda pair: min(pair[0]))[1]
    shape = ((display[0] - (rows - 1) * gap) // rows, (display[1] - (columns - 1) * gap) // columns)
    if min(shape) < size:
        raise SamplingError(
            f"{channels} pictures, {gap} pixels apart, leave {min(shape)} pixels of the display of {display} for "
            f"each, kernels have {size}: give input.shape more pixels, or show fewer channels"
        )
    apart = step(shape, size, guard)
    y, x = ([round((i - (m - 1) / 2) * d) for i in range(m)] for m, d in zip((rows, columns), apart, strict=True))
    places = [(a, b) for a in y for b in x][:channels]
    tiles = _nearest(count, _clear(bench, places, (rows * apart[0], columns * apart[1]), shape, guard), size, bench)
    return Layout((0,) * (count * channels), tuple(t for t in tiles for _ in places), tuple(places) * count, (), shape)


def _off(shape: Place, guard: int) -> Place:
    """Place of the first window off the axis."""
    return shape[0] + guard, shape[1] + guard


def _clear(bench: FourF, places: list[Place], apart: Place, shape: Place, guard: int) -> list[Place]:
    """Windows (y, x) for pictures of `shape` at places on the display, to which no light comes without being sent."""
    config, unit, far = bench.config, bench.image_grid.spacing, [max(abs(at[axis]) for at in places) for axis in (0, 1)]
    camera = [config.camera_grid.extent[axis] / (2 * unit[axis]) - shape[axis] / 2 for axis in (0, 1)]
    band = [config.band / 2 - (shape[axis] - 1) - far[axis] for axis in (0, 1)]
    reach = min(camera[0], band[0]), min(camera[1], band[1])
    return lattice(reach, apart, (shape[0] + guard + far[0], shape[1] + guard + far[1]))


def wavelengths(count: int, size: int, bench: FourF, channels: int = 1, *, guard: int = GUARD) -> Layout:
    """A line of the light's spectrum for each channel, a mask for each line: the camera adds the intensities.

    The masks are rescaled for their lines, the windows lie in the same places, and the frames are exposed one after
    the other: ``I = sum_c |w_c * u_c|^2``, which a student must be trained for. Parameters and errors as for `tiled`.
    """
    lines = [line for _, line in bench.lines]
    if len(lines) != channels or (channels == 1 and not bench.config.light.spectrum):
        raise GeometryError(
            f"light.spectrum has {len(bench.config.light.spectrum)} lines, the kernels {channels} channels: give a "
            'line for each, such as spectrum = [["450 nm", 1], ["532 nm", 1], ["633 nm", 1]]'
        )
    benches = [geometry(line.config, taps=size) for line in lines]
    place = benches[0]
    reach = min(g.reach[0] for g in benches), min(g.reach[1] for g in benches)
    apart = step(place.shape, size, guard)
    tiles = sorted(_nearest(count, lattice(reach, apart, _off(place.shape, guard)), size, bench))
    rows = [(c, tile, line.wavelength) for tile in tiles for c, line in enumerate(lines)]
    mask, tiles, light = zip(*rows, strict=True)
    return Layout(mask, tiles, (), light)


def on_display(pictures: Tensor, places: Sequence[Place], shape: tuple[int, int]) -> Tensor:
    """Pictures (..., C, n, n) on a dark display (..., y, x) of `shape`, with their middles at (C) `places`."""
    display = pictures.new_zeros((*pictures.shape[:-3], *shape))
    height, width = pictures.shape[-2:]
    for picture, (y, x) in zip(pictures.unbind(-3), places, strict=True):
        top, left = shape[0] // 2 + y - height // 2, shape[1] // 2 + x - width // 2
        if min(top, left) < 0 or top + height > shape[0] or left + width > shape[1]:
            raise GeometryError(f"a picture of {height} x {width} at {(y, x)} is not within the display of {shape}")
        display[..., top : top + height, left : left + width] = picture
    return display


def _one_channel(name: str, channels: int) -> None:
    if channels > 1:
        raise GeometryError(
            f"kernels of {channels} input channels, and layout {name} shows one picture: give kernels (out, 1, k, k), "
            "or take layout=input_tiling (pictures side by side, amplitudes add in light) or layout=wavelengths (a "
            "line for each channel, intensities add)"
        )


def _limit(bench: FourF) -> str:
    """What limits the windows of a bench, and the remedy."""
    config, place = bench.config, geometry(bench.config)
    camera = [config.camera_grid.extent[i] / (2 * bench.image_grid.spacing[i]) - place.shape[i] / 2 for i in (0, 1)]
    if min(camera) <= min(place.reach):
        height, width = (show(side, "length", 3) for side in bench.camera_grid.extent)
        return f"its camera of {height} x {width} ends first, take a larger one (camera.shape)"
    return (
        f"its band of {bench.config.band:.0f} panel pixels folds first, take a finer input or panel, or a longer lens1"
    )
