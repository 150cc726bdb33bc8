"""The part of Fashion-MNIST that comes with the repository."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fouroptics.errors import FourOpticsError
from models.data.split import Dataset, Split

SUBSET = Path(__file__).parents[1] / "fashion_subset.npz"
FASHION_CLASSES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


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
    remedy = "make it with: python -m models.make_subset (needs the Debian package dataset-fashion-mnist)"
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as arrays:
            train, validation, test = (_split(arrays, part) for part in ("train", "validation", "test"))
    except FileNotFoundError:
        raise FourOpticsError(f"{path}: no such file; {remedy}") from None
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise FourOpticsError(f"{path}: not the Fashion-MNIST subset ({error}); {remedy}") from None
    return Dataset("fashion-subset", FASHION_CLASSES, train, validation, test)


def _split(arrays: Any, part: str) -> Split:
    images = torch.from_numpy(arrays[f"{part}_images"].astype(np.float32) / np.float32(255))
    return Split(images, torch.from_numpy(arrays[f"{part}_labels"].astype(np.int64)))
