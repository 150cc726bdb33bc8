"""Transfer functions and impulse responses of free space: built in float64, carrier reduced, then cast and cached."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from fouroptics.light.grid import Grid, Pair
from fouroptics.waves.transforms import fft2, frequencies


def transfer_function(
    shape: tuple[int, int], spacing: Pair, wavelength: float, z: float | Tensor, *, bandlimit: bool = True
) -> Tensor:
    """Angular-spectrum transfer function ``exp(i kz z)`` in FFT order.

    The phase is ``k z - (kx^2+ky^2)/(k+kz) z``, each term reduced mod 2 pi in float64. Evanescent waves decay with
    ``|z|`` in both directions: what a backward step would amplify is lost.

    Parameters
    ----------
    shape : tuple of int
        Samples (ny, nx) of the padded window.
    spacing : tuple of float
        Pitch (dy, dx) in metres.
    wavelength : float
        In metres.
    z : float or torch.Tensor
        Distance in metres; a 0-d float64 tensor may need a gradient.
    bandlimit : bool
        Drop the frequencies that walk out of the window, which its transfer function would alias
        (Matsushima and Shimobaba, Opt. Express 17, 19662, 2009, eq. 13 in its rectangular form).

    Returns
    -------
    torch.Tensor
        complex128 (ny, nx).
    """
    f = [frequencies(n, d) for n, d in zip(shape, spacing, strict=True)]
    s2 = (wavelength * f[0][:, None]) ** 2 + (wavelength * f[1][None, :]) ** 2  # squared direction sines
    cosine = (1 - s2).clamp_min(0).sqrt()
    turns = z / wavelength % 1 - (s2.clamp_max(1) / (1 + cosine) * (z / wavelength)) % 1
    decay = torch.exp(-2 * math.pi * (s2 - 1).clamp_min(0).sqrt() * abs(z) / wavelength)
    kernel = torch.polar(decay, 2 * math.pi * turns)
    if bandlimit:
        plain = z.detach() if isinstance(z, Tensor) else z
        for axis, limit in enumerate(band_limits(shape, spacing, wavelength, float(plain))):
            inside = f[axis].abs() <= limit
            kernel = kernel * (inside[:, None] if axis == 0 else inside[None, :])
    return kernel


def band_limits(shape: tuple[int, int], spacing: Pair, wavelength: float, z: float) -> Pair:
    """Frequencies (y, x) in cycles/m up to which a window of this size samples the transfer function well."""
    limits = [1 / (wavelength * math.hypot(2 * z / (n * d), 1)) for n, d in zip(shape, spacing, strict=True)]
    return limits[0], limits[1]


@lru_cache(maxsize=8)
def cached_transfer_function(
    shape: tuple[int, int],
    spacing: Pair,
    wavelength: float,
    z: float,
    bandlimit: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """`transfer_function` for a plain distance, divided by the number of samples, cast and kept."""
    kernel = transfer_function(shape, spacing, wavelength, z, bandlimit=bandlimit)
    return (kernel / (shape[0] * shape[1])).to(device, dtype)


@lru_cache(maxsize=8)
def cached_impulse_spectrum(
    source: Grid,
    target: Grid,
    wavelength: float,
    z: float,
    shape: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Spectrum of the sampled Rayleigh-Sommerfeld response that carries `source` onto `target`, both of one pitch.

    ``h = (1/2 pi) (z/r) (1/r - ik) exp(ikr)/r dy dx`` (Goodman, *Introduction to Fourier Optics*, eq. 3-41) at every
    difference target - source; `shape` holds at least the sum of both sizes minus one. Includes the division by the
    number of samples.
    """
    offsets = []
    for axis in (0, 1):
        n, m, d = source.shape[axis], target.shape[axis], source.spacing[axis]
        first = target.center[axis] - source.center[axis] - (m // 2) * d + (n // 2) * d
        index = torch.arange(shape[axis], dtype=torch.float64)
        index = torch.where(index < m, index, index - shape[axis])  # negative differences sit at the end
        offsets.append(first + index * d)
    rho2 = offsets[0][:, None] ** 2 + offsets[1][None, :] ** 2
    distance = abs(z)
    r = (rho2 + distance**2).sqrt()
    turns = distance / wavelength % 1 + (rho2 / (r + distance) / wavelength) % 1
    wave = torch.polar(source.cell * distance / (2 * math.pi * r**2), 2 * math.pi * turns)
    response = wave * torch.complex(1 / r, torch.full_like(r, -2 * math.pi / wavelength))
    if z < 0:
        response = response.conj()
    return (fft2(response) / (shape[0] * shape[1])).to(device, dtype)
