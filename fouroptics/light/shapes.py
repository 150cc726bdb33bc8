"""Shapes on a grid: real transmissions (ny, nx), float64. Edge samples carry the covered part of their cell."""

import torch
from torch import Tensor

from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes


def circle(grid: Grid, radius: float, center: Pair = (0.0, 0.0)) -> Tensor:
    """Disk of a radius in metres; an edge cell carries the part that a straight edge through it covers."""
    y, x = axes(grid)
    dy, dx = y - center[0], x - center[1]
    r = torch.hypot(dy, dx)
    sides = [(dx.abs() / r).nan_to_num(1.0) * grid.spacing[1], (dy.abs() / r).nan_to_num(0.0) * grid.spacing[0]]
    a, b = (side.clamp_min(1e-4 * min(grid.spacing)) for side in sides)  # the cell's sides seen along the radius
    low, high = (a - b) / 2, (a + b) / 2
    inside = torch.minimum(torch.maximum(radius - r, -high), high)  # from the middle of the cell to the edge
    parts = [(inside + step).clamp_min(0).square() for step in (high, low, -low, -high)]
    return ((parts[0] - parts[1] - parts[2] + parts[3]) / (2 * a * b)).clamp(0, 1)


def rectangle(grid: Grid, size: Pair, center: Pair = (0.0, 0.0)) -> Tensor:
    """Rectangle of size (height, width) in metres; edge cells carry exactly the covered part."""
    covered = [
        ((side / 2 - (axis - c).abs()) / d + 0.5).clamp(0, min(1.0, side / d))
        for axis, side, c, d in zip(axes(grid), size, center, grid.spacing, strict=True)
    ]
    return covered[0] * covered[1]
