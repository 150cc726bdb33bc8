"""The tables of the study of resolution, from the scores of its test images, and what a bench says of each size."""

import csv
import io
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from fouroptics.bench.check import check
from fouroptics.bench.geometry import geometry
from fouroptics.bench.settings import EXAMPLE, FRAMES, FourFConfig
from fouroptics.masks.export import write_whole
from models.resampling import auc, draws, interval, recalls, resampled

REPLICATES = 2000
Line = dict[str, Any]
Term = tuple[int, str, int]  #: sign, row, pixels


def load_scores(path: Path) -> dict[str, np.ndarray]:
    """Read what `store` wrote; nothing if there is no such file.

    Returns
    -------
    dict
        For S splits: ``cells`` and ``labels`` (S, n) int16, which cells are tested, and their classes; for each row and
        size ``margins/ROW/PIXELS`` (S, n) float16, score of class 1 less that of class 0, and ``validation/ROW/PIXELS``
        (S, epochs) float16, AUC of the validation images after each epoch. A split that was not trained is nan.
    """
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def store(path: Path, split: int, splits: int, new: Mapping[str, Sequence[float] | Tensor]) -> None:
    """Put the values of one split into the file of `load_scores`."""
    arrays = load_scores(path)
    for name, values in new.items():
        row = np.asarray(values)
        whole = row.dtype.kind == "i"
        row = row.astype(np.int16 if whole else np.float16)
        arrays.setdefault(name, np.full((splits, len(row)), -1 if whole else np.nan, row.dtype))[split] = row
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    write_whole(path, file.getvalue())


def complete(arrays: Mapping[str, np.ndarray]) -> dict[tuple[str, int], Tensor]:
    """Margins (S, n) of each row and size of which all splits are there."""
    found = {}
    for name, values in arrays.items():
        kind, *rest = name.split("/")
        if kind == "margins" and not np.isnan(values).any():
            found[rest[0], int(rest[1])] = torch.from_numpy(values)
    return found


def bench(pixels: int, taps: int, kernels: int, readout: str = "intensity") -> tuple[str, str]:
    """Ask the bench of the example file whether it can do a layer on images of that size.

    Parameters
    ----------
    pixels, taps : int
        Of the images and of the kernels, along an axis.
    kernels : int
        Windows on the camera.
    readout : str
        Key of `fouroptics.bench.settings.FRAMES`.

    Returns
    -------
    verdict, remedy : str
        Frames an image with all windows off the axis, and ""; or "no", and what the bench would need.
    """
    data = tomllib.loads(EXAMPLE)
    data["input"]["shape"] = [pixels, pixels]
    config = FourFConfig.model_validate(data)
    report = {row.quantity: row for row in check(config, taps=taps)}
    for row in report.values():
        if not row.ok:
            return "no", f"{row.quantity}: {row.remedy}"
    windows = math.prod(geometry(config, taps=taps).windows)
    if not windows:
        return "no", report["windows off the axis"].remedy
    frames = math.ceil(kernels / windows) * FRAMES[readout]
    return f"{frames} frame{'s' if frames > 1 else ''}", ""


def comparisons(rows: Sequence[str], sizes: Sequence[int]) -> Iterator[tuple[str, list[Term]]]:
    """What the study asks, as sums of AUCs: name, terms. The first row is the teacher, the second "ours"."""
    teacher, ours, *others = rows
    low, high = min(sizes), max(sizes)
    for row in (ours, *others):
        yield from ((f"{row} - {teacher}, {n} px", [(1, row, n), (-1, teacher, n)]) for n in sizes)
    for row in others:
        yield from ((f"{ours} - {row}, {n} px", [(1, ours, n), (-1, row, n)]) for n in sizes)
    for row in rows:
        yield f"{row}, {high} px - {low} px", [(1, row, high), (-1, row, low)]
    for row in (ours, *others):
        gap: list[Term] = [(1, row, high), (-1, teacher, high), (-1, row, low), (1, teacher, low)]
        yield f"({row} - {teacher}), {high} px - {low} px", gap
        yield f"{row}, {high} px - {teacher}, {low} px", [(1, row, high), (-1, teacher, low)]


def tables(path: Path, rows: Sequence[str], costs: Mapping[tuple[str, int], Line]) -> tuple[list[Line], list[Line]]:
    """Make both tables from the scores: a line a row and size, and a line a comparison, with 95 % intervals.

    Parameters
    ----------
    path : Path
        The scores, see `load_scores`.
    rows : sequence of str
        In the order of the tables; see `comparisons`. What is not complete is left out.
    costs : mapping
        For (row, pixels): further columns of the first table.
    """
    arrays = load_scores(path)
    margins = complete(arrays)
    sizes = sorted({size for _, size in margins})
    if not sizes:
        return [], []
    labels, times = torch.from_numpy(arrays["labels"]), draws(arrays["cells"], REPLICATES, seed=0)
    areas = {
        key: torch.stack([auc(m, at) for m, at in zip(part, labels, strict=True)]) for key, part in margins.items()
    }
    spread = {key: resampled(part, labels, times) for key, part in margins.items()}
    first: list[Line] = []
    for row, size in ((row, size) for row in rows for size in sizes if (row, size) in margins):
        low, high = interval(spread[row, size])
        named = [recalls(m, at) for m, at in zip(margins[row, size], labels, strict=True)]
        right = ((margins[row, size] > 0) == (labels == 1)).double()
        line: Line = {"row": row, "pixels": size, "AUC": areas[row, size].mean().item(), "low": low, "high": high}
        line |= {"sd over splits": areas[row, size].std().item(), "balanced accuracy": float(np.mean(named))}
        first.append(line | {"accuracy": right.mean().item()} | costs.get((row, size), {}))
    second: list[Line] = []
    for name, terms in comparisons(rows, sizes):
        if all((row, size) in margins for _, row, size in terms):
            value = sum(sign * areas[row, size].mean().item() for sign, row, size in terms)
            low, high = interval(torch.stack([sign * spread[row, size] for sign, row, size in terms]).sum(0))
            second.append({"difference of AUC": name, "value": value, "low": low, "high": high})
    return first, second


def write(path: Path, table: Sequence[Line]) -> None:
    """Write a table as CSV, numbers to four digits behind the point."""
    file = io.StringIO(newline="")
    rows = csv.DictWriter(file, list(table[0]), lineterminator="\n")
    rows.writeheader()
    rows.writerows({key: f"{v:.4f}" if isinstance(v, float) else v for key, v in line.items()} for line in table)
    write_whole(path, file.getvalue().encode())


def drawn(table: Sequence[Line], title: str) -> Table:
    """Draw a table for the terminal."""
    picture = Table(*table[0], title=f"{title}\n", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for line in table:
        picture.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in line.values()))
    return picture
