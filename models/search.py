"""Choose the best network for each budget of electronic multiply-accumulates: with optics, and without, equally hard.

python -m models.search [-o docs/results/curve-validation.csv] [--recipe models/recipes/curve.toml]

Both families go the same way, on images set aside from the training images: every candidate learns from 20,000 images
for 3 epochs, the best four of each from all of them for 6, and the best of these becomes a row of the recipe, which
`models.study` then trains with several seeds. Lines that are in the CSV already are not made again.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from models.digital import digital_candidates
from models.student import Student, StudentConfig
from models.study import RESULTS, RowConfig, StudyConfig, add_line, lines, run

BUDGETS = (1_000, 3_000, 8_000, 30_000, 100_000, 300_000)
ROUNDS = (({"train": 20_000}, {"epochs": 3}), ({}, {"epochs": 6}))
KEPT = 4  #: candidates of the first round that see the second
BASE = """\
# Accuracy against electronic multiply-accumulates. The rows were chosen by `python -m models.search` on images set
# aside from the training images (docs/results/curve-validation.csv); optical and digital networks went the same way.
family = "Ours"
seeds = 5

[data]
name = "fashion-mnist"
validation = 0

[training]
epochs = 12
rate = 1e-2
flips = "horizontal"
"""


def student_candidates(size: int, classes: int, budget: int) -> list[StudentConfig]:
    """Students with at most 64 kernels 9x9, read as intensities, that use 70 to 100 % of a budget.

    With a linear head, as many kernels as the budget pays for at 2 to 14 averages a side; with a hidden layer of at
    least 10, what 8 to 64 kernels leave of it.

    Examples
    --------
    >>> all(5_600 <= Student(config).electronic_macs() <= 8_000 for config in student_candidates(28, 10, 8_000))
    True
    """

    def found() -> Iterator[tuple[int, int, int]]:
        for pool in (2, 3, 4, 6, 7, 10, 14):
            pixels = math.ceil(size / pool) ** 2
            yield budget // (classes * pixels), pool, 0
            yield from ((outputs, pool, budget // (pixels * outputs + classes)) for outputs in (8, 16, 32, 64))

    made = [
        StudentConfig(outputs=outputs, pool=pool, hidden=hidden, size=size, classes=classes)
        for outputs, pool, hidden in found()
        if 1 <= outputs <= 64 and (hidden == 0 or hidden >= 10)
    ]
    with torch.device("meta"):
        return [one for one in made if 0.7 * budget <= Student(one).electronic_macs() <= budget]


def candidates(budget: int) -> dict[str, list[RowConfig]]:
    """Rows of a study for one budget: "optical" and "digital"."""

    def row(network: str, table: str, keys: dict[str, Any]) -> RowConfig:
        name = f"{network} {budget:,}: " + ", ".join(f"{key} {value}" for key, value in keys.items())
        kind = "digital" if network == "digital" else "student"
        return RowConfig.model_validate({"name": name, "network": kind, table: keys})

    students = student_candidates(28, 10, budget)
    nets = digital_candidates(28, 1, 10, budget)
    return {
        "optical": [
            row("optical", "student", {k: getattr(s, k) for k in ("outputs", "pool", "hidden")}) for s in students
        ],
        "digital": [row("digital", "digital", net.model_dump(exclude_defaults=True)) for net in nets],
    }


def best(study: StudyConfig, rows: list[RowConfig], path: Path, folder: Path) -> RowConfig:
    """Run the rounds, and return the row that has the best accuracy on the images set aside in the last."""
    for number, (data, training) in enumerate(ROUNDS, 1):
        scores = {}
        for row in rows:
            name = f"{row.name} (round {number})"
            if name not in (done := {line["row"]: float(line["value"]) for line in lines(path)}):
                trial = row.model_copy(update={"name": name, "data": data, "training": training})
                line = run(study, trial, 0, True, folder)
                add_line(path, {"study": "search", "family": study.family} | line)
                done[name] = line["value"]
            scores[row.name] = done[name]
        rows = sorted(rows, key=lambda row: -scores[row.name])[:KEPT]
    return rows[0]


def recipe_rows(budget: int, chosen: dict[str, RowConfig]) -> str:
    """Write the chosen rows of a budget as TOML: the optical one is compared with the digital one."""
    text = ""
    for family, row in chosen.items():
        table = "digital" if family == "digital" else "student"
        keys = ", ".join(f"{key} = {_toml(value)}" for key, value in getattr(row, table).items())
        text += f'\n[[row]]\nname = "{family} {budget:,}"\n{table} = {{ {keys} }}\n'
        text += 'network = "digital"\n' if family == "digital" else f'against = "digital {budget:,}"\n'
    return text


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value)


def main(
    output: Annotated[Path, typer.Option("-o", help="The CSV of all candidates.")] = RESULTS / "curve-validation.csv",
    recipe: Annotated[Path, typer.Option(help="Where the chosen rows go.")] = Path("models/recipes/curve.toml"),
    budget: Annotated[list[int] | None, typer.Option(help="Only this one; may be repeated; no recipe then.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training.")] = 1,
) -> None:
    """Search every budget, and write the recipe of the winners."""
    torch.set_num_threads(threads)
    text = BASE
    try:
        study = StudyConfig.model_validate(
            {
                "family": "Ours",
                "data": {"name": "fashion-mnist", "validation": 0},
                "training": {"epochs": 12, "rate": 1e-2, "flips": "horizontal"},
                "digital": {},
                "row": [{"name": "search"}],
            }
        )
        for number in budget or BUDGETS:
            chosen = {
                name: best(study, rows, output, Path("runs/teachers")) for name, rows in candidates(number).items()
            }
            print(f"{number:,}: " + "; ".join(row.name for row in chosen.values()), flush=True)
            text += recipe_rows(number, chosen)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    if budget is None:
        write_whole(recipe, text.encode())
        print(f"wrote {recipe}")


if __name__ == "__main__":
    typer.run(main)
