"""The cost of images through masks: the transforms that are really done, and the memory that they take."""

import math
from typing import Any
from unittest.mock import patch

import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.bench import cost as module
from fouroptics.bench import passes
from fouroptics.bench.cost import check_memory, cost, free_memory
from fouroptics.waves import transforms
from fouroptics.waves.transforms import shrinking_first, way

SPEED = 1e9  #: flops a second, so that nothing is timed


def bench(changes=None) -> fo.FourF:
    return fo.FourF(bench_data({"input": {"pixel": "point"}} | (changes or {})))


def run(place, images, masks, channels, onto):
    shape = (channels,) if channels > 1 else ()
    light = fo.Field(torch.ones(images, *shape, 8, 8, dtype=torch.complex64), place.input_grid, place.wavelength)
    mask = torch.ones(masks, *shape, *place.fourier_grid.shape, dtype=torch.complex64)
    return passes.through(place.config, light, place.fourier_grid, mask, onto)


def test_a_lattice_takes_one_transform_an_image_and_one_a_result():
    """5 L log2 L flops with L = 64 x 64 samples, B = 6, M = 5."""
    place = bench()
    found = cost(place.config, 6, 5, onto=place.image_grid, speed=SPEED)
    assert [t[:4] for t in found.transforms] == [
        ("display to panel", 6, (64, 64), "fft"),
        ("panel to camera", 30, (64, 64), "fft"),
    ]
    assert found.flops == 36 * 5 * 4096 * 12
    assert found.seconds == pytest.approx(found.flops / SPEED, rel=1e-12)
    assert found.memory.input == 6 * 64 * 8
    assert found.memory.light == 6 * 4096 * 8
    assert found.memory.output == 30 * 64 * 8


@pytest.mark.parametrize(("images", "masks", "channels"), [(1, 1, 1), (3, 5, 1), (3, 5, 2)])
def test_the_transforms_counted_are_those_done_on_a_lattice(images, masks, channels):
    place, seen = bench(), []
    real, back = transforms.fft2, transforms.ifft2

    def watched(call):
        def inner(data, shape=None):
            seen.append((data.shape[:-2].numel(), shape or tuple(data.shape[-2:])))
            return call(data, shape)

        return inner

    with patch.object(transforms, "fft2", watched(real)), patch.object(transforms, "ifft2", watched(back)):
        run(place, images, masks, channels, place.image_grid)
    found = cost(place.config, images, masks, channels, onto=place.image_grid, speed=SPEED).transforms
    assert {size for _, size in seen} == {t.size for t in found}
    assert sum(count for count, _ in seen) == sum(t.times for t in found)


@pytest.mark.parametrize("where", ["camera", "image"])
def test_the_axes_counted_are_those_done_elsewhere(where):
    """A panel of half a pixel more than the band: each arm is a transform of its own, axis by axis."""
    place = bench({"panel": {"shape": [96, 128], "pitch": "7.9 um", "iris": None}})
    onto, seen = getattr(place, f"{where}_grid"), []
    real = transforms._transform_axis

    def watched(data, dim, line, end, scale, sign):
        name, length = way(line, end, scale)
        size = (end[0], line[0]) if name == "matrix" else (length,)
        seen.append((data.numel() // line[0], size, name))
        with patch.object(transforms, "_transform_axis", real):  # it turns to the other axis by calling itself
            return real(data, dim, line, end, scale, sign)

    with patch.object(transforms, "_transform_axis", watched):
        run(place, 3, 5, 1, onto)
    found = cost(place.config, 3, 5, onto=onto, speed=SPEED).transforms
    assert [(t.times, t.size, t.way) for t in found] == seen


@pytest.mark.parametrize(
    ("line", "onto", "expected"),
    [
        ((64, 1.0, 0.0), (64, 1 / 64, 0.0), ("fft", 64)),
        ((5, 1.0, 0.0), (5, 1 / 5, 0.0), ("matrix", 0)),
        ((512, 1.0, 0.0), (500, 0.3 / 512, 0.0), ("chirp", 1024)),  # the first fast length from 512 + 500 - 1 on
    ],
)
def test_the_way_of_an_axis(line, onto, expected):
    assert way(line, onto, 1.0) == expected


def test_the_axis_that_shrinks_most_goes_first():
    assert shrinking_first(fo.Grid((8, 8), 1.0), fo.Grid((8, 4), 1.0)) == (1, 0)
    assert shrinking_first(fo.Grid((8, 8), 1.0), fo.Grid((4, 8), 1.0)) == (0, 1)


def test_flops_of_each_way():
    """8 n m for a matrix product on each line; two FFTs and three products for a chirp-z transform."""
    place = bench({"panel": {"shape": [96, 128], "pitch": "7.9 um", "iris": None}})
    found = cost(place.config, 1, 1, onto=place.image_grid, speed=SPEED)
    assert {t.way for t in found.transforms} == {"matrix"}
    for t in found.transforms:
        assert t.flops == t.times * 8 * math.prod(t.size)
    assert found.seconds == pytest.approx(found.flops / SPEED / module.PRODUCT, rel=1e-12)
    wide = bench({"panel": {"shape": [400, 500], "pitch": "7.9 um", "iris": None}}).config
    fine = cost(wide, 1, 1, onto=fo.Grid((900, 1000), 1e-6), speed=SPEED).transforms[-1]
    n, m, length = 400, 900, fine.size[0]  # y, for x grows less and goes first
    assert fine.way == "chirp"
    assert fine.flops == fine.times * (10 * length * math.log2(length) + 6 * (n + m + length))


@pytest.mark.parametrize(("option", "forward", "backward"), [("channels", 3, 1), ("nodes", 3, 3)])
def test_channels_are_summed_on_the_panel_and_nodes_take_both_arms(option, forward, backward):
    place = bench()
    options: list[dict[str, Any]] = [{option: n, "onto": place.image_grid, "speed": SPEED} for n in (1, 3)]
    one, many = (cost(place.config, 2, 4, **each).transforms for each in options)
    assert [b.times / a.times for a, b in zip(one, many, strict=True)] == [forward, backward]


def test_memory_grows_with_the_results_not_with_the_light():
    """Light on the panel is kept for `AT_ONCE` bytes at a time."""
    place = bench()
    few, many = (cost(place.config, n, 3, onto=place.image_grid, speed=SPEED) for n in (10_000, 20_000))
    assert few.memory.light == many.memory.light <= passes.AT_ONCE
    assert many.memory.output == 2 * few.memory.output
    double = cost(place.config, 10_000, 3, onto=place.image_grid, dtype=torch.complex128, speed=SPEED)
    assert double.memory.output == 2 * few.memory.output


def test_what_does_not_fit_is_refused_with_the_number_that_does():
    place = bench()
    found = cost(place.config, 1000, 50, speed=SPEED)
    with patch.object(module, "free_memory", lambda device: found.bytes // 2):
        with pytest.raises(
            fo.GeometryError, match=r"1000 images take [\d.]+ GiB, [\d.]+ GiB of cpu are free"
        ) as caught:
            check_memory(found)
        some = int(str(caught.value).split("send ")[1].split()[0])
        assert 300 < some <= 500
        check_memory(cost(place.config, some, 50, speed=SPEED))
    with patch.object(module, "free_memory", lambda device: 10), pytest.raises(fo.GeometryError, match="fewer masks"):
        check_memory(found)
    for free in (found.bytes, None):
        with patch.object(module, "free_memory", lambda device, free=free: free):
            check_memory(found)


def test_free_memory_of_this_computer():
    free = free_memory(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize("option", ["images", "masks", "channels", "nodes"])
def test_counts_are_positive(option):
    counts: dict[str, Any] = {"images": 1, "masks": 1, "speed": SPEED, option: 0}
    with pytest.raises(fo.GeometryError, match=f"{option} = 0"):
        cost(bench().config, **counts)


def test_the_wave_model_is_not_counted():
    with pytest.raises(fo.GeometryError, match="wave"):
        cost(bench({"model": "wave"}).config, 1, 1)


def test_a_cost_is_a_table_with_notes():
    text = str(cost(bench({"poses": {"panel": {"rotation": "1 mrad"}}}).config, 2, 3, speed=SPEED))
    assert "matrix" in text or "fft" in text
    assert "flops, at least" in text
    assert "note: a turned or slanted plane" in text


def test_one_fft_is_timed_where_no_speed_is_given():
    with patch.object(module, "fft_speed", lambda size: 2e9) as speed:
        assert cost(bench().config, 1, 1).seconds == pytest.approx(cost(bench().config, 1, 1, speed=2e9).seconds)
    assert speed
    assert module.fft_speed((64,)) > 0
    assert module.fft_speed((16, 16)) > 0
