"""Does resolution make up for linearity? Solar cells at 28 to 224 pixels: teacher, students, and nets without optics.

python -m models.resolution            trains what is missing, adds it to docs/results, and prints the tables
python -m models.resolution --table    prints the tables from docs/results; needs neither images nor training

A row is trained on five splits of the cells. Its lines are in ``resolution.csv``, the scores of all test images and the
curve of the validation images in ``resolution.npz``; the split is the seed of the first weights, too.
"""

import time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
import typer
from pydantic import Field
from rich.console import Console
from torch import Tensor, nn

from fouroptics.config import FileConfig
from fouroptics.errors import FourOpticsError
from models.controls import DigitalConfig, DigitalNet
from models.data import Split
from models.data.elpv import elpv, load_cells, parts
from models.optimiser import FitConfig
from models.progress import progress_bar
from models.resampling import auc, recalls
from models.resolution_table import CURVES, RESULTS, Scores, add_lines, lines, tables
from models.runs import commit, load_teacher, save_checkpoint
from models.scores import logits
from models.student import Student, StudentConfig
from models.study import Keys, RowConfig, objective
from models.teacher import Teacher, TeacherConfig
from models.train import History, build, fit

RECIPE = Path(__file__).parent / "recipes" / "elpv.toml"
Config = TypeVar("Config", bound=FileConfig)


class SizeConfig(FileConfig):
    """One resolution: pixels a side, and the keys of ``[teacher]``, ``[student]`` and ``[digital]`` that go with it."""

    pixels: Annotated[int, Field(ge=16, le=300)]
    teacher: Keys
    student: Keys
    digital: Keys


class ResolutionConfig(FileConfig):
    """The recipe of the study.

    Parameters
    ----------
    family : {"Ours"}
        Whose method it is.
    splits : int
        Of the cells; each trains every row anew.
    teacher, teacher_training, student, digital, training : tables
        What the rows and the sizes share.
    size : list of SizeConfig
        The resolutions.
    row : list of RowConfig
        What is trained at each of them; the first is the teacher.
    """

    family: Literal["Ours"] = "Ours"
    splits: Annotated[int, Field(ge=1)] = 5
    teacher: TeacherConfig
    teacher_training: FitConfig
    student: StudentConfig
    digital: DigitalConfig
    training: FitConfig
    size: Annotated[list[SizeConfig], Field(min_length=1)]
    row: Annotated[list[RowConfig], Field(min_length=1)]

    def fault(self) -> str | None:
        """Say what does not fit together, if anything."""
        names = [row.name for row in self.row]
        if self.row[0].network != "teacher" or len(set(names)) < len(names):
            return f"row.name = {names}: give each row a name of its own, and the teacher first"
        if any(row.data for row in self.row):
            return "row.data: the images are those of the size; leave it out"
        return None


def changed(config: Config, *changes: dict[str, Any]) -> Config:
    """Return a configuration with other values, checked."""
    values = config.model_dump()
    for keys in changes:
        values |= keys
    return type(config).model_validate(values)


def network(study: ResolutionConfig, size: SizeConfig, row: RowConfig) -> nn.Module:
    """Make the network of a row at a size, with random weights."""
    pixels = {"size": size.pixels, "classes": 2}
    if row.network == "teacher":
        # the same numbers, to rounding, in half the time on a CPU
        return Teacher(changed(study.teacher, size.teacher, pixels)).to(memory_format=torch.channels_last)
    if row.network == "digital":
        return DigitalNet(changed(study.digital, size.digital, row.digital, pixels))
    return Student(changed(study.student, size.student, row.student, pixels))


def margins(model: nn.Module, images: Tensor) -> Tensor:
    """Score of "defective" less that of "sound", (N,) in float16, which is what is kept."""
    scores = logits(model, images, batch=100)
    return (scores[:, 1] - scores[:, 0]).half()


def validation_auc(model: nn.Module, split: Split) -> float:
    """Area under the ROC curve of a split."""
    return float(auc(margins(model, split.images), split.labels))


def run(
    study: ResolutionConfig, size: SizeConfig, row: RowConfig, split: int, folder: Path
) -> tuple[nn.Module, History]:
    """Train one row at one size on one split; teachers are kept in `folder` for the rows that learn from them."""
    dataset, path = elpv(size.pixels, split), folder / f"{size.pixels}-{split}.pt"
    model = build(lambda: network(study, size, row), split)
    training = study.teacher_training if row.network == "teacher" else changed(study.training, row.training)
    teacher = None
    if row.transfer != "none":
        teacher = load_teacher(path) if path.exists() else run(study, size, study.row[0], split, folder)[0]
        assert isinstance(teacher, Teacher)
    goal = objective(row, training, teacher, dataset.train.images)
    with progress_bar() as progress:
        label = f"{row.name}, {size.pixels} px, {split}"
        how = {"metric": validation_auc, "seed": split, "progress": progress, "label": label}
        history = fit(model, dataset, training, objective=goal, **how)
    if isinstance(model, Teacher):
        save_checkpoint(path, model)
    return model, history


def measure(study: ResolutionConfig, size: SizeConfig, row: RowConfig, split: int, folder: Path, results: Path) -> None:
    """Train a row, and add its lines and its scores to the results."""
    start = time.perf_counter()
    model, history = run(study, size, row, split, folder)
    cells = load_cells(size.pixels)
    test = parts(cells, split)[2]
    labels, scored = cells.labels[test], margins(model, cells.images[test])
    scores = Scores.read(results.with_suffix(".npz"), study.splits)
    scores.put(row.name, size.pixels, split, (test, labels, scored), [line["validation"] for line in history])
    scores.write(results.with_suffix(".npz"))
    sound, defective = recalls(scored, labels)
    right = float(((scored > 0) == labels).double().mean())
    values = {"auc": float(auc(scored, labels)), "balanced accuracy": (sound + defective) / 2, "accuracy": right}
    shared = {"study": "resolution", "family": study.family, "row": row.name, "size": size.pixels, "seed": split}
    cost = {
        "macs": model.electronic_macs() if isinstance(model, Student) else model.macs(),
        "train": 0,
        "seconds": round(time.perf_counter() - start, 1),
        "commit": commit(),
    }
    add_lines(results, [shared | {"metric": name, "value": round(v, 6)} | cost for name, v in values.items()])
