"""Run sheet: a folder from which a lab script shows masks and images, and takes the frames. Imports no torch.

::

    sheet.json      what belongs together: the mask file (by its hash), panel, camera, readout, times, labels
    playlist.csv    one line an exposure
    images/         image_0000.png, ...: as large as the display, 8 bit, grey level 255 g for a grey value g
    masks/          mask_000.png, ...: what the panel is sent, as `fouroptics masks export` writes it

"""

import csv
import io
import itertools
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fouroptics.bench import budget
from fouroptics.bench.schedule import check_counts, durations
from fouroptics.bench.settings import FRAMES, FourFConfig
from fouroptics.errors import BundleError, GeometryError
from fouroptics.masks import export, formats
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.pictures import Pictures, pictures, stacked

FORMAT = "fouroptics-runsheet"
VERSION = "1.0.0"

#: A line of the playlist. kind: signal, dark (no light), flat (even light on the sensor, set up by hand); mask, image:
#: -1 for none; reference: phase of the reference wave in rad, nan without one; exposure in s; repeats: frames taken.
LINE = np.dtype(
    [("kind", "U6"), ("mask", "<i4"), ("image", "<i4"), ("reference", "<f8"), ("exposure", "<f8"), ("repeats", "<i4")]
)
COLUMNS = tuple(LINE.names or ())
KINDS = ("signal", "dark", "flat")
CAMERA = ("name", "bits", "pitch", "black_level", "roi", "shape")


@dataclass(frozen=True, eq=False)
class RunSheet:
    """What is shown and taken.

    Attributes
    ----------
    lines : numpy.ndarray
        (L) playlist, of dtype `LINE`.
    pictures : Pictures
        What the display shows.
    about : dict
        The rest, as in sheet.json: ``bundle_sha256`` and ``masks``, their number; ``readout``, ``panel``, ``camera``
        (shape and roi in pixels, pitch in m), ``settling`` (s to wait after a change of ``panel`` or ``display``).
    """

    lines: NDArray[np.void]
    pictures: Pictures
    about: Mapping[str, Any]

    @property
    def order(self) -> NDArray[np.intp]:
        """Line of each of the N frames, in the order in which they are taken."""
        return np.repeat(np.arange(len(self.lines)), self.lines["repeats"])


def sheet(
    config: FourFConfig,
    masks: MaskSet,
    bundle_sha256: str,
    pictures: Pictures,
    *,
    exposure: float | None = None,
    repeats: int = 1,
    dark: int = 0,
    flat: int = 0,
    order: Literal["kernel-major", "image-major"] = "kernel-major",
) -> RunSheet:
    """Write down a run of all images through all masks; dark and flat frames come first.

    A reference pair takes two lines for each mask and image and four steps take four; ``split`` shows its two sets of
    masks one after the other.

    Parameters
    ----------
    config : FourFConfig
        The bench.
    masks : MaskSet
        Its masks.
    bundle_sha256 : str
        Hash of their file, see `fingerprint`.
    pictures : Pictures
        Of the shape of the display.
    exposure : float, optional
        In seconds; left out, that of the camera, and where that is automatic an estimate, `budget.exposure`, for white
        images and the mean efficiency of the kernels.
    repeats, dark, flat : int
        Frames of each signal line, and dark and flat frames in all.
    order : {"kernel-major", "image-major"}
        What stays while the other one changes: the mask or the image.

    Raises
    ------
    GeometryError
        If masks or images do not fit the bench, a count is too small or the exposure not positive.
    """
    _check(config, masks, pictures)
    check_counts(repeats=repeats, dark=dark + 1, flat=flat + 1)
    seconds = budget.exposure(config, float(masks.kernels.efficiency.mean()) or 1.0) if exposure is None else exposure
    if not 0 < seconds < math.inf:
        raise GeometryError(f"exposure = {seconds} s: must be positive and finite")
    if order not in ("kernel-major", "image-major"):
        raise GeometryError(f"order = {order!r}: use 'kernel-major' or 'image-major'")
    count, kind = len(pictures.levels), config.readout.kind
    pairs = itertools.product(range(len(masks)), range(count))
    if order == "image-major":
        pairs = ((mask, image) for image, mask in itertools.product(range(count), range(len(masks))))
    rows: list[tuple[Any, ...]] = [
        (name, -1, -1, math.nan, seconds, frames) for name, frames in (("dark", dark), ("flat", flat)) if frames
    ]
    for (mask, image), step in itertools.product(pairs, steps(kind)):
        rows.append(("signal", mask, image, step, seconds, repeats))
    return RunSheet(np.array(rows, LINE), pictures, _about(config, masks, bundle_sha256))


def steps(readout: str) -> list[float]:
    """Phases of the reference wave in rad, frame by frame; nan for a readout without one."""
    if readout not in ("reference_pair", "four_step"):
        return [math.nan]
    return [2 * math.pi * k / FRAMES[readout] for k in range(FRAMES[readout])]


def _check(config: FourFConfig, masks: MaskSet, pictures: Pictures) -> None:
    """Refuse masks or images that are not for this bench."""
    for name in ("shape", "bits"):
        theirs, mine = getattr(masks.slm, name), getattr(config.panel, name)
        if theirs != mine:
            raise GeometryError(f"masks: for a panel with {name} = {theirs}, the bench has {mine}; take its own masks")
    if pictures.levels.shape[1:] != config.input.shape or not len(pictures.levels):
        have, need = pictures.levels.shape, config.input.shape
        raise GeometryError(f"images {have}: give one at least, (I, {need[0]}, {need[1]}) as the display of the bench")
    halves = bool((masks.kernels.sign != 0).any())
    if halves != (config.readout.kind == "split"):
        held = "halves of kernels" if halves else "whole kernels"
        raise GeometryError(f"readout.kind = {config.readout.kind!r}: the masks hold {held}; compile them for it")
    if config.light.spectrum:
        raise GeometryError("light.spectrum: a run sheet is for light of one wavelength; leave it out")


def _about(config: FourFConfig, masks: MaskSet, bundle_sha256: str) -> dict[str, Any]:
    camera, panel, times = config.camera, config.panel, durations(config)
    return {
        "bundle_sha256": bundle_sha256,
        "masks": len(masks),
        "readout": config.readout.kind,
        "panel": {"name": panel.name, "shape": list(panel.shape), "bits": panel.bits},
        "camera": {
            "name": camera.name,
            "bits": camera.bits,
            "pitch": camera.pitch,
            "black_level": float(camera.black_level),
            "binning": camera.binning,
            "roi": list(camera.roi or (0, 0, *config.sensor_shape)),
            "shape": list(config.camera_grid.shape),
        },
        "settling": {name: times[name] for name in ("panel", "display")},
    }


def fingerprint(path: str | Path) -> str:
    """``manifest_sha256`` of a mask file: the hash that names the masks; ask `bundle.verify` whether it is right."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = file.attrs["manifest_sha256"]
    except (OSError, KeyError) as error:
        raise BundleError(f"{path}: no manifest_sha256 ({error}); give a file of `masks make`") from None
    return found.decode() if isinstance(found, bytes) else str(found)


# ---- the folder ------------------------------------------------------------------------------------------------------


def write(sheet: RunSheet, folder: str | Path, masks: MaskSet | None = None) -> None:
    """Write the folder, whole or not at all; `masks` puts the frames of the panel into it.

    Raises
    ------
    BundleError
        If it is already there.
    OSError
        If it cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise BundleError(f"{folder}: is already there; choose another folder, or remove it")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / "images").mkdir(parents=True)
        for i, levels in enumerate(sheet.pictures.levels):
            (partial / "images" / _name(i)).write_bytes(formats.png(levels))
        if masks is not None:
            export.frames(masks, partial / "masks")
        (partial / "playlist.csv").write_text(_playlist(sheet.lines), encoding="utf-8")
        images = {"labels": sheet.pictures.labels.tolist(), "indices": sheet.pictures.indices.tolist()}
        about = {"file_format": FORMAT, "schema_version": VERSION, **sheet.about, "images": images}
        (partial / "sheet.json").write_text(_json(about), encoding="utf-8")
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read(folder: str | Path) -> RunSheet:
    """Read a run sheet; a lab may have taken lines out of its playlist.

    Raises
    ------
    BundleError
        If a file is missing or wrong, or a line names a mask or an image that is not there.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "sheet.json").read_text(encoding="utf-8"))
        kind, version = about.pop("file_format"), about.pop("schema_version")
        images, masks = about.pop("images"), int(about["masks"])
        _ = [about[key] for key in ("bundle_sha256", "readout", "settling")], [about["camera"][key] for key in CAMERA]
        text = (folder / "playlist.csv").read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(f"{error.filename}: {error.strerror}; `fouroptics masks run-sheet` writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{folder}/sheet.json: not that of a run sheet ({error!r}); write it again") from None
    if kind != FORMAT or str(version).split(".")[0] != VERSION.split(".")[0]:
        raise BundleError(f"{folder}: {kind!r} {version}; this version reads {FORMAT!r} {VERSION}: update fouroptics")
    files = [folder / "images" / _name(i) for i in range(len(images["labels"]))]
    try:
        lines = _parsed(text)
        for fault in faults(lines, masks, len(files)):
            raise ValueError(fault)
    except ValueError as error:
        raise BundleError(f"{folder / 'playlist.csv'}: {error}; write the run sheet again") from None
    return RunSheet(lines, pictures(stacked(files), **images), about)


def faults(lines: NDArray[np.void], masks: int, images: int) -> Iterator[str]:
    """Say what is wrong with a playlist for so many masks and images."""
    if not len(lines):
        yield "no lines"
    signal = lines["kind"] == "signal"
    for name, wrong in (
        ("kind", ~np.isin(lines["kind"], KINDS)),
        ("mask", (lines["mask"] < 0) & signal | (lines["mask"] < -1) | (lines["mask"] >= masks)),
        ("image", (lines["image"] < 0) & signal | (lines["image"] < -1) | (lines["image"] >= images)),
        ("exposure", ~(np.isfinite(lines["exposure"]) & (lines["exposure"] > 0))),
        ("repeats", lines["repeats"] < 1),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            yield f"line {row}: {name} = {lines[name][row]}, for {masks} masks and {images} images"


def _name(image: int) -> str:
    return f"image_{image:04}.png"


def _json(values: Mapping[str, Any]) -> str:
    """One line a key, whatever the length of its lists."""
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()) + "\n}\n"


def _playlist(lines: NDArray[np.void]) -> str:
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["index", *COLUMNS])
    rows.writerows([i, *line.item()] for i, line in enumerate(lines))
    return file.getvalue()


def _parsed(text: str) -> NDArray[np.void]:
    rows = csv.DictReader(io.StringIO(text))
    if not set(COLUMNS) <= set(rows.fieldnames or ()):
        raise ValueError(f"columns {rows.fieldnames}; it has index, {', '.join(COLUMNS)}")
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(np.array([tuple(row[name] or "nan" for name in COLUMNS)], LINE))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return np.concatenate(found) if found else np.zeros(0, LINE)
