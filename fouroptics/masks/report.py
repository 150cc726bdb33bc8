"""The report: what became of each kernel, in all, and what each pass of the compiler did. Imports no torch."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: Columns that a person reads: head, key of the row, format.
SHOWN = (
    ("kernel", "name", "{}"),
    ("mask", "mask", "{}"),
    ("corr.", "correlation", "{:.5f}"),
    ("error", "error", "{:.2%}"),
    ("PSF", "psf_error", "{:.2%}"),
    ("light", "efficiency", "{:.2%}"),
    ("crosstalk", "crosstalk_db", "{:.1f} dB"),
    ("photons", "photons", "{:.4g}"),
    ("tile y, x", "tile", "{}"),
)


@dataclass(frozen=True)
class MaskReport:
    """What became of the kernels; print it, write it with `to_csv`, or read its parts.

    Attributes
    ----------
    rows : list of dict
        One a kernel: name, mask, correlation (modulus, complex), error (relative L2, over the window), psf_error (the
        largest deviation over the largest tap), efficiency (of the light on the band, into the taps), zero_order (of
        the mask's light, undiffracted), crosstalk_db (energy where zero is prescribed over that of the taps), photons
        (a read pixel, white image, one exposure), tile_y and tile_x (image pixels) and scale. What a file does not hold
        is None.
    passes : list of str
        What each pass of the compiler did.
    seconds : dict
        What each took, where it was just compiled.
    """

    rows: list[dict[str, Any]]
    passes: list[str] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> dict[str, float]:
        """Masks, mean and largest error, efficiency of the dimmest mask, largest zero order and crosstalk."""
        masks = {row["mask"] for row in self.rows}
        light = [sum(row["efficiency"] for row in self.rows if row["mask"] == mask) for mask in masks]
        known = {
            name: [row[key] for row in self.rows if row[key] is not None]
            for name, key in (("zero_order", "zero_order"), ("crosstalk_db", "crosstalk_db"))
        }
        errors = [row["error"] for row in self.rows]
        return {
            "masks": len(masks),
            "mean_error": float(np.mean(errors)),
            "largest_error": max(errors),
            "efficiency": min(light),
            **{name: max(values) for name, values in known.items() if values},
        }

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the table that a person reads; what is not known, or the only mask, is left out."""
        rows = [row | {"tile": f"{row['tile_y']}, {row['tile_x']}"} for row in self.rows]
        single = {"mask"} if len({row["mask"] for row in rows}) == 1 else set()
        shown = [each for each in SHOWN if each[1] not in single and all(row[each[1]] is not None for row in rows)]
        return [head for head, _, _ in shown], [[form.format(row[key]) for _, key, form in shown] for row in rows]

    def summary(self) -> str:
        """Say in one line how good all are."""
        t = self.total
        text = (
            f"{len(self.rows)} kernels in {t['masks']:.0f} mask{'s' if t['masks'] > 1 else ''}: error "
            f"{t['mean_error']:.2%}, at most {t['largest_error']:.2%}; {t['efficiency']:.1%} of the light"
        )
        if "zero_order" in t:
            text += f", {t['zero_order']:.2%} undiffracted"
        return text + (f", crosstalk {t['crosstalk_db']:.1f} dB at most" if "crosstalk_db" in t else "")

    def notes(self) -> list[str]:
        """Lines below the table: the summary, and what each pass did and took."""
        took = {name: f" ({seconds:.2g} s)" for name, seconds in self.seconds.items()}
        return [self.summary(), *(f"{line}{took.get(line.split(':')[0], '')}" for line in self.passes)]

    def __str__(self) -> str:
        head, rows = self.cells()
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = ["  ".join(map(str.rjust, line, widths)) for line in (head, *rows)]
        return "\n".join([*lines, "", *self.notes()])

    def __rich__(self) -> Any:
        """Return the table for a terminal."""
        from rich import box
        from rich.console import Group
        from rich.table import Table

        head, rows = self.cells()
        table = Table(box=box.SIMPLE_HEAD)
        for name in head:
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        return Group(table, *self.notes())

    def to_csv(self, path: str | Path) -> None:
        """Write the rows as a CSV file with a header line, numbers in full precision."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def report(table: Any, passes: Sequence[str] = (), seconds: Mapping[str, float] | None = None) -> MaskReport:
    """Report of a `KernelTable`, with what its compiler said."""
    signs = {1: "+", -1: "-", 0: ""}

    def known(name: str, i: int) -> float | None:
        column = getattr(table, name)
        return None if column is None else float(column[i])

    def decibel(i: int) -> float | None:
        energy = known("crosstalk", i)
        return None if energy is None else 10 * math.log10(max(energy, 1e-30))

    rows = [
        {
            "name": f"out{table.out_channel[i]}.in{table.in_channel[i]}{signs[int(table.sign[i])]}",
            "mask": int(table.mask[i]),
            "correlation": float(table.correlation[i]),
            "error": float(table.error[i]),
            "psf_error": known("psf_error", i),
            "efficiency": float(table.efficiency[i]),
            "zero_order": known("zero_order", i),
            "crosstalk_db": decibel(i),
            "photons": known("photons", i),
            "tile_y": int(table.tile[i, 0]),
            "tile_x": int(table.tile[i, 1]),
            "scale": float(table.scale[i]),
        }
        for i in range(len(table))
    ]
    return MaskReport(rows, list(passes), dict(seconds or {}))
