"""Exact overlaps: nothing is lost between two grids, whatever their pitches."""

import numpy as np
import pytest
import torch

from fouroptics.devices.pixels import average, covered, nearest
from fouroptics.devices.sensor import divided, joined
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.grid import Grid

DRAW = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("n", "pitch"), [(12, 5.0), (7, 60 / 7), (120, 0.5), (1, 60.0)])
def test_sum_is_kept(n, pitch):
    """Grids that fill the same square of 60, with pitches that divide each other or do not."""
    fine, coarse = divided(Grid((1, 1), 60.0), 30), divided(Grid((1, 1), 60.0), n)
    assert coarse.spacing == pytest.approx((pitch, pitch))
    values = torch.rand(2, 30, 30, dtype=torch.float64, generator=DRAW)
    seen = average(values, fine, coarse)
    assert (seen.sum((1, 2)) * coarse.cell).tolist() == pytest.approx(
        (values.sum((1, 2)) * fine.cell).tolist(), rel=1e-12
    )


def test_box_is_an_integral():
    """Samples of pitch 2 with the values of their index, boxes of 3: by hand."""
    part = covered(Grid((4, 4), 2.0), Grid((1, 1), 1.0, (0.5, 0.5)), 0, 3.0)  # cells -5..-3..-1..1..3, box -1..2
    np.testing.assert_allclose(part, [[0, 0, 2 / 3, 1 / 3]])


def test_pixel_area_and_image_pixel():
    """Nine pixels an image pixel: the middle one, 3 x 3 around it, or all of them."""
    image, pixels = Grid((4, 5), 9.0).inverted(), Grid((36, 45), 1.0).inverted()
    image = image.shifted(*(p[0] + 4 - i[0] for p, i in zip(pixels.coordinates(), image.coordinates(), strict=True)))
    frame = torch.rand(36, 45, dtype=torch.float64, generator=DRAW)
    torch.testing.assert_close(nearest(frame, pixels, image), frame[4::9, 4::9])
    blocks = frame.unfold(0, 9, 9).unfold(1, 9, 9)
    torch.testing.assert_close(average(frame, pixels, image, side=3.0), blocks[..., 3:6, 3:6].mean((-2, -1)))
    torch.testing.assert_close(average(frame, pixels, image), blocks.mean((-2, -1)))


def test_divided_cells_fill_their_cell():
    for shape in ((4, 5), (1, 2)):
        grid = Grid(shape, (2.0, 3.0), (0.3, -0.7))
        for n in (1, 2, 3):
            fine = divided(grid, n)
            for axis in (0, 1):
                mean = fine.coordinates()[axis].reshape(-1, n).mean(1)
                assert mean == pytest.approx(grid.coordinates()[axis])
            assert joined(fine, n).coordinates()[0] == pytest.approx(grid.coordinates()[0])


def test_average_is_differentiable():
    values = torch.rand(6, 6, dtype=torch.float64, generator=DRAW, requires_grad=True)
    onto = Grid((2, 2), 1.7, (0.1, 0.0))
    assert torch.autograd.gradcheck(lambda v: average(v, Grid((6, 6), 1.0), onto, 1.3), values)


def test_squares_beyond_the_samples_warn():
    with pytest.warns(SamplingWarning, match="50 % of a side"):
        average(torch.ones(4, 4), Grid((4, 4), 1.0, (0.5, 0.5)), Grid((3, 1), 2.0))


def test_wrong_shapes_are_refused():
    with pytest.raises(GeometryError, match="shape of their grid"):
        average(torch.ones(3, 4), Grid((4, 4), 1.0), Grid((1, 1), 1.0))
    with pytest.raises(GeometryError, match="shape of their grid"):
        nearest(torch.ones(6, 6), Grid((4, 4), 1.0), Grid((1, 1), 1.0))
    with pytest.raises(GeometryError, match="larger camera"):
        nearest(torch.ones(4, 4), Grid((4, 4), 1.0), Grid((6, 6), 1.0))


@pytest.mark.parametrize("side", [0.0, -1.0, np.nan, np.inf])
def test_squares_without_a_side_are_refused(side):
    with pytest.raises(GeometryError, match="positive side"):
        average(torch.ones(4, 4), Grid((4, 4), 1.0), Grid((1, 1), 1.0), side)


def test_amplitudes_are_no_intensities():
    with pytest.raises(GeometryError, match=r"give intensities, \|u\|\^2"):
        average(torch.ones(4, 4, dtype=torch.complex64), Grid((4, 4), 1.0), Grid((1, 1), 1.0))
