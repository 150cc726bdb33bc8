"""Shapes: what an edge cell carries."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import j1

import fouroptics as fo
from fouroptics.units import parse, um

GRID = fo.Grid((40, 41), (8 * um, 5 * um))
FEW = settings(deadline=None, derandomize=True, max_examples=40)
narrow = pytest.mark.filterwarnings("ignore:a rectangle:fouroptics.errors.SamplingWarning")
CENTER = (11 * um, -4 * um)


def counted(covered: Callable[[np.ndarray, np.ndarray], np.ndarray], center: tuple[float, float]) -> np.ndarray:
    """Covered part of each cell by counting 40 x 40 points in it; ``covered(y, x)`` from the centre on."""
    inside = (np.arange(40) + 0.5) / 40 - 0.5
    y, x = (
        (axis[:, None] + inside * d).ravel() - c
        for axis, d, c in zip(GRID.coordinates(), GRID.spacing, center, strict=True)
    )
    return covered(y[:, None], x[None, :]).reshape(40, 40, 41, 40).mean((1, 3))


def miss(shape: torch.Tensor, covered: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    return float(np.abs(shape.numpy() - counted(covered, CENTER)).max())


@pytest.mark.parametrize("center", [(0.0, 0.0), (3.1 * um, -17 * um)])
@pytest.mark.parametrize("radius", [30 * um, 50.3 * um, 80 * um])
def test_a_cell_carries_what_the_circle_covers(radius: float, center: tuple[float, float]):
    """To d^2/(8 R): how far the circle leaves a straight edge within a cell's diagonal, in shorter sides."""
    sagitta = (8**2 + 5**2) * um**2 / (8 * radius) / (5 * um)
    exact = counted(lambda y, x: y**2 + x**2 < radius**2, center)
    off = np.abs(fo.shapes.circle(GRID, radius, center).numpy() - exact).max()
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


@narrow
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


@narrow
def test_a_rectangle_shares_its_edge_cells():
    box = fo.shapes.rectangle(GRID, (8 * um, 10 * um))  # height 1 cell, width 2 cells about a sample
    assert box[20, 18:23].tolist() == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert float(box[19].max()) == 0


def test_a_rectangle_may_be_endless():
    strip = fo.shapes.rectangle(GRID, (44 * um, math.inf))
    assert strip.sum(0).tolist() == pytest.approx([5.5] * 41)


@pytest.mark.parametrize("angle", [0.0, math.pi / 2, math.pi, 0.4, 2.5, -1.1, math.pi / 4])
def test_a_cell_carries_what_straight_edges_leave_open(angle: float):
    """To the points counted: one row of 40 where an edge lies along it, a few of 1600 where it does not."""

    def along(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return x * math.cos(angle) + y * math.sin(angle)

    tolerance = 1 / 40 if math.sin(2 * angle) == pytest.approx(0, abs=1e-9) else 3e-3
    edge = fo.shapes.edge(GRID, angle, CENTER)
    slit = fo.shapes.slit(GRID, 43 * um, angle, CENTER)
    assert miss(edge, lambda y, x: along(y, x) > 0) < tolerance
    assert miss(slit, lambda y, x: np.abs(along(y, x)) < 21.5 * um) < tolerance
    for period, duty in ((61 * um, 0.5), (47 * um, 0.13), (50 * um, 0.9)):
        bars = fo.shapes.grating(GRID, period, duty, angle, CENTER)
        assert miss(bars, lambda y, x: np.abs((along(y, x) / period + 0.5) % 1 - 0.5) < duty / 2) < tolerance  # noqa: B023
    torch.testing.assert_close(edge + fo.shapes.edge(GRID, angle + math.pi, CENTER), torch.ones_like(edge))


def test_a_slit_of_whole_cells_is_exact():
    cells = fo.shapes.slit(GRID, 25 * um)[0]
    assert cells.tolist() == [0] * 18 + [1] * 5 + [0] * 18


def test_the_orders_of_a_grating():
    """``duty sinc(m duty) sinc(m d / period)``, and with 16 samples a period the orders m + 16 k on top of m."""
    grid, duty = fo.Grid((5, 64), 1 * um), 0.3
    orders = torch.fft.fft(torch.fft.ifftshift(fo.shapes.grating(grid, 16 * um, duty)[0])) / 64
    for m in range(5):
        folded = sum(duty * np.sinc(k * duty) * np.sinc(k / 16) for k in range(m - 16 * 400, m + 16 * 400 + 1, 16))
        assert float(orders[4 * m].real) == pytest.approx(folded, abs=2e-6)  # the sum ends at 400 orders
        assert float(orders[4 * m].imag) == pytest.approx(0, abs=1e-10)  # third differences of a cubic


def test_a_sinusoid_has_three_orders():
    grid = fo.Grid((5, 60), 1 * um)
    orders = torch.fft.fft(torch.fft.ifftshift(fo.shapes.sinusoid(grid, 6 * um)[2])) / 60
    expected = torch.zeros(60, dtype=torch.complex128)
    expected[0], expected[10], expected[-10] = 0.5, 0.25, 0.25
    torch.testing.assert_close(orders, expected, rtol=0, atol=1e-12)
    turned = fo.shapes.sinusoid(GRID, 60 * um, math.pi / 2, (8 * um, 0.0))
    y = GRID.coordinates()[0] - 8 * um
    np.testing.assert_allclose(turned[:, 7].numpy(), np.cos(np.pi * y / (60 * um)) ** 2, atol=1e-12)


def test_a_ring_is_a_disk_without_a_disk():
    ring = fo.shapes.annulus(GRID, 45 * um, 90 * um, CENTER)
    sagitta = (8**2 + 5**2) * um**2 / (8 * 45 * um) / (5 * um)
    assert miss(ring, lambda y, x: (np.hypot(y, x) < 90 * um) & (np.hypot(y, x) > 45 * um)) < sagitta + 1 / 40
    torch.testing.assert_close(fo.shapes.annulus(GRID, 0.0, 50 * um), fo.shapes.circle(GRID, 50 * um))
    with pytest.raises(fo.GeometryError, match="the radii must rise"):
        fo.shapes.annulus(GRID, 50 * um, 40 * um)


@pytest.mark.parametrize("spokes", [5, 8])
def test_a_star_is_bright_in_every_other_sector(spokes: int):
    """To 2 % where a spoke is wider than a cell, beyond 40 um; 12 % in its middle, where several edges share a cell."""

    def covered(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.abs((spokes * np.arctan2(y, x) / (2 * np.pi) + 0.5) % 1 - 0.5) < 0.25

    star = fo.shapes.star(GRID, spokes, 400 * um, CENTER)
    y, x = (axis - c for axis, c in zip(GRID.coordinates(), CENTER, strict=True))
    off = np.abs(star.numpy() - counted(covered, CENTER))
    far = np.hypot(y[:, None], x[None, :]) > 40 * um
    assert off[far].max() < 2e-2 + 1 / 40
    assert off.max() < 0.12
    middle = fo.shapes.star(fo.Grid((250, 250), 3 * um), spokes, 300 * um)[125, 125]  # a sample on the very centre
    assert 0 <= float(middle) <= 1
    cut = fo.shapes.star(GRID, spokes, 60 * um, CENTER)
    assert float(cut[fo.shapes.circle(GRID, 60 * um, CENTER) == 0].max()) == 0


@pytest.mark.parametrize(
    ("name", "arguments", "samples"),
    [
        ("circle", (19 * um,), "4.75 samples of 8 um and needs 5: use samples of 7.6 um"),
        ("annulus", (20 * um, 50 * um), "3.75 samples of 8 um and needs 5: use samples of 6 um"),
        ("annulus", (10 * um, 90 * um), "2.5 samples of 8 um and needs 5: use samples of 4 um"),
        ("rectangle", ((39 * um, 1.0),), "4.88 samples of 8 um and needs 5: use samples of 7.8 um"),
        ("rectangle", ((1.0, 24 * um),), "4.8 samples of 5 um and needs 5: use samples of 4.8 um"),
        ("slit", (24 * um,), "4.8 samples of 5 um and needs 5: use samples of 4.8 um"),
        ("grating", (24 * um,), "4.8 samples of 5 um and needs 5: use samples of 4.8 um"),
        ("sinusoid", (9 * um,), "1.8 samples of 5 um and needs 2.02: use samples of 4.46 um"),
        ("star", (40, 200 * um), "3.93 samples of 8 um and needs 5: use samples of 6.28 um"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
def test_what_is_too_narrow_warns_and_names_the_samples_that_do(name: str, arguments: tuple, samples: str):
    make = getattr(fo.shapes, name)
    with pytest.warns(fo.SamplingWarning, match=samples) as caught:
        make(GRID, *arguments)
    pitch = parse(str(caught[0].message).rpartition("use samples of ")[2], "length")
    make(fo.Grid((64, 64), pitch), *arguments)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("samples", [5, 10])
def test_why_five(samples: int):
    """The peak of the first bright ring keeps about ``sinc(1.635 / N)`` of its amplitude, on average over positions.

    To a tenth at 5 and a fiftieth at 10: a position adds or takes what the edges, straight in a cell, leave.
    """
    ring = np.linspace(1.4, 1.9, 51) / samples
    exact = np.abs(j1(np.pi * samples * ring) / (2 * ring) * samples).max()
    kept = []
    for center in ((0.0, 0.0), (0.3, 0.1), (0.5, 0.0), (0.5, 0.5)):
        grid = fo.Grid((samples + 5, samples + 5), 1.0)
        row = fo.shapes.circle(grid, samples / 2, center).numpy().sum(0)
        kept.append(np.abs(np.exp(-2j * np.pi * np.outer(ring, grid.coordinates()[1])) @ row).max() / exact)
    assert np.mean(kept) == pytest.approx(np.sinc(1.635 / samples), abs=0.1 if samples == 5 else 0.02)


@pytest.mark.parametrize("duty", [0.0, 1.0, -0.2, math.nan])
def test_a_duty_lies_between_nothing_and_all(duty: float):
    with pytest.raises(fo.GeometryError, match="duty ="):
        fo.shapes.grating(GRID, 60 * um, duty)


@pytest.mark.parametrize(
    "make",
    [
        lambda g: fo.shapes.circle(g, -1e-4),
        lambda g: fo.shapes.circle(g, float("nan")),
        lambda g: fo.shapes.slit(g, 0.0),
        lambda g: fo.shapes.star(g, 0.6, 1e-4),  # pyright: ignore[reportArgumentType]
    ],
)
def test_sizes_are_positive_and_spokes_whole(make):
    with pytest.raises(fo.GeometryError, match=r"positive|spokes"):
        make(fo.Grid((64, 64), 8e-6))
