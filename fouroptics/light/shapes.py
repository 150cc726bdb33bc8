"""Shapes on a grid: real transmissions (ny, nx), float64. Edge samples carry the covered part of their cell.

Averaging over cells of pitch d multiplies a spectrum by ``sinc(d f)``. The first bright ring of a circle of N samples
lies at ``f = 1.635 / (N d)`` and keeps about ``sinc(1.635 / N)^2`` of its light: 0.69 at N = 5, 0.91 at 10, 0.98 at
20. A shape of fewer than 5 samples across gives a SamplingWarning with the spacing that would do; to use one or two
cells on purpose, filter it.

An angle is that of the direction across the lines, from +x to +y: at 0 they run along y.
"""

import math
import warnings

import torch
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.units import show

ACROSS = 5  #: samples across a shape below which it warns


def circle(grid: Grid, radius: float, center: Pair = (0.0, 0.0)) -> Tensor:
    """Disk of a radius in metres; an edge cell carries the part that a straight edge through it covers."""
    _warn_if_narrow("a circle", 2 * radius, max(grid.spacing))
    return _disk(grid, radius, center)


def annulus(grid: Grid, inner: float, outer: float, center: Pair = (0.0, 0.0)) -> Tensor:
    """Ring between two radii in metres, such as a pupil with a central stop."""
    if not 0 <= inner < outer:
        raise GeometryError(f"inner = {inner!r}, outer = {outer!r}: the radii must rise, from 0 on")
    _warn_if_narrow("the width or the stop of a ring", min(outer - inner, 2 * inner or math.inf), max(grid.spacing))
    hole = _disk(grid, inner, center) if inner else 0.0
    return (_disk(grid, outer, center) - hole).clamp_min(0)


def rectangle(grid: Grid, size: Pair, center: Pair = (0.0, 0.0)) -> Tensor:
    """Rectangle of size (height, width) in metres; edge cells carry exactly the covered part."""
    for side, d in zip(size, grid.spacing, strict=True):
        _warn_if_narrow("a rectangle", side, d)
    covered = [
        ((side / 2 - (axis - c).abs()) / d + 0.5).clamp(0, min(1.0, side / d))
        for axis, side, c, d in zip(axes(grid), size, center, grid.spacing, strict=True)
    ]
    return covered[0] * covered[1]


def edge(grid: Grid, angle: float = 0.0, center: Pair = (0.0, 0.0)) -> Tensor:
    """Knife edge through `center`, open towards `angle` in rad; edge cells carry exactly the covered part."""
    sides = _sides(grid, math.cos(angle), math.sin(angle))
    return _half_plane(_across(grid, angle, center), *sides)


def slit(grid: Grid, width: float, angle: float = 0.0, center: Pair = (0.0, 0.0)) -> Tensor:
    """Endless slit of a width in metres, which is measured along `angle`; edge cells carry exactly the covered part."""
    along, across = math.cos(angle), math.sin(angle)
    _warn_if_narrow("a slit", width, math.hypot(grid.spacing[1] * along, grid.spacing[0] * across))
    place, sides = _across(grid, angle, center), _sides(grid, along, across)
    return (_half_plane(place + width / 2, *sides) - _half_plane(place - width / 2, *sides)).clamp_min(0)


def grating(grid: Grid, period: float, duty: float = 0.5, angle: float = 0.0, center: Pair = (0.0, 0.0)) -> Tensor:
    """Bars of a period in metres, open over the part `duty` of it; edge cells carry the covered part.

    One bar is centred on `center`. Order m has the amplitude ``duty sinc(m duty)``, times ``sinc(m d / period)`` for
    the average over cells. A phase grating of depth phi is ``1 + (exp(i phi) - 1) grating``.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    period : float
        In metres.
    duty : float
        Open part of a period, in (0, 1).
    angle : float
        Direction across the bars in rad, from +x to +y.
    center : tuple of float
        Position (y, x) of the middle of a bar in metres.

    Returns
    -------
    torch.Tensor
        float64 (ny, nx) in [0, 1].

    Raises
    ------
    GeometryError
        If `duty` is not between 0 and 1.

    Warns
    -----
    SamplingWarning
        If a period holds fewer than 5 samples.
    """
    along, across = math.cos(angle), math.sin(angle)
    _warn_if_narrow("the period of a grating", period, math.hypot(grid.spacing[1] * along, grid.spacing[0] * across))
    a, b = _sides(grid, along, across)
    return _bars(_across(grid, angle, center) / period, duty, a / period, b / period)


def sinusoid(grid: Grid, period: float, angle: float = 0.0, center: Pair = (0.0, 0.0)) -> Tensor:
    """Sinusoidal transmission ``(1 + cos(2 pi s / period)) / 2`` at the samples, with s along `angle` from `center`.

    Its spectrum is 1/2 at 0 and 1/4 at both ``1/period``. Warns above the Nyquist frequency.
    """
    for d, part in zip(grid.spacing, (math.sin(angle), math.cos(angle)), strict=True):
        _warn_if_narrow("the period of a sinusoid", period / max(abs(part), 1e-9), d, 2.02)  # Nyquist's 2, rounded up
    return (1 + torch.cos(2 * math.pi * _across(grid, angle, center) / period)) / 2


def star(grid: Grid, spokes: int, radius: float, center: Pair = (0.0, 0.0)) -> Tensor:
    """Siemens star: as many open as closed sectors in a disk of a radius in metres, one open about +x.

    At a distance r from its centre it is a grating of period ``2 pi r / spokes``, and is taken as one within a cell;
    where a period is less than a cell it is the grey 1/2.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    spokes : int
        Number of open sectors.
    radius : float
        In metres.
    center : tuple of float
        Position (y, x) in metres.

    Returns
    -------
    torch.Tensor
        float64 (ny, nx) in [0, 1].

    Warns
    -----
    SamplingWarning
        If even on the rim a period holds fewer than 5 samples.
    """
    if spokes != int(spokes) or spokes < 1:
        raise GeometryError(f"spokes = {spokes!r}: a whole number, 1 or more")
    _warn_if_narrow("a period on the rim of a star", 2 * math.pi * radius / spokes, max(grid.spacing))
    y, x = (axis - c for axis, c in zip(axes(grid), center, strict=True))
    r = torch.hypot(y, x).clamp_min(1e-3 * min(grid.spacing))
    period = 2 * math.pi * r / spokes
    angle = torch.atan2(y, x)
    a, b = _sides(grid, angle.sin(), angle.cos())  # across a spoke is along the circle
    turns = spokes * angle / (2 * math.pi)
    return _disk(grid, radius, center) * _bars(turns, 0.5, a / period, b / period)


def _disk(grid: Grid, radius: float, center: Pair) -> Tensor:
    y, x = (axis - c for axis, c in zip(axes(grid), center, strict=True))
    r = torch.hypot(y, x)
    return _half_plane(radius - r, *_sides(grid, (x / r).nan_to_num(1.0), (y / r).nan_to_num(0.0)))


def _across(grid: Grid, angle: float, center: Pair) -> Tensor:
    """Distance of each sample from the line through `center`, positive towards `angle`."""
    y, x = axes(grid)
    return (x - center[1]) * math.cos(angle) + (y - center[0]) * math.sin(angle)


def _sides(grid: Grid, along: float | Tensor, across: float | Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of a cell as seen along a direction (x, y) of length 1: the longer, the shorter."""
    parts = (torch.as_tensor(part, dtype=torch.float64).abs() for part in (along, across))
    width, height = (part * d for part, d in zip(parts, grid.spacing[::-1], strict=True))
    return torch.maximum(width, height), torch.minimum(width, height)


def _half_plane(inside: Tensor, long: Tensor, short: Tensor) -> Tensor:
    """Part of a cell on the open side of a straight edge, which is `inside` metres from the middle of the cell."""
    rest = ((long + short) / 2 - inside.abs()).clamp_min(0)
    closed = torch.where(rest < short, rest.square() / (2 * long * short), 0.5 - inside.abs() / long).clamp_min(0)
    return torch.where(inside > 0, 1 - closed, closed)


def _bars(place: Tensor, duty: float, long: Tensor, short: Tensor) -> Tensor:
    """Part of a cell under bars of period 1 about the whole numbers, all lengths in periods.

    A bar train is ``duty + B1(t - duty/2) - B1(t + duty/2)`` with the periodic Bernoulli polynomials, and
    ``B3/6`` is the second integral of ``B1``; a cell is, along `place`, a box of `long` smoothed by a box of `short`.
    """
    if not 0 < duty < 1:
        raise GeometryError(f"duty = {duty!r}: the open part of a period must lie between 0 and 1")
    place, short = place % 1, torch.maximum(short, 1e-5 * long)  # off by 1e-6 at most where an edge meets a border

    def second(t: Tensor) -> Tensor:
        before, behind = (t - duty / 2) % 1, (t + duty / 2) % 1
        return (before * (before - 0.5) * (before - 1) - behind * (behind - 0.5) * (behind - 1)) / 6

    high, low = (long + short) / 2, (long - short) / 2
    total = second(place + high) - second(place + low) - second(place - low) + second(place - high)
    return (duty + total / (long * short)).clamp(0, 1)


def _warn_if_narrow(what: str, width: float, d: float, need: float = ACROSS) -> None:
    if not width > 0:
        raise GeometryError(f"{what}, {width!r} m across: must be positive")
    if width < 0.99 * need * d:  # the number it names, rounded, is enough
        warnings.warn(
            f"{what}, {show(width, 'length', 4)} across, holds {width / d:.3g} samples of {show(d, 'length', 4)} and "
            f"needs {need:g}: use samples of {show(width / need, 'length', 3)}",
            SamplingWarning,
            stacklevel=3,
        )
