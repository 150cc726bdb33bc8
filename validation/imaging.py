"""Imaging: dark rings, transfer functions, Strehl ratios, targets and fringes in incoherent light."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from scipy.integrate import quad
from scipy.special import j1, jn_zeros
from torch import Tensor

import fouroptics as fo
from fouroptics.light.modes import extended_source, intensity
from fouroptics.light.sources import axes
from fouroptics.light.zernike import indices, noll
from fouroptics.units import mm, nm, um
from fouroptics.waves import imaging
from validation.case import DOUBLE, SINGLE, Case, Point, dtype_name

WAVELENGTH, F, R = 633 * nm, 0.2, 1 * mm
SCALE = WAVELENGTH * F


def circle(
    samples: int, turns: Callable[[Tensor, Tensor], Tensor] | None = None, dtype: torch.dtype = DOUBLE
) -> fo.Field:
    """Circular pupil with `samples` a radius; `turns` is its wavefront in wavelengths at (y, x) in radii."""
    grid = fo.Grid((2 * samples + 4, 2 * samples + 4), R / samples)
    y, x = axes(grid)
    phase = 2 * math.pi * turns(y / R, x / R) if turns else torch.zeros(1, dtype=torch.float64)
    return fo.Field(
        (fo.shapes.circle(grid, R) * torch.polar(torch.ones_like(phase), phase)).to(dtype), grid, WAVELENGTH
    )


def dark_ring(k: int, samples: int, dtype: torch.dtype) -> float:
    """Intensity at the k-th zero of J1 over that on the axis."""
    at = float(jn_zeros(1, k)[-1]) * SCALE / (2 * math.pi * R)
    pupil = circle(samples, dtype=dtype)
    ring, axis = (imaging.psf(pupil, F, fo.Grid((1, 1), 1 * um, (0.6 * x, 0.8 * x))) for x in (at, 0.0))
    return float(ring / axis)


def overlap(s: float, waves: float) -> float:
    """Transfer function of a circular pupil with defocus at s cut-offs: an integral over the overlap of two disks."""
    if waves == 0:
        return 2 / math.pi * (math.acos(s) - s * math.sqrt(1 - s**2))
    chord = quad(lambda x: math.sqrt(1 - (x + s) ** 2) * math.cos(8 * math.pi * waves * s * x), 0, 1 - s, limit=200)
    return 4 / math.pi * chord[0]


def transfer(samples: int, waves: float = 0.0, dtype: torch.dtype = DOUBLE, *, area: bool = True) -> float:
    """Largest error of the transfer function from a quarter of the cut-off on, along x and along the diagonal.

    `area` refers it to the power of the whole disk, and not to that of the samples.
    """
    pupil = circle(samples, lambda y, x: waves * (y**2 + x**2), dtype)
    values = imaging.otf(pupil, F)[1]
    if area:
        values = values * pupil.power() / (math.pi * R**2)
    middle, step = values.shape[-1] // 2, samples // 8
    lines = [(0, k, k / 16) for k in range(4, 16)] + [(-k, k, k / 16 * math.sqrt(2)) for k in range(3, 12)]
    return max(abs(complex(values[middle + i * step, middle + k * step]) - overlap(s, waves)) for i, k, s in lines)


def order(error: Callable[[int], float]) -> float:
    """How far the order of convergence is from 2, from 32 to 128 samples a radius."""
    return abs(math.log2(error(32) / error(128)) / 2 - 2)


def slit(waves: float, samples: int = 128, dtype: torch.dtype = DOUBLE) -> float:
    """Error of the transfer function of a slit with defocus, its edges on the borders of cells."""
    grid = fo.Grid((1, samples), 2 * R / samples)
    x = (axes(grid)[1] + R / samples) / R
    pupil = fo.Field(torch.polar(torch.ones_like(x), 2 * math.pi * waves * x**2).to(dtype), grid, WAVELENGTH)
    frequencies, values = imaging.otf(pupil, F)
    s = np.abs(frequencies.coordinates()[1]) * SCALE / (2 * R)
    exact = (1 - s) * np.sinc(8 * waves * s * (1 - s))
    return float((values[0] - torch.from_numpy(exact)).abs().max())


def zernike(j: int, r: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Noll's polynomial as the sum over factorials that defines it."""
    n, m = indices(j)
    a, f = abs(m), math.factorial
    radial = np.zeros_like(r)
    for k in range((n - a) // 2 + 1):
        radial += (-1) ** k * f(n - k) / (f(k) * f((n + a) // 2 - k) * f((n - a) // 2 - k)) * r ** (n - 2 * k)
    return math.sqrt((n + 1) * (2 if m else 1)) * radial * (np.sin(a * theta) if m < 0 else np.cos(a * theta))


def strehl(rms: float, samples: int = 64, dtype: torch.dtype = DOUBLE) -> float:
    """Largest error of the ratio of two peaks and of `strehl`, for Noll's polynomials 4 to 36 of `rms` wavelengths."""
    nodes, weights = leggauss(40)
    r, theta = np.sqrt((1 + nodes[:, None]) / 2), 2 * np.pi * np.arange(96) / 96
    onto, errors = fo.Grid((1, 1), 1 * um), []
    best = imaging.psf(circle(samples, dtype=dtype), F, onto)
    for j in range(4, 37):
        exact = abs(weights / 2 @ np.exp(2j * np.pi * rms * zernike(j, r, theta)).mean(1)) ** 2
        pupil = circle(samples, lambda y, x, j=j: rms * noll(j, y, x), dtype)
        errors += [float(imaging.psf(pupil, F, onto) / best) - exact, float(imaging.strehl(pupil)) - exact]
    return max(abs(error) for error in errors)


def gaussian_target(dtype: torch.dtype) -> float:
    """Error over the peak for 1 + cos(2 pi v x) in a Gaussian window, behind a Gaussian pupil."""
    grid, width, window, v = fo.Grid((160, 163), 6 * um), 0.8 * mm, 60 * um, 1 / (120 * um)
    pupil = fo.gaussian_beam(fo.Grid((256, 256), 36 * um), WAVELENGTH, waist=width, dtype=dtype)
    y, x = axes(grid)
    image = torch.exp(-(y**2 + x**2) / (2 * window**2)) * (1 + torch.cos(2 * math.pi * v * x))
    spread = SCALE / (2 * math.pi * width)  # its PSF is a Gaussian of this standard deviation
    wide, part = window**2 + spread**2, window**2 / (window**2 + spread**2)
    depth = math.exp(-2 * (math.pi * v * spread) ** 2 * part)
    exact = part * torch.exp(-(y**2 + x**2) / (2 * wide)) * (1 + depth * torch.cos(2 * math.pi * v * part * x))
    return float((imaging.incoherent(image, grid, pupil, F) - exact).abs().max() / exact.max())


def sine_target(s: float, dtype: torch.dtype = DOUBLE) -> float:
    """Error of the modulation behind a circle of 64 samples a radius, at s cut-offs in a wide smooth window."""
    pupil, n = circle(64, dtype=dtype), 120
    grid = fo.Grid((n, n), SCALE / (5 * R))
    y, x = axes(grid)
    turns = s * 2 * R / SCALE * x
    window = torch.exp(-(y**2 + x**2) / (2 * (n * grid.spacing[0] / 12) ** 2))
    image = window * (1 + torch.cos(2 * math.pi * turns))
    seen = imaging.incoherent(image, grid, pupil, F) * (pupil.power() / (math.pi * R**2))
    wave = torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
    return abs(float(((seen * wave).sum() / (image * wave).sum()).abs()) - overlap(s, 0))


def fringes(shape: Literal["disk", "rectangle"], v: float, dtype: torch.dtype = DOUBLE) -> float:
    """Error of the visibility of Young's fringes of a uniform source of angular width a: ``v = pi a b / lambda``.

    The fringes are those of two pinholes at a distance b in the focal plane of a lens.
    """
    grid, b = fo.Grid((1, 41), 50 * um), 40 * 50 * um
    pinholes = torch.zeros(1, 41, dtype=torch.float64)
    pinholes[0, [0, -1]] = 1
    quarter = fo.Grid((1, 4), (1 * um, SCALE / (4 * b)))  # four points of one fringe
    light = extended_source(grid, WAVELENGTH, size=v * WAVELENGTH / (math.pi * b), shape=shape, samples=16, dtype=dtype)
    seen = intensity(light, lambda u: fo.fourier_lens(u.modulate(pinholes), F, quarter))[0]
    coherence = complex((seen * torch.tensor([-1, -1j, 1, 1j])).sum() / seen.sum()) * 2
    return abs(coherence - (2 * j1(v) / v if shape == "disk" else np.sinc(v / math.pi)))


def both(label: str, tolerance: float, measure: Callable[..., float]) -> tuple[Point, Point]:
    """One comparison in both precisions; complex64 may be off by sixteen float32 steps of the largest value more."""
    return (
        Point(label, tolerance, partial(measure, dtype=DOUBLE), dtype_name(DOUBLE)),
        Point(label, tolerance + 2e-6, partial(measure, dtype=SINGLE), dtype_name(SINGLE)),
    )


CASES = (
    Case(
        "Airy pattern, dark rings",
        "G. B. Airy (1835): intensity at the first three zeros of J1, over that on the axis",
        "the square of what averaging over cells takes from the amplitude, 0.13 pi^2/6 (d X/(lambda f))^2; complex64: "
        "plus the square of 1e-6",
        tuple(
            Point(
                f"ring {k}, d = R/{samples}",
                (0.13 * math.pi**2 / 6 * (float(jn_zeros(1, k)[-1]) / (2 * math.pi * samples)) ** 2) ** 2 + extra,
                partial(dark_ring, k, samples, dtype),
                dtype_name(dtype),
            )
            for k in (1, 2, 3)
            for samples in (32, 128)
            for dtype, extra in ((DOUBLE, 0.0), (SINGLE, 1e-12))
        ),
    ),
    Case(
        "MTF, circle",
        "H. H. Hopkins, Proc. R. Soc. A 231, 91 (1955): overlap of two disks, closed, or with W wavelengths of defocus "
        "by scipy.integrate.quad; complex, from a quarter of the cut-off on, for the power of the disk",
        "second order: (0.25 + pi W/3) (d/R)^2, a quarter for the cells that both edges cross, the rest the midpoint "
        "rule as for the slit",
        tuple(
            point
            for waves in (0.0, 0.25, 0.5, 1.0, 2.0)
            for point in both(
                f"d = R/64, W = {waves:g}", (0.25 + math.pi * waves / 3) / 64**2, partial(transfer, 64, waves)
            )
        ),
    ),
    Case(
        "MTF, circle, 1 at zero frequency",
        "the same, with the power of the samples, so that the value at zero frequency is 1",
        "first order: an edge cell that is covered by c holds the power c^2, which leaves out 0.332 d/R in all (c - "
        "c^2 averaged over edges of all directions, times the perimeter)",
        tuple(
            Point(f"d = R/{n}, W = 0", 0.332 / n, partial(transfer, n, area=False), "complex128") for n in (32, 64, 128)
        ),
    ),
    Case(
        "MTF, circle, order",
        "the same, for the power of the disk, from d = R/32 to R/128: distance of the order of convergence from 2",
        "a tenth for the next order, and for the samples at the edge, which carry what a straight edge covers",
        tuple(
            Point(f"W = {waves:g}", 0.1, partial(order, partial(transfer, waves=waves)), "complex128")
            for waves in (0.0, 1.0)
        ),
    ),
    Case(
        "MTF, slit",
        "overlap of two slits of half-width a with W wavelengths of defocus: (1 - s) sinc(8 W s (1 - s)) at s cut-offs",
        "midpoint rule for a cosine that turns by 8 pi W s a half-width: (pi W/3) (d/a)^2; without defocus the sum is "
        "exact, 1e-12 leaves float64 a thousandfold for rounding",
        tuple(
            point
            for waves in (0.0, 0.5, 1.0, 2.0)
            for point in both(f"d = a/64, W = {waves:g}", math.pi * waves / 3 / 64**2 + 1e-12, partial(slit, waves))
        ),
    ),
    Case(
        "Strehl ratio",
        "|mean exp(2 pi i s Z_j)|^2 over the disk by 40 Gauss-Legendre nodes x 96 angles, Z_j from its sum over "
        "factorials (Noll, 1976); largest error of strehl() and of the ratio of two peaks of psf() for j = 4 to 36",
        "midpoint rule for exp(i phi), whose slope at the rim is largest for j = 22: 4 pi^2 28 s^2 (d/R)^2",
        tuple(
            point
            for waves in (1 / 14, 1 / 8)
            for point in both(
                f"d = R/64, s = {waves:.3g}", 4 * math.pi**2 * 28 * (waves / 64) ** 2, partial(strehl, waves)
            )
        ),
    ),
    Case(
        "Strehl ratio, order",
        "the same, from d = R/32 to R/128: distance of the order of convergence from 2",
        "a tenth for the next order",
        (Point("s = 0.0714", 0.1, partial(order, partial(strehl, 1 / 14)), "complex128"),),
    ),
    Case(
        "incoherent image, Gaussian",
        "1 + cos(2 pi v x) in a Gaussian window behind a Gaussian pupil: Gaussians convolved with a Gaussian",
        "smooth and inside its grids: the sum is exact, 1e-12 leaves float64 a thousandfold for rounding",
        both("depth 0.48", 1e-12, gaussian_target),
    ),
    Case(
        "incoherent image, sine target",
        "modulation of a sine in a smooth window behind a circular pupil: its MTF, at s cut-offs",
        "that of the MTF, (d/R)^2/4: what the PSF carries beyond the grid is less",
        tuple(
            point
            for s in (0.25, 0.5, 0.75)
            for point in both(f"d = R/64, s = {s:g}", 0.25 / 64**2, partial(sine_target, s))
        ),
    ),
    Case(
        "visibility of fringes",
        "P. H. van Cittert (1934), F. Zernike (1938): Young's fringes behind two pinholes, of a uniform disk, "
        "2 J1(v)/v, and rectangle, sin(v)/v; 256 modes of extended_source(), intensities added",
        "16 nodes across integrate waves of v <= 6 rad to rounding; 1e-12 leaves float64 a margin",
        tuple(
            point
            for shape in ("disk", "rectangle")
            for v in (0.5, 2.0, 3.8317, 6.0)
            for point in both(f"{shape}, v = {v:g}", 1e-12, partial(fringes, shape, v))
        ),
    ),
)
