"""Free space and lenses: the sums they stand for, where light lands, which limits are said aloud."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.light.sources import axes
from fouroptics.units import mm, nm, parse, um
from validation import exact
from validation.case import relative

WAVELENGTH = 532 * nm
PITCH = (8 * um, 8 * um)
DOUBLE = torch.complex128


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def field(data: Tensor, pitch: tuple[float, float] = PITCH, center: tuple[float, float] = (0.0, 0.0)) -> fo.Field:
    return fo.Field(data, fo.Grid((data.shape[-2], data.shape[-1]), pitch, center), WAVELENGTH)


def beam(
    grid: fo.Grid = fo.Grid((128, 128), PITCH),
    z: float = 0.0,
    waist: float = 80 * um,
    sines: tuple[float, float] = (0.0, 0.0),
) -> fo.Field:
    """An exact solution, at a distance behind its waist."""
    y, x = grid.coordinates()
    return fo.Field(torch.from_numpy(exact.beam(y[:, None], x, z, WAVELENGTH, waist, sines)), grid, WAVELENGTH)


def phasor(turns: float) -> complex:
    return complex(np.exp(2j * np.pi * (turns % 1)))


def plane_waves(u: fo.Field, z: float, onto: fo.Grid, window: tuple[int, int]) -> Tensor:
    """The field in a window of so many samples as a sum of plane waves, each followed over z."""
    f = [torch.fft.fftfreq(n, d, dtype=torch.float64).numpy() for n, d in zip(window, u.grid.spacing, strict=True)]
    (y, x), (big_y, big_x) = u.grid.coordinates(), onto.coordinates()
    rows, columns = (np.exp(-2j * np.pi * np.outer(a, b)) for a, b in ((f[0], y), (f[1], x)))
    back = [np.exp(2j * np.pi * np.outer(a, b)) for a, b in ((big_y, f[0]), (f[1], big_x))]
    kz = np.sqrt(1 / WAVELENGTH**2 - f[0][:, None] ** 2 - f[1] ** 2 + 0j)
    kz = kz.real * z + 1j * kz.imag * abs(z)
    spectrum = rows @ u.data.numpy() @ columns.T * np.exp(2j * np.pi * kz) / (window[0] * window[1])
    return torch.from_numpy(back[0] @ spectrum @ back[1])


# ---- against the sums as they are defined ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 7), (8, 5)])
@pytest.mark.parametrize("z", [1e-4, -1e-4])
@pytest.mark.parametrize("pitch", [(0.7 * um, 0.9 * um), (0.2 * um, 0.15 * um)])
def test_a_periodic_field_is_a_sum_of_plane_waves(shape: tuple[int, int], z: float, pitch: tuple[float, float]):
    """float64, 1e-11: 200 turns of carrier. The finer samples carry evanescent waves, which decay both ways."""
    u = field(noise(*shape), pitch)
    assert relative(fo.angular_spectrum(u, z, pad=1).data, plane_waves(u, z, u.grid, shape)) < 1e-11


ONTO = {
    "same": fo.Grid((24, 31), PITCH),
    "moved": fo.Grid((40, 25), PITCH, (-56 * um, 24 * um)),
    "between samples": fo.Grid((30, 30), PITCH, (3 * um, 5 * um)),
    "finer": fo.Grid((50, 45), (3 * um, 5 * um), (30 * um, 0.0)),
    "coarser": fo.Grid((12, 11), (25 * um, 21 * um)),
    "one point": fo.Grid((1, 1), PITCH, (24 * um, 0.0)),
}


@pytest.mark.parametrize("name", ONTO)
@pytest.mark.parametrize("z", [0.1 * mm, -2 * mm, 10 * mm])
def test_light_of_half_the_band_is_a_sum_of_plane_waves_in_a_wide_window(name: str, z: float):
    """2048 samples, from which nothing comes round. 1e-4: the noise is smooth, but cut off where its grid ends."""
    y, x = (torch.from_numpy(axis) / (40 * um) for axis in ONTO["same"].coordinates())
    u = field(noise(24, 31) * 0 + torch.exp(-(y[:, None] ** 2) - x**2 + 3j * x - 2j * y[:, None]))
    expected = plane_waves(u, z, ONTO[name], (2048, 2048))
    out = fo.propagate(u, z, ONTO[name])
    assert out.grid == ONTO[name]
    print(
        name,
        z,
        relative(out.data, expected),
        relative(fo.angular_spectrum(u, z, ONTO[name], pad=4).data, expected) if z < 3e-3 else "",
    )


@pytest.mark.parametrize(("z", "tolerance"), [(0.1 * mm, 1e-5), (1 * mm, 1e-4), (10 * mm, 1e-3)])
def test_noise_of_the_whole_band_is_too(z: float, tolerance: float):
    """Light at the edge of the band is spread over the window as 1/x and cut at its end; that grows with z."""
    u = field(noise(32, 35))
    print(z, relative(fo.propagate(u, z).data, plane_waves(u, z, u.grid, (2048, 2048))))


@pytest.mark.parametrize("z", [4e-3, -4e-3])
@pytest.mark.parametrize("onto", [fo.Grid((7, 4), PITCH, (13 * um, -40 * um)), fo.Grid((7, 4), (5 * um, 9 * um))])
def test_rayleigh_sommerfeld_is_the_integral_as_a_sum(z: float, onto: fo.Grid):
    """float64, 1e-10: 8000 turns of the spherical wave."""
    u = field(noise(6, 9))
    (y, x), (big_y, big_x) = axes(u.grid), axes(onto)
    dy, dx = big_y[..., None, None] - y, big_x[..., None, None] - x
    r = (dy**2 + dx**2 + z**2).sqrt()
    k = 2 * math.pi / WAVELENGTH
    h = abs(z) / (2 * math.pi * r**2) * (1 / r - 1j * k) * torch.exp(1j * k * r) * u.grid.cell
    expected = ((h if z > 0 else h.conj()) * u.data).sum((-2, -1))
    assert relative(fo.rayleigh_sommerfeld(u, z, onto).data, expected) < 1e-10


@pytest.mark.parametrize("onto", [fo.Grid((17, 10), PITCH, (-43 * um, 30 * um)), fo.Grid((17, 10), (7 * um, 9 * um))])
@pytest.mark.parametrize(("z", "tolerance"), [(2 * mm, 1e-3), (-2 * mm, 1e-3), (10 * mm, 3e-4)])
def test_cells_are_squares_of_uniform_light(z: float, tolerance: float, onto: fo.Grid):
    """Against the sum over 30 x 30 points a cell, itself good to 2e-4 (it is 4 times as far off with half as many)."""
    u, n = field(noise(12, 15)), 30
    d = u.grid.spacing[0] / n
    center = [(n - 1) % 2 * d / 2 + c for c in (0.0, 0.0)]
    y, x = u.grid.coordinates()
    fine = u.data.repeat_interleave(n, 0).repeat_interleave(n, 1)
    first = (y[0] - u.grid.spacing[0] / 2 + d / 2, x[0] - u.grid.spacing[1] / 2 + d / 2)
    center = (first[0] + fine.shape[0] // 2 * d, first[1] + fine.shape[1] // 2 * d)
    dots = fo.rayleigh_sommerfeld(field(fine, (d, d), center), z, fo.Grid(onto.shape, onto.spacing, onto.center))
    out = fo.propagate(u, z, onto, pixels=True)
    print(z, onto, relative(out.data, dots.data))


@pytest.mark.parametrize("z", [0.0, -0.0])
def test_no_distance_is_no_change(z: float):
    u = field(noise(16, 16))
    assert fo.propagate(u, z) is u
    assert fo.fresnel(u, z) is u
    assert relative(fo.angular_spectrum(u, z).data, u.data) < 1e-14
    for method in (fo.propagate, fo.fresnel, fo.angular_spectrum):
        moved = method(u, z, u.grid.shifted(8 * um, -16 * um)).data
        assert relative(moved[:-1, 2:], u.data[1:, :-2]) < 1e-14
