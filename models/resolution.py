"""Does resolution make up for linearity? Solar cells at 28 to 224 pixels: teacher, students, and nets without optics.

python -m models.resolution            trains what is missing, adds it to docs/results, and prints the tables
python -m models.resolution --table    prints the tables of what is there; needs neither images nor training

Each row is trained on each split of the cells, at each size. Its lines are in ``resolution.csv``; the scores of all
test images, and the curve of the validation images, are in ``resolution.npz``. A split is the seed of its trainings.
"""

import itertools
import time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
import typer
from pydantic import Field
from rich.console import Console
from torch import Tensor, nn

from fouroptics.config import FileConfig
from fouroptics.errors import ConfigError, FourOpticsError
from models.data import Split
from models.data.elpv import elpv, load_cells, parts
from models.digital import DigitalConfig, DigitalNet
from models.optimiser import FitConfig
from models.progress import progress_bar
from models.resampling import auc, recalls
from models.resolution_table import Line, bench, drawn, store, tables, write
from models.runs import commit, load_teacher, save_checkpoint
from models.scores import logits
from models.student import Student, StudentConfig
from models.study import RESULTS, RowConfig, lines, objective
from models.teacher import Teacher, TeacherConfig
from models.train import History, build, fit

RECIPE = Path(__file__).parent / "recipes" / "resolution.toml"
OUTPUT = RESULTS / "resolution.csv"
Config = TypeVar("Config", bound=FileConfig)


class SizeConfig(FileConfig):
    """One resolution: pixels a side, and the keys of ``[teacher]``, ``[student]`` and ``[digital]`` that go with it."""

    pixels: Annotated[int, Field(ge=16, le=300)]
    teacher: dict[str, Any] = Field(default_factory=dict)
    student: dict[str, Any] = Field(default_factory=dict)
    digital: dict[str, Any] = Field(default_factory=dict)


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
    """Return a configuration with other values, checked; of several that change a key the last counts."""
    values = config.model_dump()
    for keys in changes:
        values |= keys
    return type(config).model_validate(values)


def network(study: ResolutionConfig, size: SizeConfig, row: RowConfig) -> Student | Teacher | DigitalNet:
    """Make the network of a row at a size, with random weights."""
    images = {"size": size.pixels, "classes": 2}
    if row.network == "teacher":
        return Teacher(changed(study.teacher, size.teacher, images))
    if row.network == "digital":
        return DigitalNet(changed(study.digital, size.digital, row.digital, images))
    return Student(changed(study.student, size.student, row.student, images))


def margins(model: nn.Module, images: Tensor) -> Tensor:
    """Score of "defective" less that of "sound" (N,), in float16, as it is kept."""
    scores = logits(model, images, batch=100)
    return (scores[:, 1] - scores[:, 0]).half()


def validation_auc(model: nn.Module, split: Split) -> float:
    """Area under the ROC curve of a split."""
    return auc(margins(model, split.images), split.labels).item()


def train(study: ResolutionConfig, size: SizeConfig, row: RowConfig, split: int, folder: Path) -> tuple[Any, History]:
    """Train a row at one size on one split; its teacher is read from `folder`, or trained and kept there."""
    dataset, path = elpv(size.pixels, split), folder / f"{size.pixels}-{split}.pt"
    teacher = None
    if row.transfer != "none":
        teacher = load_teacher(path) if path.exists() else train(study, size, study.row[0], split, folder)[0]
    training = study.teacher_training if row.network == "teacher" else changed(study.training, row.training)
    goal = objective(row, training, teacher, dataset.train.images)
    model = build(lambda: network(study, size, row), split)
    if isinstance(model, Teacher):
        model.to(memory_format=torch.channels_last)  # twice as fast on a CPU  # pyright: ignore[reportCallIssue]
    with progress_bar() as progress:
        label = f"{row.name} {size.pixels} px {split}"
        shown = {"metric": validation_auc, "progress": progress, "label": label}
        history = fit(model, dataset, training, objective=goal, seed=split, **shown)
    if isinstance(model, Teacher):
        save_checkpoint(path, model)
    return model, history


def measure(study: ResolutionConfig, size: SizeConfig, row: RowConfig, split: int, folder: Path, path: Path) -> None:
    """Train a row, keep the scores of its test images beside the CSV `path`, and add its lines to that."""
    start = time.perf_counter()
    model, history = train(study, size, row, split, folder)
    cells = load_cells(size.pixels)
    training, _, test = parts(cells, split)
    scored, labels, name = margins(model, cells.images[test]), cells.labels[test], f"{row.name}/{size.pixels}"
    curve = [epoch["validation"] for epoch in history]
    kept = {"cells": test, "labels": labels, f"margins/{name}": scored, f"validation/{name}": curve}
    store(path.with_suffix(".npz"), split, study.splits, kept)
    sound, defective = recalls(scored, labels)
    values = {"auc": auc(scored, labels).item(), "balanced accuracy": (sound + defective) / 2}
    values["accuracy"] = ((scored > 0) == (labels == 1)).double().mean().item()
    known = {"study": path.stem, "family": study.family, "row": row.name, "size": size.pixels, "seed": split}
    cost = {"macs": model.electronic_macs() if isinstance(model, Student) else model.macs(), "train": len(training)}
    cost |= {"seconds": f"{time.perf_counter() - start:.1f}", "commit": commit()}
    write(path, [*lines(path), *(known | {"metric": name, "value": value} | cost for name, value in values.items())])


def costs(study: ResolutionConfig) -> dict[tuple[str, int], Line]:
    """Electronic multiply-accumulates of each row and size, and what the bench of the example file says of them."""
    found: dict[tuple[str, int], Line] = {}
    for size, row in itertools.product(study.size, study.row):
        with torch.device("meta"):  # no memory, no random numbers
            model = network(study, size, row)
        line: Line = {"electronic MACs": model.macs() if not isinstance(model, Student) else model.electronic_macs()}
        if isinstance(model, Student):
            c = model.config
            line |= {"taps": c.kernel_size, "bench": bench(size.pixels, c.kernel_size, c.outputs, c.readout)[0]}
        found[row.name, size.pixels] = line if "taps" in line else line | {"taps": "", "bench": ""}
    return found


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe.")] = RECIPE,
    table: Annotated[bool, typer.Option("--table", help="Train nothing.")] = False,
    row: Annotated[list[str] | None, typer.Option(help="Train only this row; may be repeated.")] = None,
    pixels: Annotated[list[int] | None, typer.Option(help="Train only at this size; may be repeated.")] = None,
    split: Annotated[list[int] | None, typer.Option(min=0, help="Train only on this split; may be repeated.")] = None,
    output: Annotated[Path, typer.Option("-o", help="The CSV; scores and tables go beside it.")] = OUTPUT,
    teachers: Annotated[Path, typer.Option(help="Where trained teachers are kept.")] = Path("runs/resolution"),
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training.")] = 1,
) -> None:
    """Train what is missing of the study, and print its tables."""
    torch.set_num_threads(threads)
    try:
        study = ResolutionConfig.from_toml(recipe)
        names, sizes = [one.name for one in study.row], [size.pixels for size in study.size]
        for key, asked, there in (
            ("--row", row, names),
            ("--pixels", pixels, sizes),
            ("--split", split, range(study.splits)),
        ):
            if unknown := set(asked or []) - set(there):
                raise ConfigError(f"{key} {unknown.pop()}: {recipe} has {', '.join(map(str, there))}")
        done = {(line["row"], line["size"], line["seed"]) for line in lines(output)}
        for number, size, one in itertools.product(range(study.splits), study.size, study.row):
            wanted = all(
                not asked or it in asked for it, asked in ((number, split), (size.pixels, pixels), (one.name, row))
            )
            if wanted and not table and (one.name, str(size.pixels), str(number)) not in done:
                measure(study, size, one, number, teachers, output)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    summary, differences = tables(output.with_suffix(".npz"), names, costs(study))
    for suffix, part in (("table", summary), ("differences", differences)):
        if part:
            write(output.with_name(f"{output.stem}-{suffix}.csv"), part)
            Console().print(drawn(part, f"ELPV, {study.splits} splits: python -m models.resolution"))


if __name__ == "__main__":
    typer.run(main)
