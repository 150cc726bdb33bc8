"""The capacity of one frame: how close kernels come, by how many there are, the light they get and the bits.

python -m validation.capacity [-o docs/results/capacity.csv] [--table docs/results/capacity_errors.csv]
    [--figure docs/_static/capacity.png]

Random 9 x 9 kernels for images of 28 x 28 pixels, all in one phase mask of 500 x 500 pixels (fill factor 0.9), compiled
as by default. One line a point is added to the CSV as soon as it is there; lines that are there already are not made
again, so a study that was stopped goes on where it was.
"""

import csv
import math
import time
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fouroptics.bench.capacity import BRIGHT, FULL, rounding_error
from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import EXAMPLE
from fouroptics.errors import SamplingWarning
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.maskset import MaskSet
from models.evaluate import save_rows
from models.runs import commit

RESULT = Path(__file__).parents[1] / "docs" / "results" / "capacity.csv"
TAPS, SIDE, BAND = 9, 28, 500
COUNTS, LIGHT, BITS = (4, 16, 36, 64, 100), (0.05, 0.1, 0.2, 0.3, 0.4), (4, 6, 10)


class Point(NamedTuple):
    """What is varied."""

    pixel: str
    kernels: int
    light: float
    bits: int


def points() -> list[Point]:
    """All of the study: 8 bit everywhere, other depths where the light is well within reach."""
    fine = [Point(pixel, count, light, 8) for pixel in ("point", "square") for count in COUNTS for light in LIGHT]
    return fine + [Point("point", count, light, bits) for bits in BITS for count in (16, 64) for light in (0.05, 0.2)]


def place(pixel: str, bits: int) -> FourF:
    """The example bench, with a camera that holds every window and a panel that is the band."""
    data = tomllib.loads(EXAMPLE)
    data["input"] |= {"pixel": pixel}
    data["panel"] |= {"shape": [BAND, BAND], "bits": bits}
    data["camera"] |= {"shape": [4300, 4300]}
    return FourF(data)


def prescribed(masks: MaskSet) -> float:
    """Fraction of the plane (one period of the panel) where windows prescribe the response; they may overlap."""
    plane = np.zeros((2 * BAND, 2 * BAND), bool)
    for y, x in masks.kernels.tile + BAND:
        plane[y - SIDE + 1 : y + SIDE, x - SIDE + 1 : x + SIDE] = True
    return float(plane.sum()) / BAND**2


def measure(point: Point, seed: int) -> dict[str, Any]:
    """Compile one point; errors of the response are those of the quantised panel."""
    drawn = torch.Generator().manual_seed(seed)
    kernels = torch.randn(point.kernels, 1, TAPS, TAPS, generator=drawn, dtype=torch.float64)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # a large error is what is looked for
        masks = from_kernels(kernels, place(point.pixel, point.bits), light=point.light, seed=seed)
    table = masks.kernels
    assert table.crosstalk is not None
    return {
        **point._asdict(),
        "prescribed": round(prescribed(masks), 4),
        "error": round(float(np.sqrt(np.mean(table.error**2))), 6),
        "worst_error": round(float(table.error.max()), 6),
        "crosstalk_db": round(10 * math.log10(float(table.crosstalk.max())), 2),
        "efficiency": round(float(table.efficiency.sum()), 5),
        "seconds": round(time.perf_counter() - start, 1),
        "seed": seed,
        "command": "python -m validation.capacity",
        "commit": commit(),
    }


def read(path: Path) -> list[dict[str, str]]:
    """Lines that there are."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def add(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line, and before the first one the names."""
    first = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if first:
            writer.writeheader()
        writer.writerow(row)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*Point(row["pixel"], int(row["kernels"]), float(row["light"]), int(row["bits"])), int(row["seed"]))


# ---- the table and the figure --------------------------------------------------------------------------------------


def table(rows: Iterable[Mapping[str, str]]) -> list[dict[str, str | int | float]]:
    """Error in percent at 8 bit, a line a display and number of kernels, a column a fraction of the light."""
    found: dict[tuple[str, str], dict[str, str | int | float]] = {}
    for row in rows:
        if row["bits"] == "8":
            head = {"pixel": row["pixel"], "kernels": row["kernels"], "q (%)": round(100 * float(row["prescribed"]), 1)}
            line = found.setdefault((row["pixel"], row["kernels"]), head)
            line[f"{float(row['light']):.0%} of the light"] = round(100 * float(row["error"]), 2)
    return list(found.values())


def figure(rows: Iterable[Mapping[str, str]]) -> Figure:
    """Error against light for point and square pixels at 8 bit, and against bits; dotted, where it holds: the rule."""
    rows = list(rows)
    drawing = Figure(figsize=(11, 3.7), layout="constrained")
    axes: Any = drawing.subplots(1, 3, sharey=True)
    for ax, letter, pixel in zip(axes, "ab", BRIGHT, strict=False):
        _against_light(ax, [row for row in rows if row["pixel"] == pixel and row["bits"] == "8"], BRIGHT[pixel])
        ax.set(title=f"({letter}) {pixel} pixels, 8 bit", xlabel="light in the taps (%)")
    _against_bits(axes[2], [row for row in rows if row["pixel"] == "point" and row["kernels"] in ("16", "64")])
    axes[2].set(title="(c) point pixels", xlabel="bits of the panel", xticks=sorted({*BITS, 8}))
    axes[0].set(yscale="log", ylabel="error of the response (%)", ylim=(0.05, 30))
    for ax, title in ((axes[1], "kernels"), (axes[2], "kernels, light")):
        if ax.lines:
            ax.legend(title=title, fontsize=8, loc="lower right" if ax is axes[1] else "upper right")
    return drawing


def _against_light(ax: Axes, rows: list[Mapping[str, str]], most: float) -> None:
    for i, count in enumerate(COUNTS):
        mine = sorted((row for row in rows if int(row["kernels"]) == count), key=lambda row: float(row["light"]))
        light = np.array([float(row["light"]) for row in mine])
        ax.plot(100 * light, [100 * float(row["error"]) for row in mine], "o-", color=f"C{i}", ms=4, label=str(count))
        share = float(mine[0]["prescribed"]) if mine else 1.0
        if share <= FULL:
            within = np.geomspace(min(LIGHT), most, 20)
            ax.plot(100 * within, [100 * rounding_error(share, part, 8) for part in within], "k:", lw=1)


def _against_bits(ax: Axes, rows: list[Mapping[str, str]]) -> None:
    for count, light, style in ((16, 0.05, "o--"), (16, 0.2, "o-"), (64, 0.05, "o--"), (64, 0.2, "o-")):
        mine = [row for row in rows if int(row["kernels"]) == count and float(row["light"]) == light]
        mine.sort(key=lambda row: int(row["bits"]))
        depth, color = [int(row["bits"]) for row in mine], f"C{COUNTS.index(count)}"
        label = f"{count}, {light:.0%}"
        ax.plot(depth, [100 * float(row["error"]) for row in mine], style, color=color, ms=4, label=label)
        ax.plot(depth, [100 * rounding_error(float(r["prescribed"]), light, int(r["bits"])) for r in mine], "k:", lw=1)


def main(
    output: Annotated[Path, typer.Option("-o", help="The table.")] = RESULT,
    short: Annotated[Path | None, typer.Option("--table", help="A short one for the page.")] = None,
    picture: Annotated[Path | None, typer.Option("--figure", help="A PNG of the table.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the kernels and of the search.")] = 0,
) -> None:
    """Make the points that are not there yet."""
    torch.set_num_threads(1)
    there = {_key(row) for row in read(output)}
    for point in points():
        if (*point, seed) in there:
            continue
        row = measure(point, seed)
        add(output, row)
        print(", ".join(f"{name} {row[name]}" for name in list(row)[:10]), flush=True)
    if short is not None:
        save_rows(short, table(read(output)))
    if picture is not None:
        figure(read(output)).savefig(picture, dpi=150)


if __name__ == "__main__":
    typer.run(main)
