"""How fast is phase retrieval? One Gerchberg-Saxton iteration; A is at the size of the mask, not padded."""

import logging
import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Call, Contender, Row, Run, compare, floor


def measure(run: Run, size: int = 1024, iterations: int = 10) -> list[Row]:
    """Time some iterations from the same start; the error is the efficiency that is missing against the textbook."""
    target = two_disks(size)
    start = 2 * math.pi * torch.rand(size, size, generator=torch.Generator().manual_seed(0))
    best = efficiency(textbook(target, start, iterations), target)

    def ours() -> tuple[Call, Callable[[Any], Tensor]]:
        retrieve = import_module("fouroptics.masks.hologram").gerchberg_saxton
        amplitude, phase = target.to(run.device), start.to(run.device)
        return (lambda: retrieve(amplitude, iterations, start=phase)), (lambda out: out)

    def plain() -> tuple[Call, Callable[[Any], Tensor]]:
        amplitude, phase = target.to(run.device), start.to(run.device)
        return (lambda: textbook(amplitude, phase, iterations)), (lambda out: out)

    contenders = [
        Contender("fouroptics", "ours", ours, parts=iterations),
        Contender("textbook", "reference", plain, "angle, exp and shifts", parts=iterations),
        Contender("slmsuite GS", "peer", lambda: slmsuite(target, start, iterations), "", "slmsuite", iterations),
    ]
    unit = floor((size, size), run.device)
    wrong = lambda phase: max(best - efficiency(phase, target), 0.0)  # noqa: E731
    return compare("gerchberg_saxton", f"N = {size}", contenders, unit, wrong, run)


def two_disks(n: int) -> Tensor:
    """Far-field amplitude (n, n), symmetric about sample n//2: two disks beside the axis."""
    axis = (torch.arange(n) - n // 2) / n
    return ((axis[:, None] ** 2 + (axis.abs() - 0.2) ** 2) < 0.1**2).float()


def textbook(target: Tensor, phase: Tensor, iterations: int) -> Tensor:
    """Gerchberg-Saxton as it is written down, between a uniform mask and its far field."""
    for _ in range(iterations):
        far = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(torch.exp(1j * phase))))
        far = target * torch.exp(1j * far.angle())
        phase = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(far), norm="forward")).angle()
    return phase


def efficiency(phase: Tensor, target: Tensor) -> float:
    """Overlap of the far field's amplitude with the target, 0 to 1."""
    wave = torch.polar(torch.ones_like(phase), phase).cpu()
    far = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(wave))).abs()
    return float((far * target).sum() / (far.norm() * target.norm()))


def slmsuite(target: Tensor, start: Tensor, iterations: int) -> tuple[Call, Callable[[Any], Tensor]]:
    """Its hologram, which goes back to the start before the iterations."""
    package = import_module("slmsuite.holography.algorithms")
    logging.getLogger("slmsuite").setLevel(logging.WARNING)
    hologram, first = package.Hologram(target.numpy(), slm_shape=tuple(target.shape)), start.numpy()

    def call() -> Any:
        hologram.reset_phase(custom_phase=first)
        hologram.optimize("GS", maxiter=iterations, verbose=False)
        return hologram

    return call, lambda out: torch.from_numpy(np.array(out.get_phase()))
