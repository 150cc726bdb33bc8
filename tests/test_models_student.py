"""The student: its stack is linear and merges exactly; its controls cost no more than it does."""

import doctest
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import models.controls
import models.digital
import models.student
from fouroptics.errors import ConfigError, FourOpticsError
from models.controls import HeadOnly, controls, plain_lens, random_kernels, strided_net
from models.digital import DigitalConfig, DigitalNet, digital_candidates, digital_macs
from models.macs import count_macs
from models.spectral import spectral_layer
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


STUDENTS = {  # every way to make one; each is linear and collapses
    **{front: {"front": front} for front in FRONTS},
    "even kernel": {"front": "free", "kernel": 6},
    "complex": {"complex_kernels": True, "readout": "four_step"},
    "complex random": {"front": "random", "complex_kernels": True},
    "three channels": {"channels": 3, "widths": (4, 6), "pool": 5},
    "phase, complex": {"coding": "phase", "complex_kernels": True, "readout": "reference_pair"},
    "incoherent": {"readout": "split"},
    "read every second": {"read": 2, "pool": 2},
    "read every third, three channels": {"read": 3, "channels": 3, "outputs": 4, "readout": "reference_pair"},
    "pooled": {"channels": 3, "widths": (4, 6), "bands": (29, 21, 15), "pool": 3},
    "pooled, complex": {"widths": (4,), "bands": (27, 13), "complex_kernels": True, "readout": "four_step"},
    "pooled, read": {"widths": (4,), "bands": (27, 27), "read": 2, "readout": "split"},
    "paper": {"widths": (8, 16), "outputs": 32, "readout": "reference_pair", "pool": 5, "hidden": (64, 32)},
}


def light(net: Student, seed: int = 1) -> torch.Tensor:
    shape = (2, net.config.channels, 28, 28) if net.config.channels > 1 else (2, 28, 28)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_mask(net: Student, x: torch.Tensor) -> torch.Tensor:
    """What a 4f system does with the collapsed form, written out: mask in the spectrum, or kernel, whole picture."""
    c, merged, field = net.config, net.collapse(), net.encode(x).reshape(2, net.config.channels, 28, 28)
    if c.bands is None or c.periods is None:
        k, both = merged.shape[-1], torch.promote_types(field.dtype, merged.dtype)
        return F.conv2d(F.pad(field, (k // 2, k - 1 - k // 2) * 2).to(both), merged.to(both))
    first, band = c.periods[0], c.bands[-1]
    spectrum = torch.fft.fftshift(torch.fft.fft2(F.pad(field, (0, first - 28) * 2)), (-2, -1))
    low = torch.fft.ifftshift(spectrum[..., *[slice((first - band) // 2, (first + band) // 2)] * 2], (-2, -1))
    seen = torch.fft.ifft2(torch.einsum("ocyx,bcyx->boyx", merged, low)) * (band / first) ** 2
    return (seen if c.complex_kernels else seen.real)[..., : c.picture, : c.picture]


@pytest.mark.parametrize("name", STUDENTS)
def test_every_student_collapses(name: str):
    """Layer by layer, merged, and as the bench gets it: equal to the rounding of float64 sums of hundreds of terms."""
    net = student(**STUDENTS[name]).double().eval()
    x = light(net)
    stack = net.run_stack(x)
    torch.testing.assert_close(net.amplitude(x), stack, rtol=0, atol=1e-12)
    torch.testing.assert_close(net.sampled(by_mask(net, x)), stack, rtol=0, atol=1e-12)
    side = len(net.config.read_pixels)
    assert stack.shape == (2, net.config.outputs, side, side)
    torch.testing.assert_close(net(x), net.classify(net.detect(stack)), rtol=0, atol=1e-10)  # the averages first


@pytest.mark.parametrize("name", [name for name, config in STUDENTS.items() if config.get("coding") != "phase"])
def test_every_front_end_is_linear(name: str):
    """In the amplitude on the display; the incoherent one in its intensity, whose root the image is."""
    net = student(**STUDENTS[name]).double()
    power = 2 if net.config.readout == "split" else 1
    x, y = light(net, 1), light(net, 2)
    mixed = (0.3 * x**power + 2 * y**power) ** (1 / power)
    for optics in (net.amplitude, net.run_stack):
        torch.testing.assert_close(optics(mixed), 0.3 * optics(x) + 2 * optics(y), rtol=0, atol=1e-12)
        if power == 1:
            torch.testing.assert_close(optics(-x), -optics(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, config in STUDENTS.items() if config.get("front", "stack") != "delta"])
def test_gradients_reach_what_learns(name: str):
    net = student(**STUDENTS[name])
    net(light(net).float()).square().sum().backward()
    assert all(weights.grad is not None and weights.grad.abs().max() > 0 for weights in net.parameters())


def test_a_rectified_student_is_not_linear():
    """The ReLU in the pools of the released code, to be compared with; without the key the same weights are linear."""
    net, linear = (student(**STUDENTS["pooled"], rectified=rectified).double() for rectified in (True, False))
    linear.load_state_dict(net.state_dict())
    x, y = light(net, 1), light(net, 2)
    u = net.amplitude(x)
    assert float(u.detach().min()) == 0
    for one, scale in ((linear, 1e-12), (net, 0.05)):
        missed = (one.amplitude(x - 2 * y) - one.amplitude(x) + 2 * one.amplitude(y)).abs().max() / u.abs().max()
        assert (float(missed.detach()) > scale) == (one is net)
    stack = F.pad(x, (0, 5, 0, 5))
    for weights, band in zip(net.weights(), (29, 21, 15), strict=True):
        stack = spectral_layer(stack, weights, band).relu()
    torch.testing.assert_close(u, stack[..., :13, :13])
    assert linear.collapse().shape == (16, 3, 15, 15)
    with pytest.raises(FourOpticsError, match=r"rectified = true: .* not one pass of light"):
        net.collapse()
    with pytest.raises(ConfigError, match="rectified = true: it is of pooling"):
        student(rectified=True)
    lens = Student(plain_lens(net.config))
    assert lens.collapse().shape[:2] == (3, 3)


def test_what_the_camera_tells():
    u = torch.complex(*torch.randn(2, 3, 16, 5, 5, generator=torch.Generator().manual_seed(0)))
    both = student(readout="four_step", complex_kernels=True).detect(u)
    torch.testing.assert_close(both, torch.cat([u.real, u.imag], 1))
    assert student(readout="four_step").detect(u.real) is not None
    torch.testing.assert_close(student(readout="intensity", complex_kernels=True).detect(u), u.abs() ** 2)


def test_split_is_the_difference_of_two_positive_patterns():
    """What incoherent light can do: two kernels without a sign act on the intensity of the display."""
    net, x = student(readout="split", coding="intensity").double(), images(dtype=torch.float64)
    kernels = net.collapse()
    plus, minus = (F.conv2d(x.unsqueeze(1), part.clamp(min=0), padding=4) for part in (kernels, -kernels))
    torch.testing.assert_close(net.detect(net.amplitude(x)), plus - minus, rtol=0, atol=1e-12)


def test_the_linear_readouts_are_one_network():
    """Of real kernels; for incoherent light of a display whose power is the grey: its root, squared, to rounding."""
    pair, x = student(readout="reference_pair").eval(), images()
    four, split = student(readout="four_step").eval(), student(readout="split", coding="intensity").eval()
    assert torch.equal(four(x), pair(x))
    torch.testing.assert_close(split(x), pair(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("read", "first", "count"), [(1, 0, 28), (2, 0, 14), (3, 1, 9), (5, 2, 6)])
def test_read_pixels(read: int, first: int, count: int):
    """Pixels in the middle of blocks of `read`, as near as there are pixels."""
    net, whole, x = student(read=read, pool=1), student(), images()
    pixels = list(net.config.read_pixels)
    assert (pixels[0], len(pixels), pixels[1] - pixels[0]) == (first, count, read)
    torch.testing.assert_close(net.amplitude(x), whole.amplitude(x)[..., pixels, :][..., pixels], rtol=0, atol=1e-5)
    torch.testing.assert_close(net.sampled(whole.amplitude(x)), net.amplitude(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("pool", "side"), [(4, 7), (5, 6), (28, 1), (3, 10)])
def test_pooling_of_any_size(pool: int, side: int):
    net, picture = student(pool=pool), torch.rand(2, 16, 28, 28, generator=torch.Generator().manual_seed(0))
    assert net.config.features == (16, side, side)
    torch.testing.assert_close(net.average(picture), F.adaptive_avg_pool2d(picture, side))
    assert net(images()).shape == (3, 10)


def test_heads():
    assert [type(layer).__name__ for layer in student(hidden=0).head] == ["Flatten", "Linear"]
    paper = student(outputs=256, widths=(32, 128), pool=5, hidden=(512, 256), dropout=0.5)
    widths = [layer.weight.shape for layer in paper.head if isinstance(layer, nn.Linear)]
    assert widths == [(512, 9216), (256, 512), (10, 256)]
    assert [layer.p for layer in paper.head if isinstance(layer, nn.Dropout)] == [0.5] * 3
    assert paper.electronic_macs() == 9216 * 512 + 512 * 256 + 2560
    assert paper.collapse().shape == (256, 1, 7, 7)
    assert torch.equal(paper.eval()(x := images()), paper(x))


def test_the_border_keeps_the_sides_apart():
    """A bright last row must not shine into the first one; what is left there is the ringing of the pooling."""
    net = student(widths=(4,), bands=(27, 27), pool=1).double()
    alone = student(widths=(4,), bands=(31, 31), pool=1).double()
    assert alone.config.periods == [31, 31]
    x = torch.zeros(1, 28, 28, dtype=torch.float64)
    x[:, -1] = 1
    assert alone.amplitude(x)[..., 0, :].abs().max() < 1e-12  # nothing is cropped: no ringing
    assert net.amplitude(x)[..., 0, :].abs().max() < 0.2 * net.amplitude(x).abs().max()


def test_wrong_configurations():
    for key, value in {"front": "lens", "coding": "phases", "gamma": 0, "contrast": 1, "read": 0}.items():
        with pytest.raises(ConfigError, match=rf"^{key} = {value!r}: "):
            student(**{key: value})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"kernel": 5}, "kernel = 5: the stack makes kernels of 9"),
        ({"readout": "split", "complex_kernels": True}, "complex_kernels = true: .* no phase"),
        ({"readout": "split", "coding": "phase"}, "coding = 'phase': .* no phase"),
        ({"bands": (15,)}, "one for each of the 4 layers"),
        ({"bands": (15, 15, 15, 14)}, "odd numbers that do not grow"),
        ({"bands": (15, 15, 17, 17)}, "odd numbers that do not grow"),
        ({"bands": (51, 15, 15, 15)}, "at most as many"),
        ({"bands": (5, 5, 5, 5)}, "border would be wider"),
        ({"read": 57}, "read = 57: of 28 pixels that reads none"),
    ]
    for config, message in wrong:
        with pytest.raises(ConfigError, match=message):
            student(**config)
    with pytest.raises(FourOpticsError, match=r"in \[0, 1\]"):
        student(coding="intensity")(-images())
    with pytest.raises(FourOpticsError, match="too few"):
        strided_net(StudentConfig(), budget=2_000)
    with pytest.raises(FourOpticsError, match="no random kernels"):
        random_kernels(StudentConfig(depth=1, bands=(15,)))
    wrong = [({"kind": "mlp", "hidden": 0}, "hidden = 0"), ({"widths": ()}, "widths = ")]
    for config, message in wrong:
        with pytest.raises(ConfigError, match=message):
            DigitalConfig(**config)


@pytest.mark.parametrize("shape", [(2, 27, 28), (2, 32, 32), (28, 28), (2, 3, 28, 28), (2, 1, 1, 28, 28)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]):
    """Adaptive pooling and crops of spectra would take any size, and say nothing."""
    pooled = {"bands": (29, 21, 15, 15), "pool": 3}
    students = [student(pool=5), student(readout="reference_pair"), student(**pooled)]
    digital = [DigitalNet(DigitalConfig()), HeadOnly(StudentConfig(), 1000), Teacher(TeacherConfig())]
    for net in (*students, *digital):
        with pytest.raises(FourOpticsError, match=r"the network takes \(B, 28, 28\) or \(B, 1, 28, 28\)"):
            net(torch.zeros(shape))
    with pytest.raises(FourOpticsError, match=r"the network takes \(B, 3, 28, 28\)"):
        student(channels=3, **pooled)(torch.zeros(2, 28, 28))


@pytest.mark.parametrize("budget", [1_000, 8_000, 300_000])
def test_digital_candidates_use_the_budget(budget: int):
    found = digital_candidates(28, 1, 10, budget)
    assert len(found) == len(set(found)) >= 7
    assert {"mlp", "convolution"} <= {config.kind for config in found}
    for config in found[::6]:
        net = DigitalNet(config)
        assert 0.7 * budget <= net.macs() <= budget
        assert net.macs() == digital_macs(config)
        assert net(images()).shape == (3, 10)


def test_digital_networks_of_colour():
    for config in digital_candidates(20, 3, 4, 30_000)[::6]:
        assert DigitalNet(config)(torch.rand(2, 3, 20, 20)).shape == (2, 4)
        assert DigitalNet(config).macs() == digital_macs(config)


def test_examples():
    for module in (models.student, models.controls, models.digital):
        assert doctest.testmod(module, extraglobs={"torch": torch}).attempted
        assert not doctest.testmod(module, extraglobs={"torch": torch}).failed
