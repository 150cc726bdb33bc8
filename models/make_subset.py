"""Make `fashion_subset.npz`, the part of Fashion-MNIST that comes with the repository, and its licence.

    python -m models.make_subset [FOLDER] [-o OUTPUT_FOLDER]

FOLDER holds the four IDX files; the Debian package dataset-fashion-mnist installs them in its default.
The same files give the same arrays, and with the same zlib the same bytes.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fouroptics.errors import FourOpticsError
from models.data import read_idx

SOURCE = Path("/usr/share/datasets/fashion-mnist")  # the Debian package dataset-fashion-mnist
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


def read_official(folder: Path, part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Read images (count, 28, 28) and labels (count,), uint8, of the official part ``"train"`` or ``"t10k"``.

    Raises
    ------
    FourOpticsError
        If a file is missing or holds something else; the message says what was expected and where to get it.
    """
    remedy = "install the Debian package dataset-fashion-mnist, or name the folder that holds the four IDX files"
    arrays = []
    for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
        names = [folder / f"{part}-{kind}-ubyte{suffix}" for suffix in (".gz", "")]
        path = next((name for name in names if name.is_file()), None)
        if path is None:
            raise FourOpticsError(f"{names[0]}: no such file, and none without .gz; {remedy}")
        array = read_idx(path)
        if array.shape != shape:
            raise FourOpticsError(f"{path}: holds shape {array.shape}, {shape} expected of Fashion-MNIST; {remedy}")
        arrays.append(array)
    return arrays[0], arrays[1]


def balanced(images: np.ndarray, labels: np.ndarray, count: int, stream: np.random.RandomState) -> np.ndarray:
    """Draw the indices of `count` different images, as many of each of the ten classes, the classes in turn."""
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)  # no image twice
    drawn = [stream.permutation(np.sort(first[labels[first] == label])) for label in range(10)]
    return np.stack([indices[: count // 10] for indices in drawn], axis=1).ravel()


def subset(folder: Path = SOURCE) -> dict[str, np.ndarray]:
    """Draw the arrays of `fashion_subset.npz`.

    Returns
    -------
    dict
        For each part (train, validation, test): ``_images`` (N, 28, 28) uint8, ``_labels`` (N,) uint8, ``_source``
        (N,) int32, the index in the official training part (train, validation) or test part (test).
    """
    stream = np.random.RandomState(SEED)  # the one generator of numpy whose stream never changes (NEP 19)
    official = {part: read_official(folder, part, count) for part, count in (("train", 60_000), ("t10k", 10_000))}
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
    folder: Annotated[Path, typer.Argument(help="Where the four IDX files are.")] = SOURCE,
    output: Annotated[Path, typer.Option("-o", help="Folder to write to.")] = Path(__file__).parent,
) -> None:
    """Write fashion_subset.npz and fashion_subset.LICENSE."""
    try:
        data = packed(subset(folder))
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    for name, content in (("fashion_subset.npz", data), ("fashion_subset.LICENSE", LICENSE.encode())):
        partial = output / f"{name}.partial"
        partial.write_bytes(content)
        os.replace(partial, output / name)
    print(f"{output / 'fashion_subset.npz'}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    typer.run(main)
