"""torch.compile takes a propagation whole: no graph break, no warning, the same light and the same gradient."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.units import mm, nm, um
from validation.case import relative

GRID, OTHER = fo.Grid((24, 31), 8 * um), fo.Grid((20, 21), 5 * um, (40 * um, 0.0))
STEPS: dict[str, Callable[[fo.Field], fo.Field]] = {
    "propagate": partial(fo.propagate, z=2 * mm),
    "moved": partial(fo.propagate, z=2 * mm, onto=fo.Grid((20, 21), 8 * um, (30 * um, 5 * um))),
    "other pitch": partial(fo.propagate, z=2 * mm, onto=OTHER),
    "cells": partial(fo.propagate, z=2 * mm, pixels=True),
    "planes": partial(fo.propagate, z=[2 * mm, 3 * mm]),
    "angular spectrum": partial(fo.angular_spectrum, z=2 * mm),
    "periodic": partial(fo.angular_spectrum, z=2 * mm, pad=1),
    "fresnel": partial(fo.fresnel, z=2 * mm),
    "rayleigh sommerfeld": partial(fo.rayleigh_sommerfeld, z=0.1),
    "fraunhofer": partial(fo.fraunhofer, z=3.0),
    "lens": partial(fo.lens, focal_length=0.1),
    "fourier lens": partial(fo.fourier_lens, focal_length=0.1),
    "fourier lens, other grid": partial(fo.fourier_lens, focal_length=0.1, onto=OTHER),
}


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Each test compiles anew."""
    torch.compiler.reset()


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_compiled_step_is_the_step(step: Callable[[fo.Field], fo.Field], backend: str):
    """A phase that is learned, a propagation, a figure of merit. complex64, the same operations: some steps of 6e-8."""
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(2, *GRID.shape, dtype=torch.complex64, generator=generator)
    phase = torch.randn(*GRID.shape, generator=generator)

    def merit(phase: Tensor) -> Tensor:
        u = fo.Field(data, GRID, 532 * nm).modulate(torch.polar(torch.ones_like(phase), phase))
        seen = step(u).intensity
        return (seen * torch.linspace(0, 1, seen.shape[-1])).sum() / seen.numel()

    results = []
    for run in (merit, torch.compile(merit, fullgraph=True, backend=backend)):
        learned = phase.clone().requires_grad_()
        value = run(learned)
        value.backward()
        assert learned.grad is not None
        results.append((value.detach(), learned.grad))
    for eager, compiled in zip(*results, strict=True):
        assert float(eager.abs().max()) > 0
        assert relative(compiled, eager) < 1e-6


def test_it_is_compiled_once_for_a_distance_and_again_for_another():
    """The kernel is a constant of the graph, so a new distance must not be served by an old one."""
    counts = []

    def counted(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        counts.append(graph)
        return graph.forward

    run = torch.compile(fo.propagate, fullgraph=True, backend=counted, dynamic=False)  # no symbol for z
    u = fo.Field(torch.ones(GRID.shape, dtype=torch.complex64), GRID, 532 * nm)
    for z in (2 * mm, 2 * mm, 3 * mm):
        assert relative(run(u, z).data, fo.propagate(u, z).data) < 1e-6
    assert len(counts) >= 2
    again = len(counts)
    run(u, 2 * mm)
    assert len(counts) == again


def test_grids_may_be_made_inside():
    data = torch.randn(*GRID.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))

    def run(data: Tensor) -> Tensor:
        u = fo.propagate(fo.Field(data, fo.Grid((24, 31), 8 * um), 532 * nm), 2 * mm, GRID.shifted(8 * um, 0.0))
        return fo.fourier_lens(fo.propagate(u, 2 * mm, fo.Grid((20, 20), 5 * um)), 0.1).data

    assert relative(torch.compile(run, fullgraph=True, backend="aot_eager")(data), run(data)) < 1e-6
