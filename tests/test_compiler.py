"""From kernels to masks: layouts, encodings, the account of what was lost."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from conftest import bench_data
from scipy.special import j1

import fouroptics as fo
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.encoding import Problem, arrizon, phase_only
from fouroptics.masks.layout import Layout, sequential, spacing, tiled
from fouroptics.masks.measure import with_report
from fouroptics.masks.targets import transfer, windows


def kernels(count=4, size=3, seed=0) -> torch.Tensor:
    return torch.randn(count, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_tiles_stay_off_the_axis_and_apart(small_bench, example_bench):
    for bench, count, size in ((small_bench, 4, 3), (small_bench, 3, 3), (example_bench, 16, 9), (example_bench, 5, 9)):
        layout, n = tiled(count, size, bench), bench.config.input.shape[0]
        assert layout.mask == (0,) * count
        tiles = np.array(layout.tiles)
        assert len(set(layout.tiles)) == count
        assert (np.abs(tiles).max(1) >= n).all()  # displacement 0 lies outside every window
        apart = np.abs(tiles[:, None] - tiles[None]).max(-1)[~np.eye(count, dtype=bool)]
        assert (apart >= 2 * n - 1 + size - 1).all()
    assert spacing(example_bench, 9) == (64, 64)


def test_layouts_say_what_does_not_fit(small_bench):
    with pytest.raises(fo.SamplingError, match="2 x 2"):
        tiled(5, 3, small_bench)
    tight = fo.FourF(bench_data({"input": {"shape": [30, 30]}}))
    with pytest.raises(fo.SamplingError, match="folds first"):
        sequential(1, 3, tight)


@pytest.mark.parametrize("size", [3, 4])
def test_windows_put_tap_k_half_at_the_centre(size):
    weights = kernels(2, size)[:, 0]
    placed = windows(weights, (8, 6))
    assert placed.shape == (2, 15, 11)
    torch.testing.assert_close(placed[:, 7, 5], weights[:, size // 2, size // 2])
    torch.testing.assert_close(placed[:, 7 - size // 2, 5 - size // 2], weights[:, 0, 0])
    assert float(placed.abs().sum()) == pytest.approx(float(weights.abs().sum()))


@pytest.mark.parametrize("pixel", ["point", "square"])
def test_exact_transmission_gives_exact_taps(pixel):
    bench = fo.FourF(bench_data({"input": {"pixel": pixel}}))
    weights, tile = kernels(2)[:, 0], (9, -9)
    response = bench.kernel(transfer(weights, bench, tile), [tile])[:, 0]
    torch.testing.assert_close(response, windows(weights, (8, 8)) + 0j, atol=1e-12, rtol=0)


def test_one_frame_for_all_kernels(example_bench):
    """Sixteen signed 9 x 9 kernels in one 8-bit mask, with square pixels on both sides and undiffracted light."""
    masks = from_kernels(kernels(16, 9), example_bench, seed=1)
    table = masks.kernels
    assert masks.gray.shape == (1, 1080, 1920)
    assert masks.encoding == "phase_only"
    assert masks.layout == "tiled"
    assert float(table.error.max()) < 0.0125  # 8-bit rounding of a 6 % target gives 1 % (measured 0.9 to 1.0 %)
    assert float(table.efficiency.sum()) == pytest.approx(0.08, rel=0.02)
    np.testing.assert_allclose(table.correlation, 1, atol=1e-3)
    response = example_bench.kernel(masks, [tuple(tile) for tile in table.tile.tolist()])[0]
    target = windows(torch.from_numpy(table.weight.copy()), (28, 28))
    miss = torch.linalg.vector_norm(response * torch.from_numpy(table.scale.copy())[:, None, None] - target, dim=(1, 2))
    np.testing.assert_allclose(miss / torch.linalg.vector_norm(target, dim=(1, 2)), table.error, rtol=1e-6)


@pytest.mark.parametrize("iris", ["band", None])
@pytest.mark.parametrize("pixel", ["point", "square"])
def test_light_is_what_was_asked_for(iris, pixel):
    """Also where the panel is more than one band, whose light then counts as well."""
    bench = fo.FourF(bench_data({"panel": {"shape": [96, 128], "iris": iris}, "input": {"pixel": pixel}}))
    table = from_kernels(kernels(), bench, light=0.05).kernels
    assert float(table.efficiency.sum()) == pytest.approx(0.05, rel=0.1)  # 64 x 64 pixels of 8 bits leave 5 %
    exact = transfer(kernels()[:, 0], bench)
    inside = (exact.abs() > 0).sum()
    assert inside == 4 * 64 * 64  # nothing beyond the band, where the spectrum of a pixel vanishes
    assert float(exact.abs().max()) < 100


def test_phase_of_the_undiffracted_light_does_not_matter(small_bench):
    """The windows are laid where it does not go: the error of each kernel stays what it is."""
    masks = from_kernels(kernels(), small_bench, light=0.05)
    for phase in ("1.5 rad", "3 rad"):
        turned = fo.FourF(bench_data({"panel": {"shape": [96, 128], "dead_phase": phase}}))
        np.testing.assert_allclose(with_report(masks, turned).kernels.error, masks.kernels.error, rtol=0.15)


@pytest.mark.parametrize("encoding", [phase_only, arrizon])
def test_sequential_frames(small_bench, encoding):
    masks = from_kernels(kernels(2), small_bench, layout=sequential, encoding=encoding, light=0.05)
    assert masks.kernels.mask.tolist() == [0, 1]
    assert len(masks) == 2
    assert float(masks.kernels.error.max()) < 0.06  # 64 x 64 pixels of 8 bits; the closed form's other orders lie near


def test_more_grey_levels_less_error(small_bench):
    errors = []
    for bits in (4, 6, 8):
        bench = fo.FourF(bench_data({"panel": {"shape": [96, 128], "bits": bits}}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fo.SamplingWarning)  # four bits are too few
            errors.append(float(from_kernels(kernels(), bench, light=0.1).kernels.error.mean()))
    assert errors[0] > 2.5 * errors[1] > 2.5 * 2.5 * errors[2]  # a factor 4 a step, less what the optimiser leaves


def test_naive_phase_is_far_worse(small_bench):
    """The angle of the transmission alone is no mask: what the optimisation is for."""

    def angle(problem, generator, progress=None):
        return problem.transfer.angle()

    with pytest.warns(fo.SamplingWarning, match="ask for less light"):
        naive = from_kernels(kernels(), small_bench, encoding=angle)
    assert float(naive.kernels.error.min()) > 10 * float(from_kernels(kernels(), small_bench).kernels.error.max())


def test_arrizon_first_order_is_exact():
    """Mean of exp(i psi) exp(-i carrier) over a carrier period: 0.58187 c, to the accuracy of the table."""
    amplitude, phase = torch.tensor([0.0, 0.3, 0.7, 1.0], dtype=torch.float64), 0.8
    carrier = 2 * torch.pi * torch.arange(64, dtype=torch.float64) / 64
    c = amplitude[:, None] * torch.exp(1j * (phase + carrier))
    psi = arrizon(Problem(lambda t: t, c, c, 0.5), torch.Generator())
    order = (torch.exp(1j * psi) * torch.exp(-1j * carrier)).mean(1)
    expected = j1(1.8411837813406593) * amplitude * np.exp(1j * phase)
    torch.testing.assert_close(order, expected, atol=1e-8, rtol=0)
    assert float(psi.abs().max()) <= 1.8411838


def test_same_seed_same_mask(small_bench):
    one, two, other = (from_kernels(kernels(), small_bench, seed=seed) for seed in (3, 3, 4))
    assert one == two
    assert not np.array_equal(one.gray, other.gray)


def test_progress_is_told(small_bench):
    calls: list[tuple[int, int, float]] = []
    from_kernels(kernels(), small_bench, progress=lambda *state: calls.append(state))
    assert [call[0] for call in calls] == list(range(1, 301))
    assert calls[-1][2] < calls[0][2] / 10


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.ones(2, 3, 3, 3), "3 input channels"),
        (torch.zeros(1, 1, 3, 3), "zero"),
        (torch.full((1, 1, 3, 3), float("nan")), "finite"),
        (torch.ones(1, 1, 3, 3) * 1j, "real"),
        (torch.ones(1, 1, 9, 9), "wider"),
        (torch.ones(3, 3), r"\(out, in, k, k\)"),
    ],
)
def test_wrong_kernels_are_refused(small_bench, bad, words):
    with pytest.raises(fo.GeometryError, match=words):
        from_kernels(bad, small_bench)


def test_wrong_light_is_refused(small_bench):
    with pytest.raises(fo.GeometryError, match=r"light = 1\.5"):
        from_kernels(kernels(), small_bench, light=1.5)


def test_options_are_set_by_partial(small_bench):
    calls: list[int] = []
    short = partial(phase_only, steps=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fo.SamplingWarning)  # 20 steps are few
        masks = from_kernels(kernels(), small_bench, encoding=short, progress=lambda step, *_: calls.append(step))
    assert calls[-1] == 20
    assert masks.encoding == "phase_only"


def test_long_cameras_hold_long_lattices(example_bench):
    data = bench_data({"camera": {"shape": [3200, 1100]}}, small=False)
    assert len(set(tiled(12, 9, fo.FourF(data)).tiles)) == 12  # 6 x 2
    wide = fo.FourF(bench_data({"input": {"shape": [8, 12]}, "camera": {"shape": [144, 200]}}))
    assert spacing(wide, 3) == (18, 26)
    assert {abs(tile[1]) for tile in tiled(4, 3, wide).tiles} == {13}


def test_wave_benches_and_far_windows_are_refused_before_the_work(small_bench):
    with pytest.raises(fo.GeometryError, match="fourier"):
        from_kernels(kernels(), fo.FourF(bench_data({"model": "wave"})))
    with pytest.raises(fo.SamplingError, match="50 image pixels"):
        from_kernels(kernels(1), small_bench, layout=lambda count, size, bench: Layout((0,), ((50, 0),)))
    with pytest.raises(fo.GeometryError, match="places 1 kernels"):
        from_kernels(kernels(2), small_bench, layout=lambda count, size, bench: Layout((0,), ((9, 9),)))


def test_poses_do_not_enter_the_mask(small_bench):
    moved = fo.FourF(bench_data({"poses": {"panel": {"x": "8 um"}}}))
    one, other = (from_kernels(kernels(), bench, light=0.05) for bench in (small_bench, moved))
    assert np.array_equal(one.gray, other.gray)
    assert with_report(one, moved).kernels.error.min() > one.kernels.error.max()


def test_a_layout_of_ones_own(small_bench):
    def corner(count, size, bench):
        return Layout((0,) * count, ((9, 9),) * count)

    assert from_kernels(kernels(1), small_bench, layout=corner).layout == "corner"
