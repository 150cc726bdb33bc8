"""The training loop, and the command that trains a recipe.

python -m models.train models/recipes/fashion-demo.toml [--seed N] [-o runs/NAME]
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import torch
import typer
from pydantic import Field
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor, nn
from torch.nn import functional as F

from fouroptics.config import FileConfig
from fouroptics.errors import FourOpticsError
from models.data import Dataset, Split, fashion_subset
from models.distill import kd_loss
from models.runs import save_run
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig

History = list[dict[str, float]]
Network = TypeVar("Network", bound=nn.Module)


class FitConfig(FileConfig):
    """How a network is trained; the tables ``[teacher]`` and ``[training]`` of a recipe.

    Parameters
    ----------
    epochs : int
        Passes through the training images.
    rate : float
        Peak of the learning rate (AdamW, one cycle).
    warmup : float
        Share of the steps in which the rate rises.
    decay : float
        Weight decay.
    batch : int
        Images a step.
    temperature, alpha : float
        Of `kd_loss`; used only if there is a teacher.
    """

    epochs: Annotated[int, Field(ge=1)] = 12
    rate: Annotated[float, Field(gt=0)] = 3e-3
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.2
    decay: Annotated[float, Field(ge=0)] = 1e-4
    batch: Annotated[int, Field(ge=2)] = 256
    temperature: Annotated[float, Field(gt=0)] = 1.0
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5


class RecipeConfig(FileConfig):
    """A recipe: what teacher and student are made of, and how each is trained.

    Parameters
    ----------
    seed : int
        Of the first weights and of the order of the images.
    teacher, student : TeacherConfig, StudentConfig
        What they are made of.
    teacher_training, training : FitConfig
        How the teacher is trained, and how the students and the controls are.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    teacher_training: FitConfig = FitConfig(epochs=6)
    training: FitConfig = FitConfig()


def build(make: Callable[[], Network], seed: int) -> Network:
    """Make a network with the random weights of `seed`; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def fit(
    model: nn.Module,
    dataset: Dataset,
    recipe: FitConfig,
    *,
    teacher_logits: Tensor | None = None,
    seed: int,
    progress: Progress | None = None,
    label: str = "training",
) -> History:
    """Train `model` on the training images, looking at the validation images after each epoch, and never at the test.

    The same model, data and seed give the same weights, bit by bit, on the same machine with as many threads.

    Parameters
    ----------
    model : Module
        Images (B, y, x) -> logits (B, classes); trained in place, left in eval mode.
    dataset : Dataset
        Its `train` and `validation` are used.
    recipe : FitConfig
        Epochs, rates, and how much the teacher counts.
    teacher_logits : Tensor, optional
        Shape (N, classes): what the teacher makes of the training images, in their order (`logits`). Without them the
        labels alone are learned.
    seed : int
        Of the order in which images are shown.
    progress : Progress, optional
        Shows loss, accuracy, images a second and the time left (`progress_bar`).
    label : str
        Name of the bar.

    Returns
    -------
    list of dict
        For each epoch: epoch, loss and accuracy (means while training), validation (accuracy after it), seconds.
    """
    device = next(model.parameters()).device
    images, labels = dataset.train.images.to(device), dataset.train.labels.to(device)
    taught = None if teacher_logits is None else teacher_logits.to(device)
    steps = recipe.epochs * math.ceil(len(labels) / recipe.batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, steps, pct_start=recipe.warmup)
    shuffle = torch.Generator().manual_seed(seed)
    bar = progress or Progress(disable=True)
    task = bar.add_task(label, total=recipe.epochs * len(labels), loss=math.nan, accuracy=math.nan)
    history: History = []
    for epoch in range(1, recipe.epochs + 1):
        start, losses, correct = time.perf_counter(), 0.0, 0
        model.train()
        for chosen in torch.randperm(len(labels), generator=shuffle).to(device).split(recipe.batch):
            scores, wanted = model(images[chosen]), labels[chosen]
            if taught is None:
                loss = F.cross_entropy(scores, wanted)
            else:
                loss = kd_loss(scores, taught[chosen], wanted, recipe.temperature, recipe.alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses += loss.item() * len(chosen)
            correct += int((scores.argmax(-1) == wanted).sum())
            bar.update(task, advance=len(chosen), loss=loss.item())
        if not math.isfinite(losses):
            raise FourOpticsError(f"{label}: the loss is {losses} in epoch {epoch}; lower rate = {recipe.rate}")
        row = {"epoch": epoch, "loss": losses / len(labels), "accuracy": correct / len(labels)}
        row |= {"validation": accuracy(model, dataset.validation), "seconds": time.perf_counter() - start}
        history.append(row)
        bar.update(task, accuracy=row["validation"])
    model.eval()
    return history


@torch.no_grad()
def logits(model: nn.Module, images: Tensor, batch: int = 500) -> Tensor:
    """Run `model` in eval mode on `images` (N, y, x): logits (N, classes), without gradients, on the CPU.

    The model is left in the mode that it was in.
    """
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        return torch.cat([model(part.to(device)).cpu() for part in images.split(batch)])
    finally:
        model.train(training)


def accuracy(model: nn.Module, split: Split) -> float:
    """Share of the images of `split` that `model` in eval mode names rightly, 0 to 1."""
    return (logits(model, split.images).argmax(-1) == split.labels).double().mean().item()


@dataclass(frozen=True)
class Trained:
    """What a recipe gives: the networks, and the `fit` history of each under the name of its field."""

    teacher: Teacher
    alone: Student
    distilled: Student
    history: dict[str, History]

    def networks(self) -> dict[str, Teacher | Student]:
        """Name the networks by their fields."""
        return {"teacher": self.teacher, "alone": self.alone, "distilled": self.distilled}


def train(recipe: RecipeConfig, dataset: Dataset, *, seed: int, progress: Progress | None = None) -> Trained:
    """Train the teacher, then the student twice from the same first weights: alone, and by distillation.

    Parameters
    ----------
    recipe : RecipeConfig
        Its own seed is not used.
    dataset : Dataset
        Its `train` and `validation` are used.
    seed : int
        Of the first weights and of the order of the images.
    progress : Progress, optional
        As for `fit`.
    """
    teacher = build(lambda: Teacher(recipe.teacher), seed)
    alone, distilled = (build(lambda: Student(recipe.student), seed) for _ in range(2))
    one = partial(fit, dataset=dataset, seed=seed, progress=progress)
    history = {"teacher": one(teacher, recipe=recipe.teacher_training, label="teacher")}
    taught = logits(teacher, dataset.train.images)
    history["alone"] = one(alone, recipe=recipe.training, label="student alone")
    history["distilled"] = one(distilled, recipe=recipe.training, teacher_logits=taught, label="student distilled")
    return Trained(teacher, alone, distilled, history)


class ImagesPerSecond(ProgressColumn):
    """How fast the training runs."""

    def render(self, task: Task) -> Text:
        """Show the speed; nothing until there is one."""
        return Text(f"{task.speed:,.0f} images/s" if task.speed else "")


def progress_bar() -> Progress:
    """Make the bar that `fit` fills: loss of the last batch, validation accuracy, speed, time left."""
    return Progress(
        TextColumn("{task.description:<17}"),
        BarColumn(bar_width=None),
        TextColumn("loss {task.fields[loss]:.3f}, {task.fields[accuracy]:.1%}"),
        ImagesPerSecond(),
        TimeRemainingColumn(),
    )


def main(
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file of models/recipes.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the recipe's.")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="The run folder; runs/RECIPE-SEED if left out.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads; more than 1 is slower on a busy machine.")] = 1,
) -> None:
    """Train the teacher, the student alone and the student by distillation, and write the run folder."""
    torch.set_num_threads(threads)
    try:
        recipe = RecipeConfig.from_toml(path)
        seed = recipe.seed if seed is None else seed
        folder = output or Path("runs", f"{path.stem}-{seed}")
        if (folder / "run.json").exists():
            raise FourOpticsError(f"{folder}: holds a run already; give another folder with -o, or remove it")
        dataset = fashion_subset()
        with progress_bar() as progress:
            trained = train(recipe, dataset, seed=seed, progress=progress)
        save_run(folder, recipe.model_dump(mode="json"), seed, trained.networks(), trained.history, dataset.name)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    for name, history in trained.history.items():
        print(f"{name:<10} {history[-1]['validation']:.1%} of {len(dataset.validation):,} validation images")
    print(f"wrote {folder}")


if __name__ == "__main__":
    typer.run(main)
