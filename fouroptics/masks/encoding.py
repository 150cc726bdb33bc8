"""Encodings: from the response that is wanted to a phase that the panel can show.

An encoding is a function ``(problem, generator, progress) -> phase`` with the phase (fy, fx) in rad; `Problem` holds
what it needs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from scipy.special import j1
from torch import Tensor

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, eq=False)
class Problem:
    """What one mask has to do.

    Attributes
    ----------
    respond : callable
        Transmission (fy, fx), complex, to the response in the windows (T, wy, wx); in units in which the light that
        reaches the panel, from one input pixel, has the energy 1.
    target : torch.Tensor
        Wanted response (T, wy, wx), real or complex, each kernel with the same energy, the sum of all 1; zeros are
        prescribed too.
    transfer : torch.Tensor
        Transmission (fy, fx), complex, that would give the target exactly, with ``max |transfer| = 1``.
    light : float
        Fraction of the light on the panel to put into the targets, for the encodings that can choose.
    """

    respond: Callable[[Tensor], Tensor]
    target: Tensor
    transfer: Tensor
    light: float


class Encoding(Protocol):
    """A function that solves a `Problem`; its name goes into the file."""

    def __call__(self, problem: Problem, generator: torch.Generator, progress: Progress | None = None) -> Tensor:
        """Return the phase (fy, fx) in rad."""
        ...


def phase_only(
    problem: Problem,
    generator: torch.Generator,
    progress: Progress | None = None,
    *,
    steps: int = 300,
    rate: float = 0.1,
) -> Tensor:
    """Phase whose response is closest to the target at a fixed amplitude; outside the windows the light is free.

    Minimises ``sum |h(phi) - sqrt(light) t|^2 / light`` over the windows with Adam from a random start. With the
    amplitude left free
    the search gets stuck; fixed well below the capacity of the mask it converges to the rounding of the panel.

    Parameters
    ----------
    problem : Problem
        Response, target and light.
    generator : torch.Generator
        For the random start.
    progress : callable, optional
        Called with (step, steps, relative error) after each step.
    steps : int
        Steps of Adam.
    rate : float
        Its step width in rad, reduced to nothing along a cosine in the last half.

    Returns
    -------
    torch.Tensor
        float32 (fy, fx).
    """
    wanted = (problem.target * math.sqrt(problem.light)).to(torch.complex64)
    start = torch.rand(problem.transfer.shape, generator=generator) * (2 * math.pi)
    phase = start.requires_grad_()
    optimiser = torch.optim.Adam([phase], lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, 0.5 + 0.5 * math.cos(math.pi * (2 * step / steps - 1))) if 2 * step > steps else 1.0,
    )
    for step in range(steps):
        optimiser.zero_grad()
        miss = problem.respond(torch.polar(torch.ones_like(phase), phase)) - wanted
        loss = (miss.real.square() + miss.imag.square()).sum() / problem.light
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, steps, math.sqrt(float(loss.detach())))
    return phase.detach()


def arrizon(problem: Problem, generator: torch.Generator, progress: Progress | None = None) -> Tensor:
    """Closed form ``psi = f(|c|) sin(arg c)`` with ``J1(f(a)) = 0.58187 a``.

    Type 3 of Arrizon et al., JOSA A 24, 3500 (2007).

    The first order of ``exp(i psi)`` is exactly ``0.58187 c``. Needs a carrier in c (every layout has one) and a
    swing of 3.68 rad only;
    with several kernels in one mask the other orders fall into their windows. Parameters as for `phase_only`; nothing
    is random.
    """
    del generator, progress
    amplitude, depth = _bessel_table()
    c = problem.transfer.to(torch.complex128)
    f = np.interp(c.abs().numpy(), amplitude, depth)
    return torch.from_numpy(f) * torch.sin(c.angle())


@lru_cache(maxsize=1)
def _bessel_table() -> tuple[np.ndarray, np.ndarray]:
    """Rising J1 over its first maximum, scaled to 1, and its argument: the inverse function as a table."""
    depth = 1.8411837813406593 * np.sin(np.linspace(0, np.pi / 2, 20001))  # dense where J1 is flat
    return j1(depth) / j1(depth[-1]), depth
