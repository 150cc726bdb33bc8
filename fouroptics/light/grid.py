"""Grid: where the samples lie, in plain numbers. Imports no torch."""

import math
from collections.abc import Sized
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from fouroptics.errors import GeometryError
from fouroptics.units import show

Pair = tuple[float, float]


@dataclass(frozen=True, init=False)
class Grid:
    """A regular plane of samples; sample i of an axis lies at ``(i - n//2) * d + center``.

    Frozen and hashable, so a decision about sampling never touches a tensor and kernels can be cached by grid.

    Parameters
    ----------
    shape : tuple of int
        Samples (ny, nx).
    spacing : float or tuple of float
        Distance between samples (dy, dx) in metres.
    center : tuple of float
        Position (y, x) of sample n//2 in metres.

    Raises
    ------
    GeometryError
        If a size is not a positive whole number, or a length not finite, or a spacing not positive.

    Examples
    --------
    >>> g = Grid((4, 5), (8e-6, 8e-6))
    >>> g.coordinates()[0] * 1e6
    array([-16.,  -8.,   0.,   8.])
    """

    shape: tuple[int, int]
    spacing: Pair
    center: Pair

    def __init__(self, shape: tuple[int, int], spacing: float | Pair, center: Pair = (0.0, 0.0)) -> None:
        pitch = (spacing, spacing) if isinstance(spacing, int | float | Real) else spacing
        for name, pair in (("shape", shape), ("spacing", pitch), ("center", center)):
            if not isinstance(pair, Sized) or len(pair) != 2:
                raise GeometryError(f"{name} = {pair!r}: give two numbers, (y, x)")
        if any(n != int(n) or n < 1 for n in shape):
            raise GeometryError(f"shape = {shape!r}: both sizes must be whole numbers of at least 1")
        if not all(math.isfinite(d) and d > 0 for d in pitch):
            raise GeometryError(f"spacing = {pitch!r}: both must be finite and positive, in metres")
        if not all(math.isfinite(c) for c in center):
            raise GeometryError(f"center = {center!r}: both must be finite, in metres")
        object.__setattr__(self, "shape", (int(shape[0]), int(shape[1])))
        object.__setattr__(self, "spacing", (float(pitch[0]), float(pitch[1])))
        object.__setattr__(self, "center", (float(center[0]), float(center[1])))

    @property
    def extent(self) -> Pair:
        """Height and width n * d, in metres."""
        return self.shape[0] * self.spacing[0], self.shape[1] * self.spacing[1]

    @property
    def cell(self) -> float:
        """Area dy * dx of a sample, in square metres."""
        return self.spacing[0] * self.spacing[1]

    def coordinates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sample positions (y, x) in metres: two float64 arrays of lengths ny and nx."""
        y, x = (
            (np.arange(n, dtype=np.float64) - n // 2) * d + c
            for n, d, c in zip(self.shape, self.spacing, self.center, strict=True)
        )
        return y, x

    def frequencies(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Spatial frequencies (fy, fx) in cycles per metre, centred: sample i is ``(i - n//2) / (n d)``."""
        fy, fx = ((np.arange(n) - n // 2) / (n * d) for n, d in zip(self.shape, self.spacing, strict=True))
        return fy, fx

    def shifted(self, dy: float, dx: float) -> "Grid":
        """Return the same grid moved by (dy, dx) metres."""
        return replace(self, center=(self.center[0] + dy, self.center[1] + dx))

    def inverted(self, magnification: float = 1.0) -> "Grid":
        """Return the grid of the samples after inversion: at ``-magnification * position``, in rising order.

        Flipping both axes of an array on it gives the upright image, with no roll: for even n its centre is one sample
        off.
        """
        spacing = (magnification * self.spacing[0], magnification * self.spacing[1])
        off = [d * (1 - n % 2) - magnification * c for n, d, c in zip(self.shape, spacing, self.center, strict=True)]
        return Grid(self.shape, spacing, (off[0], off[1]))

    def __str__(self) -> str:
        (ny, nx), (dy, dx) = self.shape, self.spacing
        pitch = show(dx, "length", 4) if dy == dx else f"{show(dy, 'length', 4)} x {show(dx, 'length', 4)}"
        return f"{ny} x {nx} samples of {pitch}"
