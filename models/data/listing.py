"""What there is to read, and how it is parted before any image is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fouroptics.errors import FourOpticsError


@dataclass(frozen=True, eq=False)
class Listing:
    """Images that are still to be read.

    Parameters
    ----------
    images : sequence of ndarray or Path
        Files, or what a file held: uint8, shape (height, width) if grey, (height, width, 3) in colour.
    labels : ndarray of int64
        Shape (N,), the class of each image; zeros where masks have a class for each pixel.
    groups : ndarray of int64
        Shape (N,). Images of one group show the same thing, and never stand in two parts.
    masks : sequence of Path, optional
        For each image, the file with the classes of its pixels.
    """

    images: Sequence[np.ndarray | Path]
    labels: np.ndarray
    groups: np.ndarray
    masks: Sequence[Path] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Listing":
        """The images of the given indices, in their order."""
        masks = None if self.masks is None else [self.masks[i] for i in indices]
        return Listing([self.images[i] for i in indices], self.labels[indices], self.groups[indices], masks)


@dataclass(frozen=True, eq=False)
class Source:
    """A set as its files part it.

    Parameters
    ----------
    name : str
        For tables and run folders.
    classes : tuple of str
        In the order of the labels.
    train : Listing
        The images to learn from.
    test : Listing, optional
        The official test part.
    validation : Listing, optional
        The validation part, where the set has its own.
    read_mask : callable, optional
        File of a mask -> classes of its pixels, uint8, shape (height, width).
    """

    name: str
    classes: tuple[str, ...]
    train: Listing
    test: Listing | None = None
    validation: Listing | None = None
    read_mask: Callable[[Path], np.ndarray] | None = None


def of_arrays(images: np.ndarray, labels: np.ndarray) -> Listing:
    """List images (N, height, width) or (N, height, width, 3), uint8; equal ones are of one group."""
    seen: dict[bytes, int] = {}
    groups = [seen.setdefault(image.tobytes(), len(seen)) for image in images]
    return Listing(list(images), labels.astype(np.int64), np.array(groups, np.int64))


def mixed(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Order the indices such that any few in a row hold each class by its share.

    Within a class the groups come in the order that `seed` draws.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> labels[mixed(labels, np.arange(6), seed=0)]
    array([0, 1, 0, 0, 1, 0])
    """
    stream = np.random.RandomState(seed)  # the one generator of numpy whose stream never changes (NEP 19)
    _, group = np.unique(groups, return_inverse=True)
    drawn = np.argsort(stream.permutation(group.max(initial=-1) + 1)[group], kind="stable")
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = drawn[labels[drawn] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((labels, place))


def first(order: np.ndarray, count: int | None, part: str) -> np.ndarray:
    """Indices of the first `count` images of an order; all, in the order of the files, if `count` is None.

    Raises
    ------
    FourOpticsError
        If there are fewer.
    """
    if count is None:
        return np.sort(order)
    if count > len(order):
        raise FourOpticsError(f"{part} = {count:,}: the set has {len(order):,} images for it; ask for fewer")
    return order[:count]


def set_aside(order: np.ndarray, groups: np.ndarray, count: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Part an order of indices into those that stay and the last `count`; no group is in both.

    Raises
    ------
    FourOpticsError
        If nothing would stay.
    """
    stay, aside = order[: max(len(order) - count, 0)], order[max(len(order) - count, 0) :]
    stay = stay[~np.isin(groups[stay], groups[aside])]
    if not len(stay):
        raise FourOpticsError(f"{part} = {count:,}: the set has {len(order):,} images to draw from; ask for fewer")
    return stay, aside
