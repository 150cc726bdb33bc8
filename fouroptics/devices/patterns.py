"""Binary patterns as controllers of mirrors take them: packed, or as bits of a video frame. Imports no torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.errors import GeometryError

PLANES = 24  #: binary patterns in a frame of 3 x 8 bit


def pack(patterns: NDArray[Any]) -> NDArray[np.uint8]:
    """Binary patterns (..., H, W), 0 and 1, as bits (..., H, ceil(W / 8)); the leftmost mirror is the highest bit."""
    return np.packbits(_binary(patterns), axis=-1, bitorder="big")


def unpack(packed: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Patterns (..., H, width) of bits (..., H, ceil(width / 8))."""
    if packed.dtype != np.uint8 or packed.shape[-1] != -(-width // 8):
        raise GeometryError(
            f"{packed.dtype} {packed.shape} for mirrors {width} wide: give uint8 (..., H, {-(-width // 8)})"
        )
    return np.unpackbits(packed, axis=-1, count=width, bitorder="big")


def planes(grey: NDArray[Any], bits: int = 8) -> NDArray[np.uint8]:
    """Bit planes (..., bits, H, W) of grey pictures (..., H, W), the lowest first: shown for 2^k each they add up."""
    grey = np.asarray(grey)
    if grey.ndim < 2 or grey.dtype.kind not in "iu" or grey.min(initial=0) < 0 or grey.max(initial=0) >= 2**bits:
        raise GeometryError(
            f"{grey.dtype} pictures {grey.shape} for {bits} bit planes: give whole numbers 0 .. {2**bits - 1}, "
            "(..., H, W)"
        )
    shifts = np.arange(bits, dtype=grey.dtype)[:, None, None]
    return (grey[..., None, :, :] >> shifts & 1).astype(np.uint8)


def video(patterns: NDArray[Any]) -> NDArray[np.uint8]:
    """Frames (N, H, W, 3), red, green and blue, that carry 24 binary patterns each, for patterns (M, H, W).

    Patterns 0 to 7 are the bits of blue from the lowest on, 8 to 15 of green, 16 to 23 of red, as the DLPC900 plays
    them. The last frame is filled up with patterns of zeros.
    """
    binary = _binary(patterns)
    if binary.ndim != 3:
        raise GeometryError(f"patterns {binary.shape}: give (M, H, W), one after the other")
    count, (height, width) = -(-len(binary) // PLANES), binary.shape[-2:]
    frames = np.zeros((count, height, width, 3), np.uint8)
    for i, pattern in enumerate(binary):
        frames[i // PLANES, ..., 2 - i % PLANES // 8] |= pattern << (i % 8)
    return frames


def _binary(patterns: NDArray[Any]) -> NDArray[np.uint8]:
    patterns = np.asarray(patterns)
    if patterns.ndim < 2 or not np.isin(patterns, (0, 1)).all():
        raise GeometryError(f"patterns {patterns.shape}, {patterns.dtype}: give zeros and ones (..., H, W)")
    return patterns.astype(np.uint8)
