"""Signs: how kernels that are signed or complex become what a mask carries, one row each.

A field has a sign and a phase, so `signed` leaves kernels as they are; the readout must see them: a reference arm for
real ones (``reference_pair``), ``four_step`` for complex ones. Without a reference a camera sees ``|u * w|^2``, and
signed sums need kernels that are never negative: `split` shows ``w+`` and ``w-``, `biased` shows ``w + b`` and, once
for all kernels, a box of ones: ``u * w = u * (w + b) - b (u * box)``. In coherent light both take the roots of the
frames, so the images must be amplitudes that are never negative.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fouroptics.errors import GeometryError


@dataclass(frozen=True, eq=False)
class Rows:
    """What the masks carry, one row a kernel.

    Attributes
    ----------
    weight : torch.Tensor
        (R, C, k, k) of C input channels.
    out_channel, sign, pair : list of int
        (R); -1 for an out channel that serves all, as in a `KernelTable`.
    bias : list of float
        (R) what was added to the kernel.
    """

    weight: Tensor
    out_channel: list[int]
    sign: list[int]
    pair: list[int]
    bias: list[float]


Signs = Callable[[Tensor], Rows]


def signed(weight: Tensor) -> Rows:
    """Kernels (O, C, k, k) as they are, with their sign or phase in the field."""
    count = len(weight)
    return Rows(weight, list(range(count)), [0] * count, [-1] * count, [0.0] * count)


def split(weight: Tensor) -> Rows:
    """All positive parts, then all negative ones; a kernel of one sign has a half that is dark."""
    _real("split", weight)
    count = len(weight)
    halves = torch.cat([weight, -weight]).clamp_min(0)
    dark = halves.square().sum((1, 2, 3)) == 0
    if bool(dark.any()):
        row = int(dark.nonzero()[0])
        raise GeometryError(
            f"kernel {row % count} has no {'negative' if row >= count else 'positive'} part: it needs no second frame; "
            "leave it whole (signs=signed), or put kernels of one sign into masks of their own"
        )
    rows = range(2 * count)
    return Rows(
        halves, [i % count for i in rows], [1] * count + [-1] * count, [(i + count) % (2 * count) for i in rows],
        [0.0] * (2 * count),
    )  # fmt: skip


def biased(weight: Tensor) -> Rows:
    """``w + b`` with ``b = max(0, -min w)`` for each kernel, and one box of ones behind them."""
    _real("biased", weight)
    count = len(weight)
    bias = (-weight.amin((1, 2, 3))).clamp_min(0)
    box = torch.ones_like(weight[:1])
    rows = torch.cat([weight + bias[:, None, None, None], box])
    return Rows(rows, [*range(count), -1], [0] * (count + 1), [-1] * (count + 1), [*bias.tolist(), 0.0])


def _real(name: str, weight: Tensor) -> None:
    if weight.is_complex():
        raise GeometryError(f"signs = {name}: complex kernels have no sign; take signs=signed and readout 'four_step'")
