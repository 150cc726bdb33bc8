"""Fourier transforms: which one, at which size. The only file that calls torch.fft.

All transforms here are unscaled; a scale belongs into the kernel. (Scaled inverse transforms of 2048 x 2048 complex64
are wrong by their own scale in some builds of torch: pytorch/pytorch#169670.)
"""

import math
from functools import lru_cache
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from fouroptics.light.grid import Grid


def fast_length(n: int) -> int:
    """Smallest length of at least n with small prime factors."""
    length: Any = next_fast_len(n)
    return int(length)


def frequencies(n: int, d: float) -> Tensor:
    """Frequencies of an n-point FFT with pitch d, in cycles per unit of d; FFT order, float64."""
    return torch.fft.fftfreq(n, d, dtype=torch.float64)


def fft2(data: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
    """Sum of ``u exp(-2 pi i ...)`` over the last two axes, zero-padded behind to `shape`; FFT order."""
    return torch.fft.fft2(data, s=shape)


def ifft2(data: Tensor) -> Tensor:
    """Sum of ``u exp(+2 pi i ...)`` over the last two axes, without a factor; FFT order."""
    return torch.fft.ifft2(data, norm="forward")


def fourier(data: Tensor, source: Grid, target: Grid, scale: float, sign: int = -1) -> Tensor:
    """Fourier sum ``U(X) = sum_x u(x) exp(sign 2 pi i x X / scale)`` from one grid onto any other.

    Each axis takes an FFT where the two pitches fit one (``scale/(d D)`` a whole number) and a matrix product where
    that is cheaper or the only way. Phases are built in float64.

    Parameters
    ----------
    data : torch.Tensor
        Complex samples (..., y, x) on `source`.
    source, target : Grid
        Grids before and after; their units multiply to those of `scale`.
    scale : float
        ``lambda f`` for a lens, 1 for plain frequencies.
    sign : {-1, 1}
        Sign of the exponent.

    Returns
    -------
    torch.Tensor
        Complex samples (..., Y, X) on `target`, unscaled.
    """
    growth = [target.shape[i] / source.shape[i] for i in (0, 1)]
    for axis in (0, 1) if growth[0] <= growth[1] else (1, 0):  # the axis that shrinks most goes first
        line = (source.shape[axis], source.spacing[axis], source.center[axis])
        onto = (target.shape[axis], target.spacing[axis], target.center[axis])
        data = _transform_axis(data, axis - 2, line, onto, scale, sign)
    return data


def square_pixels(data: Tensor, n: int) -> Tensor:
    """Samples of square pixels on an n times finer grid, twice as wide: the comb of values with a ``sinc`` spectrum.

    Band-limited to n/2 cycles a pixel, where its spectrum is that of ideal squares. Pixel j of an axis of N lies at
    sample ``n (j + N - N//2)``, so both grids have the same centre.
    """
    height, width = data.shape[-2:]
    comb = data.new_zeros((*data.shape[:-2], 2 * height * n, 2 * width * n))
    first = [n * (size - size // 2) for size in (height, width)]
    comb[..., first[0] : first[0] + n * height : n, first[1] : first[1] + n * width : n] = data
    sinc = [torch.sinc(frequencies(2 * size * n, 1 / n)) / (2 * size) for size in (height, width)]
    return ifft2(fft2(comb) * (sinc[0][:, None] * sinc[1][None, :]).to(data.device, data.dtype))


Line = tuple[int, float, float]


def _transform_axis(data: Tensor, dim: int, line: Line, onto: Line, scale: float, sign: int) -> Tensor:
    n, m = line[0], onto[0]
    length = scale / (line[1] * onto[1])
    whole = round(length)
    # An FFT needs the pitches to fit. Its 5 L log2 L flops run about 8 times slower than the 8 n m of a matrix product.
    fits = whole >= n and abs(length - whole) < 1e-12 * length
    if not fits or n * m < 5 * whole * math.log2(max(whole, 2)):
        matrix = _matrix(line, onto, scale, sign, data.dtype, data.device)
        return data @ matrix.T if dim == -1 else matrix @ data
    before, after = _ramps(line, onto, whole, sign, data.dtype, data.device)
    view = (-1,) if dim == -1 else (-1, 1)
    transform = torch.fft.fft if sign < 0 else torch.fft.ifft
    norm = "backward" if sign < 0 else "forward"
    out = transform(data * before.view(view), n=whole, dim=dim, norm=norm)
    if m > whole:  # the sum is periodic
        out = out.index_select(dim, torch.arange(m, device=data.device) % whole)
    return out.narrow(dim, 0, m) * after.view(view)


def _turns_to_phasor(turns: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.polar(torch.ones_like(turns), 2 * math.pi * (turns % 1)).to(device, dtype)


@lru_cache(maxsize=64)
def _matrix(line: Line, onto: Line, scale: float, sign: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    x, big_x = ((torch.arange(n, dtype=torch.float64) - n // 2) * d + c for n, d, c in (line, onto))
    return _turns_to_phasor(sign * big_x[:, None] * x / scale, dtype, device)


@lru_cache(maxsize=64)
def _ramps(
    line: Line, onto: Line, whole: int, sign: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Phase ramps that turn an FFT (first sample at 0) into the transform between two centred, shifted lines."""
    (n, d, c), (m, big_d, big_c) = line, onto
    start, begin = c / d - n // 2, big_c / big_d - m // 2
    i, j = torch.arange(n, dtype=torch.float64), torch.arange(m, dtype=torch.float64)
    before = _turns_to_phasor(sign * begin * i / whole, dtype, device)
    return before, _turns_to_phasor(sign * start * (j + begin) / whole, dtype, device)
