"""Partly coherent light: a stream of modes, each coherent in itself, whose intensities add.

Several wavelengths are a stream too, for instance ``(plane_wave(grid, w, power=p) for w, p in lines)``. Lines that are
``dw`` apart make fringes that come back every ``w^2 / dw`` of path: to stand for a continuous spectrum they must lie
closer than that takes over the largest path difference of the bench.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import plane_wave
from fouroptics.units import show

Nodes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def intensity(fields: Iterable[Field], then: Callable[[Field], Field] = lambda field: field) -> Tensor:
    """Sum of ``|then(u)|^2`` over the modes u.

    One mode is held at a time, so memory does not grow with their number. Where a gradient is recorded, torch keeps
    what it needs of every mode; wrap `then` in ``torch.utils.checkpoint`` to have it computed again instead.

    Parameters
    ----------
    fields : iterable of Field
        The modes; a generator is used up.
    then : callable
        What happens to each: a `Bench`, or any function from Field to Field.

    Returns
    -------
    torch.Tensor
        Real (..., y, x), in W/m^2.

    Raises
    ------
    GeometryError
        If there is no mode, or two of them end on different grids.

    Examples
    --------
    >>> grid = Grid((4, 4), 8e-6)
    >>> red_and_green = (plane_wave(grid, w, power=1e-3) for w in (633e-9, 532e-9))
    >>> round(float(intensity(red_and_green).sum()) * grid.cell, 9)
    0.002
    """
    total, grid = None, None
    for field in map(then, fields):
        if grid not in (None, field.grid):
            raise GeometryError(f"modes on {grid} and on {field.grid}: give `then` one grid to end on (onto=)")
        total, grid = field.intensity if total is None else total + field.intensity, field.grid
    if total is None:
        raise GeometryError("no modes: give at least one field; a generator that was used before is empty")
    return total


def extended_source(
    grid: Grid,
    wavelength: float,
    *,
    size: float | Pair,
    shape: Literal["disk", "rectangle"] = "disk",
    samples: int | None = None,
    power: float = 1.0,
    direction: Pair = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Iterator[Field]:
    """Uniform incoherent source far away: plane waves whose directions are the nodes of a Gauss quadrature over it.

    The mutual intensity of two points is that of van Cittert and Zernike (Goodman, *Statistical Optics*, sec. 5.7),
    ``sinc(s size / lambda)`` or ``2 J1(v)/v`` with ``v = pi s size / lambda`` for points s apart. With n nodes across
    it is right to 2e-3 up to ``s = (n - 2) lambda / (2 size)`` and to 1e-5 up to half of that; beyond, it is lost. As
    many equidistant directions would be off by 2e-2, and repeat the pattern every ``s = n lambda / size``.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    wavelength : float
        In metres.
    size : float or tuple of float
        Full width (y, x) of the source in direction sines, which for a small source is its angle in rad.
    shape : {"disk", "rectangle"}
        Of the source; a disk of two widths is an ellipse.
    samples : int, optional
        Nodes n across: n^2 modes, n more for a disk of odd n. Left out, as many as points at opposite ends of the grid
        take: ``2 size extent / lambda + 2``.
    power : float
        Power of all modes together through the whole grid in watts.
    direction : tuple of float
        Direction sines (sy, sx) of the middle of the source.
    dtype : torch.dtype
        complex64 or complex128.

    Returns
    -------
    iterator of Field
        The modes, of different power; used up by one `intensity`.

    Raises
    ------
    GeometryError
        If the size is not positive.

    Warns
    -----
    SamplingWarning
        If `samples` are too few for two points at opposite ends of the grid.
    """
    widths = (size, size) if isinstance(size, int | float) else size
    turns = [w * e / wavelength for w, e in zip(widths, grid.extent, strict=True)]
    if not (min(turns) >= 0 and 0 < max(turns) < math.inf):
        raise GeometryError(f"size = {size!r}: must be positive, in direction sines; without a size take plane_wave")
    need = 2 * (math.hypot(*turns) if shape == "disk" else max(turns)) + 2
    n = math.ceil(need - 1e-9) if samples is None else samples
    if n < need - 1e-9:
        warnings.warn(
            f"{n} samples across a source of {max(widths):.4g} rad hold for points up to "
            f"{show(max(n - 2, 0) * wavelength / (2 * max(widths)), 'length', 3)} apart, the grid is "
            f"{show(max(grid.extent), 'length', 4)} wide: take {math.ceil(need)} samples, or filter this if the light "
            "passes a smaller stop",
            SamplingWarning,
            stacklevel=2,
        )
    sy, sx, weight = _disk(n) if shape == "disk" else _square(n)
    towards = zip(direction[0] + widths[0] * sy.ravel(), direction[1] + widths[1] * sx.ravel(), strict=True)
    return (
        plane_wave(grid, wavelength, power=power * w, direction=pair, dtype=dtype)
        for pair, w in zip(towards, weight.flat, strict=True)
    )


def _square(n: int) -> Nodes:
    """Nodes (y, x) and weights, of sum 1, over the unit square about 0: n by n."""
    node, weight = np.polynomial.legendre.leggauss(n)
    y, x = np.meshgrid(node / 2, node / 2, indexing="ij")
    return y, x, np.outer(weight, weight) / 4


def _disk(n: int) -> Nodes:
    """Nodes (y, x) and weights, of sum 1, over the disk of diameter 1: (n+1)/2 radii by 2n angles."""
    node, weight = np.polynomial.legendre.leggauss((n + 1) // 2)
    radius, angle = np.sqrt((1 + node) / 2) / 2, (np.arange(2 * n) + 0.5) * np.pi / n
    return (
        np.outer(radius, np.sin(angle)),
        np.outer(radius, np.cos(angle)),
        np.repeat(weight[:, None], 2 * n, 1) / (4 * n),
    )
