"""Pose: where a part stands and how it is turned, and what that does to the light."""

import math
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor, nn

from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.units import show
from fouroptics.waves.propagation import propagate
from fouroptics.waves.sampling import number
from fouroptics.waves.tilted import from_tilted, onto_tilted


class Pose(nn.Module):
    """How a part stands off its place on the axis: first turned, then moved.

    The part is turned in its plane by `rotation` from +x to +y, then about the x axis by `tilt_x`, then about the y
    axis by `tilt_y` (right-handed: a positive `tilt_y` sinks its +x side to -z, a positive `tilt_x` lifts its +y side
    to +z), then moved.

    Parameters
    ----------
    x, y : float or torch.Tensor
        Sideways, in metres.
    z : float or torch.Tensor
        Along the light, in metres: the space before it grows by z, the space behind it shrinks by z.
    tilt_x, tilt_y : float or torch.Tensor
        About the x and the y axis, in rad.
    rotation : float or torch.Tensor
        In its plane, in rad.

    Raises
    ------
    GeometryError
        If a value is no single finite number, or a tilt is half a right angle or more.

    Notes
    -----
    Numbers, 0-d tensors or Parameters. `placed` says how far the model goes.
    """

    def __init__(
        self,
        x: float | Tensor = 0.0,
        y: float | Tensor = 0.0,
        z: float | Tensor = 0.0,
        *,
        tilt_x: float | Tensor = 0.0,
        tilt_y: float | Tensor = 0.0,
        rotation: float | Tensor = 0.0,
    ) -> None:
        super().__init__()
        self.x, self.y, self.z = (_checked(name, value) for name, value in (("x", x), ("y", y), ("z", z)))
        self.tilt_x, self.tilt_y = _checked("tilt_x", tilt_x), _checked("tilt_y", tilt_y)
        self.rotation = _checked("rotation", rotation)

    @property
    def center(self) -> Pair:
        """Position (y, x) as plain numbers, in metres."""
        return number(self.y), number(self.x)

    def outside(self, place: Pair) -> Pair:
        """Where a point (y, x) of the part comes to lie on the bench, in metres, without its tilt; plain numbers."""
        cos, sin = math.cos(number(self.rotation)), math.sin(number(self.rotation))
        (y, x), (y0, x0) = place, self.center
        return y0 + cos * y + sin * x, x0 + cos * x - sin * y

    @property
    def tilted(self) -> bool:
        """Whether it is, or may learn to be, out of the plane."""
        return not (_none(self.tilt_x) and _none(self.tilt_y))

    def slope(self) -> tuple[Tensor, Tensor]:
        """Rise (dz/dy, dz/dx) of its plane."""
        about_x, about_y = _tensor(self.tilt_x), _tensor(self.tilt_y)
        return about_x.tan() / about_y.cos(), -about_y.tan()

    def local(self, grid: Grid, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Coordinates (y, x) of the part at the points of it that lie above the samples; float64, they broadcast."""
        y, x = (
            axis - (c if isinstance(c, float | int) else c.to(axis))
            for axis, c in zip(axes(grid, device), (self.y, self.x), strict=True)
        )
        if self.tilted:
            about_x, about_y = _tensor(self.tilt_x).to(y), _tensor(self.tilt_y).to(y)
            y = y / about_x.cos()
            x = (x if _none(self.tilt_x) else x - about_y.sin() * about_x.sin() * y) / about_y.cos()
        if not _none(self.rotation):
            cos, sin = _tensor(self.rotation).to(y).cos(), _tensor(self.rotation).to(y).sin()
            y, x = cos * y - sin * x, cos * x + sin * y
        return y, x


def coordinates(field: Field, pose: Pose | None) -> tuple[Tensor, Tensor]:
    """Coordinates (y, x) of a part at the samples of a field."""
    return axes(field.grid, field.data.device) if pose is None else pose.local(field.grid, field.data.device)


def placed(field: Field, pose: Pose | None, act: Callable[[Field, Pose | None], Field]) -> Field:
    """Send light through a thin part that stands at a pose.

    The light goes to the plane of the part, through it, and back to the plane where the part should stand, so that
    nothing else on the bench has to know. Exact for what the grid holds; of the space between the two planes only the
    ends are real. A thin part acts the same on light from all directions: a tilted lens has the focal lengths
    ``f cos^2`` across its axis of tilt and ``f`` along it, a lens of glass with index n shorter ones by
    ``(sqrt(n^2 - sin^2) - cos)/(n - 1)``, Coddington's factor (R. Kingslake, Lens Design Fundamentals, ch. 11).

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    pose : Pose, optional
        None stands on the axis.
    act : callable
        What the part does to light on its own plane, at the coordinates of `coordinates`.

    Returns
    -------
    Field
        On the same grid, same dtype.

    Raises
    ------
    SamplingError
        If the plane of the part is too steep for the light that the grid holds; see `onto_tilted`.
    """
    if pose is None:
        return act(field, None)
    if not field.data.numel():  # an empty batch, which no FFT takes
        return field
    there = propagate(field, pose.z)
    if pose.tilted:
        there = onto_tilted(there, pose.slope(), (pose.y, pose.x))
    there = act(there, pose)
    if pose.tilted:
        there = from_tilted(there, pose.slope(), (pose.y, pose.x))
    return propagate(there, -pose.z)


def _checked(name: str, value: float | Tensor) -> float | Tensor:
    """A tensor as it is, any other number as a float."""
    single = value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, Real)
    if not (single and math.isfinite(number(value))):
        raise GeometryError(
            f"{name} = {value!r}: must be one finite number or a 0-d tensor, in {'metres' if len(name) == 1 else 'rad'}"
        )
    if name.startswith("tilt") and abs(number(value)) >= math.pi / 4:
        raise GeometryError(
            f"{name} = {show(number(value), 'angle', 4)}: a thin part is tilted by less than 785 mrad; what folds the "
            "axis starts a bench of its own"
        )
    return value if isinstance(value, Tensor) else float(value)


def _none(value: float | Tensor) -> bool:
    """Whether it is 0 and stays so."""
    return not isinstance(value, Tensor) and value == 0


def _tensor(value: float | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)
