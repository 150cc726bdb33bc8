"""Aberrations: signs, Strehl ratios, limits; lenses, splitters, blocks. Benches, poses and gratings have files."""

import math

import pytest
import torch

import fouroptics as fo
from fouroptics.bench.elements import Aberration, Aperture, BeamBlock, BeamSplitter, Mask, aberrate
from fouroptics.bench.pose import Pose
from fouroptics.light import zernike
from fouroptics.light.sources import axes
from fouroptics.units import mm, parse, um

WAVELENGTH = 500e-9
GRID = fo.Grid((128, 120), 20 * um)
R = 1 * mm
DOUBLE = torch.complex128
FLAT = fo.Field(torch.ones(GRID.shape, dtype=DOUBLE), GRID, WAVELENGTH)


def pupil(pitch: float = 20 * um, radius: float = R) -> fo.Field:
    n = 2 * math.ceil(1.1 * radius / pitch)
    grid = fo.Grid((n, n), pitch)
    return fo.Field(fo.shapes.circle(grid, radius).to(DOUBLE), grid, WAVELENGTH)


def strehl(coefficients: dict[int, float], pitch: float = 20 * um) -> float:
    u = pupil(pitch)
    return float((aberrate(u, coefficients, R).data.sum().abs() / u.data.sum().abs()) ** 2)


@pytest.mark.parametrize("a", [0.3, 1.0, math.pi / math.sqrt(3)])
def test_defocus_has_the_strehl_ratio_of_the_textbook(a: float):
    """``(sin(v)/v)^2`` with v = sqrt(3) a, 0 at v = pi; the rim of 50 samples is straight in each cell, O(d^2)."""
    v = math.sqrt(3) * a
    errors = [abs(strehl({4: a}, pitch) - (math.sin(v) / v) ** 2) for pitch in (20 * um, 10 * um)]
    assert errors[0] < 5e-4
    assert errors[1] < errors[0] / 3.5 + 1e-9


@pytest.mark.parametrize("j", [2, 3, 5, 6, 7, 8, 9, 10, 11, 22])
def test_small_aberrations_cost_exp_of_their_variance(j: int):
    """1 - a^2 for every mode; the rest is a^4 (kurtosis/12 - 1/4), below a^4/2, and the rim of 50 samples, 1e-4."""
    assert strehl({j: 0.3}) == pytest.approx(math.exp(-0.09), abs=0.3**4 / 2 + 1e-4)


def test_tilt_moves_the_focus():
    """A tilt of 2 a x/R is the direction sine lambda a/(pi R): the focus goes to +x by f times that; j = 3 to +y."""
    f, a = 0.2, 4.0
    shift = f * WAVELENGTH * a / (math.pi * R)
    there = fo.Grid((1, 1), 1 * um, (shift / 2, shift))
    focus = fo.fourier_lens(aberrate(pupil(), [0.0, a, a / 2], R), f, onto=there)
    straight = fo.fourier_lens(pupil(), f, onto=fo.Grid((1, 1), 1 * um))
    torch.testing.assert_close(focus.data, straight.data, rtol=1e-9, atol=0)  # the same sum, with the phases undone


def test_defocus_is_a_lens():
    """``-pi r^2/(lambda f)`` is ``sqrt(3) a (2 rho^2 - 1)`` and a piston; float64."""
    f = 5.0
    a = -math.pi * R**2 / (2 * math.sqrt(3) * WAVELENGTH * f)
    made = aberrate(FLAT, {4: a, 1: math.sqrt(3) * a}, R)
    inside = fo.shapes.circle(GRID, R) > 0
    torch.testing.assert_close(made.data[inside], fo.lens(FLAT, f).data[inside], rtol=0, atol=1e-9)


def test_the_rim_has_the_phase_and_the_outside_none():
    """Every cell of which the disk covers a part has the polynomial at its middle; far out there is nothing."""
    center = (0.1 * mm, -0.2 * mm)
    made = aberrate(FLAT, {6: 1.5}, 0.9 * mm, center)
    y, x = axes(GRID)
    phase = 1.5 * zernike.noll(6, (y - center[0]) / (0.9 * mm), (x - center[1]) / (0.9 * mm))
    inside = fo.shapes.circle(GRID, 0.9 * mm, center) > 0
    expected = torch.polar(torch.ones_like(phase), phase)
    torch.testing.assert_close(made.data[inside], expected[inside], rtol=0, atol=1e-12)
    outside = fo.shapes.circle(GRID, 0.9 * mm + 40 * um, center) == 0
    assert outside.any()
    torch.testing.assert_close(made.data[outside], FLAT.data[outside], rtol=0, atol=0)


def test_mappings_sequences_and_tensors_say_the_same():
    given = [{2: 0.5, 4: -1.0}, [0.0, 0.5, 0.0, -1.0], torch.tensor([0.0, 0.5, 0.0, -1.0])]
    first, *others = (aberrate(FLAT, coefficients, R).data for coefficients in given)
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=0)
    torch.testing.assert_close(aberrate(FLAT, {}, R).data, FLAT.data)


def test_tensors_make_a_batch():
    stack = aberrate(FLAT, {4: torch.tensor([-1.0, 0.0, 1.0])[:, None, None]}, R)
    assert stack.data.shape == (3, *GRID.shape)
    torch.testing.assert_close(stack.data[2], aberrate(FLAT, {4: 1.0}, R).data)


def test_gradients_reach_the_coefficients():
    small = pupil(100 * um)

    def peak(coefficients: torch.Tensor) -> torch.Tensor:
        return aberrate(small, coefficients, R).data.sum().abs().square() * 1e-2

    a = torch.tensor([0.1, 0.3, -0.2, 0.4, 0.2, -0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(peak, a)


@pytest.mark.parametrize("j", [2, 3, 4, 6, 11, 14])
def test_a_phase_too_steep_warns_and_names_the_samples_that_do(j: int):
    """With those it is silent, with twice as coarse ones it warns: the number is safe, and not far too small."""
    with pytest.warns(fo.SamplingWarning, match="from one sample of 100 um to the next.* use samples of") as caught:
        aberrate(pupil(100 * um), {j: 20.0}, R)
    pitch = parse(str(caught[0].message).rpartition("use samples of ")[2], "length")
    aberrate(pupil(pitch), {j: 20.0}, R)
    with pytest.warns(fo.SamplingWarning, match="aliased"):
        aberrate(pupil(2 * pitch), {j: 20.0}, R)


def test_a_radius_of_few_samples_warns_and_names_the_samples_that_do():
    """2.5 samples for each radial order, at least 5: j = 11 has the order 4 and needs 10."""
    coarse = pupil(0.11 * mm)
    aberrate(coarse, {4: 0.1}, R)
    with pytest.warns(
        fo.SamplingWarning, match=r"radial order 4 .* hold 9.09 samples of 110 um and need 10: use samples of 100 um"
    ):
        aberrate(coarse, {11: 0.1}, R)
    aberrate(pupil(0.1 * mm), {11: 0.1}, R)
    with pytest.warns(fo.SamplingWarning, match="need 5: use samples of 200 um"):
        aberrate(pupil(0.25 * mm), {2: 0.1}, R)


@pytest.mark.parametrize("j", range(2, 37))
def test_that_many_samples_keep_the_rms(j: int):
    """The reason for 2.5 samples an order: the RMS of a sampled mode is then right to 10 %, wherever its centre is."""
    samples = 2.5 * max(2, zernike.indices(j)[0])
    for center in ((0.0, 0.0), (0.3, 0.1), (0.5, 0.5)):
        grid = fo.Grid((48, 48), 1.0, center)
        y, x = axes(grid)
        weight = fo.shapes.circle(grid, samples)
        rms = (weight * zernike.noll(j, y / samples, x / samples) ** 2).sum() / weight.sum()
        assert float(rms.sqrt()) == pytest.approx(1, abs=0.1)


def test_wrong_radius_and_coefficients_are_named():
    with pytest.raises(fo.GeometryError, match=r"radius = -1\.0"):
        aberrate(FLAT, {4: 1.0}, -1.0)
    with pytest.raises(fo.GeometryError, match="coefficient of j = 4 is nan"):
        aberrate(FLAT, {4: math.nan}, R)
    with pytest.raises(fo.GeometryError, match=r"coefficients \(2, 3\)"):
        aberrate(FLAT, torch.zeros(2, 3), R)
    with pytest.raises(fo.GeometryError, match="j = 0"):
        aberrate(FLAT, {0: 1.0}, R)


def test_the_modules_are_their_functions():
    center = (50 * um, -70 * um)
    coefficients = torch.nn.Parameter(torch.tensor([0.0, 0.2, 0.0, 0.7]))
    element = Aberration(coefficients, R, center)
    assert [id(p) for p in element.parameters()] == [id(coefficients)]
    torch.testing.assert_close(element(FLAT).data, aberrate(FLAT, coefficients, R, center).data)
    stop = fo.shapes.circle(GRID, 0.8 * mm, center)
    torch.testing.assert_close(Aperture(1.6 * mm, center)(FLAT).data, FLAT.data * stop)
    bench = fo.Bench([Aperture(2 * mm), Aberration({4: 1.0}, R), fo.FreeSpace(0.01)])
    assert list(bench.elements) == ["aperture1", "aberration1", "freespace1"]
    assert bench.length == 0.01


def test_a_lens_has_its_focal_length_at_the_wavelength():
    """A number, a learned one, or a function of the wavelength: here a diffractive lens, f ~ 1/lambda."""

    def diffractive(wavelength: float) -> float:
        return 2.0 * WAVELENGTH / wavelength

    red = FLAT.replace(wavelength=1.2 * WAVELENGTH)
    for given in (diffractive, 2.0 / 1.2, torch.nn.Parameter(torch.tensor(2.0 / 1.2, dtype=torch.float64))):
        made = fo.Lens(given)
        torch.testing.assert_close(made(red).data, fo.lens(red, 2.0 / 1.2).data, rtol=0, atol=1e-9)
    assert len(list(made.parameters())) == 1
    with pytest.raises(fo.GeometryError, match=r"focal_length = 0\.0"):
        fo.Lens(lambda _: 0.0)(FLAT)


def test_a_lens_with_aberrations_is_all_three_parts():
    lens = fo.Lens(2.0, 1.6 * mm, (0.1 * mm, 0.0), {4: 0.3, 7: -0.2})
    parts = fo.Bench([fo.Lens(2.0, None, (0.1 * mm, 0.0)), Aberration({4: 0.3, 7: -0.2}, 0.8 * mm, (0.1 * mm, 0.0))])
    stop = Aperture(1.6 * mm, (0.1 * mm, 0.0))
    torch.testing.assert_close(lens(FLAT).data, stop(parts(FLAT)).data, rtol=0, atol=1e-12)
    with pytest.raises(fo.GeometryError, match="give its diameter"):
        fo.Lens(2.0, aberrations=[0, 0.1])


def test_a_block_is_what_an_aperture_is_not():
    """Babinet: the two together are the light."""
    both = BeamBlock(0.7 * mm, (0.1 * mm, 0.2 * mm))(FLAT).data + Aperture(0.7 * mm, (0.1 * mm, 0.2 * mm))(FLAT).data
    torch.testing.assert_close(both, FLAT.data)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("phase", [0.0, 1.0, math.pi])
def test_a_mach_zehnder_loses_nothing(part: float, phase: float):
    """Two splitters, a phase in one arm: at T = 1/2 the ports carry ``sin^2`` and ``cos^2`` of half of it."""
    through, aside = BeamSplitter(part), BeamSplitter(part, "reflected")
    turn = torch.tensor(complex(math.cos(phase), math.sin(phase)))
    first = through(through(FLAT).modulate(turn)).data + aside(aside(FLAT)).data
    second = aside(through(FLAT).modulate(turn)).data + through(aside(FLAT)).data
    powers = [float(port.abs().square().mean()) for port in (first, second)]
    assert sum(powers) == pytest.approx(1, abs=1e-6)  # the phase is in single precision
    if part == 0.5:
        assert powers == pytest.approx([math.sin(phase / 2) ** 2, math.cos(phase / 2) ** 2], abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_a_moved_mask_is_a_mask_whatever_its_numbers(dtype: torch.dtype):
    """Whole numbers are no weights: they were cast to the samples' dtype, and all became 0."""
    inner = fo.Grid((64, 60), 20 * um)
    u = fo.Field(torch.ones(inner.shape, dtype=DOUBLE), inner, WAVELENGTH)
    out = Mask(torch.ones(inner.shape, dtype=dtype), Pose(20 * um))(u)
    torch.testing.assert_close(out.data[:, 1:], u.data[:, 1:], atol=1e-6, rtol=0)  # 1e-7 in float32
    assert float(out.data[:, 0].abs().max()) < 1e-6  # beyond the edge of the samples


@pytest.mark.parametrize("pose", [None, Pose(1 * um)])
@pytest.mark.parametrize("shape", [(), (60,), (10, 10), (256, 240)])
def test_a_mask_of_other_samples_is_named(shape: tuple[int, ...], pose: Pose | None):
    with pytest.raises(fo.GeometryError, match=r"transmission .* 128 x 120 samples of 20 um"):
        Mask(torch.ones(shape), pose)(FLAT)


@pytest.mark.parametrize("diameter", [0.0, -1e-3, math.nan, math.inf])
def test_a_diameter_out_of_range_is_named(diameter: float):
    for part in (Aperture(diameter), BeamBlock(diameter, pose=Pose(tilt_y=0.1)), fo.Lens(1.0, diameter)):
        with pytest.raises(fo.GeometryError, match=r"diameter = .* positive, in metres"):
            part(FLAT)


def test_a_splitter_out_of_range_is_named():
    with pytest.raises(fo.GeometryError, match=r"transmittance = 1\.2"):
        BeamSplitter(1.2)
    with pytest.raises(fo.GeometryError, match="port = 'up'"):
        BeamSplitter(port="up")  # pyright: ignore[reportArgumentType]
