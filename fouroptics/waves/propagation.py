"""Free space: each function maps a Field to a Field on any grid."""

import math
import warnings
from collections.abc import Iterator, Sequence
from numbers import Real

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves import kernels, sampling
from fouroptics.waves.sampling import number
from fouroptics.waves.transforms import convolve, fast_length, fft2, filtered, fourier, phasor, spectrum

LARGEST = 2**26  #: samples of a grid that is made for the residual

Row = Sequence[float | Tensor] | NDArray[np.floating]


def propagate(field: Field, z: float | Tensor | Row, onto: Grid | None = None, *, pixels: bool = False) -> Field:
    """Propagate over a distance onto any grid: the linear convolution with the response of free space.

    The samples stand for a band-limited field, zero outside its grid, and the result is that field's angular spectrum
    ``U(fx, fy) exp(i kz z)`` with no period and no cut band, near and far alike. What is done follows from the geometry
    alone: an FFT where `onto` has the pitch of the field, matrix products where it has not (`kernels.line`), or where
    a few samples send light far aside the sum over them.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float, torch.Tensor or sequence of float
        Distance in metres; negative goes back, 0 returns the field (on `onto`). A 0-d tensor may need a gradient. P
        distances in a sequence or a 1-d tensor give (..., P, y, x), by one transform of the field; see `planes`.
    onto : Grid, optional
        Grid of the result, any pitch, size and centre; left out, the grid of the field.
    pixels : bool
        The samples are cells of uniform light, of the size of the pitch, with all their orders: a modulator, or an
        aperture whose edges lie between samples. Exact for such fields; a smooth beam is better off without: it loses
        ``(pi f d)^2/6`` at a frequency f, and so is an edge that runs through cells, such as that of a circle.

    Returns
    -------
    Field
        On `onto`, same dtype.

    Raises
    ------
    GeometryError
        If the distance is not finite.
    SamplingError
        If `onto` has another pitch, and what is exact beyond the paraxial response would take too large a grid.

    Warns
    -----
    SamplingWarning
        If `onto` lies farther aside than the steepest light that the samples carry; with `pixels`, if cells on a large
        grid send light too steep to be followed.
    """
    if isinstance(z, Sequence | np.ndarray) or (isinstance(z, Tensor) and z.ndim > 0):
        return _stacked(field, z, onto, pixels)
    onto, z = onto or field.grid, _distance(z)
    if not isinstance(z, Tensor) and z == 0 and onto == field.grid:
        return field
    _warn_beyond_reach(field, number(z), onto, pixels)
    if pitch_fits(field.grid, onto):
        key = (field.grid, onto, field.wavelength, z)
        if _by_impulse(field, number(z), pixels):
            kernel = kernels.ready("impulse", field.data, *key)
        else:
            shape = kernels.window(field.grid, onto, field.wavelength, number(z), pixels)
            kernel = kernels.ready("linear", field.data, *key, pixels, shape, field.data.dtype)
        return field.replace(data=convolve(field.data, kernel, onto.shape), grid=onto)
    if not pixels and by_sum(field, number(z), onto):
        return _direct(field, z, onto)
    return _by_matrices(_residual(field, z, onto, pixels), z, onto, pixels)


def _stacked(field: Field, distances: Row | Tensor, onto: Grid | None, pixels: bool) -> Field:
    """All planes in one field; without a gradient each is put where it belongs, else all would be there twice."""
    if field.data.requires_grad or any(isinstance(z, Tensor) and z.requires_grad for z in distances):
        fields = list(planes(field, distances, onto, pixels=pixels))
        return fields[0].replace(data=torch.stack([each.data for each in fields], -3))
    onto = onto or field.grid
    data = field.data.new_empty((*field.data.shape[:-2], len(distances), *onto.shape))
    for i, plane in enumerate(planes(field, distances, onto, pixels=pixels)):
        data[..., i, :, :] = plane.data
    return field.replace(data=data, grid=onto)


def planes(field: Field, distances: Row | Tensor, onto: Grid | None = None, *, pixels: bool = False) -> Iterator[Field]:
    """Propagate over several distances, a plane at a time: memory does not grow with their number.

    One transform of the field serves all planes where `onto` has its pitch. See `propagate`.
    """
    onto = onto or field.grid
    if len(distances) == 0 or (isinstance(distances, Tensor) and distances.ndim != 1):
        raise GeometryError(f"distances = {distances}: give one or more in a row, in metres")
    each = [number(_distance(z)) for z in distances]
    learned = any(isinstance(z, Tensor) and z.requires_grad for z in distances)
    if learned or not pitch_fits(field.grid, onto) or any(_by_impulse(field, z, pixels) for z in each):
        yield from (propagate(field, z, onto, pixels=pixels) for z in distances)
        return
    windows = [kernels.window(field.grid, onto, field.wavelength, z, pixels) for z in each]
    shape = max(window[0] for window in windows), max(window[1] for window in windows)
    transformed = spectrum(field.data, shape)
    for z in each:
        if z == 0 and onto == field.grid:
            yield field
            continue
        _warn_beyond_reach(field, z, onto, pixels)
        key = (field.grid, onto, field.wavelength, z, pixels, shape, field.data.dtype)
        kernel = kernels.ready("linear", field.data, *key, keep=False)
        yield field.replace(data=filtered(transformed, kernel, onto.shape), grid=onto)


def _distance(z: float | Tensor) -> float | Tensor:
    """A finite distance: a float, or a float64 tensor on the CPU where kernels are built."""
    if not (isinstance(z, Tensor) and z.ndim == 0) and not isinstance(z, float | Real):
        raise GeometryError(f"z = {z!r}: must be a number or a 0-d tensor, in metres; propagate() takes rows of them")
    if not math.isfinite(number(z)):
        raise GeometryError(f"z = {number(z)}: the distance must be finite, in metres")
    return z.to("cpu", torch.float64) if isinstance(z, Tensor) else float(z)


def pitch_fits(grid: Grid, onto: Grid) -> bool:
    """Whether one kernel carries samples of `grid` onto `onto`: the same pitch, any shift."""
    return all(abs(a / b - 1) <= 1e-12 * n for a, b, n in zip(onto.spacing, grid.spacing, onto.shape, strict=True))


def _by_impulse(field: Field, z: float, pixels: bool) -> bool:
    """Whether the pitch samples the spherical wave itself: half a wavelength or less, beyond its near field."""
    return _is_fine(field) and abs(z) >= 2 * field.wavelength and not pixels


def _is_fine(field: Field) -> bool:
    return all(sampling.steepest(d, field.wavelength) >= 1 for d in field.grid.spacing)


def by_sum(field: Field, z: float, onto: Grid) -> bool:
    """Whether the sum over the samples is right, and less work than a grid that holds what the residual spreads.

    For a fine pitch, whose steepest light the residual does not follow, it may be more work, up to some seconds.
    """
    products = math.prod(field.grid.shape) * math.prod(onto.shape)
    if abs(z) < sampling.impulse_limit(field.grid, onto, field.wavelength):
        return False
    room = math.prod(kernels.widened(field.grid, onto, field.wavelength, z).shape)
    return products < 2 * room or (_is_fine(field) and products < 2**26)


def _warn_beyond_reach(field: Field, z: float, onto: Grid, pixels: bool) -> None:
    if pixels:
        key = (field.grid, onto, field.wavelength, z)
        needed, possible = kernels.parts_wanted(*key), kernels.parts(*key)
        if possible < needed:
            warnings.warn(
                f"over {show(z, 'length', 4)} cells of {show(max(field.grid.spacing), 'length', 4)} send light to the "
                f"far side of the target that takes {needed} parts of a cell to follow, and {possible} fit: what is "
                "steeper is paraxial; use a smaller grid, a longer way or finer samples",
                SamplingWarning,
                stacklevel=3,
            )
    else:
        sampling.warn_beyond_reach(field.grid, onto, field.wavelength, z)


def _residual(field: Field, z: float | Tensor, onto: Grid, pixels: bool) -> Field:
    """What the exact phase does to the field beyond the paraxial one, on its own lattice; cells divided as needed."""
    if not isinstance(z, Tensor) and z == 0:
        return field
    if pixels:
        field = _divided(field, kernels.parts(field.grid, onto, field.wavelength, number(z)))
    key = (field.grid, onto, field.wavelength)
    grid = kernels.widened(*key, number(z))
    if math.prod(grid.shape) > LARGEST:
        raise SamplingError(
            f"over {show(number(z), 'length', 4)} onto {onto}, off the paraxial path of light, takes a grid of "
            f"{grid.shape[0]} x {grid.shape[1]}; use a smaller target or rayleigh_sommerfeld(), far away fraunhofer()"
        )
    kernel = kernels.ready("spread", field.data, *key, z)
    return field.replace(data=convolve(field.data, kernel, grid.shape), grid=grid)


def _divided(field: Field, parts: int) -> Field:
    """The same cells of uniform light, each as parts x parts (odd) smaller ones."""
    grid = field.grid
    data = field.data.repeat_interleave(parts, -2).repeat_interleave(parts, -1)
    spacing = grid.spacing[0] / parts, grid.spacing[1] / parts
    center = [
        c + (n * parts // 2 - n // 2 * parts - parts // 2) * d
        for n, d, c in zip(grid.shape, spacing, grid.center, strict=True)
    ]
    shape = grid.shape[0] * parts, grid.shape[1] * parts
    return field.replace(data=data, grid=Grid(shape, spacing, (center[0], center[1])))


def _by_matrices(field: Field, z: float | Tensor, onto: Grid, pixels: bool) -> Field:
    """Apply the paraxial response of each axis as a matrix."""
    data, grid = field.data, field.grid
    growth = [onto.shape[axis] / grid.shape[axis] for axis in (0, 1)]
    for axis in (0, 1) if growth[0] <= growth[1] else (1, 0):  # the axis that shrinks most goes first
        key = (grid, onto, axis, field.wavelength)
        if isinstance(z, Tensor):
            matrix = kernels.matrix(*key, z, pixels).to(data.device, data.dtype)
        else:
            matrix = kernels.cached_matrix(*key, z, pixels, data.dtype, data.device)
        data = matrix @ data if axis == 0 else data @ matrix.T
    return field.replace(data=data, grid=onto)


def fresnel(field: Field, z: float | Tensor, onto: Grid | None = None, *, pixels: bool = False) -> Field:
    """Propagate in the paraxial approximation, onto any grid.

    ``U(X) = exp(ikz)/(i lambda z) int u(x) exp(i pi |X - x|^2/(lambda z)) dx`` (Goodman, eq. 4-14), as the linear
    convolution with a response that is known in closed form for samples of a pitch (`kernels.line`): close up it is the
    transfer function ``exp(-i pi lambda z f^2)``, far off the impulse response, and neither has to be chosen.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float or torch.Tensor
        Distance in metres, negative backward; a 0-d tensor may need a gradient.
    onto : Grid, optional
        Grid of the result, any pitch, size and centre.
    pixels : bool
        The samples are cells of uniform light; see `propagate`.

    Returns
    -------
    Field
        On `onto`, same dtype.

    Warns
    -----
    SamplingWarning
        If light that the samples carry to `onto` is too steep: its phase is off by more than half a radian.
    """
    onto, z = onto or field.grid, _distance(z)
    distance = number(z)
    if not isinstance(z, Tensor) and distance == 0 and onto == field.grid:
        return field
    sines = sampling.reach(field.grid, onto, field.wavelength, distance)
    quartic = math.pi * abs(distance) * (sines[0] ** 2 + sines[1] ** 2) ** 2 / (4 * field.wavelength)
    if quartic > 0.5:
        warnings.warn(
            f"fresnel over {show(distance, 'length', 4)}: the phase of the steepest light from {field.grid} onto "
            f"{onto}, sine {math.hypot(*sines):.3g}, is off by {quartic:.2g} rad; a smooth beam may hold none, "
            "propagate() has it right",
            SamplingWarning,
            stacklevel=2,
        )
    if not pitch_fits(field.grid, onto):
        carrier = phasor(torch.as_tensor(z / field.wavelength, dtype=torch.float64))
        return _by_matrices(field, z, onto, pixels).modulate(carrier)
    kernel = kernels.ready("paraxial", field.data, field.grid, onto, field.wavelength, z, pixels)
    return field.replace(data=convolve(field.data, kernel, onto.shape), grid=onto)


def angular_spectrum(field: Field, z: float | Tensor, onto: Grid | None = None, pad: float = 2) -> Field:
    """Propagate by the band-limited angular spectrum in a window.

    ``U(fx, fy; z) = U(fx, fy; 0) exp(i kz z)`` with ``kz = sqrt(k^2 - kx^2 - ky^2)``. Exact for the samples as a
    band-limited periodic field; padding keeps the neighbours of the period away. Valid for ``z`` up to the distance at
    which light of the highest frequency walks as far as the padding, or half the window.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float or torch.Tensor
        Distance in metres, negative backward; a 0-d tensor may need a gradient. Evanescent waves decay both ways.
    onto : Grid, optional
        Grid of the result, also far off the axis; left out, the grid of the field. The window grows to hold both.
    pad : float
        Window in units of the field's own; 1 means a periodic field, propagated exactly as such.

    Returns
    -------
    Field
        On `onto`, same dtype.

    Raises
    ------
    GeometryError
        If the distance is not finite, or `pad` less than 1.

    Warns
    -----
    SamplingWarning
        If the window is too small for the distance: the highest frequencies are cut, or wrap where pad < 2. Never with
        ``pad=1``: what leaves a periodic field on one side is meant to come in on the other.
    """
    onto, z, shape = onto or field.grid, _distance(z), field.grid.shape
    if not 1 <= pad < math.inf:
        raise GeometryError(f"pad = {pad}: the window is at least the field itself, 1 or more times its size")
    if pad > 1:
        shape = _window(field.grid, onto, pad)
        sampling.warn_about_window(field.grid, onto, field.wavelength, number(z), shape)
    data = field.data
    kernel = kernels.ready("windowed", data, field.grid, onto, field.wavelength, z, shape, pad > 1)
    if pitch_fits(field.grid, onto):
        size = min(onto.shape[0], shape[0]), min(onto.shape[1], shape[1])
        out = convolve(data, kernel, size)
        for dim in (0, 1):
            if onto.shape[dim] > size[dim]:  # it is periodic
                out = out.index_select(dim - 2, torch.arange(onto.shape[dim], device=out.device) % size[dim])
        return field.replace(data=out, grid=onto)
    # Sum the spectrum at the new points. Frequencies in rising order form a grid of their own.
    product = fft2(data, shape) * kernel.dense().rest
    rising = Grid(shape, (1 / (shape[0] * field.grid.spacing[0]), 1 / (shape[1] * field.grid.spacing[1])))
    first = [n // 2 * d for n, d in zip(onto.shape, onto.spacing, strict=True)]  # the kernel starts at sample 0
    points = Grid(onto.shape, onto.spacing, (first[0], first[1]))
    rolled = product.roll((shape[0] // 2, shape[1] // 2), (-2, -1))
    return field.replace(data=fourier(rolled, rising, points, 1.0, sign=1), grid=onto)


def _window(grid: Grid, onto: Grid, pad: float) -> tuple[int, int]:
    """Padded size: at least `pad` fields, no period of the source between it and the target, and no less aside."""
    sizes = []
    for axis, (n, d, a, b) in enumerate(zip(grid.shape, grid.spacing, grid.extent, onto.extent, strict=True)):
        aside = abs(onto.center[axis] - grid.center[axis])
        linear = (a + b) / d if onto != grid else 0.0
        sizes.append(fast_length(math.ceil(max(n * pad, linear) + min(2 * aside / d, 2**13) - 1e-9)))
    return sizes[0], sizes[1]


def rayleigh_sommerfeld(field: Field, z: float | Tensor, onto: Grid | None = None) -> Field:
    """Propagate by the first Rayleigh-Sommerfeld integral as a sum over the samples: the reference.

    ``U(X) = sum u(x) h(X - x) dy dx`` with ``h = (1/2 pi)(z/r)(1/r - ik) exp(ikr)/r`` (Goodman, eq. 3-41): a linear
    convolution by FFT where `onto` has the pitch of the field, the sum itself elsewhere, in a time that goes as the
    product of both numbers of samples. Valid from the distance on at which the spherical wave turns by less than pi a
    sample at the largest offset; it then has no periods and no cut band.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    z : float or torch.Tensor
        Distance in metres, negative backward, not zero; a 0-d tensor may need a gradient.
    onto : Grid, optional
        Grid of the result, any pitch, size and centre.

    Returns
    -------
    Field
        On `onto`, same dtype.

    Raises
    ------
    SamplingError
        If z is 0.

    Warns
    -----
    SamplingWarning
        If z is too short for the pitch.
    """
    onto, z = onto or field.grid, _distance(z)
    distance = number(z)
    if distance == 0:
        raise SamplingError("rayleigh_sommerfeld over z = 0 m: its integral has no value there; use propagate()")
    shortest = sampling.impulse_limit(field.grid, onto, field.wavelength)
    if abs(distance) < shortest * (1 - 1e-9):
        warnings.warn(
            f"rayleigh_sommerfeld over {show(distance, 'length', 4)}: this pitch samples the spherical wave from "
            f"{show(shortest, 'length', 4)} on; use propagate() or finer samples",
            SamplingWarning,
            stacklevel=2,
        )
    if not pitch_fits(field.grid, onto):
        return _direct(field, z, onto)
    kernel = kernels.ready("impulse", field.data, field.grid, onto, field.wavelength, z)
    return field.replace(data=convolve(field.data, kernel, onto.shape), grid=onto)


def _direct(field: Field, z: float | Tensor, onto: Grid) -> Field:
    (y, x), (big_y, big_x) = ([torch.from_numpy(axis) for axis in grid.coordinates()] for grid in (field.grid, onto))
    u, rows = field.data.flatten(-2), []
    targets = torch.cartesian_prod(big_y, big_x)
    for part in targets.split(max(2**22 // u.shape[-1], 1)):  # so many samples of the response at a time
        dy, dx = part[:, :1, None] - y[:, None], part[:, 1:, None] - x
        response = kernels.spherical(dy, dx, field.wavelength, z).flatten(-2)
        rows.append(u @ (field.grid.cell * response).to(u.device, u.dtype).T)
    return field.replace(data=torch.cat(rows, -1).unflatten(-1, onto.shape), grid=onto)
