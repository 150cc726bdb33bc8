"""What a camera took of a run sheet, as an HDF5 file that a lab script or the simulator writes. Imports no torch.

Hashes and units may be left out by a foreign writer; where they are there, they must be right.

Codes of `verify`: C-FILE (missing, cut short, not HDF5), C-FORMAT, C-VERSION, C-LINK, C-FILTER, C-SIZE, C-READ;
C-MISSING, C-DTYPE, C-SHAPE, C-UNITS; C-HASH (one dataset), C-MANIFEST (an attribute), C-UNSEALED (a warning: no
hashes); C-BUNDLE (taken with other masks), C-CAMERA (another camera), C-LEVELS (beyond the bits), C-PLAYLIST, C-FRAMES
(of a line some are missing), C-TIME.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.errors import BundleError
from fouroptics.masks import hdf5, schema
from fouroptics.masks.frames import Finding, Frames
from fouroptics.masks.maskset import bound
from fouroptics.masks.runsheet import COLUMNS, LINE, RunSheet, faults
from fouroptics.masks.schema import Tree

FORMAT = "fouroptics-captures"
VERSION = "1.0.0"
FRAMES = "/entry/frames"

#: Datasets: kinds of number ("S": fixed-length text), shape and unit. N frames H x W, L lines, I images.
DATASETS: dict[str, tuple[str, str, str]] = {
    FRAMES: ("u", "N H W", "DN"),
    "/entry/playlist_index": ("iu", "N", "1"),
    "/entry/exposure": ("f", "N", "s"),
    "/entry/timestamp": ("f", "N", "s"),
    "/entry/playlist/kind": ("S", "L", ""),
    "/entry/playlist/mask": ("iu", "L", "1"),
    "/entry/playlist/image": ("iu", "L", "1"),
    "/entry/playlist/reference": ("f", "L", "rad"),
    "/entry/playlist/exposure": ("f", "L", "s"),
    "/entry/playlist/repeats": ("iu", "L", "1"),
    "/entry/images/labels": ("iu", "I", "1"),
    "/entry/images/indices": ("iu", "I", "1"),
    "/entry/camera/name": ("S", "", ""),
    "/entry/camera/bits": ("iu", "", "1"),
    "/entry/camera/pitch": ("iuf", "", "m"),
    "/entry/camera/black_level": ("iuf", "", "DN"),
    "/entry/camera/roi": ("iu", "4", "px"),
    "/entry/readout": ("S", "", ""),
}
_CAMERA = [path for path in DATASETS if path.startswith("/entry/camera/")]


@dataclass(frozen=True, eq=False)
class Captures:
    """A file of captures; its frames are read when they are asked for.

    Attributes
    ----------
    path : Path
        The file.
    frames : Frames
        (N, H, W) uint16 in DN.
    lines : numpy.ndarray
        (L) playlist, of dtype `runsheet.LINE`.
    playlist_index : numpy.ndarray
        (N) line of each frame.
    exposure, timestamp : numpy.ndarray
        (N) seconds, and seconds since the start.
    labels, indices : numpy.ndarray
        (I) class of each image, and its place in the test set; -1 where not known.
    camera : dict
        name, bits, pitch (m), black_level (DN), roi (top, left, height, width).
    readout : str
        As in the bench file.
    bundle_sha256 : str
        Hash of the mask file.
    """

    path: Path
    frames: Frames
    lines: NDArray[np.void]
    playlist_index: NDArray[np.int64]
    exposure: NDArray[np.float64]
    timestamp: NDArray[np.float64]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    camera: Mapping[str, Any]
    readout: str
    bundle_sha256: str

    def means(self, lines: Iterable[int]) -> Iterator[NDArray[np.float64]]:
        """Mean of the frames (H, W) of each of these lines of the playlist, one line at a time."""
        order = np.argsort(self.playlist_index, kind="stable")
        ends = np.searchsorted(self.playlist_index[order], np.arange(len(self.lines) + 1))
        for line in lines:
            numbers = order[ends[line] : ends[line + 1]].tolist()
            yield sum((self.frames[i] for i in numbers), np.zeros(())) / len(numbers)


# ---- writing ---------------------------------------------------------------------------------------------------------


def save(
    path: str | Path,
    sheet: RunSheet,
    frames: Iterable[tuple[NDArray[Any], float]],
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Write the frames of a run sheet one by one; the file is whole or not there, and the same frames make one file.

    Parameters
    ----------
    path : str or Path
        File to write; ``<path>.partial`` is used on the way.
    sheet : RunSheet
        What is shown.
    frames : iterable
        In the order of `RunSheet.order`, of each the frame (H, W) in whole DN and the seconds since the start: a
        generator that shows a line and takes a frame.
    progress : callable, optional
        Called with the number of frames written, and of all.

    Raises
    ------
    BundleError
        If a frame has the wrong shape or levels beyond the camera's bits, or there are too few or too many.
    OSError
        If the file cannot be written.
    """
    path, (tree, source) = Path(path), _tree(sheet, iter(frames))
    partial = path.with_name(f"{path.name}.partial")
    try:
        hdf5.write(partial, tree, {FRAMES}, progress)
        if more := sum(1 for _ in islice(source, 1)):
            raise BundleError(f"{path}: {more} frame too many; the run sheet takes {len(sheet.order)}")
        hdf5.to_disk(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _tree(sheet: RunSheet, source: Iterator[tuple[NDArray[Any], float]]) -> tuple[Tree, Iterator[Any]]:
    """What the file holds; its frames are taken while it is written."""
    camera, order = sheet.about["camera"], sheet.order
    shape, times = (camera["shape"][0], camera["shape"][1]), np.zeros(len(order))

    def take(number: int) -> NDArray[np.uint16]:
        for frame, times[number] in islice(source, 1):
            return _checked(np.asarray(frame), shape, 2 ** camera["bits"] - 1, number)
        raise BundleError(f"frame {number} is missing; the run sheet takes {len(order)}: take them all")

    columns = {
        **{f"playlist/{name}": sheet.lines[name] for name in COLUMNS},
        **{f"camera/{name}": camera[name] for name in ("name", "bits", "pitch", "black_level", "roi")},
        **{f"images/{name}": getattr(sheet.pictures, name) for name in ("labels", "indices")},
        "playlist_index": order.astype("<i4"),
        "exposure": sheet.lines["exposure"][order],
        "timestamp": times,  # written behind the frames: full by then
        "readout": sheet.about["readout"],
    }
    arrays: dict[str, Any] = {
        f"/entry/{name}": _stored(np.array(column, copy=None)) for name, column in columns.items()
    }
    arrays[FRAMES] = Frames((len(order), *shape), np.dtype("<u2"), take)
    root = {"file_format": FORMAT, "schema_version": VERSION, "bundle_sha256": sheet.about["bundle_sha256"]}
    units = {path: {"units": unit} if unit else {} for path, (_, _, unit) in DATASETS.items()}
    return Tree(arrays, {"/": root, **units}), source


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    return np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array


def _checked(frame: NDArray[Any], shape: tuple[int, int], highest: int, number: int) -> NDArray[np.uint16]:
    if frame.shape != shape or frame.dtype.kind not in "iu":
        raise BundleError(f"frame {number}: {frame.shape} of {frame.dtype}; the camera gives {shape} in whole DN")
    if frame.min() < 0 or frame.max() > highest:
        raise BundleError(f"frame {number}: levels {frame.min()} to {frame.max()}; the camera's are 0 to {highest}")
    return frame.astype("<u2")


# ---- reading ---------------------------------------------------------------------------------------------------------


def verify(path: str | Path, bundle_sha256: str | None = None, shape: tuple[int, int] | None = None) -> list[Finding]:
    """Check a file of captures, each frame included; never raises on a bad one.

    Parameters
    ----------
    path : str or Path
        The file.
    bundle_sha256 : str, optional
        Hash of the mask file that it must be taken with, see `runsheet.fingerprint`.
    shape : tuple of int, optional
        (H, W) of the camera that it must be taken by.

    Returns
    -------
    list of Finding
        Empty for a good file. The codes are listed at the top of this module.
    """
    return _inspect(Path(path), bundle_sha256, shape)[1]


def read(path: str | Path, bundle_sha256: str | None = None, shape: tuple[int, int] | None = None) -> Captures:
    """Open a file of captures after the same checks as `verify`, with the same parameters.

    Raises
    ------
    BundleError
        If `verify` finds an error.
    """
    tree, findings = _inspect(Path(path), bundle_sha256, shape)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        more = f" ({len(errors) - 1} more: run verify)" if len(errors) > 1 else ""
        raise BundleError(f"{path}: {errors[0]}{more}")
    values = {name.removeprefix("/entry/"): array for name, array in tree.arrays.items()}
    camera = {name.partition("/")[2]: _value(values[name]) for name in values if f"/entry/{name}" in _CAMERA}
    return Captures(
        path=Path(path),
        frames=values["frames"],
        lines=_lines(tree),
        playlist_index=values["playlist_index"].astype(np.int64),
        exposure=values["exposure"].astype(np.float64),
        timestamp=values["timestamp"].astype(np.float64),
        labels=values["images/labels"].astype(np.int64),
        indices=values["images/indices"].astype(np.int64),
        camera=camera,
        readout=_value(values["readout"]),
        bundle_sha256=tree.attributes["/"]["bundle_sha256"],
    )


def _value(array: NDArray[Any]) -> Any:
    return (np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array).tolist()


def _lines(tree: Tree) -> NDArray[np.void]:
    lines = np.zeros(len(tree.arrays["/entry/playlist/kind"]), LINE)
    for name in COLUMNS:
        lines[name] = _value(tree.arrays[f"/entry/playlist/{name}"])
    return lines


def _inspect(path: Path, bundle_sha256: str | None, shape: tuple[int, int] | None) -> tuple[Tree, list[Finding]]:
    tree, findings = hdf5.read(path, {FRAMES}, _version_findings)
    findings = [replace(finding, code=f"C{finding.code[1:]}") for finding in findings]
    if not any(finding.code in ("C-FILE", "C-FORMAT", "C-VERSION") for finding in findings):
        findings += _layout_findings(tree)
    if not findings:
        findings += [*_content_findings(tree), *_frame_findings(tree)]
        taken, seen = tree.attributes["/"].get("bundle_sha256"), tree.arrays[FRAMES].shape[1:]
        if taken is None or bundle_sha256 not in (None, taken):
            message = f"{taken}, not {bundle_sha256 or 'the hash of a mask file'}; the frames are of other masks"
            findings.append(Finding("C-BUNDLE", "/@bundle_sha256", f"{message}: give theirs"))
        if shape not in (None, seen):
            message = f"frames {seen}, the camera of the bench has {shape}; set its roi"
            findings.append(Finding("C-CAMERA", FRAMES, message))
    return tree, findings


def _version_findings(root: dict[str, Any]) -> list[Finding]:
    name, version = root.get("file_format"), str(root.get("schema_version"))
    if name != FORMAT:
        return [Finding("C-FORMAT", "/@file_format", f"{name!r}, not {FORMAT!r}; give a file of captures")]
    if not re.fullmatch(rf"{VERSION.split('.')[0]}\.\d+\.\d+", version):
        message = f"{version!r}; this version reads {VERSION}: update fouroptics"
        return [Finding("C-VERSION", "/@schema_version", message)]
    return []


def _layout_findings(tree: Tree) -> Iterator[Finding]:
    """Yield what is missing, or of the wrong kind, shape or unit."""
    sizes: dict[str, int] = {}
    for path, (kinds, shape, unit) in DATASETS.items():
        if path not in tree.arrays:
            yield Finding("C-MISSING", path, "not there, or not readable; the guide has a script that writes all")
            continue
        array, units = tree.arrays[path], tree.attributes[path].get("units", unit)
        if array.dtype.kind not in kinds or (path == FRAMES and array.dtype != np.uint16):
            wanted = "uint16" if path == FRAMES else f"one of the kinds {', '.join(kinds)}"
            yield Finding("C-DTYPE", path, f"{array.dtype}, not {wanted}; convert it")
        if array.shape != (expected := bound(shape, array.shape, sizes)) or 0 in array.shape:
            yield Finding("C-SHAPE", path, f"shape {array.shape}, not {expected} = ({shape}): N frames, L lines")
        if units != unit:
            yield Finding("C-UNITS", path, f"units {units!r}, not {unit!r}; convert them")


def _content_findings(tree: Tree) -> Iterator[Finding]:
    """Yield what does not belong together, but for the frames."""
    lines, index = _lines(tree), tree.arrays["/entry/playlist_index"]
    images, masks = len(tree.arrays["/entry/images/labels"]), int(lines["mask"].max()) + 1
    for fault in islice(faults(lines, masks, images), 1):
        yield Finding("C-PLAYLIST", "/entry/playlist", f"{fault}; store the playlist of the run sheet")
    if index.min() < 0 or index.max() >= len(lines):
        message = f"{index.min()} to {index.max()}; the playlist has {len(lines)} lines, from 0 on"
        yield Finding("C-PLAYLIST", "/entry/playlist_index", message)
    else:
        taken = np.bincount(index, minlength=len(lines))
        for row in np.flatnonzero(taken != lines["repeats"])[:1]:
            message = f"line {row} has {taken[row]} of {lines['repeats'][row]} frames; take those that are missing"
            yield Finding("C-FRAMES", FRAMES, message)
    for name in ("exposure", "timestamp"):
        values = tree.arrays[f"/entry/{name}"]
        if not (np.isfinite(values) & (values >= 0)).all() or (name == "exposure" and not values.all()):
            yield Finding("C-TIME", f"/entry/{name}", f"{values.min()} to {values.max()} s; give seconds, from 0 on")
    for row in np.flatnonzero(np.diff(tree.arrays["/entry/timestamp"]) < 0)[:1] + 1:
        message = f"frame {row} is earlier than the one before it: was the run broken off? take what is missing"
        yield Finding("C-TIME", "/entry/timestamp", message)
    for path, array in tree.arrays.items():
        if path != FRAMES and tree.attributes[path].get("sha256") not in (None, schema.digest(array)):
            yield Finding("C-HASH", path, "its bytes are not those that were saved; copy the file again")
    root = tree.attributes["/"]
    if "manifest_sha256" not in root:
        yield Finding("C-UNSEALED", "/", "no manifest_sha256: damage is not found; the writer sets none", "warning")
    elif root["manifest_sha256"] != schema.manifest(tree):
        yield Finding("C-MANIFEST", "/@manifest_sha256", "attributes were changed or swapped; copy the file again")


def _frame_findings(tree: Tree) -> Iterator[Finding]:
    """Read every frame, one at a time."""
    frames, bits, total = tree.arrays[FRAMES], int(tree.arrays["/entry/camera/bits"]), sha256()
    if not 1 <= bits <= 16:
        yield Finding("C-CAMERA", "/entry/camera/bits", f"{bits}; a frame has 1 to 16")
        return
    for number in range(len(frames)):
        try:
            frame = frames[number]
        except OSError as error:
            yield Finding("C-READ", FRAMES, f"frame {number}: {error}; the data are damaged: copy the file again")
            return
        total.update(schema.plain_bytes(frame))
        if frame.max() >= 2**bits:
            message = f"frame {number} holds level {frame.max()}; {bits} bit end at {2**bits - 1}: mend camera/bits"
            yield Finding("C-LEVELS", FRAMES, message)
            return
    if tree.attributes[FRAMES].get("sha256") not in (None, total.hexdigest()):
        yield Finding("C-HASH", FRAMES, "its bytes are not those that were saved; copy the file again")
