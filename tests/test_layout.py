"""Layouts: where windows go, and what does not fit."""

import numpy as np
import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.bench.geometry import geometry
from fouroptics.masks.layout import input_tiling, on_axis, on_display, sequential, tiled, wavelengths

LINES = [["600 nm", 1.0], ["633 nm", 1.0], ["660 nm", 1.0]]


def distances(tiles) -> np.ndarray:
    at = np.array(tiles)
    return np.abs(at[:, None] - at[None]).max(-1)[~np.eye(len(at), dtype=bool)]


@pytest.mark.parametrize("guard", [0, 1, 4])
def test_windows_keep_the_axis_and_each_other_free(small_bench, example_bench, guard):
    """No tap of a kernel, nor the undiffracted image, lies where an image could bring it into a window."""
    for bench, count, size in ((small_bench, 4, 3), (small_bench, 3, 3), (example_bench, 16, 9), (example_bench, 5, 9)):
        layout, n = tiled(count, size, bench, guard=guard), bench.config.input.shape[0]
        assert layout.mask == (0,) * count
        assert len(set(layout.tiles)) == count
        assert (np.abs(layout.tiles) >= n).all()  # neither the axis nor its cross lies in a window
        assert (distances(layout.tiles) >= n - 1 + size // 2 + 1 + guard).all()


def test_windows_of_the_example(example_bench):
    """28 pixels, 9 taps: at 29, 62 and 95 of the 99 (y) and 122 (x) to which the camera reaches, on both sides."""
    place = geometry(example_bench.config, taps=9)
    assert place.step == (33, 33)
    assert place.windows == (6, 6)
    assert {abs(x) for tile in tiled(36, 9, example_bench).tiles for x in tile} == {29, 62, 95}
    tall = fo.FourF(bench_data({"camera": {"shape": [3200, 1100]}}, small=False))
    assert len(set(tiled(20, 9, tall).tiles)) == 20  # 10 x 2


def test_layouts_say_what_does_not_fit(small_bench, example_bench):
    with pytest.raises(fo.SamplingError, match=r"37 kernels .* has 36: its camera .* in 2 frames"):
        tiled(37, 9, example_bench)
    tight = fo.FourF(bench_data({"input": {"shape": [30, 30]}}))
    with pytest.raises(fo.SamplingError, match="folds first"):
        sequential(1, 3, tight)
    with pytest.raises(fo.SamplingError, match="has 0"):
        tiled(1, 3, tight)
    for layout in (tiled, sequential, on_axis):
        with pytest.raises(fo.GeometryError, match=r"3 input channels.*input_tiling"):
            layout(2, 3, small_bench, channels=3)


def test_more_frames_hold_more(example_bench):
    layout = tiled(50, 9, example_bench, frames=2)
    assert layout.mask == (0,) * 25 + (1,) * 25
    assert layout.tiles[:25] == layout.tiles[25:]
    with pytest.raises(fo.GeometryError, match="frames = 0"):
        tiled(50, 9, example_bench, frames=0)


def test_on_axis_warns_where_there_is_undiffracted_light(small_bench):
    with pytest.warns(fo.SamplingWarning, match="a phase that nobody knows"):
        assert on_axis(2, 3, small_bench).tiles == ((0, 0), (0, 0))
    on_axis(2, 3, fo.FourF(bench_data({"panel": {"shape": [96, 128], "fill_factor": 1.0}})))


@pytest.mark.parametrize(
    ("shape", "channels", "picture"), [((8, 28), 3, (8, 8)), ((18, 18), 4, (8, 8)), ((8, 8), 1, (8, 8))]
)
def test_pictures_side_by_side(shape, channels, picture):
    """All windows (picture, output) keep free of each other's taps and of what is not sent anywhere."""
    bench = fo.FourF(bench_data({"input": {"shape": list(shape)}, "panel": {"shape": [200, 200], "iris": None}}))
    bench = fo.FourF(
        bench.config.model_copy(update={"input": bench.config.input.model_copy(update={"pitch": 63.3e-6 / 2})})
    )
    layout = input_tiling(2, 3, bench, channels=channels)
    assert layout.shape == picture
    assert len(layout.tiles) == 2 * channels
    assert len(set(layout.tiles)) == 2
    assert len(set(layout.places)) == channels
    assert (np.abs(layout.centres) >= 8).all()
    assert (distances(layout.centres) >= 8 + 1).all()
    pictures = torch.rand(channels, *picture)
    display = on_display(pictures, layout.places[:channels], shape)
    assert float(display.sum()) == pytest.approx(float(pictures.sum()))
    assert display.shape == shape


def test_a_picture_must_fit_the_display(small_bench):
    with pytest.raises(fo.SamplingError, match=r"leave .* pixels of the display"):
        input_tiling(1, 3, small_bench, channels=9)
    with pytest.raises(fo.GeometryError, match="not within"):
        on_display(torch.ones(1, 8, 8), [(0, 1)], (8, 8))


def test_a_line_for_each_channel():
    bench = fo.FourF(bench_data({"light": {"spectrum": LINES}}))
    layout = wavelengths(2, 3, bench, channels=3)
    assert layout.mask == (0, 1, 2, 0, 1, 2)
    assert layout.wavelengths == pytest.approx((600e-9, 633e-9, 660e-9) * 2)
    assert layout.tiles[0] == layout.tiles[1] == layout.tiles[2] != layout.tiles[3]
    with pytest.raises(fo.GeometryError, match="3 lines, the kernels 2 channels"):
        wavelengths(2, 3, bench, channels=2)
