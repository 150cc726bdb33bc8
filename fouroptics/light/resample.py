"""Samples between samples: values of a sampled field at any points, for parts that are turned or moved."""

import math

import torch
from torch import Tensor

from fouroptics.light.grid import Grid

REACH = 8  #: samples on each side of a point that count
BAND = 0.5  #: part of the band of the samples that is held to 1e-6


def sample(data: Tensor, grid: Grid, y: Tensor, x: Tensor) -> Tensor:
    """Values at any points, by the sinc series under a Kaiser window of 16 x 16 samples.

    ``u(r) = sum_n u_n sinc(r/d - n) w(r/d - n)`` with ``w(t) = I0(b sqrt(1 - (t/8)^2)) / I0(b)``, b = 4 pi (J. F.
    Kaiser and R. W. Schafer, IEEE Trans. ASSP 28, 105, 1980). A wave within half of the band of the samples on both
    axes (twice oversampled) is off by at most 4e-6 of its amplitude; one at 0.6 of both by 4e-3, at 0.7 by 5e-2, at 0.8
    by 0.3: a hard edge rings, as it would in any interpolation. At the samples it is exact. It takes 256 passes over
    the points: 5 s for 1024 x 1024 on one CPU core.

    Parameters
    ----------
    data : torch.Tensor
        Real or complex samples (..., ny, nx); 0 outside the grid.
    grid : Grid
        Where they lie.
    y, x : torch.Tensor
        Points in metres, float64, of shapes that broadcast to (py, px).

    Returns
    -------
    torch.Tensor
        (..., py, px), of the dtype of `data`; gradients reach the data and the points.
    """
    y, x = torch.broadcast_tensors(y, x)
    places = [(at - grid.center[a]) / grid.spacing[a] + grid.shape[a] // 2 for a, at in enumerate((y, x))]
    lines = [_line(place, data) for place in places]
    out = data.new_zeros(())
    for i in range(2 * REACH):
        rows, height = lines[0][0] + i, lines[0][1][i]
        for j in range(2 * REACH):
            columns, width = lines[1][0] + j, lines[1][1][j]
            weight = height * width * _inside(rows, grid.shape[0]) * _inside(columns, grid.shape[1])
            out = out + data[..., rows.clamp(0, grid.shape[0] - 1), columns.clamp(0, grid.shape[1] - 1)] * weight
    return out


def slide_rows(data: Tensor, start: Tensor, count: int, stride: int = 1) -> Tensor:
    """Rows of samples, each begun at a place of its own: ``out[y, i] = u_y(start_y + stride i)``, by the same series.

    Parameters
    ----------
    data : torch.Tensor
        Real or complex samples (..., ny, nx); 0 outside.
    start : torch.Tensor
        Where the rows begin, in samples from the first one, float64 (ny,).
    count, stride : int
        Samples of a new row, and how many old ones they are apart.

    Returns
    -------
    torch.Tensor
        (..., ny, count), of the dtype of `data`; gradients reach the data and the places.
    """
    (first, weights), wide, n = _line(start[:, None], data), stride * (count - 1) + 1, data.shape[-1]
    columns = first + torch.arange(wide + 2 * REACH - 1, device=data.device)
    rows = torch.arange(len(start), device=data.device)[:, None]
    near = data[..., rows, columns.clamp(0, n - 1)] * _inside(columns, n)
    out = near[..., :wide:stride] * weights[0]
    for i in range(1, 2 * REACH):
        out = out + near[..., i : i + wide : stride] * weights[i]
    return out


def _line(place: Tensor, data: Tensor) -> tuple[Tensor, list[Tensor]]:
    """First sample that counts for each place along an axis, and the weights of it and the ones behind it."""
    first = place.detach().floor().long() - (REACH - 1)
    shape = math.pi * REACH * (1 - BAND)
    weights = []
    for i in range(2 * REACH):
        t = place - (first + i)
        window = torch.special.i0(shape * torch.sqrt((1 - (t / REACH) ** 2).clamp_min(1e-12)))
        weight = torch.sinc(t) * window / torch.special.i0(torch.tensor(shape, dtype=torch.float64))
        weights.append(weight.to(data.device, data.real.dtype if data.is_complex() else data.dtype))
    return first.to(data.device), weights


def _inside(index: Tensor, n: int) -> Tensor:
    return (index >= 0) & (index < n)
