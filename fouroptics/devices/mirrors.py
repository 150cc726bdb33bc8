"""A mirror array as data: what its data sheet says beyond that of a panel. Imports no torch."""

import math

from pydantic import Field

from fouroptics.config import Angle, Number, Whole
from fouroptics.devices.panel import Modulation, SLMConfig


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
