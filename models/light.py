"""How much light to ask for: response error and validation accuracy against the fraction of light in the taps.

python -m models.light runs/demo runs/demo/bench.toml -o docs/results/light.csv --masks masks.h5
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from fouroptics.bench.fourf import FourF
from fouroptics.masks import bundle
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.maskset import MaskSet
from models.evaluate import CALIBRATION_IMAGES, paired, save_rows
from models.optical import calibrate, predict, response
from models.runs import load_data, load_student
from models.train import logits

AGAINST = "difference to digital (points)"
FRACTIONS = (0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3)


def main(
    run: Annotated[Path, typer.Argument(help="A run folder with model.pt.")],
    bench_file: Annotated[Path, typer.Argument(metavar="BENCH", help="The bench file.")],
    output: Annotated[Path | None, typer.Option("-o", help="The table; RUN/light.csv if left out.")] = None,
    chosen: Annotated[Path | None, typer.Option("--masks", help="Write the masks that the task chooses.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random start and of the camera noise.")] = 0,
) -> None:
    """Compile the student's kernels at several fractions of the light, and run each mask with camera noise."""
    bench, student, dataset = FourF.from_toml(bench_file), load_student(run / "model.pt"), load_data(run)
    images, labels = dataset.validation.images, dataset.validation.labels
    digital = logits(student, images).argmax(1) == labels
    table: list[dict[str, str | int | float]] = []
    tried: list[tuple[float, float, MaskSet]] = []
    for light in FRACTIONS:
        masks = from_kernels(student.collapse(), bench, light=light, seed=seed)
        optics, generator = response(bench, masks), torch.Generator().manual_seed(seed)
        instrument = calibrate(bench, optics, student, dataset.train.images[:CALIBRATION_IMAGES], generator)
        right = predict(student, optics, instrument, images, generator).argmax(1) == labels
        mean, low, high = (100 * value for value in paired(right, digital))
        row: dict[str, str | int | float] = {
            "light (%)": round(100 * light),
            "mean error (%)": round(100 * float(masks.kernels.error.mean()), 2),
            "largest error (%)": round(100 * float(masks.kernels.error.max()), 2),
            "exposure (ms)": round(1e3 * instrument.exposure, 3),
            "accuracy (%)": round(100 * float(right.double().mean()), 1),
            AGAINST: f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]",
        }
        table.append(row)
        said = f"{row['accuracy (%)']} % of {len(labels):,} validation images on the bench, {row[AGAINST]} to digital"
        tried.append((high, float(row["accuracy (%)"]), with_accuracy(masks, said)))
        print(", ".join(f"{key}: {value}" for key, value in row.items()), flush=True)
    save_rows(output or run / "light.csv", table)
    if chosen is not None:
        bundle.save(chosen, brightest(tried))
        print(f"wrote {chosen}")


def brightest(tried: list[tuple[float, float, MaskSet]]) -> MaskSet:
    """Choose by the task: of (upper end of the difference to digital, accuracy, masks), in the order of their light.

    The brightest whose accuracy the images cannot tell from the digital one; if there is none, the most accurate.
    """
    alike = [masks for high, _, masks in tried if high >= 0]
    return alike[-1] if alike else max(tried, key=lambda each: each[1])[2]


def with_accuracy(masks: MaskSet, said: str) -> MaskSet:
    """Return the masks with what their report shall say of the accuracy of the network."""
    return replace(masks, provenance={**masks.provenance, "accuracy": said})


if __name__ == "__main__":
    typer.run(main)
