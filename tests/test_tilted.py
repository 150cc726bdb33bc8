"""Light on a tilted plane: each sample is propagated by its own distance, and the way back undoes it."""

import cmath
import math

import pytest
import torch

import fouroptics as fo
from fouroptics.units import mm, nm, um
from fouroptics.waves.tilted import from_tilted, onto_tilted

DOUBLE, WAVELENGTH = torch.complex128, 633 * nm
GRID = fo.Grid((96, 120), (10 * um, 8 * um))
BEAM = fo.gaussian_beam(GRID, WAVELENGTH, waist=0.08 * mm, z=20 * mm, dtype=DOUBLE)
CENTER = (10 * um, 30 * um)
SLOPES = [(0.0, 0.3), (-0.3, 0.0), (0.2, -0.1)]


@pytest.mark.parametrize("slope", SLOPES, ids=str)
def test_every_sample_goes_its_own_way(slope: tuple[float, float]):
    """Against `propagate` over the distance of the sample, less its carrier; 1e-10 is rounding."""
    there = onto_tilted(BEAM, slope, CENTER)
    y, x = GRID.coordinates()
    for i, j in ((48, 60), (40, 75), (56, 40)):
        z = float(slope[0] * (y[i] - CENTER[0]) + slope[1] * (x[j] - CENTER[1]))
        carrier = cmath.exp(2j * math.pi * (z / WAVELENGTH % 1))
        expected = fo.propagate(BEAM, z).data[i, j]
        assert abs(z) > 0
        assert abs(complex(there.data[i, j]) * carrier - complex(expected)) < 1e-10 * float(BEAM.data.abs().max())


@pytest.mark.parametrize(("dtype", "within"), [(torch.complex128, 1e-9), (torch.complex64, 1e-6)], ids=str)
@pytest.mark.parametrize("slope", SLOPES, ids=str)
def test_there_and_back(slope: tuple[float, float], dtype: torch.dtype, within: float):
    """The light fades to 1e-9 at the edge of the window, which is all that is lost; float32 has its own steps."""
    u = BEAM.to(dtype)
    back = from_tilted(onto_tilted(u, slope, CENTER), slope, CENTER)
    assert back.data.dtype == dtype
    assert float((back.data - u.data).norm() / u.data.norm()) < within


def test_a_plane_too_steep_for_the_grid_is_refused():
    """2000 samples of 2 um carry sines of 0.22: 60 rad are soon there."""
    wide = fo.plane_wave(fo.Grid((8, 2000), 2 * um), WAVELENGTH)
    with pytest.raises(fo.SamplingError, match=r"a tilt of 197 mrad moves the ends .* smaller tilt"):
        onto_tilted(wide, (0.0, 0.2))
    with pytest.raises(fo.SamplingError, match="coarser samples"):
        onto_tilted(fo.plane_wave(fo.Grid((8, 8), 0.3 * um), WAVELENGTH), (0.0, 0.2))  # evanescent waves


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_gradients_reach_slope_and_center(slope: float):
    grid = fo.Grid((5, 6), 3 * um)
    u = fo.Field(torch.randn(5, 6, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)), grid, WAVELENGTH)

    def there(t: torch.Tensor) -> torch.Tensor:
        out = onto_tilted(u, (slope + t[0], t[1]), (um * t[2], um * t[3]))
        return from_tilted(out.modulate(torch.linspace(0, 1, 6).double()), (slope + t[0], t[1])).data

    assert torch.autograd.gradcheck(there, torch.zeros(4, dtype=torch.float64, requires_grad=True))
