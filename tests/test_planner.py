"""plan(): what it chooses, what it promises, and that it keeps to it."""

import math
import statistics

import numpy as np
import pytest
import torch

import fouroptics as fo
from fouroptics.units import mm, nm, um
from validation import estimates, exact
from validation.case import relative
from validation.drawn import drawn

WAVELENGTH = 532 * nm
GRID = fo.Grid((256, 256), 8 * um)


def beam(z: float, waist: float = 100 * um, grid: fo.Grid = GRID) -> torch.Tensor:
    y, x = grid.coordinates()
    return torch.from_numpy(exact.beam(y[:, None], x[None, :], z, WAVELENGTH, waist))


def field(data: torch.Tensor, dtype: torch.dtype = torch.complex128, grid: fo.Grid = GRID) -> fo.Field:
    return fo.Field(data.to(dtype), grid, WAVELENGTH)


def square(z: float, center: float, side: float = 0.992 * mm) -> torch.Tensor:
    """Fresnel integrals, carrier included."""
    lines = [exact.slit(axis, z, WAVELENGTH, (center - side / 2, center + side / 2)) for axis in GRID.coordinates()]
    return torch.from_numpy(lines[0][:, None] * lines[1] * np.exp(2j * np.pi * (z / WAVELENGTH % 1)))


@pytest.mark.parametrize("z", [20 * mm, 50 * mm, 0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("center", [-4 * um, 0.0, 1.3 * um])
def test_the_estimate_for_edges_is_within_a_factor_of_three(z: float, center: float):
    """Edges between, on and off samples; the Fresnel integrals are good to 1e-3 of the field at 20 mm."""
    u = field(fo.shapes.rectangle(GRID, (0.992 * mm, 0.992 * mm), (center, center)))
    plan = fo.plan(u, z, tolerance=1.0)
    assert 1 / 3 < plan.error / relative(plan(u).data, square(z, center)) < 3


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("z", [10 * mm, 0.1, 0.3, 3.0, -0.1])
def test_a_beam_keeps_to_the_tolerance(z: float, dtype: torch.dtype):
    plan = fo.plan(field(beam(0.0), dtype), z, tolerance=2e-6)
    true = relative(plan(field(beam(0.0), dtype)).data, beam(z))
    assert true / 3 < plan.error < 2e-6


def test_it_is_periodic_where_that_is_enough():
    u = field(beam(0.0))
    near, far = fo.plan(u, 10 * mm, tolerance=1e-6), fo.plan(u, 1.0, tolerance=1e-6)
    assert (near.method, far.method) == ("periodic", "convolution")
    assert near.cost.shape == (256, 256)
    assert far.cost.shape == (512, 512)
    assert near.cost.bytes < far.cost.bytes
    assert fo.plan(u, 1.0, fo.Grid((32, 32), 30 * um)).method == "matrices"


def test_a_plan_out_of_reach_says_so_and_names_the_term():
    u = field(fo.shapes.rectangle(GRID, (0.992 * mm, 0.992 * mm), (-4 * um, -4 * um)))
    plan = fo.plan(u, 50 * mm, tolerance=1e-3)
    assert max(plan.terms, key=lambda name: plan.terms[name]) in ("edges", "place")
    assert "pixels=True" in plan.reason
    with pytest.warns(fo.SamplingWarning, match="pixels=True"):
        plan(u)
    cells = fo.plan(u, 50 * mm, tolerance=3e-3, pixels=True)
    assert relative(cells(u).data, square(50 * mm, -4 * um)) < 3e-3  # no warning, and it keeps its word


def test_the_error_is_that_of_its_terms_and_the_reason_is_one_sentence():
    plan = fo.plan(field(fo.shapes.circle(GRID, 0.4 * mm)), 0.1)
    assert plan.error == pytest.approx(math.hypot(*plan.terms.values()))
    assert plan.reason.count(". ") == 0
    assert f"{plan.error:.1e}" in plan.reason


def test_what_cannot_be_planned_is_an_error():
    u = field(beam(0.0))
    with pytest.raises(fo.GeometryError, match="tolerance"):
        fo.plan(u, 0.1, tolerance=0.0)
    with pytest.raises(fo.GeometryError, match="finite"):
        fo.plan(u, math.nan)
    with pytest.raises(fo.GeometryError, match="plan again"):
        fo.plan(u, 0.1)(u.replace(grid=GRID.shifted(1 * um, 0.0)))


def test_a_batch_a_gradient_and_a_dark_field_are_planned_too():
    u = field(beam(0.0)[None].repeat(2, 1, 1).requires_grad_())
    assert fo.plan(u, 0.1)(u).data.requires_grad
    dark = fo.plan(field(torch.zeros(256, 256)), 0.1)
    assert dark.error == dark.error  # a number
    assert fo.plan(field(beam(0.0)), 0.0).error <= 1e-12


def test_no_estimate_is_below_a_third_of_the_error():
    """Beams, speckle and openings of random size, place, pitch and distance, of a seed of their own.

    On a target without light an error relative to the light there is any number; there the plan has to say 1 or more.
    """
    done = [one for setting in drawn(11, 40) for one in estimates.estimate("drawn", setting)]
    assert [one for one in done if one.ratio < 1 / 3 and one.plan.error < 1] == []
    above = [one.ratio for one in done if not one.rounding]
    assert len(above) > 20
    assert statistics.median(above) < 3  # and not by always saying the worst
