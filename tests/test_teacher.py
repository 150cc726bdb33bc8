"""The teachers are the networks that they are said to be."""

import doctest
from typing import Any

import pytest
import torch
from torch import nn

import models.teacher
from fouroptics.errors import ConfigError
from models.teacher import Teacher, TeacherConfig


def shapes(teacher: Teacher) -> list[tuple[int, ...]]:
    return [tuple(layer.weight.shape) for layer in teacher.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"channels": 3, "size": 32},
        {"kind": "three_conv", "channels": 3, "size": 12},
        {"kind": "blocks", "width": 4, "size": 28, "classes": 2},
        {"kind": "blocks", "width": 4, "size": 64, "stride": 2, "channels": 3},
    ],
)
def test_scores(config: dict[str, Any]):
    teacher = Teacher(TeacherConfig(**config)).eval()
    c = teacher.config
    x = torch.rand(2, c.channels, c.size, c.size, generator=torch.Generator().manual_seed(0))
    assert teacher(x).shape == (2, c.classes)
    if c.channels == 1:
        torch.testing.assert_close(teacher(x[:, 0]), teacher(x))


def test_the_teacher_of_28_pixels():
    with torch.device("meta"):
        teacher = Teacher(TeacherConfig(kind="three_conv"))
    assert shapes(teacher)[:3] == [(32, 1, 3, 3), (128, 32, 3, 3), (256, 128, 3, 3)]
    assert shapes(teacher)[3:] == [(512, 9216), (256, 512), (10, 256)]
    assert teacher.macs() == 26**2 * 288 + 24**2 * 128 * 288 + 22**2 * 256 * 1152 + 9216 * 512 + 512 * 256 + 2560


def test_alexnet():
    """Parameters of torchvision's features, 2,469,696, and of the head 9216-1024-256-10."""
    with torch.device("meta"):
        teacher = Teacher(TeacherConfig(kind="alexnet", size=224, channels=3))
    convolutions = sum(p.numel() for m in teacher.modules() if isinstance(m, nn.Conv2d) for p in m.parameters())
    assert convolutions == 2_469_696
    assert shapes(teacher)[5:] == [(1024, 9216), (256, 1024), (10, 256)]
    sides = (55, 27, 13, 13, 13)
    products = (64 * 3 * 121, 192 * 64 * 25, 384 * 192 * 9, 256 * 384 * 9, 256 * 256 * 9)
    head = 9216 * 1024 + 1024 * 256 + 2560
    assert teacher.macs() == sum(n * n * p for n, p in zip(sides, products, strict=True)) + head


def test_blocks_double():
    teacher = Teacher(TeacherConfig(kind="blocks", width=4, size=32))
    assert shapes(teacher) == [(4, 1, 3, 3), (8, 4, 3, 3), (16, 8, 3, 3), (32, 16, 3, 3), (10, 32)]
    strided = Teacher(TeacherConfig(kind="blocks", width=4, size=64, stride=2))
    assert strided.macs() == teacher.macs()


def test_wrong_sizes():
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"size": 30}, "multiple of 4"),
        ({"kind": "three_conv", "size": 8}, "at least 12"),
        ({"kind": "alexnet"}, "at least 63"),
        ({"kind": "blocks", "size": 28, "stride": 2}, "at least 32"),
    ]
    for config, message in wrong:
        with pytest.raises(ConfigError, match=message):
            TeacherConfig(**config)


def test_the_smallest_sizes_run():
    for kind, size in models.teacher.SMALLEST.items():
        teacher = Teacher(TeacherConfig(kind=kind, size=size)).eval()
        assert teacher(torch.rand(2, size, size)).shape == (2, 10)


def test_examples():
    results = doctest.testmod(models.teacher, extraglobs={"torch": torch})
    assert results.attempted
    assert not results.failed
