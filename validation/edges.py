"""Straight edges: square, rectangles, double slit, knife edge; of whole cells and of parts of cells."""

import math
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.units import mm, show, um
from validation import exact
from validation.case import DOUBLE, SINGLE, Case, Point, Setting
from validation.space import BOTH, GRID, ROUNDING, WAVELENGTH, sampled

Box = tuple[float, float, float, float]  # y from, to, x from, to
Boxes = tuple[Box, ...]
WHERE = {0.0: "between samples", 0.3: "0.3 of a cell in", 0.5: "on samples"}


# ---- rectangles ------------------------------------------------------------------------------------------------------


def openings(boxes: Boxes, grid: fo.Grid, dtype: torch.dtype) -> fo.Field:
    """Rectangles under a plane wave of amplitude 1; cells on an edge carry the part that is open."""
    data = torch.zeros(grid.shape, dtype=torch.float64)
    for top, end, left, right in boxes:
        data += fo.shapes.rectangle(grid, (end - top, right - left), ((top + end) / 2, (left + right) / 2))
    return fo.Field(data.to(dtype), grid, WAVELENGTH)


@lru_cache(maxsize=4)
def boundary_waves(boxes: Boxes, grid: fo.Grid, z: float) -> Tensor:
    """Exact field behind rectangles."""
    corners = (((top, left), (top, right), (end, right), (end, left)) for top, end, left, right in boxes)
    waves = [sampled(exact.polygon, (edge,), grid, z) for edge in corners]
    return torch.stack(waves).sum(0)


def fresnel_integrals(box: Box, grid: fo.Grid, z: float) -> Tensor:
    """Paraxial field behind a rectangle."""
    (top, end, left, right), (y, x) = box, grid.coordinates()
    rows, columns = exact.slit(y, z, WAVELENGTH, (top, end)), exact.slit(x, z, WAVELENGTH, (left, right))
    return torch.from_numpy(exact.phasor(z / WAVELENGTH) * np.outer(rows, columns))


def edge_miss(edge: float, grid: fo.Grid, i: int, z: float, *, pixels: bool) -> exact.Complex:
    """What a sum over samples that carry their open part misses on an axis of `grid`, at an upper edge of amplitude 1.

    With the edge at the part t of its cell, the second term of Euler and Maclaurin, ``t(1-t)/2 - 1/24`` times ``d^2
    dh/dx``, h being the response of free space; and ``t - 1/2`` of the last, alternating wave of the band of the
    samples, ``2 d^2/(pi lambda z)`` on the axis. A sum over uniform cells (`pixels`) has neither the 1/24 of the
    midpoint rule nor a band.
    """
    axis, d, c, scale = grid.coordinates()[i], grid.spacing[i], grid.center[i], WAVELENGTH * z
    cell, part = divmod((edge - c) / d + 0.5, 1)
    away = axis - edge
    slope = -2j * np.pi * away / scale * np.exp(1j * np.pi * away**2 / scale) / np.sqrt(1j * scale)
    if pixels:
        return part * (1 - part) / 2 * d**2 * slope
    band = 2j * d**2 / (np.pi * scale * (1 - (2 * d * away / scale) ** 2)) * exact.phasor(-scale / (8 * d**2))
    sign = np.cos(np.pi * ((axis - c) / d - cell))
    return (part * (1 - part) / 2 - 1 / 24) * d**2 * slope + (part - 0.5) * sign * band


def summation(box: Box, grid: fo.Grid, z: float, *, pixels: bool) -> float:
    """What the sum misses of `fresnel_integrals`, relative."""
    lines, misses = [], []
    for i, ends in enumerate((box[:2], box[2:])):
        low, high = (edge_miss(edge, grid, i, z, pixels=pixels) for edge in ends)
        lines.append(exact.slit(grid.coordinates()[i], z, WAVELENGTH, ends))
        misses.append(high - low)
    miss = np.outer(misses[0], lines[1]) + np.outer(lines[0], misses[1])
    return float(np.linalg.norm(miss) / np.linalg.norm(np.outer(*lines)))


def square(offset: float, side: float = 0.992 * mm) -> Box:
    """A square whose middle is off by so much in y and x."""
    return offset - side / 2, offset + side / 2, offset - side / 2, offset + side / 2


def uneven(z: float, part: float, n: int = 256, pixels: bool = False) -> Setting:
    """The square with its edges at a part of a cell, on n x n samples of the same window."""
    grid = fo.Grid((n, n), 2.048 * mm / n)
    box = square((part - 0.5) * grid.spacing[0])
    limit = 1.1 * summation(box, grid, z, pixels=pixels)
    return Setting(
        f"{WHERE[part]}, d = {show(grid.spacing[0], 'length')}, z = {show(z, 'length')}" + ", cells" * pixels,
        {DOUBLE: limit},
        partial(openings, (box,), grid),
        z,
        partial(fresnel_integrals, box, grid, z),
        pixels=pixels,
        ours_only=True,
    )


def uneven_order(z: float, part: float, pixels: bool) -> float:
    """How far the order of convergence of `uneven`, over one halving of the pitch, is from 2."""
    errors = [uneven(z, part, n, pixels).measure(DOUBLE) for n in (256, 512)]
    return abs(math.log2(errors[0] / errors[1]) - 2)


def cells(label: str, boxes: Boxes, z: float, grid: fo.Grid = GRID, onto: fo.Grid | None = None) -> Setting:
    """Rectangles of whole cells against their boundary waves."""
    there = partial(boundary_waves, boxes, onto or grid, z)
    orders = 4 * WAVELENGTH / (math.pi**2 * z)
    tolerance = {dtype: limit + orders for dtype, limit in BOTH.items()}
    return Setting(label, tolerance, partial(openings, boxes, grid), z, there, onto, pixels=True, ours_only=True)


# ---- knife edge ------------------------------------------------------------------------------------------------------

KNIFE_WAIST = 0.3 * mm


def cut(edge: float, dtype: torch.dtype) -> fo.Field:
    """A Gaussian beam in its waist, cut at x = edge."""
    data = sampled(exact.gaussian, (KNIFE_WAIST,), GRID, 0.0) * fo.shapes.edge(GRID, 0.0, (0.0, edge))
    return fo.Field(data.to(dtype), GRID, WAVELENGTH)


def behind_knife(edge: float, z: float) -> Tensor:
    """The same after z: an error function across the edge, a whole beam along it."""
    (y, x), waist = GRID.coordinates(), KNIFE_WAIST
    rows, columns = (exact.half_gaussian(axis, z, WAVELENGTH, waist, e) for axis, e in ((y, -8 * waist), (x, edge)))
    return torch.from_numpy(exact.phasor(z / WAVELENGTH) * np.outer(rows, columns))


def knife_edge(part: float, z: float) -> Setting:
    """The cut a part of a cell off the middle."""
    edge = (part - 0.5) * GRID.spacing[1]
    miss = edge_miss(edge, GRID, 1, z, pixels=False)
    line = exact.half_gaussian(GRID.coordinates()[1], z, WAVELENGTH, KNIFE_WAIST, edge)
    limit = 1.1 * float(np.linalg.norm(miss) / np.linalg.norm(line))
    label = f"{WHERE[part]}, z = {show(z, 'length')}"
    return Setting(label, {DOUBLE: limit}, partial(cut, edge), z, partial(behind_knife, edge, z), ours_only=True)


D = GRID.spacing[0]
#: The square that other packages are compared on: Fresnel integrals, edges between samples, each sample a cell.
SQUARE = tuple(
    Setting(
        f"z = {show(z, 'length')}",
        {DOUBLE: limit, SINGLE: limit + 1e-6},
        partial(openings, (square(-D / 2),), GRID),
        z,
        partial(fresnel_integrals, square(-D / 2), GRID, z),
        pixels=True,
    )
    for z, limit in {0.05: 1.2e-3, 0.1: 2.5e-4, 0.3: 1.5e-5, 1.0: 8e-7, 3.0: 8e-8}.items()
)
BY_FRESNEL = tuple(
    replace(setting, tolerance=BOTH, by=partial(fo.fresnel, z=setting.z, pixels=True), ours_only=True)
    for setting in SQUARE[::2]
)
OBLONG = fo.Grid((151, 134), (12 * um, 8 * um))
BLOCK = ((-41.5 * 12 * um, 30.5 * 12 * um, -20.5 * D, 44.5 * D),)
DOUBLE_SLIT = tuple((-60.5 * D, 59.5 * D, left * D, (left + 5) * D) for left in (-15.5, 9.5))
CELLS = (
    *(
        cells(f"square, two rows, z = {show(z, 'length')}", (square(-D / 2),), z, GRID, fo.Grid((2, 256), D, (y, 0.0)))
        for z, y in ((0.01, -200 * um), (0.05, 104 * um), (0.3, 200 * um), (3.0, 0.0))
    ),
    cells(
        "square, its corner on 1.3 um, z = 50 mm",
        (square(-D / 2),),
        0.05,
        GRID,
        fo.Grid((24, 31), 1.3 * um, (0.496e-3, -0.496e-3)),
    ),
    cells(
        "72 x 65 cells of 12 x 8 um, z = 200 mm",
        BLOCK,
        0.2,
        OBLONG,
        fo.Grid((17, 20), (53 * um, 37 * um), (90 * um, -55 * um)),
    ),
    cells("double slit, z = 50 mm", DOUBLE_SLIT, 0.05, GRID, fo.Grid((2, 256), D, (50 * um, 0.0))),
    cells("double slit, z = 1 m", DOUBLE_SLIT, 1.0, GRID, fo.Grid((16, 24), 0.9 * mm, (1 * mm, -3 * mm))),
)
WITHIN = tuple(
    uneven(z, part, pixels=pixels)
    for pixels, parts in ((False, (0.0, 0.3, 0.5)), (True, (0.3, 0.5)))
    for part in parts
    for z in (0.1, 1.0)
)

CASES = (
    Case(
        "square",
        "J. W. Goodman, sec. 4.5.1: Fresnel integrals; a square of 0.992 mm on 8 um, each sample a cell (pixels=True)",
        "what the Fresnel integrals themselves miss of the boundary wave (below), rounded up; complex64: plus "
        "1e-6. The best of the other packages is at 2e-3, 8e-4, 2e-4, 3e-5 and 7e-6",
        SQUARE,
    ),
    Case(
        "square by fresnel",
        "the same Fresnel integrals, which are what fo.fresnel sums up for uniform cells",
        ROUNDING,
        BY_FRESNEL,
    ),
    Case(
        "rectangles of cells",
        "E. W. Marchand and E. Wolf, J. Opt. Soc. Am. 52, 761 (1962): the Rayleigh-Sommerfeld integral as a boundary "
        "wave; no paraxial step",
        "rounding (1e-8 and 1e-6) plus 16 lambda/(4 pi^2 z): all orders of a cell take the paraxial response, the "
        "rest of the phase, s^4/8, is that of the order they fold onto; each edge and end of the band adds one term, "
        "two near the end",
        CELLS,
    ),
    Case(
        "edges within cells",
        "Fresnel integrals, as for the square; samples carry the open part of their cell",
        "1.1 times the second term of Euler and Maclaurin, d^2 (t(1-t)/2 - 1/24) dh/dx for an edge the part t of a "
        "cell in, and t - 1/2 of the last wave of the band, 2 d^2/(pi lambda z); where the samples are cells only "
        "t(1-t)/2",
        WITHIN,
    ),
    Case(
        "edges within cells, order",
        "the same, from d = 8 um to 4 um: distance of the order of convergence from 2",
        "a tenth for the next order",
        tuple(
            Point(f"{WHERE[part]}, z = 300 mm" + ", cells" * pixels, 0.1, partial(uneven_order, 0.3, part, pixels))
            for part, pixels in ((0.0, False), (0.5, False), (0.5, True))
        ),
    ),
    Case(
        "knife edge",
        "Abramowitz and Stegun, 7.4.32: a Gaussian beam of w0 = 0.3 mm cut along its axis, by a complex error function",
        "1.1 times the same two terms",
        tuple(knife_edge(part, z) for part in (0.0, 0.3, 0.5) for z in (0.1, 1.0)),
    ),
)
