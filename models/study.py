"""A study: rows of networks, each trained with several seeds, and the table that comes of it.

python -m models.study models/recipes/NAME.toml [--seed N ...] [--row NAME ...] [--validate] [-o docs/results/NAME.csv]

One line a row and seed is added to the CSV as soon as it is there; lines that are there already are not made again, so
a study that was stopped goes on where it was. With ``--validate`` nothing sees the test images: 5,000 training images
are set aside, and scored. That is how every choice in a recipe is made.
"""

import csv
import hashlib
import io
import time
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from pydantic import Field
from rich.progress import Progress
from torch import Tensor

from fouroptics.config import FileConfig
from fouroptics.errors import ConfigError, FourOpticsError
from models.batch import Objective, views
from models.controls import DigitalConfig, DigitalNet
from models.data import DataConfig, Dataset, load
from models.distill import distilled, labels_only
from models.ntk import ntk_matched
from models.optimiser import FitConfig
from models.progress import progress_bar
from models.runs import commit, load_teacher, save_checkpoint
from models.scores import accuracy, logits
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig
from models.train import build, check, fit

COLUMNS: tuple[str, ...] = ("study", "family", "row", "seed", "metric", "value", "macs", "train", "seconds", "commit")
RESULTS = Path(__file__).parents[1] / "docs" / "results"
VALIDATION = 5000  #: training images that ``--validate`` sets aside


class RowConfig(FileConfig):
    """One row: what differs from the tables of the recipe.

    Parameters
    ----------
    name : str
        In the table.
    network : {"student", "teacher", "digital"}
        What is trained.
    transfer : {"none", "kd", "ntk"}
        What the teacher gives: nothing; its scores (`models.distill.distilled`); or its tangent kernel
        (`models.ntk.ntk_matched`).
    beta : float
        Weight of the tangent kernel.
    against : str, optional
        Row that this one is compared with, seed by seed.
    data, student, digital, training : dict
        Keys that replace those of the tables ``[data]``, ``[student]``, ``[digital]`` and ``[training]``. The teacher
        learns from the data of the recipe, whatever the row learns from.
    """

    name: str
    network: Literal["student", "teacher", "digital"] = "student"
    transfer: Literal["none", "kd", "ntk"] = "none"
    beta: Annotated[float, Field(gt=0)] = 1.0
    against: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    student: dict[str, Any] = Field(default_factory=dict)
    digital: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)


class StudyConfig(FileConfig):
    """A recipe of many rows.

    Parameters
    ----------
    family : {"Reproduction", "Ours"}
        Whose method: that of arXiv 2102.13323, or what this project makes of it. A study is of one of them.
    seeds : int
        Each row is trained with the seeds 0 to seeds - 1: first weights, order of the images, and which images, where
        only a part of them is used.
    data, teacher, teacher_training, student, digital, training : tables
        What the rows share.
    row : list of RowConfig
        At least one; names differ.
    """

    family: Literal["Reproduction", "Ours"]
    seeds: Annotated[int, Field(ge=1)] = 5
    data: DataConfig
    teacher: TeacherConfig = TeacherConfig()
    teacher_training: FitConfig = FitConfig()
    student: StudentConfig = StudentConfig()
    digital: DigitalConfig = DigitalConfig()
    training: FitConfig = FitConfig()
    row: Annotated[list[RowConfig], Field(min_length=1)]

    def fault(self) -> str | None:
        """Say what does not fit together, if anything."""
        names = [row.name for row in self.row]
        for row in self.row:
            if names.count(row.name) > 1:
                return f"row.name = {row.name!r} stands twice; give each row a name of its own"
            if row.against is not None and row.against not in names:
                return f"row.against = {row.against!r}: no such row; the rows are {', '.join(map(repr, names))}"
        return None


def merged(study: StudyConfig, row: RowConfig, *, seed: int, validate: bool) -> StudyConfig:
    """Return the recipe as one row sees it: the row's keys in place of the tables', the seed, the images set aside."""
    changes = {
        "data": row.data | {"seed": seed} | ({"validation": VALIDATION} if validate else {}),
        "student": row.student,
        "training": row.training,
        "digital": row.digital,
    }
    tables = study.model_dump()
    for table, keys in changes.items():
        tables[table] = tables[table] | keys
    return StudyConfig.model_validate(tables)


@lru_cache(maxsize=2)
def _dataset(config: str) -> Dataset:
    return load(DataConfig.model_validate_json(config))


def trained_teacher(
    study: StudyConfig, dataset: Dataset, seed: int, folder: Path, progress: Progress | None
) -> Teacher:
    """Train the teacher of a seed on `dataset`, or read it from `folder`, where it is kept."""
    made = (study.teacher, study.teacher_training, study.data)
    text = "".join(config.model_dump_json() for config in made) + str(seed)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"
    if not path.exists():
        teacher = build(lambda: Teacher(study.teacher), seed)
        fit(teacher, dataset, study.teacher_training, seed=seed, progress=progress, label="teacher")
        save_checkpoint(path, teacher)
    return load_teacher(path)


def objective(row: RowConfig, training: FitConfig, teacher: Teacher | None, images: Tensor) -> Objective:
    """Return the loss of a row; what the teacher says of all images, in each view, is computed once."""
    if teacher is None:
        return labels_only()
    if row.transfer == "ntk":
        return ntk_matched(teacher, labels_only(), beta=row.beta)
    scores = torch.stack([logits(teacher, seen) for seen in views(images, training.flips)])
    return distilled(scores, training.temperature, training.alpha)


def run(study: StudyConfig, row: RowConfig, seed: int, validate: bool, folder: Path) -> dict[str, Any]:
    """Train the network of one row with one seed, and score it: its line of the table."""
    start = time.perf_counter()
    own = merged(study, row, seed=seed, validate=validate)
    shared = merged(study, RowConfig(name=""), seed=seed, validate=validate)
    dataset = _dataset(own.data.model_dump_json())
    kinds = {
        "teacher": lambda: Teacher(own.teacher),
        "digital": lambda: DigitalNet(own.digital),
        "student": lambda: Student(own.student),
    }
    network = build(kinds[row.network], seed)
    check(network, dataset, row.name)
    with progress_bar() as progress:
        teacher = None
        if row.network == "teacher" or row.transfer != "none":
            everything = _dataset(shared.data.model_dump_json())
            teacher = trained_teacher(shared, everything, seed, folder, progress)
        if row.network == "teacher":
            network = teacher
        else:
            goal = objective(row, own.training, teacher, dataset.train.images)
            fit(network, dataset, own.training, objective=goal, seed=seed, progress=progress, label=row.name)
    assert network is not None
    return {
        "row": row.name,
        "seed": seed,
        "metric": "accuracy",
        "value": round(accuracy(network, dataset.validation if validate else dataset.test), 6),
        "macs": network.electronic_macs() if isinstance(network, Student) else network.macs(),
        "train": len(dataset.train),
        "seconds": round(time.perf_counter() - start, 1),
        "commit": commit(),
    }


def add_line(path: Path, line: dict[str, Any]) -> None:
    """Add a line to a CSV, made with its header if need be, by one short write: so several studies can run at once."""
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if not path.exists():
        rows.writeheader()
    rows.writerow(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())


def lines(path: Path) -> list[dict[str, str]]:
    """Read the lines of a CSV; none if there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main(
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file of models/recipes with rows.")],
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Only this seed; may be repeated.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="Only this row; may be repeated.")] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Score images set aside from training; no test.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", help="The CSV; docs/results/NAME.csv if left out.")] = None,
    teachers: Annotated[Path, typer.Option(help="Where trained teachers are kept.")] = Path("runs/teachers"),
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training.")] = 1,
) -> None:
    """Train what is missing of a study, and add its lines to the table."""
    torch.set_num_threads(threads)
    try:
        study = StudyConfig.from_toml(path)
        unknown = set(row or []) - {one.name for one in study.row}
        if unknown:
            raise ConfigError(f"--row {sorted(unknown)[0]!r}: {path} has no such row")
        output = output or RESULTS / f"{path.stem}{'-validation' if validate else ''}.csv"
        done = {(line["row"], int(line["seed"])) for line in lines(output)}
        for number in seed if seed is not None else range(study.seeds):
            for one in study.row:
                if (one.name, number) not in done and (row is None or one.name in row):
                    line = run(study, one, number, validate, teachers)
                    add_line(output, {"study": path.stem, "family": study.family} | line)
                    print(f"{one.name}, seed {number}: {line['value']:.2%}", flush=True)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    typer.run(main)
