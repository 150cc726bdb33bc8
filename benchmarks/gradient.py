"""How fast is a training step? A phase mask, one propagation, a loss of the intensity, and back to the phase."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Call, Contender, Row, Run, compare, floor
from benchmarks.peers import PROPAGATION, Peer, keep
from benchmarks.plain import DISTANCE, PITCH, WAVELENGTH, beam, off, plain


def measure(run: Run, size: int = 1024) -> list[Row]:
    """Time forward and backward; the least is four transforms, 2 A. The gradient itself is compared."""
    u = beam(size, run.device, waist=size * PITCH / 8)
    y, x = (torch.from_numpy(axis) for axis in u.grid.coordinates())
    lens = (-math.pi / WAVELENGTH * (y[:, None] ** 2 + x**2)).to(run.device)  # f = 1 m
    phase, weight = lens.float().requires_grad_(), 1 + torch.cos(lens).float()

    def step(propagate: Callable[[Tensor], Tensor], phase: Tensor = phase) -> Tensor:
        phase.grad = None
        out = propagate(u.data * torch.polar(torch.ones_like(phase), phase))
        ((out.real.square() + out.imag.square()) * weight).sum().backward()
        return phase.grad if phase.grad is not None else torch.zeros_like(phase)

    answer = step(plain(size, DISTANCE, torch.complex128, run.device), lens.requires_grad_()).cpu()

    def contender(who: str, role: str, prepare: Callable[[], Callable[[Tensor], Tensor]], *rest: Any) -> Contender:
        def ready() -> tuple[Call, Callable[[Any], Tensor]]:
            propagate = prepare()
            return (lambda: step(propagate)), keep

        return Contender(who, role, ready, *rest)

    contenders = [
        contender("fouroptics", "ours", lambda: lambda data: fo.propagate(u.replace(data=data), DISTANCE).data),
        contender("plain form", "reference", lambda: plain(size, DISTANCE, device=run.device), "torch's own gradient"),
        *(
            contender(peer.who, "peer", lambda peer=peer: _chain(peer, u), peer.remark, peer.package)
            for peer in PROPAGATION
            if peer.differentiable
        ),
    ]
    unit = floor((2 * size, 2 * size), run.device)
    return compare("gradient", f"N = {size}", contenders, unit, lambda out: off(out, answer.to(torch.complex128)), run)


def _chain(peer: Peer, u: fo.Field) -> Callable[[Tensor], Tensor]:
    load, step, read = peer.setup(u.grid, u.wavelength, DISTANCE)
    return lambda data: read(step(load(data)))
