"""Panels as data: what the data sheet says, and the grey level that shows a phase. Imports no torch."""

import math
from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from fouroptics.config import Angle, FileConfig, Length, Number, Shape, Whole

Array = TypeVar("Array")
GreyConvention = Literal["slmsuite", "direct"]

#: Data sheets. `verified` is False where no public source confirms a figure.
PRESETS: dict[str, dict[str, Any]] = {
    "generic-1080p-8um": {
        "name": "generic 1080p", "shape": [1080, 1920], "pitch": "8 um", "bits": 8, "fill_factor": 0.9,
        "verified": True, "source": "not a product: the panel of the examples",
    },
    "holoeye-pluto-2.1": {
        "name": "HOLOEYE PLUTO-2.1", "shape": [1080, 1920], "pitch": "8 um", "bits": 8, "fill_factor": 0.93,
        "verified": False, "source": "HOLOEYE data sheet figures as quoted by users: 1920x1080, 8.0 um, 93 %, 8 bit",
    },
}  # fmt: skip


def with_preset(data: Any, presets: dict[str, dict[str, Any]]) -> Any:
    """Replace the key ``preset`` of `data` by the fields of that preset; explicit fields win."""
    if not isinstance(data, dict) or "preset" not in data:
        return data
    name = data["preset"]
    if not isinstance(name, str) or name not in presets:
        raise ValueError(f"preset {name!r} is unknown; known: {', '.join(presets)}")
    return {**presets[name], **{key: value for key, value in data.items() if key != "preset"}}


class SLMConfig(FileConfig):
    """A phase panel (LCOS) with a linear response over 2 pi.

    Attributes
    ----------
    shape : tuple of int
        Pixels, (height, width).
    pitch : float
        Pixel pitch in metres, the same in x and y.
    bits : int
        Bit depth: 2**bits grey levels over one turn of phase.
    fill_factor : float
        Area fill F of the modulating part of a pixel.
    dead_amplitude, dead_phase : float
        Amplitude r and phase (rad) that the area between the pixels adds to the light: r (1 - F) exp(i phi0) a pixel.
    grey : {"slmsuite", "direct"}
        How a grey level drives the phase: rising grey lowers the phase delay (``slmsuite``, most LCOS panels) or
        raises it.
    """

    name: str = "phase panel"
    shape: Shape = (1080, 1920)
    pitch: Length = Field(default=8e-6, gt=0)
    bits: Whole = Field(default=8, ge=1, le=16)
    fill_factor: Number = Field(default=0.9, gt=0, le=1)
    dead_amplitude: Number = Field(default=1.0, ge=0, le=1)
    dead_phase: Angle = 0.0
    grey: GreyConvention = "slmsuite"
    verified: bool = False
    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        return with_preset(data, PRESETS)

    @classmethod
    def preset(cls, name: str) -> "SLMConfig":
        """Return the panel of a data sheet by its name, such as ``"holoeye-pluto-2.1"``."""
        return cls.model_validate({"preset": name})


def levels(phase: Array, bits: int, grey: GreyConvention = "slmsuite") -> Array:
    """Grey level that shows a phase best.

    ``g = (-rint(phi 2^b / 2 pi) - 1) mod 2^b`` for rising grey = falling phase, as slmsuite 0.5 drives its panels
    (phase 0 is the highest grey); ``g = rint(phi 2^b / 2 pi) mod 2^b`` for the direct convention. Evaluated in float32.

    Parameters
    ----------
    phase : numpy.ndarray or torch.Tensor
        Phase in rad, any range.
    bits : int
        Bit depth b.
    grey : {"slmsuite", "direct"}
        Convention of the panel.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        Whole numbers 0 .. 2**bits - 1, float32, same kind and shape as `phase`.
    """
    single: Any = phase.float() if hasattr(phase, "float") else phase.astype("float32")  # pyright: ignore
    count = 2**bits
    step = (single * (count / (2 * math.pi))).round()
    return (-step - 1) % count if grey == "slmsuite" else step % count


def realised(gray: Array, bits: int, grey: GreyConvention = "slmsuite") -> Array:
    """Phase in rad, in [0, 2 pi), that the panel shows for a grey level; the inverse of `levels` up to rounding."""
    count = 2**bits
    number: Any = gray.double() if hasattr(gray, "double") else gray.astype("float64")  # pyright: ignore
    step = -(number + 1) if grey == "slmsuite" else number
    return (step % count) * (2 * math.pi / count)
