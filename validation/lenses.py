"""Lenses: Airy pattern, 4f identity, 4f against conv2d."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import j1
from torch import Tensor
from torch.nn.functional import conv2d, pad

import fouroptics as fo
from fouroptics.light.sources import axes
from fouroptics.masks.compiler import transfer
from fouroptics.units import mm, nm, show, um
from validation.case import Case, Point, relative

F1, F2 = 0.2, 0.3


def airy(pitch: float, dtype: torch.dtype = torch.complex128, radius: float = 1 * mm) -> float:
    """Largest error over the peak, in a zoomed window off the axis behind a lens of f = 200 mm."""
    wavelength, f = 633 * nm, 0.2
    n = 2 * round(1.02 * radius / pitch)
    grid = fo.Grid((n, n), (pitch, pitch))
    onto = fo.Grid((96, 129), (5 * um, 4 * um), (60 * um, -100 * um))
    pupil = fo.Field(fo.shapes.circle(grid, radius).to(dtype), grid, wavelength)
    y, x = axes(onto)
    v = 2 * torch.pi * radius * torch.hypot(y, x).clamp_min(1e-12) / (wavelength * f)
    peak = np.pi * radius**2 / (wavelength * f)
    exact = -1j * peak * 2 * torch.from_numpy(j1(v.numpy())) / v
    return float((fo.fourier_lens(pupil, f, onto).data - exact).abs().max()) / peak


def airy_order() -> float:
    """How far the order of convergence of `airy`, over three halvings of the pitch, is from 2."""
    return abs(math.log2(airy(8 * um) / airy(1 * um)) / 3 - 2)


def cell_average(pitch: float) -> float:
    """Bound of what averaging over a cell takes from the rings of the window of `airy`."""
    corner = math.hypot(300 * um, 356 * um)
    return 0.13 * math.pi**2 / 6 * (pitch * corner / (633 * nm * 0.2)) ** 2


def bench(shape: tuple[int, int]) -> fo.FourF:
    """4f bench of unequal lenses with point pixels and an iris of one band, 125 panel pixels."""
    pitch = 633 * nm * F1 / (125 * 8 * um)
    return fo.FourF(
        {
            "light": {"wavelength": 633 * nm},
            "input": {"shape": shape, "pitch": pitch, "pixel": "point"},
            "lens1": {"focal_length": F1},
            "panel": {"preset": "generic-1080p-8um", "iris": "band"},
            "lens2": {"focal_length": F2},
            "camera": {"pitch": 5 * um},
        }
    )


def through(four_f: fo.FourF, data: Tensor, masks: Tensor) -> Tensor:
    """Samples of the image at the image pixels, as the camera plane has them: inverted."""
    return four_f(fo.Field(data, four_f.input_grid, four_f.wavelength), masks, four_f.image_grid).data


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Complex Gaussian noise, complex128."""
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def identity(shape: tuple[int, int]) -> float:
    """Error of an open 4f against ``-(f1/f2) u(-x f1/f2, -y f1/f2)``."""
    four_f, data = bench(shape), noise(2, *shape)
    out = through(four_f, data, torch.ones(four_f.fourier_grid.shape, dtype=torch.complex128))
    return relative(out, -F1 / F2 * data.flip((-2, -1)))


def convolution(k: int, shape: tuple[int, int], channels: int, count: int = 3) -> float:
    """Error of the 4f with exact masks against torch's conv2d, for real images and signed kernels."""
    four_f, data = bench(shape), noise(2, channels, *shape).real
    weights = noise(count, channels, k, k, seed=1).real
    out = through(four_f, data.to(torch.complex128), transfer(weights, four_f))
    before, after = k // 2, k - 1 - k // 2
    exact = conv2d(pad(data, (before, after, before, after)), weights)
    return relative(out.flip((-2, -1)) * (-F2 / F1), exact)


def settings(*items: dict[str, Any]) -> tuple[Point, ...]:
    """Points of `convolution`."""
    return tuple(
        Point(f"k = {i['k']}, {i['shape'][0]} x {i['shape'][1]}, C = {i['channels']}", 1e-9, partial(convolution, **i))
        for i in items
    )


CASES = (
    Case(
        "Airy pattern",
        "G. B. Airy (1835); Goodman, sec. 4.4.2: 2 J1(v)/v in amplitude, phase -90 degrees, on a zoomed, shifted grid",
        "a sample averages over its cell, which takes pi^2/6 (d X/(lambda f))^2 of the rings, at most 0.13 of the "
        "peak; complex64: plus 1e-6, some float32 steps of the peak",
        tuple(
            Point(f"{name}, d = {show(d, 'length')}", cell_average(d) + extra, partial(airy, d, dtype))
            for name, dtype, extra in (("complex128", torch.complex128, 0.0), ("complex64", torch.complex64, 1e-6))
            for d in (8 * um, 4 * um)
        ),
    ),
    Case(
        "Airy pattern, order",
        "the same, from d = 8 um to 1 um: distance of the order of convergence from 2",
        "a tenth for the next order, and for the samples at the edge, which carry what a straight edge covers",
        (Point("f = 200 mm", 0.1, airy_order),),
    ),
    Case(
        "4f identity",
        "two lens transforms (Goodman, eq. 5-19): o(x, y) = -(f1/f2) u(-x f1/f2, -y f1/f2), f1 = 0.2 m, f2 = 0.3 m",
        "a sum over one band is exact; 1e-9 leaves float64 a thousandfold for rounding",
        tuple(Point(f"{ny} x {nx}", 1e-9, partial(identity, (ny, nx))) for ny, nx in ((28, 28), (27, 27), (20, 31))),
    ),
    Case(
        "4f convolution",
        "torch.nn.functional.conv2d, tap k//2 at the origin, zero padding k//2 before and k-1-k//2 behind",
        "as for the identity: the band holds image and kernel, nothing wraps",
        settings(
            {"k": 3, "shape": (28, 28), "channels": 1},
            {"k": 4, "shape": (28, 28), "channels": 1},
            {"k": 5, "shape": (20, 31), "channels": 3},
            {"k": 2, "shape": (27, 16), "channels": 2},
        ),
    ),
)
