"""What differs between two mask files. Imports no torch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fouroptics.masks import schema
from fouroptics.masks.frames import Frames
from fouroptics.masks.schema import Tree

FEW = 9  #: values of arrays that are shown, not counted


class Difference(NamedTuple):
    """One thing that differs between two files.

    Attributes
    ----------
    path : str
        HDF5 path; the name of an attribute comes after ``@``.
    what : str
        What the first has and what the second, or how many values differ, and by how much.
    """

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def differences(first: Tree, second: Tree) -> Iterator[Difference]:
    """Yield what differs between two files but for their hashes, in the order of the paths."""
    for path in sorted({*first.attributes, *second.attributes}):
        if path not in first.attributes or path not in second.attributes:
            yield Difference(path, f"only in the {'first' if path in first.attributes else 'second'}")
            continue
        one, other = first.attributes[path], second.attributes[path]
        for name in sorted({*one, *other} - {"sha256", "manifest_sha256"}):
            if one.get(name) != other.get(name):
                yield Difference(f"{path}@{name}", f"{one.get(name)!r} and {other.get(name)!r}")
        a, b = first.arrays.get(path), second.arrays.get(path)
        if a is not None and b is not None:
            yield from _values(path, a, b)
        elif a is not b:
            yield Difference(
                path, f"a {'group' if a is None else 'dataset'} and a {'group' if b is None else 'dataset'}"
            )


def _values(path: str, a: Any, b: Any) -> Iterator[Difference]:
    if a.shape != b.shape or (a.dtype != b.dtype and "S" not in (a.dtype.kind, b.dtype.kind)):
        yield Difference(path, f"{a.dtype} {a.shape} and {b.dtype} {b.shape}")
        return
    parts = zip(a, b, strict=True) if isinstance(a, Frames) or isinstance(b, Frames) else [(a, b)]
    found = [_unequal(path, one, other) for one, other in parts]
    masks = [i for i, (count, _, _) in enumerate(found) if count]
    if not masks:
        return
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.size <= FEW:
        yield Difference(path, f"{schema.value(a)!r} and {schema.value(b)!r}")
        return
    counts, largest, sizes = zip(*found, strict=True)
    by = f", by {max(largest):.6g} at most" if max(largest) else ""
    where = f", in {len(masks)} of {len(found)} masks, mask {masks[0]} the first" if path in schema.STACKS else ""
    yield Difference(path, f"{sum(counts)} of {sum(sizes)} values differ{by}{where}")


def _unequal(path: str, a: np.ndarray, b: np.ndarray) -> tuple[int, float, int]:
    """How many values differ, by how much at most, and how many there are."""
    if path == "/entry/masks/bits":
        a, b = np.unpackbits(a), np.unpackbits(b)
    where = a != b
    apart = abs(a[where].astype(complex) - b[where]) if a.dtype.kind in "iufc" else np.zeros(0)
    return int(where.sum()), float(apart.max(initial=0)), a.size
