"""The student: its stack is linear and merges exactly; its controls cost no more than it does."""

import doctest
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import models.controls
import models.student
from fouroptics.errors import ConfigError, FourOpticsError
from models.controls import DigitalNet, HeadOnly, controls, plain_lens
from models.macs import count_macs
from models.student import Student, StudentConfig, merge
from models.teacher import Teacher, TeacherConfig
from models.train import build

FRONTS = ["stack", "free", "delta", "random"]
LIGHT = {  # what the display does to a beam of amplitude 1, written out; the last two are not plain
    "amplitude": ({}, lambda g: g),
    "intensity": ({}, lambda g: g.sqrt()),
    "phase": ({}, lambda g: torch.complex(torch.cos(math.pi * g), torch.sin(math.pi * g))),
    "binary": ({}, lambda g: (g >= 0.5).to(g.dtype)),
    "amplitude, gamma 2": ({"gamma": 2.0}, lambda g: g * g),
    "intensity, contrast 50": ({"contrast": 50.0}, lambda g: (g + (1 - g) / 50).sqrt()),
}


def student(seed: int = 0, **config: Any) -> Student:
    return build(lambda: Student(StudentConfig(**config)), seed)


def images(count: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(count, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("front", FRONTS)
def test_collapse_is_the_stack(front: str):
    net, x = student(front=front), images(dtype=torch.float64)
    kernels = net.collapse()
    assert kernels.shape == (16, 1, 9, 9)
    assert kernels.dtype == torch.float64
    assert not kernels.requires_grad
    merged = F.conv2d(x.unsqueeze(1), kernels, padding=4)
    torch.testing.assert_close(merged, net.run_stack(x), rtol=0, atol=1e-10)
    torch.testing.assert_close(net.amplitude(x.float()).double(), merged, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", LIGHT)
def test_each_coding_collapses_and_is_detected(name: str):
    """As above, against torch's own complex convolution of light written out here."""
    options, display = LIGHT[name]
    net, x = student(coding=name.split(",")[0], **options), images(dtype=torch.float64)
    light = display(x)
    merged = F.conv2d(light.unsqueeze(1), net.collapse().to(light.dtype), padding=4)
    torch.testing.assert_close(net.run_stack(x), merged, rtol=0, atol=1e-10)  # rounding of float64
    with torch.no_grad():
        u = net.amplitude(x.float())
    torch.testing.assert_close(u.to(merged.dtype), merged, rtol=0, atol=1e-4)  # of float32, over 81 taps
    assert u.is_complex() == (name == "phase")
    torch.testing.assert_close(net.detect(u), u.abs() ** 2)
    signed = student(readout="reference_pair").detect(u)
    torch.testing.assert_close(signed, u.real)
    assert not signed.is_complex()


def test_a_phase_image_is_invisible_without_a_mask():
    """|exp(i pi g)|^2 = 1 for every image, and its real part is cos(pi g)."""
    x = images()
    lens = student(front="delta", outputs=1, coding="phase")
    torch.testing.assert_close(lens.detect(lens.amplitude(x)), torch.ones(3, 1, 28, 28))
    seen = student(front="delta", outputs=1, coding="phase", readout="reference_pair")
    torch.testing.assert_close(seen.detect(seen.amplitude(x))[:, 0], torch.cos(math.pi * x))


def test_merge_of_layers_of_other_sizes():
    stack = [torch.randn(shape, dtype=torch.float64) for shape in ((3, 2, 5, 5), (4, 3, 1, 1), (2, 4, 2, 2))]
    x = torch.randn(1, 2, 12, 12, dtype=torch.float64)
    merged = merge(stack)
    assert merged.shape == (2, 2, 6, 6)
    y = x
    for weights in stack:
        y = F.conv2d(y, weights)
    torch.testing.assert_close(F.conv2d(x, merged), y, rtol=0, atol=1e-10)


def test_cross_correlation_order():
    net = student(front="delta", outputs=1, pool=1)
    net.get_buffer("fixed").zero_()[0, 0, 4, 6] = 1  # two taps to the right of the middle
    x = images()
    torch.testing.assert_close(net.amplitude(x)[:, 0, :, :-2], x[:, :, 2:])


@pytest.mark.parametrize("front", FRONTS)
def test_front_end_is_linear(front: str):
    net = student(front=front)
    x, y = images(dtype=torch.float64).chunk(3)[:2]
    torch.testing.assert_close(
        net.run_stack(0.3 * x - 2 * y), 0.3 * net.run_stack(x) - 2 * net.run_stack(y), rtol=0, atol=1e-12
    )
    x, y = x.float(), y.float()
    torch.testing.assert_close(
        net.amplitude(0.3 * x - 2 * y), 0.3 * net.amplitude(x) - 2 * net.amplitude(y), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("coding", ["amplitude", "intensity", "phase", "binary"])
@pytest.mark.parametrize("readout", ["intensity", "reference_pair"])
def test_gradient_reaches_each_layer_of_the_stack(coding: str, readout: str):
    net = student(coding=coding, readout=readout)
    net(images()).square().sum().backward()
    assert len(net.stack) == 4
    for weights in net.stack:
        assert weights.grad is not None
        assert weights.grad.abs().min() > 0


@pytest.mark.parametrize("front", ["delta", "random"])
def test_fixed_kernels_do_not_learn_and_are_saved(front: str):
    net = student(front=front)
    assert not net.kernels().requires_grad
    assert "fixed" in net.state_dict()
    assert all(name.startswith(("normalise", "head")) for name, _ in net.named_parameters())


def test_delta_is_a_plain_lens():
    x = images()
    torch.testing.assert_close(student(front="delta").amplitude(x), x.unsqueeze(1).expand(-1, 16, -1, -1))


def test_readouts():
    amplitude = torch.randn(2, 16, 28, 28)
    torch.testing.assert_close(student().detect(amplitude), amplitude**2)
    assert student(readout="reference_pair").detect(amplitude) is amplitude


def test_classify_is_what_forward_does_after_the_camera():
    net, x = student().eval(), images()
    torch.testing.assert_close(net(x), net.classify(net.run_stack(x) ** 2), rtol=1e-3, atol=1e-3)
    assert net(x).shape == (3, 10)


def test_weights_come_from_the_seed():
    state = torch.random.get_rng_state()
    first, again, other = student(0), student(0), student(1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first.kernels(), again.kernels())
    assert not torch.equal(first.kernels(), other.kernels())


def test_macs_by_hand():
    assert student().electronic_macs() == 16 * 49 * 64 + 64 * 10
    assert count_macs(nn.Conv2d(3, 8, 5, stride=2, padding=2), torch.zeros(1, 3, 28, 28)) == 14 * 14 * 8 * 3 * 25
    teacher = Teacher(TeacherConfig())
    assert teacher.macs() == 784 * 16 * 9 + 196 * 32 * 16 * 9 + 1568 * 128 + 1280
    assert teacher.training


@pytest.mark.parametrize("hidden", [16, 64, 128])
def test_controls_cost_no_more_than_the_student(hidden: int):
    config = StudentConfig(hidden=hidden)
    budget = Student(config).electronic_macs()
    for name, make in controls(config).items():
        control = make()
        macs = control.electronic_macs() if isinstance(control, Student) else None
        macs = control.macs() if isinstance(control, HeadOnly | DigitalNet) else macs
        assert macs is not None
        assert 0.9 * budget < macs <= budget, name
        assert control(images()).shape == (3, 10)


def test_plain_lens_has_the_head_of_the_student():
    lens = Student(plain_lens(StudentConfig()))
    assert lens.collapse().shape == (1, 1, 9, 9)
    assert lens.electronic_macs() == student().electronic_macs()
    assert lens.config.pool == 1


def test_wrong_configurations():
    with pytest.raises(FourOpticsError, match="pooled by 5"):
        student(pool=5)
    for key, value in {"front": "lens", "coding": "phases", "gamma": 0, "contrast": 1}.items():
        with pytest.raises(ConfigError, match=rf"^{key} = {value!r}: "):
            student(**{key: value})
    with pytest.raises(FourOpticsError, match=r"in \[0, 1\]"):
        student(coding="intensity")(-images())
    with pytest.raises(FourOpticsError, match="too few"):
        DigitalNet(StudentConfig(), budget=2_000)


def test_examples():
    for module in (models.student, models.controls):
        assert doctest.testmod(module, extraglobs={"torch": torch}).attempted
        assert not doctest.testmod(module, extraglobs={"torch": torch}).failed
