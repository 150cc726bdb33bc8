"""IDX files, the format of MNIST and Fashion-MNIST."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from fouroptics.errors import FourOpticsError
from models.data.listing import Source, of_arrays

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of the Debian package dataset-fashion-mnist
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
FASHION = (
    "install the Debian package dataset-fashion-mnist, or name the folder that holds the four IDX files of "
    "https://github.com/zalandoresearch/fashion-mnist"
)
MNIST = "name the folder that holds the four IDX files of http://yann.lecun.com/exdb/mnist"


def fashion_mnist(folder: Path | None = None) -> Source:
    """List Fashion-MNIST: 60,000 training and 10,000 test images, 28x28, grey; by default the Debian package's."""
    train, test = (of_arrays(*read_part(folder or FASHION_FOLDER, part, FASHION)) for part in ("train", "t10k"))
    return Source("fashion-mnist", FASHION_CLASSES, train, test)


def mnist(folder: Path) -> Source:
    """List MNIST: 60,000 training and 10,000 test images, 28x28, grey."""
    train, test = (of_arrays(*read_part(folder, part, MNIST)) for part in ("train", "t10k"))
    return Source("mnist", tuple("0123456789"), train, test)


def read_part(folder: Path, part: str, remedy: str) -> tuple[np.ndarray, np.ndarray]:
    """Read images (N, 28, 28) and labels (N,), uint8, of the official part ``"train"`` or ``"t10k"``.

    Raises
    ------
    FourOpticsError
        If a file is missing or holds something else; the message says what was expected and where to get it.
    """
    (first, images), (second, labels) = (_found(folder, f"{part}-{kind}", remedy) for kind in ("images", "labels"))
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise FourOpticsError(f"{first}: holds shape {images.shape}, (N, 28, 28) expected; {remedy}")
    if labels.shape != images.shape[:1]:
        raise FourOpticsError(f"{second}: holds shape {labels.shape}, ({len(images)},) expected; {remedy}")
    if labels.max(initial=0) > 9:
        raise FourOpticsError(f"{second}: holds the class {labels.max()}, expected 0 to 9; {remedy}")
    return images, labels


def _found(folder: Path, stem: str, remedy: str) -> tuple[Path, np.ndarray]:
    axes = {"images": 3, "labels": 1}[stem.partition("-")[2]]
    names = [folder / f"{stem}{dot}idx{axes}-ubyte{suffix}" for dot in "-." for suffix in (".gz", "")]
    path = next((name for name in names if name.is_file()), None)
    if path is None:
        raise FourOpticsError(f"{names[0]}: no such file, and none without .gz; {remedy}")
    try:
        return path, read_idx(path)
    except FourOpticsError as error:
        raise FourOpticsError(f"{error}; {remedy}") from None


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
