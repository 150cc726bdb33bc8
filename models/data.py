"""Images and labels: the bundled part of Fashion-MNIST, and a reader for IDX files."""

import gzip
import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fouroptics.errors import FourOpticsError

SUBSET = Path(__file__).with_name("fashion_subset.npz")
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


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    Parameters
    ----------
    images : Tensor
        Shape (N, height, width), float32, grey values 0 (black) to 1.
    labels : Tensor
        Shape (N,), int64, index of the class.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 3 or self.labels.shape != self.images.shape[:1]:
            shapes = f"{tuple(self.images.shape)} and {tuple(self.labels.shape)}"
            raise FourOpticsError(f"images and labels of shapes {shapes}; expected (N, height, width) and (N,)")
        if self.images.dtype != torch.float32 or self.labels.dtype != torch.int64:
            types = f"{self.images.dtype} and {self.labels.dtype}"
            raise FourOpticsError(f"images and labels of types {types}; expected torch.float32 and torch.int64")

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Split":
        """Take the first `count` images; those of `fashion_subset` are shuffled, so it is a fair sample."""
        return Split(self.images[:count], self.labels[:count])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint parts: `train` to fit, `validation` to choose, `test` to report, once.

    Parameters
    ----------
    name : str
        For tables and run folders.
    classes : tuple of str
        Name of each class, in the order of the labels.
    train, validation, test : Split
        The parts.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split


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


def read_idx(path: str | Path) -> np.ndarray:
    """Read an IDX file of bytes, compressed with gzip or not (http://yann.lecun.com/exdb/mnist, "the IDX file format").

    Parameters
    ----------
    path : str or Path
        ``train-images-idx3-ubyte.gz`` and its kin.

    Returns
    -------
    ndarray of uint8
        With the shape that the header names: (N, height, width) for images, (N,) for labels.

    Raises
    ------
    FourOpticsError
        If the file is missing, is no IDX file of bytes, or is shorter or longer than its header says.
    """
    data = _unpacked(Path(path))
    expected = "expected an IDX file of unsigned bytes (it starts with the bytes 00 00 08 and the number of axes)"
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or not 1 <= data[3] <= 4:
        raise FourOpticsError(f"{path}: starts with {data[:4].hex(' ') or 'nothing'}; {expected}")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise FourOpticsError(f"{path}: {len(data)} bytes, but the header alone has {start}; the file is cut off")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    size = start + math.prod(shape)
    if len(data) != size:
        problem = "cut off" if len(data) < size else "longer than its header says"
        raise FourOpticsError(
            f"{path}: {len(data):,} bytes, {size:,} expected for shape {shape}; the file is {problem}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FourOpticsError(f"{path}: damaged or cut off gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be read ({error.strerror}); check the path") from None
