"""The table of a study: mean and spread over its seeds, and what two rows differ by, seed by seed."""

import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scipy import stats

from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from models.study import RESULTS, StudyConfig, lines

RECIPES = Path(__file__).with_name("recipes")
HEADER = ("", "accuracy, %", "electronic MACs", "images", "seeds", "compared with", "difference, points")


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
        Console().print(drawn(recipe))
        if write:
            print(f"wrote {write_table(recipe)}")


def _lines(recipe: Path) -> list[dict[str, str]]:
    return lines(RESULTS / f"{recipe.stem}.csv")


def drawn(recipe: Path) -> Table:
    """Draw the table of a recipe for the terminal."""
    study = StudyConfig.from_toml(recipe)
    title = f"{recipe.stem} ({study.family}): python -m models.study {recipe}\n"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in HEADER:
        table.add_column(name, justify="left" if name in ("", "compared with") else "right")
    for row in summary(study, _lines(recipe)):
        table.add_row(*row)
    return table


def write_table(recipe: Path) -> Path:
    """Write the table of a recipe beside its lines, ``NAME-table.csv``, for the pages."""
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(HEADER)
    rows.writerows(summary(StudyConfig.from_toml(recipe), _lines(recipe)))
    path = RESULTS / f"{recipe.stem}-table.csv"
    write_whole(path, file.getvalue().encode())
    return path
