"""The whole way in one command: real images, a network, one phase mask, its file, the accuracy on the simulated bench.

python -m models.demo [--seed N] [-o runs/demo]
"""

import json
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fouroptics import masks as mask_compiler
from fouroptics.bench import settings
from fouroptics.bench.fourf import FourF
from fouroptics.errors import FourOpticsError
from fouroptics.masks import bundle
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from models import figures
from models.controls import controls
from models.data import Dataset, load
from models.evaluate import (
    Rung,
    calibration,
    collapsed,
    optical_rungs,
    readout_name,
    rows,
    save_rows,
    show_rows,
    undiffracted_phase_changes,
    wave_difference,
)
from models.optical import Instrument
from models.pairing import for_bench
from models.runs import commit, save_run
from models.student import Student
from models.train import RecipeConfig, Trained, build, fit, logits, progress_bar, train

RECIPE = Path(__file__).parent / "recipes" / "fashion-demo.toml"
REFERENCE = "student distilled"
PRODUCTS = (
    *("run.json", "masks.h5", "instrument.json", "ladder.csv", "evaluation.csv", "demo.json"),
    *("section.png", "mask.png", "overview.png"),
)
console = Console()


def compile_masks(student: Student, bench: FourF, seed: int, dataset: str) -> MaskSet:
    """All kernels of the student in one phase mask for the bench's panel, with a progress bar."""
    columns = (
        TextColumn("compiling the mask"),
        BarColumn(bar_width=None),
        TextColumn("error before rounding {task.fields[error]:.2%}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", error=float("nan"))
        return mask_compiler.from_kernels(
            student.collapse(),
            bench,
            seed=seed,
            progress=lambda step, steps, error: bar.update(task, completed=step, total=steps, error=error),
            provenance={"git_sha": commit() or "unknown", "dataset": dataset},
        )


def through_file(folder: Path, masks: MaskSet) -> MaskSet:
    """Write the mask file, verify it, and return what it holds."""
    path = folder / "masks.h5"
    bundle.save(path, masks)
    findings = bundle.verify(path)
    if findings:
        raise FourOpticsError("\n".join(f"{path}: {finding}" for finding in findings))
    console.print(f"wrote and verified {path}")
    return bundle.load(path)


def train_controls(recipe: RecipeConfig, dataset: Dataset, seed: int) -> dict[str, torch.nn.Module]:
    """Train each control on the student's budget, with its seed."""
    networks = {}
    with progress_bar() as progress:
        for name, make in controls(recipe.student).items():
            networks[name] = build(make, seed)
            fit(networks[name], dataset, recipe.training, seed=seed, progress=progress, label=name)
    return networks


def ladder(
    trained: Trained,
    masks: MaskSet,
    instrument: Instrument,
    dataset: Dataset,
    others: dict[str, torch.nn.Module],
    seed: int,
) -> list[Rung]:
    """Every rung on the test images; the only place that looks at them."""
    student, test = trained.distilled, dataset.test
    kind = readout_name(student.config.readout)
    merged, difference = collapsed(student, test.images)
    if difference > 1e-10:
        raise FourOpticsError(f"the merged kernels differ from the stack by {difference:.1e}, more than 1e-10")
    console.print(f"merged kernels equal the stack to {difference:.1e} (float64)")
    return [
        Rung("teacher", "-", logits(trained.teacher, test.images).argmax(1)),
        Rung("student alone", kind, logits(trained.alone, test.images).argmax(1)),
        Rung(REFERENCE, kind, logits(student, test.images).argmax(1)),
        Rung("collapsed", kind, merged),
        *optical_rungs(student, masks, instrument, dataset.train, test, seed),
        *(Rung(f"control: {name}", "-", logits(network, test.images).argmax(1)) for name, network in others.items()),
    ]


def draw(folder: Path, masks: MaskSet, instrument: Instrument, image: torch.Tensor) -> None:
    """Write the three figures for one image."""
    bench = instrument.bench
    for name, figure in (
        ("section", figures.section(bench, masks, image)),
        ("mask", figures.mask(bench, masks)),
        ("overview", figures.overview(bench, masks, image, instrument.exposure)),
    ):
        figures.save(figure, folder / f"{name}.png")


def main(
    seed: Annotated[int, typer.Option(min=0, help="Of weights, image order, mask start and camera noise.")] = 0,
    output: Annotated[Path, typer.Option("-o", help="The run folder.")] = Path("runs/demo"),
    threads: Annotated[int, typer.Option(min=1, help="Threads for the training.")] = 1,
) -> None:
    """Train, compile, write the mask file, and print the accuracy ladder."""
    torch.set_num_threads(threads)
    try:
        run(seed, output)
    except (FourOpticsError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


def run(seed: int, output: Path) -> None:
    """The demo, into a folder; what an earlier run left there is removed first, so that files of two runs never mix."""
    start = time.perf_counter()
    recipe = RecipeConfig.from_toml(RECIPE)
    dataset = load(recipe.data)
    for name in PRODUCTS:
        (output / name).unlink(missing_ok=True)
    write_whole(output / "bench.toml", settings.EXAMPLE.encode())
    bench = FourF.from_toml(output / "bench.toml")
    recipe = recipe.model_copy(update={"student": for_bench(recipe.student, bench.config)})
    with progress_bar() as progress:
        trained = train(recipe, dataset, seed=seed, progress=progress)
    others = train_controls(recipe, dataset, seed)
    save_run(output, recipe.model_dump(mode="json"), seed, trained.networks(), trained.history, dataset.name)
    masks = through_file(output, compile_masks(trained.distilled, bench, seed, dataset.name))
    console.print(str(masks.report()), highlight=False)
    student = trained.distilled
    shown = dataset.validation.images
    with console.status("calibrating the bench"):
        instrument = calibration(output / "instrument.json", bench, masks, student, dataset.train, seed)
        changes = undiffracted_phase_changes(student, masks, instrument, shown)
    with console.status("four images through the wave model"):
        wave = wave_difference(bench, masks, shown[:4])
    with console.status("drawing the light along the bench, the mask and the camera frame"):
        draw(output, masks, instrument, shown[0])
    table = rows(ladder(trained, masks, instrument, dataset, others, seed), dataset.test.labels, REFERENCE)
    save_rows(output / "ladder.csv", table)
    summary = {
        "seed": seed,
        "undiffracted_phase_changes": changes,
        "validation_images": len(shown),
        "wave_difference": wave,
    }
    write_whole(output / "demo.json", (json.dumps(summary, indent=2) + "\n").encode())
    console.print(show_rows(table, f"{len(dataset.test):,} test images, seed {seed}", REFERENCE))
    console.print(f"another phase of the undiffracted light: at most {changes} of {len(shown):,} predictions change")
    console.print(f"wave model, 4 images, 4 windows: the intensities differ by {wave:.2g} from the Fourier model")
    names = "masks.h5, instrument.json, ladder.csv, section.png, mask.png, overview.png"
    console.print(f"wrote {names}")
    console.print(f"into {output} ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    typer.run(main)
