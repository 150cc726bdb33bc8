"""What a camera took of a run sheet, read as the student's numbers; and the images for a run sheet.

A line of the playlist may have several frames: they are averaged, the mean of the dark frames is subtracted, and what
is left is divided by the flat frames. It is then brought to the exposure and the black level with which the run was
calibrated, so that the stored gains and offsets hold.

python -m models.captures runs/demo -o images.npz --images 100
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.devices.camera import Camera
from fouroptics.errors import FourOpticsError
from fouroptics.masks.captures import Captures
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.runsheet import steps
from models.data import Split
from models.optical import Instrument
from models.pairing import rows_by_channel
from models.runs import load_data
from models.student import Student

Frame = NDArray[np.float64]


@torch.no_grad()
def predict(student: Student, instrument: Instrument, masks: MaskSet, captures: Captures, flats: bool = True) -> Tensor:
    """Logits (I, classes) of all images of a run sheet: the frames feed the frozen head.

    Parameters
    ----------
    student : Student
        Its head.
    instrument : Instrument
        The calibration of the run.
    masks : MaskSet
        Those that were shown: their table says where the windows lie.
    captures : Captures
        The frames.
    flats : bool
        Divide by the flat frames, if there are some.

    Raises
    ------
    FourOpticsError
        If a frame is missing or taken with another readout, a window lies outside the camera, or dark and signal frames
        differ in exposure.
    """
    table = _lines(captures, instrument, len(masks))
    correct = _correction(captures, instrument, flats)
    rows = rows_by_channel(masks.kernels)[0]
    shown, windows = masks.kernels.mask[rows], [_window(instrument, masks, row) for row in rows]
    parts = []
    for image in range(table.shape[1]):
        lines = table[:, image]
        seen = np.empty((lines.shape[1], len(rows), windows[0][0].size, windows[0][1].size))
        for (mask, step), mean in zip(np.ndindex(lines.shape), captures.means(lines.ravel()), strict=True):
            frame = correct(mean, int(lines[mask, step]))
            for row in np.flatnonzero(shown == mask):
                seen[step, row] = frame[windows[row]]
        parts.append(student.classify(detected(instrument, torch.from_numpy(seen).float())[None]))
    return torch.cat(parts)


def detected(instrument: Instrument, seen: Tensor) -> Tensor:
    """Detected values (C, y, x) in the student's units of numbers (steps, K, y, x) in DN, at the read pixels."""
    if instrument.kind == "split":
        numbers = torch.stack(readout.halves(seen[0]))
    elif instrument.kind == "reference_pair":
        numbers = readout.from_reference_pair(seen[0], seen[1], 1.0)[None]
    elif instrument.kind == "four_step":
        numbers = torch.view_as_real(readout.from_four_step(seen.unbind(), 1.0)).movedim(-1, 0)
    else:
        numbers = seen
    numbers = torch.cat([numbers] * (instrument.gain.shape[1] // numbers.shape[1]), 1)
    return (numbers * instrument.gain[:, :, None, None]).sum(0) + instrument.offset[:, None, None]


def _lines(captures: Captures, instrument: Instrument, masks: int) -> NDArray[np.int64]:
    """Line of the playlist for each mask, image and step of the reference."""
    phases = np.array(steps(instrument.kind))
    if captures.readout != instrument.kind:
        raise FourOpticsError(
            f"{captures.path}: taken with readout {captures.readout!r}, the bench has {instrument.kind!r}: change one"
        )
    table = np.full((masks, len(captures.labels), len(phases)), -1)
    for number, line in enumerate(captures.lines):
        if line["kind"] == "signal" and line["mask"] < masks:
            step = 0 if len(phases) == 1 else int(np.abs(phases - line["reference"]).argmin())
            table[line["mask"], line["image"], step] = number
    if missing := np.argwhere(table < 0).tolist():
        mask, image, step = missing[0]
        raise FourOpticsError(
            f"{captures.path}: no frame of mask {mask}, image {image}, step {step} ({len(missing)} in all): the "
            "playlist must hold every mask with every image"
        )
    return table


def _correction(captures: Captures, instrument: Instrument, flats: bool) -> Callable[[Frame, int], Frame]:
    """Function of a mean frame and its line: numbers as if taken with the exposure and black level of calibration."""
    signal = captures.lines["kind"] == "signal"
    frames = np.bincount(captures.playlist_index, minlength=len(signal))
    seconds = np.bincount(captures.playlist_index, captures.exposure, len(signal)) / frames
    black = _black(instrument, instrument.exposure)
    dark: Frame | float = _black(instrument, float(seconds[signal].mean()))
    if (lines := np.flatnonzero(captures.lines["kind"] == "dark")).size:
        if not np.allclose(seconds[signal], seconds[lines[0]], rtol=1e-3, atol=0):
            raise FourOpticsError(
                f"{captures.path}: dark frames of {seconds[lines[0]]:.4g} s, others of {seconds[signal].max():.4g} s: "
                "take dark frames with the exposure of the others"
            )
        dark = np.mean(list(captures.means(lines)), 0)
    even: Frame | float = 1.0
    if flats and (lines := np.flatnonzero(captures.lines["kind"] == "flat")).size:
        light = np.mean(list(captures.means(lines)), 0) - dark
        if light.min() <= 0:
            raise FourOpticsError(
                f"{captures.path}: a pixel of the flat frames is dark; take them again, or --no-flats"
            )
        even = light / light.mean()
    return lambda mean, line: (mean - dark) / even * (instrument.exposure / seconds[line]) + black


def _black(instrument: Instrument, seconds: float) -> float:
    """Mean dark output in DN of an exposure."""
    pixel = torch.zeros(1, 1, dtype=torch.float64)
    even = instrument.bench.camera.config.model_copy(update={"prnu": 0.0, "dsnu": 0.0})
    return float(Camera(even).expected(pixel, seconds))


def _window(instrument: Instrument, masks: MaskSet, row: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Index of the pixels of the camera that are read for a row of the kernel table, upright."""
    tile, shape = masks.kernels.tile[row], instrument.bench.camera_grid.shape
    index = instrument.pixels((int(tile[0]), int(tile[1])))
    if any(min(axis) < 0 or max(axis) >= n for axis, n in zip(index, shape, strict=True)):
        raise FourOpticsError(f"the window of kernel {row} lies outside the camera of {shape} pixels; read more of it")
    rows, columns = np.ix_(*index)
    return rows, columns


def known(captures: Captures, test: Split) -> tuple[Split | None, Tensor]:
    """Images of a run sheet, from a test set, None if it does not say which they are; and their labels (I).

    Raises
    ------
    FourOpticsError
        If an image is beyond the test set, its label is another one, or neither label nor image is known.
    """
    at, labels = captures.indices, torch.from_numpy(captures.labels)
    if (at < 0).any():
        if bool((labels < 0).any()):
            raise FourOpticsError(
                f"{captures.path}: neither place in the test set nor label of image {int((labels < 0).nonzero()[0])} "
                "is known: give the run sheet images with `indices`, or labels"
            )
        return None, labels
    if at.max() >= len(test):
        raise FourOpticsError(
            f"{captures.path}: image {at.max()} of {len(test)} test images; give the run of the sheet"
        )
    part = Split(test.images[at], test.labels[at])
    if bool(((labels >= 0) & (labels != part.labels)).any()):
        raise FourOpticsError(f"{captures.path}: labels are not those of the test set; give the run of the sheet")
    return part, part.labels


def save_images(path: Path, test: Split, count: int) -> None:
    """Write the first images of a test set, as 8 bit levels, with labels and places: what `masks run-sheet` takes."""
    part, file = test.first(count), io.BytesIO()
    levels = (part.images.numpy() * 255).round().astype(np.uint8)
    np.savez(file, images=levels, labels=part.labels.numpy(), indices=np.arange(len(part)))
    write_whole(path, file.getvalue())


def main(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    output: Annotated[Path, typer.Option("-o", help="The file to write, .npz.")],
    images: Annotated[int, typer.Option(min=1, help="The first so many of the test set.")] = 100,
) -> None:
    """Write test images of a run for `fouroptics masks run-sheet`."""
    try:
        test = load_data(run).test
        save_images(output, test, images)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"wrote {output}: {min(images, len(test))} images")


if __name__ == "__main__":
    typer.run(main)
