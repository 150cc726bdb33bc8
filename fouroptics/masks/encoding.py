"""Encodings: from the response that is wanted to what the panel is asked for.

An encoding is a function ``(problem, generator, progress) -> addressed`` with a phase (fy, fx) in rad, or for a panel
of amplitudes one in [0, 1]; `Problem` holds what it needs.

=================  ===========  =====================================================================================
encoding           panel        how
=================  ===========  =====================================================================================
phase_only         phase        search, then levels that make up for each other's rounding
gerchberg_saxton   phase        projections to and fro; outside the windows the light is free
double_phase       phase        closed form: two phases in a checkerboard
arrizon            phase        closed form: Bessel, exact in the first order; a swing of 1.17 pi
amplitude_only     amplitude    search from a hologram
binary             binary       the same, with mirrors that are on or off
=================  ===========  =====================================================================================
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from scipy.special import j1
from torch import Tensor

from fouroptics.errors import GeometryError
from fouroptics.masks.search import Problem as Problem
from fouroptics.masks.search import Progress, Respond, search, settle

LIGHT = 0.08  #: of the light on the panel that a phase puts into the taps, if nothing is asked for


class Encoding(Protocol):
    """A function that solves a `Problem`; its name goes into the file."""

    def __call__(self, problem: Problem, generator: torch.Generator, progress: Progress | None = None) -> Tensor:
        """Return the phase (fy, fx) in rad, or the amplitude."""
        ...


def phase_only(
    problem: Problem,
    generator: torch.Generator,
    progress: Progress | None = None,
    *,
    steps: int = 300,
    rounding: int = 120,
    rate: float = 0.1,
) -> Tensor:
    """Phase whose response is closest to the target at a fixed amplitude; outside the windows the light is free.

    Minimises ``sum |h(phi) - sqrt(light) t|^2`` over the windows with Adam from a random start. With the amplitude left
    free the search gets stuck; fixed well below the capacity of the mask it converges to nothing, and what is left is
    the rounding to levels. That is spread over the free part of the plane by `search.settle`, for the panel as it is:
    levels, table, stroke, dead pixels, maps and crosstalk.

    Parameters
    ----------
    problem : Problem
        Response, target and light.
    generator : torch.Generator
        For the random start and the order of rounding.
    progress : callable, optional
        Called with (step, steps, relative error) after each step.
    steps : int
        Steps of Adam for an ideal panel.
    rounding : int
        Steps in which the levels are fixed, for the panel as modelled; 0 rounds all at once.
    rate : float
        Step width in rad.

    Returns
    -------
    torch.Tensor
        float32 (fy, fx).
    """
    _takes(problem, "phase_only", ("phase", "coupled"))
    start = torch.rand(problem.transfer.shape, generator=generator) * (2 * math.pi)
    return _searched(problem, _of_phase(problem), start, LIGHT, steps, rounding, rate, generator, progress)


def gerchberg_saxton(
    problem: Problem, generator: torch.Generator, progress: Progress | None = None, *, steps: int = 200
) -> Tensor:
    """Phase by projections to and fro: the target in the windows, whatever falls beside them, then a phase again.

    R. W. Gerchberg and W. O. Saxton, Optik 35, 237 (1972), with free amplitude and phase outside the windows (F.
    Wyrowski, J. Opt. Soc. Am. A 7, 961, 1990). Through the pixels' envelope the way back is the adjoint of the
    response over its largest gain. Faster than `phase_only`, and rounds all at once. Parameters as there.
    """
    _takes(problem, "gerchberg_saxton", ("phase", "coupled"))
    wanted = problem.wanted(problem.light or LIGHT)
    start = torch.rand(problem.transfer.shape, generator=generator) * (2 * math.pi)
    wave, gain = torch.polar(torch.ones_like(start), start), _gain(problem.respond, start.shape, generator)
    for step in range(steps):
        miss, back = _adjoint(problem.respond, wave, wanted)
        wave = torch.sgn(wave - back / gain)
        if progress is not None:
            progress(step + 1, steps, miss / float(wanted.abs().square().sum().sqrt()))
    return wave.angle()


def double_phase(problem: Problem, generator: torch.Generator, progress: Progress | None = None) -> Tensor:
    """Closed form ``arg c +- arccos |c|``, the sign that of a checkerboard: two phases whose mean is c.

    C. K. Hsueh and A. A. Sawchuk, Appl. Opt. 17, 3874 (1978). The difference of the two is light about the corners of
    the band, half a band away; c changes little from pixel to pixel, or it does not average. Parameters as for
    `phase_only`; nothing is random.
    """
    _takes(problem, "double_phase", ("phase", "coupled"))
    del generator, progress
    c = problem.transfer.to(torch.complex128)
    rows, columns = (torch.arange(n) for n in c.shape)
    board = 1 - 2 * ((rows[:, None] + columns) % 2).double()
    return c.angle() + board * torch.arccos(c.abs().clamp(max=1))


def arrizon(problem: Problem, generator: torch.Generator, progress: Progress | None = None) -> Tensor:
    """Closed form ``psi = f(|c|) sin(arg c)`` with ``J1(f(a)) = 0.58187 a``.

    Type 3 of Arrizon et al., JOSA A 24, 3500 (2007).

    The first order of ``exp(i psi)`` is exactly ``0.58187 c``. Needs a carrier in c (take layout=sequential) and a
    swing of 3.68 rad only, which is used from 0 on;
    with several kernels in one mask the other orders fall into their windows. Parameters as for `phase_only`; nothing
    is random.
    """
    _takes(problem, "arrizon", ("phase", "coupled"))
    del generator, progress
    amplitude, depth = _bessel_table()
    c = problem.transfer.to(torch.complex128)
    f = torch.from_numpy(np.interp(c.abs().numpy(), amplitude, depth))
    return depth[-1] + f * torch.sin(c.angle() - depth[-1])  # exp(i depth) comes out of the first order again


def amplitude_only(
    problem: Problem,
    generator: torch.Generator,
    progress: Progress | None = None,
    *,
    steps: int = 300,
    rounding: int = 120,
    rate: float = 0.02,
) -> Tensor:
    """Amplitude in [0, 1]: a search as `phase_only`, from the hologram ``(1 + Re c) / 2`` of the transmission c.

    The hologram by itself puts a quarter of c, a sixteenth of its light, into the first order: that is asked for if
    nothing else is. Parameters as for `phase_only`, with the rate as an amplitude.
    """
    _takes(problem, "amplitude_only", ("amplitude",))
    return _from_hologram(problem, generator, progress, steps, rounding, rate)


def binary(
    problem: Problem,
    generator: torch.Generator,
    progress: Progress | None = None,
    *,
    steps: int = 300,
    rounding: int = 300,
    rate: float = 0.02,
) -> Tensor:
    """Mirrors that are on, 1, or off, 0: `amplitude_only` on a panel of two levels, with more steps to fix them.

    W. H. Lee's binary hologram (Appl. Opt. 18, 3661, 1979) thresholds all at once, and the light that this throws about
    falls into the windows, too; here the mirrors that are not fixed yet make up for it. Parameters as there.
    """
    _takes(problem, "binary", ("binary",))
    return _from_hologram(problem, generator, progress, steps, rounding, rate)


def _from_hologram(
    problem: Problem, generator: torch.Generator, progress: Progress | None, steps: int, rounding: int, rate: float
) -> Tensor:
    respond = _of_amplitude(problem)
    start = (0.5 + 0.5 * problem.transfer.real).float()
    light = float((respond(start) * problem.target.conj()).sum().abs().square())
    return _searched(problem, respond, start, light, steps, rounding, rate, generator, progress)


def _takes(problem: Problem, name: str, kinds: tuple[str, ...]) -> None:
    if problem.modulation not in kinds:
        right = {"amplitude": "amplitude_only", "binary": "binary"}.get(problem.modulation, "phase_only")
        raise GeometryError(
            f"encoding {name} is for a panel of modulation {' or '.join(kinds)}, this one is "
            f"{problem.modulation!r}: take encoding {right}"
        )


def _of_phase(problem: Problem) -> Respond:
    return lambda phase: problem.respond(torch.polar(torch.ones_like(phase), phase))


def _of_amplitude(problem: Problem) -> Respond:
    return lambda amplitude: problem.respond(amplitude.to(torch.complex64))


def _searched(
    problem: Problem,
    respond: Respond,
    start: Tensor,
    light: float,
    steps: int,
    rounding: int,
    rate: float,
    generator: torch.Generator,
    progress: Progress | None,
) -> Tensor:
    """Search for an ideal panel, then for the one that there is, fixing levels."""
    wanted, rounding = problem.wanted(problem.light or light), rounding if problem.nearest is not None else 0
    limits = None if problem.modulation in ("phase", "coupled") else (0.0, 1.0)

    through, total = problem.through_panel or respond, steps + rounding
    first = respond if problem.crosstalk else through  # blur takes time, so it comes last
    found = search(first, wanted, start, steps=steps, rate=rate, limits=limits, tell=_counted(progress, 0, total))
    if rounding == 0:
        return found
    if problem.crosstalk:  # far more is lost by it than by rounding, and fixed pixels could not make up for it
        return search(
            through, wanted, found, steps=rounding, rate=rate, limits=limits, tell=_counted(progress, steps, total)
        )
    return settle(problem, through, wanted, found, rounding, generator, tell=_counted(progress, steps, total))


def _counted(progress: Progress | None, done: int, total: int) -> Callable[[int, float], None] | None:
    return None if progress is None else lambda step, error: progress(done + step, total, error)


def _adjoint(respond: Respond, wave: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """Distance ``|A w - t|`` of the response from what is wanted, and ``A^H (A w - t)``."""
    wave = wave.detach().requires_grad_()
    miss = respond(wave) - wanted
    loss = (miss.real.square().sum() + miss.imag.square().sum()) / 2
    (back,) = torch.autograd.grad(loss, wave)
    return math.sqrt(2 * float(loss.detach())), back


def _gain(respond: Respond, shape: torch.Size, generator: torch.Generator) -> float:
    """Largest eigenvalue of ``A^H A`` by power iteration, to some percent and from below."""
    wave = torch.polar(torch.ones(shape), torch.rand(shape, generator=generator))
    still = respond(torch.zeros_like(wave))
    for _ in range(8):
        wave = wave / wave.abs().square().sum().sqrt()
        _, wave = _adjoint(respond, wave, still)
    return float(wave.abs().square().sum().sqrt())


@lru_cache(maxsize=1)
def _bessel_table() -> tuple[np.ndarray, np.ndarray]:
    """Rising J1 over its first maximum, scaled to 1, and its argument: the inverse function as a table."""
    depth = 1.8411837813406593 * np.sin(np.linspace(0, np.pi / 2, 20001))  # dense where J1 is flat
    return j1(depth) / j1(depth[-1]), depth
