"""Padded transforms on a CPU: blocks that stay in cache, a thread to each block.

The rows of samples are transformed first, then a block of columns at a time goes through transform, product and inverse
transform, then the wanted rows go back. The padded spectrum never exists, a quarter of the one-dimensional transforms
is left out, nothing strides through memory, and no thread spins while it waits for work.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

BLOCK = 2**17  #: samples of a block, 1 MB in complex64

Array = NDArray[Any]
Factors = tuple[Array, Array | None, Array | None, tuple[int, int]]  # rest, y, x, shape of a `transforms.Kernel`
Run = Callable[..., Iterable[Any]]


def convolve(data: Array, kernel: Factors, out: tuple[int, int], inverse: tuple[bool, bool], threads: int) -> Array:
    """First `out` samples of ``ifft2(kernel * fft2(data))`` over the last two axes; see `transforms.convolve`."""
    height, width = kernel[3]
    rows = max(data.shape[-2], out[0])

    def one(u: Array, target: Array, run: Run) -> None:
        between = np.empty((rows, width), u.dtype)

        def columns(part: slice) -> None:
            block = np.zeros((height, part.stop - part.start), u.dtype)
            block[: len(u)] = between[: len(u), part]
            block = _transform(block, height, 0, inverse[0], own=True)
            _multiply(block, kernel, part)
            between[: out[0], part] = _transform(block, height, 0, inverse[1], own=True)[: out[0]]

        _rows(u, between, inverse[0], run)
        _each(columns, width, height, run)
        _rows(between[: out[0]], target, inverse[1], run)

    return _over(data, out, threads, one)


def spectrum(data: Array, shape: tuple[int, int], threads: int) -> Array:
    """Padded transform of the last two axes."""

    def one(u: Array, target: Array, run: Run) -> None:
        def columns(part: slice) -> None:
            target[:, part] = _transform(target[: len(u), part], shape[0], 0, False)

        _rows(u, target, False, run)
        _each(columns, shape[1], shape[0], run)

    return _over(data, shape, threads, one)


def filtered(spectrum: Array, kernel: Factors, out: tuple[int, int], threads: int) -> Array:
    """First `out` samples of ``ifft2(kernel * spectrum)``."""

    def one(u: Array, target: Array, run: Run) -> None:
        between = np.empty((out[0], u.shape[1]), u.dtype)

        def columns(part: slice) -> None:
            block = u[:, part].copy()
            _multiply(block, kernel, part)
            between[:, part] = _transform(block, len(block), 0, True, own=True)[: out[0]]

        _each(columns, u.shape[1], len(u), run)
        _rows(between, target, True, run)

    return _over(spectrum, out, threads, one)


def _over(data: Array, out: tuple[int, int], threads: int, one: Callable[[Array, Array, Run], None]) -> Array:
    """Do every sample of a batch, in threads."""
    samples = data.reshape(-1, *data.shape[-2:])
    result = np.empty((len(samples), *out), data.dtype)
    run = mapper(threads)
    if len(samples) >= threads:  # a sample to each thread, all of it in that core's cache
        list(run(one, samples, result, [map] * len(samples)))
    else:
        for u, target in zip(samples, result, strict=True):
            one(u, target, run)
    return result.reshape(*data.shape[:-2], *out)


def mapper(threads: int) -> Run:
    """``map``, on so many threads."""
    return map if threads == 1 else _pool(threads, os.getpid()).map


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process: a fork makes its own."""
    return ThreadPoolExecutor(threads)


def _each(work: Callable[[slice], None], count: int, length: int, run: Run) -> None:
    """Do all lines, as many at a time as make a block."""
    lines = max(BLOCK // length, 16)
    list(run(work, [slice(i, min(i + lines, count)) for i in range(0, count, lines)]))


def _rows(u: Array, target: Array, inverse: bool, run: Run) -> None:
    """Transform along the rows of the longer of the two, zero-padded or cut to the width of `target`."""
    width = max(u.shape[1], target.shape[1])

    def some(part: slice) -> None:
        target[part] = _transform(u[part], width, 1, inverse)[:, : target.shape[1]]

    _each(some, len(u), width, run)


def _multiply(block: Array, kernel: Factors, part: slice) -> None:
    """Multiply some columns of a spectrum by those of the kernel."""
    rest, y, x, (height, width) = kernel
    j, end, kept = part.start, part.stop, rest.shape[1]
    if y is not None and x is not None:
        block *= y[:, None]
        block *= x[j:end]
    if end <= kept:
        columns = rest[:, j:end]
    elif j >= kept:
        columns = rest[:, width - end + 1 : width - j + 1][:, ::-1]
    else:
        columns = rest[:, np.minimum(np.arange(j, end), width - np.arange(j, end))]
    block[: len(rest)] *= columns
    block[len(rest) :] *= columns[1 : height - len(rest) + 1][::-1]


def _transform(block: Array, n: int, axis: int, inverse: bool, *, own: bool = False) -> Array:
    """Unscaled transform along an axis, zero-padded behind to n; one's own block may be used up."""
    way, norm = (scipy.fft.ifft, "forward") if inverse else (scipy.fft.fft, "backward")
    transformed: Any = way(block, n, axis, norm=norm, overwrite_x=own)
    return transformed
