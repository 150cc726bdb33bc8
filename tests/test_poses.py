"""Poses: moving an element does what moving the part does; against the textbook, or against another way to say it."""

import cmath
import math
import warnings

import numpy as np
import pytest
import torch
from conftest import centroid
from torch import Tensor

import fouroptics as fo
from fouroptics.bench.apertures import disk
from fouroptics.bench.elements import Aberration, Aperture, BeamBlock, Misalignment, aberrate
from fouroptics.bench.lenses import Lens
from fouroptics.bench.pose import Pose
from fouroptics.light.sources import axes
from fouroptics.units import mm, mrad, nm, parse, um
from validation.case import relative

DOUBLE, WAVELENGTH = torch.complex128, 633 * nm
GRID = fo.Grid((150, 140), 10 * um)
BEAM = fo.gaussian_beam(GRID, WAVELENGTH, waist=0.15 * mm, center=(0.03 * mm, -0.02 * mm), dtype=DOUBLE)
F = 60 * mm


def widths(u: fo.Field) -> tuple[float, float]:
    """Radii (y, x) of 1/e^2 of a Gaussian beam: twice the RMS of its intensity."""
    moments = [
        ((axis - c) ** 2 * u.intensity).sum() / u.intensity.sum()
        for axis, c in zip(axes(u.grid), centroid(u), strict=True)
    ]
    return 2 * math.sqrt(moments[0]), 2 * math.sqrt(moments[1])


# ---- sideways and along ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("front", [1.5 * F, 2 * F, 3 * F], ids=lambda front: f"{front / F}f")
def test_a_decentred_lens_moves_the_image(front: float):
    """``d (1 - m)``, m = -s2/s1 (Hecht, Optics, sec. 5.2: an image lies on the ray through the middle of the lens).

    Paraxial; the steepest light has sines of 5e-3, whose cubes are 1e-7 of the way.
    """
    back = 1 / (1 / F - 1 / front)
    dy, dx = 40 * um, -25 * um
    straight, moved = (
        fo.Bench([fo.FreeSpace(front), lens, fo.FreeSpace(back)])(BEAM)
        for lens in (Lens(F), Lens(F, pose=Pose(dx, dy)))
    )
    shifts = [b - a for a, b in zip(centroid(straight), centroid(moved), strict=True)]
    assert shifts == pytest.approx([dy * (1 + back / front), dx * (1 + back / front)], rel=1e-4)


def test_an_ideal_lens_off_its_place_is_a_thin_one_there():
    """Free space, a thin lens, free space; the rest is the quartic phase of the steepest light, as on the axis."""
    pose = Pose(30 * um, -50 * um, 2 * mm)
    ideal = fo.FourierLens(F, onto=GRID, pose=pose)(BEAM)
    thin = fo.Bench([fo.FreeSpace(F + 2 * mm), Lens(F, pose=Pose(30 * um, -50 * um)), fo.FreeSpace(F - 2 * mm)])(BEAM)
    carrier = cmath.exp(2j * math.pi * (2 * F / WAVELENGTH % 1))  # which the ideal lens leaves out
    assert relative(thin.data / carrier, ideal.data) < 2e-4
    aligned = fo.FourierLens(F, onto=GRID, pose=Pose())(BEAM)
    torch.testing.assert_close(aligned.data, fo.fourier_lens(BEAM, F, GRID).data)


@pytest.mark.parametrize("z", [3 * mm, -2 * mm])
def test_a_part_moved_along_takes_space_from_one_side(z: float):
    """The same light as with the spaces changed by hand; what is left is what walks out of the window on the way."""
    moved = fo.Bench([fo.FreeSpace(F), Lens(F, pose=Pose(z=z)), fo.FreeSpace(F)])
    by_hand = fo.Bench([fo.FreeSpace(F + z), Lens(F), fo.FreeSpace(F - z)])
    assert relative(moved(BEAM).data, by_hand(BEAM).data) < 1e-7
    assert moved.length == pytest.approx(by_hand.length)


# ---- turned ----------------------------------------------------------------------------------------------------------


def test_astigmatism_turns_with_its_plate():
    """``Z6 = cos 2t`` turned by an eighth of a turn from +x to +y is ``sin 2t = Z5``; by a quarter, ``-Z6``."""
    for angle, coefficients in ((math.pi / 4, {5: 0.7}), (math.pi / 2, {6: -0.7})):
        turned = Aberration({6: 0.7}, 0.5 * mm, pose=Pose(rotation=angle))(BEAM)
        torch.testing.assert_close(turned.data, aberrate(BEAM, coefficients, 0.5 * mm).data, rtol=0, atol=1e-9)


def smooth(y: Tensor, x: Tensor) -> Tensor:
    return torch.exp(-((y / (0.2 * mm)) ** 2) - ((x - 0.1 * mm) / (0.1 * mm)) ** 2)


def test_samples_turn_as_their_function_does():
    """A smooth mask as samples and as a function of (y, x), which is exact; 5e-6 is the promise of `sample`."""
    pose = Pose(13 * um, -7 * um, rotation=0.3)
    exact = fo.Mask(smooth, pose)(BEAM)
    assert relative(fo.Mask(smooth(*axes(GRID)), pose)(BEAM).data, exact.data) < 5e-6
    assert relative(fo.Mask(smooth)(BEAM).data, exact.data) > 0.1
    y, x = axes(GRID)
    moved = smooth(
        math.cos(0.3) * (y + 7 * um) - math.sin(0.3) * (x - 13 * um),
        math.cos(0.3) * (x - 13 * um) + math.sin(0.3) * (y + 7 * um),
    )
    assert relative(exact.data, (BEAM.data * moved)) < 1e-12


def test_a_mask_with_edges_is_not_interpolated_in_silence():
    edges = fo.shapes.rectangle(GRID, (0.4 * mm, 0.2 * mm))
    with pytest.warns(fo.SamplingWarning, match=r"% of it, RMS, varies faster .* give a function of \(y, x\)"):
        fo.Mask(edges, Pose(rotation=0.1))(BEAM)


def test_a_centre_off_the_middle_of_the_part_goes_round():
    """At (0, a) on a part that is turned by a quarter it lies at (a, 0)."""
    turned = Aperture(0.3 * mm, (0.0, 0.1 * mm), Pose(rotation=math.pi / 2))(BEAM)
    torch.testing.assert_close(turned.data, Aperture(0.3 * mm, (0.1 * mm, 0.0))(BEAM).data)


# ---- tilted ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pose", [{"tilt_y": 0.5}, {"tilt_x": -0.4}, {"tilt_x": 0.4, "tilt_y": 0.3}], ids=str)
def test_a_tilted_hole_is_foreshortened(pose: dict[str, float]):
    """Area times the cosine of its normal; its edge of 250 cells averages out to 1e-3."""
    u = fo.plane_wave(GRID, WAVELENGTH, dtype=DOUBLE, power=GRID.extent[0] * GRID.extent[1])
    area = float(Aperture(0.8 * mm).act(u, Pose(**pose)).data.real.sum()) * GRID.cell
    cosine = math.cos(pose.get("tilt_x", 0)) * math.cos(pose.get("tilt_y", 0))
    assert area == pytest.approx(math.pi * (0.4 * mm) ** 2 * cosine, rel=1e-3)


@pytest.mark.parametrize("angle", [0.1, 0.3, -0.3])
def test_a_tilted_lens_is_astigmatic(angle: float):
    """``f cos^2`` across the axis of tilt and f along it (Coddington's equations for a flat part).

    By the widths of a Gaussian beam behind it, ``w^2 (1 - z/f)^2 + (lambda z/(pi w))^2``. The rest is coma: the lens
    is met by x tan(angle) earlier on one side, a phase of 0.02 rad at the edge of this beam.
    """
    w, f = 0.3 * mm, 100 * mm
    u = fo.gaussian_beam(fo.Grid((160, 160), 12 * um), WAVELENGTH, waist=w, dtype=DOUBLE)
    for axis, name in enumerate(("tilt_x", "tilt_y")):
        lens = Lens(f, pose=Pose(**{name: angle}))
        for z in (0.6 * f, f):
            seen = widths(fo.propagate(lens(u), z, fo.Grid((200, 200), 5 * um)))
            focal = [f, f]
            focal[axis] *= math.cos(angle) ** 2
            expected = [math.hypot(w * (1 - z / each), WAVELENGTH * z / (math.pi * w)) for each in focal]
            assert seen == pytest.approx(expected, rel=2e-3)


def test_a_tilted_lens_has_the_coma_of_its_depth():
    """Light through its middle goes straight on; where the part stands z(r) ahead, light of the angle r/f walks r z/f.

    That is the mean of ``slope (3 y^2 + x^2)/2f`` over the beam, ``slope w^2/2f``: 70 nm, and 4 % for the shorter f.
    """
    w, pose = 0.2 * mm, Pose(tilt_x=0.2, tilt_y=-0.2)
    out = fo.propagate(Lens(F, pose=pose)(fo.gaussian_beam(GRID, WAVELENGTH, waist=w, dtype=DOUBLE)), F)
    slopes = math.tan(0.2) / math.cos(0.2), math.tan(0.2)  # tilt_x > 0 lifts +y to +z, tilt_y < 0 lifts +x
    assert centroid(out) == pytest.approx([slope * w**2 / (2 * F) for slope in slopes], rel=0.06)


def test_a_part_is_rigid():
    """A point keeps its distance from the middle of the part: ``x^2 + y^2 + z^2`` on the bench is that on the part."""
    pose = Pose(20 * um, -30 * um, tilt_x=0.4, tilt_y=-0.3, rotation=0.7)
    y, x = (axis - c for axis, c in zip(axes(GRID), pose.center, strict=True))
    z = pose.slope()[0] * y + pose.slope()[1] * x
    own = pose.local(GRID)
    torch.testing.assert_close(own[0] ** 2 + own[1] ** 2, x**2 + y**2 + z**2)


def test_gradients_at_a_pose_are_those_of_differences():
    """Every number of a pose, and the focal length; in units of what moves the light of this small grid visibly."""
    grid = fo.Grid((7, 6), 8 * um)
    u = fo.Field(torch.randn(7, 6, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)), grid, WAVELENGTH)

    def through(t: Tensor) -> Tensor:
        pose = Pose(
            5 * um * t[0], 5 * um * t[1], 100 * um * t[2], tilt_x=0.1 * t[3], tilt_y=0.1 + 0.1 * t[4], rotation=t[5]
        )
        lens = Lens(5 * mm * (1 + t[6]), 0.5 * mm, aberrations=[0, 0, 0.2, 0.1, 0.3], pose=pose)
        return lens(u).data * 1e-1

    start = torch.full((7,), 0.05, dtype=torch.float64, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fo.SamplingWarning)  # seven samples hold no aberration well
        assert torch.autograd.gradcheck(through, start, fast_mode=True)


def test_a_learned_pose_is_a_parameter_of_the_bench():
    shift, tilt = torch.nn.Parameter(torch.tensor(20e-6)), torch.nn.Parameter(torch.tensor(0.0))
    bench = fo.Bench([fo.FreeSpace(F), Lens(F, pose=Pose(x=shift, tilt_y=tilt)), fo.FreeSpace(F)])
    assert {id(p) for p in bench.parameters()} == {id(shift), id(tilt)}
    bench(BEAM).intensity[:, 70:].sum().backward()
    assert shift.grad is not None
    assert tilt.grad is not None
    assert float(shift.grad.abs()) > 0
    assert float(tilt.grad.abs()) > 0


def test_learning_finds_a_decentre():
    """A lens that is 30 um off, found from the light behind it by a quasi-Newton search; to 10 nm."""
    off = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    seen = fo.propagate(Lens(F, pose=Pose(30 * um, -20 * um))(BEAM), F / 2).data
    search = torch.optim.LBFGS([off], line_search_fn="strong_wolfe")

    def miss() -> Tensor:
        search.zero_grad()
        made = fo.propagate(Lens(F, pose=Pose(off[0] * 10 * um, off[1] * 10 * um))(BEAM), F / 2).data
        loss = (made - seen).abs().square().sum() * GRID.cell
        loss.backward()
        return loss

    search.step(miss)
    assert off.tolist() == pytest.approx([3, -2], abs=1e-3)


# ---- how it is said --------------------------------------------------------------------------------------------------


def test_a_misalignment_is_the_pose_of_its_part():
    pose = Pose(20 * um, 10 * um, 1 * mm, rotation=0.2)
    for make in (lambda **more: Lens(F, 0.6 * mm, **more), lambda **more: BeamBlock(0.2 * mm, **more)):
        torch.testing.assert_close(Misalignment(make(), pose)(BEAM).data, make(pose=pose)(BEAM).data)
    with pytest.raises(fo.GeometryError, match="FreeSpace cannot be misaligned"):
        Misalignment(fo.FreeSpace(F), pose)
    with pytest.raises(fo.GeometryError, match="no pose of its own"):
        Misalignment(Lens(F, pose=pose), pose)


def test_poses_out_of_range_are_named():
    with pytest.raises(fo.GeometryError, match=r"x = nan: .* in metres"):
        Pose(math.nan)
    with pytest.raises(fo.GeometryError, match=r"tilt_x = '1 mrad': .* one finite number .* in rad"):
        Pose(tilt_x="1 mrad")  # pyright: ignore[reportArgumentType]
    with pytest.raises(fo.GeometryError, match="one finite number"):
        Pose(y=torch.zeros(3))
    with pytest.raises(fo.GeometryError, match=r"tilt_y = 900 mrad: .* less than 785 mrad"):
        Pose(tilt_y=0.9)
    with pytest.raises(fo.GeometryError, match="no tilt: use FreeSpace, Lens, FreeSpace"):
        fo.FourierLens(F, pose=Pose(tilt_x=1 * mrad))


def test_numbers_of_numpy_are_numbers():
    pose = Pose(np.float32(1e-5), tilt_y=np.float64(1e-3))  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(Lens(F, pose=pose)(BEAM).data, Lens(F, pose=Pose(pose.x, tilt_y=1e-3))(BEAM).data)
    assert isinstance(pose.x, float)


def test_a_tilted_hole_on_one_line_of_samples():
    """The hole is shorter by the cosine; its two ends, each within a cell, are to the distance from the edge."""
    line = fo.Field(torch.ones(1, 400, dtype=torch.complex128), fo.Grid((1, 400), 5 * um), WAVELENGTH)
    width = float(disk(line, 1 * mm, (0.0, 0.0), Pose(tilt_y=0.5)).sum()) * 5 * um
    assert width == pytest.approx(1 * mm * math.cos(0.5), abs=0.1 * um)


def test_a_batch_of_none_stays_one():
    none = BEAM.replace(data=BEAM.data[None][:0])
    assert Lens(F, 0.6 * mm, pose=Pose(1 * um, z=1 * mm, tilt_y=1 * mrad))(none).data.shape == none.data.shape


def test_only_what_the_aperture_passes_has_to_be_sampled():
    """10 um hold a lens of 10 mm to 0.32 mm from its axis; a smaller hole is silent; a larger one has a number."""
    Lens(10 * mm, 0.6 * mm)(BEAM)
    with pytest.warns(fo.SamplingWarning, match="smaller diameter") as caught:
        Lens(10 * mm, 1.2 * mm)(BEAM)
    pitch = parse(str(caught[0].message).partition("use samples of ")[2].partition(" or")[0], "length")
    fine = fo.gaussian_beam(fo.Grid((200, 200), pitch), WAVELENGTH, waist=0.2 * mm)
    Lens(10 * mm, 1.2 * mm)(fine)
    with pytest.warns(fo.SamplingWarning, match="smaller grid"):
        Lens(10 * mm)(BEAM)
    with pytest.warns(fo.SamplingWarning, match="smaller diameter"):  # moved, its far edge is in view no more steeply
        Lens(10 * mm, 1.2 * mm, pose=Pose(0.3 * mm))(BEAM)
