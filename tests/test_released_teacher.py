"""What the method's released code did wrong in teaching and in exporting, each as a test that would catch it here.

A teacher in train mode, batch statistics in a test, kernels whose parts are scrambled, convolution for correlation.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fouroptics as fo
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.kernels import read_kernels
from models.data import fashion_subset
from models.runs import load_student, save_checkpoint, save_kernels
from models.scores import logits
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig

NETWORKS = {
    "teacher": lambda: Teacher(TeacherConfig(kind="blocks", width=4)),
    "student": lambda: Student(StudentConfig(outputs=4, width=4, hidden=8, dropout=0.5)),
}


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return fashion_subset().train.images[:40]


def in_training(name: str, images: torch.Tensor) -> nn.Module:
    """A network in train mode, with dropout, and running moments that are not those of the images alone."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    model(images[:20] ** 2)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_soft_targets_are_those_of_eval_mode(name: str, images: torch.Tensor):
    """The same twice, though the network has dropout and is in train mode; its running moments stay."""
    model = in_training(name, images)
    assert not torch.equal(model(images), model(images))  # train mode would show
    before = {key: value.clone() for key, value in model.state_dict().items()}
    taught = logits(model, images)
    assert torch.equal(taught, logits(model, images))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    torch.testing.assert_close(taught, model.eval()(images).detach())


@pytest.mark.parametrize("name", NETWORKS)
def test_an_answer_does_not_depend_on_the_other_images(name: str, images: torch.Tensor):
    """Alone, in another order, in batches of three: to float32 rounding; with batch statistics it differs by tenths."""
    model = in_training(name, images)
    answer = logits(model, images)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    for other in (logits(model, images, batch=3), logits(model, images[order])[order.argsort()]):
        torch.testing.assert_close(other, answer, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits(model, images[:1]), answer[:1], rtol=1e-4, atol=1e-5)
    batch_statistics = model.train()(images) - model(images[:20]).repeat(2, 1)
    assert float(batch_statistics.detach().abs().max()) > 0.05


def asymmetric(config: StudentConfig) -> Student:
    """A student whose kernels have no symmetry at all, as trained ones have none."""
    torch.manual_seed(0)
    return Student(config).eval()


@pytest.mark.parametrize("front", ["free", "stack"])
def test_complex_kernels_come_back_in_order(front: Any, tmp_path: Path):
    """Real and imaginary parts are stored side by side; taken apart along the wrong axis they mix."""
    config = StudentConfig(size=8, pool=2, depth=1, outputs=3, front=front, complex_kernels=True, readout="four_step")
    student = asymmetric(config)
    kernels = student.collapse()
    assert kernels.is_complex()
    weights = student.stack[0].detach()
    if front == "free":
        np.testing.assert_allclose(kernels.real, weights[..., 0], rtol=1e-6)
        np.testing.assert_allclose(kernels.imag, weights[..., 1], rtol=1e-6)
    save_checkpoint(tmp_path / "model.pt", student)
    assert torch.equal(load_student(tmp_path / "model.pt").collapse(), kernels)
    save_kernels(tmp_path / "kernels.npz", student)
    with np.load(tmp_path / "kernels.npz") as arrays:
        np.testing.assert_array_equal(arrays["kernels"], kernels)
    point = torch.zeros(1, 8, 8)
    point[0, 4, 4] = 1
    with torch.no_grad():
        spread = student.amplitude(point)[0, :, 3:6, 3:6]
    torch.testing.assert_close(spread, kernels[:, 0].flip((-2, -1)).to(spread))


def overlap(seen: torch.Tensor, wanted: torch.Tensor) -> float:
    """|<seen, wanted>| / (|seen| |wanted|), 1 if they are the same but for a factor."""
    return float((seen.conj() * wanted).sum().abs() / seen.norm() / wanted.norm())


def test_exported_kernels_do_on_the_bench_what_the_student_does(small_bench: fo.FourF, tmp_path: Path):
    """Kernels through the file into a mask: the light of the bench is the student's amplitude, to what 8 bits leave.

    A product of spectra is a convolution and torch computes a correlation: without the flip the overlap is far off.
    """
    student = asymmetric(StudentConfig(size=8, pool=2, depth=1, outputs=2, front="free"))
    save_kernels(tmp_path / "kernels.npz", student)
    masks = from_kernels(torch.from_numpy(read_kernels(tmp_path / "kernels.npz")), small_bench, light=0.05)
    images = torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(1)) ** 4
    with torch.no_grad():
        wanted = student.amplitude(images)
        turned = nn.functional.conv2d(images[:, None], student.kernels().flip((-2, -1)), padding=1)
    d = small_bench.image_grid.spacing[0]
    for row, (y, x) in zip(masks.kernels.out_channel, masks.kernels.tile.tolist(), strict=True):
        window = small_bench.image_grid.shifted(y * d, x * d)
        seen = small_bench(images.double(), masks, onto=window).data[:, 0].flip((-2, -1))
        assert overlap(seen, wanted[:, row].to(seen)) > 0.995
        assert overlap(seen, turned[:, row].to(seen)) < 0.95
