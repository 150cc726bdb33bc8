"""The lenses of a bench: a thin one with its aperture, and an ideal one between its focal planes."""

import math
import warnings
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from fouroptics.bench.aberrations import Coefficients, aberrated
from fouroptics.bench.apertures import disk
from fouroptics.bench.pose import Pose, coordinates, placed
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.units import show
from fouroptics.waves import lenses
from fouroptics.waves.propagation import propagate
from fouroptics.waves.sampling import number
from fouroptics.waves.transforms import phasor

FocalLength = float | Tensor | Callable[[float], float | Tensor]


class Lens(nn.Module):
    """Thin lens with a round aperture, which may have aberrations.

    ``exp(-i pi r^2/(lambda f))`` (Goodman, eq. 5-10) inside the aperture, 0 outside.

    Parameters
    ----------
    focal_length : float, torch.Tensor or callable
        In metres, negative diverges; a 0-d tensor or Parameter learns, a function takes the wavelength in metres and
        gives the focal length at it.
    diameter : float, optional
        Of the clear aperture in metres; left out, the lens is open.
    center : tuple of float
        Position (y, x) of the optical axis and of the aperture on the part, in metres.
    aberrations : mapping, sequence or torch.Tensor, optional
        Zernike coefficients in rad RMS over the aperture, as for `aberrate`; they need a diameter.
    pose : Pose, optional
        How it stands; moved sideways by d, it moves an image of magnification m by ``d (1 - m)``.

    Raises
    ------
    GeometryError
        If the focal length is 0 or not finite, or there are aberrations but no diameter.

    Warns
    -----
    SamplingWarning
        If the lens turns the phase by more than pi a sample somewhere in its aperture.

    Notes
    -----
    Gradients reach the focal length, the aberrations and the pose by way of the phase; not by way of the edge of the
    aperture, which stands where the numbers say.
    """

    length = 0.0
    takes = "aperture"

    def __init__(
        self,
        focal_length: FocalLength,
        diameter: float | None = None,
        center: Pair = (0.0, 0.0),
        aberrations: Coefficients | None = None,
        pose: Pose | None = None,
    ) -> None:
        super().__init__()
        if aberrations is not None and diameter is None:
            raise GeometryError("aberrations of a lens are over its aperture: give its diameter")
        self.focal_length, self.diameter, self.center = focal_length, diameter, center
        self.aberrations, self.pose = aberrations, pose

    def forward(self, field: Field) -> Field:
        """See `placed`."""
        return placed(field, self.pose, self.act)

    def act(self, field: Field, pose: Pose | None) -> Field:
        """What it does to light on its plane."""
        given = self.focal_length
        f = given(field.wavelength) if callable(given) and not isinstance(given, Tensor) else cast("float", given)
        y, x = (axis - c for axis, c in zip(coordinates(field, pose), self.center, strict=True))
        _warn_about_lens(field, number(f), self.diameter, self.center, pose)
        out = lenses.focused(field, f, y, x)
        if self.diameter is None:
            return out
        if self.aberrations is not None:
            out = aberrated(out, self.aberrations, self.diameter / 2, y, x)
        return out.modulate(disk(field, self.diameter, self.center, pose))


class FourierLens(nn.Module):
    """Ideal lens from its front to its back focal plane, onto any grid.

    Its focal length is a number: with another one, its planes would stand elsewhere. Its pose may be off sideways and
    along the light; an ideal lens has no tilt, which is a GeometryError.
    """

    takes = "window edge"

    def __init__(self, focal_length: float, onto: Grid | None = None, pose: Pose | None = None) -> None:
        super().__init__()
        if pose is not None and pose.tilted:
            raise GeometryError("an ideal lens between its focal planes has no tilt: use FreeSpace, Lens, FreeSpace")
        self.focal_length, self.onto, self.length, self.pose = focal_length, onto, 2 * focal_length, pose

    def forward(self, field: Field) -> Field:
        """See `lenses.fourier_lens`."""
        return _transformed(field, self.focal_length, self.onto, self.pose)


def _warn_about_lens(field: Field, f: float, diameter: float | None, center: Pair, pose: Pose | None) -> None:
    """Only what the aperture passes has to be sampled; across a tilt by t the lens is shorter by ``cos(t)^2``."""
    if not (math.isfinite(f) and f != 0):
        raise GeometryError(f"focal_length = {f}: must be finite and not 0, in metres")
    grid, clear = field.grid, math.inf if diameter is None else diameter / 2
    tilts = (0.0, 0.0) if pose is None else (number(pose.tilt_x), number(pose.tilt_y))
    at = center if pose is None else pose.outside(center)
    for n, d, c, c0, tilt in zip(grid.shape, grid.spacing, grid.center, at, tilts, strict=True):
        limit = field.wavelength * abs(f) * math.cos(tilt) ** 2 / (2 * d)
        edge = min(abs(c - c0) + n * d / 2, clear * math.cos(tilt))
        if n > 1 and edge > limit * (1 + 1e-9):
            warnings.warn(
                f"a lens of f = {show(abs(f), 'length', 4)} on {grid} turns the phase by more than pi a sample beyond "
                f"{show(limit, 'length', 4)} from its axis; use samples of {show(d * limit / edge, 'length', 3)} or a "
                f"smaller {'grid' if diameter is None else 'diameter'}",
                SamplingWarning,
                stacklevel=5,
            )
            return


def _transformed(field: Field, focal_length: float, onto: Grid | None, pose: Pose | None) -> Field:
    """`lenses.fourier_lens` about an axis c: ``(x - c)(X - c)`` is two ramps more, and the way to the lens is off."""
    if pose is None:
        return lenses.fourier_lens(field, focal_length, onto)
    scale = field.wavelength * focal_length
    grid = onto or lenses.focal_grid(field, focal_length)
    u = propagate(field, pose.z)
    u = u.modulate(_ramp(u, pose, scale))
    out = lenses.fourier_lens(u, focal_length, grid)
    c2 = torch.as_tensor(pose.y) ** 2 + torch.as_tensor(pose.x) ** 2
    out = out.modulate(_ramp(out, pose, scale)).modulate(phasor(-c2.double() / scale))
    return propagate(out, -pose.z)


def _ramp(field: Field, pose: Pose, scale: float) -> Tensor:
    y, x = coordinates(field, None)
    return phasor((y * pose.y + x * pose.x) / scale)
