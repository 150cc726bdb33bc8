"""Zernike polynomials: order, signs, closed forms, orthonormality, digits."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from fouroptics.errors import GeometryError
from fouroptics.light.zernike import indices, noll

TABLE = [  # Noll, table I: (n, m), cosines positive, sines negative
    *[(0, 0), (1, 1), (1, -1), (2, 0), (2, -2), (2, 2), (3, -1), (3, 1), (3, -3), (3, 3), (4, 0)],
    *[(4, 2), (4, -2), (4, 4), (4, -4), (5, 1), (5, -1), (5, 3), (5, -3), (5, 5), (5, -5), (6, 0)],
]
CLOSED = {
    1: lambda r, a: 1 + 0 * r,
    2: lambda r, a: 2 * r * np.cos(a),
    3: lambda r, a: 2 * r * np.sin(a),
    4: lambda r, a: math.sqrt(3) * (2 * r**2 - 1),
    5: lambda r, a: math.sqrt(6) * r**2 * np.sin(2 * a),
    6: lambda r, a: math.sqrt(6) * r**2 * np.cos(2 * a),
    7: lambda r, a: math.sqrt(8) * (3 * r**3 - 2 * r) * np.sin(a),
    8: lambda r, a: math.sqrt(8) * (3 * r**3 - 2 * r) * np.cos(a),
    9: lambda r, a: math.sqrt(8) * r**3 * np.sin(3 * a),
    10: lambda r, a: math.sqrt(8) * r**3 * np.cos(3 * a),
    11: lambda r, a: math.sqrt(5) * (6 * r**4 - 6 * r**2 + 1),
    22: lambda r, a: math.sqrt(7) * (20 * r**6 - 30 * r**4 + 12 * r**2 - 1),
}


def test_order_and_sign_are_those_of_the_table():
    assert [indices(j) for j in range(1, len(TABLE) + 1)] == TABLE


def test_every_mode_has_one_index():
    """A row n holds n + 1 modes, and even j are the cosines."""
    found = [indices(j) for j in range(1, 232)]
    assert sorted(found) == sorted((n, m) for n in range(21) for m in range(-n, n + 1, 2))
    assert all((m > 0) == (j % 2 == 0) for j, (_, m) in enumerate(found, start=1) if m)


@pytest.mark.parametrize("j", CLOSED)
def test_closed_forms_hold_inside_and_beyond_the_disk(j: int):
    """Float64, and polynomials of at most 60 at rho = 1.5: a few dozen roundings."""
    r, a = np.meshgrid(np.linspace(0, 1.5, 31), np.linspace(0, 6.2, 17))
    y, x = torch.from_numpy(r * np.sin(a)), torch.from_numpy(r * np.cos(a))
    np.testing.assert_allclose(noll(j, y, x).numpy(), CLOSED[j](r, a), rtol=0, atol=1e-12)


def test_modes_are_orthonormal_over_the_disk():
    """Products of order 20 are integrated exactly by 11 Gauss nodes in rho and 21 angles; what is left is rounding."""
    node, weight = np.polynomial.legendre.leggauss(16)
    rho, angle = (node + 1) / 2, 2 * np.pi * np.arange(32) / 32
    area = torch.from_numpy((weight * rho / 32)[:, None] * np.ones(32)).ravel()  # of sum 1
    y, x = (torch.from_numpy(np.outer(rho, part(angle))).ravel() for part in (np.sin, np.cos))
    modes = torch.stack([noll(j, y, x) for j in range(1, 67)])
    torch.testing.assert_close(modes * area @ modes.T, torch.eye(66, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("j", "dtype", "digits"), [(36, "float32", 1e-6), (66, "float64", 1e-14), (496, "float64", 1e-13)]
)
def test_no_digits_are_lost_at_high_orders(j: int, dtype: str, digits: float):
    """Against the sum over powers in exact fractions; 31 orders up its integers reach 1e12 and would cost 12 digits."""
    n, m = indices(j)
    rho = [Fraction(i, 64) for i in range(65)]
    sums = [
        sum(
            (-1) ** s * math.comb(n - s, s) * math.comb(n - 2 * s, (n - m) // 2 - s) * r ** (n - 2 * s)
            for s in range((n - m) // 2 + 1)
        )
        for r in rho
    ]
    x = torch.tensor([float(r) for r in rho], dtype=getattr(torch, dtype))
    expected = math.sqrt((n + 1) * (2 if m else 1)) * np.array([float(s) for s in sums])
    np.testing.assert_allclose(
        noll(j, torch.zeros_like(x), x).numpy(), expected, rtol=0, atol=digits * math.sqrt(2 * n + 2)
    )


def test_gradients_are_right_at_the_origin_too():
    y, x = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([0.0, 0.3, -0.9], [0.0, -0.7, 1.2])
    )
    for j in (1, 2, 4, 9, 12, 15):
        assert torch.autograd.gradcheck(lambda y, x, j=j: noll(j, y, x), (y, x))


def test_coordinates_broadcast_and_keep_their_precision():
    y, x = torch.linspace(-1, 1, 4)[:, None], torch.linspace(-1, 1, 5)[None]
    for j in (1, 3, 11):
        assert noll(j, y, x).shape == (4, 5)
        assert noll(j, y, x).dtype == torch.float32


@pytest.mark.parametrize("j", [0, -3, 2.0, "4", None])
def test_an_index_is_a_whole_number_from_one_on(j):
    with pytest.raises(GeometryError, match="whole number from 1 on"):
        indices(j)
    with pytest.raises(GeometryError, match=f"j = {j!r}"):
        noll(j, torch.zeros(1), torch.zeros(1))


def test_numpy_integers_are_indices():
    assert indices(np.int64(8)) == (3, 1)  # pyright: ignore[reportArgumentType]
