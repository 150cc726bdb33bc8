"""The objectives: labels, soft targets of any temperature, per image and per pixel, with weights and ignored pixels."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, kl_divergence
from torch.nn import functional as F

from fouroptics.errors import FourOpticsError
from models.batch import Batch
from models.data import IGNORE
from models.distill import distilled, divergence, kd_loss, labels_only

WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)


def scores(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    student, teacher = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return student, teacher


@pytest.fixture
def pixels() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores of two 4x5 images in three classes, and labels that lack a column."""
    labels = torch.randint(3, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    labels[:, :, 1] = IGNORE
    return *scores(2, 3, 4, 5), labels


def batch_of(labels: torch.Tensor, chosen: list[int], view: int = 0) -> Batch:
    return Batch(torch.zeros(len(labels), 1), labels, torch.tensor(chosen), view)


class Fixed(nn.Module):
    """Gives the same scores whatever it sees."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.answer


def test_by_hand():
    student, teacher = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[math.log(3), 0.0]])
    kl = 0.75 * math.log(3) + 0.25 * math.log(1 / 3)  # of (3/4, 1/4) from (1/4, 3/4)
    ce = -math.log(0.25)
    loss = kd_loss(student, teacher, torch.tensor([0]), temperature=1, alpha=0.3)
    assert loss.item() == pytest.approx(0.3 * kl + 0.7 * ce, rel=1e-6)
    hot = kd_loss(2 * student, 2 * teacher, torch.tensor([0]), temperature=2, alpha=1)
    assert hot.item() == pytest.approx(4 * kl, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1, 4])
def test_the_divergence_is_that_of_torch(temperature: float):
    student, teacher = scores(7, 10)
    soft = [Categorical(logits=values / temperature) for values in (teacher, student)]
    torch.testing.assert_close(divergence(student, teacher, temperature), temperature**2 * kl_divergence(*soft))


def test_a_hot_teacher_is_matched_in_its_logits():
    """The next term of the series falls as 1/T: to 1e-3 at T = 1e3, and ten times farther off at T = 100."""
    student, teacher = scores(7, 10)
    difference = student - teacher
    difference -= difference.mean(1, keepdim=True)
    limit = difference.square().mean(1) / 2
    torch.testing.assert_close(divergence(student, teacher, math.inf), limit)
    off = [float((divergence(student, teacher, hot) - limit).abs().max()) for hot in (1e2, 1e3)]
    assert off[1] < 1e-3 * float(limit.max())
    assert off[0] / off[1] == pytest.approx(10, rel=0.1)


def test_a_shift_of_all_scores_changes_nothing():
    student, teacher = scores(7, 10)
    for temperature in (1, 10, math.inf):
        torch.testing.assert_close(
            divergence(student + 3, teacher - 2, temperature), divergence(student, teacher, temperature)
        )


@pytest.mark.parametrize("temperature", [1, 10, math.inf])
def test_the_gradient_keeps_its_size(temperature: float):
    """That is what T^2 is for: without it the gradient at T = 10 would be a tenth of a hundredth."""
    student, teacher = (values.requires_grad_() for values in scores(7, 10))
    loss = divergence(student, teacher, temperature).mean()
    loss.backward()
    assert teacher.grad is None
    assert student.grad is not None
    matching = (student - teacher).detach()
    matching -= matching.mean(1, keepdim=True)
    assert float(student.grad.norm() / (matching / 70).norm()) == pytest.approx(1, abs=0.5)


def test_pixels_are_images_of_their_own(pixels):
    student, teacher, labels = pixels
    scored = labels != IGNORE
    flat = kd_loss(student.movedim(1, -1)[scored], teacher.movedim(1, -1)[scored], labels[scored], 4, 0.7)
    torch.testing.assert_close(kd_loss(student, teacher, labels, 4, 0.7), flat)


def test_an_ignored_pixel_teaches_nothing(pixels):
    student, teacher, labels = pixels
    student.requires_grad_()
    kd_loss(student, teacher, labels, 4, 0.7, WEIGHTS).backward()
    assert student.grad is not None
    assert torch.equal(student.grad[..., 1], torch.zeros_like(student.grad[..., 1]))
    assert (student.grad[..., 0].abs().amax(1) > 0).all()


def test_the_weights_are_in_both_terms(pixels):
    """Each term alone is the weighted mean; one weight for all classes is none."""
    student, teacher, labels = pixels
    entropy = F.cross_entropy(student, labels, WEIGHTS, ignore_index=IGNORE)
    torch.testing.assert_close(kd_loss(student, teacher, labels, 4, 0.0, WEIGHTS), entropy)
    scored = labels != IGNORE
    counted = WEIGHTS[labels[scored]]
    soft = (counted * divergence(student, teacher, 4)[scored]).sum() / counted.sum()
    torch.testing.assert_close(kd_loss(student, teacher, labels, 4, 1.0, WEIGHTS), soft)
    even = kd_loss(student, teacher, labels, 4, 0.5, torch.full((3,), 7.0))
    torch.testing.assert_close(even, kd_loss(student, teacher, labels, 4, 0.5))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_labels_only(pixels, weights: torch.Tensor | None):
    student, teacher, labels = pixels
    loss, answer = labels_only(weights)(Fixed(student), batch_of(labels, [0, 1]))
    assert torch.equal(answer, student)
    torch.testing.assert_close(loss, kd_loss(student, teacher, labels, 1, 0.0, weights))


def test_the_scores_of_the_images_in_their_view_are_taught():
    """Half precision and another order: row chosen[b] of the view, not row b."""
    student, taught = scores(2, 10)[0], torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(2)).half()
    labels = torch.tensor([3, 4])
    loss, _ = distilled(taught, 4, 0.5)(Fixed(student), batch_of(labels, [4, 0], view=1))
    torch.testing.assert_close(loss, kd_loss(student, taught[1, [4, 0]].double(), labels, 4, 0.5))


def test_the_defaults_are_the_methods():
    student, teacher = scores(4, 10)
    labels = torch.arange(4)
    loss, _ = distilled(teacher[None])(Fixed(student), batch_of(labels, [0, 1, 2, 3]))
    torch.testing.assert_close(loss, kd_loss(student, teacher, labels, 10, 0.5))


@pytest.mark.parametrize(("temperature", "alpha"), [(0, 0.5), (math.nan, 0.5), (1, 1.1), (1, -0.1)])
def test_values_out_of_range(temperature: float, alpha: float):
    with pytest.raises(FourOpticsError, match=r"expected T > 0 and alpha from 0 to 1"):
        distilled(torch.zeros(1, 2, 10), temperature, alpha)


def test_a_teacher_of_other_classes():
    with pytest.raises(FourOpticsError, match=r"shapes \(7,\) and \(10,\) an image"):
        distilled(torch.zeros(1, 2, 7))(Fixed(torch.zeros(2, 10)), batch_of(torch.zeros(2).long(), [0, 1]))
