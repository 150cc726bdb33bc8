"""Laws that every propagator and every element keeps, whichever way it is computed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import fouroptics as fo
from fouroptics.units import mm, nm, um
from fouroptics.waves import transforms
from validation.case import relative

WAVELENGTH = 532 * nm
DOUBLE, SINGLE = torch.complex128, torch.complex64
PITCH = (8 * um, 9 * um)
SOURCE = fo.Grid((24, 31), PITCH, (3 * um, -5 * um))
MOVED = fo.Grid((19, 34), PITCH, (75 * um, -40 * um))
OTHER = fo.Grid((19, 28), (5 * um, 11 * um), (40 * um, -30 * um))
NEAR, FAR = 2 * mm, 0.2  # the window of angular_spectrum holds its light; samples carry its spherical wave

Step = Callable[[fo.Field], fo.Field]
PROPAGATORS: dict[str, Step] = {
    "propagate": partial(fo.propagate, z=NEAR),
    "propagate, far": partial(fo.propagate, z=FAR, onto=MOVED),
    "propagate, back": partial(fo.propagate, z=-NEAR, onto=MOVED),
    "propagate, other pitch": partial(fo.propagate, z=NEAR, onto=OTHER),
    "propagate, no distance": partial(fo.propagate, z=0.0, onto=OTHER),
    "cells": partial(fo.propagate, z=NEAR, onto=MOVED, pixels=True),
    "cells, other pitch": partial(fo.propagate, z=NEAR, onto=OTHER, pixels=True),
    "planes": partial(fo.propagate, z=[NEAR, 0.0, -FAR]),
    "planes, other pitch": partial(fo.propagate, z=[NEAR, FAR], onto=OTHER),
    "angular spectrum": partial(fo.angular_spectrum, z=NEAR),
    "angular spectrum, other pitch": partial(fo.angular_spectrum, z=NEAR, onto=OTHER),
    "periodic": partial(fo.angular_spectrum, z=NEAR, pad=1),
    "fresnel": partial(fo.fresnel, z=NEAR, onto=MOVED),
    "fresnel, other pitch": partial(fo.fresnel, z=NEAR, onto=OTHER),
    "rayleigh sommerfeld": partial(fo.rayleigh_sommerfeld, z=FAR, onto=MOVED),
    "rayleigh sommerfeld, sum": partial(fo.rayleigh_sommerfeld, z=FAR, onto=OTHER),
    "fraunhofer": partial(fo.fraunhofer, z=3.0),
    "fourier lens": partial(fo.fourier_lens, focal_length=FAR),
    "fourier lens, other grid": partial(fo.fourier_lens, focal_length=FAR, onto=OTHER),
}
MASK = torch.polar(torch.full(SOURCE.shape, 0.8), torch.arange(24 * 31.0).reshape(SOURCE.shape)).to(DOUBLE)
ELEMENTS: dict[str, Step] = {
    "lens": partial(fo.lens, focal_length=0.1, center=(20 * um, 0.0)),
    "aberrate": partial(fo.aberrate, coefficients={4: 0.5, 7: -0.3}, radius=150 * um),
    "Lens": fo.Lens(0.1, 150 * um),
    "FreeSpace": fo.FreeSpace(NEAR, OTHER),
    "FourierLens": fo.FourierLens(0.1),
    "Mask": fo.Mask(MASK),
    "Aperture": fo.Aperture(150 * um),
    "Aberration": fo.Aberration([0.0, 0.4, 0.0, 1.0], 150 * um),
}
STEPS = PROPAGATORS | ELEMENTS
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
each_propagator = pytest.mark.parametrize("step", PROPAGATORS.values(), ids=PROPAGATORS)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Light of the whole band, and of every evanescent wave that the samples carry."""
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def field(data: Tensor, grid: fo.Grid = SOURCE) -> fo.Field:
    return fo.Field(data, grid, WAVELENGTH)


def pulled_back(step: Step, u: Tensor, y: Tensor, grid: fo.Grid = SOURCE) -> tuple[Tensor, Tensor]:
    """A field behind `step`, and the adjoint of `step` applied to y."""
    u = u.detach().requires_grad_()
    out = step(field(u, grid)).data
    (adjoint,) = torch.autograd.grad(out, u, y)
    return out.detach(), adjoint


@pytest.fixture(params=["plain", "blocked"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which form of the convolution is taken on a CPU."""
    monkeypatch.setattr(transforms, "BLOCKED", 1 if request.param == "blocked" else 2**60)


# ---- linear, and one by one ------------------------------------------------------------------------------------------


@each_step
def test_it_is_linear(step: Step):
    a, b, c = noise(*SOURCE.shape), noise(*SOURCE.shape, seed=1), 2 - 1j
    assert relative(c * step(field(a)).data + step(field(b)).data, step(field(c * a + b)).data) < 1e-12  # rounding


@pytest.mark.usefixtures("form")
@each_step
def test_autograd_gives_the_adjoint(step: Step):
    """The dot test ``<y, A x> = <A^H y, x>``; 1e-12 for rounding."""
    x = noise(*SOURCE.shape)
    y = noise(*step(field(x)).data.shape, seed=1)
    out, adjoint = pulled_back(step, x, y)
    expected = complex(torch.sum(y.conj() * out))
    assert abs(complex(torch.sum(adjoint.conj() * x)) - expected) < 1e-12 * float(y.norm() * out.norm())


@each_step
def test_gradient_with_respect_to_the_field(step: Step):
    assert torch.autograd.gradcheck(
        lambda u: step(field(u)).data, noise(*SOURCE.shape).requires_grad_(), fast_mode=True
    )


@each_step
def test_a_batch_is_its_items(step: Step, monkeypatch: pytest.MonkeyPatch):
    """The batch in blocks, the item in one piece; rounding."""
    data = noise(2, 3, *SOURCE.shape)
    monkeypatch.setattr(transforms, "BLOCKED", 2**60)
    item = step(field(data[1, 2]))
    monkeypatch.setattr(transforms, "BLOCKED", 1)
    whole = step(field(data))
    assert whole.grid == item.grid
    assert whole.data.shape == (2, 3, *item.data.shape)
    assert relative(whole.data[1, 2], item.data) < 1e-12


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_of_a_size_that_is_worth_it_is_its_items(threads: int):
    """In blocks because it is large, a field to each thread; complex64, some steps of 6e-8."""
    grid, before = fo.Grid((160, 150), PITCH), torch.get_num_threads()
    data = noise(6, 160, 150).to(SINGLE)
    assert data.numel() * 4 > transforms.BLOCKED > data[0].numel() * 4
    torch.set_num_threads(threads)
    try:
        whole = fo.propagate(field(data, grid), NEAR).data
    finally:
        torch.set_num_threads(before)
    for u, out in zip(data, whole, strict=True):
        assert relative(out, fo.propagate(field(u, grid), NEAR).data) < 1e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@each_step
def test_a_gpu_gives_what_the_cpu_gives(step: Step):
    u, y = field(noise(2, *SOURCE.shape)), noise(2, *step(field(noise(*SOURCE.shape))).data.shape)
    moved = step.to("cuda") if isinstance(step, torch.nn.Module) else step
    out, adjoint = pulled_back(step, u.data, y)
    other, other_adjoint = pulled_back(moved, u.data.cuda(), y.cuda())
    assert other.is_cuda
    assert relative(other.cpu(), out) < 1e-11  # rounding
    assert relative(other_adjoint.cpu(), adjoint) < 1e-11


# ---- there and back --------------------------------------------------------------------------------------------------

BETWEEN: dict[str, Callable[..., fo.Field]] = {
    "propagate": partial(fo.propagate, z=FAR),
    "fresnel": partial(fo.fresnel, z=NEAR),
    "rayleigh sommerfeld": partial(fo.rayleigh_sommerfeld, z=FAR),
    "fourier lens": partial(fo.fourier_lens, focal_length=FAR),
}


@pytest.mark.parametrize("run", BETWEEN.values(), ids=BETWEEN)
def test_source_and_receiver_may_be_exchanged(run: Callable[..., fo.Field]):
    """Reciprocity: the transpose of the way there is the way back, in the cells of each grid; rounding.

    Not so for cells, which turn light of one side alone, and for fraunhofer, which drops the phase of the source.
    """
    y = noise(*MOVED.shape, seed=1)
    _, adjoint = pulled_back(lambda u: run(u, onto=MOVED), noise(*SOURCE.shape), y.conj())
    back = run(field(y, MOVED), onto=SOURCE).data
    assert relative(adjoint.conj() * (MOVED.cell / SOURCE.cell), back) < 1e-11


def beam(grid: fo.Grid, waist: float = 30 * um, center: tuple[float, float] = (0.0, 0.0)) -> fo.Field:
    return fo.gaussian_beam(grid, WAVELENGTH, waist=waist, center=center, dtype=DOUBLE)


def coupled(u: fo.Field, v: fo.Field) -> complex:
    return complex((u.data * v.data).sum()) * u.grid.cell


@pytest.mark.parametrize(
    "run",
    [
        partial(fo.propagate, z=10 * mm),
        partial(fo.propagate, z=-10 * mm),
        partial(fo.propagate, z=10 * mm, pixels=True),
        partial(fo.fresnel, z=10 * mm),
        partial(fo.rayleigh_sommerfeld, z=0.05),
        partial(fo.angular_spectrum, z=4 * mm),
    ],
    ids=["propagate", "back", "cells", "fresnel", "rayleigh sommerfeld", "angular spectrum"],
)
def test_light_couples_the_same_both_ways_between_any_two_grids(run: Callable[..., fo.Field]):
    """Beams that both grids hold; 1e-6: what of a waist of 30 um is beyond the band of 11 um samples and the edges."""
    here, there = fo.Grid((64, 57), PITCH, (10 * um, 0.0)), fo.Grid((90, 60), (5 * um, 11 * um), (30 * um, -20 * um))
    u, v = beam(here, center=(20 * um, 10 * um)), beam(there, center=(30 * um, -40 * um))
    forward = coupled(run(u, onto=there), v)
    assert abs(forward - coupled(run(v, onto=here), u)) < 1e-6 * abs(forward)


WIDE = fo.Grid((160, 171), PITCH)
ONWARD: dict[str, Callable[..., fo.Field]] = {
    "propagate": fo.propagate,
    "over another grid": lambda u, z: fo.propagate(u, z, WIDE if u.grid != WIDE else fo.Grid((240, 140), 6 * um)),
    "planes": lambda u, z: u.replace(data=fo.propagate(u, [z, 0.0]).data[..., 0, :, :]),
    "angular spectrum": fo.angular_spectrum,
    "periodic": partial(fo.angular_spectrum, pad=1),
    "fresnel": fo.fresnel,
}


@pytest.mark.parametrize(("first", "second"), [(8 * mm, 12 * mm), (20 * mm, -5 * mm), (15 * mm, -15 * mm)])
@pytest.mark.parametrize("run", ONWARD.values(), ids=ONWARD)
def test_two_steps_are_one_and_back_is_the_way_back(run: Callable[..., fo.Field], first: float, second: float):
    """A beam that stays inside, to its tail at the border: exp(-(600/100)^2) = 2e-16 at the waist, 1e-10 after 20 mm."""
    u = beam(WIDE, 100 * um)
    two = run(run(u, first), second)
    one = u if first + second == 0 else fo.propagate(u, first + second)
    if run is fo.fresnel:
        one = fo.fresnel(u, first + second)
    assert relative(two.data, one.data) < 1e-9


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
    st.sampled_from([50 * um, -1 * mm, 0.1]),
)
def test_onto_any_grid_is_a_part_of_a_wider_one(shape: Any, target: Any, shift: Any, z: float):
    """Odd, even, not square, shifted: the samples that a target shares with a wider one are the same light.

    2e-3: the kernel of the wider one is longer, which full-band noise feels at the edge of its band.
    """
    u = field(noise(*shape), fo.Grid(shape, 8 * um))
    onto = fo.Grid(target, 8 * um, (shift[0] * um, shift[1] * um))
    wider = fo.Grid((target[0] + 13, target[1] + 8), 8 * um, (onto.center[0] + 16 * um, onto.center[1] - 8 * um))
    start = [wide // 2 - n // 2 - s for wide, n, s in zip(wider.shape, target, (2, -1), strict=True)]
    out = fo.propagate(u, z, onto).data
    part = fo.propagate(u, z, wider).data[start[0] : start[0] + target[0], start[1] : start[1] + target[1]]
    assert float((out - part).norm()) < 2e-3 * float(u.data.norm())


# ---- energy ----------------------------------------------------------------------------------------------------------


def largest_gain(step: Step, grid: fo.Grid, times: int = 12) -> float:
    """Power out over power in for the field that gains most, found by power iteration: a bound from below."""
    x, gain = noise(*grid.shape), 0.0
    for _ in range(times):
        x = x / x.norm()
        out, _ = pulled_back(step, x, torch.zeros_like(step(field(x, grid)).data), grid)
        gain = float(step(field(x, grid)).power()) / float(field(x, grid).power())
        _, x = pulled_back(step, x, out, grid)
    return gain


@pytest.mark.parametrize("z", [0.5 * um, -10 * um, 100 * um, 10 * mm])
@pytest.mark.parametrize("d", [0.2 * um, 1 * um, 8 * um])
def test_energy_never_grows(d: float, z: float):
    """Not even that of the field made for it, evanescent waves (d < 266 nm) included, both ways; 1e-9 for rounding."""
    grid, wide = fo.Grid((12, 15), d), fo.Grid((30, 40), d)
    for run in (partial(fo.propagate, z=z), partial(fo.propagate, z=z, onto=wide)):
        assert largest_gain(run, grid) < 1 + 1e-9
