"""Does a zoomed lens transform take the cheapest algorithm? K x K samples, four times finer; A is N x N, not padded."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Call, Contender, Row, Run, compare, floor
from benchmarks.peers import keep
from benchmarks.plain import PITCH, WAVELENGTH, beam, off

ZOOM = 4


def measure(run: Run, size: int = 1024, outputs: tuple[int, ...] = (64, 128, 256, 512)) -> list[Row]:
    """Time `fo.fourier_lens` and the three algorithms that it could take, for each number of output samples."""
    u, f = beam(size, run.device, waist=size * PITCH / 8), 0.2
    rows = []
    for k in outputs:
        onto = fo.Grid((k, k), WAVELENGTH * f / (size * PITCH * ZOOM))
        answer = matrix_product(size, k, torch.complex128, "cpu")(u.data.cpu().to(torch.complex128))
        ours = partial(fo.fourier_lens, u, f, onto)
        unit = answer.norm() / ours().data.norm().cpu()  # scale of the lens transform
        contenders = [
            Contender("fouroptics", "ours", lambda ours=ours, unit=unit: (ours, lambda out: out.data * unit)),
            *(
                Contender(name, "reference", lambda make=make, k=k: _prepare(make, u.data, k))
                for name, make in (("matrix product", matrix_product), ("chirp-z", chirp), ("padded FFT", padded))
            ),
        ]
        wrong = lambda out, answer=answer: off(out, answer)  # noqa: E731
        rows += compare("lens", f"N = {size}, K = {k}", contenders, floor((size, size), run.device), wrong, run)
    return rows


def _prepare(make: Callable[..., Callable[[Tensor], Tensor]], data: Tensor, k: int) -> tuple[Call, Callable]:
    transform = make(data.shape[-1], k, data.dtype, str(data.device))
    return (lambda: transform(data)), keep


def phasor(turns: Tensor, dtype: torch.dtype, device: str) -> Tensor:
    """Return exp(2 pi i turns), from float64."""
    return torch.polar(torch.ones_like(turns), 2 * math.pi * (turns % 1)).to(device, dtype)


def centred(n: int) -> Tensor:
    """Sample numbers from the centre, float64."""
    return torch.arange(n, dtype=torch.float64) - n // 2


def matrix_product(n: int, k: int, dtype: torch.dtype, device: str) -> Callable[[Tensor], Tensor]:
    """Two products with a k x n matrix."""
    matrix = phasor(-centred(k)[:, None] * centred(n) / (ZOOM * n), dtype, device)
    transposed = matrix.T.contiguous()
    return lambda data: matrix @ data @ transposed


def chirp(n: int, k: int, dtype: torch.dtype, device: str) -> Callable[[Tensor], Tensor]:
    """Bluestein's convolution with a chirp along each axis: jx = (j^2 + x^2 - (j-x)^2)/2."""
    length = 2 ** math.ceil(math.log2(n + k - 1))
    x, j = centred(n), centred(k)
    before, after = (phasor(-(i**2) / (2 * ZOOM * n), dtype, device) for i in (x, j))
    lag = torch.arange(length, dtype=torch.float64)
    lag = torch.where(lag < k, lag, lag - length) + j[0] - x[0]
    spectrum = torch.fft.fft(phasor(lag**2 / (2 * ZOOM * n), torch.complex128, "cpu")) / length
    spectrum = spectrum.to(device, dtype)

    def along(data: Tensor) -> Tensor:
        out = torch.fft.ifft(torch.fft.fft(data * before, length) * spectrum, norm="forward")
        return out[..., :k] * after

    return lambda data: along(along(data).mT).mT


def padded(n: int, k: int, dtype: torch.dtype, device: str) -> Callable[[Tensor], Tensor]:
    """FFT of the field padded by the zoom, of which a part is kept."""
    m = ZOOM * n
    kept = (torch.arange(k, device=device) - k // 2) % m
    ramp = phasor(centred(k) * (n // 2) / m, dtype, device)

    def transform(data: Tensor) -> Any:
        rows = torch.fft.fft(data, m)[..., kept] * ramp
        return torch.fft.fft(rows.mT, m)[..., kept].mT * ramp[:, None]

    return transform
