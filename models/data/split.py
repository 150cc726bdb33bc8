"""Images with their labels, in three parts that share none."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fouroptics.errors import FourOpticsError


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
