"""Compensation: the optics stay, the head is trained again on what the camera of this bench shows.

A mask that is off by a pixel, or a kernel that is not the wanted one, gives other pictures than those that the head
learned from; a tenth of the training images, taken on the bench, is enough to learn them (Xiang, Choi et al.,
arXiv 2508.08421).

python -m models.compensate runs/demo bench.toml
"""

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from fouroptics.bench.fourf import FourF
from fouroptics.errors import FourOpticsError
from fouroptics.masks import bundle
from models.batch import Objective
from models.data import Dataset, Split
from models.distill import distilled
from models.evaluate import CALIBRATION_IMAGES, Rung, calibration, readout_name, rows, save_rows, show_rows
from models.optical import Instrument, Optics, calibrate, predict, response
from models.optimiser import FitConfig
from models.pairing import check_pairing
from models.progress import progress_bar
from models.runs import load_data, load_student, load_teacher, save_checkpoint
from models.scores import logits
from models.student import Student
from models.train import fit

RECIPE = FitConfig(epochs=30, batch=50, rate=1e-3, temperature=4.0, alpha=0.9)  # chosen on validation images


class Head(nn.Module):
    """The electronic part of a student, as a network of its own: camera pictures in its units to scores."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student
        student.stack.requires_grad_(False)

    def forward(self, detected: Tensor) -> Tensor:
        """Scores (B, classes) of camera pictures (B, channels, y, x)."""
        return self.student.classify(detected)


@torch.no_grad()
def captured(optics: Optics, instrument: Instrument, split: Split, seed: int, batch: int = 200) -> Split:
    """Take each image of `split` once, with noise: camera pictures (N, channels, y, x) and their labels."""
    generator = torch.Generator().manual_seed(seed)
    pictures = [instrument(optics(part), generator) for part in split.images.split(batch)]
    return Split(torch.cat(pictures).float(), split.labels)


def compensate(
    student: Student,
    pictures: Split,
    recipe: FitConfig = RECIPE,
    *,
    objective: Objective | None = None,
    seed: int,
    progress: Progress | None = None,
) -> Student:
    """Train the head of a copy of `student`, batch normalisation included, on camera pictures.

    Parameters
    ----------
    student : Student
        Its head is where the training starts; it stays as it is.
    pictures : Split
        What `captured` gives of training images.
    recipe : FitConfig
        How it is trained.
    objective : Objective, optional
        `models.distill.labels_only` if left out; a teacher's scores or kernel are those of the same images.
    seed : int
        Of the order of the pictures.
    progress : Progress, optional
        As for `models.train.fit`.

    Returns
    -------
    Student
        In eval mode, with the optics of `student`.
    """
    head, nothing = Head(copy.deepcopy(student)), Split(pictures.images[:0], pictures.labels[:0])
    classes = tuple(str(index) for index in range(student.config.classes))
    data = Dataset("pictures", classes, pictures, nothing, nothing)
    fit(head, data, recipe, objective=objective, seed=seed, progress=progress, label="head")
    head.student.stack.requires_grad_(True)
    return head.student


def main(
    run: Annotated[Path, typer.Argument(help="A run folder: model.pt, teacher.pt, masks.h5 and instrument.json.")],
    bench_file: Annotated[Path, typer.Argument(metavar="BENCH", help="The bench file, with its errors.")],
    output: Annotated[Path | None, typer.Option("-o", help="The table; RUN/compensation.csv if left out.")] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the training images that are taken.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Of the camera noise and of the order of the images.")] = 0,
) -> None:
    """Train the head of a run's student again on a bench, and compare on test images; writes RUN/compensated.pt."""
    try:
        table, digital = _run(run, FourF.from_toml(bench_file), share, seed)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    save_rows(output or run / "compensation.csv", table)
    Console().print(show_rows(table, f"{table[0]['images']:,} test images", digital))


def _run(run: Path, bench: FourF, share: float, seed: int) -> tuple[list[dict[str, str | int | float]], str]:
    """Write the new student, and return the rows with the name of the one that the others are compared to."""
    student, masks, dataset = load_student(run / "model.pt"), bundle.load(run / "masks.h5"), load_data(run)
    check_pairing(bench, masks, student)
    if not bench.is_shift_invariant:
        raise FourOpticsError(f"{run}: a bench that is not shift-invariant takes too long to take so many images")
    optics, train, test = response(bench, masks), dataset.train, dataset.test
    stored = calibration(run / "instrument.json", bench, masks, student, train, seed)
    noise = torch.Generator().manual_seed(seed)
    fresh = calibrate(bench, optics, student, train.images[:CALIBRATION_IMAGES], noise, stored.exposure)
    few = train.first(round(share * len(train)))
    if len(few) < RECIPE.batch:
        raise FourOpticsError(f"--share {share:g}: {len(few)} images, fewer than a batch of {RECIPE.batch}; take more")
    objective = None
    if (run / "teacher.pt").exists():
        taught = logits(load_teacher(run / "teacher.pt"), few.images)[None]
        objective = distilled(taught, RECIPE.temperature, RECIPE.alpha)
    with progress_bar() as progress:
        pictures = captured(optics, fresh, few, seed)
        changed = compensate(student, pictures, objective=objective, seed=seed, progress=progress)
    save_checkpoint(run / "compensated.pt", changed)

    def rung(name: str, network: Student, instrument: Instrument) -> Rung:
        scores = predict(network, optics, instrument, test.images, torch.Generator().manual_seed(seed + 1))
        return Rung(name, kind, scores.argmax(1))

    kind = readout_name(bench.config.readout.kind)
    digital = Rung("student distilled", kind, logits(student, test.images).argmax(1))
    on_bench = (
        rung("this bench, calibration of the run", student, stored),
        rung("gain and offset fitted again", student, fresh),
        rung(f"head trained again on {len(few):,}", changed, fresh),
    )
    return rows([digital, *on_bench], test.labels, digital.name), digital.name


if __name__ == "__main__":
    typer.run(main)
