"""Sources: a plane wave and a Gaussian beam on a grid."""

import math
import warnings

import torch
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.units import show


def axes(grid: Grid, device: torch.device | str | None = None) -> tuple[Tensor, Tensor]:
    """Coordinates of a grid as float64 tensors that broadcast: y (ny, 1) and x (1, nx), in metres."""
    y, x = (torch.from_numpy(axis).to(device) for axis in grid.coordinates())
    return y[:, None], x[None, :]


def plane_wave(
    grid: Grid,
    wavelength: float,
    *,
    power: float = 1.0,
    direction: Pair = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Field:
    """Uniform wave ``exp(i k (sy y + sx x))`` that carries `power` through the grid.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    wavelength : float
        In metres.
    power : float
        Power through the whole grid in watts.
    direction : tuple of float
        Direction sines (sy, sx): positive travels to +y, +x.
    dtype : torch.dtype
        complex64 or complex128.

    Returns
    -------
    Field
        Shape ``grid.shape``.

    Warns
    -----
    SamplingWarning
        If the tilt turns the phase by more than pi a sample.
    """
    if math.hypot(*direction) > 1:
        raise GeometryError(
            f"direction = {direction!r}: the direction sines of a travelling wave have a length of at most 1"
        )
    for sine, d in zip(direction, grid.spacing, strict=True):
        if abs(sine) * d > wavelength / 2:
            warnings.warn(
                f"a tilt of sine {sine:.4g} needs samples of {wavelength / 2 / abs(sine) * 1e6:.4g} um, the grid has "
                f"{d * 1e6:.4g} um: the wave is aliased; use a finer grid",
                SamplingWarning,
                stacklevel=2,
            )
    y, x = axes(grid)
    turns = (direction[0] * y + direction[1] * x) / wavelength
    amplitude = math.sqrt(power / (grid.cell * grid.shape[0] * grid.shape[1]))
    return Field(torch.polar(torch.full_like(turns, amplitude), 2 * math.pi * (turns % 1)).to(dtype), grid, wavelength)


def gaussian_beam(
    grid: Grid,
    wavelength: float,
    *,
    waist: float,
    power: float = 1.0,
    z: float = 0.0,
    center: Pair = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Field:
    """Fundamental Gaussian beam at a distance z behind its waist (Siegman, *Lasers*, ch. 17), paraxial.

    ``u = sqrt(2P/pi)/w exp(-r^2/w^2 + ikz + ik r^2/2R - i psi)`` with ``zR = pi w0^2/lambda``,
    ``w = w0 sqrt(1+(z/zR)^2)``, ``R = z(1+(zR/z)^2)``, ``psi = arctan(z/zR)``. Valid while the divergence
    ``lambda/(pi w0)`` is small against 1.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    wavelength : float
        In metres.
    waist : float
        1/e^2 intensity radius w0 at the waist, in metres.
    power : float
        Power of the whole beam in watts.
    z : float
        Distance from the waist in metres; negative before it.
    center : tuple of float
        Position (y, x) of the axis in metres.
    dtype : torch.dtype
        complex64 or complex128.

    Returns
    -------
    Field
        Shape ``grid.shape``.

    Warns
    -----
    SamplingWarning
        If its curvature turns the phase by more than pi a sample.
    """
    y, x = axes(grid)
    r2 = (y - center[0]) ** 2 + (x - center[1]) ** 2
    rayleigh = math.pi * waist**2 / wavelength
    w = waist * math.hypot(1, z / rayleigh)
    curvature = z / (z**2 + rayleigh**2)  # 1/R
    for n, d in zip(grid.shape, grid.spacing, strict=True):
        edge = min(n * d / 2, 2 * w)  # beyond, 3e-4 of the light are left
        if 2 * edge * abs(curvature) * d > wavelength:
            warnings.warn(
                f"a beam of {show(w, 'length', 3)} at {show(z, 'length', 4)} from its waist turns its phase by more "
                f"than pi a sample of {show(d, 'length', 3)}: use samples of "
                f"{show(wavelength / (2 * edge * abs(curvature)), 'length', 3)}",
                SamplingWarning,
                stacklevel=2,
            )
            break
    turns = z / wavelength % 1 - math.atan(z / rayleigh) / (2 * math.pi) + r2 * curvature / (2 * wavelength)
    amplitude = math.sqrt(2 * power / math.pi) / w * torch.exp(-r2 / w**2)
    return Field(torch.polar(amplitude, 2 * math.pi * (turns % 1)).to(dtype), grid, wavelength)
