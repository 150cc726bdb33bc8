"""IDX files, the format of MNIST and Fashion-MNIST."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from fouroptics.errors import FourOpticsError


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
