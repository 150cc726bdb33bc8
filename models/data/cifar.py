"""CIFAR-10, from its binary version: no pickle is ever read."""

from pathlib import Path

import numpy as np

from fouroptics.errors import FourOpticsError
from models.data.listing import Source, of_arrays

CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORDS = 10_000  # in each of the six files
RECORD = 1 + 3 * 32 * 32  # bytes: the class, then the planes red, green, blue
REMEDY = "get 'CIFAR-10 binary version (suitable for C programs)' at https://www.cs.toronto.edu/~kriz/cifar.html"


def cifar10(folder: Path) -> Source:
    """List CIFAR-10: 50,000 training and 10,000 test images, 32x32, colour.

    Parameters
    ----------
    folder : Path
        Holds ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, or ``cifar-10-batches-bin``.
    """
    inner = folder / "cifar-10-batches-bin"
    folder = inner if inner.is_dir() else folder
    batches = [read_batch(folder / f"data_batch_{number}.bin") for number in range(1, 6)]
    train = of_arrays(*(np.concatenate(arrays) for arrays in zip(*batches, strict=True)))
    return Source("cifar10", CIFAR_CLASSES, train, of_arrays(*read_batch(folder / "test_batch.bin")))


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read images (10000, 32, 32, 3) and labels (10000,), uint8, of one file.

    Raises
    ------
    FourOpticsError
        If the file is missing, has another size than 10,000 records, or a label is above 9.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from None
    size = RECORDS * RECORD
    if len(data) != size:
        problem = "cut off" if len(data) < size else "not one of CIFAR-10's"
        raise FourOpticsError(f"{path}: {len(data):,} bytes, {size:,} expected; the file is {problem}: {REMEDY}")
    records = data.reshape(RECORDS, RECORD)
    labels = records[:, 0]
    if labels.max() >= len(CIFAR_CLASSES):
        raise FourOpticsError(f"{path}: holds the class {labels.max()}, expected 0 to 9; the file is wrong: {REMEDY}")
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
