"""Elements: aberrations, and the parts of a bench as Modules. Each holds its setting and calls one function."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light import shapes, zernike
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.units import show
from fouroptics.waves import lenses, propagation

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
        If a j is no whole number from 1 on, a tensor of coefficients has not one axis, or the radius is not positive.

    Warns
    -----
    SamplingWarning
        If the phase turns by more than pi from one sample of the disk to the next, or the radius holds fewer than 2.5
        samples for each radial order: from there on the RMS of a sampled mode is right to 10 %.
    """
    grid, device = field.grid, field.data.device
    if not (math.isfinite(radius) and radius > 0):
        raise GeometryError(f"radius = {radius!r}: must be finite and positive, in metres")
    if isinstance(coefficients, Tensor) and coefficients.ndim != 1:
        raise GeometryError(f"coefficients {tuple(coefficients.shape)}: give one axis, from j = 1 on, or a mapping")
    terms = dict(coefficients if isinstance(coefficients, Mapping) else enumerate(coefficients, start=1))
    y, x = ((axis - c) / radius for axis, c in zip(axes(grid, device), center, strict=True))
    phase = torch.zeros(grid.shape, dtype=torch.float64, device=device)
    for j, a in terms.items():
        phase = phase + torch.as_tensor(a, dtype=torch.float64, device=device) * zernike.noll(j, y, x)
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
            stacklevel=3,
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
                stacklevel=3,
            )
            return


class FreeSpace(nn.Module):
    """Free space over `distance` metres, onto the same or another grid."""

    def __init__(self, distance: float, onto: Grid | None = None) -> None:
        super().__init__()
        self.length, self.onto = distance, onto

    def forward(self, field: Field) -> Field:
        """See `propagation.propagate`."""
        return propagation.propagate(field, self.length, self.onto)


class Lens(nn.Module):
    """Thin lens with a round aperture of `diameter` metres (None: open) about its `center` (y, x)."""

    length = 0.0

    def __init__(self, focal_length: float, diameter: float | None = None, center: Pair = (0.0, 0.0)) -> None:
        super().__init__()
        self.focal_length, self.diameter, self.center = focal_length, diameter, center

    def forward(self, field: Field) -> Field:
        """See `lenses.lens`."""
        out = lenses.lens(field, self.focal_length, self.center)
        if self.diameter is None:
            return out
        return out.modulate(shapes.circle(field.grid, self.diameter / 2, self.center))


class FourierLens(nn.Module):
    """Ideal lens from its front to its back focal plane, onto any grid."""

    def __init__(self, focal_length: float, onto: Grid | None = None) -> None:
        super().__init__()
        self.focal_length, self.onto, self.length = focal_length, onto, 2 * focal_length

    def forward(self, field: Field) -> Field:
        """See `lenses.fourier_lens`."""
        return lenses.fourier_lens(field, self.focal_length, self.onto)


class Mask(nn.Module):
    """A fixed transmission (y, x), real or complex: an aperture, a stop, a shown mask."""

    length = 0.0
    transmission: Tensor

    def __init__(self, transmission: Tensor) -> None:
        super().__init__()
        self.register_buffer("transmission", torch.as_tensor(transmission))

    def forward(self, field: Field) -> Field:
        """Multiply the field by the transmission."""
        return field.modulate(self.transmission)


class Aperture(nn.Module):
    """Round stop of `diameter` metres about its `center` (y, x); any other `shapes` is a `Mask`."""

    length = 0.0

    def __init__(self, diameter: float, center: Pair = (0.0, 0.0)) -> None:
        super().__init__()
        self.diameter, self.center = diameter, center

    def forward(self, field: Field) -> Field:
        """See `shapes.circle`."""
        return field.modulate(shapes.circle(field.grid, self.diameter / 2, self.center))


class Aberration(nn.Module):
    """Zernike phase over a disk of `radius` metres about its `center` (y, x); a Parameter of coefficients learns."""

    length = 0.0

    def __init__(self, coefficients: Coefficients, radius: float, center: Pair = (0.0, 0.0)) -> None:
        super().__init__()
        self.coefficients, self.radius, self.center = coefficients, radius, center

    def forward(self, field: Field) -> Field:
        """See `aberrate`."""
        return aberrate(field, self.coefficients, self.radius, self.center)
