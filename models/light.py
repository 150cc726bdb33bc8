"""How much light to ask for: response error and validation accuracy against the fraction of light in the taps.

python -m models.light runs/demo runs/demo/bench.toml -o docs/results/light.csv
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

from fouroptics.bench.fourf import FourF
from fouroptics.masks.compiler import from_kernels
from models.evaluate import CALIBRATION_IMAGES, paired, save_rows
from models.optical import calibrate, predict, response
from models.runs import load_data, load_student
from models.train import logits

FRACTIONS = (0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3)


def main(
    run: Annotated[Path, typer.Argument(help="A run folder with model.pt.")],
    bench_file: Annotated[Path, typer.Argument(metavar="BENCH", help="The bench file.")],
    output: Annotated[Path | None, typer.Option("-o", help="The table; RUN/light.csv if left out.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random start and of the camera noise.")] = 0,
) -> None:
    """Compile the student's kernels at several fractions of the light, and run each mask with camera noise."""
    bench, student, dataset = FourF.from_toml(bench_file), load_student(run / "model.pt"), load_data(run)
    images, labels = dataset.validation.images, dataset.validation.labels
    digital = logits(student, images).argmax(1) == labels
    table: list[dict[str, str | int | float]] = []
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
            "difference to digital (points)": f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]",
        }
        table.append(row)
        print(", ".join(f"{key}: {value}" for key, value in row.items()), flush=True)
    save_rows(output or run / "light.csv", table)


if __name__ == "__main__":
    typer.run(main)
