"""What everything is held against: the setting, the plain padded form, and how far off an answer is."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import fouroptics as fo

WAVELENGTH = 633e-9
PITCH = 8e-6
DISTANCE = 0.1


def beam(n: int, device: str = "cpu", waist: float = 60e-6) -> fo.Field:
    """Return a Gaussian beam on n x n samples, complex64, on a floor of 1e-9 (denormal numbers would be slow)."""
    field = fo.gaussian_beam(fo.Grid((n, n), PITCH), WAVELENGTH, waist=waist)
    return field.replace(data=field.data + 1e-9 * field.data.abs().max()).to(device)


def transfer_function(n: int, z: float, dtype: torch.dtype = torch.complex64, device: str = "cpu") -> Tensor:
    """Angular spectrum for n x n samples padded twice, in FFT order, with the 1/(2n)^2 of the inverse transform."""
    frequency = torch.fft.fftfreq(2 * n, PITCH, dtype=torch.float64)
    square = frequency[:, None] ** 2 + frequency**2
    k = 1 / WAVELENGTH
    turns = z * k % 1 - square / (k + torch.sqrt(k**2 - square)) * z % 1
    return torch.polar(torch.full_like(turns, 1 / (2 * n) ** 2), 2 * math.pi * turns).to(device, dtype)


def plain(n: int, z: float, dtype: torch.dtype = torch.complex64, device: str = "cpu") -> Callable[[Tensor], Tensor]:
    """Return the plain form: zero-pad, FFT, multiply, inverse FFT, crop, with its transfer function at hand."""
    kernel = transfer_function(n, z, dtype, device)

    def propagate(data: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(data, s=(2 * n, 2 * n)) * kernel
        return torch.fft.ifft2(spectrum, norm="forward")[..., :n, :n]

    return propagate


def exact(data: Tensor, z: float) -> Tensor:
    """Return the plain form in complex128: for a beam that stays inside the window, the answer."""
    return plain(data.shape[-1], z, torch.complex128)(data.cpu().to(torch.complex128))


def off(result: Any, answer: Tensor) -> float:
    """Relative L2 distance to the answer, after the constant phase that brings them closest: some drop exp(ikz)."""
    result = torch.as_tensor(result).detach().cpu().to(answer.dtype)
    turned = result * torch.polar(torch.ones((), dtype=torch.float64), -(answer.conj() * result).sum().angle())
    return float((turned - answer).norm() / answer.norm())
