"""Field: the one data type that travels."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid


@dataclass(frozen=True, eq=False)
class Field:
    """A complex scalar field on a grid.

    ``power() = sum |u|^2 dy dx`` is in watts, so the amplitude is in sqrt(W)/m. Frozen: every change is a new field.

    Parameters
    ----------
    data : torch.Tensor
        Complex samples (..., y, x); leading axes are a batch. Real samples are made complex of the same precision.
    grid : Grid
        Where the samples lie.
    wavelength : float
        Vacuum wavelength in metres.

    Raises
    ------
    GeometryError
        If the last two axes are not ``grid.shape``, or the wavelength is not positive.
    """

    data: Tensor
    grid: Grid
    wavelength: float

    def __post_init__(self) -> None:
        if tuple(self.data.shape[-2:]) != self.grid.shape:
            raise GeometryError(
                f"data {tuple(self.data.shape)} does not end in the shape of its grid, {self.grid.shape}"
            )
        if not (math.isfinite(self.wavelength) and self.wavelength > 0):
            raise GeometryError(f"wavelength = {self.wavelength!r}: must be finite and positive, in metres (532 * nm)")
        if not self.data.is_complex():
            double = self.data.dtype in (torch.float64, torch.int64)
            object.__setattr__(self, "data", self.data.to(torch.complex128 if double else torch.complex64))

    @property
    def intensity(self) -> Tensor:
        """``|u|^2`` in W/m^2, real (..., y, x)."""
        return self.data.real.square() + self.data.imag.square()

    @property
    def phase(self) -> Tensor:
        """Argument of u in rad, in (-pi, pi]."""
        return self.data.angle()

    def power(self) -> Tensor:
        """Power through the grid in watts, one number for each batch entry (...)."""
        return self.intensity.sum((-2, -1)) * self.grid.cell

    def modulate(self, transmission: Tensor) -> "Field":
        """Multiply by a complex amplitude transmission that broadcasts against (..., y, x).

        Raises
        ------
        GeometryError
            If it does not broadcast.
        """
        try:
            data = self.data * transmission.to(self.data.device)
        except RuntimeError as error:
            shapes = tuple(transmission.shape), tuple(self.data.shape)
            raise GeometryError(f"a transmission {shapes[0]} does not fit a field {shapes[1]}") from error
        return self.replace(data=data.to(self.data.dtype))

    def replace(self, **changes: Any) -> "Field":
        """Return a field with some of `data`, `grid`, `wavelength` exchanged."""
        return replace(self, **changes)

    def to(self, *args: Any, **kwargs: Any) -> "Field":
        """Move or cast the samples as ``torch.Tensor.to`` does (a device, a complex dtype)."""
        return self.replace(data=self.data.to(*args, **kwargs))
