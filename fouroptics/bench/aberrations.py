"""Aberrations of a pupil, as a function."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light import zernike
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.units import show

#: Noll's j and its coefficient in rad RMS, or the coefficients from j = 1 on.
Coefficients = Mapping[int, float | Tensor] | Sequence[float | Tensor] | Tensor


def aberrate(field: Field, coefficients: Coefficients, radius: float, center: Pair = (0.0, 0.0)) -> Field:
    """Multiply by the phase ``exp(i sum_j a_j Z_j(y / radius, x / radius))`` over a disk; the light outside stays.

    With Noll's `zernike.noll`, so ``a_j`` is the RMS of its term over the disk in rad, and the Strehl ratio of a round
    pupil is about ``exp(-sum a_j^2)`` over j > 1 (Mahajan, J. Opt. Soc. Am. 73, 860, 1983).

    The polynomials hold in every cell that the disk touches, those on the rim of ``shapes.circle(grid, radius)`` too,
    and end there: outside they grow like ``rho^n``, which no grid holds. The phase steps to 0 at that rim, so block the
    light outside, or choose a radius that holds all of it.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x).
    coefficients : mapping, sequence or torch.Tensor
        ``{j: rad RMS}``, or the coefficients of j = 1, 2, 3, ... in rad RMS; numbers, or tensors that may need a
        gradient. Tensors (..., 1, 1) in a mapping or sequence make a batch.
    radius : float
        Of the unit disk, in metres.
    center : tuple of float
        Position (y, x) of its centre in metres.

    Returns
    -------
    Field
        On the same grid, same dtype.

    Raises
    ------
    GeometryError
        If a j is no whole number from 1 on, a coefficient is not finite, a tensor of them has not one axis, or the
        radius is not positive.

    Warns
    -----
    SamplingWarning
        If the phase turns by more than pi from one sample of the disk to the next, or the radius holds fewer than 2.5
        samples for each radial order: from there on the RMS of a sampled mode is right to 10 %.
    """
    y, x = (axis - c for axis, c in zip(axes(field.grid, field.data.device), center, strict=True))
    return aberrated(field, coefficients, radius, y, x)


def aberrated(field: Field, coefficients: Coefficients, radius: float, y: Tensor, x: Tensor) -> Field:
    """`aberrate` for coordinates of the samples, float64 in metres, as a part sees them that is turned or tilted."""
    if not (math.isfinite(radius) and radius > 0):
        raise GeometryError(f"radius = {radius!r}: must be finite and positive, in metres")
    if isinstance(coefficients, Tensor) and coefficients.ndim != 1:
        raise GeometryError(f"coefficients {tuple(coefficients.shape)}: give one axis, from j = 1 on, or a mapping")
    grid, device = field.grid, field.data.device
    terms = dict(coefficients if isinstance(coefficients, Mapping) else enumerate(coefficients, start=1))
    y, x = y / radius, x / radius
    phase = torch.zeros(grid.shape, dtype=torch.float64, device=device)
    for j, a in terms.items():
        a = torch.as_tensor(a, dtype=torch.float64, device=device)
        if not bool(a.isfinite().all()):
            raise GeometryError(f"coefficient of j = {j} is {a.tolist()}: must be finite, in rad RMS")
        phase = phase + a * zernike.noll(j, y, x)
    touched = torch.hypot(y, x) <= 1 + math.hypot(*grid.spacing) / (2 * radius)
    _warn_about_aberrations(grid, phase.detach().where(touched, math.nan), terms, radius)
    phase = phase.where(touched, 0.0)
    return field.modulate(torch.polar(torch.ones_like(phase), phase))


def _warn_about_aberrations(grid: Grid, phase: Tensor, orders: Iterable[int], radius: float) -> None:
    """Of a phase that is NaN outside its disk."""
    order = max([2, *(zernike.indices(j)[0] for j in orders)])
    coarse, need = max(grid.spacing), 2.5 * order
    if radius < 0.99 * need * coarse:
        warnings.warn(
            f"aberrations to radial order {order} over a radius of {show(radius, 'length', 4)} hold "
            f"{radius / coarse:.3g} samples of {show(coarse, 'length', 4)} and need {need:.3g}: use samples of "
            f"{show(radius / need, 'length', 3)}, or a larger radius",
            SamplingWarning,
            stacklevel=4,
        )
    for axis, d in enumerate(grid.spacing):
        steps = phase.diff(dim=axis - 2).abs().nan_to_num(0)
        turn = float(steps.max()) if steps.numel() else 0.0
        if turn > math.pi * (1 + 1e-9):
            rim = 1 + (order - 1) * d / radius  # how much steeper it may be there than over its last cell
            warnings.warn(
                f"the aberrations turn the phase by {turn:.3g} rad from one sample of {show(d, 'length', 4)} to the "
                f"next: they are aliased; use samples of {show(0.99 * d * math.pi / turn / rim, 'length', 3)}",
                SamplingWarning,
                stacklevel=4,
            )
            return
