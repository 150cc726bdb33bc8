"""Search: the phase or amplitude whose response comes closest to a target, and levels that do so together."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Progress = Callable[[int, int, float], None]
Respond = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Problem:
    """What one mask has to do.

    Attributes
    ----------
    respond : callable
        Transmission (fy, fx), complex, to the response (...) at all displacements that matter; 0 where nothing is
        prescribed; in units in which the light that reaches the panel, from one input pixel, has the energy 1.
    target : torch.Tensor
        Wanted response (...), real or complex, each output with the same energy, the sum of all 1; zeros are prescribed
        too.
    transfer : torch.Tensor
        Transmission (fy, fx), complex, that would give the target exactly, with ``max |transfer| = 1``.
    light : float, optional
        Fraction of the light on the panel to put into the targets, for the encodings that can choose; left out, their
        own.
    through_panel : callable, optional
        What is addressed (fy, fx), a phase in rad or an amplitude, to the response of the panel as modelled.
    nearest : callable, optional
        What is addressed to the nearest that a level of the panel shows.
    step : float
        Distance of two levels, in rad or as amplitude.
    modulation : str
        What the panel changes: see `SLMConfig`.
    crosstalk : bool
        Whether its pixels blur.
    """

    respond: Respond
    target: Tensor
    transfer: Tensor
    light: float | None = None
    through_panel: Respond | None = None
    nearest: Callable[[Tensor], Tensor] | None = None
    step: float = 2 * math.pi / 256
    modulation: str = "phase"
    crosstalk: bool = False

    def wanted(self, light: float) -> Tensor:
        """Target at the amplitude that puts `light` into it, complex64."""
        return (self.target * math.sqrt(light)).to(torch.complex64)


def search(
    respond: Respond,
    wanted: Tensor,
    start: Tensor,
    *,
    steps: int,
    rate: float,
    limits: tuple[float, float] | None = None,
    tell: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Minimise ``sum |respond(x) - wanted|^2`` by Adam, its step `rate` reduced along a cosine in the last half.

    Parameters
    ----------
    respond : callable
        Real (fy, fx) to complex (...), differentiable.
    wanted : torch.Tensor
        Complex (...).
    start : torch.Tensor
        Real (fy, fx).
    steps : int
        Steps of Adam.
    rate : float
        Its step width, in units of x.
    limits : tuple of float, optional
        Between which x stays.
    tell : callable, optional
        Called with the number of steps done and the relative error before the last of them.

    Returns
    -------
    torch.Tensor
        x, (fy, fx).
    """
    x = start.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=rate, fused=True)
    for step in range(steps):
        adam.param_groups[0]["lr"] = rate * min(1.0, 0.5 + 0.5 * math.cos(math.pi * max(2 * step / steps - 1, 0.0)))
        _descend(adam, x, respond, wanted, step, tell)
        if limits is not None:
            x.data.clamp_(*limits)
    return x.detach()


def settle(
    problem: Problem,
    respond: Respond,
    wanted: Tensor,
    start: Tensor,
    steps: int,
    generator: torch.Generator,
    *,
    tell: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Fix the pixels at levels of the panel, in random order; those that are left make up for the rounding.

    As long as fewer values are prescribed than pixels are free, the rounding goes where nothing is prescribed; after
    ``steps`` all are fixed. Parameters as for `search`.
    """
    assert problem.nearest is not None
    x, order = start.clone().requires_grad_(), torch.randperm(start.numel(), generator=generator)
    adam = torch.optim.Adam([x], lr=0.2 * problem.step, betas=(0.9, 0.99), fused=True)
    free, done = torch.ones_like(start), 0
    for step in range(1, steps + 1):
        _descend(adam, x, respond, wanted, step - 1, tell, free)
        fixed = order[done : (done := round(len(order) * (1 - (1 - step / steps) ** 2)))]
        x.data.view(-1)[fixed] = problem.nearest(x.data.view(-1)[fixed])
        free.view(-1)[fixed] = 0
        adam.state[x]["exp_avg"].view(-1)[fixed] = 0  # without momentum and gradient they stay
    return x.detach()


def _descend(
    adam: torch.optim.Optimizer,
    x: Tensor,
    respond: Respond,
    wanted: Tensor,
    step: int,
    tell: Callable[[int, float], None] | None,
    free: Tensor | None = None,
) -> None:
    adam.zero_grad()
    miss = respond(x) - wanted
    loss = miss.real.square().sum() + miss.imag.square().sum()
    loss.backward()
    if free is not None and x.grad is not None:
        x.grad *= free
    adam.step()
    if tell is not None:
        tell(step + 1, math.sqrt(float(loss.detach()) / float(wanted.abs().square().sum())))
