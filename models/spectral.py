"""Convolution in the spectrum: transform, product with the spectrum of the padded kernel, sum over channels, pooling.

Kernels are in the order of torch, cross-correlation: tap a of a kernel with the origin o moves the light by o - a and
so multiplies its spectrum by ``exp(2 pi i f (a - o) / n)``. Everything here is linear, the spectral pooling included (a
crop of the spectrum, O. Rippel, J. Snoek, R. P. Adams, NeurIPS 2015), so that layers merge frequency by frequency.
"""

import math
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fouroptics.waves.transforms import fast_length, fft2, ifft2, irfft2, kept, phasor, rfft2

Sides = tuple[int, int]

FEW = 4  #: channels up to which a product for each takes half of the time of matrix products at each frequency
CACHED = 2**18  #: samples of the pictures that are worked on at a time: three times faster than 64 of 16 x 128 x 128


def spectral_layer(light: Tensor, kernels: Tensor, band: int | None = None) -> Tensor:
    """One layer: periodic cross-correlation by FFT, the channels summed as amplitudes, pooled in the spectrum.

    Parameters
    ----------
    light : Tensor
        Shape (B, C, n, n), real or complex; what leaves it on one side comes in on the other.
    kernels : Tensor
        Shape (K, C, k, k), real or complex; tap k//2 is the origin.
    band : int, optional
        Frequencies to keep in each direction, odd for real light, hence samples of the result. The values of a
        constant, and of anything within the band, are kept.

    Returns
    -------
    Tensor
        Shape (B, K, band, band), or (B, K, n, n).
    """
    n, half = light.shape[-1], not (light.is_complex() or kernels.is_complex())
    band = band or n
    mask = kernel_spectrum(kernels, (n, n), (band, band), kernels.shape[-1] // 2, half=half)
    return masked(light, mask, (n, n), (band, band), half=half)


def masked(light: Tensor, mask: Tensor, period: Sides, band: Sides, *, half: bool) -> Tensor:
    """Light through a mask in its spectrum: what one pass of a 4f system does.

    ``u_k[y] = 1/(ny nx) sum_f sum_c mask[k, c, f] U_c[f] exp(2 pi i f y / band)`` over the frequencies of the band.

    Parameters
    ----------
    light : Tensor
        Shape (B, C, y, x), zero-padded behind to `period`.
    mask : Tensor
        Complex (K, C, *band) in FFT order; with `half` only the frequencies from 0 on of the last axis.
    period, band : tuple of int
        Samples before and after, (y, x).
    half : bool
        Light and kernels are real.
    """
    spectrum = rfft2(light, period) if half else fft2(light, period)
    spectrum = crop(spectrum, period, band, half=half) / math.prod(period)
    filtered = multiply(spectrum, mask)
    return irfft2(filtered, band) if half else ifft2(filtered, band)


def kernel_spectrum(kernels: Tensor, period: Sides, band: Sides, origin: int, *, half: bool = False) -> Tensor:
    """Spectrum (K, C, *band) of kernels (K, C, k, k) padded to `period`: its lowest frequencies, in FFT order."""
    complex_type = torch.complex128 if kernels.real.dtype == torch.float64 else torch.complex64
    y, x = (
        _waves(taps, n, count, origin).to(kernels.device, complex_type)
        for taps, n, count in zip(kernels.shape[-2:], period, band, strict=True)
    )
    x, kernels = x[: band[1] // 2 + 1] if half else x, kernels.to(complex_type)
    if kernels.shape[1] <= FEW:
        return y @ kernels @ x.mT
    by_tap = kernels.permute(2, 3, 1, 0)  # channels last in memory, as the matrix product at each frequency wants them
    rows = (y @ by_tap.flatten(1)).unflatten(1, by_tap.shape[1:])
    return (x @ rows.flatten(2)).unflatten(2, by_tap.shape[2:]).permute(3, 2, 0, 1)


@kept(64)
def _waves(taps: int, n: int, band: int, origin: int) -> Tensor:
    """``exp(2 pi i f (a - origin) / n)``, frequency by tap."""
    frequency = torch.arange(band)
    frequency = torch.where(frequency < (band + 1) // 2, frequency, frequency - band)
    return phasor((frequency[:, None] * (torch.arange(taps) - origin)).remainder(n).double() / n)


def crop(spectrum: Tensor, period: Sides, band: Sides, *, half: bool = False) -> Tensor:
    """Lowest frequencies of a spectrum in FFT order."""
    if band[0] < period[0]:
        spectrum = _lowest(spectrum, band[0], -2)
    if band[1] < period[1]:
        spectrum = spectrum[..., : band[1] // 2 + 1] if half else _lowest(spectrum, band[1], -1)
    return spectrum


def _lowest(spectrum: Tensor, band: int, axis: int) -> Tensor:
    negative = band // 2
    low = spectrum.narrow(axis, 0, band - negative)
    return torch.cat([low, spectrum.narrow(axis, spectrum.shape[axis] - negative, negative)], axis)


def multiply(spectrum: Tensor, mask: Tensor) -> Tensor:
    """Product (B, K, y, x) of (B, C, y, x) and (K, C, y, x), frequency by frequency, summed over C."""
    if spectrum.shape[1] <= FEW:
        products = (spectrum[:, c, None] * mask[:, c] for c in range(spectrum.shape[1]))
        return reduce(torch.add, products)
    return torch.einsum("bcyx,kcyx->bkyx", spectrum, mask)


def merge_spectra(stack: list[Tensor], periods: list[int], band: int, *, half: bool = False) -> Tensor:
    """One mask for a stack of layers with nothing but spectral pooling between them: a matrix product a frequency.

    Parameters
    ----------
    stack : list of Tensor
        Kernels (out, in, k, k) of each layer.
    periods : list of int
        Samples a side that each layer works on.
    band : int
        Samples a side behind the last.

    Returns
    -------
    Tensor
        Complex (out of the last, in of the first, band, band), FFT order; ``band // 2 + 1`` columns with `half`.
    """
    merged: Tensor | None = None
    for kernels, n in zip(stack, periods, strict=True):
        layer = kernel_spectrum(kernels, (n, n), (band, band), kernels.shape[-1] // 2, half=half)
        merged = layer if merged is None else torch.einsum("omyx,miyx->oiyx", layer, merged)
    assert merged is not None
    return merged


def spectral_convolution(light: Tensor, kernels: Tensor, padding: int = 0) -> Tensor:
    """``torch.nn.functional.conv2d(light, kernels, padding=padding)`` of real tensors, by FFT; nothing wraps around."""
    period, (outputs, channels) = _period(light, kernels, padding), kernels.shape[:2]
    height, width = (n + 2 * padding - taps + 1 for n, taps in zip(light.shape[-2:], kernels.shape[-2:], strict=True))
    mask = kernel_spectrum(kernels, period, period, padding, half=True)
    some = max(CACHED // (max(channels, outputs) * math.prod(period)), 2 * channels)
    parts = (masked(part, mask, period, period, half=True) for part in light.split(some))
    return torch.cat([part[..., :height, :width] for part in parts])


def direct_convolution(light: Tensor, kernels: Tensor, padding: int = 0, stride: int = 1) -> Tensor:
    """``torch.nn.functional.conv2d``, with the zeros put around the light before.

    oneDNN takes four to ten times as long where it has to pad for kernels of more than 14 to 18 taps a side itself.
    """
    return F.conv2d(F.pad(light, (padding,) * 4) if padding else light, kernels, stride=stride)


class Cost(NamedTuple):
    """Nanoseconds: a product of a direct convolution, one of a wide kernel, a sample of an FFT, a product of spectra.

    On one core of an AMD EPYC with torch 2.13 (oneDNN, MKL), from 72 sizes of 28 to 224 pixels, 3 to 33 taps and 1, 3
    and 16 channels to 16 and 32; FORWARD.direct and MANY were then set by cases of `benchmarks.spectral` that had gone
    wrong, so what that shows of the choice is no test on other sizes.
    """

    direct: float
    wide: float  # more than NARROW taps: oneDNN has no fast gradient for them
    transform: float
    product: float


TRAINING = Cost(direct=0.027, wide=0.076, transform=4.9, product=3.5)  #: forward and backward
FORWARD = Cost(direct=0.011, wide=0.011, transform=2.5, product=1.4)
NARROW = 14
MANY = 1.4  #: of the time of a product, where there are more than FEW channels
KERNELS = 7  #: the spectra of the kernels cost as much as the products of so many images


def spectral_is_faster(light: Tensor, kernels: Tensor, padding: int = 0, stride: int = 1) -> bool:
    """Whether `spectral_convolution` is expected to take less time than a direct one.

    Of a convolution with stride it is not known, nor on an accelerator: there the direct one is taken.
    """
    if stride > 1 or light.device.type != "cpu":
        return False
    training = torch.is_grad_enabled() and (light.requires_grad or kernels.requires_grad)
    cost, batch = TRAINING if training else FORWARD, light.shape[0]
    (outputs, channels), taps = kernels.shape[:2], kernels.shape[-2:]
    pairs, results = outputs * channels, (n + 2 * padding - k + 1 for n, k in zip(light.shape[-2:], taps, strict=True))
    direct = batch * pairs * math.prod(taps) * math.prod(results)
    period = math.prod(_period(light, kernels, padding))
    transforms, products = batch * (channels + outputs) * period, (batch + KERNELS) * pairs * period / 2
    spectral = transforms * cost.transform + products * cost.product * (MANY if channels > FEW else 1)
    return spectral < direct * (cost.wide if max(taps) > NARROW else cost.direct)


def _period(light: Tensor, kernels: Tensor, padding: int) -> Sides:
    """Sides of the FFT: the zeros behind the light are also those before it."""
    needed = (
        max(n + padding, n + 2 * padding - taps + 1)
        for n, taps in zip(light.shape[-2:], kernels.shape[-2:], strict=True)
    )
    y, x = (2 * fast_length(-(-n // 2)) for n in needed)  # of odd lengths the real FFT takes half as long again
    return y, x
