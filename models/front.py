"""The optical layer as arithmetic: correlation with a kernel, merging of layers, and averages taken before the sum.

Everything here is linear in the light.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.spectral import direct_convolution, spectral_convolution, spectral_is_faster


def random_weights(outputs: int, inputs: int, size: int, phase: bool) -> nn.Parameter:
    """Random weights that keep the variance: as many outputs as inputs times taps, on average; (re, im) last."""
    parts = (2,) if phase else ()
    return nn.Parameter(torch.randn(outputs, inputs, size, size, *parts) / math.sqrt((1 + phase) * inputs * size**2))


def deltas(outputs: int, inputs: int, size: int, phase: bool) -> Tensor:
    """Kernels of a plain lens: output o shows channel o, and starts again behind the last."""
    kernels = torch.zeros(outputs, inputs, size, size)
    kernels[torch.arange(outputs), torch.arange(outputs) % inputs, size // 2, size // 2] = 1
    return torch.stack([kernels, 0 * kernels], -1) if phase else kernels


def bordered(light: Tensor, size: int) -> Tensor:
    """Light with the zeros that make a valid convolution of `size` taps a 'same' one."""
    before, after = size // 2, size - 1 - size // 2
    return F.pad(light, (before, after, before, after))


def convolve(light: Tensor, kernels: Tensor, padding: int = 0, stride: int = 1) -> Tensor:
    """Cross-correlate light (B, C, y, x) with kernels (K, C, k, k), either real or complex, summed over C.

    Directly or by FFT, whichever is expected to be faster; what is summed is the same.
    """
    if kernels.is_complex():
        real, imaginary = (convolve(light, part, padding, stride) for part in (kernels.real, kernels.imag))
        return real + 1j * imaginary if light.is_complex() else torch.complex(real, imaginary)
    if light.is_complex():
        return torch.complex(*(convolve(part, kernels, padding, stride) for part in (light.real, light.imag)))
    if spectral_is_faster(light, kernels, padding, stride):
        return spectral_convolution(light, kernels, padding)
    return direct_convolution(light, kernels, padding, stride)


def merge(stack: list[Tensor]) -> Tensor:
    """One kernel for a stack of convolutions with nothing between them.

    ``kernel[o, i, n] = sum_m sum_a last[o, m, a] first[m, i, n - a]``, layer by layer.

    Parameters
    ----------
    stack : list of Tensor
        Weights (out, in, k, k) of each layer, real or complex, cross-correlation order.

    Returns
    -------
    Tensor
        Shape (out of the last, in of the first, K, K), K = sum(k) - layers + 1.
    """
    merged = stack[0].transpose(0, 1)
    for weights in stack[1:]:
        merged = F.conv2d(merged, weights.flip((-2, -1)), padding=weights.shape[-1] - 1)
    return merged.transpose(0, 1)


def averages(size: int, read: range, count: int) -> Tensor:
    """Matrix (count, size) of the averages of adaptive average pooling over the pixels that are read.

    Average i is over the read pixels ``floor(i n / count) .. ceil((i + 1) n / count) - 1`` of n.
    """
    matrix, n = torch.zeros(count, size, dtype=torch.float64), len(read)
    for i in range(count):
        window = read[i * n // count : -(-(i + 1) * n // count)]
        matrix[i, list(window)] = 1 / len(window)
    return matrix


def averaged_correlation(light: Tensor, kernels: Tensor, averages: Tensor) -> Tensor:
    """Averages over the 'same' correlation of light with kernels, taken before the sum over taps, hence cheap.

    ``sum_c sum_ab kernel[k, c, a, b] (R_a light_c R_b^T)``, where ``R_a`` are the averages of pixels moved by tap a:
    a small matrix product in place of a correlation at every pixel. Correlation and averages are both linear.

    Parameters
    ----------
    light : Tensor
        Shape (B, C, n, n), real or complex.
    kernels : Tensor
        Shape (K, C, k, k), real or complex; tap k//2 is the origin, outside is dark.
    averages : Tensor
        Real (f, n), in y and in x.

    Returns
    -------
    Tensor
        Shape (B, K, f, f).
    """
    k, count = kernels.shape[-1], len(averages)
    moved = F.pad(averages, (k - 1 - k // 2, k // 2)).unfold(1, averages.shape[1], 1).flip(1)  # (f, k, n)
    dtype = torch.promote_types(light.dtype, kernels.dtype)
    rows = moved.transpose(0, 1).flatten(0, 1).to(light)
    shifted = (rows @ light @ rows.mT).unflatten(-2, (k, count)).unflatten(-1, (k, count))
    taps = shifted.permute(0, 3, 5, 1, 2, 4).flatten(3).flatten(1, 2)  # (B, f f, C k k)
    sums = taps.to(dtype) @ kernels.flatten(1).to(dtype).mT
    return sums.mT.unflatten(-1, (count, count))
