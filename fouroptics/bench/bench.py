"""Bench: any sequence of elements, with a look inside anywhere."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fouroptics.bench.elements import FreeSpace
from fouroptics.bench.ledger import Ledger, ledger
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves.propagation import angular_spectrum, propagate
from fouroptics.waves.propagation import planes as planes_behind
from fouroptics.waves.transforms import fast_length

Place = float | Callable[[float], float] | None
Axis = Literal["yz", "xz"]


@dataclass(frozen=True, eq=False)
class Section:
    """Light along the bench in a y-z or x-z plane, or summed over the direction across it.

    Attributes
    ----------
    z : numpy.ndarray
        Distances from the start of the bench (nz,), in metres.
    y : numpy.ndarray
        Heights (ny,), or in an x-z plane places along x, in metres.
    intensity : numpy.ndarray
        (ny, nz): ``|u|^2`` in W/m^2 in one plane, or its integral across it in W/m; 0 outside the grid that a plane is
        computed on.
    axis : {"yz", "xz"}
        Which plane it is.
    """

    z: NDArray[np.float64]
    y: NDArray[np.float64]
    intensity: NDArray[np.float64]
    axis: Axis = "yz"


class Bench(nn.Module):
    """Elements in the order in which the light meets them.

    Parameters
    ----------
    elements : sequence of Module or of (name, Module)
        Each maps a Field to a Field; one with a `length` in metres moves the light that far. A name left out is the
        class name in lower case with its place among its kind, such as ``lens1``.

    Raises
    ------
    GeometryError
        If there is no element, one is no Module, or two have the same name.
    """

    def __init__(self, elements: Iterable[nn.Module | tuple[str, nn.Module]]) -> None:
        super().__init__()
        named: dict[str, nn.Module] = {}
        count: dict[str, int] = {}
        for item in elements:
            kind = type(item).__name__.lower()
            count[kind] = count.get(kind, 0) + 1
            name, element = item if isinstance(item, tuple) else (f"{kind}{count[kind]}", item)
            if name in named or not name.isidentifier() or hasattr(nn.ModuleDict(), name):
                raise GeometryError(f"element name {name!r}: names are words, differ, and are none of a Module's own")
            if not isinstance(element, nn.Module):
                raise GeometryError(f"element {name!r} is {element!r}: give a Module from Field to Field")
            named[name] = element
        if not named:
            raise GeometryError("a bench without elements: give one at least")
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
        """Yield (name, element, field before it, z before it) along the bench; the last has the name ``end``."""
        z = 0.0
        for name, element in self.elements.items():
            yield name, element, field, z
            field, z = element(field), z + element_length(element)
        yield "end", nn.Identity(), field, z

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
        if not isinstance(place, str) and not place >= 0:
            raise GeometryError(f"z = {place} m lies before the bench, which starts at 0")
        for name, element, before, z in self.steps(field):
            if isinstance(place, str):
                if name == place:
                    return element(before)
            elif place <= z + 1e-9:
                return before
            elif isinstance(element, FreeSpace) and place < z + element_length(element) - 1e-9:
                return propagate(before, place - z, element.onto)
            elif place < z + element_length(element) - 1e-9:
                raise GeometryError(
                    f"z = {show(place, 'length')} lies inside {name!r}, an ideal lens; give one of its ends"
                )
        if isinstance(place, str):
            raise GeometryError(f"no element {place!r}; the bench has {', '.join(self.elements)}")
        raise GeometryError(
            f"z = {show(place, 'length')} lies behind the end of the bench at {show(self.length, 'length')}"
        )

    def section(
        self,
        field: Field,
        planes: Sequence[float],
        y: NDArray[np.float64] | None = None,
        x: Place = 0.0,
        pad: float = 2,
        axis: Axis = "yz",
    ) -> Section:
        """Light along the bench, for a picture: in the y-z plane at one x, or summed over x; or with x and y swapped.

        Parameters
        ----------
        field : Field
            A single field (y, x) that enters the bench.
        planes : sequence of float
            Distances from the start, in metres; those in free space and at the end of the bench are used.
        y : numpy.ndarray, optional
            Heights in metres (in an x-z plane: places along x); left out, 400 over the largest grid.
        x : float, callable or None
            Position of the plane in metres (in an x-z plane: along y), or a function of z that follows a beam; beside
            a grid there is no light. None integrates over it.
        pad : float
            1 takes each stretch of free space as a periodic window as wide as the wider of its ends: about five times
            faster, but light that leaves it comes back from the other side.
        axis : {"yz", "xz"}
            Which plane: "xz" is the picture of the bench lying on its side, y and x swapped in what is said above.

        Returns
        -------
        Section
            Values between samples are interpolated linearly.

        Raises
        ------
        GeometryError
            If a plane is outside the bench, all are inside an ideal lens, there is no such axis, or it is a batch.
        """
        if axis not in ("yz", "xz"):
            raise GeometryError(f"axis = {axis!r}: a section is 'yz' or 'xz'")
        if field.data.ndim != 2:
            raise GeometryError(f"a section is of one field (y, x); this is a batch, {tuple(field.data.shape)}")
        todo = sorted(planes)
        if not todo or not 0 <= todo[0] <= todo[-1] <= self.length + 1e-9:
            raise GeometryError(
                f"planes {todo[:1]} .. {todo[-1:]}: give distances from 0 to {show(self.length, 'length')}"
            )
        cuts = [_cut(there, z, x, axis) for there, z in self._planes(field, todo, pad)]
        if not cuts:
            raise GeometryError(f"planes {planes}: all are inside an ideal lens, where there is no field; give others")
        if y is None:
            top = max(float(np.abs(heights).max()) for _, heights, _ in cuts)
            y = np.linspace(-top, top, 400)
        rows = np.stack([np.interp(y, heights, row, left=0, right=0) for _, heights, row in cuts], axis=1)
        return Section(np.array([z for z, _, _ in cuts]), y, rows, axis)

    def _planes(self, field: Field, todo: list[float], pad: float) -> Iterator[tuple[Field, float]]:
        """Fields at rising distances in free space and at the end of the bench, and these distances."""
        for _, element, before, z in self.steps(field):
            inside = [place for place in todo if place < z + element_length(element) - 1e-9]
            if isinstance(element, FreeSpace) and inside:
                wide, ways = _widened(before, element.onto), [place - z for place in inside]
                periodic = (angular_spectrum(wide, way, pad=1) for way in ways)
                yield from zip(planes_behind(wide, ways) if pad > 1 else periodic, inside, strict=True)
            elif not isinstance(element, FreeSpace) and todo and todo[0] <= z + 1e-9:
                yield before, z
                inside = inside or todo[:1]
            todo = todo[len(inside) :]

    def ledger(self, field: Field) -> Ledger:
        """Power that each element takes from a field, and what takes it; see `ledger.Ledger`.

        The shares and what is left add up to what enters, whatever the elements do.
        """
        with torch.no_grad():
            return ledger((name, element, before) for name, element, before, _ in self.steps(field))


def _widened(field: Field, onto: Grid | None) -> Field:
    """The field with zeros around it, on a grid of its pitch that is at least as large as `onto`."""
    grid = field.grid
    wanted = grid.extent if onto is None else onto.extent
    n = [max(old, fast_length(math.ceil(e / d))) for old, e, d in zip(grid.shape, wanted, grid.spacing, strict=True)]
    top, left = n[0] // 2 - grid.shape[0] // 2, n[1] // 2 - grid.shape[1] // 2
    room = (left, n[1] - grid.shape[1] - left, top, n[0] - grid.shape[0] - top)
    return Field(nn.functional.pad(field.data, room), Grid((n[0], n[1]), grid.spacing, grid.center), field.wavelength)


def _cut(field: Field, z: float, at: Place, axis: Axis) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    (heights, places), (dy, dx), intensity = field.grid.coordinates(), field.grid.spacing, field.intensity.double()
    across = dx
    if axis == "xz":
        heights, places, across, intensity = places, heights, dy, intensity.mT
    if at is None:
        column = intensity.sum(-1) * across
    else:
        beside = np.abs(places - (at(z) if callable(at) else at))
        column = intensity[..., int(beside.argmin())] * bool(beside.min() <= across)
    return z, heights, column.detach().cpu().numpy()


def element_length(element: nn.Module) -> float:
    """Distance in metres that an element moves the light; 0 for a thin one."""
    length = getattr(element, "length", 0.0)
    return float(length.detach()) if isinstance(length, torch.Tensor) else float(length)
