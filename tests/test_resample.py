"""Samples between samples: against the wave that was sampled, up to the oversampling that is promised."""

import math

import pytest
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.light.resample import sample, slide_rows
from fouroptics.light.sources import axes

GRID = fo.Grid((48, 53), (2.0, 3.0), (5.0, -7.0))
DRAW = torch.Generator().manual_seed(0)
Y, X = (c + 15 * d * (2 * torch.rand(2, 20, 30, dtype=torch.float64, generator=DRAW)[i] - 1)
        for i, (c, d) in enumerate(zip(GRID.center, GRID.spacing, strict=True)))  # fmt: skip


def wave(y: Tensor, x: Tensor, band: float) -> Tensor:
    """At the corner of a part of the band."""
    phase = math.pi * band * (y / GRID.spacing[0] - x / GRID.spacing[1])
    return torch.polar(torch.ones_like(phase), phase)


@pytest.mark.parametrize(("band", "off"), [(0.1, 4e-6), (0.3, 4e-6), (0.5, 4e-6), (0.6, 4e-3), (0.7, 6e-2)])
def test_waves_between_samples(band: float, off: float):
    """As the docstring says; a wave of half the band is held by a window made for it, one of 0.7 is not."""
    error = float((sample(wave(*axes(GRID), band), GRID, Y, X) - wave(Y, X, band)).abs().max())
    assert off / 30 < error < off


def test_a_sum_of_waves_is_the_exact_sum():
    """The Fourier sum of a random spectrum over half of the band, at any points: all its waves are off by 4e-6."""
    f = torch.rand(40, 2, dtype=torch.float64, generator=DRAW) - 0.5
    a = torch.randn(40, dtype=torch.complex128, generator=DRAW)

    def exact(y: Tensor, x: Tensor) -> Tensor:
        turns = f[:, 0, None, None] * y / (2 * GRID.spacing[0]) + f[:, 1, None, None] * x / (2 * GRID.spacing[1])
        return (a[:, None, None] * torch.exp(2j * math.pi * turns)).sum(0)

    miss = sample(exact(*axes(GRID)), GRID, Y, X) - exact(Y, X)
    assert float(miss.abs().max()) < 4e-6 * float(a.abs().sum())


def test_at_the_samples_it_is_exact_and_outside_it_is_dark():
    data = torch.randn(2, *GRID.shape, dtype=torch.float64, generator=DRAW)
    torch.testing.assert_close(sample(data, GRID, *axes(GRID)), data, rtol=0, atol=1e-12)
    y, x = axes(GRID.shifted(8 * 2.0 + 2 * 48.0, 0.0))  # 8 samples beyond the window
    assert float(sample(data, GRID, y, x).abs().max()) == 0


def test_gradients_reach_data_and_points():
    grid = fo.Grid((4, 5), 1.0)
    data = torch.randn(4, 5, dtype=torch.complex128, generator=DRAW, requires_grad=True)
    y, x = (torch.rand(2, 2, dtype=torch.float64, generator=DRAW, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda *given: sample(given[0], grid, *given[1:]), (data, y, x), fast_mode=True)


@pytest.mark.parametrize("stride", [1, 3])
def test_rows_that_slide_are_samples_between_samples(stride: int):
    """The same series in x alone, with a start of its own for each row; beyond the samples it is dark."""
    grid = fo.Grid((4, 40), 1.0, (0.0, 20.0))  # x counts samples from the first one
    data = torch.randn(2, *grid.shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    start = torch.tensor([9.0, 0.3, -4.6, 17.25], dtype=torch.float64)
    x = start[:, None] + stride * torch.arange(8)
    y = torch.arange(4, dtype=torch.float64)[:, None] - 2
    torch.testing.assert_close(slide_rows(data, start, 8, stride), sample(data, grid, y, x))
