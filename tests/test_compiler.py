"""From kernels to masks: layouts, encodings, the account of what was lost."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.masks import signs
from fouroptics.masks.compiler import from_kernels, from_psf, from_transfer
from fouroptics.masks.encoding import arrizon, double_phase, phase_only
from fouroptics.masks.layout import Layout, sequential
from fouroptics.masks.measure import with_report
from fouroptics.masks.targets import transfer, windows


def kernels(count=4, size=3, seed=0) -> torch.Tensor:
    return torch.randn(count, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


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
    assert float(table.error.max()) < 0.006  # 8-bit rounding of an 8 % target by itself gives 1 % (measured 0.44 %)
    assert masks.report().total["crosstalk_db"] < -44  # the error is in the windows, not in the taps
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
    for phase in ("1.5 rad", "3 rad", "4.5 rad"):
        turned = fo.FourF(bench_data({"panel": {"shape": [96, 128], "dead_phase": phase}}))
        seen = with_report(masks, turned).kernels
        np.testing.assert_allclose(seen.error, masks.kernels.error, rtol=0.02)  # what a square pixel leaves of it there
        assert seen.zero_order is not None
        assert masks.kernels.zero_order is not None
        assert abs(seen.zero_order[0] / masks.kernels.zero_order[0] - 1) > 0.01  # there it is


@pytest.mark.parametrize("encoding", [phase_only, arrizon, double_phase])
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


def test_same_seed_same_mask(small_bench):
    one, two, other = (from_kernels(kernels(), small_bench, seed=seed) for seed in (3, 3, 4))
    assert one == two
    assert not np.array_equal(one.gray, other.gray)


def test_progress_is_told(small_bench):
    calls: list[tuple[int, int, float]] = []
    from_kernels(kernels(), small_bench, progress=lambda *state: calls.append(state))
    assert [call[0] for call in calls] == list(range(1, 421))
    assert calls[-1][2] < calls[0][2] / 10


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.ones(2, 3, 3, 3), "3 input channels"),
        (torch.zeros(1, 1, 3, 3), "zero"),
        (torch.full((1, 1, 3, 3), float("nan")), "finite"),
        (torch.ones(1, 1, 17, 17), "wider than images"),
        (torch.ones(0, 1, 3, 3), "at least one"),
        ("kernels", "no array"),
        (torch.ones(3, 3), r"\(out, in, k, k\)"),
        (torch.ones(1, 1, 3, 3) > 0, "bool"),
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
    short = partial(phase_only, steps=20, rounding=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fo.SamplingWarning)  # 20 steps are few
        masks = from_kernels(kernels(), small_bench, encoding=short, progress=lambda step, *_: calls.append(step))
    assert calls[-1] == 20
    assert masks.encoding == "phase_only"


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


def test_complex_kernels(small_bench):
    """The phase of each tap is that of the field; the readout must see it."""
    complex_ones = kernels(2) * torch.exp(1j * kernels(2, seed=1))
    masks = from_kernels(complex_ones, small_bench, light=0.05)
    assert masks.kernels.weight.dtype == complex
    assert float(masks.kernels.error.max()) < 0.05  # as real ones on this panel
    assert "complex" in masks.provenance["passes"][0]


def test_halves_and_bias_give_the_signed_kernel_back(small_bench):
    """What the camera reads of each row, subtracted as the rows say, is the convolution: exact but for the masks."""
    wanted, image = kernels(2), torch.rand(8, 8, generator=torch.Generator().manual_seed(1)).double()
    exact = torch.nn.functional.conv2d(image[None, None], wanted, padding=1)[0]
    for handling in (signs.split, signs.biased):
        table = from_kernels(wanted, small_bench, signs=handling, light=0.1).kernels
        assert (table.weight >= 0).all()
        each = torch.nn.functional.conv2d(image[None, None], torch.from_numpy(table.weight.copy())[:, None], padding=1)
        if handling is signs.split:
            assert table.sign.tolist() == [1, 1, -1, -1]
            assert table.pair.tolist() == [2, 3, 0, 1]
            got = each[0, :2] - each[0, 2:]
        else:
            assert table.out_channel.tolist() == [0, 1, -1]
            assert table.bias is not None
            got = each[0, :2] - torch.from_numpy(table.bias.copy())[:2, None, None] * each[0, 2]
        torch.testing.assert_close(got, exact, atol=1e-12, rtol=0)
        assert float(table.error.max()) < 0.1
    with pytest.raises(fo.GeometryError, match="no negative part"):
        from_kernels(wanted.abs(), small_bench, signs=signs.split)
    with pytest.raises(fo.GeometryError, match="no sign"):
        from_kernels(wanted + 0j, small_bench, signs=signs.biased)


def test_transmissions_and_point_responses_as_targets(small_bench):
    """A kernel, its transmission and its point response, which is the kernel turned, give the same mask."""
    weights = kernels(1)
    one = from_kernels(weights, small_bench, light=0.05)
    point = from_psf(weights[:, 0].flip((-2, -1)), small_bench, light=0.05)
    assert np.array_equal(one.gray, point.gray)
    filter_ = transfer(weights[:, 0], small_bench)
    masks = from_transfer(filter_ / filter_.abs().max(), small_bench, light=0.05, layout=sequential)
    found = masks.kernels.weight[0]
    middle = found[6:9, 6:9] / found[7, 7] * float(weights[0, 0, 1, 1])  # 15 x 15 taps: all that an image can use
    np.testing.assert_allclose(middle, weights[0, 0], atol=1e-9)
    assert float(masks.kernels.error.max()) < 0.06


def test_pass_lines_and_seconds(small_bench, tmp_path):
    masks = from_kernels(kernels(), small_bench)
    names = [line.split(":")[0] for line in masks.provenance["passes"]]
    assert names == ["signs", "geometry", "layout", "passivity", "encoding", "panel", "readout"]
    assert set(masks.seconds) == {"signs", "layout", "passivity", "encoding", "panel", "readout"}
    fo.bundle.save(tmp_path / "m.h5", masks)
    assert fo.bundle.load(tmp_path / "m.h5").seconds == {}  # two compilations make equal files
    text = str(masks.report())
    assert all(word in text for word in ("out3.in0", "crosstalk", "encoding: phase_only", " s)"))
    masks.report().to_csv(tmp_path / "m.csv")
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert len(lines) == 5
    assert float(lines[1].split(",")[3]) == masks.report().rows[0]["error"]


def test_crop_is_the_picture_on_the_camera(example_bench):
    """A bright image through an exact tap in the middle of a window lights the camera pixels of its crop."""
    tile = (33, -50)
    crop = from_kernels(kernels(1, 9), example_bench, layout=lambda *_: Layout((0,), (tile,)), light=0.1).kernels.crop
    assert crop is not None
    delta = transfer(torch.ones(1, 1), example_bench, tile)
    field = example_bench(torch.ones(28, 28), delta / delta.abs().max()).intensity
    top, bottom, left, right = crop[0].tolist()
    assert (bottom - top, right - left) == (252, 252)  # 28 image pixels of 9 camera pixels
    inside = field[..., top:bottom, left:right].sum() / field.sum()
    assert float(inside) > 0.98  # the edges of a band-limited picture reach beyond by a few percent
    row, column = (
        field.reshape(example_bench.camera_grid.shape).sum(1),
        field.reshape(example_bench.camera_grid.shape).sum(0),
    )
    for line, low, high in ((row, top, bottom), (column, left, right)):
        middle = float((line * torch.arange(len(line))).sum() / line.sum())
        assert middle == pytest.approx((low + high - 1) / 2, abs=0.05)
