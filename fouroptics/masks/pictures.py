"""Images for the display of a run, as 8 bit levels, from arrays or files. Imports no torch."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fouroptics.errors import BundleError, GeometryError


class Pictures(NamedTuple):
    """Images for the display.

    Attributes
    ----------
    levels : numpy.ndarray
        (I, height, width) uint8, 255 g for a grey value g.
    labels : numpy.ndarray
        (I) int32, class of each; -1 where it is not known.
    indices : numpy.ndarray
        (I) int32, place of each in the test set that it is from; -1 where it is from none.
    """

    levels: NDArray[np.uint8]
    labels: NDArray[np.int32]
    indices: NDArray[np.int32]


def pictures(images: ArrayLike, labels: ArrayLike | None = None, indices: ArrayLike | None = None) -> Pictures:
    """Images (I, height, width), uint8 levels or grey values in [0, 1], as 8 bit levels, rounded to the nearest.

    Raises
    ------
    GeometryError
        If they are something else, or there is no label or index for each.
    """
    given = np.asarray(images)
    if given.dtype.kind == "f" and given.size and given.min() >= 0 and given.max() <= 1:
        given = np.rint(given * 255).astype(np.uint8)
    if given.ndim != 3 or given.dtype != np.uint8:
        raise GeometryError(f"images {given.shape}, {given.dtype}: give (I, height, width) uint8, or grey in [0, 1]")
    columns = []
    for name, values in (("labels", labels), ("indices", indices)):
        column = np.full(len(given), -1) if values is None else np.asarray(values)
        if column.shape != (len(given),) or column.dtype.kind not in "iu":
            raise GeometryError(f"{name} {column.shape}, {column.dtype}: give {len(given)} whole numbers, one an image")
        columns.append(column.astype(np.int32))
    return Pictures(given, *columns)


def read_pictures(path: str | Path) -> Pictures:
    """Images of an npz file (`images` and, where known, `labels` and `indices`), or of a folder.

    A folder holds greyscale PNG files of 8 bit, in the order of their names, and, where known, labels.csv with the
    columns ``file`` and ``label``.

    Raises
    ------
    FourOpticsError
        If there is no such image, or one is of another size or kind.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.png"))
        if not files:
            raise BundleError(f"{path}: holds no .png; give a folder of greyscale images, or an npz file")
        known = _labels(path / "labels.csv")
        return pictures(stacked(files), [known.get(file.name, -1) for file in files])
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("images", "labels", "indices") if name in file}
    except FileNotFoundError:
        raise BundleError(f"{path}: is not there; check the path") from None
    except Exception as error:  # another kind of file, cut short, pickled: numpy has one for each
        raise BundleError(f"{path}: no npz file of numbers ({error}); np.savez(path, images=...)") from None
    if "images" not in arrays:
        raise BundleError(f"{path}: holds no array 'images'; write it with np.savez(path, images=..., labels=...)")
    try:
        return pictures(**arrays)
    except GeometryError as error:
        raise BundleError(f"{path}: {error}") from None


def _labels(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["file"]: int(row["label"]) for row in csv.DictReader(file)}
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: {error}; it has the columns file and label, a whole number") from None


def stacked(files: list[Path]) -> NDArray[np.uint8]:
    """Read greyscale PNG files of 8 bit and of one size: levels (I, height, width)."""
    images = [_levels(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise BundleError(f"{file}: {image.shape} pixels, {files[0].name} has {images[0].shape}; one size for all")
    return np.stack(images)


def _levels(path: Path) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.mode != "L":
                raise BundleError(f"{path}: a picture of mode {picture.mode}; save it in grey, 8 bit")
            return np.asarray(picture)
    except (OSError, UnidentifiedImageError) as error:
        raise BundleError(f"{path}: cannot be read as a picture ({error})") from None
