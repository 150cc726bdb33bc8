"""Grid: where the samples lie."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid

FEW = settings(deadline=None, derandomize=True, max_examples=40)
LENGTH = st.floats(1e-7, 1e-3)
GRIDS = st.builds(
    Grid,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(LENGTH, LENGTH),
    st.tuples(st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3)),
)


def test_sample_half_lies_at_the_centre_and_the_extra_one_before_it():
    y, x = Grid((4, 5), (2e-6, 1e-6), (10e-6, 0.0)).coordinates()
    assert y == pytest.approx([6e-6, 8e-6, 10e-6, 12e-6])
    assert x == pytest.approx([-2e-6, -1e-6, 0, 1e-6, 2e-6])


@FEW
@given(GRIDS)
def test_the_middle_sample_is_the_centre(grid: Grid):
    assert tuple(axis[n // 2] for axis, n in zip(grid.coordinates(), grid.shape, strict=True)) == grid.center


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_frequencies_are_those_of_a_centred_fft(n: int):
    fy, fx = Grid((n, 3), (8e-6, 1.0)).frequencies()
    assert fy == pytest.approx(np.fft.fftshift(np.fft.fftfreq(n, 8e-6)), rel=1e-15)
    assert fx.shape == (3,)


@FEW
@given(GRIDS, st.floats(0.1, 10))
def test_the_inverted_grid_holds_the_inverted_samples(grid: Grid, magnification: float):
    for before, after in zip(grid.coordinates(), grid.inverted(magnification).coordinates(), strict=True):
        room = 1e-12 * max(np.abs(after).max(), grid.extent[0], grid.extent[1])  # rounding of the largest position
        assert after == pytest.approx(-magnification * before[::-1], abs=room)


@FEW
@given(GRIDS)
def test_inverting_twice_is_the_grid(grid: Grid):
    twice = grid.inverted().inverted()
    assert twice.shape == grid.shape
    assert twice.center == pytest.approx(grid.center, abs=1e-15)


def test_extent_cell_and_shift():
    grid = Grid((4, 10), (2e-6, 3e-6), (1e-6, 0)).shifted(1e-6, -5e-6)
    assert grid.extent == pytest.approx((8e-6, 30e-6))
    assert grid.cell == pytest.approx(6e-12)
    assert grid.center == pytest.approx((2e-6, -5e-6))


def test_one_number_is_a_square_pitch():
    assert Grid((2, 2), 8e-6) == Grid((2, 2), (8e-6, 8e-6))  # pyright: ignore[reportArgumentType]


def test_a_grid_is_a_key():
    assert len({Grid((2, 3), (1, 1)), Grid((np.int64(2), 3), (1.0, 1.0)), Grid((3, 2), (1.0, 1.0))}) == 2  # pyright: ignore[reportArgumentType]


def test_it_reads_as_a_sentence():
    assert str(Grid((4, 5), (8e-6, 8e-6))) == "4 x 5 samples of 8 um"
    assert str(Grid((4, 5), (8e-6, 1e-3))) == "4 x 5 samples of 8 um x 1 mm"


@pytest.mark.parametrize(
    ("shape", "spacing", "center", "says"),
    [
        ((0, 4), (1, 1), (0, 0), "whole numbers of at least 1"),
        ((4, 2.5), (1, 1), (0, 0), "whole numbers of at least 1"),
        ((4, 4), (1, 0), (0, 0), "finite and positive"),
        ((4, 4), (1, -1), (0, 0), "finite and positive"),
        ((4, 4), (1, math.nan), (0, 0), "finite and positive"),
        ((4, 4), (1, 1), (0, math.inf), "must be finite"),
        ((4, 4, 4), (1, 1), (0, 0), "give two numbers"),
        ((4, 4), (1, 1), (0, 0, 0), "give two numbers"),
    ],
)
def test_what_is_no_grid(shape: tuple, spacing: tuple, center: tuple, says: str):
    with pytest.raises(GeometryError, match=says):
        Grid(shape, spacing, center)


def test_any_real_number_is_a_pitch():
    assert Grid((4, 5), np.float32(0.5)).spacing == (0.5, 0.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(GeometryError, match="give two numbers"):
        Grid((4, 5), None)  # pyright: ignore[reportArgumentType]
