"""What does it cost to compile masks? All of `from_kernels`, for each step of its search; A is at the size of the mask.

A step needs a transform there and one back, and A is two raw FFTs: the ratio is what the compiler adds to the FFTs of
its steps, with target, levels and report.
"""

import tomllib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Call, Contender, Row, Run, compare, floor

STEPS = 300 + 120  # as `phase_only` has them: the search, and the levels


def above(error: Tensor) -> float:
    """What the worst response error has above 1 %."""
    return max(float(error.max()) - 0.01, 0.0)


def measure(run: Run, kernels: int = 16) -> list[Row]:
    """Compile random kernels of 9 x 9 taps for the example bench; the error is that above 1 %."""
    weights = torch.randn(kernels, 1, 9, 9, generator=torch.Generator().manual_seed(0))

    def ours() -> tuple[Call, Callable[[Any], Tensor]]:
        settings, fourf = (import_module(f"fouroptics.bench.{name}") for name in ("settings", "fourf"))
        bench = fourf.FourF(tomllib.loads(settings.EXAMPLE))
        compiled = import_module("fouroptics.masks.compiler").from_kernels
        return (lambda: compiled(weights, bench)), (lambda masks: torch.from_numpy(masks.kernels.error.copy()))

    contenders = [Contender("fouroptics", "ours", ours, "from kernels to levels and report", parts=STEPS)]
    unit = floor((500, 500), run.device)
    return compare("compiling", f"{kernels} kernels, N = 500", contenders, unit, above, run)
