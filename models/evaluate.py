"""The accuracy ladder: the same test images on every rung from the teacher to the camera, with intervals.

python -m models.evaluate runs/demo bench.toml
"""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from fouroptics.bench.display import illumination
from fouroptics.bench.fourf import FourF
from fouroptics.errors import FourOpticsError
from fouroptics.masks import bundle
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from models.data import Split, fashion_subset
from models.optical import calibrate, ideal_response, predict, response, with_panel
from models.runs import load_student
from models.student import Student
from models.train import logits

CALIBRATION_IMAGES = 600
DARK_PHASES = (0.0, math.pi / 2, math.pi, 3 * math.pi / 2)


@dataclass(frozen=True, eq=False)
class Rung:
    """One line of the ladder.

    Attributes
    ----------
    name : str
        What is evaluated.
    readout : str
        What the head sees of the optical layer: ``intensity`` or ``linear``; ``-`` without one.
    predictions : Tensor
        (N) class of each test image.
    """

    name: str
    readout: str
    predictions: Tensor


def readout_name(kind: str) -> str:
    """What a readout is to the network: ``linear`` if it keeps the sign of the field."""
    return "intensity" if kind == "intensity" else "linear"


def wilson(correct: int, count: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson, JASA 22, 209, 1927)."""
    z, p = 1.959964, correct / count
    middle, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


def paired(right: Tensor, reference: Tensor) -> tuple[float, float, float]:
    """Mean difference of two networks on the same images, with its normal 95 % interval."""
    difference = right.double() - reference.double()
    mean = float(difference.mean())
    half = 1.959964 * float(difference.std()) / math.sqrt(len(difference))
    return mean, mean - half, mean + half


def optical_rungs(student: Student, bench: FourF, masks: MaskSet, train: Split, test: Split, seed: int) -> list[Rung]:
    """Evaluate the student on the bench, from ideal masks to the noisy camera; the last three use `masks`, the file's.

    Exposure, gain and offset of each rung are set on the first 600 training images; the head is frozen.
    """
    kind = readout_name(bench.config.readout.kind)
    images = train.images[:CALIBRATION_IMAGES]
    optics, scale = ideal_response(bench, student)
    with torch.no_grad():
        beam = (
            illumination(bench.config).mean().float()
        )  # the ideal bench needs no fit: the passive factor and the beam are known
        values = torch.cat(
            [optics(part).real * (-scale.float()[:, None, None] / beam) for part in test.images.split(200)]
        )
        values = values * bench.config.magnification
        ideal = student.classify(student.detect(values))
    rungs = [Rung("ideal optics", kind, ideal.argmax(1))]
    full = with_panel(bench, fill_factor=1.0)
    for name, place, noisy in (
        ("quantised panel", full, False),
        ("+ undiffracted light", bench, False),
        ("+ camera noise", bench, True),
    ):
        generator = torch.Generator().manual_seed(seed) if noisy else None
        optics = response(place, masks)
        instrument = calibrate(place, optics, student, images, generator)
        rungs.append(Rung(name, kind, predict(student, optics, instrument, test.images, generator).argmax(1)))
    return rungs


def undiffracted_phase_changes(student: Student, bench: FourF, masks: MaskSet, train: Split, test: Split) -> int:
    """Most predictions that change when the phase of the undiffracted light turns after calibration."""
    optics = response(bench, masks)
    instrument = calibrate(bench, optics, student, train.images[:CALIBRATION_IMAGES], None)
    first = predict(student, optics, instrument, test.images).argmax(1)
    turned = (response(with_panel(bench, dead_phase=phase), masks) for phase in DARK_PHASES[1:])
    return max(int((predict(student, other, instrument, test.images).argmax(1) != first).sum()) for other in turned)


def collapsed(student: Student, images: Tensor) -> tuple[Tensor, float]:
    """Predictions of the merged kernels, and their largest relative difference to the stack (64 images, float64)."""
    kernels = student.collapse()
    with torch.no_grad():
        stack = student.double().run_stack(images[:64].double())
        pad = kernels.shape[-1] // 2
        merged = torch.nn.functional.conv2d(images[:64, None].double(), kernels, padding=(pad, pad))
        student.float()
        difference = float((stack - merged).abs().max() / stack.abs().max())
        parts = [torch.nn.functional.conv2d(p[:, None], kernels.float(), padding=(pad, pad)) for p in images.split(200)]
        return torch.cat([student.classify(student.detect(part)) for part in parts]).argmax(1), difference


def rows(rungs: Iterable[Rung], labels: Tensor, reference: str) -> list[dict[str, str | int | float]]:
    """One row a rung: accuracy with its interval, and the paired difference to the rung named `reference`."""
    rungs = list(rungs)
    base = next(rung.predictions for rung in rungs if rung.name == reference) == labels
    table: list[dict[str, str | int | float]] = []
    for rung in rungs:
        right = rung.predictions == labels
        low, high = wilson(int(right.sum()), len(labels))
        mean, lower, upper = paired(right, base)
        table.append(
            {
                "rung": rung.name,
                "readout": rung.readout,
                "images": len(labels),
                "accuracy": float(right.double().mean()),
                "low": low,
                "high": high,
                "difference": mean,
                "difference_low": lower,
                "difference_high": upper,
            }
        )
    return table


def save_rows(path: Path, table: list[dict[str, str | int | float]]) -> None:
    """Write the rows as CSV, whole or not at all."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: round(v, 6) if isinstance(v, float) else v for key, v in row.items()} for row in table)
    write_whole(path, file.getvalue().encode())


def show_rows(table: list[dict[str, str | int | float]], title: str, reference: str) -> Table:
    """Draw the rows as a table for the terminal."""
    drawn = Table(title=f"{title}; differences to {reference!r}\n", title_justify="left", box=None, pad_edge=False)
    for name in ("rung", "readout"):
        drawn.add_column(name, no_wrap=True)
    for name in ("accuracy", "95 % range", "difference (points)"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in table:
        accuracy, low, high, *difference = (
            100 * float(row[key])
            for key in ("accuracy", "low", "high", "difference", "difference_low", "difference_high")
        )
        against = "" if row["rung"] == reference else "{:+.2f} [{:+.2f}, {:+.2f}]".format(*difference)
        drawn.add_row(str(row["rung"]), str(row["readout"]), f"{accuracy:.2f} %", f"{low:.1f} - {high:.1f}", against)
    return drawn


def main(
    run: Annotated[Path, typer.Argument(help="A run folder with model.pt and masks.h5.")],
    bench_file: Annotated[Path, typer.Argument(metavar="BENCH", help="The bench file.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the camera noise.")] = 0,
) -> None:
    """Evaluate a run's student on a bench, from its mask file, on the test images; writes ladder.csv."""
    try:
        dataset, bench, student = fashion_subset(), FourF.from_toml(bench_file), load_student(run / "model.pt")
        masks = bundle.load(run / "masks.h5")
        digital = Rung(
            "student distilled", readout_name(student.config.readout), logits(student, dataset.test.images).argmax(1)
        )
        rungs = [digital, *optical_rungs(student, bench, masks, dataset.train, dataset.test, seed)]
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    table = rows(rungs, dataset.test.labels, digital.name)
    save_rows(run / "ladder.csv", table)
    Console().print(show_rows(table, f"{len(dataset.test):,} test images", digital.name))


if __name__ == "__main__":
    typer.run(main)
