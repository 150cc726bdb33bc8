"""Segmentation of synthetic scenes: U-Net, students, and controls, scored by their mean intersection over union.

python -m models.segmentation [models/recipes/scenes.toml] [--seed N ...] [--row NAME ...] [--validate]

Lines go to docs/results: NAME.csv has the mean over the classes, NAME-classes.csv each class. Lines that are there
are not made again. With ``--validate`` the validation scenes are scored, in NAME-validation.csv: every choice in the
recipe was made by that.
"""

import csv
import hashlib
import io
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from pydantic import Field
from rich.progress import Progress
from torch import Tensor, nn

from fouroptics.config import FileConfig
from fouroptics.errors import ConfigError, FourOpticsError
from fouroptics.masks.export import write_whole
from models.batch import Objective, views
from models.data import IGNORE, DataConfig, Dataset, Split, load
from models.distill import distilled, labels_only
from models.optimiser import FitConfig
from models.progress import progress_bar
from models.runs import commit
from models.scores import logits
from models.segmenter import DigitalSegmenter, DigitalSegmenterConfig, Segmenter, SegmenterConfig
from models.study import RESULTS, RowConfig, add_line, lines
from models.train import build, fit
from models.unet import UNet, UNetConfig

RECIPE = Path(__file__).parent / "recipes" / "scenes.toml"
CLASSES: tuple[str, ...] = ("study", "row", "seed", "class", "iou")  #: columns of the table of classes
BACKGROUND = "all background"  #: row of the control that names no pixel anything else
SHOWN = 8  #: test scenes that ``--pictures`` keeps


def confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """Count pixels by their class and by the class that is scored highest.

    Parameters
    ----------
    scores : Tensor
        Shape (N, classes, y, x).
    labels : Tensor
        Shape (N, y, x), int64; a pixel of the label `IGNORE` is not counted.

    Returns
    -------
    Tensor
        Shape (classes, classes), int64: rows are true, columns are named.
    """
    classes, scored = scores.shape[1], labels != IGNORE
    pairs = classes * labels[scored] + scores.argmax(1)[scored]
    return pairs.bincount(minlength=classes**2).view(classes, classes)


def class_iou(counts: Tensor) -> Tensor:
    """Intersection over union of each class of a `confusion`: (classes,), nan of a class that is nowhere."""
    right = counts.diagonal().double()
    return right / (counts.sum(0) + counts.sum(1) - right)


def miou(model: nn.Module, split: Split) -> float:
    """Mean over the classes of the intersection over union, each over all pixels of `split` at once; 0 to 1."""
    return class_iou(confusion(logits(model, split.images, batch=100), split.labels)).nanmean().item()


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """``1 / sqrt(share of the pixels)`` of each class, divided by the mean: what a pixel counts in training."""
    shares = labels[labels != IGNORE].bincount(minlength=classes).double() / labels.numel()
    weights = shares.clamp(min=1e-6).rsqrt()
    return (weights / weights.mean()).float()


class SceneStudyConfig(FileConfig):
    """The recipe of the study.

    Parameters
    ----------
    family : {"Ours"}
        Whose method it is.
    seeds : int
        Each row is trained with the seeds 0 to seeds - 1, of first weights and order; the scenes are the same.
    data : DataConfig
        The scenes.
    teacher, student, digital : UNetConfig, SegmenterConfig, DigitalSegmenterConfig
        The networks.
    training : FitConfig
        How all of them are trained.
    row : list of RowConfig
        The first is the teacher; any U-Net is one. All learn from the same scenes, and none from a tangent kernel.
    """

    family: Literal["Ours"] = "Ours"
    seeds: Annotated[int, Field(ge=1)] = 5
    data: DataConfig = DataConfig(name="scenes")
    teacher: UNetConfig = UNetConfig()
    student: SegmenterConfig = SegmenterConfig()
    digital: DigitalSegmenterConfig = DigitalSegmenterConfig()
    training: FitConfig = FitConfig()
    row: Annotated[list[RowConfig], Field(min_length=1)]

    def fault(self) -> str | None:
        """Say what does not fit together, if anything."""
        names = [row.name for row in self.row]
        if self.row[0].network != "teacher" or len(set(names)) < len(names):
            return f"row.name = {names}: give each row a name of its own, and the teacher first"
        if any(row.data or row.transfer == "ntk" for row in self.row):
            return "row.data, row.transfer = 'ntk': not for scenes; leave them out"
        unknown = [row.against for row in self.row if row.against not in (None, *names)]
        if unknown:
            return f"row.against = {unknown[0]!r}: no such row; the rows are {', '.join(map(repr, names))}"
        return None


def network(study: SceneStudyConfig, row: RowConfig) -> UNet | Segmenter | DigitalSegmenter:
    """Make the network of a row, with random weights."""
    if row.network == "teacher":
        made = UNet(study.teacher)
    elif row.network == "digital":
        made = DigitalSegmenter(DigitalSegmenterConfig.model_validate(study.digital.model_dump() | row.digital))
    else:
        made = Segmenter(SegmenterConfig.model_validate(study.student.model_dump() | row.student))
    # the same numbers, to rounding, 1.5 times as fast on a CPU
    return made.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def trained(
    study: SceneStudyConfig, row: RowConfig, dataset: Dataset, seed: int, folder: Path, progress: Progress | None = None
) -> tuple[nn.Module, float]:
    """Train the network of a row, or read it from `folder`, where it is kept: the network, and the seconds it took."""
    model = build(lambda: network(study, row), seed)
    training = FitConfig.model_validate(study.training.model_dump() | row.training)
    made = [study.data, model.config, training, *([study.teacher, study.row[0]] if row.transfer == "kd" else [])]
    text = "".join(config.model_dump_json() for config in made) + f"{row.transfer} {seed}"
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"
    if path.exists():
        kept = torch.load(path, weights_only=True)
        model.load_state_dict(kept["state_dict"])
        return model.eval(), kept["seconds"]
    teacher = trained(study, study.row[0], dataset, seed, folder, progress)[0] if row.transfer == "kd" else None
    start, goal = time.perf_counter(), objective(dataset, training, teacher)
    how: dict[str, Any] = {"metric": miou, "seed": seed, "progress": progress, "label": f"{row.name}, {seed}"}
    fit(model, dataset, training, objective=goal, **how)
    file, seconds = io.BytesIO(), time.perf_counter() - start
    torch.save({"state_dict": model.state_dict(), "seconds": seconds}, file)
    write_whole(path, file.getvalue())
    return model, seconds


def objective(dataset: Dataset, training: FitConfig, teacher: nn.Module | None) -> Objective:
    """Return the loss: both the labels and what the teacher says count by the weights of the classes."""
    weights = class_weights(dataset.train.labels, len(dataset.classes))
    if teacher is None:
        return labels_only(weights)
    seen = views(dataset.train.images, training.flips)
    scores = torch.stack([logits(teacher, images, batch=100).half() for images in seen])
    return distilled(scores, training.temperature, training.alpha, weights)


def cost(study: SceneStudyConfig, row: RowConfig) -> int:
    """Electronic multiply-accumulates an image of the network of a row."""
    model = network(study, row)
    return model.electronic_macs() if isinstance(model, Segmenter) else model.macs()


def measure(
    study: SceneStudyConfig, row: RowConfig, dataset: Dataset, seed: int, folder: Path, *, validate: bool
) -> tuple[dict[str, Any], Tensor]:
    """Train the network of one row with one seed, and score it: its line of the table, and each class."""
    with progress_bar() as progress:
        model, seconds = trained(study, row, dataset, seed, folder, progress)
    part = dataset.validation if validate else dataset.test
    known = {"row": row.name, "seed": seed, "macs": cost(study, row), "seconds": round(seconds, 1)}
    return scored(logits(model, part.images, batch=100), part.labels, known | {"train": len(dataset.train)})


def scored(scores: Tensor, labels: Tensor, known: dict[str, Any]) -> tuple[dict[str, Any], Tensor]:
    """Score pixels, see `confusion`: a line of the table, with what is `known` of the network, and each class."""
    iou = class_iou(confusion(scores, labels))
    line = {"family": "Ours", "metric": "mIoU", "value": round(iou.nanmean().item(), 6), "commit": commit()}
    return line | known, iou


def keep(path: Path, line: dict[str, Any], names: tuple[str, ...], iou: Tensor) -> None:
    """Add a line to the table, and a line for each class to the table of classes, made with its header if need be."""
    text, classes = io.StringIO(newline=""), path.with_stem(f"{path.stem}-classes")
    rows = csv.DictWriter(text, CLASSES, extrasaction="ignore", lineterminator="\n")
    if not classes.exists():
        rows.writeheader()
    rows.writerows(
        line | {"class": name, "iou": round(value, 4)} for name, value in zip(names, iou.tolist(), strict=True)
    )
    with classes.open("a", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())
    add_line(path, line)


def add_picture(path: Path, name: str, named: Tensor) -> None:
    """Add the classes (N, y, x) that a network gave to scenes, to the npz file of such pictures."""
    kept = dict(np.load(path)) if path.exists() else {}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **kept | {name: named.byte().numpy()})
    write_whole(path, file.getvalue())


def main(
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file such as scenes.toml.")] = RECIPE,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Only this seed; may be repeated.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="Only this row; may be repeated.")] = None,
    validate: Annotated[bool, typer.Option("--validate", help="Score the validation scenes; no test.")] = False,
    output: Annotated[Path | None, typer.Option("-o", help="The CSV; docs/results/NAME.csv if left out.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Keep what is made of a few test scenes in this npz.")] = None,
    folder: Annotated[Path, typer.Option(help="Where trained networks are kept.")] = Path("runs/scenes"),
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training.")] = 1,
) -> None:
    """Train what is missing of the study, and add its lines to the tables."""
    torch.set_num_threads(threads)
    try:
        study = SceneStudyConfig.from_toml(path)
        unknown = set(row or []) - {one.name for one in study.row}
        if unknown:
            raise ConfigError(f"--row {sorted(unknown)[0]!r}: {path} has no such row")
        output = output or RESULTS / f"{path.stem}{'-validation' if validate else ''}.csv"
        done = {(line["row"], int(line["seed"])) for line in lines(output)}
        dataset = load(study.data)
        if (BACKGROUND, 0) not in done:
            labels = (dataset.validation if validate else dataset.test).labels
            equal = torch.zeros(len(labels), len(dataset.classes), *labels.shape[1:])  # the first class is named
            known = {"study": path.stem, "row": BACKGROUND, "seed": 0, "macs": 0, "train": 0, "seconds": 0}
            line, iou = scored(equal, labels, known)
            keep(output, line, dataset.classes, iou)
        for number in seed if seed is not None else range(study.seeds):
            for one in study.row:
                if (one.name, number) in done or (row is not None and one.name not in row):
                    continue
                line, iou = measure(study, one, dataset, number, folder, validate=validate)
                keep(output, {"study": path.stem} | line, dataset.classes, iou)
                if pictures is not None:
                    model = trained(study, one, dataset, number, folder)[0]
                    add_picture(pictures, one.name, logits(model, dataset.test.images[:SHOWN]).argmax(1))
                print(f"{one.name}, seed {number}: mIoU {line['value']:.1%}", flush=True)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    typer.run(main)
