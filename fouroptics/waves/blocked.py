"""Padded transforms on a CPU: blocks that stay in cache, a thread to each block.

The rows of samples are transformed first, then a block of columns at a time goes through transform, product and inverse
transform, then the wanted rows go back. The padded spectrum never exists, a quarter of the one-dimensional transforms
is left out, nothing strides through memory, and no thread spins while it waits for work.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

BLOCK = 2**17  #: samples of a block, 1 MB in complex64

Array = NDArray[Any]
Factors = tuple[Array, Array | None, Array | None, tuple[int, int]]  # rest, y, x, shape of a `transforms.Kernel`
Parts = Iterator[slice]


def convolve(data: Array, kernel: Factors, out: tuple[int, int], inverse: tuple[bool, bool], threads: int) -> Array:
    """First `out` samples of ``ifft2(kernel * fft2(data))`` over the last two axes; see `transforms.convolve`."""
    height, width = kernel[3]
    rows = max(data.shape[-2], out[0])

    def one(u: Array, target: Array, threads: int) -> None:
        between = np.empty((rows, width), u.dtype)

        def columns(parts: Parts) -> None:
            for part, block in _with_block(parts, height, u.dtype):
                block[: len(u)] = between[: len(u), part]
                block[len(u) :] = 0
                block = _transform(block, height, 0, inverse[0], own=True)
                _multiply(block, kernel, part)
                between[: out[0], part] = _transform(block, height, 0, inverse[1], own=True)[: out[0]]

        _rows(u, between, inverse[0], threads)
        _each(columns, width, height, threads)
        _rows(between[: out[0]], target, inverse[1], threads, own=True)

    return _over(data, out, threads, one)


def spectrum(data: Array, shape: tuple[int, int], threads: int) -> Array:
    """Padded transform of the last two axes."""

    def one(u: Array, target: Array, threads: int) -> None:
        def columns(parts: Parts) -> None:
            for part in parts:
                target[:, part] = _transform(target[: len(u), part], shape[0], 0, False)

        _rows(u, target, False, threads)
        _each(columns, shape[1], shape[0], threads)

    return _over(data, shape, threads, one)


def filtered(
    spectrum: Array, kernel: Factors, out: tuple[int, int], inverse: bool, threads: int, length: tuple[int, int]
) -> Array:
    """First `out` samples of the transform, inverse or forward, of ``kernel * spectrum``.

    `length` is that of the transforms: zeros beyond the highest frequencies make the samples closer.
    """

    def one(u: Array, target: Array, threads: int) -> None:
        between = np.empty((out[0], u.shape[1]), u.dtype)

        def columns(parts: Parts) -> None:
            for part, block in _with_block(parts, length[0], u.dtype):
                low, high = _ends(block, len(u), 0)
                split = len(low)
                low[:], high[:] = u[:split, part], u[split:, part]
                block[split : length[0] - len(high)] = 0
                product = block if len(block) == len(u) else np.concatenate([low, high])
                _multiply(product, kernel, part)
                if product is not block:
                    low[:], high[:] = product[:split], product[split:]
                between[:, part] = _transform(block, length[0], 0, inverse, own=True)[: out[0]]

        def rows(parts: Parts) -> None:
            for part in parts:
                block = np.zeros((part.stop - part.start, length[1]), u.dtype)
                low, high = _ends(block, u.shape[1], 1)
                low[:], high[:] = between[part, : low.shape[1]], between[part, low.shape[1] :]
                target[part] = _transform(block, length[1], 1, inverse, own=True)[:, : out[1]]

        _each(columns, u.shape[1], length[0], threads)
        if length[1] == u.shape[1]:
            _rows(between, target, inverse, threads, own=True)
        else:
            _each(rows, out[0], length[1], threads)

    return _over(spectrum, out, threads, one)


def _ends(block: Array, count: int, axis: int) -> tuple[Array, Array]:
    """Views of the lines for `count` frequencies in FFT order: those from 0 on, and the negative ones at the end."""
    split = (count + 1) // 2
    low, high = slice(0, split), slice(block.shape[axis] - (count - split), None)
    return (block[low], block[high]) if axis == 0 else (block[:, low], block[:, high])


def _over(data: Array, out: tuple[int, int], threads: int, one: Callable[[Array, Array, int], None]) -> Array:
    """Do every sample of a batch, in threads."""
    samples = data.reshape(-1, *data.shape[-2:])
    result = np.empty((len(samples), *out), data.dtype)
    pairs = iter(list(zip(samples, result, strict=True)))
    alone = len(samples) >= threads  # a sample to each thread, all of it in that core's cache

    def some(pairs: Iterator[tuple[Array, Array]]) -> None:
        for u, target in pairs:
            one(u, target, 1 if alone else threads)

    together(some, pairs, threads if alone else 1)
    return result.reshape(*data.shape[:-2], *out)


def together(work: Callable[[Iterator[Any]], None], parts: Iterator[Any], threads: int) -> None:
    """Let so many threads, the caller's among them, take parts until none is left."""
    others: list[Future[None]] = []
    with suppress(RuntimeError):  # when the interpreter ends there are no other threads any more
        others += [_pool(threads, os.getpid()).submit(work, parts) for _ in range(threads - 1)]
    work(parts)
    for each in others:
        each.result()


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process: a fork makes its own."""
    return ThreadPoolExecutor(threads)


def _each(work: Callable[[Parts], None], count: int, length: int, threads: int) -> None:
    """Do all lines, as many at a time as make a block."""
    lines = _lines(length)
    together(work, iter([slice(i, min(i + lines, count)) for i in range(0, count, lines)]), threads)


def _lines(length: int) -> int:
    return max(BLOCK // length, 16)


def _with_block(parts: Parts, length: int, dtype: Any) -> Iterator[tuple[slice, Array]]:
    """Each part with memory for its columns, the same for all parts of a thread."""
    block = np.empty((length, _lines(length)), dtype)
    for part in parts:
        yield part, block[:, : part.stop - part.start]


def _rows(u: Array, target: Array, inverse: bool, threads: int, *, own: bool = False) -> None:
    """Transform along the rows of the longer of the two, zero-padded or cut to the width of `target`."""
    width = max(u.shape[1], target.shape[1])

    def some(parts: Parts) -> None:
        for part in parts:
            target[part] = _transform(u[part], width, 1, inverse, own=own)[:, : target.shape[1]]

    _each(some, len(u), width, threads)


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
