"""The thin lens, and the two places where light is a Fourier transform: the focal plane of a lens and the far field."""

import math
import warnings
from numbers import Real

import torch
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.units import show
from fouroptics.waves.sampling import number, warn_beyond_period
from fouroptics.waves.transforms import fourier, phasor


def lens(field: Field, focal_length: float | Tensor, center: Pair = (0.0, 0.0)) -> Field:
    """Thin lens ``exp(-i pi r^2 / (lambda f))``, without aperture (Goodman, eq. 5-10).

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    focal_length : float or torch.Tensor
        In metres; negative diverges.
    center : tuple of float
        Position (y, x) of the lens axis in metres.

    Returns
    -------
    Field
        On the same grid.

    Warns
    -----
    SamplingWarning
        If the lens turns the phase by more than pi a sample at the edge of the grid.
    """
    grid, f = field.grid, abs(number(focal_length))
    if not (math.isfinite(f) and f > 0):
        raise GeometryError(f"focal_length = {number(focal_length)}: must be finite and not 0, in metres")
    if not all(math.isfinite(c0) for c0 in center):
        raise GeometryError(f"center = {center}: both must be finite, in metres")
    for n, d, c, c0 in zip(grid.shape, grid.spacing, grid.center, center, strict=True):
        edge = abs(c - c0) + n * d / 2
        if n > 1 and edge * d > field.wavelength * f / 2 * (1 + 1e-9):
            warnings.warn(
                f"a lens of f = {show(f, 'length', 4)} on {grid} turns the phase by more than pi a sample beyond "
                f"{show(field.wavelength * f / (2 * d), 'length', 4)} from its axis; use samples of "
                f"{show(field.wavelength * f / (2 * edge), 'length', 3)} or a smaller grid",
                SamplingWarning,
                stacklevel=2,
            )
            break
    y, x = axes(grid, field.data.device)
    return focused(field, focal_length, y - center[0], x - center[1])


def focused(field: Field, focal_length: float | Tensor, y: Tensor, x: Tensor) -> Field:
    """Multiply by the phase of a thin lens at coordinates from its axis, float64 in metres."""
    f = focal_length.to(y) if isinstance(focal_length, Tensor) else focal_length
    return field.modulate(phasor(-(y**2 + x**2) / (2 * field.wavelength * f)))


def fourier_lens(field: Field, focal_length: float, onto: Grid | None = None) -> Field:
    """Ideal lens from its front to its back focal plane, onto any grid.

    ``U(X, Y) = 1/(i lambda f) int u(x, y) exp(-2 pi i (xX + yY)/(lambda f)) dx dy`` (Goodman, eq. 5-19 with d = f),
    without the constant phase exp(2ikf). Paraxial; the sampled input repeats in the back focal plane with the period
    lambda f / d.

    Parameters
    ----------
    field : Field
        In the front focal plane, (..., y, x).
    focal_length : float
        In metres.
    onto : Grid, optional
        Grid of the back focal plane; left out, the pitch is ``lambda f / (n d)`` with as many samples.

    Returns
    -------
    Field
        On `onto`, same dtype; the power is conserved where `onto` holds the whole period.

    Warns
    -----
    SamplingWarning
        If `onto` reaches beyond one period of the spectrum of the samples.
    """
    onto = onto or focal_grid(field, focal_length)
    warn_beyond_period(field.grid, onto, _scale(field, focal_length), "fourier_lens")
    return transformed(field, focal_length, onto)


def transformed(field: Field, focal_length: float, onto: Grid) -> Field:
    """`fourier_lens` for a caller that knows the samples to hold what is wanted: without a warning."""
    scale = _scale(field, focal_length)
    data = fourier(field.data, field.grid, onto, scale)
    return field.replace(data=data * complex(0, -field.grid.cell / scale), grid=onto)


def _scale(field: Field, focal_length: float) -> float:
    if isinstance(focal_length, Tensor) or not 0 < focal_length < math.inf:
        raise GeometryError(f"focal_length = {focal_length!r}: must be a number, finite and positive, in metres")
    return field.wavelength * focal_length


def focal_grid(field: Field, focal_length: float) -> Grid:
    """Grid of the back focal plane that fits one FFT: pitch ``lambda f / (n d)``, as many samples as the field."""
    scale = _scale(field, focal_length)
    pitch = [scale / (n * d) for n, d in zip(field.grid.shape, field.grid.spacing, strict=True)]
    return Grid(field.grid.shape, (pitch[0], pitch[1]))


def fraunhofer(field: Field, z: float, onto: Grid | None = None) -> Field:
    """Propagate into the far field, onto any grid.

    ``U(X) = exp(ikz + i pi |X|^2/(lambda z))/(i lambda z) int u(x) exp(-2 pi i x.X/(lambda z)) dx``
    (Goodman, eq. 4-25). The phase ``pi |X|^2/(lambda z)`` is paraxial: light that lands at a sine s has one of
    ``pi z s^4/(4 lambda)`` less; its intensity is the same to s^2.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float
        Distance in metres, not zero.
    onto : Grid, optional
        Grid of the result; left out, the pitch is ``lambda |z| / (n d)`` with as many samples.

    Returns
    -------
    Field
        On `onto`, same dtype.

    Raises
    ------
    GeometryError
        If z is no plain number.
    SamplingError
        If z is 0 or not finite.

    Warns
    -----
    SamplingWarning
        If the field is too wide for the distance, the phase it drops at a corner of the grid being more than pi/8, or
        if `onto` reaches beyond one period of the spectrum of the samples.
    """
    if not isinstance(z, float | Real):
        raise GeometryError(f"z = {z!r}: must be a number, in metres")
    grid, scale = field.grid, field.wavelength * z
    if scale == 0 or not math.isfinite(scale):
        raise SamplingError(f"fraunhofer over z = {z} m: give a distance in the far field, or use propagate()")
    if onto is None:
        pitch = [abs(scale) / (n * d) for n, d in zip(grid.shape, grid.spacing, strict=True)]
        onto = Grid(grid.shape, (pitch[0], pitch[1]))
    dropped = (
        math.pi * sum((abs(c) + side / 2) ** 2 for c, side in zip(grid.center, grid.extent, strict=True)) / abs(scale)
    )
    if dropped > math.pi / 8:
        warnings.warn(
            f"fraunhofer over {show(z, 'length', 4)}: at a corner of {grid} it drops a phase of {dropped:.3g} rad; the "
            f"far field begins at {show(abs(z) * dropped / (math.pi / 8), 'length', 3)}; use fresnel() or propagate()",
            SamplingWarning,
            stacklevel=2,
        )
    warn_beyond_period(grid, onto, abs(scale), "fraunhofer")
    y, x = (torch.from_numpy(axis).to(field.data.device) for axis in onto.coordinates())
    y, x = (
        phasor(y**2 / (2 * scale) + z / field.wavelength % 1) * complex(0, -grid.cell / scale),
        phasor(x**2 / (2 * scale)),
    )
    data = fourier(field.data, grid, onto, scale)
    return field.replace(data=data, grid=onto).modulate(y[:, None] * x)
