"""Does a propagation go through torch.compile in one graph, and is it faster then? One size, against the eager call."""

from collections.abc import Callable
from shutil import which
from typing import Any

import torch
from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Call, Contender, Row, Run, compare, floor
from benchmarks.plain import DISTANCE, beam, exact, off
from benchmarks.propagation import ours, reference


def measure(run: Run, size: int = 1024, backend: str = "inductor") -> list[Row]:
    """Time ``fo.propagate`` as it is and through ``torch.compile(fullgraph=True)``."""
    u = beam(size, run.device)
    answer = exact(u.data, DISTANCE)
    contenders = [ours(u), Contender("fouroptics, compiled", "ours", lambda: compiled(u, backend)), reference(u)]
    unit = floor((2 * size, 2 * size), run.device)
    return compare("compiled", f"N = {size}", contenders, unit, lambda out: off(out, answer), run)


def compiled(u: fo.Field, backend: str) -> tuple[Call, Callable[[Any], Tensor]]:
    """Return the compiled call; it is compiled when it is first checked, not while it is timed."""
    if backend == "inductor" and which("c++") is None and which("g++") is None:
        raise RuntimeError("no C++ compiler")
    step = torch.compile(
        lambda data: fo.propagate(u.replace(data=data), DISTANCE).data, fullgraph=True, backend=backend
    )
    return (lambda: step(u.data)), (lambda out: out)
