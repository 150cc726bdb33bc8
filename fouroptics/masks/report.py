"""The report: what became of each kernel. Imports no torch."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class MaskReport:
    """One row a kernel: name, mask, correlation, relative error, efficiency, tile (image pixels) and scale."""

    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        table = [list(self.rows[0])]
        table += [
            [f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row.values()] for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join("  ".join(map(str.rjust, line, widths)) for line in table)

    def to_csv(self, path: str | Path) -> None:
        """Write the rows as a CSV file with a header line, numbers in full precision."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def report(table: Any) -> MaskReport:
    """One row a kernel of a `KernelTable`."""
    t, signs = table, {1: "+", -1: "-", 0: ""}
    return MaskReport(
        [
            {
                "name": f"out{t.out_channel[i]}.in{t.in_channel[i]}{signs[int(t.sign[i])]}",
                "mask": int(t.mask[i]),
                "correlation": float(t.correlation[i]),
                "error": float(t.error[i]),
                "efficiency": float(t.efficiency[i]),
                "tile_y": int(t.tile[i, 0]),
                "tile_x": int(t.tile[i, 1]),
                "scale": float(t.scale[i]),
            }
            for i in range(len(t))
        ]
    )
