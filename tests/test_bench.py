"""Bench: sequence, places, sections; each element does what its function does."""

import math

import numpy as np
import pytest
import torch

import fouroptics as fo
from fouroptics.units import mm, nm, um

GRID = fo.Grid((128, 120), 10 * um)
BEAM = fo.gaussian_beam(GRID, 633 * nm, waist=0.2 * mm, dtype=torch.complex128)
F = 60 * mm


def relay() -> fo.Bench:
    return fo.Bench([fo.FreeSpace(F), ("collimator", fo.Lens(F)), fo.FreeSpace(F)])


def test_sequence_is_the_functions_one_after_another():
    expected = fo.propagate(fo.lens(fo.propagate(BEAM, F), F), F)
    torch.testing.assert_close(relay()(BEAM).data, expected.data)


def test_two_free_spaces_and_a_lens_are_the_lens_transform():
    """Up to the constant phase exp(2ikf); the input fills a tenth of the window, so its edges do not matter."""
    wave = relay()(BEAM)
    ideal = fo.fourier_lens(BEAM, F, onto=GRID)
    phase = torch.polar(
        torch.ones(1, dtype=torch.float64), torch.tensor([2 * math.pi * (2 * F / BEAM.wavelength % 1)]).double()
    )
    miss = (wave.data - ideal.data * phase).abs().square().sum() / ideal.data.abs().square().sum()
    assert float(miss.sqrt()) < 2e-4  # the quartic phase pi x^4 / (4 lambda f^3) of a 0.15 mm spot


def test_places_by_name_and_by_distance():
    bench = relay()
    assert bench.length == pytest.approx(2 * F)
    torch.testing.assert_close(bench.at("freespace1", BEAM).data, fo.propagate(BEAM, F).data)
    torch.testing.assert_close(bench.at("collimator", BEAM).data, fo.lens(fo.propagate(BEAM, F), F).data)
    torch.testing.assert_close(bench.at(0.0, BEAM).data, BEAM.data)
    torch.testing.assert_close(bench.at(F / 3, BEAM).data, fo.propagate(BEAM, F / 3).data)
    torch.testing.assert_close(bench.at(2 * F, BEAM).data, bench(BEAM).data)
    with pytest.raises(fo.GeometryError, match="no element 'lens9'"):
        bench.at("lens9", BEAM)
    with pytest.raises(fo.GeometryError, match="120 mm"):
        bench.at(1.0, BEAM)
    with pytest.raises(fo.GeometryError, match="ideal lens"):
        fo.Bench([fo.FourierLens(F)]).at(F, BEAM)


def test_names_are_unique():
    with pytest.raises(fo.GeometryError, match="differ"):
        fo.Bench([("a", fo.Lens(F)), ("a", fo.Lens(F))])


def test_what_is_no_bench_is_named():
    with pytest.raises(fo.GeometryError, match="'keys'"):  # a name that ModuleDict has itself
        fo.Bench([("keys", fo.Lens(F))])
    with pytest.raises(fo.GeometryError, match="give a Module"):
        fo.Bench([fo.Lens(F), lambda field: field])  # pyright: ignore[reportArgumentType]
    with pytest.raises(fo.GeometryError, match="without elements"):
        fo.Bench([])


def test_lens_aperture_takes_power():
    w = a = 0.2 * mm
    cut = fo.Lens(F, diameter=2 * a)(BEAM)
    edge = (
        2 * math.pi * a * 10 * um / 6 * 2 / (math.pi * w**2) * math.exp(-2)
    )  # cells on the edge pass c^2 of c: 1/6 missing
    assert float(cut.power() / BEAM.power()) == pytest.approx(1 - math.exp(-2) - edge, abs=5e-4)  # a ring of 125 cells
    torch.testing.assert_close(fo.Lens(F, diameter=100 * mm)(BEAM).data, fo.Lens(F)(BEAM).data)


def test_mask_multiplies():
    transmission = fo.shapes.rectangle(GRID, (0.3 * mm, 0.2 * mm))
    torch.testing.assert_close(fo.Mask(transmission)(BEAM).data, BEAM.data * transmission)


def test_section_follows_the_beam_to_its_focus():
    bench = fo.Bench([fo.Lens(F), fo.FreeSpace(2 * F)])
    light = bench.section(BEAM, np.linspace(0, 2 * F, 9).tolist(), np.linspace(-0.3 * mm, 0.3 * mm, 61))
    assert light.intensity.shape == (61, 9)
    np.testing.assert_allclose(light.z, np.linspace(0, 2 * F, 9))
    axis = light.intensity[30]
    assert axis.argmax() == 4  # the focus
    expected = float(bench.at(F, BEAM).intensity.max())
    assert axis[4] == pytest.approx(expected, rel=1e-6)  # the same propagation
    assert axis[0] == pytest.approx(2 / (math.pi * (0.2 * mm) ** 2), rel=1e-9)
    total = bench.section(BEAM, [F], np.linspace(-0.6 * mm, 0.6 * mm, 2401), x=None)
    assert total.intensity.sum() * 0.5 * um == pytest.approx(1.0, rel=1e-3)  # power, by linear interpolation
    side = bench.section(BEAM, [0.0], np.array([0.0]), x=lambda z: 0.2 * mm)
    assert side.intensity[0, 0] == pytest.approx(axis[0] * math.exp(-2), rel=1e-9)


def test_a_section_lies_on_its_side():
    """The x-z picture of a bench is the y-z picture of the bench turned by a quarter."""
    heights = np.linspace(-0.4 * mm, 0.4 * mm, 41)
    planes = [0.0, F / 2, F]
    square = fo.gaussian_beam(fo.Grid((128, 128), 10 * um), 633 * nm, waist=0.2 * mm, dtype=torch.complex128)
    up = fo.Bench([fo.Lens(F, center=(0.1 * mm, 0.0)), fo.FreeSpace(F)]).section(square, planes, heights, x=0.05 * mm)
    aside = fo.Bench([fo.Lens(F, center=(0.0, 0.1 * mm)), fo.FreeSpace(F)]).section(
        square, planes, heights, x=0.05 * mm, axis="xz"
    )
    assert (up.axis, aside.axis) == ("yz", "xz")
    np.testing.assert_allclose(aside.intensity, up.intensity, rtol=1e-9, atol=1e-9 * up.intensity.max())
    assert abs(heights[up.intensity[:, 2].argmax()] - 0.1 * mm) < 21 * um  # the focus is on the axis of the lens
    both = [fo.Bench([fo.Lens(F)]).section(BEAM, [0.0], heights, x=None, axis=axis) for axis in ("yz", "xz")]
    for each in both:
        assert np.trapezoid(each.intensity[:, 0], heights) == pytest.approx(math.erf(2**0.5 * 2), rel=1e-3)
    with pytest.raises(fo.GeometryError, match="axis = 'xy'"):
        fo.Bench([fo.Lens(F)]).section(BEAM, [0.0], axis="xy")  # pyright: ignore[reportArgumentType]


def test_a_section_shows_no_light_that_is_not_there():
    """Nothing inside an ideal lens, nor behind it what would be there without the mask; nothing beside the grid."""
    half = fo.Mask(lambda y, x: (x > 0).double() + 0 * y)
    bench = fo.Bench([fo.FourierLens(F, GRID), half, fo.FreeSpace(F)])
    light = bench.section(BEAM, [0.5 * F, F, 1.5 * F, 2 * F, 2.5 * F], x=None)
    np.testing.assert_allclose(light.z, [2 * F, 2.5 * F])
    with pytest.raises(fo.GeometryError, match="all are inside an ideal lens"):
        bench.section(BEAM, [F])
    assert relay().section(BEAM, [0.5 * F], x=GRID.extent[1]).intensity.max() == 0
    assert relay().section(BEAM, [0.5 * F], x=0.4 * GRID.extent[1]).intensity.max() > 0
    with pytest.raises(fo.GeometryError, match="one field"):
        bench.section(BEAM.replace(data=BEAM.data[None]), [2.5 * F])


def test_a_learned_distance_is_a_place_too():
    distance = torch.nn.Parameter(torch.tensor(F, dtype=torch.float64))
    bench = fo.Bench([fo.FreeSpace(distance), fo.Lens(F), fo.FreeSpace(F)])
    assert bench.length == pytest.approx(2 * F)
    torch.testing.assert_close(bench.at(F / 2, BEAM).data, relay().at(F / 2, BEAM).data)
    bench(BEAM).intensity[60:68, 56:64].sum().backward()
    assert distance.grad is not None
    assert float(distance.grad.abs()) > 0


def test_a_bench_compiles_whole():
    """No graph break where all settings are plain numbers; the same operations, so the same to rounding."""
    small = fo.gaussian_beam(fo.Grid((24, 20), 10 * um), 633 * nm, waist=60 * um, dtype=torch.complex128)
    bench = fo.Bench([fo.FreeSpace(1 * mm), fo.Lens(F, 0.1 * mm), fo.Aperture(0.1 * mm), fo.FreeSpace(2 * mm)])
    compiled = torch.compile(bench, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(small).data, bench(small).data)
