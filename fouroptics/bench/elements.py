"""Elements: the parts of a bench as Modules. Each holds its setting and calls one function."""

import torch
from torch import Tensor, nn

from fouroptics.light import shapes
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.waves import propagation


class FreeSpace(nn.Module):
    """Free space over `distance` metres, onto the same or another grid."""

    def __init__(self, distance: float, onto: Grid | None = None) -> None:
        super().__init__()
        self.length, self.onto = distance, onto

    def forward(self, field: Field) -> Field:
        """See `propagation.propagate`."""
        return propagation.propagate(field, self.length, self.onto)


class Lens(nn.Module):
    """Thin lens with a round aperture of `diameter` metres (None: open) about its `center` (y, x)."""

    length = 0.0

    def __init__(self, focal_length: float, diameter: float | None = None, center: Pair = (0.0, 0.0)) -> None:
        super().__init__()
        self.focal_length, self.diameter, self.center = focal_length, diameter, center

    def forward(self, field: Field) -> Field:
        """See `propagation.lens`."""
        out = propagation.lens(field, self.focal_length, self.center)
        if self.diameter is None:
            return out
        return out.modulate(shapes.circle(field.grid, self.diameter / 2, self.center))


class FourierLens(nn.Module):
    """Ideal lens from its front to its back focal plane, onto any grid."""

    def __init__(self, focal_length: float, onto: Grid | None = None) -> None:
        super().__init__()
        self.focal_length, self.onto, self.length = focal_length, onto, 2 * focal_length

    def forward(self, field: Field) -> Field:
        """See `propagation.fourier_lens`."""
        return propagation.fourier_lens(field, self.focal_length, self.onto)


class Mask(nn.Module):
    """A fixed transmission (y, x), real or complex: an aperture, a stop, a shown mask."""

    length = 0.0
    transmission: Tensor

    def __init__(self, transmission: Tensor) -> None:
        super().__init__()
        self.register_buffer("transmission", torch.as_tensor(transmission))

    def forward(self, field: Field) -> Field:
        """Multiply the field by the transmission."""
        return field.modulate(self.transmission)
