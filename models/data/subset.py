"""The part of Fashion-MNIST that comes with the repository."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from fouroptics.errors import FourOpticsError
from models.data.idx import FASHION_CLASSES
from models.data.listing import Source, of_arrays
from models.data.split import Dataset, Split

SUBSET = Path(__file__).parents[1] / "fashion_subset.npz"


def fashion_subset(path: str | Path = SUBSET) -> Dataset:
    """Load the bundled part of Fashion-MNIST: 9,000 training, 1,000 validation, 2,000 test images, 28x28, 10 classes.

    Raises
    ------
    FourOpticsError
        If the file is missing or is not what `models/make_subset.py` writes.

    Examples
    --------
    >>> fashion_subset().train.images.shape
    torch.Size([9000, 28, 28])
    """
    parts = (_split(*arrays) for arrays in _read(Path(path)).values())
    return Dataset("fashion-subset", FASHION_CLASSES, *parts)


def subset_source() -> Source:
    """List the bundled images; the subset has its own validation part."""
    train, validation, test = (of_arrays(*arrays) for arrays in _read(SUBSET).values())
    return Source("fashion-subset", FASHION_CLASSES, train, test, validation)


def _read(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    remedy = "make it with: python -m models.make_subset (needs the Debian package dataset-fashion-mnist)"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            parts = ("train", "validation", "test")
            return {part: (arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in parts}
    except FileNotFoundError:
        raise FourOpticsError(f"{path}: no such file; {remedy}") from None
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise FourOpticsError(f"{path}: not the Fashion-MNIST subset ({error}); {remedy}") from None


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    grey = torch.from_numpy(images.astype(np.float32) / np.float32(255))
    return Split(grey, torch.from_numpy(labels.astype(np.int64)))
