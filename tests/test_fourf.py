"""The 4f bench: its geometry, its convolution, its two models, its real panel."""

import copy
import json
import math
import tomllib

import numpy as np
import pytest
import torch
from conftest import bench_data, random_frames
from torch.nn import functional

import fouroptics as fo
from fouroptics.bench.display import illumination
from fouroptics.bench.fourf import PLANES
from fouroptics.bench.shown import PanelFrames
from fouroptics.devices import panel
from fouroptics.masks.targets import transfer
from fouroptics.waves.transforms import fourier


def bench(changes=None, **options) -> fo.FourF:
    return fo.FourF(bench_data(changes, **options))


def random(*shape, seed=0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def test_grids_of_the_example(example_bench):
    assert example_bench.fourier_grid == fo.Grid((500, 500), 8e-6)
    assert example_bench.camera_grid.shape == (2048, 2448)
    y, x = example_bench.camera_grid.coordinates()
    image_y, image_x = example_bench.image_grid.coordinates()
    for places, pixels in ((image_y, y), (image_x, x)):
        nearest = np.abs(places[:, None] - pixels).min(1)
        assert nearest.max() < 1e-9  # a camera pixel sits on each image pixel; the file rounds the pitch to 12 digits


def test_fourier_grid_without_iris_is_the_panel():
    assert bench({"panel": {"preset": "generic-1080p-8um", "iris": None}}, small=False).fourier_grid.shape == (
        1080,
        1920,
    )


def test_band_of_no_whole_number_keeps_the_pixels_inside():
    place = bench({"input": {"pitch": "250 um"}})
    assert place.config.band == pytest.approx(63.3)
    assert place.fourier_grid.shape == (63, 63)


@pytest.mark.parametrize("size", [1, 3, 4, 9])
@pytest.mark.parametrize("shape", [(28, 28), (27, 20)])
def test_convolution_is_that_of_torch(size, shape):
    """conv2d in float64 to 1e-9, after one flip and the sign: many channels, odd and even kernels, no roll."""
    place = bench({"input": {"pixel": "point", "shape": list(shape)}}, small=False)
    images, kernels = random(2, 3, *shape), random(4, 3, size, size, seed=1)
    out = place(fo.Field(images, place.input_grid, place.wavelength), transfer(kernels, place), onto=place.image_grid)
    low, high = size // 2, size - 1 - size // 2
    expected = functional.conv2d(functional.pad(images, (low, high, low, high)), kernels)
    assert relative(-out.data.flip((-2, -1)), expected + 0j) < 1e-12  # the contract asks for 1e-9; float64 leaves 1e-14


def test_camera_without_a_shape_is_the_inverted_image():
    changes = {"input": {"pixel": "point"}, "camera": {"pitch": "247.265625 um", "shape": None}}
    place = bench(changes)
    assert place.camera_grid == place.image_grid
    u = fo.Field(random(8, 8), place.input_grid, place.wavelength)
    out = place(u, torch.ones(place.fourier_grid.shape))
    assert relative(-out.data.flip((-2, -1)), u.data) < 1e-12


@pytest.mark.parametrize("f2", [100, 400])
def test_magnification_and_power(f2):
    place = bench({"lens2": {"focal_length": f"{f2} mm"}, "input": {"pixel": "point"}})
    u = fo.Field(random(8, 8), place.input_grid, place.wavelength)
    out = place(u, torch.ones(place.fourier_grid.shape), onto=place.image_grid)
    assert relative(-out.data.flip((-2, -1)) * f2 / 200, u.data) < 1e-12
    assert float(out.power()) == pytest.approx(float(u.power()), rel=1e-12)


def test_mask_axes():
    place = bench()
    images = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = torch.ones(3, *place.fourier_grid.shape)
    assert place(images, masks).data.shape == (5, 3, 144, 144)
    assert place(images[0], masks).data.shape == (3, 144, 144)
    assert place(images, masks[0]).data.shape == (5, 144, 144)
    with pytest.raises(fo.GeometryError, match="do not fit"):
        place(images, torch.ones(2, 3, *place.fourier_grid.shape))
    with pytest.raises(fo.GeometryError, match="fourier_grid"):
        place(images, torch.ones(3, 7, 7))


def test_display_codings():
    grey = torch.tensor([0.0, 0.25, 0.5, 1.0]).repeat(8, 2)
    beam = illumination(bench().config).float()
    expected = {
        "amplitude": grey,
        "intensity": grey.sqrt(),
        "binary": (grey >= 0.5).float(),
        "phase": torch.exp(1j * math.pi * grey),
    }
    for coding, amplitude in expected.items():
        coded = bench({"input": {"coding": coding}}).encode(grey).data
        torch.testing.assert_close(coded, (amplitude * beam).to(torch.complex64))


def test_beam_carries_its_power():
    uniform = bench({"light": {"beam_radius": None, "power": "2 mW"}} | {}).config
    assert uniform.light.beam_radius is None
    place = fo.FourF(uniform)
    assert float(place.encode(torch.ones(8, 8, dtype=torch.float64)).power()) == pytest.approx(2e-3, rel=1e-12)
    wide = bench({"input": {"shape": [256, 256]}, "light": {"beam_radius": "6 mm"}}).encode(torch.ones(256, 256))
    assert float(wide.power()) == pytest.approx(1e-3, rel=1e-4)  # the Gaussian fits the display


def test_wrong_images_are_refused():
    place = bench()
    with pytest.raises(fo.GeometryError, match=r"\[0, 1\]"):
        place.encode(torch.full((8, 8), 1.5))
    with pytest.raises(fo.GeometryError, match=r"\[0, 1\]"):
        place.encode(torch.full((8, 8), float("nan")))
    with pytest.raises(fo.GeometryError, match="display"):
        place.encode(torch.zeros(9, 8))
    with pytest.raises(fo.GeometryError, match="display"):
        place.encode(fo.Field(torch.zeros(8, 8), fo.Grid((8, 8), 1e-6), place.wavelength))


@pytest.mark.parametrize("pixel", ["point", "square"])
def test_kernel_is_the_bench(pixel):
    """Sum over displacements against the optics, at read pixels about two tiles, through a real panel."""
    place = bench({"input": {"pixel": pixel}})
    masks, tiles = random_frames(place, 2), [(9, -9), (0, 0)]
    images = torch.rand(3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = place.kernel(masks, tiles)
    padded = functional.pad(place.encode(images).data, (7, 7, 7, 7))
    for t, (ty, tx) in enumerate(tiles):
        d = place.image_grid.spacing[0]
        field = place(images, masks, onto=place.image_grid.shifted(ty * d, tx * d)).data.flip((-2, -1))
        kernels = place.kernel(masks, [(ty, tx)])
        parts = [functional.conv2d(padded.real[:, None], part[:, 0, None]) for part in (kernels.real, kernels.imag)]
        assert relative(-field, torch.complex(*parts)) < 1e-12
        # several windows take the points in a pixel that the farthest needs: both are right to 1e-5, `SLM.order_for`
        assert relative(kernels[:, 0], together[:, t]) < 1e-5


def _sub_pixels(place: fo.FourF, u: fo.Field, masks: PanelFrames, onto: fo.Grid, n: int) -> torch.Tensor:
    """The bench with n x n sub-pixels a pixel, by two plain Fourier sums."""
    grid, scale = place.fourier_grid, place.wavelength * 0.2
    first = [axis[0] - (n - 1) / 2 * grid.spacing[0] / n for axis in grid.coordinates()]
    fine = fo.Grid((grid.shape[0] * n, grid.shape[1] * n), grid.spacing[0] / n)
    fine = fine.shifted(*(a - axis[0] for a, axis in zip(first, fine.coordinates(), strict=True)))
    front = fourier(u.data, u.grid, fine, scale) * (-1j * u.grid.cell / scale)
    phase = panel.realised(torch.from_numpy(place.crop(masks.gray)[0].astype(float)), 8)
    return fourier(front * place.slm.expand(phase, n), fine, onto, scale) * (-1j * fine.cell / scale)


def test_pixel_nodes_against_many_sub_pixels():
    """The nodes of the panel against a dense grid of sub-pixels: the second order of the midpoint rule, 1/n^2."""
    place = bench({"input": {"pixel": "point"}, "panel": {"shape": [96, 128], "fill_factor": 1.0}})
    masks, d = random_frames(place), place.image_grid.spacing[0]
    onto = place.image_grid.shifted(9 * d, 9 * d)
    u = fo.Field(random(8, 8), place.input_grid, place.wavelength)
    nodes = place(u, masks, onto).data[0]
    errors = [relative(_sub_pixels(place, u, masks, onto, n), nodes) for n in (2, 4, 8)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)
    assert errors[2] < 4e-3


@pytest.mark.parametrize("phase", [0.0, 1.0, 3.0])
def test_undiffracted_light_stays_on_the_axis(phase):
    """Its phase changes the kernel about the axis, and about a tile off the axis by no more than its faint tail."""
    changes = {
        "panel": {"shape": [96, 128], "fill_factor": 0.9, "dead_phase": f"{phase} rad"},
        "input": {"pixel": "point"},
    }
    dark = bench(
        {"panel": {"shape": [96, 128], "fill_factor": 0.9, "dead_amplitude": 0.0}, "input": {"pixel": "point"}}
    )
    place, tiles = bench(changes), [(0, 0), (9, 9)]
    masks = random_frames(place)
    added = place.kernel(masks, tiles) - dark.kernel(masks, tiles)
    middle = added[0, 0, 7, 7]
    assert complex(middle) == pytest.approx(0.1 * complex(math.cos(phase), math.sin(phase)), rel=1e-9)
    assert float(added[0, 1].abs().max()) < 1e-12  # point pixels over a whole band: an exact comb


def test_masks_for_another_panel_are_refused():
    place = bench()
    masks = random_frames(place)
    other = masks._replace(slm=masks.slm.model_copy(update={"bits": 10}))
    with pytest.raises(fo.GeometryError, match="bits = 10"):
        place(torch.zeros(8, 8), other)


def test_far_places_get_more_nodes():
    """Beyond half an order the pixel's integral needs more points: against many sub-pixels at one and a half orders."""
    place = bench({"input": {"pixel": "point"}, "panel": {"shape": [64, 64], "fill_factor": 0.9}})
    masks, d = random_frames(place), place.image_grid.spacing[0]
    far = place.image_grid.shifted(0, 96 * d)
    u = fo.Field(random(8, 8), place.input_grid, place.wavelength)
    seen, errors = place(u, masks, far).data[0], []
    for n in (8, 16, 32):
        errors.append(relative(_sub_pixels(place, u, masks, far, n), seen))
    assert errors[0] / errors[2] > 10  # second order would be 16, the edges of the active area are rougher
    assert errors[2] < 0.01


def test_light_of_one_point():
    place = bench({"input": {"pixel": "point"}})
    spot = place.psf(torch.ones(place.fourier_grid.shape), place.image_grid).data.flip((-2, -1))
    expected = torch.zeros(8, 8, dtype=torch.complex128)
    expected[4, 4] = -1
    torch.testing.assert_close(spot, expected, atol=1e-12, rtol=0)


def test_real_masks_are_transmissions():
    place = bench()
    with pytest.raises(fo.GeometryError, match=r"bench\.slm"):
        place(torch.ones(8, 8), torch.full(place.fourier_grid.shape, 3.0))
    with pytest.raises(fo.GeometryError, match="not finite"):
        place(torch.ones(8, 8), torch.full(place.fourier_grid.shape, float("nan")))
    with pytest.raises(fo.ConfigError, match="from_toml"):
        fo.FourF("bench.toml")  # pyright: ignore[reportArgumentType]


def test_misplaced_camera_and_panel():
    """Camera: samples elsewhere. Panel: the mask's spectrum turns by the shift, kernels keep their modulus."""
    place, d = bench({"input": {"pixel": "point"}}), 247.265625e-6
    u = fo.Field(random(8, 8), place.input_grid, place.wavelength)
    open_panel = torch.ones(place.fourier_grid.shape)
    moved = bench({"input": {"pixel": "point"}, "poses": {"camera": {"y": "247.265625 um"}}})
    a, b = place(u, open_panel, place.image_grid).data, moved(u, open_panel, moved.image_grid).data
    assert relative(b[:-1], a[1:]) < 1e-12
    assert d == moved.image_grid.center[0] - place.image_grid.center[0]
    kernels = random(1, 3, 3)
    shifted = bench({"input": {"pixel": "point"}, "poses": {"panel": {"x": "8 um"}}})
    h = shifted.kernel(transfer(kernels, place))[0, 0]
    assert relative(h.abs(), place.kernel(transfer(kernels, place))[0, 0].abs()) < 1e-12
    turn = h[7, 8] / kernels[0, 1, 2]
    assert complex(turn) == pytest.approx(np.exp(-2j * np.pi / 64), rel=1e-9)  # one pixel of 64 in the band, one tap


def test_the_wave_model_has_no_kernel():
    wave = bench({"model": "wave"})
    with pytest.raises(fo.GeometryError, match="shift-invariant"):
        wave.kernel(torch.ones(wave.fourier_grid.shape))


def test_every_plane_can_be_seen():
    image = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    for model in ("fourier", "wave"):
        place = bench({"model": model})
        mask = torch.ones(place.fourier_grid.shape)
        for plane in PLANES:
            if model == "fourier" and plane.startswith("lens"):
                with pytest.raises(fo.GeometryError, match="ideal"):
                    place.at(plane, image, mask)
            else:
                assert torch.isfinite(place.at(plane, image, mask).intensity).all()
    torch.testing.assert_close(place.at("camera", image, mask).data, place(image, mask).data)
    shown, real = random_frames(place), bench()
    torch.testing.assert_close(real.at("camera", image, shown).data, real(image, shown).data)
    torch.testing.assert_close(
        real.transmission(shown), real.slm(panel.realised(torch.from_numpy(real.crop(shown.gray)), 8))
    )
    with pytest.raises(fo.GeometryError, match="give the masks"):
        place.at("mask", image)
    with pytest.raises(fo.GeometryError, match="no plane"):
        place.at("sofa", image)


def test_gradient_reaches_a_phase_mask():
    place = bench()
    phase = torch.zeros(place.fourier_grid.shape, requires_grad=True)
    place(torch.ones(8, 8), place.slm(phase), place.image_grid).intensity.sum().backward()
    assert phase.grad is not None
    assert float(phase.grad.abs().max()) > 0


def test_check_names_what_is_wrong():
    assert all(row.ok for row in bench(small=False).check())
    faults = {
        "band on the panel": {"input": {"pitch": "10 um"}},
        "panel pixels in the band": {"input": {"shape": [40, 40]}},
        "camera over the image": {"camera": {"shape": [8, 8]}},
        "camera pixels per image pixel": {"camera": {"pitch": "100 um"}},
        "lens1 diameter": {"lens1": {"diameter": "1 mm"}},
    }
    for quantity, changes in faults.items():
        assert quantity in [row.quantity for row in bench(changes).check() if not row.ok]


def test_bench_file_round_trip(tmp_path):
    place = bench({"poses": {"panel": {"x": "8 um"}}})
    path = tmp_path / "bench.toml"
    path.write_text(place.to_toml())
    assert fo.FourF.from_toml(path).config == place.config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": {"pitch": 31.65}}, ["input.pitch", "31.65", "unit"]),
        ({"light": {"wavelenght": "633 nm"}}, ["light.wavelenght", "wavelength"]),
        ({"panel": {"fill_factor": 1.3}}, ["panel.fill_factor", "1.3"]),
        ({"camera": {"preset": "holga"}}, ["camera", "holga", "generic-12bit"]),
        ({"lens1": {"focal_length": "-200 mm"}}, ["lens1.focal_length", "-200 mm"]),
        ({"readout": {"kind": "magic"}}, ["readout.kind", "magic", "reference_pair"]),
        ({"input": {"shape": [28]}}, ["input.shape"]),
        ({"light": {"power": "nan W"}}, ["light.power", "nan"]),
        ({"camera": {"qe": True}}, ["camera.qe", "True"]),
        ({"panel": {"pitch": "1 m"}}, ["panel pixels", "must be 2"]),
    ],
)
def test_bad_files_end_in_one_clear_message(tmp_path, changes, words):
    path, lines = tmp_path / "bench.toml", []
    for name, value in bench_data(changes).items():
        if isinstance(value, dict):
            lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())]
        else:
            lines.insert(0, f'{name} = "{value}"')
    path.write_text("\n".join(lines))
    with pytest.raises(fo.ConfigError) as caught:
        fo.FourF.from_toml(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


WRONG = [
    None,
    True,
    0,
    -1,
    1.5,
    math.nan,
    math.inf,
    "",
    "x",
    "8",
    "8 W",
    "-8 um",
    "1e-30 m",
    "1e30 m",
    [],
    [1],
    [0, 0],
    {},
    {"a": 1},
]


@pytest.mark.parametrize("context", ["file", None])
def test_any_wrong_value_anywhere_is_a_config_error_or_a_bench(context):
    """Each key in turn takes each wrong value: the bench is refused with our error, or one that can be checked."""
    whole = tomllib.loads(bench(small=False).config.to_toml())
    places = [(key,) for key in whole] + [(a, b) for a in whole if isinstance(whole[a], dict) for b in whole[a]]
    messages = []
    for place in places:
        for value in WRONG:
            data = copy.deepcopy(whole)
            section = data if len(place) == 1 else data[place[0]]
            section[place[-1]] = value
            try:
                config = fo.FourFConfig.model_validate(data, context=context)
            except fo.ConfigError as error:
                messages.append((place[0], str(error)))
            else:
                fo.FourF(config).check()
    assert len(messages) > 10 * len(places)
    assert [text for key, text in messages if key not in text and "panel pixels" not in text] == []


@pytest.mark.parametrize(
    ("light", "masks", "says"),
    [
        (np.zeros((8, 8)), torch.ones(64, 64), "torch.from_numpy"),
        (torch.zeros(8, 8), np.ones((64, 64)), "torch.from_numpy"),
        (torch.zeros(8, 8), None, "NoneType"),
        (torch.zeros(8, 8), torch.ones(0, 64, 64), "none"),
    ],
)
def test_what_is_no_light_or_no_mask_is_refused(light, masks, says: str):
    with pytest.raises(fo.GeometryError, match=says):
        bench()(light, masks)


def test_a_mask_with_gain_is_linear_and_the_ledger_calls_it_a_source():
    place, image = bench(), torch.ones(8, 8)
    mask = torch.polar(torch.ones(64, 64), torch.rand(64, 64))
    torch.testing.assert_close(place(image, mask * 3).data, 3 * place(image, mask).data)
    assert "source" in [entry.by for entry in place.ledger(image, mask * 3).entries]
    assert "source" not in [entry.by for entry in place.ledger(image, mask).entries]
    torch.testing.assert_close(place(image, mask.real.abs() < 2).data, place(image, torch.ones(64, 64)).data)
