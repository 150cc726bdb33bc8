"""The table of the study of segmentation: mean and spread over the seeds, each class, and differences seed by seed.

python -m models.segmentation_table [models/recipes/scenes.toml]

Reads NAME.csv and NAME-classes.csv of docs/results and writes NAME-table.csv beside them, for the guide.
"""

import csv
import io
import statistics
from pathlib import Path
from typing import Annotated

import typer

from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from models.data.scenes import SCENE_CLASSES
from models.segmentation import BACKGROUND, RECIPE, SceneStudyConfig
from models.study import RESULTS, RowConfig, lines
from models.tables import by_row, difference

HEADER = ("", "mIoU, %", *SCENE_CLASSES, "kMAC", "seeds", "compared with", "difference, points")


def summary(study: SceneStudyConfig, found: list[dict[str, str]], classes: list[dict[str, str]]) -> list[list[str]]:
    """Sum up a study: cells of `HEADER` for each row of the recipe that has lines.

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


def main(
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe of the study.")] = RECIPE,
) -> None:
    """Write the table of a study, and print it."""
    try:
        study = SceneStudyConfig.from_toml(path)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    table = summary(study, *(lines(RESULTS / f"{path.stem}{part}.csv") for part in ("", "-classes")))
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([HEADER, *table])
    write_whole(RESULTS / f"{path.stem}-table.csv", file.getvalue().encode())
    print(file.getvalue(), end="")


if __name__ == "__main__":
    typer.run(main)
