"""The accuracy ladder: the same test images on every rung from the teacher to the camera, with intervals.

python -m models.evaluate runs/demo bench.toml                           the ladder of a run
python -m models.evaluate runs/demo bench.toml --captures captures.h5    with what a camera took
python -m models.evaluate                                                the tables of all studies (models.study)
"""

import copy
import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.bench.fourf import FourF
from fouroptics.errors import FourOpticsError
from fouroptics.masks import bundle, captures
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.runsheet import fingerprint
from models import tables
from models.captures import known
from models.captures import predict as predict_captures
from models.data import Split
from models.optical import Instrument, calibrate, ideal_amplitude, predict, response
from models.pairing import check_pairing, with_panel, with_rows
from models.runs import load_data, load_student
from models.scores import logits
from models.student import Student

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
        What the head sees of the optical layer, as `readout_name` says; ``-`` without one.
    predictions : Tensor
        (N) class of each test image.
    """

    name: str
    readout: str
    predictions: Tensor


def readout_name(kind: str) -> str:
    """What a readout is to the network: ``linear`` in the field, ``linear in power``, or ``intensity``, |field|^2."""
    return {"intensity": "intensity", "split": "linear in power"}.get(kind, "linear")


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


@torch.no_grad()
def optical_rungs(
    student: Student, masks: MaskSet, instrument: Instrument, train: Split, test: Split, seed: int
) -> list[Rung]:
    """Evaluate the student on the bench, from ideal masks to the noisy camera; the last three use `masks`, the file's.

    The head is frozen. The panel without undiffracted light is another instrument and gets its own gain and offset.
    """
    bench = instrument.bench
    check_pairing(bench, masks, student)
    kind, images = readout_name(bench.config.readout.kind), test.images
    ideal = ideal_amplitude(bench, student)
    values = torch.cat([student.classify(student.detect(ideal(part))) for part in images.split(200)])
    full = with_panel(bench, fill_factor=1.0)
    optics, filled = response(bench, masks), response(full, masks)
    fitted = calibrate(full, filled, student, train.images[:CALIBRATION_IMAGES], None, instrument.exposure)
    generator = torch.Generator().manual_seed(seed)
    return [
        Rung("ideal optics", kind, values.argmax(1)),
        Rung("quantised panel", kind, predict(student, filled, fitted, images).argmax(1)),
        Rung("+ undiffracted light", kind, predict(student, optics, instrument, images).argmax(1)),
        Rung("+ camera noise", kind, predict(student, optics, instrument, images, generator).argmax(1)),
    ]


def calibration(path: Path, bench: FourF, masks: MaskSet, student: Student, train: Split, seed: int) -> Instrument:
    """Read the calibration of a run; if there is none, fit it on training images with camera noise, and store it."""
    if not path.exists():
        generator = torch.Generator().manual_seed(seed)
        fourier = FourF(bench.config.model_copy(update={"model": "fourier"}))
        if not fourier.is_shift_invariant:
            raise FourOpticsError(
                f"{path} is missing, and {CALIBRATION_IMAGES} images through a bench that is not shift-invariant take "
                "hours: evaluate the run on the aligned bench first, which writes it"
            )
        images = train.images[:CALIBRATION_IMAGES]
        calibrate(fourier, response(fourier, masks), student, images, generator).save(path)
    return Instrument.load(path, bench)


def undiffracted_phase_changes(student: Student, masks: MaskSet, instrument: Instrument, images: Tensor) -> int:
    """Most predictions that change when the phase of the undiffracted light turns after calibration."""
    bench = instrument.bench
    first, *others = (
        predict(student, response(with_panel(bench, dead_phase=phase), masks), instrument, images).argmax(1)
        for phase in DARK_PHASES
    )
    return max(int((other != first).sum()) for other in others)


@torch.no_grad()
def wave_difference(bench: FourF, masks: MaskSet, images: Tensor) -> float:
    """Relative L2 difference of the intensities in the four innermost windows of the two models, at equal power."""
    rows = np.square(masks.kernels.tile).sum(1).argsort(kind="stable")[:4]
    masks = with_rows(masks, rows.tolist())
    wave = FourF(bench.config.model_copy(update={"model": "wave"}))
    seen, expected = (readout.intensity(response(place, masks)(images)) for place in (wave, bench))
    seen = seen * (expected.sum() / seen.sum())
    return float((seen - expected).square().sum().sqrt() / expected.square().sum().sqrt())


@torch.no_grad()
def collapsed(student: Student, images: Tensor) -> tuple[Tensor, float]:
    """Predictions of the layers merged in float64, and the largest relative difference that it makes (64 images)."""
    exact, few = copy.deepcopy(student).double(), images[:64].double()
    layers = exact.run_stack(few)
    difference = float((layers - exact.amplitude(few)).abs().max() / layers.abs().max())
    merged = (student.detect(exact.amplitude(part.double())).float() for part in images.split(200))
    return torch.cat([student.classify(part) for part in merged]).argmax(1), difference


def rows(rungs: Iterable[Rung], labels: Tensor, reference: str) -> list[dict[str, str | int | float]]:
    """One row a rung: accuracy, its interval, the paired difference to `reference`, how many predictions differ."""
    rungs = list(rungs)
    digital = next(rung.predictions for rung in rungs if rung.name == reference)
    table: list[dict[str, str | int | float]] = []
    for rung in rungs:
        right = rung.predictions == labels
        low, high = wilson(int(right.sum()), len(labels))
        mean, lower, upper = paired(right, digital == labels)
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
                "differ": int((rung.predictions != digital).sum()),
            }
        )
    return table


def save_rows(path: Path, table: list[dict[str, str | int | float]]) -> None:
    """Write the rows as CSV, whole or not at all."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: round(v, 9) if isinstance(v, float) else v for key, v in row.items()} for row in table)
    write_whole(path, file.getvalue().encode())


def show_rows(table: list[dict[str, str | int | float]], title: str, reference: str) -> Table:
    """Draw the rows as a table for the terminal."""
    drawn = Table(
        title=f"{title}; differences to {reference!r}; * controls\n",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in ("rung", "readout"):
        drawn.add_column(name)  # a narrow terminal folds the names, and cuts no number
    for name in ("accuracy", "95 % range", "difference (points)", "differ"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for row in table:
        accuracy, low, high, *difference = (
            100 * float(row[key])
            for key in ("accuracy", "low", "high", "difference", "difference_low", "difference_high")
        )
        against = "" if row["rung"] == reference else "{:+.2f} [{:+.2f}, {:+.2f}]".format(*difference)
        drawn.add_row(
            str(row["rung"]).replace("control: ", "* "),
            str(row["readout"]),
            f"{accuracy:.2f} %",
            f"{low:.1f} - {high:.1f}",
            against,
            str(row["differ"]),
        )
    return drawn


def main(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="A run folder (model.pt, masks.h5, and instrument.json, which is made if missing), or the recipe of a "
            "study; left out: all studies."
        ),
    ] = None,
    bench_file: Annotated[Path | None, typer.Argument(metavar="BENCH", help="The bench file of a run.")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="The table; RUN/evaluation.csv if left out.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Only the first; needed if not shift-invariant.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the camera noise.")] = 0,
    captures_file: Annotated[
        Path | None, typer.Option("--captures", help="Frames of a run sheet; scored, too.")
    ] = None,
    flats: Annotated[bool, typer.Option(help="Divide captures by their flat frames, if they have some.")] = True,
    write: Annotated[bool, typer.Option("--write", help="Write the tables of studies for the pages, too.")] = False,
) -> None:
    """Print the tables of studies, or evaluate a run's student on a bench.

    A run is evaluated from its mask file and its stored calibration, on the test images.
    """
    try:
        if run is None or run.suffix == ".toml":
            tables.show(None if run is None else [run], write=write)
        elif bench_file is None:
            raise FourOpticsError(f"BENCH: missing; a run is evaluated on a bench: models.evaluate {run} bench.toml")
        else:
            evaluate(run, bench_file, output, images, seed, captures_file, flats)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None


def evaluate(
    run: Path,
    bench_file: Path,
    output: Path | None,
    images: int | None,
    seed: int,
    captures_file: Path | None = None,
    flats: bool = True,
) -> None:
    """Evaluate the student of a run on a bench, print the rungs, and write them."""
    bench, student, dataset = FourF.from_toml(bench_file), load_student(run / "model.pt"), load_data(run)
    if not (run / "masks.h5").exists():
        command = f"fouroptics masks make {run / 'kernels.npz'} {bench_file} -o {run / 'masks.h5'}"
        if bench.config.readout.kind == "split":
            command = f"python -m models.incoherent {run} {bench_file}"
        raise FourOpticsError(f"{run}: holds no masks.h5; compile the kernels first: {command}")
    masks = bundle.load(run / "masks.h5")
    check_pairing(bench, masks, student)
    instrument = calibration(run / "instrument.json", bench, masks, student, dataset.train, seed)
    kind, test, measured = readout_name(student.config.readout), dataset.test, []
    test = test if images is None else test.first(images)
    labels = test.labels
    if captures_file is not None:
        taken = captures.read(captures_file, fingerprint(run / "masks.h5"), bench.camera_grid.shape)
        test, labels = known(taken, dataset.test)
        measured = [Rung("captures", kind, predict_captures(student, instrument, masks, taken, flats).argmax(1))]
    rungs = []
    if test is not None:
        rungs = [Rung("student distilled", kind, logits(student, test.images).argmax(1))]
        if bench.is_shift_invariant or not measured:
            rungs += simulated(student, masks, instrument, dataset.train, test, seed, limited=images is not None)
    rungs += measured
    table = rows(rungs, labels, rungs[0].name)
    save_rows(output or run / ("captures.csv" if measured else "evaluation.csv"), table)
    Console().print(show_rows(table, f"{len(labels):,} test images", rungs[0].name))


def simulated(
    student: Student, masks: MaskSet, instrument: Instrument, train: Split, test: Split, seed: int, limited: bool
) -> list[Rung]:
    """Rungs of a simulated bench; the noisy one alone, and only of a limited number of images, if it has no kernels."""
    bench = instrument.bench
    if bench.is_shift_invariant:
        return optical_rungs(student, masks, instrument, train, test, seed)
    if not limited:
        raise FourOpticsError(
            "a bench that is not shift-invariant takes seconds to minutes an image: say how many with --images, "
            "such as --images 4"
        )
    noise = torch.Generator().manual_seed(seed)
    seen = predict(student, response(bench, masks), instrument, test.images, noise, batch=4)
    return [Rung(f"{bench.config.model} model, camera noise", readout_name(student.config.readout), seen.argmax(1))]


if __name__ == "__main__":
    typer.run(main)
