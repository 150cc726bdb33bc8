"""Laws that every propagator and every element keeps, whichever way it is computed."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
        partial(fo.fresnel, z=10 * mm),
        partial(fo.rayleigh_sommerfeld, z=0.05),
        partial(fo.angular_spectrum, z=4 * mm),
    ],
    ids=["propagate", "back", "fresnel", "rayleigh sommerfeld", "angular spectrum"],
)
def test_light_couples_the_same_both_ways_between_any_two_grids(run: Callable[..., fo.Field]):
    """Beams that both grids hold; 1e-6: the borders, and what a waist of 30 um has beyond the band of 11 um samples."""
    here, there = fo.Grid((40, 37), PITCH, (10 * um, 0.0)), fo.Grid((60, 31), (5 * um, 11 * um), (30 * um, -20 * um))
    u, v = beam(here, center=(20 * um, 10 * um)), beam(there, center=(30 * um, -40 * um))
    forward = coupled(run(u, onto=there), v)
    assert abs(forward - coupled(run(v, onto=here), u)) < 1e-6 * abs(forward)


WIDE = fo.Grid((160, 171), PITCH)
ONWARD: dict[str, Callable[..., fo.Field]] = {
    "propagate": fo.propagate,
    "over another grid": lambda u, z: fo.propagate(u, z, WIDE if u.grid != WIDE else fo.Grid((240, 220), 6 * um)),
    "planes": lambda u, z: u.replace(data=fo.propagate(u, [z, 0.0]).data[..., 0, :, :]),
    "angular spectrum": fo.angular_spectrum,
    "periodic": partial(fo.angular_spectrum, pad=1),
    "fresnel": fo.fresnel,
}


@pytest.mark.parametrize(("first", "second"), [(8 * mm, 12 * mm), (20 * mm, -5 * mm), (15 * mm, -15 * mm)])
@pytest.mark.parametrize("run", ONWARD.values(), ids=ONWARD)
def test_two_steps_are_one_and_back_is_the_way_back(run: Callable[..., fo.Field], first: float, second: float):
    """A beam that stays inside but for its tail: at the border exp(-6^2) at the waist, 1e-10 of it after 20 mm."""
    u = beam(WIDE, 100 * um)
    two = run(run(u, first), second)
    one = u if first + second == 0 else fo.propagate(u, first + second)
    if run is fo.fresnel:
        one = fo.fresnel(u, first + second)
    assert relative(two.data, one.data) < 1e-9


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.floats(-15, 15), st.floats(-15, 15)),
    st.sampled_from([1 * mm, -1 * mm, 5 * mm, 0.1]),
)
def test_a_part_of_a_wider_target_is_the_same_light(shape: Any, target: Any, shift: Any, z: float):
    """Odd, even, not square, between samples. 3e-3: a longer kernel, which noise feels at the edge of its band."""
    u = field(noise(*shape), fo.Grid(shape, 8 * um))
    onto = fo.Grid(target, 8 * um, (shift[0] * um, shift[1] * um))
    wider = fo.Grid((target[0] + 13, target[1] + 8), 8 * um, (onto.center[0] + 16 * um, onto.center[1] - 8 * um))
    i, j = (wide // 2 - n // 2 - s for wide, n, s in zip(wider.shape, target, (2, -1), strict=True))
    part = fo.propagate(u, z, wider).data[i : i + target[0], j : j + target[1]]
    assert relative(fo.propagate(u, z, onto).data, part) < 3e-3


# ---- energy ----------------------------------------------------------------------------------------------------------


def largest_gain(step: Step, grid: fo.Grid) -> float:
    """Power out over power in for the field that gains most, from below, by power iteration."""
    u, gain = field(noise(*grid.shape), grid), 0.0
    for _ in range(12):
        out = step(u)
        gain = float(out.power()) / float(u.power())
        _, back = pulled_back(step, u.data, out.data, grid)
        u = field(back / back.norm(), grid)
    return gain


GROWTH: dict[str, Callable[..., fo.Field]] = {
    "propagate": fo.propagate,
    "planes": lambda u, z, onto: next(fo.planes(u, [z], onto)),
    "angular spectrum": fo.angular_spectrum,
    "periodic": lambda u, z, onto: fo.angular_spectrum(u, z, pad=1),
    "fresnel": fo.fresnel,
}


@pytest.mark.filterwarnings("ignore::fouroptics.errors.SamplingWarning")  # of the window, of the paraxial phase
@pytest.mark.parametrize("z", [0.5 * um, -10 * um, 100 * um, 10 * mm])
@pytest.mark.parametrize("d", [0.2 * um, 1 * um, 8 * um])
@pytest.mark.parametrize("run", GROWTH.values(), ids=GROWTH)
def test_energy_never_grows(run: Callable[..., fo.Field], d: float, z: float):
    """Not for the field that gains most, evanescent waves (d < 266 nm) included, both ways; 1e-9 for rounding."""
    grid = fo.Grid((12, 15), d)
    for onto in (grid, fo.Grid((30, 40), d), fo.Grid((50, 40), (0.8 * d, 0.7 * d), (3 * d, 0.0))):
        assert largest_gain(partial(run, z=z, onto=onto), grid) < 1 + 1e-9


@pytest.mark.parametrize("name", ["Mask", "Aperture", "Lens", "aberrate", "lens", "FourierLens"])
def test_no_element_adds_energy(name: str):
    """A lens, an aberration and the lens transform on its whole period keep it all; rounding."""
    gain = largest_gain(STEPS[name], SOURCE)
    assert gain < 1 + 1e-9
    if name in ("aberrate", "lens", "FourierLens"):
        assert gain == pytest.approx(1, abs=1e-9)


def test_all_the_light_of_cells_is_in_their_orders():
    """Beyond F cycles a cell an axis has ``1/(pi^2 F)`` of it; 5e-3: the edge of the grid is not that sharp an F."""
    z, half, d = 0.4 * mm, 0.2 * mm, 8 * um
    u = field(noise(6, 5), fo.Grid((6, 5), d))
    out = fo.propagate(u, z, fo.Grid((400, 400), 1 * um), pixels=True)
    cycles = d / WAVELENGTH * half / math.hypot(half, z)
    assert float(out.power() / u.power()) == pytest.approx(1 - 2 / (math.pi**2 * cycles), abs=5e-3)


# ---- precision -------------------------------------------------------------------------------------------------------

PLAIN, FINER = fo.Grid((32, 27), 16 * um), fo.Grid((40, 41), 12 * um, (100 * um, -60 * um))
DISTANCES = [10 * mm, 0.1, 1.0, 3.0]
VALID: dict[str, tuple[Callable[..., fo.Field], list[float]]] = {
    "propagate": (fo.propagate, DISTANCES),
    "propagate, other pitch": (partial(fo.propagate, onto=FINER), DISTANCES),
    "cells": (partial(fo.propagate, pixels=True), DISTANCES),
    "planes": (lambda u, z: fo.propagate(u, [z]), DISTANCES),
    "angular spectrum": (fo.angular_spectrum, DISTANCES[:1]),
    "periodic": (partial(fo.angular_spectrum, pad=1), DISTANCES),
    "fresnel": (fo.fresnel, DISTANCES),
    "fresnel, other pitch": (partial(fo.fresnel, onto=FINER), DISTANCES),
    "rayleigh sommerfeld": (fo.rayleigh_sommerfeld, DISTANCES[1:]),
    "rayleigh sommerfeld, sum": (partial(fo.rayleigh_sommerfeld, onto=FINER), DISTANCES[1:]),
    "fraunhofer": (fo.fraunhofer, DISTANCES[3:]),
    "fourier lens": (fo.fourier_lens, DISTANCES),
}


@pytest.mark.parametrize(("name", "z"), [(name, z) for name, (_, each) in VALID.items() for z in each])
def test_single_precision_is_enough(name: str, z: float):
    """Of noise, with its carrier. 1e-4 is promised; with phases from float64, some steps of float32 are left, 2e-6."""
    run, u = VALID[name][0], field(noise(*PLAIN.shape), PLAIN)
    single = run(u.to(SINGLE), z).data
    assert single.dtype == SINGLE
    assert relative(single, run(u, z).data) < 2e-6


# ---- several at once -------------------------------------------------------------------------------------------------


class Beams(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Tensor:
        return fo.propagate(beam(SOURCE), (i + 1) * mm).data


@pytest.mark.usefixtures("form")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_propagation_in_a_worker_process():
    """After the parent has used its own threads, which a fork does not take along; the same to the last bit or so."""
    fo.propagate(field(noise(3, *SOURCE.shape)), NEAR)
    loader = torch.utils.data.DataLoader(Beams(), batch_size=2, num_workers=1, multiprocessing_context="fork")
    for i, out in enumerate(torch.cat(list(loader))):
        assert relative(out, Beams()[i]) < 1e-14


@pytest.mark.usefixtures("form")
def test_propagation_in_threads():
    """Four at once over distances of their own, through one cache; more distances than it holds."""
    distances = [(i % 11 + 1) * mm for i in range(44)]
    u = field(noise(*SOURCE.shape))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda z: fo.propagate(u, z).data, distances))
    for z, out in zip(distances[:11], together, strict=False):
        assert relative(out, fo.propagate(u, z).data) < 1e-14
