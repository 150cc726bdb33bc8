"""How fast are many fields at once? 32 fields, each padded twice."""

import torch

from benchmarks.harness import Row, Run, compare, floor
from benchmarks.peers import PROPAGATION
from benchmarks.plain import DISTANCE, beam, exact, off
from benchmarks.propagation import ours, reference


def measure(run: Run, size: int = 256, count: int = 32) -> list[Row]:
    """Time a batch of fields; the packages that take one field at a time loop."""
    u = beam(size, run.device)
    u = u.replace(data=u.data * torch.linspace(0.5, 1, count, device=run.device)[:, None, None])
    answer = exact(u.data, DISTANCE)
    peers = [peer.contender(u.data, u.grid, u.wavelength, DISTANCE) for peer in PROPAGATION]
    contenders = [ours(u), reference(u), *peers]
    unit = floor((count, 2 * size, 2 * size), run.device)
    return compare("batch", f"{count} of {size} x {size}", contenders, unit, lambda out: off(out, answer), run)
