"""Propagation: free space, a lens, and the transform between its focal planes. Each maps a Field to a Field."""

import math
import warnings

import torch
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.units import show
from fouroptics.waves import kernels
from fouroptics.waves.transforms import fast_length, fft2, fourier, ifft2

LARGEST = 2**24  #: samples of the largest window that `propagate` makes of a small one


def angular_spectrum(field: Field, z: float | Tensor, onto: Grid | None = None, pad: float = 2) -> Field:
    """Propagate by the band-limited angular spectrum.

    ``U(fx, fy; z) = U(fx, fy; 0) exp(i kz z)`` with ``kz = sqrt(k^2 - kx^2 - ky^2)``. Exact for the samples as a
    band-limited periodic field; padding keeps the neighbours of the period away. Valid for ``z`` up to the distance at
    which light of the highest frequency walks as far as the padding, or half the window.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float or torch.Tensor
        Distance in metres, negative backward; a 0-d tensor may need a gradient.
    onto : Grid, optional
        Grid of the result; left out, the grid of the field. The window grows to hold both.
    pad : float
        Window in units of the field's own; 1 means a periodic field, propagated exactly as such.

    Returns
    -------
    Field
        On `onto`, same dtype.

    Warns
    -----
    SamplingWarning
        If the window is too small for the distance: the highest frequencies are cut, or wrap where pad < 2.
    """
    onto = onto or field.grid
    if pad <= 1:
        return _through_window(field, z, onto, field.grid.shape, bandlimit=False)
    shape = _window(field.grid, onto, pad)
    _warn_about_window(field, _plain(z), onto, shape)
    return _through_window(field, z, onto, shape)


def _plain(value: float | Tensor) -> float:
    """A number for decisions about sampling, without its gradient."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def _through_window(
    field: Field, z: float | Tensor, onto: Grid, shape: tuple[int, int], *, bandlimit: bool = True
) -> Field:
    key = (shape, field.grid.spacing, field.wavelength)
    if isinstance(z, Tensor):
        kernel = kernels.transfer_function(*key, z.to("cpu", torch.float64), bandlimit=bandlimit)
        kernel = (kernel / (shape[0] * shape[1])).to(field.data.device, field.data.dtype)
    else:
        kernel = kernels.cached_transfer_function(*key, float(z), bandlimit, field.data.dtype, field.data.device)
    return field.replace(data=_apply(field, kernel, shape, onto), grid=onto)


def _apply(field: Field, kernel: Tensor, shape: tuple[int, int], onto: Grid) -> Tensor:
    """Multiply the padded spectrum by the kernel and return the samples on `onto`."""
    grid = field.grid
    spectrum = fft2(field.data, shape) * kernel
    rows, columns = (_whole_steps(grid, onto, axis) for axis in (0, 1))
    if rows is not None and columns is not None:
        out = ifft2(spectrum)
        for dim, first, n in ((-2, rows, onto.shape[0]), (-1, columns, onto.shape[1])):
            inside = (
                0 <= first <= out.shape[dim] - n
            )  # else it wraps: before the first sample lies the end of the period
            index = (torch.arange(n, device=out.device) + first) % out.shape[dim]
            out = out.narrow(dim, first, n) if inside else out.index_select(dim, index)
        return out
    # Another pitch: sum the spectrum at the new points. Frequencies in rising order form a grid of their own.
    centred = spectrum.roll((shape[0] // 2, shape[1] // 2), (-2, -1))
    df = [1 / (n * d) for n, d in zip(shape, grid.spacing, strict=True)]
    start = [c - (n // 2) * d for n, d, c in zip(grid.shape, grid.spacing, grid.center, strict=True)]
    relative = onto.shifted(-start[0], -start[1])  # the FFT put the first sample at the origin
    return fourier(centred, Grid(shape, (df[0], df[1])), relative, 1.0, sign=1)


def _whole_steps(grid: Grid, onto: Grid, axis: int) -> int | None:
    """Samples from the first of `grid` to the first of `onto`; None where the pitches or positions do not fit."""
    d = grid.spacing[axis]
    if abs(onto.spacing[axis] / d - 1) > 1e-12 * onto.shape[axis]:
        return None
    step = (onto.center[axis] - grid.center[axis]) / d - onto.shape[axis] // 2 + grid.shape[axis] // 2
    return round(step) if abs(step - round(step)) < 1e-9 else None


def _span(grid: Grid, onto: Grid, axis: int) -> float:
    """Largest distance between a point of one grid and a point of the other along an axis, in metres."""
    return abs(onto.center[axis] - grid.center[axis]) + (grid.extent[axis] + onto.extent[axis]) / 2


def _window(grid: Grid, onto: Grid, pad: float) -> tuple[int, int]:
    """Padded size: at least `pad` fields, and so large that no period of the source reaches the target."""
    sizes = []
    for axis in (0, 1):
        linear = 2 * _span(grid, onto, axis) if onto != grid else 0.0
        n = max(grid.shape[axis] * pad, linear / grid.spacing[axis])
        sizes.append(fast_length(math.ceil(n - 1e-9)))
    return sizes[0], sizes[1]


def _warn_about_window(field: Field, z: float, onto: Grid, shape: tuple[int, int]) -> None:
    for axis, d in enumerate(field.grid.spacing):
        window = shape[axis] * d
        # The kernel cuts what walks farther than half the window; what comes around must miss `onto`.
        reach = min(window / 2, window - _span(field.grid, onto, axis))
        need = abs(z) * _steepest(d, field.wavelength)
        if need > reach * (1 + 1e-9):
            warnings.warn(
                f"angular_spectrum over {show(z, 'length', 4)}: the steepest light that samples of "
                f"{show(d, 'length', 4)} carry walks {show(need, 'length', 4)}, the window of "
                f"{show(window, 'length', 4)} leaves it {show(reach, 'length', 4)}, the rest is cut or wraps; "
                "use propagate(), a larger pad or coarser samples",
                SamplingWarning,
                stacklevel=3,
            )
            return


def _steepest(d: float, wavelength: float) -> float:
    """Tangent of the steepest angle that samples of pitch d carry."""
    sine = min(wavelength / (2 * d), 0.999999)
    return sine / math.sqrt(1 - sine**2)


def rayleigh_sommerfeld(field: Field, z: float, onto: Grid | None = None) -> Field:
    """Propagate by the first Rayleigh-Sommerfeld integral, as a linear convolution by FFT.

    Valid from the distance on at which the spherical wave turns by less than pi a sample at the largest offset; it then
    has no periods and no cut band.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float
        Distance in metres, negative backward, not zero.
    onto : Grid, optional
        Grid of the result, of the same pitch; any size and centre.

    Returns
    -------
    Field
        On `onto`, same dtype.

    Raises
    ------
    SamplingError
        If z is 0 or `onto` has another pitch.

    Warns
    -----
    SamplingWarning
        If z is too short for the pitch.
    """
    onto = onto or field.grid
    if z == 0 or max(abs(a / b - 1) for a, b in zip(onto.spacing, field.grid.spacing, strict=True)) > 1e-9:
        raise SamplingError(
            f"rayleigh_sommerfeld from {field.grid} onto {onto} over {z} m: it needs one pitch and z != 0; "
            "use propagate()"
        )
    shortest = _impulse_limit(field.grid, onto, field.wavelength)
    if abs(z) < shortest * (1 - 1e-9):
        warnings.warn(
            f"rayleigh_sommerfeld over {show(z, 'length', 4)}: this pitch samples the spherical wave from "
            f"{show(shortest, 'length', 4)} on; use propagate() or finer samples",
            SamplingWarning,
            stacklevel=2,
        )
    need = [a + b - 1 for a, b in zip(field.grid.shape, onto.shape, strict=True)]
    shape = (fast_length(need[0]), fast_length(need[1]))
    key = (field.grid, onto, field.wavelength, float(z), shape)
    kernel = kernels.cached_impulse_spectrum(*key, field.data.dtype, field.data.device)
    data = ifft2(fft2(field.data, shape) * kernel)[..., : onto.shape[0], : onto.shape[1]]
    return field.replace(data=data, grid=onto)


def _impulse_limit(grid: Grid, onto: Grid, wavelength: float) -> float:
    """Shortest distance at which the pitch samples the spherical wave at the largest offset of each axis, in metres."""
    spans = [_span(grid, onto, axis) for axis in (0, 1)]
    return max(
        span * math.sqrt(max((2 * d / wavelength) ** 2 - 1, 0)) for span, d in zip(spans, grid.spacing, strict=True)
    )


def propagate(field: Field, z: float | Tensor, onto: Grid | None = None) -> Field:
    """Propagate over a distance; the method follows from the geometry alone.

    The angular spectrum where a window of up to four times the needed area samples its transfer function, the
    Rayleigh-Sommerfeld convolution where the pitch samples the spherical wave. What is left (long narrow grids; far
    planes of another pitch or with a tensor z) takes the angular spectrum in as large a window as it needs, up to
    `LARGEST` samples.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float or torch.Tensor
        Distance in metres; negative goes back, 0 returns the field (on `onto`).
    onto : Grid, optional
        Grid of the result: any pitch, size and centre.

    Returns
    -------
    Field
        On `onto`, or on the grid of the field.

    Warns
    -----
    SamplingWarning
        If neither method is valid: the highest frequencies are cut.
    """
    onto = onto or field.grid
    distance, wavelength = abs(_plain(z)), field.wavelength
    if not math.isfinite(distance):
        raise GeometryError(f"z = {_plain(z)}: the distance must be finite, in metres")
    if distance == 0 and onto == field.grid and not isinstance(z, Tensor):
        return field
    same_pitch = all(abs(a / b - 1) < 1e-9 for a, b in zip(field.grid.spacing, onto.spacing, strict=True))
    base, need = _window(field.grid, onto, 2), []
    for n, d in zip(base, field.grid.spacing, strict=True):
        need.append(fast_length(max(n, math.ceil(2 * distance * _steepest(d, wavelength) / d))))
    area = need[0] * need[1]
    far = area > 4 * base[0] * base[1]
    if far and same_pitch and not isinstance(z, Tensor) and distance >= _impulse_limit(field.grid, onto, wavelength):
        return rayleigh_sommerfeld(field, z, onto)
    shape = base if area > max(4 * base[0] * base[1], LARGEST) else (need[0], need[1])
    _warn_about_window(field, distance, onto, shape)
    return _through_window(field, z, onto, shape)


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
    grid, f = field.grid, abs(_plain(focal_length))
    if not (math.isfinite(f) and f > 0):
        raise GeometryError(f"focal_length = {_plain(focal_length)}: must be finite and not 0, in metres")
    for n, d, c, c0 in zip(grid.shape, grid.spacing, grid.center, center, strict=True):
        edge = abs(c - c0) + n * d / 2
        if edge * d > field.wavelength * f / 2 * (1 + 1e-9):
            warnings.warn(
                f"a lens of f = {show(f, 'length', 4)} on {grid} turns the phase by more than pi a sample beyond "
                f"{show(field.wavelength * f / (2 * d), 'length', 4)} from its axis; use samples of "
                f"{show(field.wavelength * f / (2 * edge), 'length', 3)} or a smaller grid",
                SamplingWarning,
                stacklevel=2,
            )
            break
    y, x = axes(grid, field.data.device)
    turns = -((y - center[0]) ** 2 + (x - center[1]) ** 2) / (2 * field.wavelength * focal_length)
    return field.modulate(torch.polar(torch.ones_like(turns), 2 * math.pi * (turns % 1)))


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
    scale = field.wavelength * focal_length
    if not (math.isfinite(scale) and scale > 0):
        raise GeometryError(f"focal_length = {focal_length!r}: must be finite and positive, in metres")
    grid = field.grid
    if onto is None:
        pitch = [scale / (n * d) for n, d in zip(grid.shape, grid.spacing, strict=True)]
        onto = Grid(grid.shape, (pitch[0], pitch[1]))
    for axis in (0, 1):
        n, d, c = onto.shape[axis], onto.spacing[axis], onto.center[axis]
        edge = max(abs(c - n // 2 * d), abs(c + (n - 1 - n // 2) * d))
        period = scale / grid.spacing[axis]
        if edge > period / 2 * (1 + 1e-9):
            warnings.warn(
                f"fourier_lens: {onto} reach {show(edge, 'length', 4)} from the axis, samples of "
                f"{show(grid.spacing[axis], 'length', 4)} define the spectrum up to {show(period / 2, 'length', 4)} "
                "and repeat it beyond; use finer samples or a smaller grid",
                SamplingWarning,
                stacklevel=2,
            )
            break
    data = fourier(field.data, grid, onto, scale)
    return field.replace(data=data * complex(0, -grid.cell / scale), grid=onto)
