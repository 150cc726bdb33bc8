"""Modes: intensities add, one field at a time; an extended source has its textbook coherence."""

import math
import weakref

import numpy as np
import pytest
import torch
from scipy.special import j1

import fouroptics as fo
from fouroptics.light.modes import extended_source, intensity
from fouroptics.units import mm, um

WAVELENGTH = 500e-9
GRID = fo.Grid((21, 27), 20 * um)
DOUBLE = torch.complex128


def coherence(fields) -> tuple[np.ndarray, np.ndarray]:
    """Complex coherence of every sample with the first one, and the separations, (2, y, x) in metres."""
    data = torch.stack([u.data for u in fields])
    mutual = (data * data[:, :1, :1].conj()).sum(0)
    y, x = (axis - axis[0] for axis in GRID.coordinates())
    return (mutual / mutual[0, 0]).numpy(), np.stack(np.meshgrid(y, x, indexing="ij"))


def test_intensities_add():
    """Of two waves that cross, without the fringes that their sum has; float64."""
    waves = [
        fo.plane_wave(GRID, WAVELENGTH, power=p, direction=(0.0, s), dtype=DOUBLE) for p, s in ((1, 1e-3), (2, -1e-3))
    ]
    expected = 3 / (GRID.extent[0] * GRID.extent[1])
    torch.testing.assert_close(intensity(waves), torch.full(GRID.shape, expected, dtype=torch.float64))


def test_two_lines_beat():
    """Behind a path difference L each line gives ``2 + 2 cos(2 pi L / w)``; the two beat over ``w^2 / dw``."""
    lines = (500e-9, 501e-9)
    beat = lines[0] * lines[1] / (lines[1] - lines[0])
    for path in (0.0, beat / 2, beat):
        path = round(path / lines[0]) * lines[0]  # a maximum of the first line

        def interferometer(u: fo.Field, path: float = path) -> fo.Field:
            turns = torch.tensor(2j * math.pi * (path / u.wavelength % 1), dtype=DOUBLE)
            return u.modulate(1 + torch.exp(turns))

        seen = intensity((fo.plane_wave(GRID, w, dtype=DOUBLE) for w in lines), interferometer)
        alone = 1 / (GRID.extent[0] * GRID.extent[1])
        assert float(seen[3, 4]) / alone == pytest.approx(4 + 2 + 2 * math.cos(2 * math.pi * path / lines[1]), rel=1e-9)
    half = 2 + 2 * math.cos(2 * math.pi * round(beat / 2 / lines[0]) * lines[0] / lines[1])
    assert half < 1e-4  # the dark fringe of one on the bright one of the other


def test_one_mode_is_held_at_a_time():
    alive: list[weakref.ref] = []

    def stream():
        for _ in range(5):
            field = fo.plane_wave(GRID, WAVELENGTH)
            alive.append(weakref.ref(field))
            yield field
            del field

    def then(u: fo.Field) -> fo.Field:
        assert sum(reference() is not None for reference in alive) <= 2  # this one, and the one before it
        return u.replace(data=u.data * 2)

    intensity(stream(), then)
    assert len(alive) == 5


def test_gradients_flow():
    stop = torch.linspace(0.1, 1, 27, dtype=torch.float64).requires_grad_()
    waves = [fo.plane_wave(GRID, WAVELENGTH, direction=(0.0, s), dtype=DOUBLE) for s in (0, 1e-3)]

    def peak(stop: torch.Tensor) -> torch.Tensor:
        focus = fo.Grid((1, 3), 100 * um)
        return intensity(waves, lambda u: fo.fourier_lens(u.modulate(stop), 0.1, onto=focus)) * 1e-3

    assert torch.autograd.gradcheck(peak, stop)


def test_modes_end_on_one_grid():
    with pytest.raises(fo.GeometryError, match="21 x 27 samples of 20 um and on 4 x 4 samples of 8 um"):
        intensity([fo.plane_wave(g, WAVELENGTH) for g in (GRID, fo.Grid((4, 4), 8 * um))])
    used = extended_source(GRID, WAVELENGTH, size=1e-3)
    intensity(used)
    with pytest.raises(fo.GeometryError, match="no modes"):
        intensity(used)


@pytest.mark.parametrize("size", [1e-4, 1e-3, (4e-3, 2e-3), 1e-2])
def test_a_disk_has_the_coherence_of_van_cittert_and_zernike(size):
    """2e-3 for as many modes as the grid takes, over the whole grid; here from 0.1 to 11 turns across it."""
    mutual, (y, x) = coherence(extended_source(GRID, WAVELENGTH, size=size, dtype=DOUBLE))
    sy, sx = size if isinstance(size, tuple) else (size, size)
    v = np.pi / WAVELENGTH * np.hypot(sy * y, sx * x) + 1e-12
    np.testing.assert_allclose(mutual, 2 * j1(v) / v, rtol=0, atol=2e-3)


@pytest.mark.parametrize("size", [1e-4, (1e-3, 0.0), (4e-3, 2e-3), 1e-2])
def test_a_rectangle_has_the_coherence_of_van_cittert_and_zernike(size):
    mutual, (y, x) = coherence(extended_source(GRID, WAVELENGTH, size=size, shape="rectangle", dtype=DOUBLE))
    sy, sx = size if isinstance(size, tuple) else (size, size)
    expected = np.sinc(sy * y / WAVELENGTH) * np.sinc(sx * x / WAVELENGTH)
    np.testing.assert_allclose(mutual, expected, rtol=0, atol=2e-3)


def test_half_of_the_reach_is_better_by_orders():
    mutual, (_, x) = coherence(extended_source(GRID, WAVELENGTH, size=4e-3, shape="rectangle", dtype=DOUBLE))
    np.testing.assert_allclose(mutual[0, :13], np.sinc(4e-3 * x[0, :13] / WAVELENGTH), rtol=0, atol=1e-5)


def test_a_source_carries_its_power_from_its_middle():
    fields = list(extended_source(GRID, WAVELENGTH, size=2e-3, power=5e-3, direction=(1e-3, -2e-3), dtype=DOUBLE))
    assert sum(float(u.power()) for u in fields) == pytest.approx(5e-3, rel=1e-12)
    mutual, _ = coherence(fields)
    assert np.angle(mutual[0, 1]) == pytest.approx(2 * math.pi * -2e-3 * 20 * um / WAVELENGTH, rel=1e-9)
    assert np.angle(mutual[1, 0]) == pytest.approx(2 * math.pi * 1e-3 * 20 * um / WAVELENGTH, rel=1e-9)


def test_two_pinholes_show_the_coherence_as_contrast():
    """Young's fringes behind a lens have the contrast ``2 J1(v)/v`` of their separation; 2e-3 as above."""
    f, n, size = 0.1, 10, 1e-3
    separation = n * 20 * um
    holes = torch.zeros(GRID.shape, dtype=torch.float64)
    holes[10, 13 - n // 2], holes[10, 13 + n // 2] = 1, 1
    fringe = WAVELENGTH * f / separation
    screen = fo.Grid((1, 16), (fringe, fringe / 16))
    source = extended_source(GRID, WAVELENGTH, size=size, dtype=DOUBLE)
    seen = intensity(source, lambda u: fo.fourier_lens(u.modulate(holes), f, onto=screen))[0]
    v = math.pi * size * separation / WAVELENGTH
    contrast = float((seen[8] - seen[0]) / (seen[8] + seen[0]))
    assert contrast == pytest.approx(2 * float(j1(v)) / v, abs=2e-3)


def test_too_few_samples_warn_and_name_the_number_that_does():
    with pytest.warns(
        fo.SamplingWarning,
        match="6 samples across a source of 0.01 rad hold for points up to 100 um apart.*540 um wide: take 30 ",
    ) as caught:
        extended_source(GRID, WAVELENGTH, size=1e-2, samples=6)
    assert caught[0].filename == __file__
    extended_source(GRID, WAVELENGTH, size=1e-2, samples=30)
    assert len(list(extended_source(GRID, WAVELENGTH, size=1e-3, samples=6))) == 36
    assert len(list(extended_source(GRID, WAVELENGTH, size=1e-3, samples=7, shape="rectangle"))) == 49


@pytest.mark.parametrize("size", [0.0, -1e-3, (0.0, 0.0), math.nan, math.inf])
def test_a_source_has_a_size(size):
    with pytest.raises(fo.GeometryError, match="size ="):
        extended_source(GRID, WAVELENGTH, size=size)


def test_the_focus_of_an_extended_source_is_that_of_its_mutual_intensity():
    """The sum over all pairs of points with the closed form of their coherence; 2e-3 of the peak for every pair."""
    grid, f, size = fo.Grid((12, 15), 50 * um), 0.5, 2e-3
    there = fo.Grid((1, 21), 100 * um, (0.2 * mm, 0.0))
    seen = intensity(extended_source(grid, WAVELENGTH, size=size, dtype=DOUBLE), lambda u: fo.fourier_lens(u, f, there))
    y, x = (axis.ravel() for axis in np.meshgrid(*grid.coordinates(), indexing="ij"))
    v = np.pi * size * np.hypot(y[:, None] - y, x[:, None] - x) / WAVELENGTH + 1e-12
    waves = np.exp(-2j * np.pi / (WAVELENGTH * f) * (np.outer(x, there.coordinates()[1]) + 0.2 * mm * y[:, None]))
    expected = np.einsum("ap,ab,bp->p", waves, 2 * j1(v) / v, waves.conj()).real
    expected *= grid.cell / (180 * (WAVELENGTH * f) ** 2)
    np.testing.assert_allclose(seen[0].numpy(), expected, rtol=0, atol=2e-3 * expected.max())
    assert expected.max() > 3 * expected.min()
