"""The tables of the study of resolution, from the scores of its test images, and what a bench says of each size."""

import csv
import io
import math
import tomllib
from collections.abc import Iterator, Sequence
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
Line = dict[str, str | int | float]
Term = tuple[int, str, int]  #: sign, row, pixels


def load_scores(path: Path) -> dict[str, np.ndarray]:
    """Read what `store` wrote; nothing if there is no such file.

    Returns
    -------
    dict
        For S splits: ``cells`` and ``labels`` (S, n) int16, which cells are tested, and their classes; for each row and
        size ``margins/ROW/PIXELS`` (S, n) float16, score of class 1 less that of class 0, and ``validation/ROW/PIXELS``
        (S, epochs), AUC of the validation images after each epoch. A split that was not trained is nan.
    """
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def store(path: Path, split: int, splits: int, new: dict[str, Sequence[float] | Tensor]) -> None:
    """Put the values of one split into the file, see `load_scores`; whole numbers if they are a tensor of them."""
    arrays = load_scores(path)
    for name, values in new.items():
        row = np.asarray(values)
        row = row.astype(np.int16 if row.dtype.kind == "i" else np.float16)
        empty = np.full((splits, len(row)), -1 if row.dtype.kind == "i" else np.nan, row.dtype)
        arrays[name] = arrays.get(name, empty).copy()
        arrays[name][split] = row
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    write_whole(path, file.getvalue())


def complete(arrays: dict[str, np.ndarray]) -> dict[tuple[str, int], Tensor]:
    """Return the margins (S, n) of the rows and sizes of which all splits were trained."""
    found = {}
    for name, values in arrays.items():
        kind, *rest = name.split("/")
        if kind == "margins" and not np.isnan(values).any():
            found[rest[0], int(rest[1])] = torch.from_numpy(values)
    return found


def bench(pixels: int, taps: int, kernels: int, readout: str = "intensity") -> tuple[str, str]:
    """Ask the bench of the example file whether it can show images of that size: ``("4 frames", "")``, or why not.

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
        Frames an image, all windows off the axis; or "no", and what the bench would need.
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
    """What the study asks, as sums of AUCs: name, terms; the first row is the teacher."""
    teacher, *others = rows
    low, high = min(sizes), max(sizes)
    for row in others:
        yield from ((f"{row} - {teacher}, {n} px", [(1, row, n), (-1, teacher, n)]) for n in sizes)
    for row in rows:
        yield f"{row}, {high} px - {low} px", [(1, row, high), (-1, row, low)]
    for row in others:
        gap = [(1, row, high), (-1, teacher, high), (-1, row, low), (1, teacher, low)]
        yield f"({row} - {teacher}), {high} px - {low} px", gap
        yield f"{row}, {high} px - {teacher}, {low} px", [(1, row, high), (-1, teacher, low)]
    for row in others:
        if row != OURS:
            yield from ((f"{OURS} - {row}, {n} px", [(1, OURS, n), (-1, row, n)]) for n in sizes)
