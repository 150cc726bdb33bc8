"""The training loop, and the command that trains a recipe.

python -m models.train models/recipes/fashion-demo.toml [--seed N] [-o runs/NAME] [--resume] [--profile]
torchrun --nproc-per-node=2 -m models.train RECIPE
"""

import math
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
import typer
from pydantic import Field
from rich.console import Console
from rich.progress import Progress
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fouroptics.config import FileConfig
from fouroptics.errors import ConfigError, FourOpticsError
from models import parallel
from models.batch import Batch, Objective, batches, count_steps, views
from models.data import DataConfig, Dataset, Split, load
from models.distill import distilled, labels_only
from models.optimiser import FitConfig, optimiser, schedule
from models.pictures import with_channels
from models.progress import Bar, Laps, progress_bar
from models.resume import load_state, save_state
from models.runs import save_run
from models.scores import accuracy, hits, logits
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig

__all__ = ["FitConfig", "Objective", "RecipeConfig", "accuracy", "build", "fit", "logits", "progress_bar", "views"]

History = list[dict[str, float]]
Network = TypeVar("Network", bound=nn.Module)


class RecipeConfig(FileConfig):
    """A recipe: what teacher and student are made of, and how each is trained.

    Parameters
    ----------
    seed : int
        Of the first weights and of the order of the images.
    data : DataConfig
        The images; those that come with the repository if left out.
    teacher, student : TeacherConfig, StudentConfig
        What they are made of.
    teacher_training, training : FitConfig
        How the teacher is trained, and how the students and the controls are.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig = DataConfig()
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
    objective: Objective | None = None,
    metric: Callable[[nn.Module, Split], float] = accuracy,
    seed: int,
    progress: Progress | None = None,
    label: str = "training",
    state: Path | None = None,
    amp: bool | None = None,
    laps: Laps | None = None,
) -> History:
    """Train `model` on the training images, looking at the validation images after each epoch, and never at the test.

    The same model, data and seed give the same weights, bit by bit, on the same CPU with as many threads. The
    weights of the last epoch stay: none are chosen by their score.

    Parameters
    ----------
    model : Module
        Images (B, y, x) or (B, C, y, x) -> scores (B, classes) or (B, classes, y, x); trained in place on the device
        where it is, left in eval mode.
    dataset : Dataset
        Its `train` and `validation` are used; `validation` may be empty.
    recipe : FitConfig
        Epochs, optimiser, rates.
    objective : Objective, optional
        What is lowered; `models.distill.labels_only` if left out.
    metric : callable
        (model, split) -> a number: the column "validation" of the history.
    seed : int
        Of the order in which images are shown, their views, and of what the network itself draws (dropout).
    progress : Progress, optional
        Shows loss, the metric, images a second and the time left (`progress_bar`).
    label : str
        Name of the bar.
    state : Path, optional
        Where the state is kept after each epoch. If it is there, the training goes on from it, to the same weights.
    amp : bool, optional
        Whether matrix products and convolutions are done in bfloat16; left out: on a GPU.
    laps : Laps, optional
        Gets the time of each part.

    Returns
    -------
    list of dict
        For each epoch: epoch, loss and accuracy (means while training), validation (the metric after it; nan if there
        are no validation images), seconds.

    Raises
    ------
    FourOpticsError
        If there are fewer than two training images or more classes than scores, if the loss is not finite, or if
        `state` is not that of this training.
    """
    check(model, dataset, label)
    device = next(model.parameters()).device
    seen = Split(dataset.train.images.to(device), dataset.train.labels.to(device))
    steps = count_steps(len(seen), recipe.batch)
    objective, laps = objective or labels_only(), laps or Laps(running=False)
    optimizer = optimiser(model, recipe)
    rates = schedule(optimizer, recipe, recipe.epochs * steps)
    shuffle = torch.Generator().manual_seed(seed)
    parts = (model, optimizer, rates, shuffle)
    settings = {} if state is None else _settings(model, dataset, recipe, seed)
    history: History = [] if state is None else load_state(state, settings, *parts)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" if amp is None else amp)
    bar = Bar(progress, label, recipe.epochs * len(seen), len(history) * len(seen))
    if history:
        bar.finish_epoch(history[-1])
    with parallel.shared(model), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            start = time.perf_counter()
            torch.manual_seed(_epoch_seed(seed, epoch))
            laps.start()
            shown = batches(seen, recipe.batch, recipe.flips, shuffle, (epoch - 1) * steps)
            total, right, scored = _epoch(model, shown, objective, optimizer, rates, recipe.clip, mixed, bar, laps)
            if not all(part.isfinite().all() for part in model.parameters()):  # the last step spoils no loss
                total = math.nan
            if not math.isfinite(total):
                raise FourOpticsError(f"{label}: the loss is {total} in epoch {epoch}; lower rate = {recipe.rate}")
            validation = metric(model, dataset.validation) if len(dataset.validation) else math.nan
            laps.lap("validation")
            row = {"epoch": epoch, "loss": total / len(seen), "accuracy": right / scored, "validation": validation}
            history.append(row | {"seconds": time.perf_counter() - start})
            bar.finish_epoch(row)
            if state is not None and parallel.rank() == 0:
                save_state(state, settings, history, *parts)
                laps.lap("state")
    model.eval()
    return history


def _epoch(
    model: nn.Module,
    shown: Iterable[Batch],
    objective: Objective,
    optimizer: Optimizer,
    rates: LRScheduler,
    clip: float | None,
    mixed: torch.autocast,
    bar: Bar,
    laps: Laps,
) -> list[float]:
    """Go through the images once: the sum of the loss over them, how many labels were right, and how many there are."""
    sums = torch.zeros(3, dtype=torch.float64, device=next(model.parameters()).device)
    model.train()
    for batch in shown:
        laps.lap("batch")
        with mixed:
            loss, scores = objective(model, batch)
        laps.lap("forward and loss")
        optimizer.zero_grad()
        parallel.backward(loss, model)
        laps.lap("backward")
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        rates.step()
        laps.lap("optimiser")
        sums += torch.stack([loss.detach().double() * len(batch.chosen), *hits(scores, batch.labels)])
        bar.advance(len(batch.chosen), loss)
        laps.lap("metrics and bar")
    return sums.tolist()


def check(model: nn.Module, dataset: Dataset, label: str) -> None:
    """Refuse, before any time is spent, what torch would refuse in words of its own, on a GPU in no words at all."""
    if len(dataset.train) < 2:
        raise FourOpticsError(f"{label}: {len(dataset.train)} training images; give at least 2")
    config = getattr(model, "config", None)
    if config is None:
        return
    if len(dataset.classes) > config.classes:
        raise FourOpticsError(
            f"{label}: classes = {config.classes}, but the set {dataset.name!r} has {len(dataset.classes)}; "
            "set classes to that"
        )
    with_channels(dataset.train.images[:1], config.channels, config.size)


def _settings(model: nn.Module, dataset: Dataset, recipe: FitConfig, seed: int) -> dict[str, Any]:
    """What must not change between the epochs of a training, in plain types."""
    images = dataset.train.images.cpu().contiguous().numpy().data
    return {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "network": str(getattr(model, "config", type(model).__name__)),
        "data": f"{dataset.name}, {len(images)} images, CRC-32 {zlib.crc32(images):08x}",
    }


def _epoch_seed(seed: int, epoch: int) -> int:
    """What the network draws in an epoch (dropout) starts here, so that no state of it has to be kept.

    Each process draws its own, for its share of the images.
    """
    return int(np.random.SeedSequence((seed, epoch, parallel.rank())).generate_state(1)[0])


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


def train(
    recipe: RecipeConfig,
    dataset: Dataset,
    *,
    seed: int,
    progress: Progress | None = None,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    amp: bool | None = None,
    laps: Laps | None = None,
) -> Trained:
    """Train the teacher, then the student twice from the same first weights: alone, and by distillation.

    Parameters
    ----------
    recipe : RecipeConfig
        Its own seed is not used.
    dataset : Dataset
        Its `train` and `validation` are used.
    seed : int
        Of the first weights and of the order of the images.
    progress, amp, laps : optional
        As for `fit`.
    device : device
        Where it is done.
    folder : Path, optional
        Where the state of each training is kept, as NAME.state.pt; what is there already is gone on from.
    """

    def one(name: str, net: nn.Module, how: FitConfig, objective: Objective | None = None) -> History:
        state = None if folder is None else folder / f"{name}.state.pt"
        label = name if name == "teacher" else f"student {name}"
        rest = {"seed": seed, "progress": progress, "label": label, "state": state, "amp": amp, "laps": laps}
        return fit(net, dataset, how, objective=objective, **rest)

    teacher = build(lambda: Teacher(recipe.teacher), seed).to(device)
    alone, taught = (build(lambda: Student(recipe.student), seed).to(device) for _ in range(2))
    check(alone, dataset, "student alone")
    history = {"teacher": one("teacher", teacher, recipe.teacher_training)}
    history["alone"] = one("alone", alone, recipe.training)
    how = recipe.training
    scores = torch.stack([logits(teacher, seen) for seen in views(dataset.train.images, how.flips)]).to(device)
    history["distilled"] = one("distilled", taught, how, distilled(scores, how.temperature, how.alpha))
    return Trained(teacher, alone, taught, history)


def main(
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file of models/recipes.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the recipe's.")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="The run folder; runs/RECIPE-SEED if left out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in this folder was stopped.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; a GPU by itself if there is one.")] = "",
    amp: Annotated[bool | None, typer.Option(help="Convolutions in bfloat16; by itself only on a GPU.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Print where the time went.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads; more than 1 is slower on a busy machine.")] = 1,
) -> None:
    """Train the teacher, the student alone and the student by distillation, and write the run folder."""
    torch.set_num_threads(threads)
    try:
        recipe = _recipe(path)
        seed = recipe.seed if seed is None else seed
        folder = output or Path("runs", f"{path.stem}-{seed}")
        with parallel.joined(_device(device)) as place:
            _run(recipe, seed, folder, resume, place, amp, Laps() if profile else None)
    except (FourOpticsError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


def _recipe(path: Path) -> RecipeConfig:
    try:
        return RecipeConfig.from_toml(path)
    except ConfigError as error:
        if "\nrow = " not in str(error):
            raise
        raise ConfigError(f"{path}: a study of many networks (row = ...): python -m models.study {path}") from None


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise FourOpticsError(f"--device {name}: not on this machine ({reason}); try --device cpu") from None
    return device


def _fault(folder: Path, resume: bool) -> str | None:
    """Make the run folder; say why not, before any time is spent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder}: cannot be made ({error.strerror}); give another folder with -o"
    if (folder / "run.json").exists():
        return f"{folder}: holds a run already; give another folder with -o, or remove it"
    if any(folder.glob("*.state.pt")) and not resume:
        return f"{folder}: holds a run that was stopped; go on with --resume, or remove it"
    return None


def _run(
    recipe: RecipeConfig,
    seed: int,
    folder: Path,
    resume: bool,
    device: torch.device,
    amp: bool | None,
    laps: Laps | None,
) -> None:
    """Train and write the run folder; of several processes only the first writes and prints."""
    fault = parallel.agreed(_fault(folder, resume))
    if fault is not None:
        raise FourOpticsError(fault)
    dataset = load(recipe.data)
    with progress_bar(disable=parallel.rank() > 0) as progress:
        trained = train(recipe, dataset, seed=seed, progress=progress, device=device, folder=folder, amp=amp, laps=laps)
    if parallel.rank() > 0:
        return
    save_run(folder, recipe.model_dump(mode="json"), seed, trained.networks(), trained.history, dataset.name)
    for state in folder.glob("*.state.pt"):
        state.unlink()
    for name, history in trained.history.items():
        if len(dataset.validation):
            print(f"{name:<10} {history[-1]['validation']:.1%} of {len(dataset.validation):,} validation images")
    if laps is not None:
        Console().print(laps.table())
    print(f"wrote {folder}")


if __name__ == "__main__":
    typer.run(main)
