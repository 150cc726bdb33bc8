"""DMD: mirrors that send the light on or away, and the packing of their patterns.

A mirror array is a panel whose levels are amplitudes 0 and 1: everything but the packing is that of `slm`.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from fouroptics.config import Angle, Number, Whole
from fouroptics.devices.panel import Modulation, SLMConfig
from fouroptics.devices.slm import SLM
from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid

PLANES = 24  #: binary patterns in a frame of 3 x 8 bit


class DMDConfig(SLMConfig):
    """A mirror array: an `SLMConfig` of 1 bit, ``modulation = "binary"``, whose gaps send no light on.

    Attributes
    ----------
    reflectivity : float
        Power that a mirror and twice the window send on, over what falls on it.
    mirror_tilt : float, optional
        Angle in rad between the normals of the chip and of a mirror that is on. Data: the bench works in the direction
        of the light that is sent on, and does not know the blaze.
    refresh_rate : float, optional
        Binary patterns a second.
    """

    name: str = "mirror array"
    bits: Whole = Field(default=1, ge=1, le=1)
    fill_factor: Number = Field(default=0.92, gt=0, le=1)
    dead_amplitude: Number = Field(default=0.0, ge=0, le=1)
    modulation: Modulation = "binary"
    reflectivity: Number = Field(default=1.0, gt=0, le=1)
    mirror_tilt: Angle | None = Field(default=None, gt=0, lt=math.pi / 2)

    def fault(self) -> str | None:
        """A panel of phases is no mirror array."""
        if self.modulation != "binary":
            return f"modulation = {self.modulation!r}: a mirror array is 'binary'; take SLMConfig for another panel"
        return super().fault()


class DMD(nn.Module):
    """A mirror array: amplitude 0 or 1 for each pixel, with the diffraction of a pixel's mirror.

    Parameters
    ----------
    config : DMDConfig
        The mirrors' data sheet.

    Examples
    --------
    >>> import torch
    >>> dmd = DMD(DMDConfig.preset("ti-dlp7000"))
    >>> dmd.levels(torch.tensor([0.0, 0.49, 0.5, 1.0]))
    tensor([0, 0, 1, 1], dtype=torch.uint8)
    """

    def __init__(self, config: DMDConfig) -> None:
        super().__init__()
        self.config = config
        self.slm = SLM(config)

    @property
    def grid(self) -> Grid:
        """Mirror centres about the middle of the array."""
        return self.slm.grid

    def levels(self, amplitude: Tensor) -> Tensor:
        """1 for a mirror that is on, where the amplitude, or the real part of a complex one, is 1/2 or more; uint8."""
        return self.slm.levels(amplitude)

    def forward(self, amplitude: Tensor) -> Tensor:
        """One complex number per mirror, ``sqrt(R) F`` where it is on; the gradient passes straight through.

        Parameters
        ----------
        amplitude : torch.Tensor
            Amplitude in [0, 1], (..., y, x).
        """
        return math.sqrt(self.config.reflectivity) * self.slm(amplitude)


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
