"""The Fourier model with parts off their places, against closed forms; the filter that many images take."""

import cmath
import math

import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.bench import ideal, passes
from fouroptics.light.sources import axes

WAVELENGTH, F = 633e-9, 0.2
DOUBLE = torch.complex128


def bench(**changes) -> fo.FourF:
    return fo.FourF(bench_data({"input": {"pixel": "point"}} | changes))


def random(*shape, seed=0) -> torch.Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def gaussian(grid: fo.Grid, q: complex, y: float, x: float, slope: float) -> torch.Tensor:
    """``exp(i pi r^2 / (lambda q))`` about (y, x), with a tilt `slope` in x."""
    down, across = axes(grid)
    away = (down - y) ** 2 + (across - x) ** 2
    return torch.exp(1j * math.pi * away / (WAVELENGTH * q) + 2j * math.pi * slope * across / WAVELENGTH)


@pytest.mark.parametrize(("before", "after"), [(0.2, 0.2), (0.21, 0.2), (0.2, 0.19), (0.203, 0.204)])
def test_an_arm_is_that_of_the_matrix_optics_of_beams(before: float, after: float):
    """A Gaussian beam through a decentred lens: q' = (A q + B)/(C q + D), its axis is a ray (Siegman, Lasers, ch. 20).

    Samples 12 an e-fold hold the beam to 1e-9; what is left is rounding.
    """
    waist, start, slope, d = 100e-6, 50e-6, 5e-4, 300e-6
    q = math.pi * waist**2 / (1j * WAVELENGTH)
    u = fo.Field(gaussian(fo.Grid((128, 128), 8e-6), q, 0, start, slope), fo.Grid((128, 128), 8e-6), WAVELENGTH)
    onto = fo.Grid((80, 90), 12e-6, (1e-4, 2e-4))
    seen = ideal.Arm(F, before, after, (0.0, d))(u, onto).data
    a, b, c, dd = 1 - after / F, before + after - before * after / F, -1 / F, 1 - before / F
    place, angle = a * (start - d) + b * slope + d, c * (start - d) + dd * slope
    expected = gaussian(onto, (a * q + b) / (c * q + dd), 0, place, angle)
    turn = (seen * expected.conj()).sum()
    assert relative(seen * cmath.exp(-1j * cmath.phase(complex(turn))) / abs(a + b / q) ** -1, expected) < 1e-8


@pytest.mark.parametrize("angle", [0.003, -0.05, math.pi / 2])
def test_a_turned_camera_turns_the_image(angle: float):
    """The image of a smooth object, turned about the middle of the camera; bicubic oracle: the object is analytic."""
    place, turned = bench(), bench(poses={"camera": {"rotation": f"{angle!r} rad"}})
    y, x = axes(place.input_grid)
    width = 500e-6
    u = fo.Field(torch.exp(-((y - 2e-4) ** 2 + (x + 3e-4) ** 2) / width**2) + 0j, place.input_grid, WAVELENGTH)
    mask = torch.ones(place.fourier_grid.shape)
    onto = fo.Grid((9, 9), 1e-4)
    cos, sin = math.cos(angle), math.sin(angle)
    py, px = axes(onto)
    py, px = sin * px + cos * py, cos * px - sin * py
    expected = -torch.exp(-((-py - 2e-4) ** 2 + (-px + 3e-4) ** 2) / width**2)
    straight, seen = place(u, mask, onto).data, turned(u, mask, onto).data
    reference = relative(
        straight, -torch.exp(-((-axes(onto)[0] - 2e-4) ** 2 + (-axes(onto)[1] + 3e-4) ** 2) / width**2)
    )
    assert relative(seen, expected) < reference + 1e-5  # samples of the object stand for it as well as straight on


@pytest.mark.parametrize("angle", [0.004, -0.1])
def test_a_turned_panel_turns_what_it_does(angle: float):
    """A blazed grating moves the image along x; turned, it moves it along its turned axis, and turns nothing else."""
    place, turned = bench(), bench(poses={"panel": {"rotation": f"{angle!r} rad"}})
    y, x = axes(place.input_grid)
    u = fo.Field(torch.exp(-(y**2 + x**2) / (5e-4) ** 2) + 0j, place.input_grid, WAVELENGTH)
    shift = 8e-4
    grating = torch.exp(2j * math.pi * axes(place.fourier_grid)[1] * shift / (WAVELENGTH * F))
    mask = grating * torch.exp(-(axes(place.fourier_grid)[0] ** 2 + axes(place.fourier_grid)[1] ** 2) / (1e-4) ** 2)
    onto = fo.Grid((21, 21), 1.5e-4)
    moved = (shift * math.sin(angle), shift * math.cos(angle))
    expected = place(u, (mask / grating).contiguous(), onto.shifted(-moved[0], -moved[1])).data
    assert relative(turned(u, mask, onto).data, expected) < 2e-5  # interpolation on the way there and back


def test_a_tilted_panel_bends_what_it_moves():
    """Keystone: a tap that takes angle alpha to beta moves by f s (beta^2 - alpha^2)/2 more .

    Measured at the centre of mass of the image of a point; first order in the slope s, whose square is 0.8 %.
    """
    s = 0.09
    place, tilted = (
        bench(input={"shape": [64, 64], "pitch": "31.65 um", "pixel": "point"}, panel={"shape": [500, 500]}, **more)
        for more in ({}, {"poses": {"panel": {"tilt": f"{math.atan(s)!r} rad"}}})
    )
    shift, start = 2.4e-3, 20 * 31.65e-6
    point = torch.zeros(64, 64, dtype=DOUBLE)
    point[32, 52] = 1
    y, x = axes(tilted.fourier_grid)
    window = torch.exp(-(y**2 + x**2) / (4e-4) ** 2)
    mask = torch.exp(2j * math.pi * x * shift / (WAVELENGTH * F)) * window
    onto = fo.Grid((200, 200), 4e-6, (0.0, shift - start))
    light = tilted(fo.Field(point, tilted.input_grid, WAVELENGTH), mask, onto).intensity
    centre = float((light * axes(onto)[1]).sum() / light.sum())
    beta, alpha = (shift - start) / F, -start / F
    bent = F * s * (beta**2 - alpha**2) / 2
    assert centre - (shift - start) == pytest.approx(bent, rel=0.02)
    assert tilted.fourier_grid.spacing == pytest.approx((8e-6, 8e-6 * math.cos(math.atan(s))))
    assert place.is_shift_invariant
    assert not tilted.is_shift_invariant


def test_a_fold_of_the_same_angle_is_the_same_but_for_the_stroke():
    pose, fold = bench(poses={"panel": {"tilt": "5 deg"}}), bench(fold={"kind": "tilt", "angle": "5 deg"})
    image, mask = torch.rand(8, 8, dtype=torch.float64), torch.ones(pose.fourier_grid.shape)
    assert pose.fourier_grid == fold.fourier_grid
    torch.testing.assert_close(pose(image, mask).data, fold(image, mask).data)
    inside = math.asin(math.sin(math.radians(5)) / 1.6)
    assert fold.slm.config.stroke == pytest.approx(2 * math.pi / math.cos(inside), rel=1e-12)
    assert pose.slm.config.stroke == pytest.approx(2 * math.pi)


def collins(u, y, x, place, lens, before, after, f):
    """The integral of Collins as a sum, from samples u at points (y, x) to others; distances may be one a target."""
    b = before + after - before * after / f
    (ys, xs), (ye, xe) = ((p[0].flatten() - lens[0], p[1].flatten() - lens[1]) for p in ((y, x), place))
    far, near = (xe**2 + ye**2)[:, None], xs**2 + ys**2
    cross = xe[:, None] * xs + ye[:, None] * ys
    turn = ((1 - after / f) * near - 2 * cross + (1 - before / f) * far) / (2 * WAVELENGTH * b)
    return (torch.exp(2j * math.pi * turn) / (1j * WAVELENGTH * b)) @ u.flatten()


@pytest.mark.parametrize(
    "poses",
    [
        {"panel": {"rotation": "0.2 rad", "x": "40 um"}, "camera": {"rotation": "-2 rad", "y": "30 um"}},
        {"panel": {"tilt": "0.3 rad", "x": "0.1 mm", "z": "-2 mm"}, "lens1": {"z": "3 mm", "x": "20 um"}},
        {"panel": {"tilt": "-0.3 rad", "rotation": "0.4 rad"}, "lens2": {"z": "4 mm", "y": "21 um"}},
        {"panel": {"tilt": "0.2 rad"}, "camera": {"rotation": "3 rad", "x": "0.2 mm", "z": "1 mm"}},
    ],
)
def test_parts_turned_tilted_and_off_at_once_are_the_integral_of_collins(poses: dict):
    """Each panel column at its own depth, every sample at its own place; interpolation holds 4e-6 of the largest."""
    place = bench(
        input={"shape": [5, 6], "pitch": "100 um", "pixel": "point"},
        panel={"shape": [20, 22], "pitch": "40 um", "iris": None},
        poses=poses,
    )
    at, slope = place.config.poses, math.tan(place.config.tilt)
    u, onto = fo.Field(random(5, 6), place.input_grid, WAVELENGTH), fo.Grid((7, 9), 60e-6, (1e-4, 0.0))
    mask, plane = random(*place.fourier_grid.shape, seed=1) / 9, place.fourier_grid
    y, x = torch.meshgrid(*(a.flatten() for a in axes(u.grid)), indexing="ij")
    panel, camera = (ideal.turned(grid, (p.y, p.x), p.rotation) for grid, p in ((plane, at.panel), (onto, at.camera)))
    depth = (slope * (axes(plane)[1] - at.panel.x)).expand(plane.shape).flatten()
    lens1, lens2 = (at.lens1.y, at.lens1.x), (at.lens2.y, at.lens2.x)
    light = collins(u.data, y, x, panel, lens1, F + at.lens1.z, (F + at.panel.z - at.lens1.z + depth)[:, None], F)
    light = light * mask.flatten() * (u.grid.cell * plane.cell)
    before, after = F + at.lens2.z - at.panel.z - depth, F + at.camera.z - at.lens2.z
    expected = collins(light, *panel, camera, lens2, before, after, F).reshape(onto.shape)
    assert relative(place(u, mask, onto).data, expected) < 5e-6


def test_defocus_of_the_camera_is_that_of_its_distance():
    """The image of a point, seen z behind its place, is the field there propagated by z, to the paraxial order."""
    place, off = bench(), bench(poses={"camera": {"z": "3 mm"}})
    point = fo.Field(torch.eye(8, dtype=DOUBLE), place.input_grid, WAVELENGTH)
    y, x = axes(place.fourier_grid)
    mask = torch.exp(-(y**2 + x**2) / (1e-4) ** 2)
    fine = fo.Grid((512, 512), 20e-6)
    there = fo.propagate(place(point, mask, fine), 3e-3)
    seen = off(point, mask, fine).data * cmath.exp(2j * math.pi * (3e-3 / WAVELENGTH % 1))
    assert relative(seen, there.data) < 1e-4  # the paraxial quartic phase is 3e-6 rad; the rest is light off the window


@pytest.mark.parametrize(
    "poses",
    [
        {},
        {"panel": {"x": "30 um", "y": "-7 um"}},
        {"lens1": {"x": "0.2 mm"}, "lens2": {"y": "-0.1 mm"}},
        {"camera": {"x": "33 um"}, "panel": {"y": "8 um"}, "lens2": {"x": "0.1 mm"}},
    ],
)
@pytest.mark.parametrize("shape", [(8, 8), (7, 6)])
def test_the_filter_is_the_two_transforms(poses: dict, shape: tuple[int, int]):
    place = bench(poses=poses, input={"pixel": "square", "shape": list(shape)}, panel={"shape": [96, 80], "iris": None})
    plane, onto = place.fourier_grid, place.image_grid.shifted(1e-4, -2e-4)
    u, mask = place.encode(random(5, *shape).real.abs().clamp(0, 1)), random(3, *plane.shape, seed=1) / 9
    u = u.replace(data=u.data.to(DOUBLE))
    assert passes.lattice(place.config, u.grid, plane, onto) == ((64, 64), (1, 1))
    straight = passes._sent(place.config, u, plane, mask, onto)
    assert relative(passes.through(place.config, u, plane, mask, onto), straight) < 1e-12
    single = passes.through(place.config, u, plane, mask[0], onto)
    assert relative(single, straight[:, 0]) < 1e-12


@pytest.mark.parametrize("finer", [(2, 2), (3, 1), (1, 5)])
def test_the_filter_reads_between_the_pixels_of_the_image(finer: tuple[int, int]):
    """Camera pixels that divide those of the image, on a panel off centre."""
    place = bench(poses={"panel": {"x": "30 um"}, "lens2": {"y": "0.1 mm"}}, panel={"shape": [60, 64], "iris": None})
    plane, d = place.fourier_grid, place.image_grid.spacing
    onto = fo.Grid((64 * finer[0], 63 * finer[1]), (d[0] / finer[0], d[1] / finer[1]), (1e-4, -3e-4))
    u, mask = place.encode(random(3, 8, 8).real.abs().clamp(0, 1)), random(2, *plane.shape, seed=1) / 9
    u = u.replace(data=u.data.to(DOUBLE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "_products_cost_less", lambda *_: False)
        assert passes.lattice(place.config, u.grid, plane, onto) == ((64, 64), finer)
        seen = passes.through(place.config, u, plane, mask, onto)
    assert relative(seen, passes._sent(place.config, u, plane, mask, onto)) < 1e-12


def test_many_images_go_in_parts(monkeypatch):
    place = bench()
    images, masks = random(6, 8, 8).real.abs().clamp(0, 1), random(2, *place.fourier_grid.shape) / 9
    whole, camera = place(images, masks, place.image_grid).data, place(images, masks).data
    channels = place(images.reshape(3, 2, 8, 8), masks[None], place.image_grid).data
    assert relative(channels[:, 0], whole.reshape(3, 2, 2, 8, 8)[:, [0, 1], [0, 1]].sum(1)) < 1e-12
    monkeypatch.setattr(passes, "AT_ONCE", 64 * 64 * 16 * 2)
    torch.testing.assert_close(place(images, masks, place.image_grid).data, whole)
    torch.testing.assert_close(place(images, masks).data, camera)
    torch.testing.assert_close(place(images.reshape(3, 2, 8, 8), masks[None], place.image_grid).data, channels)
    images.requires_grad_()
    light = place(images, masks, place.image_grid).intensity.sum()
    (gradient,) = torch.autograd.grad(light, images)
    assert float(gradient.abs().max()) > 0


def test_polarisation_and_fold_are_two_scalars():
    """``sqrt(R (1 - R)) (cos psi T + sqrt(e) sin psi)``, and a ghost of the open panel, shifted."""
    image, psi, extinction = torch.rand(8, 8, dtype=torch.float64), 0.3, 0.01
    plain, mask = bench(), random(64, 64) / 5
    turned = bench(polarisation={"angle": f"{psi} rad", "extinction": extinction})
    onto, d = plain.image_grid, plain.image_grid.spacing[0]
    light, bare = plain(image, mask, onto).data, plain(image, torch.ones(64, 64), onto).data
    expected = math.cos(psi) * light + 0.1 * math.sin(psi) * bare
    assert relative(turned(image, mask, onto).data, expected) < 1e-12
    fold = {"kind": "beam_splitter", "reflectance": 0.4, "ghost": 0.02, "ghost_shift": [f"{2 * d!r} m", "0 m"]}
    folded = bench(fold=fold)
    ghost = plain(image, torch.ones(64, 64), onto.shifted(-2 * d, 0)).data
    assert relative(folded(image, mask, onto).data, math.sqrt(0.24) * (light + 0.02 * ghost)) < 1e-12
    most = max(
        float(bench(fold={"kind": "beam_splitter", "reflectance": r})(image, torch.ones(64, 64)).power())
        for r in (0.3, 0.5, 0.7)
    )
    assert most == pytest.approx(float(plain(image, torch.ones(64, 64)).power()) / 4, rel=1e-12)


def test_a_kernel_says_that_it_leaves_the_keystone_out():
    place = bench(fold={"kind": "tilt", "angle": "3 deg"})
    with pytest.warns(fo.SamplingWarning, match="keystone"):
        kernel = place.kernel(torch.ones(place.fourier_grid.shape))
    assert kernel.shape == (1, 15, 15)
    turned = bench(poses={"panel": {"rotation": "1 mrad"}})
    with pytest.raises(fo.GeometryError, match="shift-invariant"):
        turned.kernel(torch.ones(turned.fourier_grid.shape))


def test_a_tilted_beam_goes_on_inside_the_pixels():
    """The envelope of square pixels moves with the beam in both models, which agree to 1e-3 (quartic phase)."""
    changes = {"light": {"pointing": ["0.2 mrad", "-0.5 mrad"]}, "input": {"pixel": "square"}}
    a, b = (bench(**changes, model=model).at("fourier", torch.eye(8)).data for model in ("fourier", "wave"))
    overlap = (a.conj() * b).sum()
    assert float((a * (overlap / overlap.abs()) - b).norm() / b.norm()) < 1e-3
