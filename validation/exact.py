"""Fields of free space in closed form, or as a sum that converges faster than any power: numpy, float64.

Each takes positions in metres, (y, x) that broadcast, and returns the complex field at a distance z behind the plane
z = 0, with its carrier ``exp(ikz)`` and its absolute phase. None of them uses an FFT or the package.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray
from scipy.special import fresnel, wofz

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
Pair = tuple[float, float]


def phasor(turns: ArrayLike) -> Complex:
    """``exp(2 pi i turns)``, whole turns taken out first."""
    return np.exp(2j * np.pi * (np.asarray(turns) % 1))


# ---- beams -----------------------------------------------------------------------------------------------------------


def gaussian(y: Real, x: Real, z: float, wavelength: float, waist: float, sines: Pair = (0.0, 0.0)) -> Complex:
    """Paraxial Gaussian beam of amplitude 1 in its waist at z = 0 (Siegman, *Lasers*, eq. 16.17).

    ``exp(ikz - r^2/W)/(1 + iz/zR)`` with ``W = w0^2 (1 + iz/zR)`` and ``zR = pi w0^2/lambda``. A tilt
    ``exp(ik(sy y + sx x))`` moves it by z (sy, sx) and turns it by ``-k s^2 z/2``, as light that is paraxial does.
    """
    spread = 1 + 1j * z * wavelength / (np.pi * waist**2)
    turns = sum(s * axis - s**2 * z / 2 for s, axis in zip(sines, (y, x), strict=True)) / wavelength
    r2 = (y - sines[0] * z) ** 2 + (x - sines[1] * z) ** 2
    return phasor(z / wavelength) * phasor(turns) / spread * np.exp(-r2 / (waist**2 * spread))


def gaussian_correction(y: Real, x: Real, z: float, wavelength: float, waist: float) -> Complex:
    """What `gaussian` misses, to first order: ``-iz/(8k^3) (d^2/dx^2 + d^2/dy^2)^2`` of it.

    ``kz = k - q^2/2k - q^4/8k^3 - ...`` for a transverse wave number q; the paraxial beam stops at the second term.
    """
    width = waist**2 * (1 + 1j * z * wavelength / (np.pi * waist**2))
    r2 = (y**2 + x**2) / width
    k = 2 * np.pi / wavelength
    return -1j * z / (8 * k**3) * (32 - 64 * r2 + 16 * r2**2) / width**2 * gaussian(y, x, z, wavelength, waist)


def beam(y: Real, x: Real, z: float | Real, wavelength: float, waist: float, sines: Pair = (0.0, 0.0)) -> Complex:
    """Spherical wave of a source at an imaginary depth: an exact solution that looks like a Gaussian beam.

    ``exp(ikR)/R`` with ``R^2 = (r - i b s)^2``, ``b = pi w0^2/lambda`` and the unit vector s of its direction, scaled
    to 1 at the origin, the middle of its waist (G. A. Deschamps, Electron. Lett. 7, 684, 1971). It solves the
    Helmholtz equation at any waist and tilt; light that does not travel forward is below ``exp(-k b)``.

    Parameters
    ----------
    y, x, z : array of float or float
        Position in metres.
    wavelength, waist : float
        Vacuum wavelength and 1/e^2 radius w0, in metres.
    sines : tuple of float
        Direction sines (sy, sx).
    """
    depth = z - 1j * np.pi * waist**2 / wavelength
    sy, sx = sines
    beyond = y**2 + x**2 + 2j * depth.imag * (sy * y + sx * x + (math.sqrt(1 - sy**2 - sx**2) - 1) * z)
    distance = -1j * np.sqrt(-(depth**2 + beyond))  # the root whose imaginary part is negative: light leaves the waist
    wave = np.exp(2j * np.pi / wavelength * beyond / (distance + depth))  # R - (z - ib), without its carrier
    return phasor(z / wavelength) * 1j * depth.imag / distance * wave


# ---- openings under a plane wave: the boundary wave ------------------------------------------------------------------


def polygon(y: Real, x: Real, z: float, wavelength: float, corners: tuple[Pair, ...]) -> Complex:
    """Exact field behind a polygon under a plane wave of amplitude 1; its corners (y, x) turn from +x to +y.

    The first Rayleigh-Sommerfeld integral over an opening under a plane wave is ``exp(ikz)`` within the shadow of its
    edge, minus ``1/(2 pi) int (z/r) exp(ikr) dphi`` along the edge, which turns by dphi as seen from the point: the
    integral over the radius is ``exp(ikr)`` itself (Marchand and Wolf, J. Opt. Soc. Am. 52, 761, 1962). On a straight
    edge at distance p, ``s = p sinh t`` and ``dphi = dt/cosh t``.
    """
    y, x = np.broadcast_arrays(y, x)
    field, turned = np.zeros(y.shape, complex), np.zeros(y.shape)
    for (y0, x0), (y1, x1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        length = np.hypot(y1 - y0, x1 - x0)
        cy, cx = (y1 - y0) / length, (x1 - x0) / length
        s = (y0 - y) * cy + (x0 - x) * cx
        p = (y - y0) * cx - (x - x0) * cy
        first, last = np.arcsinh(s / abs(p)), np.arcsinh((s + length) / abs(p))
        steepest = 2 * np.pi / wavelength * np.maximum(s**2, (s + length) ** 2) / z
        rate = steepest + 6  # of the phase along t; 6 for 1/cosh
        for t, dt in panels(first, last, float(((last - first) * rate).max())):
            angle = np.sign(p) * dt / np.cosh(t)
            field -= angle / (2 * np.pi) * _slanted((p * np.cosh(t)) ** 2, z, wavelength)
        turned += (np.arctan((s + length) / p) - np.arctan(s / p)) / (2 * np.pi)
    return (field + np.round(turned)) * phasor(z / wavelength)


def _slanted(rho2: Real, z: float, wavelength: float) -> Complex:
    """``(z/r) exp(ik(r - z))`` at ``r^2 = z^2 + rho^2``."""
    r = np.sqrt(z**2 + rho2)
    return z / r * phasor(rho2 / (r + z) / wavelength)


def panels(first: Real, last: Real, phase: float) -> Iterator[tuple[Real, Real]]:
    """Nodes and weights from `first` to `last`: 16 of Gauss-Legendre for every 6 pi of the phase, good to 1e-12."""
    count = math.ceil(phase / (6 * math.pi))
    step = (last - first) / count
    for i in range(count):
        for node, weight in zip(*leggauss(16), strict=True):
            yield first + step * (i + (1 + node) / 2), step * weight / 2


def circle(y: Real, x: Real, z: float, wavelength: float, radius: float) -> Complex:
    """Exact field behind a circular opening under a plane wave of amplitude 1: the boundary wave of `polygon`.

    The sum over the turning angle is that of a periodic function; points stay a hundredth of the radius off the shadow.
    """
    rho = np.hypot(y, x)
    field = np.where(rho < radius, 1 + 0j, 0)
    n = 4000 + 2 * math.ceil(2 * np.pi / wavelength * radius * float(rho.max()) / z)
    for angle in (np.arange(n // 2) + 0.5) * 2 * np.pi / n:  # the other half is the same
        across = radius**2 - radius * rho * np.cos(angle)
        rho2 = 2 * across + rho**2 - radius**2
        field = field - 2 / n * across / rho2 * _slanted(rho2, z, wavelength)
    return field * phasor(z / wavelength)


def circle_axis(z: float, wavelength: float, radius: float, depth: float = math.inf) -> complex:
    """Exact field on the axis behind a circular opening under a plane or a spherical wave.

    ``exp(ikz) - (z/r) exp(ikr)`` with ``r^2 = z^2 + a^2`` for a plane wave of amplitude 1 (Osterberg and Smith, J. Opt.
    Soc. Am. 51, 1050, 1961). With the path p = r0 + r, whose ``dp/p`` is ``rho drho/(r0 r)``, the same integral gives
    ``exp(ikp)/p`` on the axis minus ``(z/r) exp(ikp)/p`` at the edge for the wave ``exp(ik r0)/r0`` of a source at
    `depth` before the opening; a negative depth makes r0 negative: light that converges to the distance -depth.
    """
    edge = _slanted(np.array(radius**2), z, wavelength)
    if math.isinf(depth):
        return complex(phasor(z / wavelength) * (1 - edge))
    sag = math.copysign(radius**2 / (math.hypot(depth, radius) + abs(depth)), depth)  # of r0, at the edge
    outer = depth + sag + math.hypot(z, radius)
    late = np.exp(2j * np.pi * sag / wavelength)
    return complex(phasor((depth + z) / wavelength) * (1 / (depth + z) - edge * late / outer))


def disk(
    rho: Real, z: float, wavelength: float, radius: float, phase: Callable[[Real], Real], nodes: tuple[int, int]
) -> Complex:
    """Exact field at distances rho from the axis behind a disk that carries ``exp(i phase(rho))``.

    The first Rayleigh-Sommerfeld integral (Goodman, eq. 3-41) itself: Gauss-Legendre along the radius, equal steps
    around.
    """
    node, weight = leggauss(nodes[0])
    s, ds = radius * (1 + node) / 2, radius * weight / 2
    angle = (np.arange(nodes[1]) + 0.5) * np.pi / nodes[1]
    wave = np.exp(1j * phase(s)) * s * ds * 2 * np.pi / nodes[1]
    rho2 = rho[..., None, None] ** 2 + s**2 - 2 * rho[..., None, None] * s * np.cos(angle)[:, None]
    r = np.sqrt(z**2 + rho2)
    response = (1 / r - 2j * np.pi / wavelength) / (2 * np.pi * r) * _slanted(rho2, z, wavelength)
    return (response * wave).sum((-2, -1)) * phasor(z / wavelength)


# ---- one direction at a time: Fresnel integrals ----------------------------------------------------------------------


def slit(axis: Real, z: float, wavelength: float, edges: Pair) -> Complex:
    """Fresnel field behind a slit under a plane wave, without ``exp(ikz)`` (Goodman, sec. 4.5.1).

    A rectangle is the product of two slits.
    """
    scale = math.sqrt(2 / (wavelength * z))
    (s0, c0), (s1, c1) = (fresnel(scale * (edge - axis)) for edge in edges)
    return ((c1 - c0) + 1j * (s1 - s0)) * np.exp(-0.25j * np.pi) / math.sqrt(2)


def half_gaussian(axis: Real, z: float, wavelength: float, waist: float, edge: float) -> Complex:
    """Fresnel field behind a knife edge that passes a Gaussian beam beyond `edge`, in its waist; without ``exp(ikz)``.

    ``int exp(-x^2/w0^2) exp(i pi (X-x)^2/(lambda z)) dx / sqrt(i lambda z)`` from the edge on is a complementary error
    function of a complex argument (Abramowitz and Stegun, 7.4.32), here by the Faddeeva function w.
    """
    a = 1 / waist**2 - 1j * np.pi / (wavelength * z)
    b = np.pi * axis / (wavelength * z)
    u = np.sqrt(a) * edge + 1j * b / np.sqrt(a)
    whole = np.sqrt(np.pi / a) / np.sqrt(1j * wavelength * z)
    chirp = np.exp(1j * np.pi * axis**2 / (wavelength * z))
    tail = chirp * np.exp(-a * edge**2 - 2j * b * edge) * wofz(1j * np.where(u.real < 0, -u, u)) / 2
    return whole * np.where(u.real < 0, chirp * np.exp(-(b**2) / a) - tail, tail)
