"""What is compared, how far off it may be and why, and the page that says how it went."""

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDING = 1e-12  # smaller errors differ from machine to machine; the page does not print them


@dataclass(frozen=True)
class Point:
    """One comparison.

    Attributes
    ----------
    label : str
        The setting, such as ``"z = 1 m"``.
    tolerance : float
        The largest error that passes.
    measure : callable
        Returns the error.
    """

    label: str
    tolerance: float
    measure: Callable[[], float]


@dataclass(frozen=True)
class Case:
    """A closed form and the points at which the package is held against it.

    Attributes
    ----------
    name : str
        Short and unique.
    source : str
        Where the closed form comes from.
    reason : str
        Why the tolerance is what it is.
    points : tuple of Point
        The settings.
    """

    name: str
    source: str
    reason: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Row:
    """How one point went."""

    case: str
    label: str
    error: float
    tolerance: float

    @property
    def verdict(self) -> str:
        """``pass`` or ``FAIL``; an error that is not a number fails."""
        return "pass" if self.error <= self.tolerance else "FAIL"


def run(cases: Iterable[Case]) -> list[Row]:
    """Measure every point of every case."""
    return [Row(case.name, point.label, point.measure(), point.tolerance) for case in cases for point in case.points]


def page(cases: Iterable[Case], rows: Iterable[Row]) -> str:
    """Return the rows as a table, and below it where each closed form is from and why each tolerance is what it is."""
    rows = list(rows)
    table = [("case", "setting", "error", "tolerance", "verdict")]
    for row in rows:
        error = f"<{ROUNDING:.0e}" if row.error < ROUNDING else f"{row.error:.1e}"
        table.append((row.case, row.label, error, f"{row.tolerance:.1e}", row.verdict))
    widths = [max(len(line[i]) for line in table) for i in range(5)]
    table.insert(1, ("-" * widths[0], "-" * widths[1], "-" * widths[2], "-" * widths[3], "-" * widths[4]))
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    failed = sum(row.verdict != "pass" for row in rows)
    lines += ["", f"{len(rows)} comparisons, {failed} failed", ""]
    for case in cases:
        lines.append(case.name)
        for head, text in (("closed form", case.source), ("tolerance", case.reason)):
            lines += textwrap.wrap(text, 116, initial_indent=f"  {head:11}  ", subsequent_indent=" " * 15)
    return "\n".join(lines) + "\n"


def relative(result: Tensor, exact: Tensor) -> float:
    """Relative L2 distance of two complex arrays, global phase and scale included, in float64."""
    exact = exact.to(torch.complex128)
    return float((result.to(torch.complex128) - exact).norm() / exact.norm())
