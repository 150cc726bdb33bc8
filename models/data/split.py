"""Images with their labels, in three parts that share none."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fouroptics.errors import FourOpticsError

IGNORE = 255  # the label of a pixel that is neither learned nor scored


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    Parameters
    ----------
    images : Tensor
        Shape (N, height, width) if grey, (N, 3, height, width) in colour; float32, 0 (black) to 1.
    labels : Tensor
        int64, index of the class: shape (N,), one an image, or (N, height, width), one a pixel. A pixel of the label
        `IGNORE` is neither learned nor scored.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        count, plane = self.images.shape[:1], self.images.shape[-2:]
        if self.images.ndim not in (3, 4) or self.labels.shape not in (count, count + plane):
            shapes = f"{tuple(self.images.shape)} and {tuple(self.labels.shape)}"
            expected = "(N, height, width) or (N, 3, height, width), and (N,) or (N, height, width)"
            raise FourOpticsError(f"images and labels of shapes {shapes}; expected {expected}")
        if self.images.dtype != torch.float32 or self.labels.dtype != torch.int64:
            types = f"{self.images.dtype} and {self.labels.dtype}"
            raise FourOpticsError(f"images and labels of types {types}; expected torch.float32 and torch.int64")

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Split":
        """Take the first `count` images; the sets of `models.data` are in mixed order, so it is a fair sample."""
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
        The parts; `validation` may be empty, once everything has been chosen.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
