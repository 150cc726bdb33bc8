"""Shapes on a grid: real transmissions (ny, nx), float64. Edge samples carry the covered part of their cell."""

import torch
from torch import Tensor

from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes


def circle(grid: Grid, radius: float, center: Pair = (0.0, 0.0)) -> Tensor:
    """Disk of a radius in metres; an edge cell carries the part that a straight edge through it covers."""
    y, x = axes(grid)
    dy, dx = y - center[0], x - center[1]
    r = torch.hypot(dy, dx).clamp_min(1e-300)
    width = (dy.abs() * grid.spacing[0] + dx.abs() * grid.spacing[1]) / r  # the cell seen along the radius
    return ((radius - r) / width.clamp_min(min(grid.spacing)) + 0.5).clamp(0, 1)


def rectangle(grid: Grid, size: Pair, center: Pair = (0.0, 0.0)) -> Tensor:
    """Rectangle of size (height, width) in metres; edge cells carry exactly the covered part."""
    covered = [
        ((side / 2 - (axis - c).abs()) / d + 0.5).clamp(0, min(1.0, side / d))
        for axis, side, c, d in zip(axes(grid), size, center, grid.spacing, strict=True)
    ]
    return covered[0] * covered[1]
