"""Gerchberg-Saxton: against the textbook form, and what it must not do."""

import math

import pytest
import torch

import fouroptics as fo
from fouroptics.masks.hologram import gerchberg_saxton
from fouroptics.units import mm, nm, um


def spots(n: int) -> torch.Tensor:
    target = torch.zeros(n, n - 1, dtype=torch.float64)
    for y, x in ((n // 2 + 5, n // 2 - 3), (n // 2 - 7, n // 2 + 5), (n // 2 + 1, n // 2 - 6)):
        target[y, x] = 1
    return target


def overlap(phase: torch.Tensor, target: torch.Tensor) -> float:
    """Of the far field's amplitude with the target, by the lens of the package itself."""
    grid = fo.Grid((phase.shape[0], phase.shape[1]), 8 * um)
    field = fo.Field(torch.polar(torch.ones_like(phase), phase), grid, 532 * nm)
    far = fo.fourier_lens(field, 200 * mm).data.abs()
    return float((far * target).sum() / (far.norm() * target.norm()))


def test_light_goes_where_the_target_is_and_the_overlap_never_falls():
    target = spots(32)
    start = 2 * math.pi * torch.rand(target.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gains = [overlap(gerchberg_saxton(target, n, start=start), target) for n in range(0, 16, 3)]
    assert gains == sorted(gains)
    assert gains[0] < 0.2 < 0.9 < gains[-1]  # three spots of a phase mask hold 90 % of the amplitude or more


def test_it_equals_the_textbook_with_its_shifts():
    target, shift, back = spots(16), torch.fft.fftshift, torch.fft.ifftshift
    start = torch.rand(target.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    phase = start
    for _ in range(4):
        far = shift(torch.fft.fft2(back(torch.exp(1j * phase))))
        phase = shift(torch.fft.ifft2(back(target * torch.exp(1j * far.angle())))).angle()
    ours = gerchberg_saxton(target, 4, start=start)
    assert torch.exp(1j * (ours - phase)).sub(1).abs().max() < 1e-9  # float64, the phase of amplitudes of order 1


def test_the_start_is_reproducible():
    assert torch.equal(gerchberg_saxton(spots(16), 2, seed=3), gerchberg_saxton(spots(16), 2, seed=3))
    assert not torch.equal(gerchberg_saxton(spots(16), 2, seed=3), gerchberg_saxton(spots(16), 2, seed=4))


@pytest.mark.parametrize("target", [torch.zeros(4, 4), -torch.ones(4, 4), torch.ones(3, 4, 4), torch.ones(4, 4) * 1j])
def test_a_target_that_is_no_amplitude_is_an_error(target: torch.Tensor):
    with pytest.raises(fo.GeometryError, match="target"):
        gerchberg_saxton(target)


def test_a_start_of_another_shape_is_an_error():
    with pytest.raises(fo.GeometryError, match="start"):
        gerchberg_saxton(torch.ones(4, 4), start=torch.zeros(4, 5))
