"""Apertures and blocks: round edges, at any pose."""

import math

import torch
from torch import Tensor, nn

from fouroptics.bench.pose import Pose, coordinates, placed
from fouroptics.errors import GeometryError
from fouroptics.light import shapes
from fouroptics.light.field import Field
from fouroptics.light.grid import Pair


class Aperture(nn.Module):
    """Round stop of `diameter` metres about its `center` (y, x); any other shape is a `Mask`.

    No gradient reaches its edge, nor its pose by way of it.
    """

    length = 0.0
    takes = "aperture"

    def __init__(self, diameter: float, center: Pair = (0.0, 0.0), pose: Pose | None = None) -> None:
        super().__init__()
        self.diameter, self.center, self.pose = diameter, center, pose

    def forward(self, field: Field) -> Field:
        """See `placed`."""
        return placed(field, self.pose, self.act)

    def act(self, field: Field, pose: Pose | None) -> Field:
        """What it does to light on its plane."""
        return field.modulate(disk(field, self.diameter, self.center, pose))


class BeamBlock(Aperture):
    """Opaque disk: it takes what an `Aperture` of the same arguments lets pass, and no more."""

    takes = "block"

    def act(self, field: Field, pose: Pose | None) -> Field:
        """What it does to light on its plane."""
        return field.modulate(1 - disk(field, self.diameter, self.center, pose))


def disk(field: Field, diameter: float, center: Pair, pose: Pose | None) -> Tensor:
    """Part of each cell inside a disk; that of a tilted one, an ellipse, by the distance from its edge."""
    if not 0 < diameter < math.inf:
        raise GeometryError(f"diameter = {diameter}: must be finite and positive, in metres")
    flat = shapes.circle(field.grid, diameter / 2, center if pose is None else pose.outside(center))
    if pose is None or not pose.tilted:
        return flat
    y, x = (axis.detach() - c for axis, c in zip(coordinates(field, pose), center, strict=True))
    inside = (diameter / 2 - torch.hypot(y, x)).expand(field.grid.shape)
    across = [torch.gradient(inside, dim=axis)[0].abs() for axis in (0, 1) if inside.shape[axis] > 1]
    return (0.5 + inside / sum(across, torch.full_like(inside, 1e-300))).clamp(0, 1)
