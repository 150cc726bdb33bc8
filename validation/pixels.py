"""Pixels: the spectrum of square input pixels, and the quadrature over a panel pixel."""

import math
from functools import partial

import numpy as np
import torch

import fouroptics as fo
from fouroptics.bench.display import square_pixels
from fouroptics.waves.transforms import fourier
from validation.case import Case, Point, relative
from validation.filters import noise


def quadrature(order: int, turn: float, fill: float = 0.9) -> float:
    """Error of the nodes for a wave that turns by ``2 pi turn`` across a pixel, over the area fill."""
    nodes = fo.SLM(fo.SLMConfig(fill_factor=fill)).nodes(order)
    total = sum(node.active * np.exp(2j * np.pi * turn * node.offset[1]) for node in nodes)
    return float(abs(total - fill * np.sinc(turn * np.sqrt(fill)))) / fill


def remainder(order: int, turn: float, fill: float = 0.9) -> float:
    """Bound of that error: the remainder of Gauss-Legendre with its derivative at its largest."""
    side, n = math.sqrt(fill), order
    share = math.factorial(n) ** 4 / ((2 * n + 1) * math.factorial(2 * n) ** 3)
    return share * (2 * math.pi * turn * side) ** (2 * n)


def squares(n: int) -> float:
    """Error of the spectrum of square pixels at the frequencies of its window, below n/2 cycles a pixel."""
    data = noise(5, 8)
    fine = fo.Grid((10 * n, 16 * n), (1 / n, 1 / n))
    frequencies = fo.Grid((10 * n - 1, 16 * n - 1), (1 / 10, 1 / 16))
    spectrum = fourier(square_pixels(data, n), fine, frequencies, 1.0) / n**2
    fy, fx = (torch.from_numpy(np.sinc(axis)) for axis in frequencies.coordinates())
    exact = fourier(data, fo.Grid((5, 8), (1.0, 1.0)), frequencies, 1.0) * fy[:, None] * fx[None, :]
    return relative(spectrum, exact)


CASES = (
    Case(
        "panel pixel",
        "integral of a plane wave over a square: F sinc(nu sqrt(F)), against the Gauss-Legendre nodes of slm.nodes",
        "remainder of n-point Gauss-Legendre (Abramowitz and Stegun, 25.4.30) for a turn of 2 pi nu across a pixel",
        tuple(
            Point(f"{n} points, nu = 1/{part}", remainder(n, 1 / part), partial(quadrature, n, 1 / part), "float64")
            for n, part in ((3, 4), (3, 8), (4, 4), (5, 2))
        ),
    ),
    Case(
        "square pixels",
        "spectrum of squares: that of the pixel values times sinc(fy) sinc(fx)",
        "exact at the frequencies of the window; 1e-9 leaves float64 a thousandfold for rounding",
        tuple(Point(f"{n} x {n} samples a pixel", 1e-9, partial(squares, n), "complex128") for n in (2, 3)),
    ),
)
