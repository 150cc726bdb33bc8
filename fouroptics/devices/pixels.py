"""Pixels: what squares of a camera see of an intensity that is known on another grid.

======================  =============================================================
to read                 call
======================  =============================================================
one pixel               ``nearest(frame, pixels, image_grid)``
n x n pixels around it  ``average(frame, pixels, image_grid, side=n * pitch)``
the image pixel itself  ``average(frame, pixels, image_grid)``
======================  =============================================================
"""

import math
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.grid import Grid
from fouroptics.units import show


def covered(source: Grid, target: Grid, axis: int, side: float) -> NDArray[np.float64]:
    """Part of each box of length `side` around the samples of `target` that each cell of `source` covers.

    Returns
    -------
    numpy.ndarray
        (n_target, n_source) float64; the rows of boxes that lie on the cells of `source` sum to 1.
    """
    d, x = source.spacing[axis], target.coordinates()[axis]
    begin = (x - side / 2 - source.coordinates()[axis][0]) / d + 0.5  # in cells of the source
    cell = np.arange(source.shape[axis])
    both = np.minimum((begin + side / d)[:, None], cell + 1) - np.maximum(begin[:, None], cell)
    return np.maximum(both, 0) * (d / side)


def average(
    values: Tensor, grid: Grid, onto: Grid, side: float | None = None, offsets: tuple[float, ...] = (0.0,)
) -> Tensor:
    """Mean of an intensity over a square around each sample of `onto`; every sample fills its cell of `grid`.

    The overlaps are exact, so ``sum(average) * onto.cell`` is ``sum(values) * grid.cell`` where the cells of both grids
    fill the same area. For an intensity I at points a cell is a second-order approximation: a fringe of frequency v
    keeps ``sinc(side v) / sinc(d v)`` of its contrast where the side is a multiple of d.

    Parameters
    ----------
    values : torch.Tensor
        Real (..., y, x), in any unit.
    grid : Grid
        Where they lie.
    onto : Grid
        Centres of the squares.
    side : float, optional
        Of the squares in metres; left out, the cells of `onto`.
    offsets : tuple of float
        The squares stand at these distances from the samples of `onto`, in metres along both axes, and are averaged.

    Returns
    -------
    torch.Tensor
        Real (..., Y, X) in the unit of `values`; differentiable.

    Warns
    -----
    SamplingWarning
        If squares reach beyond the cells of `grid`; nothing is known there, and it counts as dark.

    Examples
    --------
    >>> average(torch.tensor([[1.0, 2.0, 3.0]]), Grid((1, 3), 1.0), Grid((1, 1), (1.0, 3.0)))
    tensor([[2.]])
    """
    values = torch.as_tensor(values)
    _same_shape(values, grid)
    if values.is_complex() or not (side is None or 0 < side < math.inf):
        raise GeometryError(f"{values.dtype}, side = {side}: give intensities, |u|^2, and squares of a positive side")
    values = values if values.is_floating_point() else values.float()
    weights = []
    for axis in (0, 1):
        length = onto.spacing[axis] if side is None else side
        boxes = (onto.shifted(offset, offset) for offset in offsets)
        weights.append(np.mean([covered(grid, box, axis, length) for box in boxes], axis=0))
    seen = min(float(part.sum(1).min()) for part in weights)
    if seen < 1 - 1e-6:
        warnings.warn(
            f"squares on {onto} reach beyond {grid}: of one, {100 * seen:.3g} % of a side is known and the rest counts "
            "as dark; use samples that cover all of them, or a smaller grid of squares",
            SamplingWarning,
            stacklevel=2,
        )
    rows, columns = (torch.from_numpy(part).to(values) for part in weights)
    return rows @ values @ columns.mT


def nearest(values: Tensor, grid: Grid, onto: Grid) -> Tensor:
    """Values (..., Y, X) of the cells of `grid` that hold the samples of `onto`: one pixel for each of them.

    Raises
    ------
    GeometryError
        If a sample of `onto` lies on no cell, or the values do not lie on `grid`.
    """
    _same_shape(values, grid)
    index = []
    for wanted, have, d in zip(onto.coordinates(), grid.coordinates(), grid.spacing, strict=True):
        cell = np.floor((wanted - have[0]) / d + 0.5 + 1e-9).astype(np.int64)  # between two pixels the latter
        if cell[0] < 0 or cell[-1] >= len(have):
            edges = " .. ".join(show(x, "length", 4) for x in (have[0], have[-1]))
            raise GeometryError(f"{onto} reach beyond the pixels at {edges}; use a larger camera or a smaller grid")
        index.append(torch.from_numpy(cell).to(values.device))
    return values[..., index[0][:, None], index[1]]


def active_part(n: int, fill_factor: float) -> Tensor:
    """Part of each of n x n sub-pixels that the active square in the middle of a pixel covers, float64 (n, n)."""
    side = math.sqrt(fill_factor)
    part = torch.linspace(-0.5, 0.5, n + 1, dtype=torch.float64).clamp(-side / 2, side / 2).diff() * n
    return part[:, None] * part


def _same_shape(values: Tensor, grid: Grid) -> None:
    if tuple(values.shape[-2:]) != grid.shape:
        raise GeometryError(f"values {tuple(values.shape)} do not end in the shape of their grid, {grid.shape}")


def blurred_rows(data: Tensor, sigma: float, at: list[float]) -> Tensor:
    """Rows of uniform cells, blurred by a Gaussian, at offsets from the cells' middles: exact, (..., n * len(at)).

    A cell k away weighs ``(erf(b) - erf(a)) / 2`` with a, b its edges in units of sqrt(2) sigma. The outermost cells go
    on beyond the edge; cells beyond 6 sigma are left out, 2e-9 of the light.
    """
    reach, n = math.ceil(6 * sigma + 1), data.shape[-1]
    edges = torch.arange(-reach, reach + 2, dtype=torch.float64) - 0.5 - torch.tensor(at, dtype=torch.float64)[:, None]
    weights = torch.erf(edges / (math.sqrt(2) * sigma)).diff(dim=-1) / 2
    weights = (weights / weights.sum(-1, keepdim=True)).to(data)
    beyond = torch.arange(-reach, n + reach, device=data.device).clamp(0, n - 1)
    return (data.index_select(-1, beyond).unfold(-1, 2 * reach + 1, 1) @ weights.T).flatten(-2)


def spread(data: Tensor, sigma: float, at: list[float]) -> Tensor:
    """Cells (..., y, x), blurred, at the same offsets in y and x: (..., y * len(at), x * len(at))."""
    if not sigma:
        return data.repeat_interleave(len(at), -2).repeat_interleave(len(at), -1)
    return blurred_rows(blurred_rows(data, sigma, at).mT, sigma, at).mT
