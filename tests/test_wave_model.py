"""The wave model of the 4f bench: what it has in common with the ideal one, and what lenses and rims add to that."""

import math

import numpy as np
import pytest
import torch
from conftest import bench_data, centroid

import fouroptics as fo
from fouroptics.bench import ideal, wave
from fouroptics.light import zernike
from fouroptics.light.sources import axes
from validation import exact

DOUBLE = torch.complex128


def config(changes=None, *, small=True) -> fo.FourFConfig:
    return fo.FourFConfig.model_validate(bench_data(changes, small=small))


def lenses(f1, f2=None, **more):
    return {"lens1": {"focal_length": f"{f1} mm", **more}, "lens2": {"focal_length": f"{f2 or f1} mm", **more}}


def random_field(place, seed=0) -> fo.Field:
    data = torch.randn(place.input.shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    return fo.Field(data, place.input_grid, place.light.wavelength)


def point(place, y=0, x=0) -> fo.Field:
    """One display pixel, (y, x) pixels off the axis."""
    data = torch.zeros(place.input.shape, dtype=DOUBLE)
    data[place.input.shape[0] // 2 + y, place.input.shape[1] // 2 + x] = 1
    return fo.Field(data, place.input_grid, place.light.wavelength)


def random_mask(place) -> torch.Tensor:
    turns = torch.rand(place.fourier_grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)


def image(place, u, mask: torch.Tensor | float = 1.0, onto=None) -> fo.Field:
    before = wave.front(place, u)(place.fourier_grid)
    return wave.back(place, before.modulate(torch.as_tensor(mask)), onto or place.image_grid)


def quartic(grid, f, wavelength):
    """``exp(-i pi r^4 / (4 lambda f^3))``: exact free space less its parabola, see `wave`."""
    y, x = axes(grid)
    turns = (y**2 + x**2) ** 2 / (8 * wavelength * f**3)
    return torch.polar(torch.ones_like(turns), -2 * math.pi * turns)


def ideal_front(place, u, aberrated=False, plane=None) -> fo.Field:
    plane, f = plane or place.fourier_grid, place.lens1.focal_length
    if aberrated:
        u = u.modulate(quartic(u.grid, f, u.wavelength))
    out = ideal.front(place, u)(plane).modulate(ideal.pixel_spectrum(place, plane))
    return out.modulate(quartic(plane, f, u.wavelength)) if aberrated else out


def ideal_back(place, u, onto, aberrated=False) -> fo.Field:
    f = place.lens2.focal_length
    if not aberrated:
        return ideal.back(place, u, onto)
    out = ideal.back(place, u.modulate(quartic(u.grid, f, u.wavelength)), onto)
    return out.modulate(quartic(onto, f, u.wavelength))


def miss(a, b) -> float:
    """Relative L2 distance of two fields, the global phase removed."""
    b = b * torch.exp(-1j * (a.conj() * b).sum().angle())
    return float((a - b).norm() / a.norm())


def quartic_phase(half, f, wavelength=633e-9) -> float:
    """The criterion, in rad."""
    return math.pi * half**4 / (4 * wavelength * f**3)


BENCHES = [  # f1, f2 in mm, display, pitch in um, panel pixels of 8 um in its band
    (200, 200, [24, 24], 26.6, 595),
    (200, 100, [16, 20], 60.0, 263),
    (100, 100, [24, 24], 22.6, 349),
    (100, 100, [9, 9], 100.0, 79),
]


@pytest.mark.parametrize("pixel", ["point", "square"])
@pytest.mark.parametrize("case", BENCHES, ids=lambda case: f"{case[0]}-{case[1]}mm-{case[3]}um")
def test_the_models_agree_where_the_quartic_is_small(case, pixel):
    """1e-3 for light in the inner half of a Fourier plane of up to 5e-3 rad; measured 6e-5 to 8e-4, all of it quartic.

    Light that fills the plane evenly up to its corners passes two arms, whose quartics make 1.35 times the criterion.
    """
    f1, f2, shape, pitch, band = case
    changes = {"input": {"shape": shape, "pitch": f"{pitch} um", "pixel": pixel}, "panel": {"shape": [band, band]}}
    place = config(changes | lenses(f1, f2))
    largest = max(*place.fourier_grid.extent, *place.input_grid.extent) / 2
    assert quartic_phase(largest, min(f1, f2) / 1e3) <= 5e-3
    spectrum = torch.fft.fft2(random_field(place).data)
    kept = [torch.fft.fftfreq(n).abs() < 0.25 for n in shape]
    u = random_field(place).replace(data=torch.fft.ifft2(spectrum * kept[0][:, None] * kept[1]))
    assert miss(ideal_back(place, ideal_front(place, u), place.image_grid).data, image(place, u).data) < 1e-3


CASES = [{}, lenses(100), lenses(200, 150), {"input": {"shape": [7, 10], "fill_factor": 0.6}}, None]


@pytest.mark.parametrize("pixel", ["point", "square"])
@pytest.mark.parametrize("changes", CASES, ids=["200", "100", "200 to 150", "7x10", "example"])
def test_what_the_wave_model_adds_is_the_quartic_of_free_space(changes, pixel):
    """White light and a random mask. Points: measured 5e-6 to 2e-5, ripples of the band and what the lens planes cut.

    Squares of 0.25 mm: up to 1.6e-4, as the display's own quartic, here that of pixel centres, varies over a pixel.
    """
    data = {**(changes or {}), "input": {"pixel": pixel, **(changes or {}).get("input", {})}}
    place = config(data, small=changes is not None)
    floor = 1e-4 if pixel == "point" else 3e-4
    u, onto = random_field(place), place.image_grid
    before = wave.front(place, u)(place.fourier_grid)
    assert miss(ideal_front(place, u, aberrated=True).data, before.data) < floor
    behind = before.modulate(random_mask(place))
    assert miss(ideal_back(place, behind, onto, aberrated=True).data, wave.back(place, behind, onto).data) < floor


def test_beyond_the_criterion_the_models_differ_by_the_quartic():
    """A point on the axis, f = 100 mm, 0.002 to 0.16 rad at the corners: measured to 5e-4, with slopes of 4.00.

    On the panel the coefficient is that of one arm; the image of the point has gone through two.
    """
    halves, found, seen = [0.8e-3, 1.2e-3, 1.6e-3, 2.4e-3], [], []
    for half in halves:
        band = round(2 * half / 8e-6)
        data = {"input": {"shape": [3, 3], "pixel": "point"}, "panel": {"shape": [band, band], "iris": None}}
        place = config(data | lenses(100))
        u, plane, onto = point(place), place.fourier_grid, fo.Grid((33, 33), 633e-10 / (8 * half))
        before, flat = wave.front(place, u)(plane), ideal_front(place, u)
        y, x = axes(plane)
        phase = (before.data / flat.data).angle()
        phase, r4 = phase - phase.mean(), (y**2 + x**2) ** 2 - ((y**2 + x**2) ** 2).mean()
        coefficient = float((phase * r4).sum() / (r4 * r4).sum())
        assert coefficient == pytest.approx(-quartic_phase(half, 0.1) / half**4, rel=5e-3)
        found.append(float(phase.square().mean().sqrt()))
        out, ideal_out = wave.back(place, before, onto).data, ideal_back(place, flat, onto).data
        bent = flat.modulate(quartic(plane, 0.1, u.wavelength) ** 2)
        seen.append(miss(ideal_out, out))
        assert seen[-1] == pytest.approx(miss(ideal_out, ideal_back(place, bent, onto).data), rel=5e-3)
    for rms in (found, seen):
        assert np.polyfit(np.log(halves), np.log(rms), 1)[0] == pytest.approx(4, abs=0.02)


POSES = {
    "aside": {"lens1": {"x": "0.3 mm", "y": "-0.2 mm"}, "lens2": {"x": "0.1 mm"}, "panel": {"x": "40 um"}},
    "along": {"lens1": {"z": "2 mm"}, "panel": {"z": "-3 mm"}, "lens2": {"z": "1 mm"}, "camera": {"z": "4 mm"}},
    "turned": {"panel": {"rotation": "20 mrad"}, "camera": {"rotation": "-10 mrad"}},
    "together": {"panel": {"rotation": "20 mrad", "x": "50 um"}, "camera": {"rotation": "20 mrad", "y": "90 um"}},
    "tilted": {"panel": {"tilt": "400 mrad"}},
    "all": {
        **{"lens1": {"y": "0.2 mm", "z": "-1 mm"}, "lens2": {"x": "-0.2 mm", "z": "2 mm"}},
        "panel": {"rotation": "15 mrad", "z": "1 mm", "y": "24 um"},
        "camera": {"rotation": "-5 mrad", "z": "-1 mm", "x": "30 um"},
    },
}


@pytest.mark.parametrize("poses", POSES.values(), ids=list(POSES))
def test_poses_are_those_of_the_ideal_model(poses):
    """Two derivations: stretches of free space here, the integral of Collins there. Measured 2.4e-4, the quartic."""
    place = config({"input": {"pixel": "point"}, "poses": poses})
    u, mask, onto = random_field(place), random_mask(place), place.image_grid
    out = image(place, u, mask)
    assert miss(ideal_back(place, ideal_front(place, u).modulate(mask), onto).data, out.data) < 4e-4
    straight = place.model_copy(update={"poses": config().poses})
    unmoved = ideal_front(straight, u, plane=place.fourier_grid).modulate(mask)
    assert miss(ideal_back(straight, unmoved, onto).data, out.data) > 3e-3


def test_a_shifted_plane_on_the_panel_is_a_point_of_its_pixels():
    """A node of a pixel, a third of a pitch aside; see `SLM.nodes`."""
    place = config()
    plane, u = place.fourier_grid.shifted(2.5e-6, -3e-6), random_field(place)
    before = wave.front(place, u)(plane)
    reference = ideal.front(place, u)(plane).modulate(ideal.pixel_spectrum(place, plane))
    assert miss(reference.data, before.data) < 1e-3
    out = wave.back(place, before, place.image_grid)
    assert miss(ideal_back(place, before, place.image_grid).data, out.data) < 1e-3
    with pytest.raises(fo.GeometryError, match="fourier_grid"):
        wave.front(place, u)(plane.shifted(0, 8e-6))


def spot(waist, **changes) -> tuple[fo.FourFConfig, fo.Field]:
    """A bench with a wide panel, and a Gaussian beam in its waist on the display."""
    display = {"input": {"shape": [40, 40], "pitch": "20 um", "pixel": "point"}}
    place = config(display | {"panel": {"shape": [500, 500], "iris": None}} | changes)
    y, x = axes(place.input_grid)
    data = torch.exp(-(y**2 + x**2) / waist**2).to(DOUBLE)
    return place, fo.Field(data, place.input_grid, place.light.wavelength)


@pytest.mark.parametrize(("name", "factor"), [("lens1", 2.0), ("lens2", 1.0)])
def test_a_lens_that_is_off_the_axis_moves_the_image(name, factor):
    """Lens 1 by its offset times f2/f1, lens 2 by its offset: what is in its focal plane is seen from its centre.

    The grid resolves the centroid to rounding, the quartic moves it by 1e-6 of the offset.
    """
    at = []
    for offset in ("0 mm", "0.2 mm"):
        place, u = spot(100e-6, **lenses(100, 200), poses={name: {"x": offset}})
        at.append(centroid(image(place, u, onto=fo.Grid((61, 101), 20e-6))))
    assert at[1][1] - at[0][1] == pytest.approx(factor * 0.2e-3, rel=1e-5)
    assert abs(at[1][0] - at[0][0]) < 1e-8


@pytest.mark.parametrize("z", [-20e-3, 5e-3, 20e-3])
def test_a_camera_out_of_focus_sees_the_gaussian_beam_there(z):
    """Waist 60 um, Rayleigh length 18 mm: the closed form, with its curvature; measured 9e-5, the quartic."""
    place, u = spot(60e-6, poses={"camera": {"z": f"{z} m"}})
    onto = fo.Grid((41, 51), 10e-6, (20e-6, 0.0))
    out = image(place, u, onto=onto)
    y, x = onto.coordinates()
    beam = exact.gaussian(y[:, None], x[None], z, u.wavelength, 60e-6)
    assert miss(torch.from_numpy(beam), out.data) < 3e-4


def test_a_rim_in_the_light_is_that_of_a_circular_opening():
    """A point on the axis makes a plane wave behind lens 1; behind its rim, 3 mm across, the closed form of a circle.

    Measured 3e-3 off the rim's shadow: the rim is made of samples, with their covered part.
    """
    panel = {"panel": {"shape": [512, 512], "iris": None}}
    place = config({"input": {"shape": [3, 3], "pixel": "point"}, "lens1": {"diameter": "3 mm"}} | panel)
    u, pick = point(place), slice(3, None, 9)
    out = wave.front(place, u)(place.fourier_grid)
    y, x = (axis[pick] for axis in place.fourier_grid.coordinates())
    y, x = np.broadcast_arrays(y[:, None], x)
    off = np.abs(np.hypot(y, x) - 1.5e-3) > 30e-6
    wanted = exact.circle(y[off], x[off], 0.2, u.wavelength, 1.5e-3) * u.grid.cell / (u.wavelength * 0.2)
    found = out.data[pick, pick].numpy()[off]
    assert miss(torch.from_numpy(wanted), torch.from_numpy(found)) < 5e-3
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(wanted), rel=2e-3)


@pytest.mark.parametrize("name", ["lens1", "lens2"])
def test_a_rim_vignettes_what_geometry_says(name):
    """Light from y to Y crosses a lens at y + Y: its rim cuts a disk about -y from the light of a display pixel.

    By the power that passes, and by the centroid; 2 % for diffraction at the rim over f, some 0.35 mm wide.
    """
    panel = {"panel": {"shape": [640, 640], "iris": None}}
    place = config({"input": {"shape": [9, 9], "pixel": "point"}, name: {"diameter": "3 mm"}} | panel)
    if name == "lens1":
        out = wave.front(place, point(place, y=3))(place.fourier_grid)
        peak = place.input.pitch**2 / (place.light.wavelength * 0.2)
    else:
        u = fo.Field(torch.zeros(640, 640, dtype=DOUBLE), place.fourier_grid, place.light.wavelength)
        at = 320 + round(3 * place.input.pitch / 8e-6)
        u.data[at, 320] = 1
        out, peak = wave.back(place, u, fo.Grid((400, 400), 12e-6)), 64e-12 / (place.light.wavelength * 0.2)
    assert float(out.power()) == pytest.approx(peak**2 * math.pi * 1.5e-3**2, rel=0.02)
    assert centroid(out) == pytest.approx((-3 * place.input.pitch, 0), abs=15e-6)


def aberrated(name, j, pose=None) -> tuple[fo.FourFConfig, fo.FourFConfig]:
    """The bench with and without 0.1 rad of an aberration of a lens of 8 mm."""
    panel = {"panel": {"shape": [360, 360], "iris": None}, "input": {"shape": [9, 9], "pixel": "point"}}
    lens = {name: {"diameter": "8 mm", "aberrations": {str(j): "0.1 rad"}}, "poses": {"panel": pose or {}}}
    place = config({"model": "wave"} | panel | lens)
    clear = getattr(place, name).model_copy(update={"aberrations": {}})
    return place, place.model_copy(update={name: clear})


def check_aberration(j, ratio, onto, aside):
    """The phase is that of the lens, over the shadow that a point at `aside` throws, (y, x): to 2 % of 0.1 rad.

    Over f behind the lens its slopes move light by up to 25 um of 4 mm.
    """
    y, x = torch.broadcast_tensors(*axes(onto))
    wanted = 0.1 * zernike.noll(j, (y + aside[0]) / 4e-3, (x + aside[1]) / 4e-3)
    disk = torch.hypot(y, x) < 1.4e-3
    wanted, found = (each[disk] - each[disk].mean() for each in (wanted, ratio.angle()))
    assert float((found - wanted).square().mean().sqrt()) < 0.002
    assert float(wanted.square().mean().sqrt()) > 0.008


@pytest.mark.parametrize("j", [4, 5, 7, 11])
@pytest.mark.parametrize("pixel", [0, 4])
def test_an_aberration_of_lens_1_is_found_on_the_panel(j, pixel):
    place, clear = aberrated("lens1", j)
    u, onto = point(place, x=pixel), place.fourier_grid
    check_aberration(
        j, wave.front(place, u)(onto).data / wave.front(clear, u)(onto).data, onto, (0, u.grid.spacing[1] * pixel)
    )


@pytest.mark.parametrize("amount", [-20, 20])
def test_a_strong_defocus_is_another_focal_length(amount):
    """``a Z_4`` adds ``-2 sqrt(3) a lambda / (pi R^2)`` to 1/f, 17 % of it here: the integral of Collins with that f.

    Measured 2e-4, the quartic.
    """
    lens = {"diameter": "8 mm", "aberrations": {"4": f"{amount} rad"}}
    place = config({"model": "wave", "input": {"pixel": "point"}, "lens1": lens})
    u = random_field(place)
    bend = 1 / 0.2 - 2 * math.sqrt(3) * amount * u.wavelength / (math.pi * 4e-3**2)
    wanted = ideal.Arm(1 / bend, 0.2, 0.2, (0.0, 0.0))(u, place.fourier_grid)
    assert miss(wanted.data, wave.front(place, u)(place.fourier_grid).data) < 5e-4


@pytest.mark.parametrize("j", [5, 8])
@pytest.mark.parametrize("rotation", [0.0, 0.3])
def test_an_aberration_of_lens_2_is_found_on_the_camera(j, rotation):
    """A panel that is turned does not turn the lens; the camera is turned back."""
    place, clear = aberrated("lens2", j, {"rotation": f"{rotation} rad"})
    data = torch.zeros(place.fourier_grid.shape, dtype=DOUBLE)
    data[180, 180 + 100] = 1
    u, onto = fo.Field(data, place.fourier_grid, place.light.wavelength), fo.Grid((151, 151), 20e-6)
    aside = 0.8e-3 * math.sin(rotation), 0.8e-3 * math.cos(rotation)
    check_aberration(j, wave.back(place, u, onto).data / wave.back(clear, u, onto).data, onto, aside)


def test_larger_planes_change_nothing(monkeypatch):
    """Wider skirts and margins, for benches whose rims are out of the light: 3e-5, the ripples of the band."""
    place = config()
    u, mask = random_field(place), random_mask(place)
    several = []
    for skirt, margin in ((2.0, 0.5), (3.0, 2.0)):
        monkeypatch.setattr(wave, "SKIRT", skirt)
        monkeypatch.setattr(wave, "MARGIN", margin)
        several.append(image(place, u, mask).data)
    assert 0 < miss(*several) < 1e-4


def test_fields_go_through_a_few_at_a_time(monkeypatch):
    place = config()
    u = random_field(place)
    u = u.replace(data=torch.stack([u.data, 2j * u.data, u.data.flip(-1)]).reshape(3, 1, 8, 8))
    mask = torch.stack([random_mask(place), torch.ones(place.fourier_grid.shape)])
    before = wave.front(place, u)(place.fourier_grid)
    together = wave.back(place, before.modulate(mask), place.image_grid)
    assert together.data.shape == (3, 2, *place.image_grid.shape)
    monkeypatch.setattr(wave, "AT_ONCE", 1)
    torch.testing.assert_close(wave.back(place, before.modulate(mask), place.image_grid).data, together.data)
    alone = image(place, u.replace(data=u.data[2, 0]), mask[1])
    torch.testing.assert_close(alone.data, together.data[2, 1])


def test_light_is_single_precision_where_it_comes_so():
    """Kernels are made in float64: 1e-6 of the light."""
    place = config()
    u = random_field(place)
    fine, single = image(place, u), image(place, u.to(torch.complex64))
    assert single.data.dtype == torch.complex64
    assert miss(fine.data, single.data.to(DOUBLE)) < 5e-6


def test_gradients_go_back_through_both_lenses():
    """The bench is linear: the gradient of its output in a direction is its answer to that direction."""
    place = config()
    u, mask, onto = random_field(place), random_mask(place).requires_grad_(), place.image_grid
    before = wave.front(place, u)(place.fourier_grid)
    wave.back(place, before.modulate(mask), onto).intensity.sum().backward()
    assert mask.grad is not None
    turn = random_field(place, seed=3).data.repeat(8, 8)
    a, b = (wave.back(place, before.modulate(each), onto).data for each in (mask.detach(), turn))
    assert float((mask.grad.conj() * turn).real.sum()) == pytest.approx(2 * float((a.conj() * b).real.sum()), rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"poses": {"panel": {"z": "-250 mm"}}}, fo.GeometryError, ["lens1", "-50 mm", "poses"]),
        ({"poses": {"camera": {"z": "10 m"}}}, fo.GeometryError, ["lens2", "10.2 m", "poses"]),
        ({"poses": {"lens2": {"x": "40 mm"}}}, fo.GeometryError, ["lens2", "50.8 mm", "aside"]),
        ({"panel": {"shape": [9000, 9000], "iris": None}}, fo.SamplingError, ["lens1", "8192", "rim"]),
    ],
    ids=["panel before lens 1", "imaging", "aside", "too large"],
)
def test_what_it_cannot_do_is_refused(changes, error, words):
    place = config(changes)
    with pytest.raises(error) as caught:
        image(place, point(place))
    for word in words:
        assert word in str(caught.value)


def test_aberrations_need_a_diameter():
    place = config({"lens1": {"diameter": "8 mm", "aberrations": {"5": "1 rad"}}, "model": "wave"})
    place = place.model_copy(update={"lens1": place.lens1.model_copy(update={"diameter": None})})
    with pytest.raises(fo.GeometryError, match=r"lens1.diameter"):
        wave.behind_lens1(place, point(place))
