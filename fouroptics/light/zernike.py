"""Zernike polynomials in the order and with the signs of Noll: unit RMS over the unit disk."""

import math
import operator

import torch
from torch import Tensor

from fouroptics.errors import GeometryError


def indices(j: int) -> tuple[int, int]:
    """Radial order n and azimuthal order m of Noll's index j; m > 0 is a cosine, m < 0 a sine.

    Raises
    ------
    GeometryError
        If j is no whole number from 1 on.

    Examples
    --------
    >>> [indices(j) for j in (1, 2, 3, 4, 11)]
    [(0, 0), (1, 1), (1, -1), (2, 0), (4, 0)]
    """
    try:
        place = operator.index(j) - 1
    except TypeError:
        place = -1
    if place < 0:
        raise GeometryError(
            f"Noll index j = {j!r}: must be a whole number from 1 on (1 piston, 2 and 3 tilt, 4 defocus)"
        )
    n = (math.isqrt(8 * place + 1) - 1) // 2
    k = place - n * (n + 1) // 2  # 0 .. n, the place in its row of the table
    m = k + (k + n) % 2
    return n, m if place % 2 else -m


def noll(j: int, y: Tensor, x: Tensor) -> Tensor:
    """Zernike polynomial ``Z_j(y, x)`` (R. J. Noll, J. Opt. Soc. Am. 66, 207, 1976, eq. 1 and table I).

    ``sqrt(n+1) R_n^0(rho)``, or ``sqrt(2(n+1)) R_n^m(rho)`` times ``cos(m theta)`` for even j and ``sin(m theta)`` for
    odd j, with theta from +x to +y: ``Z_2 = 2x``, ``Z_3 = 2y``, ``Z_4 = sqrt(3) (2 rho^2 - 1)``. The mean of
    ``Z_i Z_j`` over the unit disk is 1 for i = j and 0 else.

    It is a polynomial in y and x, differentiable everywhere, and is returned as such beyond the unit disk too, where it
    grows like ``rho^n``: the aperture is a separate thing. ``R_n^m = rho^m P^(0,m)(2 rho^2 - 1)`` comes from the
    recurrence of the Jacobi polynomials, which has integers as coefficients and loses no digits at high orders, as the
    sum over powers does.

    Parameters
    ----------
    j : int
        Noll's index, from 1 (piston) on.
    y, x : torch.Tensor
        Real coordinates that broadcast, in units of the radius of the pupil.

    Returns
    -------
    torch.Tensor
        Real, of the broadcast shape, in the precision of the coordinates.

    Raises
    ------
    GeometryError
        If j is no whole number from 1 on.

    Examples
    --------
    >>> rim = torch.tensor(1.0), torch.tensor(0.0)  # y, x
    >>> [round(float(noll(j, *rim)), 3) for j in (2, 3, 4)]
    [0.0, 2.0, 1.732]
    """
    n, signed = indices(j)
    m, t = abs(signed), 2 * (y * y + x * x) - 1
    radial, before = torch.ones_like(t), torch.zeros_like(t)
    for k in range(1, (n - m) // 2 + 1):
        c = 2 * k + m
        d = max(c - 2, 1)  # 0 only for k = 1, m = 0, where it cancels
        step = (c - 1) * (c * d * t - m * m) * radial - 2 * (k - 1) * (k + m - 1) * c * before
        radial, before = step / (2 * k * (k + m) * d), radial
    cosine, sine = torch.ones_like(t), torch.zeros_like(t)  # times rho^m
    for _ in range(m):
        cosine, sine = cosine * x - sine * y, cosine * y + sine * x
    return math.sqrt((n + 1) * (2 if m else 1)) * radial * (sine if signed < 0 else cosine)
