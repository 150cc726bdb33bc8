"""Holograms: Gerchberg-Saxton against its textbook form; spot arrays against the sums that they stand for."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.masks.hologram import gerchberg_saxton, spots, to_masks
from fouroptics.units import mm, nm, um


def three_spots(n: int) -> torch.Tensor:
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
    target = three_spots(32)
    start = 2 * math.pi * torch.rand(target.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gains = [overlap(gerchberg_saxton(target, n, start=start), target) for n in range(0, 16, 3)]
    assert gains == sorted(gains)
    assert gains[0] < 0.2 < 0.9 < gains[-1]  # three spots of a phase mask hold 90 % of the amplitude or more


def test_it_equals_the_textbook_with_its_shifts():
    target, shift, back = three_spots(16), torch.fft.fftshift, torch.fft.ifftshift
    start = torch.rand(target.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    phase = start
    for _ in range(4):
        far = shift(torch.fft.fft2(back(torch.exp(1j * phase))))
        phase = shift(torch.fft.ifft2(back(target * torch.exp(1j * far.angle())))).angle()
    ours = gerchberg_saxton(target, 4, start=start)
    assert torch.exp(1j * (ours - phase)).sub(1).abs().max() < 1e-9  # float64, the phase of amplitudes of order 1


def test_the_start_is_reproducible():
    assert torch.equal(gerchberg_saxton(three_spots(16), 2, seed=3), gerchberg_saxton(three_spots(16), 2, seed=3))
    assert not torch.equal(gerchberg_saxton(three_spots(16), 2, seed=3), gerchberg_saxton(three_spots(16), 2, seed=4))


@pytest.mark.parametrize("target", [torch.zeros(4, 4), -torch.ones(4, 4), torch.ones(3, 4, 4), torch.ones(4, 4) * 1j])
def test_a_target_that_is_no_amplitude_is_an_error(target: torch.Tensor):
    with pytest.raises(fo.GeometryError, match="target"):
        gerchberg_saxton(target)


def test_a_start_of_another_shape_is_an_error():
    with pytest.raises(fo.GeometryError, match="start"):
        gerchberg_saxton(torch.ones(4, 4), start=torch.zeros(4, 5))


# ---- spot arrays -------------------------------------------------------------------------------------------------


def lattice(rows: int, columns: int, step: tuple[float, float], first: tuple[float, float]) -> np.ndarray:
    return np.array([(first[0] + y * step[0], first[1] + x * step[1]) for y in range(rows) for x in range(columns)])


def power_at(phase: torch.Tensor, places: np.ndarray) -> np.ndarray:
    """Fraction of the light in each spot, by one sum over all pixels a spot."""
    (ny, nx), mask = phase.shape, np.exp(1j * phase.numpy())
    y, x = np.arange(ny)[:, None] - ny // 2, np.arange(nx) - nx // 2
    return np.array([abs((mask * np.exp(-2j * np.pi * (a * y + b * x))).mean()) ** 2 for a, b in places])


@pytest.mark.parametrize("shape", [(64, 96), (65, 33)])
def test_one_spot_is_a_blazed_grating(shape):
    found = spots([(0.1234, -0.2)], shape)
    y, x = (np.arange(n) - n // 2 for n in shape)
    grating = np.exp(2j * np.pi * (0.1234 * y[:, None] - 0.2 * x))
    assert np.abs(np.exp(1j * found.phase.numpy()) - grating).max() < 1e-12  # float64: phases of up to 100 rad
    assert found.efficiency == pytest.approx(1, abs=1e-12)
    assert (found.uniformity, found.deviation) == (1, 0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hundred_spots_off_the_grid_of_an_fft(seed):
    places = lattice(10, 10, (0.0171, 0.0223), (-0.08, 0.05))
    found = spots(places, (200, 256), seed=seed)
    assert found.uniformity > 0.99
    assert found.efficiency > 0.85
    power = power_at(found.phase, places)
    assert np.allclose(found.power.numpy(), power, rtol=1e-9)  # the same sums in float64
    assert found.efficiency == pytest.approx(power.sum())
    assert found.uniformity == pytest.approx(1 - (power.max() - power.min()) / (power.max() + power.min()), abs=1e-9)
    assert found.deviation == pytest.approx(power.std() / power.mean(), abs=1e-9)
    assert "100 spots" in str(found)


def test_places_without_rows_and_with_weights():
    """Every spot has the power that it should, to 1 %; light for 25 spots at any place, 80 % or more."""
    draw = np.random.default_rng(0)
    places, weights = draw.uniform(-0.4, 0.4, (25, 2)), draw.uniform(1, 5, 25)
    found = spots(places, (128, 128), weights)
    relative = power_at(found.phase, places) / weights
    assert np.ptp(relative) < 0.01 * relative.mean()
    assert found.uniformity > 0.99
    assert found.efficiency > 0.8
    assert spots(places, (128, 128)).power.numpy() != pytest.approx(found.power.numpy(), rel=0.1)


def test_the_rounds_make_the_spots_equal():
    places = lattice(4, 4, (0.05, 0.05), (0.02, -0.1))
    first, last = (spots(places, (96, 96), iterations=n) for n in (0, 30))
    assert first.uniformity < 0.9 < 0.99 < last.uniformity
    assert torch.equal(last.phase, spots(places, (96, 96), iterations=30).phase)
    assert not torch.equal(last.phase, spots(places, (96, 96), iterations=30, seed=1).phase)


def test_a_bench_shows_the_spots_where_and_as_bright_as_said(tmp_path: Path):
    """From the file, through panel, lens and camera plane: the peak over that of an open panel without gaps.

    8 bit leave noise of 1e-3 of the field of one spot: 0.5 % of its power.
    """
    bench = fo.FourF(bench_data())
    places = np.array([(y * mm, x * mm) for y in (-1.0, 0.5, 2.0) for x in (-2.2, 1.0, 2.5)])
    found = spots(places, bench)
    assert found.uniformity > 0.99
    assert 0.8 < found.efficiency / 0.9**2 < 1  # the fill factor, and what three rows and columns cost
    fo.bundle.save(tmp_path / "spots.h5", to_masks(found.phase, bench, provenance={"spots": len(places)}))
    assert fo.bundle.verify(tmp_path / "spots.h5") == []
    masks = fo.bundle.load(tmp_path / "spots.h5")
    assert (masks.encoding, masks.provenance["spots"], len(masks)) == ("hologram", 9, 1)

    def peak(shown, place=(0.0, 0.0)):
        return bench.psf(shown, onto=fo.Grid((1, 1), um, tuple(place))).intensity.item()

    full = peak(torch.ones(bench.fourier_grid.shape, dtype=torch.complex128))
    assert [peak(masks, place) / full for place in places] == pytest.approx(found.power.tolist(), rel=0.005)


def test_a_phase_goes_to_the_pixels_that_the_light_passes():
    bench = fo.FourF(bench_data())
    phases = torch.rand(2, *bench.fourier_grid.shape, dtype=torch.float64) * 20 - 10
    masks = to_masks(phases, bench)
    assert np.abs(np.exp(1j * bench.crop(masks.phase)) - np.exp(1j * phases.numpy())).max() < 1e-6  # float32
    assert np.count_nonzero(masks.phase) <= phases.numel()
    with pytest.raises(fo.GeometryError, match="fourier_grid"):
        to_masks(phases[0, 1:], bench)


@pytest.mark.parametrize(
    ("places", "weights", "says"),
    [
        ([], None, "places"),
        ([(0.1, 0.2, 0.3)], None, "places"),
        ([(0.1, math.nan)], None, "places"),
        ("abc", None, "no arrays of numbers"),
        ([(0.1, 0.6)], None, r"\[0.1, 0.6\] is beyond the first order .*0.5, 0.5"),
        ([(0.1, 0.2), (0.3, 0.1), (0.11, 0.21)], None, "places 0 and 2 are closer"),
        ([(0.1, 0.2)], [1, 2], "weights"),
        ([(0.1, 0.2)], [0], "weights"),
    ],
)
def test_spots_that_cannot_be_are_an_error(places, weights, says):
    with pytest.raises(fo.GeometryError, match=says):
        spots(places, (64, 64), weights)


@pytest.mark.parametrize("shape", [(64,), (0, 64), (64.5, 64), 64])
def test_pixels_that_are_none_are_an_error(shape):
    with pytest.raises(fo.GeometryError, match="shape"):
        spots([(0.1, 0.2)], shape)


def test_a_bench_refuses_places_beyond_its_first_order():
    with pytest.raises(fo.GeometryError, match=r"beyond the first order .*0.00791"):
        spots([(9 * mm, 0)], fo.FourF(bench_data()))  # lambda f / (2 * 8 um) = 7.9 mm
