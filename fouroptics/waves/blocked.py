"""Padded transforms on a CPU: blocks that stay in cache, a thread to each block.

The rows of samples are transformed first, then a block of columns at a time goes through transform, product and inverse
transform, then the wanted rows go back. The padded spectrum never exists, a quarter of the one-dimensional transforms
is left out, nothing strides through memory, and no thread spins while it waits for work.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

LINES = 64  #: rows or columns in a block; 32 to 128 measure alike

Array = NDArray[Any]
Factors = tuple[Array, Array | None, Array | None]  # rest, y, x of a `transforms.Kernel`
Run = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]


def convolve(data: Array, kernel: Factors, out: tuple[int, int], inverse: bool, threads: int) -> Array:
    """First `out` samples of ``ifft2(kernel * fft2(data))`` over the last two axes; see `transforms.convolve`."""
    rest, y, x = kernel
    height, width = rest.shape if y is None or x is None else (len(y), len(x))
    rows = max(data.shape[-2], out[0])

    def one(u: Array, target: Array, run: Run) -> None:
        between = np.empty((rows, width), u.dtype)

        def columns(j: int) -> None:
            block = np.zeros((height, min(LINES, width - j)), u.dtype)
            block[: len(u)] = between[: len(u), j : j + LINES]
            block = _transform(block, height, 0, inverse)
            _multiply(block, kernel, j)
            between[: out[0], j : j + LINES] = _transform(block, height, 0, not inverse)[: out[0]]

        _rows(u, between, inverse, run)
        _each(columns, width, run)
        _rows(between[: out[0]], target, not inverse, run)

    return _over(data, out, threads, one)


def spectrum(data: Array, shape: tuple[int, int], threads: int) -> Array:
    """Padded transform of the last two axes."""

    def one(u: Array, target: Array, run: Run) -> None:
        def columns(j: int) -> None:
            target[:, j : j + LINES] = _transform(target[: len(u), j : j + LINES], shape[0], 0, False)

        _rows(u, target, False, run)
        _each(columns, shape[1], run)

    return _over(data, shape, threads, one)


def filtered(spectrum: Array, kernel: Factors, out: tuple[int, int], threads: int) -> Array:
    """First `out` samples of ``ifft2(kernel * spectrum)``."""

    def one(u: Array, target: Array, run: Run) -> None:
        between = np.empty((out[0], u.shape[1]), u.dtype)

        def columns(j: int) -> None:
            block = u[:, j : j + LINES].copy()
            _multiply(block, kernel, j)
            between[:, j : j + LINES] = _transform(block, len(block), 0, True)[: out[0]]

        _each(columns, u.shape[1], run)
        _rows(between, target, True, run)

    return _over(spectrum, out, threads, one)


def _over(data: Array, out: tuple[int, int], threads: int, one: Callable[[Array, Array, Run], None]) -> Array:
    """Do every sample of a batch, in threads."""
    samples = data.reshape(-1, *data.shape[-2:])
    result = np.empty((len(samples), *out), data.dtype)
    if threads == 1:
        for u, target in zip(samples, result, strict=True):
            one(u, target, map)
    else:
        with ThreadPoolExecutor(threads) as pool:
            if len(samples) >= threads:  # a sample to each thread, all of it in that core's cache
                list(pool.map(one, samples, result, [map] * len(samples)))
            else:
                for u, target in zip(samples, result, strict=True):
                    one(u, target, pool.map)
    return result.reshape(*data.shape[:-2], *out)


def _each(work: Callable[[int], None], count: int, run: Run) -> None:
    list(run(work, range(0, count, LINES)))


def _rows(u: Array, target: Array, inverse: bool, run: Run) -> None:
    """Transform along the rows of the longer of the two, zero-padded or cut to the width of `target`."""
    width = max(u.shape[1], target.shape[1])

    def some(i: int) -> None:
        lines = u[i : i + LINES]
        target[i : i + len(lines)] = _transform(lines, width, 1, inverse)[:, : target.shape[1]]

    _each(some, len(u), run)


def _multiply(block: Array, kernel: Factors, j: int) -> None:
    """Multiply columns j and on of a spectrum by those of the kernel."""
    rest, y, x = kernel
    if y is None or x is None:
        block *= rest[:, j : j + block.shape[1]]
        return
    height, width = len(y), len(x)
    columns = np.arange(j, j + block.shape[1])
    half = rest[:, np.minimum(columns, width - columns)]
    half *= x[columns]
    block *= y[:, None]
    block[: len(half)] *= half
    block[len(half) :] *= half[1 : height - len(half) + 1][::-1]


def _transform(block: Array, n: int, axis: int, inverse: bool) -> Array:
    """Unscaled transform along an axis, zero-padded behind to n."""
    transformed: Any = scipy.fft.ifft(block, n, axis, norm="forward") if inverse else scipy.fft.fft(block, n, axis)
    return transformed
