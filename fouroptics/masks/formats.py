"""Levels (height, width) of a frame as the bytes of a file that a device, a driver or a script reads. Imports no torch.

The levels are never stretched: a panel of 4 bit has levels 0 to 15 in an 8-bit picture, one of 10 bit 0 to 1023 in a
16-bit one.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices import patterns


def png(gray: NDArray[Any]) -> bytes:
    """Greyscale PNG: 8 bit for uint8, 16 bit for uint16."""
    return _picture(gray, "PNG")


def bmp(gray: NDArray[np.uint8]) -> bytes:
    """BMP of 8 bit with the palette that leaves each level as it is."""
    return _picture(gray, "BMP")


def santec_csv(gray: NDArray[Any]) -> bytes:
    """CSV of Santec's driver: a first row ``Y/X,0,1,...``, then a row index and its levels in each line."""
    head = ",".join(["Y/X", *map(str, range(gray.shape[1]))])
    rows = (",".join(map(str, [y, *row])) for y, row in enumerate(gray.tolist()))
    return "\n".join([head, *rows, ""]).encode("ascii")


def packed(gray: NDArray[np.uint8]) -> bytes:
    """Binary pattern as bits, a row after the other, each filled up to whole bytes; the leftmost mirror is bit 7."""
    return patterns.pack(gray).tobytes()


def dlpc900(gray: Sequence[NDArray[np.uint8]]) -> bytes:
    """PNG in red, green and blue that carries up to 24 binary patterns, as `fouroptics.devices.patterns.video`."""
    return _picture(patterns.video(np.stack(gray))[0], "PNG")


def slmsuite(gray: NDArray[Any], phase: NDArray[np.float32]) -> bytes:
    """HDF5 file for slmsuite's ``SLM.load_phase``: ``display``, the levels that it sends, and ``phase`` in rad."""
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        for name, frame in (("phase", phase), ("display", gray)):
            root.create_dataset(name, data=frame, compression="gzip", compression_opts=1, shuffle=True)
    return file.getvalue()


def npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Head of an ``.npy`` file; the bytes of its array follow, in C order."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return file.getvalue()


def _picture(levels: NDArray[Any], form: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels, levels.dtype.newbyteorder("<"))).save(file, format=form)
    return file.getvalue()
