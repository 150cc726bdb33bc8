"""Field: a frozen value that carries its grid and its wavelength."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch

import fouroptics as fo
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid

GRID = Grid((3, 4), (2e-6, 5e-6))


def field(*batch: int) -> Field:
    generator = torch.Generator().manual_seed(0)
    return Field(torch.randn(*batch, 3, 4, dtype=torch.complex128, generator=generator), GRID, 532e-9)


def test_power_is_the_sum_over_the_cells():
    u = field(2, 5)
    assert u.power().shape == (2, 5)
    torch.testing.assert_close(u.power(), u.data.abs().square().sum((-2, -1)) * 1e-11)
    torch.testing.assert_close(u.intensity, u.data.abs().square())


def test_phase_is_the_argument():
    assert float(Field(torch.full((3, 4), 1j), GRID, 1e-6).phase[0, 0]) == pytest.approx(torch.pi / 2)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (torch.float32, torch.complex64),
        (torch.float16, torch.complex64),
        (torch.uint8, torch.complex64),
        (torch.float64, torch.complex128),
        (torch.int64, torch.complex128),
        (torch.complex64, torch.complex64),
    ],
)
def test_samples_are_complex_of_the_same_precision(given: torch.dtype, kept: torch.dtype):
    assert Field(torch.ones(3, 4, dtype=given), GRID, 1e-6).data.dtype == kept


def test_modulate_broadcasts_and_keeps_the_precision():
    u = field(2, 1).to(torch.complex64)
    mask = torch.rand(5, 3, 4, dtype=torch.float64)
    out = u.modulate(mask)
    assert out.data.shape == (2, 5, 3, 4)
    assert out.data.dtype == torch.complex64
    torch.testing.assert_close(out.data, (u.data * mask).to(torch.complex64))


def test_gradients_reach_the_mask():
    mask = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    u = field()
    u.modulate(mask).power().backward()
    torch.testing.assert_close(mask.grad, 2 * u.intensity * GRID.cell)  # d sum |u m|^2 / dm at m = 1


def test_replace_and_to_leave_the_field_alone():
    u = field()
    v = u.replace(wavelength=1e-6).to(torch.complex64)
    assert (u.wavelength, u.data.dtype) == (532e-9, torch.complex128)
    assert (v.wavelength, v.data.dtype, v.grid) == (1e-6, torch.complex64, GRID)
    with pytest.raises(FrozenInstanceError):
        u.wavelength = 1e-6  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 1), (4,)])
def test_data_must_end_in_the_shape_of_the_grid(shape: tuple[int, ...]):
    with pytest.raises(GeometryError, match=r"does not end in the shape of its grid, \(3, 4\)"):
        Field(torch.zeros(shape), GRID, 1e-6)


@pytest.mark.parametrize("wavelength", [0.0, -1e-6, float("nan"), float("inf")])
def test_the_wavelength_must_be_positive(wavelength: float):
    with pytest.raises(GeometryError, match="wavelength"):
        Field(torch.zeros(3, 4), GRID, wavelength)


def test_a_transmission_that_does_not_fit_is_refused():
    u = fo.Field(torch.ones(4, 5), fo.Grid((4, 5), 1e-6), 5e-7)
    with pytest.raises(fo.GeometryError, match=r"\(5, 4\)"):
        u.modulate(torch.ones(5, 4))
    wrongs: list[Any] = ["1 mm", None, torch.ones(2)]
    for wrong in wrongs:
        with pytest.raises(fo.GeometryError, match="not one number"):
            fo.lens(u, wrong)
