"""The neural tangent kernel: the exact one against autograd, the projected one against the exact, the distance."""

import pytest
import torch
from torch import nn

from models.batch import Batch
from models.data import fashion_subset
from models.distill import labels_only
from models.ntk import exact_kernel, kernel, kernel_distance, normalised, ntk_matched, tangents
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own
SMALL = {
    "student": lambda: Student(StudentConfig(outputs=4, width=4, hidden=8)),
    "linear readout": lambda: Student(StudentConfig(outputs=4, width=4, hidden=8, readout="reference_pair")),
    "teacher": lambda: Teacher(TeacherConfig(width=4, hidden=8)),
}


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return fashion_subset().train.images[:16]


def make(name: str) -> nn.Module:
    """A small network in training, whose running means are not those of its first weights."""
    torch.manual_seed(0)
    model = SMALL[name]()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.get_buffer("running_mean").uniform_(-0.1, 0.1)
    return model.train()


def error(approximate: torch.Tensor, exact: torch.Tensor) -> float:
    """Relative, in the Frobenius norm."""
    return float(((approximate - exact).norm() / exact.norm()).detach())


@pytest.mark.parametrize("name", SMALL)
def test_the_exact_kernel_is_made_of_gradients(name: str, images: torch.Tensor):
    """To 1e-4: single precision, sums over thousands of weights."""
    model = make(name)
    theta = exact_kernel(model, images[:4])
    weights = list(model.eval().parameters())
    rows = torch.stack(
        [
            torch.cat([part.flatten() for part in torch.autograd.grad(score, weights, retain_graph=True)])
            for score in model(images[:4]).flatten()
        ]
    ).view(4, 10, -1)
    torch.testing.assert_close(theta, torch.einsum("icw,jcw->ij", rows, rows), rtol=1e-4, atol=1e-4)


def test_the_kernel_of_a_linear_network_is_known():
    """Scores W x + b have the gradients x and 1: Theta = scores (x_i . x_j + 1)."""
    images = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(exact_kernel(nn.Linear(7, 3), images), 3 * (images @ images.T + 1))


@pytest.mark.parametrize("name", SMALL)
def test_the_projection_is_within_5_percent(name: str, images: torch.Tensor):
    """Of the normalised kernel, which is what is matched, with 256 probes: 1.0 to 3.5 % in thirty draws."""
    model = make(name)
    exact = exact_kernel(model, images)
    torch.manual_seed(1)
    assert error(normalised(kernel(tangents(model, images, 256))), normalised(exact)) < 0.05


def test_the_error_falls_as_the_root_of_the_probes(images: torch.Tensor):
    """Root mean square of 16 draws of 8 probes and of 128: a quarter, give or take 30 %."""
    model, images = make("student"), images[:8]
    exact = exact_kernel(model, images)
    torch.manual_seed(1)
    few, many = (
        torch.tensor([error(kernel(tangents(model, images, probes)), exact) for _ in range(16)]).square().mean().sqrt()
        for probes in (8, 128)
    )
    assert float(few / many) == pytest.approx(4, rel=0.3)


def test_the_size_of_a_kernel_does_not_count(images: torch.Tensor):
    theta = exact_kernel(make("teacher"), images).detach()
    torch.testing.assert_close(normalised(7 * theta), normalised(theta))
    assert float(normalised(theta).diagonal().mean()) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("name", ["student", "linear readout"])
def test_few_probes_give_the_distance_on_average(name: str, images: torch.Tensor):
    """Mean of 60 draws of 8 probes within 10 % of the exact, three standard errors of that mean."""
    images = images[:8]
    exact, wanted = (exact_kernel(make(model), images).detach() for model in (name, "teacher"))
    student = make(name)
    torch.manual_seed(1)
    draws = [float(kernel_distance(kernel(tangents(student, images, 8)).detach(), wanted)) for _ in range(60)]
    assert sum(draws) / 60 == pytest.approx(float(kernel_distance(exact, wanted)), rel=0.1)


def test_gradients_are_those_of_the_exact_kernel(images: torch.Tensor):
    """Of the distance, with respect to the student's weights: their cosine with 512 probes."""
    student, teacher = make("student"), make("teacher")
    with torch.no_grad():
        wanted = exact_kernel(teacher, images)
    weights = list(student.parameters())
    gradients = []
    torch.manual_seed(1)
    for theta in (exact_kernel(student, images), kernel(tangents(student, images, 512))):
        parts = torch.autograd.grad(kernel_distance(theta, wanted), weights, allow_unused=True)
        gradients.append(torch.cat([part.flatten() for part in parts if part is not None]))
    assert float(torch.cosine_similarity(*gradients, dim=0)) > 0.98


@pytest.mark.parametrize("name", SMALL)
def test_the_network_is_left_as_it_was(name: str, images: torch.Tensor):
    """In training mode, with its running means; and the kernel of an image does not depend on the others."""
    model = make(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    theta = exact_kernel(model, images)
    tangents(model, images, 2)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    torch.testing.assert_close(exact_kernel(model, images[:3]), theta[:3, :3], rtol=1e-4, atol=1e-4)


def batch(images: torch.Tensor, step: int) -> Batch:
    return Batch(images, torch.arange(len(images)) % 10, torch.arange(len(images)), step=step)


def test_the_objective_adds_the_distance_to_the_task(images: torch.Tensor):
    """Every second step, with twice the weight; the teacher gets no gradient."""
    student, teacher = make("student"), make("teacher")
    objective = ntk_matched(teacher, labels_only(), alpha=0.5, beta=3, images=8, probes=4, every=2)
    task = float(labels_only()(student, batch(images, 0))[0].detach())
    assert float(objective(student, batch(images, 1))[0].detach()) == pytest.approx(0.5 * task, rel=1e-5)
    torch.manual_seed(5)
    loss, scores = objective(student, batch(images, 2))
    torch.manual_seed(5)
    wanted = kernel(tangents(teacher, images[:8], 4))
    distance = float(kernel_distance(kernel(tangents(student, images[:8], 4)), wanted).detach())
    assert float(loss.detach()) == pytest.approx(0.5 * task + 2 * 3 * distance, rel=1e-4)
    assert scores.shape == (16, 10)
    loss.backward()
    assert all(weight.grad is None for weight in teacher.parameters())


def test_the_teacher_may_be_shown_other_pictures(images: torch.Tensor):
    """Those of the chosen training images: stored in reverse and chosen in reverse, they are the same."""
    teacher, turned = make("teacher"), Batch(images, torch.arange(16) % 10, torch.arange(16).flip(0))
    losses = []
    for shown, seen in ((None, batch(images, 0)), (images.flip(0), turned), (images.flip(0), batch(images, 0))):
        student = make("student")
        torch.manual_seed(5)
        loss, _ = ntk_matched(teacher, labels_only(), images=8, probes=4, beta=1, shown=shown)(student, seen)
        losses.append(float(loss.detach()))
    assert losses[0] == losses[1] != losses[2]


def test_matching_brings_the_kernels_together(images: torch.Tensor):
    """40 steps on the kernel alone take away more than half of the exact distance."""
    student, teacher, images = make("student"), make("teacher"), images[:8]

    def distance() -> float:
        return float(kernel_distance(*(exact_kernel(model, images).detach() for model in (student, teacher))))

    before = distance()
    objective = ntk_matched(teacher, labels_only(), alpha=0, beta=1, images=8, probes=8, every=1)
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    torch.manual_seed(1)
    for step in range(40):
        loss, _ = objective(student, batch(images, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert distance() < before / 2
