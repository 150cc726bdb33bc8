"""Play: the simulated bench takes a run sheet and writes the file that a lab would write."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.bench import budget, readout
from fouroptics.bench.fourf import FourF
from fouroptics.bench.response import correlate, incoherent_kernel
from fouroptics.bench.schedule import durations
from fouroptics.bench.shown import PanelFrames
from fouroptics.errors import GeometryError
from fouroptics.masks import captures
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.runsheet import RunSheet, steps

Tile = tuple[int, int]
Optics = Callable[[int, Tensor], tuple[Tensor, ...]]


@torch.no_grad()
def play(
    sheet: RunSheet,
    bench: FourF,
    masks: MaskSet,
    path: str | Path,
    *,
    generator: torch.Generator | None = None,
    reference: float | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Take every line of a run sheet on a bench; memory for one frame of the camera, whatever the length.

    A dark frame has no light, a flat one even light of half the range of the camera. Timestamps are those of
    `schedule`: settling, exposure, readout. Incoherent light is computed at the pixels that are read, the centres of
    image pixels in the windows; the rest of the frame is dark.

    Parameters
    ----------
    sheet : RunSheet
        What is shown.
    bench : FourF
        Its camera takes the frames.
    masks : MaskSet
        Those of the sheet.
    path : str or Path
        File of captures to write.
    generator : torch.Generator, optional
        Of camera noise and drift of the reference; None gives the mean of the camera, rounded to whole numbers.
    reference : float, optional
        Amplitude of the reference wave in sqrt(W)/m; left out, that of ``reference.power``.
    progress : callable, optional
        Called with the number of frames written, and of all.

    Raises
    ------
    GeometryError
        If camera, panel or readout are not those of the sheet, or a reference is needed and its power is "auto".
    BundleError
        If the masks are not as many as those of the sheet.
    """
    _check(sheet, bench, masks)
    captures.save(path, sheet, _taken(sheet, bench, _optics(bench, masks, reference, generator), generator), progress)


def _taken(
    sheet: RunSheet, bench: FourF, light_of: Optics, generator: torch.Generator | None
) -> Iterator[tuple[NDArray[np.uint16], float]]:
    """Frames in the order of the run sheet, each with the second at which it begins."""
    images, clock = torch.from_numpy(sheet.pictures.levels), _clock(sheet, bench)
    for (mask, image), lines in groupby(range(len(sheet.lines)), lambda i: _shown(sheet, i)):
        frames = light_of(mask, images[image]) if mask >= 0 else ()
        for line in map(sheet.lines.__getitem__, lines):
            intensity = _intensity(line, frames, bench)
            for _ in range(line["repeats"]):
                yield _exposed(intensity, float(line["exposure"]), bench, generator), next(clock)


def _shown(sheet: RunSheet, line: int) -> tuple[int, int]:
    row = sheet.lines[line]
    return (int(row["mask"]), int(row["image"])) if row["kind"] == "signal" else (-1, -1)


def _check(sheet: RunSheet, bench: FourF, masks: MaskSet) -> None:
    have = {"camera": tuple(sheet.about["camera"]["shape"]), "bits": sheet.about["camera"]["bits"]}
    have |= {"readout": sheet.about["readout"], "masks": sheet.about["masks"]}
    have |= {"display": sheet.pictures.levels.shape[1:]}
    here = {"camera": bench.camera_grid.shape, "bits": bench.camera.config.bits}
    here |= {"readout": bench.config.readout.kind, "masks": len(masks), "display": bench.config.input.shape}
    for name, value in have.items():
        if value != here[name]:
            raise GeometryError(
                f"{name} = {here[name]!r}, the run sheet is for {value!r}; take the bench it was made for"
            )


def _optics(bench: FourF, masks: MaskSet, reference: float | None, generator: torch.Generator | None) -> Optics:
    """Function of a mask and an image (y, x): intensities (Y, X) on the camera in W/m^2, one a step of reference."""
    if bench.config.light.coherence == "incoherent":
        incoherent = _incoherent(bench, masks)
        return lambda mask, image: (incoherent(mask, image),)

    def coherent(mask: int, image: Tensor) -> tuple[Tensor, ...]:
        shown = PanelFrames(masks.gray[mask][None], masks.slm)
        light = image.float() / 255
        if bench.config.readout.kind not in readout.STEPS:
            return (bench.intensity(light, shown)[0],)
        return tuple(frame[0] for frame in bench.frames(light, shown, None, reference, generator))

    return coherent


def _incoherent(bench: FourF, masks: MaskSet) -> Callable[[int, Tensor], Tensor]:
    """As `_optics`; the kernels of each mask are computed once."""

    @cache
    def kernels(mask: int) -> tuple[list[Tile], Tensor]:
        tiles = [(int(y), int(x)) for y, x in np.unique(masks.kernels.tile[masks.kernels.mask == mask], axis=0)]
        shown = PanelFrames(masks.gray[mask][None], masks.slm)
        return tiles, incoherent_kernel(bench.config, bench.slm, shown, tiles)[0].to(torch.complex64)

    def light(mask: int, image: Tensor) -> Tensor:
        tiles, found = kernels(mask)
        u = bench.encode(image.float() / 255).intensity
        seen = correlate(u[None].to(found.dtype), found)[0].real.clamp_min(0) / bench.config.magnification**2
        out = torch.zeros(bench.camera_grid.shape)
        for tile, window in zip(tiles, seen, strict=True):
            out[np.ix_(*camera_pixels(bench, tile))] = window.flip((-2, -1))
        return out

    return light


def camera_pixels(bench: FourF, tile: Tile) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the camera that are nearest to the image pixels of a window, centre `tile` in image pixels.

    Raises
    ------
    GeometryError
        If the window reaches beyond the camera.
    """
    image, sensor = bench.image_grid, bench.camera_grid
    places = image.shifted(*(at * d for at, d in zip(tile, image.spacing, strict=True))).coordinates()
    rows, columns = (
        np.rint((place - axis[0]) / pitch).astype(int)
        for place, axis, pitch in zip(places, sensor.coordinates(), sensor.spacing, strict=True)
    )
    if min(rows.min(), columns.min()) < 0 or rows.max() >= sensor.shape[0] or columns.max() >= sensor.shape[1]:
        raise GeometryError(f"the window at {tile} image pixels lies outside the camera, {sensor}; take a larger one")
    return rows, columns


def _intensity(line: np.void, frames: tuple[Tensor, ...], bench: FourF) -> Tensor:
    """Intensity (Y, X) on the camera in W/m^2 during a line of the playlist."""
    if line["kind"] == "signal":
        if len(frames) == 1:
            return frames[0]
        phases = steps(bench.config.readout.kind)
        return frames[int(np.argmin([abs(line["reference"] - phase) for phase in phases]))]
    level = 0.0
    if line["kind"] == "flat":
        electrons = budget.ceiling(bench.config) / 2
        one = float(bench.camera.photons_for(torch.ones(()), bench.wavelength, float(line["exposure"])))
        level = electrons / bench.camera.config.qe / one
    return torch.full(bench.camera_grid.shape, level)


def _exposed(intensity: Tensor, seconds: float, bench: FourF, generator: torch.Generator | None) -> NDArray[np.uint16]:
    photons = bench.camera.photons_for(intensity, bench.wavelength, seconds)
    if generator is None:
        return np.rint(bench.camera.expected(photons, seconds).numpy()).astype(np.uint16)
    return bench.camera(photons, generator, seconds).numpy().astype(np.uint16)


def _clock(sheet: RunSheet, bench: FourF) -> Iterator[float]:
    """Seconds at which each frame begins."""
    before, now = {"panel": -1, "display": -1}, 0.0
    for line in sheet.lines[sheet.order]:
        times = durations(bench.config, float(line["exposure"]))
        for part, shown in (("panel", line["mask"]), ("display", line["image"])):
            now += times[part] * (shown not in (-1, before[part]))
            before[part] = shown
        yield now
        now += times["exposure"] + times["readout"]
