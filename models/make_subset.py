"""Make `fashion_subset.npz`, the part of Fashion-MNIST that comes with the repository, and its licence.

    python -m models.make_subset [FOLDER] [-o OUTPUT_FOLDER]

FOLDER holds the four IDX files; the Debian package dataset-fashion-mnist installs them in its default.
The same files give the same arrays, and with the same zlib the same bytes.
"""

import hashlib
import io
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from models.data.idx import FASHION, FASHION_FOLDER, read_part

OFFICIAL = {"train": 60_000, "t10k": 10_000}
SIZES = {"train": 9_000, "validation": 1_000, "test": 2_000}
SEED = 2102_13323  # the paper: arXiv 2102.13323
LICENSE = """\
fashion_subset.npz is a part of Fashion-MNIST, https://github.com/zalandoresearch/fashion-mnist

The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def read_official(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Read images (N, 28, 28) and labels (N,), uint8, of the official part ``"train"`` or ``"t10k"``, complete.

    Raises
    ------
    FourOpticsError
        If a file is missing, or does not hold all of Fashion-MNIST.
    """
    images, labels = read_part(folder, part, FASHION)
    if len(images) != OFFICIAL[part]:
        raise FourOpticsError(f"{folder}: {part} holds {len(images):,} images, {OFFICIAL[part]:,} expected; {FASHION}")
    return images, labels


def balanced(images: np.ndarray, labels: np.ndarray, count: int, stream: np.random.RandomState) -> np.ndarray:
    """Draw the indices of `count` different images, as many of each of the ten classes, the classes in turn."""
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)  # no image twice
    drawn = [stream.permutation(np.sort(first[labels[first] == label])) for label in range(10)]
    return np.stack([indices[: count // 10] for indices in drawn], axis=1).ravel()


def subset(folder: Path = FASHION_FOLDER) -> dict[str, np.ndarray]:
    """Draw the arrays of `fashion_subset.npz`.

    Returns
    -------
    dict
        For each part (train, validation, test): ``_images`` (N, 28, 28) uint8, ``_labels`` (N,) uint8, ``_source``
        (N,) int32, the index in the official training part (train, validation) or test part (test).
    """
    stream = np.random.RandomState(SEED)  # the one generator of numpy whose stream never changes (NEP 19)
    official = {part: read_official(folder, part) for part in OFFICIAL}
    learned = balanced(*official["train"], SIZES["train"] + SIZES["validation"], stream)
    tested = balanced(*official["t10k"], SIZES["test"], stream)
    chosen = {
        "train": ("train", learned[: SIZES["train"]]),
        "validation": ("train", learned[SIZES["train"] :]),
        "test": ("t10k", tested),
    }
    arrays = {}
    for part, (source, indices) in chosen.items():
        indices = stream.permutation(indices)
        images, labels = official[source]
        arrays |= {f"{part}_images": images[indices], f"{part}_labels": labels[indices]}
        arrays[f"{part}_source"] = indices.astype(np.int32)
    return arrays


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Pack the arrays into the bytes of a compressed npz file, with no date in it."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def main(
    folder: Annotated[Path, typer.Argument(help="Where the four IDX files are.")] = FASHION_FOLDER,
    output: Annotated[Path, typer.Option("-o", help="Folder to write to.")] = Path(__file__).parent,
) -> None:
    """Write fashion_subset.npz and fashion_subset.LICENSE."""
    try:
        data = packed(subset(folder))
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    for name, content in (("fashion_subset.npz", data), ("fashion_subset.LICENSE", LICENSE.encode())):
        write_whole(output / name, content)
    print(f"{output / 'fashion_subset.npz'}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    typer.run(main)
