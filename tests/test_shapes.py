"""Shapes: what an edge cell carries."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fouroptics as fo
from fouroptics.units import um

GRID = fo.Grid((40, 41), (8 * um, 5 * um))
FEW = settings(deadline=None, derandomize=True, max_examples=40)


def counted(radius: float, center: tuple[float, float], n: int = 40) -> np.ndarray:
    """Covered part of each cell by counting n x n points in it."""
    inside = (np.arange(n) + 0.5) / n - 0.5
    y, x = (
        (axis[:, None] + inside * d).ravel() - c
        for axis, d, c in zip(GRID.coordinates(), GRID.spacing, center, strict=True)
    )
    covered = y[:, None] ** 2 + x[None, :] ** 2 < radius**2
    return covered.reshape(40, n, 41, n).mean((1, 3))


@pytest.mark.parametrize("center", [(0.0, 0.0), (3.1 * um, -17 * um)])
@pytest.mark.parametrize("radius", [30 * um, 50.3 * um, 80 * um])
def test_a_cell_carries_what_the_circle_covers(radius: float, center: tuple[float, float]):
    """To d^2/(8 R): how far the circle leaves a straight edge within a cell's diagonal, in shorter sides."""
    sagitta = (8**2 + 5**2) * um**2 / (8 * radius) / (5 * um)
    off = np.abs(fo.shapes.circle(GRID, radius, center).numpy() - counted(radius, center)).max()
    assert off < sagitta + 1 / 40  # and a row of counted points


def test_the_area_of_a_circle():
    """Edges taken as straight cover too much, by about (d/R)^2/24: 1e-3 at six cells, and hardly by chance."""
    area = [float(fo.shapes.circle(GRID, 50 * um, (0.0, c * um)).sum()) * GRID.cell for c in (0, 1, 2.5, 4)]
    assert area == pytest.approx([math.pi * (50 * um) ** 2] * 4, rel=3e-3)
    assert max(area) - min(area) < 1e-3 * area[0]


def test_a_circle_is_symmetric_passive_and_empty_outside():
    disk = fo.shapes.circle(fo.Grid((41, 41), (8 * um, 8 * um)), 100 * um)
    torch.testing.assert_close(disk, disk.flip(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(disk, disk.T, rtol=0, atol=1e-12)
    assert float(disk.min()) == 0
    assert float(disk.max()) <= 1
    assert float(disk[20, 20 + 11]) == pytest.approx(1)  # 88 um
    assert float(disk[20, 20 + 14]) == 0  # 112 um


@FEW
@given(
    st.tuples(st.floats(0.1, 30), st.floats(0.1, 30)),
    st.tuples(st.floats(-100, 100), st.floats(-70, 70)),
)
def test_the_area_of_a_rectangle_is_exact(size: tuple[float, float], center: tuple[float, float]):
    box = fo.shapes.rectangle(GRID, (size[0] * um, size[1] * um), (center[0] * um, center[1] * um))
    assert float(box.sum()) * GRID.cell == pytest.approx(size[0] * size[1] * um**2, rel=1e-9)
    assert float(box.min()) >= 0
    assert float(box.max()) <= 1


def test_a_rectangle_shares_its_edge_cells():
    box = fo.shapes.rectangle(GRID, (8 * um, 10 * um))  # height 1 cell, width 2 cells about a sample
    assert box[20, 18:23].tolist() == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert float(box[19].max()) == 0
