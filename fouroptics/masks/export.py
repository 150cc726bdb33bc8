"""Frames for the SLM computer, panel-sized and with exactly the grey levels, one at a time. Imports no torch."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.panel import OrientationConfig, SLMConfig, shown_phase
from fouroptics.devices.patterns import PLANES
from fouroptics.errors import BundleError
from fouroptics.masks import formats, schema
from fouroptics.masks.maskset import MaskSet

Progress = Callable[[int, int], object]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: to ``.partial`` beside it, then renamed. Its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_all({path: [content]})


def oriented(gray: NDArray[Any], orientation: OrientationConfig) -> NDArray[Any]:
    """Frame (height, width) as the device wants it: flipped, then turned; the only place where that is done."""
    gray = gray[:, ::-1] if orientation.fliplr else gray
    gray = gray[::-1] if orientation.flipud else gray
    return np.rot90(gray, orientation.rot90)


def upright(frame: NDArray[Any], orientation: OrientationConfig) -> NDArray[Any]:
    """Frame as the masks have it, from one as the device wants it; undoes `oriented`."""
    frame = np.rot90(frame, -orientation.rot90)
    frame = frame[::-1] if orientation.flipud else frame
    return frame[:, ::-1] if orientation.fliplr else frame


@dataclass(frozen=True)
class Oriented:
    """Frames of a panel as the device wants them, read by their index one at a time; `tick` is called for each.

    The phase is the one that was asked for or, where none is kept, the one that the levels stand for.
    """

    slm: SLMConfig
    frames: Any
    phases: Any = None
    tick: Callable[[], None] = lambda: None

    def gray(self, i: int) -> NDArray[Any]:
        """Levels of frame i."""
        self.tick()
        return oriented(self.frames[i], self.slm.orientation)

    def phase(self, i: int) -> NDArray[np.float32]:
        """Phase of frame i in rad."""
        phase = shown_phase(self.slm, self.frames[i]) if self.phases is None else self.phases[i]
        return oriented(phase, self.slm.orientation)


class Form(NamedTuple):
    """How masks become files.

    Attributes
    ----------
    name, suffix : str
        Of the form and of its files.
    encode : callable
        Content of one file, in pieces, from the frames and the indices of those in it.
    bits : int
        Panels of more bits are refused.
    together : int
        Masks in one file, at most.
    """

    name: str
    suffix: str
    encode: Callable[[Oriented, range], Iterator[bytes]]
    bits: int = 16
    together: int = 1


def _each(encode: Callable[[NDArray[Any]], bytes]) -> Callable[[Oriented, range], Iterator[bytes]]:
    return lambda frames, rows: (encode(frames.gray(i)) for i in rows)


def _video(frames: Oriented, rows: range) -> Iterator[bytes]:
    yield formats.dlpc900([frames.gray(i) for i in rows])


def _phases(frames: Oriented, rows: range) -> Iterator[bytes]:
    return (formats.slmsuite(frames.gray(i), frames.phase(i)) for i in rows)


def _array(frames: Oriented, rows: range) -> Iterator[bytes]:
    for i in rows:
        gray = frames.gray(i)
        if i == rows[0]:
            yield formats.npy_header(gray.dtype, (len(rows), *gray.shape))
        yield gray.tobytes()


PNG = Form("png", ".png", _each(formats.png))
BMP = Form("bmp", ".bmp", _each(formats.bmp), bits=8)
SANTEC_CSV = Form("santec-csv", ".csv", _each(formats.santec_csv), bits=10)
PACKED = Form("packed", ".bin", _each(formats.packed), bits=1)
DLPC900 = Form("dlpc900", ".png", _video, bits=1, together=PLANES)
NPY = Form("npy", ".npy", _array, together=sys.maxsize)
SLMSUITE = Form("slmsuite", ".h5", _phases)


def frames(
    masks: MaskSet,
    folder: str | Path,
    form: Form = PNG,
    *,
    fiducial: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write ``mask_000.png``, ``mask_001.png``, ...: the grey levels of the masks, as the device wants them.

    They are turned as the panel's `orientation` says, in the order of its fields. If one file cannot be written, the
    folder stays as it was.

    Parameters
    ----------
    masks : MaskSet
        M masks of H x W pixels; of a lazy one, a few are in memory at a time.
    folder : str or Path
        Made if it is not there.
    form : Form
        `PNG`, `BMP`, `SANTEC_CSV`, `PACKED`, `DLPC900` (24 masks a file), `NPY` (all in one) or `SLMSUITE`.
    fiducial : bool
        Write the letter F as well, as ``fiducial_000``.
    overwrite : bool
        Whether mask files that are already there may be replaced.
    progress : callable, optional
        Called with (masks done, masks).

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    BundleError
        If the form cannot hold the levels of this panel, or the folder holds mask files and `overwrite` is not set;
        nothing is written then.
    OSError
        If the folder cannot be written.
    """
    _refuse_panel(masks.slm, form)
    folder, done = Path(folder), 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(masks))

    files = _files(folder, form, "mask", Oriented(masks.slm, masks.gray, masks.phase, tick))
    if fiducial:
        files |= _files(folder, form, "fiducial", Oriented(masks.slm, [schema.fiducial(masks.slm)]))
    present = sorted({*exported(folder, form), *(path for path in files if path.exists())})
    if present and not overwrite:
        raise BundleError(
            f"{folder}: {present[0].name} is already there; choose another folder, or overwrite it (--force)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write_all(files)
    return list(files)


def exported(folder: Path, form: Form) -> list[Path]:
    """Masks that a folder holds in this form."""
    return sorted(folder.glob(f"mask_[0-9]*{form.suffix}"))


def _files(folder: Path, form: Form, stem: str, frames: Oriented) -> dict[Path, Iterator[bytes]]:
    """Files and what will be in them; nothing is read or encoded before it is asked for."""
    count = len(frames.frames)
    digits, step = max(3, len(str(count - 1))), min(form.together, count)
    files = {}
    for first in range(0, count, step):
        rows = range(first, min(first + step, count))
        span = f"_{rows[0]:0{digits}}" + (f"-{rows[-1]:0{digits}}" if form.together > 1 else "")
        name = f"{stem}{'' if form.together > PLANES else span}{form.suffix}"
        files[folder / name] = form.encode(frames, rows)
    return files


def _refuse_panel(slm: SLMConfig, form: Form) -> None:
    if slm.bits > form.bits:
        few = "mirrors, 1 bit" if form.bits == 1 else f"up to {form.bits} bit"
        raise BundleError(f"{form.name} is for panels of {few}, {slm.name!r} has {slm.bits}; export png or npy")
    if form is SLMSUITE and slm.modulation in ("amplitude", "binary"):
        raise BundleError(
            f"slmsuite files hold a phase, the levels of modulation = {slm.modulation!r} stand for none; export png, "
            "npy or packed"
        )


def _write_all(files: Mapping[Path, Iterable[bytes]]) -> None:
    """Write all files under ``.partial`` names, then rename them: after an error the old ones are still there."""
    partials = {path: path.with_name(f"{path.name}.partial") for path in files}
    try:
        for path, pieces in files.items():
            with partials[path].open("wb") as file:
                file.writelines(pieces)
        for path, partial in partials.items():
            os.replace(partial, path)
    except BaseException:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        raise
