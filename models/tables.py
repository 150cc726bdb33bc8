"""The table of each study: mean and spread over its seeds, and what two rows differ by, seed by seed."""

import csv
import io
import math
import os
import statistics
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scipy import stats

from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from models.data.scenes import SCENE_CLASSES
from models.segmentation import BACKGROUND, SceneStudyConfig
from models.study import RESULTS, RowConfig, StudyConfig, lines

RECIPES = Path(__file__).with_name("recipes")
HEADER = ("", "accuracy, %", "electronic MACs", "images", "seeds", "compared with", "difference, points")
SCENE_HEADER = ("", "mIoU, %", *SCENE_CLASSES, "kMAC", "seeds", "compared with", "difference, points")


def over_seeds(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean of paired differences, one a seed, with its 95 % interval of Student's t; nan for the ends of one seed.

    What the interval holds is the chance of training: first weights and order of the images. All seeds are scored on
    the same test images, which are a sample, too.
    """
    mean, count = statistics.fmean(differences), len(differences)
    if count < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
    return mean, mean - half, mean + half


def difference(values: dict[int, float], reference: dict[int, float]) -> tuple[float, float, float]:
    """Compare two rows, values by seed, over the seeds that both have; see `over_seeds`."""
    return over_seeds([values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())])


def by_row(found: Iterable[dict[str, str]]) -> dict[str, dict[int, float]]:
    """Sort the lines of a study: row -> seed -> value."""
    rows: dict[str, dict[int, float]] = {}
    for line in found:
        rows.setdefault(line["row"], {})[int(line["seed"])] = float(line["value"])
    return rows


def summary(study: StudyConfig, found: list[dict[str, str]]) -> list[tuple[str, ...]]:
    """Sum up a study from its lines: one tuple of `HEADER` a row of the recipe; a row without lines is left out."""
    values, first = by_row(found), {line["row"]: line for line in found}
    table = []
    for row in study.row:
        if row.name not in values:
            continue
        percent, line = [100 * value for value in values[row.name].values()], first[row.name]
        spread = f" ± {statistics.stdev(percent):.2f}" if len(percent) > 1 else ""
        against = ""
        if row.against in values:
            mean, low, high = (100 * part for part in difference(values[row.name], values[row.against]))
            interval = "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"  # one seed has none
            against = f"{mean:+.2f}{interval}"
        cells = (f"{statistics.fmean(percent):.2f}{spread}", f"{int(line['macs']):,}", f"{int(line['train']):,}")
        table.append((row.name, *cells, str(len(percent)), row.against or "", against))
    return table


def scene_summary(
    study: SceneStudyConfig, found: list[dict[str, str]], classes: list[dict[str, str]]
) -> list[list[str]]:
    """Sum up a study: cells of `SCENE_HEADER` for each row of the recipe that has lines.

    Parameters
    ----------
    study : SceneStudyConfig
        Its rows, and which is compared with which.
    found, classes : list of dict
        Lines of NAME.csv and of NAME-classes.csv.
    """
    values, macs = by_row(found), {line["row"]: int(line["macs"]) for line in found}
    table = []
    for row in (row for row in (*study.row, RowConfig(name=BACKGROUND)) if row.name in values):
        percent = [100 * value for value in values[row.name].values()]
        spread = f" ± {statistics.stdev(percent):.1f}" if len(percent) > 1 else ""
        own = [line for line in classes if line["row"] == row.name]
        each = [
            f"{100 * statistics.fmean(float(line['iou']) for line in own if line['class'] == name):.0f}"
            for name in SCENE_CLASSES
        ]
        against = ""
        if row.against in values:
            mean, low, high = (100 * part for part in difference(values[row.name], values[row.against]))
            against = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
        score = f"{statistics.fmean(percent):.1f}{spread}"
        cost = f"{macs[row.name] / 1e3:,.0f}"
        table.append([row.name, score, *each, cost, str(len(percent)), row.against or "", against])
    return table


def table(recipe: Path) -> tuple[str, list[Sequence[str]]]:
    """Make the table of a recipe from its lines: the command behind it, and header and rows."""
    tables, name, path = tomllib.loads(recipe.read_text(encoding="utf-8")), recipe.stem, os.path.relpath(recipe)
    if "size" in tables:  # of models.resolution, which keeps its table
        with (RESULTS / f"{name}-table.csv").open(encoding="utf-8", newline="") as file:
            return "models.resolution", list(csv.reader(file))
    found = _lines(recipe)
    if tables["data"]["name"] == "scenes":
        rows = scene_summary(SceneStudyConfig.from_toml(recipe), found, lines(RESULTS / f"{name}-classes.csv"))
        return f"models.segmentation {path}", [SCENE_HEADER, *rows]
    return f"models.study {path}", [HEADER, *summary(StudyConfig.from_toml(recipe), found)]


def show(recipes: list[Path] | None = None, *, write: bool = False) -> None:
    """Print the tables of these recipes, or of all that have results; with `write`, keep them for the pages, too.

    Raises
    ------
    FourOpticsError
        If a recipe that is asked for has no results.
    """
    for recipe in recipes or [one for one in sorted(RECIPES.glob("*.toml")) if _lines(one)]:
        if not _lines(recipe):
            raise FourOpticsError(f"{recipe}: no results; make them with: python -m models.study {recipe}")
        command, (header, *rows) = table(recipe)
        title = f"{recipe.stem} ({_lines(recipe)[0]['family']}): python -m {command}\n"
        drawn = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        for name in header:
            drawn.add_column(name, justify="left" if name in ("", "row", "compared with") else "right")
        for row in rows:
            drawn.add_row(*row)
        Console().print(drawn)
        if write:
            file, path = io.StringIO(newline=""), RESULTS / f"{recipe.stem}-table.csv"
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
            write_whole(path, file.getvalue().encode())
            print(f"wrote {path}")


def _lines(recipe: Path) -> list[dict[str, str]]:
    return lines(RESULTS / f"{recipe.stem}.csv")
