"""How fast is one propagation over a distance? Padded twice, against the floor, the plain form and other packages."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Call, Contender, Row, Run, compare, floor
from benchmarks.peers import PROPAGATION, keep
from benchmarks.plain import DISTANCE, beam, exact, off, plain


def measure(run: Run, sizes: tuple[int, ...] = (512, 1024, 2048)) -> list[Row]:
    """Time one field of n x n samples for each size."""
    rows = []
    for n in sizes:
        u = beam(n, run.device)
        answer = exact(u.data, DISTANCE)
        peers = [peer.contender(u.data, u.grid, u.wavelength, DISTANCE) for peer in PROPAGATION]
        contenders = [ours(u), reference(u), *peers]
        unit = floor((2 * n, 2 * n), run.device)
        rows += compare("propagation", f"N = {n}", contenders, unit, lambda out, answer=answer: off(out, answer), run)
    return rows


def ours(u: fo.Field) -> Contender:
    """``fo.propagate``; its kernel is cached after the first call."""

    def prepare() -> tuple[Call, Callable[[Any], Tensor]]:
        return (lambda: fo.propagate(u, DISTANCE)), (lambda out: out.data)

    return Contender("fouroptics", "ours", prepare)


def reference(u: fo.Field) -> Contender:
    """Return the plain padded form."""

    def prepare() -> tuple[Call, Callable[[Any], Tensor]]:
        propagate = plain(u.grid.shape[0], DISTANCE, u.data.dtype, str(u.data.device))
        return (lambda: propagate(u.data)), keep

    return Contender("plain form", "reference", prepare, "no shifts, H at hand")
