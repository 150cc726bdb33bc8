"""Is a convolution in the spectrum faster than a direct one? By kernel size, with the choice that is made."""

from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks.harness import FLOOR, Call, Row, Run, floor, spread, steady
from models.spectral import direct_convolution, spectral_convolution, spectral_is_faster

Convolution = Callable[[Tensor, Tensor, int], Tensor]
TAPS = (5, 9, 13, 15, 21, 33)
SIZES = ((1, 16, 28, 64), (1, 16, 64, 32), (3, 32, 64, 16), (16, 16, 64, 8), (1, 16, 224, 4))  # in, out, pixels, batch


def measure(run: Run, sizes: tuple[tuple[int, int, int, int], ...] = SIZES) -> list[Row]:
    """Images a second of both forms for each size and kernel, and what the worst choice of `models.front` costs."""
    rows, costs = [], []
    for channels, outputs, n, batch in sizes:
        light = torch.randn(batch, channels, n, n, generator=torch.Generator().manual_seed(0)).to(run.device)
        for learns in (True, False):
            case = f"{channels} -> {outputs} channels, {batch} of {n} x {n}, {'training' if learns else 'forward'}"
            for k in (k for k in TAPS if k <= n):
                print(f"spectral, {case}, {k} x {k}", flush=True)
                pair, cost = _compare(case, light, outputs, k, learns, run)
                rows += pair
                costs += [(cost, f"{case}, {k} x {k}")] if cost else []
    worst, where = max(costs, default=(None, "no run was steady"))
    return [*rows, Row("spectral", "the worst choice", "fouroptics", "ours", worst, "times of the faster", None, where)]


def _compare(case: str, light: Tensor, outputs: int, k: int, learns: bool, run: Run) -> tuple[list[Row], float | None]:
    seed = torch.Generator().manual_seed(1)
    kernels = torch.randn(outputs, light.shape[1], k, k, generator=seed).to(light.device).requires_grad_(learns)
    forms: dict[str, Convolution] = {"direct": direct_convolution, "spectral": spectral_convolution}
    with torch.set_grad_enabled(learns):
        chosen = "spectral" if spectral_is_faster(light, kernels, k // 2) else "direct"
    with torch.no_grad():
        right = direct_convolution(light[:1].double(), kernels.double(), k // 2)  # seconds, of all images
        errors = [float((form(light, kernels, k // 2)[:1] - right).norm() / right.norm()) for form in forms.values()]
    calls = {name: _call(form, light, kernels, learns) for name, form in forms.items()}
    seconds, counts = steady({FLOOR: floor(tuple(light.shape), run.device), **calls}, run)
    times = [median(seconds[name]) for name in forms]
    unsteady = "" if counts else f"unsteady: A spreads by {spread(seconds[FLOOR]):.2f}"
    rows = [
        Row(
            "spectral",
            case,
            f"{k} x {k}, {name}",
            "reference",
            len(light) / time if counts else None,
            "images/s",
            error,
            unsteady or ("chosen" if name == chosen else ""),
        )
        for name, time, error in zip(forms, times, errors, strict=True)
    ]
    return rows, times[list(forms).index(chosen)] / min(times) if counts else None


def _call(form: Convolution, light: Tensor, kernels: Tensor, learns: bool) -> Call:
    padding = kernels.shape[-1] // 2
    if not learns:
        return torch.no_grad()(lambda: form(light, kernels, padding))
    upstream = torch.ones_like(form(light, kernels, padding))
    return lambda: torch.autograd.grad(form(light, kernels, padding), kernels, upstream)
