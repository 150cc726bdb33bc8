"""What the keys of a training do: optimiser, schedule, views, clipping, labels per pixel, precision, profile."""

import csv
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fouroptics.errors import ConfigError, FourOpticsError
from models.batch import VIEWS, Batch, batches, count_steps, flipped, views
from models.curves import curves
from models.data import Dataset, Split
from models.optimiser import FitConfig, optimiser, schedule
from models.progress import Laps, Scores, progress_bar
from models.runs import save_metrics
from models.scores import accuracy, logits
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig
from models.train import build, fit


class Line(nn.Module):
    """Scores that are linear in the pixels, with dropout on request; a batch of any size."""

    def __init__(self, pixels: int, classes: int = 3, dropout: float = 0.0):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(pixels, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


@pytest.fixture(scope="module")
def blobs() -> Dataset:
    """90 images of 4 x 4 whose class is the brightest of three rows; easy for `Line`."""
    labels = torch.arange(90) % 3
    images = 0.2 * torch.rand(90, 4, 4, generator=torch.Generator().manual_seed(0))
    images[torch.arange(90), labels] += 0.8
    part = Split(images, labels)
    return Dataset("blobs", ("a", "b", "c"), part, part.first(30), part.first(30))


def rates(steps: int = 20, **keys: object) -> list[float]:
    net, recipe = nn.Linear(1, 1), FitConfig.model_validate({"rate": 0.1} | keys)
    optimizer = optimiser(net, recipe)
    plan = schedule(optimizer, recipe, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        plan.step()
    return seen


def test_the_cosine_rises_along_a_line_and_falls_along_half_a_cosine():
    seen = rates(schedule="cosine", warmup=0.25)
    assert seen[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert seen[5:] == pytest.approx([0.05 * (1 + math.cos(math.pi * i / 15)) for i in range(15)])
    assert rates(schedule="cosine", warmup=0)[0] == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("kind", ["one-cycle", "cosine"])
def test_any_number_of_steps_has_rates(kind: str, warmup: float, steps: int):
    """1 and 5 steps with a fifth or a half of warm-up make torch's one-cycle schedule divide by zero."""
    seen = rates(steps, schedule=kind, warmup=warmup)
    assert all(0 <= rate <= 0.1 * (1 + 1e-12) for rate in seen)
    assert max(seen) > 0


def test_one_cycle_is_that_of_torch():
    net = nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(net.parameters())
    expected = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 20, pct_start=0.2)
    seen = rates(warmup=0.2)
    assert seen[0] == expected.get_last_lr()[0]
    assert seen.index(max(seen)) == 3  # the end of a rise over 4 steps
    assert seen[-1] < 1e-5


def test_views_flip_images_and_masks_alike():
    picture = torch.arange(6.0).view(1, 2, 3)
    seen = list(views(picture, "both"))
    assert torch.equal(seen[1][0], torch.tensor([[2.0, 1, 0], [5, 4, 3]]))
    assert torch.equal(seen[2][0], torch.tensor([[3.0, 4, 5], [0, 1, 2]]))
    assert torch.equal(seen[3], seen[1].flip(-2))
    images = torch.rand(64, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    split = Split(images, (images[:, 0] > 0.5).long())
    for flips, count in VIEWS.items():
        drawn = set()
        for batch in batches(split, 4, flips, torch.Generator().manual_seed(1)):
            drawn.add(batch.view)
            assert torch.equal(batch.images, flipped(images[batch.chosen], batch.view))
            assert torch.equal(batch.labels, (batch.images[:, 0] > 0.5).long())
        assert drawn == set(range(count))  # 16 draws of 4 views miss one with a chance of 4 %, at this seed they do not


def test_each_image_is_shown_once_an_epoch(blobs: Dataset):
    shuffle = torch.Generator().manual_seed(0)
    first, second = (list(batches(blobs.train, 40, "none", shuffle, taken)) for taken in (0, 3))
    assert [len(batch.chosen) for batch in first] == [40, 40, 10]
    assert [batch.step for batch in first + second] == [0, 1, 2, 3, 4, 5]
    orders = [torch.cat([batch.chosen for batch in epoch]) for epoch in (first, second)]
    assert all(torch.equal(order.sort().values, torch.arange(90)) for order in orders)
    assert not torch.equal(*orders)
    assert torch.equal(first[0].labels, blobs.train.labels[first[0].chosen])


@pytest.mark.parametrize(("images", "sizes"), [(9, [4, 5]), (10, [4, 4, 2]), (8, [4, 4]), (5, [5]), (2, [2])])
def test_no_image_is_left_alone(blobs: Dataset, images: int, sizes: list[int]):
    """Batch normalisation of one number a channel is torch's ValueError; the last image goes with those before it."""
    part = blobs.train.first(images)
    shown = list(batches(part, 4, "none", torch.Generator().manual_seed(0)))
    assert [len(batch.chosen) for batch in shown] == sizes
    assert count_steps(images, 4) == len(sizes)
    net = build(lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.BatchNorm1d(3)), 0)
    history = fit(net, Dataset("few", blobs.classes, part, part, part), FitConfig(epochs=2, batch=4), seed=0)
    assert history[-1]["loss"] > 0
    assert sum(len(batch.chosen) for batch in shown) == images


@pytest.mark.parametrize("images", [0, 1])
def test_fewer_than_two_images_are_refused(blobs: Dataset, images: int):
    dataset = Dataset("few", blobs.classes, blobs.train.first(images), blobs.validation, blobs.test)
    with pytest.raises(FourOpticsError, match=rf"line: {images} training images; give at least 2"):
        fit(Line(16), dataset, FitConfig(), seed=0, label="line")


def test_more_classes_than_scores_are_refused(blobs: Dataset):
    teacher = build(lambda: Teacher(TeacherConfig(width=1, hidden=1, size=4, classes=2)), 0)
    with pytest.raises(FourOpticsError, match="net: classes = 2, but the set 'blobs' has 3; set classes to that"):
        fit(teacher, blobs, FitConfig(), seed=0, label="net")


def test_a_long_gradient_is_cut(blobs: Dataset):
    """Without momentum and decay, no step can be longer than rate times clip."""

    def step(clip: float | None) -> float:
        net = build(lambda: Line(16), 0)
        before = torch.cat([weight.detach().flatten() for weight in net.parameters()])
        recipe = FitConfig(
            epochs=1, batch=90, optimiser="sgd", momentum=0, schedule="cosine", warmup=0, decay=0, rate=1, clip=clip
        )
        fit(net, blobs, recipe, seed=0)
        return torch.linalg.norm(torch.cat([weight.detach().flatten() for weight in net.parameters()]) - before).item()

    assert step(None) > 0.1
    assert step(0.01) == pytest.approx(0.01, rel=1e-4)  # torch adds 1e-6 to the length that it divides by


def test_labels_of_pixels(blobs: Dataset):
    """One weight a class and channel; every second pixel is to be ignored, and its label here is wrong."""
    images = torch.rand(40, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    labels = (images[:, 1] > images[:, 0]).long()
    labels[:, ::2] = 255
    part = Split(images, labels)
    net = build(lambda: nn.Conv2d(2, 2, 1), 0)
    scores = []

    def share(model: nn.Module, split: Split) -> float:
        scores.append(accuracy(model, split))
        return 0.25

    dataset = Dataset("pixels", ("a", "b"), part, part, part)
    history = fit(net, dataset, FitConfig(epochs=8, rate=0.5, batch=5), metric=share, seed=0)
    assert [row["validation"] for row in history] == [0.25] * 8
    assert scores[-1] > 0.97  # of the pixels that count: half of all
    assert history[-1]["accuracy"] > 0.97
    assert logits(net, images).shape == (40, 2, 6, 6)


def test_the_accuracy_of_pixels_by_hand():
    images = torch.zeros(1, 2, 2, 2)
    images[0, 1, 0] = 1  # the upper row is of class 1, the lower of 0, for a network that hands on what it gets
    labels = torch.tensor([[[1, 0], [0, 255]]])
    identity = build(lambda: nn.Conv2d(2, 2, 1, bias=False), 0)
    with torch.no_grad():
        identity.weight.copy_(torch.eye(2).view(2, 2, 1, 1))
    assert accuracy(identity, Split(images, labels)) == pytest.approx(2 / 3)


def test_no_validation_images(blobs: Dataset, tmp_path: Path):
    part = blobs.train
    everything = Dataset("all", blobs.classes, part, Split(part.images[:0], part.labels[:0]), part)
    bar = progress_bar(disable=True)
    history = {"line": fit(Line(16), everything, FitConfig(epochs=2), seed=0, progress=bar)}
    assert bar.tasks[0].fields["accuracy"] == history["line"][-1]["accuracy"]  # while training, for want of another
    assert all(math.isnan(row["validation"]) for row in history["line"])
    save_metrics(tmp_path / "metrics.csv", history)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert [row["validation"] for row in csv.DictReader(file)] == ["", ""]
    figure = curves(history)
    assert "no validation images" in figure.axes[1].get_title()
    plt.close(figure)


def test_the_bar_shows_what_is_known():
    bar = progress_bar(disable=True)
    bar.add_task("net", total=10, loss=math.nan, accuracy=math.nan)
    line = bar.tasks[0]
    assert str(Scores().render(line)) == ""
    bar.update(line.id, loss=0.5)
    assert str(Scores().render(line)) == "loss 0.500"
    bar.update(line.id, accuracy=0.25)
    assert str(Scores().render(line)) == "loss 0.500, 25.0%"


def test_the_curves_show_the_history():
    rows = [{"epoch": i, "loss": 1 / i, "accuracy": 0.9, "validation": 0.1 * i} for i in (1, 2, 3)]
    figure = curves({"one": rows, "two": rows[:2]}, "mean IoU")
    left, right = figure.axes
    assert [np.array(line.get_ydata()).tolist() for line in right.lines] == [
        pytest.approx([10, 20, 30]),
        pytest.approx([10, 20]),
    ]
    assert [np.array(line.get_ydata()).tolist() for line in left.lines] == [[1, 1 / 2, 1 / 3], [1, 1 / 2]]
    assert right.get_ylabel() == "mean IoU (%)"
    assert right.get_legend_handles_labels()[1] == ["one", "two"]
    plt.close(figure)


def test_dropout_is_seeded(blobs: Dataset):
    nets = [build(lambda: Line(16, dropout=0.5), 0) for _ in range(3)]
    for i, (net, seed) in enumerate(zip(nets, (1, 1, 2), strict=True)):
        torch.manual_seed(i)  # what was drawn before does not matter
        fit(net, blobs, FitConfig(epochs=2, batch=90), seed=seed)
    weights = [net.layers[2].get_parameter("weight") for net in nets]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])  # one batch an epoch: only dropout differs


def test_the_mode_of_the_network_before_does_not_matter(blobs: Dataset):
    nets = [build(lambda: Line(16, dropout=0.5), 0).train(mode) for mode in (True, False)]
    for net in nets:
        fit(net, blobs, FitConfig(epochs=2), seed=0)
        assert not net.training
    assert torch.equal(*(net.layers[2].get_parameter("weight") for net in nets))


def test_mixed_precision_only_on_request(blobs: Dataset):
    def precision(amp: bool | None) -> torch.dtype:
        seen = []

        def objective(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
            scores = model(batch.images)
            seen.append(scores.dtype)
            return F.cross_entropy(scores, batch.labels), scores

        net = Line(16)
        fit(net, blobs, FitConfig(epochs=1), objective=objective, seed=0, amp=amp)
        assert net.layers[2].weight.dtype == torch.float32
        return seen[0]

    assert precision(None) == precision(False) == torch.float32  # on a CPU
    assert precision(True) == torch.bfloat16


@pytest.mark.parametrize("coding", ["amplitude", "phase"])
@pytest.mark.parametrize("readout", ["intensity", "four_step"])
@pytest.mark.parametrize("complex_kernels", [True, False])
def test_light_is_not_rounded_in_mixed_precision(coding, readout, complex_kernels):
    """bfloat16 has no complex numbers, and two digits too few to be squared: the head alone is computed in it."""
    random = torch.Generator().manual_seed(0)
    part = Split(torch.rand(20, 8, 8, generator=random), torch.randint(3, (20,), generator=random))
    dataset = Dataset("noise", ("a", "b", "c"), part, part, part)
    shape = {"size": 8, "classes": 3, "depth": 1, "outputs": 3, "pool": 2, "hidden": 4}
    keys = {"coding": coding, "readout": readout, "complex_kernels": complex_kernels}
    net = build(lambda: Student(StudentConfig.model_validate(shape | keys)), 0)
    fit(net, dataset, FitConfig(epochs=1, batch=10), seed=0, amp=True)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mixed = net(part.images)
    averaged = net.see(part.images).detach()
    exact = net.head(net.normalise(averaged))
    assert mixed.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mixed, net.head(net.normalise(averaged)))
    assert not torch.equal(mixed.float(), exact)


def test_the_profile_counts_every_part(blobs: Dataset):
    laps = Laps()
    fit(Line(16), blobs, FitConfig(epochs=2, batch=30), seed=0, laps=laps)
    assert list(laps.seconds) == ["batch", "forward and loss", "backward", "optimiser", "metrics and bar", "validation"]
    laps.seconds.update(dict.fromkeys(laps.seconds, 1.0))
    assert laps.share() == pytest.approx(4 / 6)  # all but "batch" and "metrics and bar"
    assert laps.table().row_count == 7
    idle = Laps(running=False)
    idle.lap("batch")
    assert not idle.seconds


@pytest.mark.parametrize(
    ("key", "value"), [("optimiser", "adam"), ("schedule", "linear"), ("flips", "vertical"), ("clip", 0), ("warmup", 1)]
)
def test_values_that_are_refused(key: str, value: object):
    with pytest.raises(ConfigError, match=key):
        FitConfig.model_validate({key: value})
