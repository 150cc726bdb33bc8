"""What is compared, how far off it may be and why, and the page that says how it went."""

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

import fouroptics as fo

DOUBLE, SINGLE = torch.complex128, torch.complex64
TITLE = """# Validation

Is the physics right? `python -m validation` compares the package with cases whose answer is known exactly, and writes
this page. An error is relative, in the L2 norm over the window, phase and carrier included, unless its case says
otherwise."""
ROUNDING = 1e-12  # smaller errors differ from machine to machine


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype as the page writes it, without torch."""
    return str(dtype).removeprefix("torch.")


def shown(error: float) -> str:
    """An error as the page writes it; what is rounding on every machine is not told apart."""
    return f"<{ROUNDING:.0e}" if error < ROUNDING else f"{error:.1e}"


def relative(result: Tensor, exact: Tensor) -> float:
    """Relative L2 distance of two complex arrays, global phase and scale included, in float64."""
    exact = exact.to(torch.complex128)
    return float((result.to(torch.complex128) - exact).norm() / exact.norm())


def largest(result: Tensor, exact: Tensor) -> float:
    """Largest distance of two complex arrays over the largest exact amplitude, in float64."""
    exact = exact.to(torch.complex128)
    return float((result.to(torch.complex128) - exact).abs().max() / exact.abs().max())


@dataclass(frozen=True)
class Point:
    """One comparison.

    Attributes
    ----------
    label : str
        The setting, such as ``"f = 200 mm"``.
    tolerance : float
        The largest error that passes.
    measure : callable
        Returns the error.
    dtype : str
        Precision of the samples, if there is a choice.
    """

    label: str
    tolerance: float
    measure: Callable[[], float]
    dtype: str = ""


@dataclass(frozen=True)
class Setting:
    """One propagation, for one or more precisions; other packages can run it too.

    Attributes
    ----------
    label : str
        Such as ``"z = 1 m"``.
    tolerance : dict
        The largest error that passes, for each precision of the samples.
    field : callable
        Returns what is sent, for a precision.
    z : float
        Distance in metres.
    exact : callable
        Returns the closed form, complex128, with its carrier, on `onto` or on the grid of the field.
    onto : Grid, optional
        Grid of the result.
    pixels : bool
        Each sample is a uniform cell.
    error : callable
        Distance of a result from the closed form.
    by : callable, optional
        What is done to the field instead of ``fo.propagate``; `z` says over which distance in all.
    ours_only : bool
        Other packages leave it out.
    """

    label: str
    tolerance: dict[torch.dtype, float]
    field: Callable[[torch.dtype], fo.Field]
    z: float
    exact: Callable[[], Tensor]
    onto: fo.Grid | None = None
    pixels: bool = False
    error: Callable[[Tensor, Tensor], float] = relative
    by: Callable[[fo.Field], fo.Field] | None = None
    ours_only: bool = False

    def result(self, dtype: torch.dtype) -> Tensor:
        """Samples of the propagated field."""
        sent = self.field(dtype)
        return (self.by(sent) if self.by else fo.propagate(sent, self.z, self.onto, pixels=self.pixels)).data

    def measure(self, dtype: torch.dtype) -> float:
        """Error of the result."""
        return self.error(self.result(dtype), self.exact())

    def points(self) -> tuple[Point, ...]:
        """One comparison for each precision."""
        return tuple(
            Point(self.label, limit, partial(self.measure, dtype), dtype_name(dtype))
            for dtype, limit in self.tolerance.items()
        )


@dataclass(frozen=True)
class Case:
    """A closed form and the settings in which the package is held against it.

    Attributes
    ----------
    name : str
        Short and unique.
    source : str
        Where the closed form comes from.
    reason : str
        Why the tolerance is what it is.
    points : tuple of Point or Setting
        The settings.
    """

    name: str
    source: str
    reason: str
    points: tuple[Point | Setting, ...]


@dataclass(frozen=True)
class Row:
    """How one comparison went."""

    case: str
    label: str
    dtype: str
    error: float
    tolerance: float

    @property
    def verdict(self) -> str:
        """``pass`` or ``FAIL``; an error that is not a number fails."""
        return "pass" if self.error <= self.tolerance else "FAIL"


def run(cases: Iterable[Case]) -> list[Row]:
    """Measure every point of every case."""
    points = [
        (case.name, point)
        for case in cases
        for item in case.points
        for point in (item.points() if isinstance(item, Setting) else (item,))
    ]
    return [Row(name, point.label, point.dtype, point.measure(), point.tolerance) for name, point in points]


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """Rows as a Markdown table whose columns line up as plain text too."""
    cells = [head, *lines]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    cells.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    )


def page(cases: Iterable[Case], rows: Iterable[Row]) -> str:
    """Return the rows as a table, and below it where each closed form is from and why each tolerance is what it is."""
    rows = list(rows)
    failed = sum(row.verdict != "pass" for row in rows)
    lines = [
        (
            row.case,
            row.label,
            row.dtype,
            shown(row.error),
            f"{row.tolerance:.1e}",
            row.verdict,
        )
        for row in rows
    ]
    head = ("case", "setting", "dtype", "error", "tolerance", "verdict")
    text = [TITLE, "", table(head, lines), "", f"{len(rows)} comparisons, {failed} failed.", ""]
    text += ["## Closed forms and tolerances", ""]
    for case in cases:
        text.append(f"- **{case.name}**")
        for what in (f"Closed form: {case.source}.", f"Tolerance: {case.reason}."):
            text += textwrap.wrap(what, 110, initial_indent="  - ", subsequent_indent="    ")
    return "\n".join(text) + "\n"
