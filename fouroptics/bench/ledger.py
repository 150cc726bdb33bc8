"""Ledger: where the power of the light goes along a bench."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from fouroptics.light.field import Field
from fouroptics.units import show


@dataclass(frozen=True)
class Entry:
    """What one element takes.

    Attributes
    ----------
    element : str
        Its name.
    before, behind : float
        Power of the light in watts.
    share : float
        What it takes, as a part of the light that enters the bench; negative if it adds.
    by : str
        What takes it: an aperture, the edge of a window, absorption, ... ; empty if less than 1e-6 is taken.
    """

    element: str
    before: float
    behind: float
    share: float
    by: str

    @property
    def taken(self) -> float:
        """Power in watts that is gone behind the element."""
        return self.before - self.behind


@dataclass(frozen=True)
class Ledger:
    """Power along a bench; ``str()`` is a table.

    Attributes
    ----------
    entries : tuple of Entry
        One for each element, in the order of the light.
    """

    entries: tuple[Entry, ...]

    @property
    def entered(self) -> float:
        """Power in watts that enters the bench."""
        return self.entries[0].before

    @property
    def left(self) -> float:
        """Power in watts that leaves it at its end."""
        return self.entries[-1].behind

    def __str__(self) -> str:
        wide = max(len(entry.element) for entry in self.entries)
        lines = [f"{'element':{wide}}  {'before':>12}  {'behind':>12}  {'taken':>8}  by"]
        for entry in self.entries:
            powers = f"{show(entry.before, 'power', 5):>12}  {show(entry.behind, 'power', 5):>12}"
            lines.append(f"{entry.element:{wide}}  {powers}  {100 * entry.share:>z7.3f}%  {entry.by}".rstrip())
        part = 100 * self.left / self.entered if self.entered else 0.0
        return "\n".join([*lines, f"{show(self.left, 'power', 5)} of {show(self.entered, 'power', 5)}: {part:.3f}%"])


def ledger(stops: Iterable[tuple[str, nn.Module, Field]]) -> Ledger:
    """Ledger of (name, element, field before it) along a bench, the last being its end; a batch counts as one light."""
    rows = [(name, getattr(element, "takes", "absorption"), power(field)) for name, element, field in stops]
    return balanced([row[2] for row in rows], [row[:2] for row in rows[:-1]])


def balanced(powers: Sequence[float], takers: Sequence[tuple[str, str]]) -> Ledger:
    """Ledger of the powers before, between and behind the takers (element, by), in watts."""
    entries, entered = [], powers[0]
    for (name, by), (before, behind) in zip(takers, itertools.pairwise(powers), strict=True):
        share = (before - behind) / entered if entered else 0.0
        entries.append(Entry(name, before, behind, share, by if share > 1e-6 else "source" if share < -1e-6 else ""))
    return Ledger(tuple(entries))


def power(field: Field) -> float:
    """Power of all fields of a batch together in watts, summed in float64."""
    return float(field.intensity.detach().double().sum()) * field.grid.cell
