"""Light on a tilted plane, and back: free space over a distance that differs from sample to sample.

A plane through a point c is ``z(r) = slope . (r - c)``. On it, without the carrier exp(ikz), a field is

    ``w(r) = int U(f) exp(2 pi i f.r + i g(f) z(r)) df``    with    ``g = kz - k``,

at the samples (y, x) of the grid: seen along the axis, with no rotation of the coordinates. ``exp(i g z)`` is a
polynomial in z to rounding, so a few planes of constant z, at the nodes of Chebyshev, give every sample its own. The
way back is the adjoint with the factor ``1 + slope . grad g / 2 pi``, which makes it the inverse (K. Matsushima,
H. Schimmel and F. Wyrowski, J. Opt. Soc. Am. A 20, 1755, 2003, have the same Jacobian for rotated spectra).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fouroptics.errors import SamplingError
from fouroptics.light.field import Field
from fouroptics.light.sources import axes
from fouroptics.units import show
from fouroptics.waves.sampling import number, steepest, walk
from fouroptics.waves.transforms import fast_length, fft2, frequencies, ifft2, phasor

Place = tuple[float | Tensor, float | Tensor]
MOST = 64  #: planes that stand for a tilted one


class _Planes(NamedTuple):
    """Depths of the planes, their weights at each sample, and the window in which light walks between them."""

    depths: list[float]
    weights: list[Tensor]
    shape: tuple[int, int]
    g: Tensor
    jacobian: Tensor


def onto_tilted(field: Field, slope: Place, center: Place = (0.0, 0.0)) -> Field:
    """Light on the plane ``z = slope . (r - center)``, without the carrier ``exp(ikz)``.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x) in the plane z = 0.
    slope : tuple of float or torch.Tensor
        Rise (dz/dy, dz/dx) of the plane; 0-d tensors may need a gradient.
    center : tuple of float or torch.Tensor
        Position (y, x) of the line on which it meets z = 0, in metres.

    Returns
    -------
    Field
        At the same (y, x), same dtype; light is exact to 1e-6 in complex64 and 1e-11 in complex128, but for what walks
        out of the window.

    Raises
    ------
    SamplingError
        If the light that the samples carry turns too far between the ends of the plane: more than 64 planes.
    """
    planes = _planes(field, slope, center)
    ny, nx = field.grid.shape
    spectrum = fft2(field.data, planes.shape) / math.prod(planes.shape)
    data = torch.zeros_like(field.data)
    for turn, weight in _turned(field, planes):
        data = data + ifft2(spectrum * turn)[..., :ny, :nx] * weight
    return field.replace(data=data)


def from_tilted(field: Field, slope: Place, center: Place = (0.0, 0.0)) -> Field:
    """Light in the plane z = 0 for light on the plane ``z = slope . (r - center)``: the inverse of `onto_tilted`."""
    planes = _planes(field, slope, center)
    ny, nx = field.grid.shape
    spectrum = field.data.new_zeros(())
    for turn, weight in _turned(field, planes):
        spectrum = spectrum + fft2(field.data * weight, planes.shape) * turn.conj()
    spectrum = spectrum * planes.jacobian.to(field.data.device, field.data.real.dtype)
    return field.replace(data=ifft2(spectrum / math.prod(planes.shape))[..., :ny, :nx])


def _turned(field: Field, planes: _Planes) -> Iterator[tuple[Tensor, Tensor]]:
    for depth, weight in zip(planes.depths, planes.weights, strict=True):
        turn = phasor(planes.g * depth / (2 * math.pi))
        yield turn.to(field.data.device, field.data.dtype), weight.to(field.data.device, field.data.real.dtype)


def _planes(field: Field, slope: Place, center: Place) -> _Planes:
    grid, wavelength = field.grid, field.wavelength
    y, x = axes(grid)
    depth = sum(
        torch.as_tensor(s, dtype=torch.float64, device="cpu") * (axis - torch.as_tensor(c, device="cpu"))
        for s, axis, c in zip(slope, (y, x), center, strict=True)
    )
    assert isinstance(depth, Tensor)
    farthest = max(float(depth.detach().abs().max()), wavelength)  # a tilt of 0 has a gradient too
    sine = math.hypot(*(steepest(d, wavelength) for d in grid.spacing))
    k = 2 * math.pi / wavelength
    turns = farthest * k * sine**2 / (1 + math.sqrt(1 - sine**2)) if sine < 1 else math.inf
    count = _count(turns, 1e-12 if field.data.dtype == torch.complex128 else 1e-7)
    if count is None:
        tilt = max(abs(number(s)) for s in slope)
        raise SamplingError(
            f"a tilt of {show(math.atan(tilt), 'angle', 3)} moves the ends of {grid} by {show(farthest, 'length', 3)} "
            f"along the axis, over which the light they carry turns by {turns:.3g} rad, and 60 can be followed: use a "
            "smaller tilt, a smaller grid or coarser samples"
        )
    room = [2 * math.ceil(walk(sine, farthest) / d) for d in grid.spacing]
    shape = fast_length(grid.shape[0] + room[0]), fast_length(grid.shape[1] + room[1])
    fy, fx = (frequencies(n, d) for n, d in zip(shape, grid.spacing, strict=True))
    kz = torch.sqrt(k**2 - (2 * math.pi) ** 2 * (fy[:, None] ** 2 + fx**2))
    g = -((2 * math.pi) ** 2) * (fy[:, None] ** 2 + fx**2) / (k + kz)
    rise = [torch.as_tensor(s, dtype=torch.float64, device="cpu") for s in slope]
    jacobian = 1 - 2 * math.pi * (rise[0] * fy[:, None] + rise[1] * fx) / kz
    nodes = [math.cos(math.pi * (i + 0.5) / count) for i in range(count)]
    return _Planes([farthest * t for t in nodes], _lagrange(depth / farthest, nodes), shape, g, jacobian)


def _count(turns: float, tolerance: float) -> int | None:
    """Chebyshev nodes that hold ``exp(i g z)`` for phases from -turns to turns: ``2 (turns/2)^n / n!`` is the error."""
    error = 2.0
    for n in range(1, MOST + 1):
        error *= turns / (2 * n)
        if error < tolerance:
            return n
    return None


def _lagrange(t: Tensor, nodes: list[float]) -> list[Tensor]:
    """Polynomials that are 1 at one node and 0 at the others, at t in [-1, 1], by the barycentric product."""
    weights = []
    for i, node in enumerate(nodes):
        rest = [(t - other) / (node - other) for j, other in enumerate(nodes) if j != i]
        weights.append(torch.stack(rest).prod(0) if rest else torch.ones_like(t))
    return weights
