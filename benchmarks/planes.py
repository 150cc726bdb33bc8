"""How fast are many distances at once? Time for each plane; every package may keep a kernel for each."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Call, Contender, Row, Run, compare, floor
from benchmarks.peers import PROPAGATION, Peer
from benchmarks.plain import beam, exact, off, plain

FEW = 4  # planes that the others get: their time is proportional to the number


def measure(run: Run, size: int = 1024, count: int = 32) -> list[Row]:
    """Time `count` planes between 50 and 100 mm; the unit is A for each plane."""
    u = beam(size, run.device)
    distances = torch.linspace(0.05, 0.1, count, dtype=torch.float64).tolist()
    few = distances[-min(FEW, count) :]
    last = exact(u.data, distances[-1])
    contenders = [
        Contender("fouroptics", "ours", lambda: (lambda: fo.propagate(u, distances), _last_of_field), parts=count),
        Contender("fouroptics, planes", "ours", lambda: _one_by_one(u, distances), "one is kept", parts=count),
        Contender(
            "fouroptics, a loop", "ours", lambda: (lambda: _each(u, few), _last), "4, kernels kept", parts=len(few)
        ),
        Contender("plain form", "reference", lambda: _plain(u, few), "a kernel for each plane", parts=len(few)),
        *(_peer(peer, u, few) for peer in PROPAGATION),
    ]
    unit = floor((2 * size, 2 * size), run.device)
    return compare("planes", f"{count} planes, N = {size}", contenders, unit, lambda out: off(out, last), run)


def _last_of_field(out: fo.Field) -> Tensor:
    return out.data[-1]


def _last(out: Sequence[Tensor]) -> Tensor:
    return out[-1]


def _one_by_one(u: fo.Field, distances: Sequence[float]) -> tuple[Call, Callable[[Any], Tensor]]:
    return (lambda: deque(fo.planes(u, distances), maxlen=1)), lambda out: out[-1].data


def _each(u: fo.Field, distances: Sequence[float]) -> list[Tensor]:
    return [fo.propagate(u, z).data for z in distances]


def _plain(u: fo.Field, distances: Sequence[float]) -> tuple[Call, Callable[[Any], Tensor]]:
    each = [plain(u.grid.shape[0], z, u.data.dtype, str(u.data.device)) for z in distances]
    return (lambda: [propagate(u.data) for propagate in each]), _last


def _peer(peer: Peer, u: fo.Field, distances: Sequence[float]) -> Contender:
    def prepare() -> tuple[Call, Callable[[Any], Tensor]]:
        each = [peer.setup(u.grid, u.wavelength, z) for z in distances]
        loaded = [steps.load(u.data) for steps in each]
        call = lambda: [steps.step(data) for steps, data in zip(each, loaded, strict=True)]  # noqa: E731
        return call, lambda out: each[-1].read(out[-1])

    return Contender(peer.who, "peer", prepare, peer.remark, peer.package, len(distances))
