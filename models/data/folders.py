"""Image files in one folder a class: HIGH-10, Cats-Dogs, one's own."""

from pathlib import Path

import numpy as np

from fouroptics.errors import FourOpticsError
from models.data.listing import Listing, Source

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
EXPECTED = "expected one folder a class with images in it, or train/ and test/ that hold such folders"


def class_folders(folder: Path) -> Source:
    """List images in one folder a class; the classes are in the order of the folders' names.

    Parameters
    ----------
    folder : Path
        Holds the class folders, or ``train`` and ``test`` with the same class folders in each.

    Raises
    ------
    FourOpticsError
        If there is no such folder, a class is empty or missing in one part, or there is only one class.
    """
    if not folder.is_dir():
        raise FourOpticsError(f"{folder}: no such folder; {EXPECTED}")
    if not (folder / "train").is_dir() and not (folder / "test").is_dir():
        return Source(folder.resolve().name, *_list(folder))
    (classes, train), (tested, test) = (_list(folder / part) for part in ("train", "test"))
    if classes != tested:
        raise FourOpticsError(
            f"{folder}: train has the classes {', '.join(classes)}, test {', '.join(tested)}; they must be the same"
        )
    return Source(folder.resolve().name, classes, train, test)


def images_in(folder: Path) -> list[Path]:
    """List the image files of a folder by name; hidden ones and other files are left out."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")


def _list(folder: Path) -> tuple[tuple[str, ...], Listing]:
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = {path.name: images_in(path) for path in inside if path.name[0] != "."}
    if len(found) < 2:
        raise FourOpticsError(f"{folder}: {len(found)} folders of images found; {EXPECTED}")
    if empty := [name for name, paths in found.items() if not paths]:
        raise FourOpticsError(f"{folder / empty[0]}: holds no image ({' '.join(SUFFIXES)}); fill or remove it")
    # the first of each class, then the second of each, and so on: any first few are a fair sample
    order = sorted((place, label) for label, paths in enumerate(found.values()) for place in range(len(paths)))
    paths = list(found.values())
    labels = np.array([label for _, label in order], np.int64)
    return tuple(found), Listing([paths[label][place] for place, label in order], labels, np.arange(len(order)))
