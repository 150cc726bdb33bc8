"""Gradients with respect to what a bench may learn: distances, focal lengths, phases, aberrations."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.units import mm, nm, um
from validation.case import relative

WAVELENGTH = 532 * nm
PITCH = (8 * um, 9 * um)
FAR = 0.2
GRID, MOVED, OTHER = (
    fo.Grid((5, 6), PITCH),
    fo.Grid((4, 7), PITCH, (16 * um, 0.0)),
    fo.Grid((4, 5), 7 * um),
)
ALONG: dict[str, tuple[Callable[..., fo.Field], float]] = {
    "near": (fo.propagate, 1 * mm),
    "far": (partial(fo.propagate, onto=MOVED), FAR),
    "back": (fo.propagate, -1 * mm),
    "other pitch": (partial(fo.propagate, onto=OTHER), 1 * mm),
    "other pitch, far, back": (partial(fo.propagate, onto=OTHER), -FAR),
    "planes": (lambda u, z: fo.propagate(u, torch.stack([z, -z])), 1 * mm),
    "cells": (partial(fo.propagate, pixels=True), 1 * mm),
    "cells, other pitch": (partial(fo.propagate, onto=OTHER, pixels=True), -1 * mm),
    "angular spectrum": (fo.angular_spectrum, 0.5 * mm),
    "angular spectrum, other pitch": (partial(fo.angular_spectrum, onto=OTHER), -0.5 * mm),
    "periodic": (partial(fo.angular_spectrum, pad=1), FAR),
    "fresnel": (partial(fo.fresnel, onto=MOVED), 1 * mm),
    "fresnel, other pitch": (partial(fo.fresnel, onto=OTHER), -1 * mm),
    "rayleigh sommerfeld": (fo.rayleigh_sommerfeld, FAR),
    "rayleigh sommerfeld, sum": (partial(fo.rayleigh_sommerfeld, onto=OTHER), -FAR),
}


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


def field(data: Tensor) -> fo.Field:
    return fo.Field(data.to(torch.complex128), GRID, WAVELENGTH)


@pytest.mark.parametrize("name", ALONG)
def test_gradient_with_respect_to_the_distance(name: str):
    """The phase turns once a wavelength and is checked in steps of one; the intensity, without carrier, in steps of z.

    Which light can arrive depends on z too, but not its gradient: that is felt where cells are divided, by 1e-2.
    A tensor gives what the number gives, but for the rounding of up to 4e5 turns.
    """
    run, z = ALONG[name]
    u, t = field(noise(*GRID.shape)), torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: run(u, z=z + WAVELENGTH * t).data, t)
    assert torch.autograd.gradcheck(
        lambda t: run(u, z=z * (1 + t)).intensity, t, atol=1e-2 if "cells" in name else 1e-5
    )
    if name != "planes":
        assert relative(run(u, z=torch.tensor(z, dtype=torch.float64)).data, run(u, z=z).data) < 1e-9


@pytest.mark.parametrize("onto", [GRID, MOVED, OTHER], ids=["same", "moved", "other pitch"])
@pytest.mark.parametrize("method", [fo.propagate, fo.fresnel, partial(fo.angular_spectrum, pad=1)])
def test_gradient_with_respect_to_a_distance_of_zero(method: Callable[..., fo.Field], onto: fo.Grid):
    """What a learned displacement begins with."""
    u, t = field(noise(*GRID.shape)), torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: method(u, z=WAVELENGTH * t, onto=onto).data, t)


def test_gradient_with_respect_to_a_focal_length():
    """In steps of f. The centre of a lens is two plain floats, and the f of fourier_lens one: they take no gradient."""
    t = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    u = field(noise(*GRID.shape))
    assert torch.autograd.gradcheck(lambda t: fo.lens(u, 1e-2 * (1 + t), (5 * um, -9 * um)).data, t)


def test_gradients_with_respect_to_phases_and_aberrations():
    """A panel behind a lens with coma, seen from afar."""
    phase = noise(*GRID.shape).real.requires_grad_()
    coefficients = torch.tensor([0.1, -0.4, 0.2, 0.3], dtype=torch.float64, requires_grad=True)

    def seen(phase: Tensor, a: Tensor) -> Tensor:
        u = field(torch.ones(GRID.shape)).modulate(torch.polar(torch.ones_like(phase), phase))
        return fo.propagate(fo.aberrate(u, {j: a[j - 4] for j in (4, 5, 6, 7)}, 80 * um), 5 * mm).intensity

    assert torch.autograd.gradcheck(seen, (phase, coefficients))


def test_the_gradient_of_a_panel_is_that_of_the_phase_it_shows():
    """Its levels are steps, so the gradient goes straight through them: the chain behind sees the shown phase."""
    slm = fo.SLM(fo.SLMConfig(shape=GRID.shape, bits=4, fill_factor=0.9))
    asked = noise(*GRID.shape).real.requires_grad_()
    shown = slm.realised(asked).detach().requires_grad_()
    through = fo.propagate(field(slm(asked)), 5 * mm).intensity[0, 0]
    plain = 0.9 * torch.polar(torch.ones_like(shown), shown) + 0.1 * slm.dead
    there = fo.propagate(field(plain), 5 * mm).intensity[0, 0]
    for each in (through, there):
        each.backward()
    torch.testing.assert_close(through, there)
    torch.testing.assert_close(asked.grad, shown.grad)


@pytest.mark.parametrize("onto", [None, OTHER], ids=["same pitch", "other pitch"])
def test_what_was_evaluated_can_be_learned(onto: fo.Grid | None):
    """Kernels that were made without autograd serve it afterwards: they are kept for every use to come."""
    z = 1.2345 * mm  # of no other test
    u = fo.Field(torch.ones(5, 6, dtype=torch.complex128), GRID, WAVELENGTH)
    with torch.inference_mode():
        fo.propagate(u, z, onto)
        fo.fourier_lens(u, z, onto)
    data = u.data.clone().requires_grad_()
    for out in (fo.propagate(u.replace(data=data), z, onto), fo.fourier_lens(u.replace(data=data), z, onto)):
        (gradient,) = torch.autograd.grad(out.data.abs().square().sum(), data)
        assert float(gradient.abs().max()) > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:DeprecationWarning")  # torch's own jvp uses it
@pytest.mark.parametrize("n", [6, 400], ids=["in one piece", "in blocks"])
def test_forward_derivatives_are_those_of_a_linear_map(n: int):
    grid = fo.Grid((n, n), 8 * um)
    data, tangent = torch.randn(2, n, n, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    for apply in (
        lambda u: fo.propagate(fo.Field(u, grid, WAVELENGTH), 5 * mm).data,
        lambda u: fo.propagate(fo.Field(u, grid, WAVELENGTH), [5 * mm, 7 * mm]).data,
    ):
        for _ in range(2):  # with the kernel at hand, too
            out, derivative = torch.func.jvp(apply, (data,), (tangent,))[:2]
            assert relative(out, apply(data)) < 1e-12
            assert relative(derivative, apply(tangent)) < 1e-12


def test_every_way_to_give_distances_keeps_their_gradient():
    u = fo.Field(
        torch.randn(5, 6, dtype=torch.complex128, generator=torch.Generator().manual_seed(0)), GRID, WAVELENGTH
    )
    z = torch.tensor(1 * mm, dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad(fo.propagate(u, z).data.real.sum(), z)[0]
    for out in (fo.propagate(u, [z, 2 * mm]).data[0], next(iter(fo.planes(u, torch.stack([z, z])))).data):
        torch.testing.assert_close(torch.autograd.grad(out.real.sum(), z)[0], expected)
