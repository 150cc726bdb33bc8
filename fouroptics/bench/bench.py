"""Bench: any sequence of elements, with a look inside anywhere."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fouroptics.bench.elements import FreeSpace
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.units import show
from fouroptics.waves.propagation import propagate


@dataclass(frozen=True, eq=False)
class Section:
    """Intensity in the y-z plane through the axis.

    Attributes
    ----------
    z : numpy.ndarray
        Distances from the start of the bench (nz,), in metres.
    y : numpy.ndarray
        Heights (ny,), in metres.
    intensity : numpy.ndarray
        ``|u|^2`` at x = 0, (ny, nz), in W/m^2; 0 outside the grid that a plane is computed on.
    """

    z: NDArray[np.float64]
    y: NDArray[np.float64]
    intensity: NDArray[np.float64]


class Bench(nn.Module):
    """Elements in the order in which the light meets them.

    Parameters
    ----------
    elements : sequence of Module or of (name, Module)
        Each maps a Field to a Field; one with a `length` in metres moves the light that far. A name left out is the class name in
        lower case with its place among its kind, such as ``lens1``.

    Raises
    ------
    GeometryError
        If two elements have the same name.
    """

    def __init__(self, elements: Iterable[nn.Module | tuple[str, nn.Module]]) -> None:
        super().__init__()
        named: dict[str, nn.Module] = {}
        count: dict[str, int] = {}
        for item in elements:
            kind = type(item).__name__.lower()
            count[kind] = count.get(kind, 0) + 1
            name, element = item if isinstance(item, tuple) else (f"{kind}{count[kind]}", item)
            if name in named:
                raise GeometryError(f"element name {name!r} is used twice; names must differ")
            named[name] = element
        self.elements = nn.ModuleDict(named)

    @property
    def length(self) -> float:
        """Length of the whole bench in metres."""
        return sum(element_length(element) for element in self.elements.values())

    def forward(self, field: Field) -> Field:
        """Send a field through every element."""
        for element in self.elements.values():
            field = element(field)
        return field

    def steps(self, field: Field) -> Iterator[tuple[str, nn.Module, Field, float]]:
        """Yield (name, element, field before it, z before it) along the bench."""
        z = 0.0
        for name, element in self.elements.items():
            yield name, element, field, z
            field, z = element(field), z + element_length(element)

    def at(self, place: str | float, field: Field) -> Field:
        """Field behind the element of a name, or at a distance from the start of the bench.

        Parameters
        ----------
        place : str or float
            Name of an element, or z in metres, inside free space or at the end of an element.
        field : Field
            What enters the bench.

        Raises
        ------
        GeometryError
            If there is no such element, or z is outside the bench or inside an ideal lens.
        """
        end = self.length
        for name, element, before, z in self.steps(field):
            if isinstance(place, str):
                if name == place:
                    return element(before)
            elif place <= z + 1e-12:
                return before
            elif isinstance(element, FreeSpace) and place < z + element.length - 1e-12:
                return propagate(before, place - z, element.onto)
            elif place < z + element_length(element) - 1e-12:
                raise GeometryError(f"z = {show(place, 'length')} lies inside {name!r}, an ideal lens; give one of its ends")
        if isinstance(place, str):
            raise GeometryError(f"no element {place!r}; the bench has {', '.join(self.elements)}")
        if place > end + 1e-9:
            raise GeometryError(f"z = {show(place, 'length')} lies behind the end of the bench at {show(end, 'length')}")
        return self(field)

    def section(self, field: Field, planes: Sequence[float], y: NDArray[np.float64] | None = None) -> Section:
        """Intensity in the y-z plane through the axis, for a picture of the light along the bench.

        Parameters
        ----------
        field : Field
            A single field (y, x) that enters the bench.
        planes : sequence of float
            Rising distances from the start, in metres.
        y : numpy.ndarray, optional
            Heights in metres; left out, 400 over the largest grid.

        Returns
        -------
        Section
            Values between samples are interpolated linearly.
        """
        cuts: list[tuple[float, NDArray[np.float64], NDArray[np.float64]]] = []
        todo = sorted(planes)
        last = field, 0.0
        for _, element, before, z in self.steps(field):
            end = z + element_length(element)
            while todo and isinstance(element, FreeSpace) and z - 1e-12 <= todo[0] < end - 1e-12:
                cuts.append(_cut(propagate(before, todo[0] - z, element.onto or before.grid), todo.pop(0)))
            last = before, end
        if todo:
            cuts += [_cut(self(field), z) for z in todo if z <= last[1] + 1e-9]
        if y is None:
            top = max(float(np.abs(heights).max()) for _, heights, _ in cuts)
            y = np.linspace(-top, top, 400)
        rows = np.stack([np.interp(y, heights, row, left=0, right=0) for _, heights, row in cuts], axis=1)
        return Section(np.array([z for z, _, _ in cuts]), y, rows)


def _cut(field: Field, z: float) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    y, x = field.grid.coordinates()
    column: Tensor = field.intensity[..., int(np.abs(x).argmin())].double()
    return z, y, column.detach().cpu().numpy()


def element_length(element: nn.Module) -> float:
    """Distance in metres that an element moves the light; 0 for a thin one."""
    length = getattr(element, "length", 0.0)
    return float(length.detach()) if isinstance(length, torch.Tensor) else float(length)
