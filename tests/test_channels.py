"""Images of several channels: side by side on one display, or each in light of its own; from training to the camera."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from conftest import bench_data
from torch.nn import functional

import fouroptics as fo
from fouroptics.bench.settings import PosesConfig
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.encoding import phase_only
from fouroptics.masks.layout import input_tiling, on_display, sequential, tiled, wavelengths
from fouroptics.masks.targets import transfer
from models.channels import Lines, SideBySide
from models.data import Dataset, Split
from models.optical import Instrument, calibrate, ideal_amplitude, predict, response
from models.pairing import check_learned, check_pairing, for_bench, rows_by_channel, with_rows
from models.scores import logits
from models.student import Student, StudentConfig
from models.train import FitConfig, build, fit
from models.windows import Response, WholeBench

PLACES = ((0, -14), (0, 0), (0, 14))
TILES = ((-14, 0), (14, 0), (-28, 0), (28, 0))
#: Three pictures of 12 x 12 on one display; one band is 160 panel pixels, and 144 and 128 of them in the other lines.
TILING: dict[str, Any] = {
    "light": {"beam_radius": None},
    "input": {"shape": [12, 42], "pitch": "98.90625 um"},
    "panel": {"shape": [160, 160]},
    "camera": {"pitch": "98.90625 um", "shape": [80, 72]},
}
LINES: dict[str, Any] = TILING | {
    "light": {"beam_radius": None, "spectrum": [["633 nm", 1], ["569.7 nm", 2], ["506.4 nm", 1.5]]},
    "input": {"shape": [12, 12], "pitch": "98.90625 um"},
}
SMALL: dict[str, Any] = {"channels": 3, "outputs": 4, "width": 6, "depth": 1, "size": 12, "pool": 3, "hidden": 0}


def some_images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def make_student(**fields: Any) -> Student:
    torch.manual_seed(0)
    return Student(StudentConfig.model_validate(SMALL | {"classes": 6} | fields)).eval()


@pytest.mark.parametrize(
    "fields", [{}, {"depth": 2}, {"complex_kernels": True}, {"depth": 2, "bands": (9, 7), "pool": 2}]
)
def test_intensities_of_channels_add(fields):
    """Layer by layer with the other channels dark, merged, and by torch."""
    student, images = make_student(channel_sum="intensity", **fields).double(), some_images()
    with torch.no_grad():
        merged = student.amplitude(images)
        torch.testing.assert_close(student.run_stack(images), merged, atol=1e-12, rtol=0)
        assert merged.shape[:3] == (2, 3, 4)
        seen = student.detect(merged)
        if "bands" not in fields:
            kernels = student.collapse()
            half = kernels.shape[-1] // 2
            parts = [
                functional.conv2d(images[:, c : c + 1].to(kernels), kernels[:, c : c + 1], padding=half)
                for c in range(3)
            ]
            torch.testing.assert_close(seen, sum(part.abs().square() for part in parts), atol=1e-12, rtol=0)
        assert student(images).shape == (2, 6)


def test_what_no_camera_adds_is_refused():
    for fields, message in (
        ({"channels": 1}, "one channel leaves nothing to add"),
        ({"readout": "reference_pair"}, "readout 'reference_pair' is linear"),
        ({"readout": "split"}, "readout 'split' is linear"),
    ):
        with pytest.raises(fo.ConfigError, match=message):
            make_student(channel_sum="intensity", **fields)


def ideal_masks(kernels: torch.Tensor, bench: fo.FourF) -> torch.Tensor:
    """One transmission (1, fy, fx) that takes each picture by its kernel to the window of each output."""
    parts = [
        transfer(kernels[o, c], bench, (ty + py, tx + px))
        for o, (ty, tx) in enumerate(TILES)
        for c, (py, px) in enumerate(PLACES)
    ]
    return torch.stack(parts).sum(0)[None]


def test_pictures_side_by_side_add_in_light():
    """On ideal masks, against the convolution over three channels, and against the bench itself; 1e-10 is rounding."""
    bench, student, images = fo.FourF(bench_data(TILING)), make_student().double(), some_images()
    masks = ideal_masks(student.collapse(), bench)
    optics = SideBySide(Response(bench, bench.kernel(masks, TILES)[0], TILES), PLACES)
    found, d = optics(images), bench.image_grid.spacing[0]
    assert found.shape == (2, 4, 12, 12)
    with torch.no_grad():
        wanted = student.amplitude(images)
    scaled = found * (wanted * found.conj()).sum() / found.abs().square().sum()
    assert float((scaled - wanted).abs().max() / wanted.abs().max()) < 1e-10
    display = on_display(images, PLACES, (12, 42))
    for k, (ty, tx) in enumerate(TILES):
        whole = bench(display, masks, onto=bench.image_grid.shifted(ty * d, tx * d)).data[:, 0].flip((-2, -1))
        assert float((found[:, k] - whole[:, :, 15:27]).abs().max() / found.abs().max()) < 1e-10


def test_light_of_lines_adds_on_the_camera():
    """On ideal masks, against the student, and against the bench in the light of each line."""
    bench, student, images = fo.FourF(bench_data(LINES)), make_student(channel_sum="intensity").double(), some_images()
    kernels, total = student.collapse(), torch.zeros(())
    optics, d = [], bench.image_grid.spacing[0]
    for c, (share, line) in enumerate(bench.lines):
        masks = torch.stack([transfer(kernels[o, c], line, tile) for o, tile in enumerate(TILES)]).sum(0)[None]
        optics.append(Response(line, line.kernel(masks, TILES)[0], TILES))
        whole = [line(images[:, c], masks, onto=bench.image_grid.shifted(ty * d, tx * d)) for ty, tx in TILES]
        total = total + share * line.wavelength * torch.stack([u.intensity[:, 0] for u in whole], 1).flip((-2, -1))
    weights = [share * line.wavelength / bench.wavelength for share, line in bench.lines]
    light = Lines(tuple(optics), tuple(weights))(images)
    assert light.shape == (2, 3, 4, 12, 12)
    found = light.abs().square().sum(1) * bench.wavelength
    torch.testing.assert_close(found, total, atol=1e-10 * float(total.max()), rtol=0)


@pytest.mark.parametrize(("changes", "channel_sum"), [(TILING, "amplitude"), (LINES, "intensity")])
def test_ideal_optics_are_the_student(changes, channel_sum):
    """1e-5: float32, and signs and scales known from the bench alone."""
    bench, images = fo.FourF(bench_data(changes)), some_images().float()
    student = Student(for_bench(make_student().config, bench.config)).eval()
    assert student.config.channel_sum == channel_sum
    with torch.no_grad():
        wanted = student.amplitude(images)
    found = ideal_amplitude(bench, student)(images)
    torch.testing.assert_close(found, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=0)


def shapes(count: int, seed: int) -> Split:
    """Rings and crosses in one of three colours, under noise: six classes, of form and colour."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(6, (count,), generator=generator)
    middle = 4.5 + 2 * torch.rand(2, count, 1, generator=generator)
    y, x = (torch.arange(12.0) - middle).abs()
    y, x = y[:, :, None], x[:, None]
    ring = ((y**2 + x**2).sqrt() - 3).abs() < 1
    cross = (torch.minimum(y, x) < 1) & (torch.maximum(y, x) < 4)
    form = torch.where((labels % 2 == 0)[:, None, None], ring, cross)
    colour = functional.one_hot(labels // 2, 3)[:, :, None, None]
    noise = 0.7 * torch.rand(count, 3, 12, 12, generator=generator)
    return Split(noise + 0.3 * form[:, None] * colour, labels)


@pytest.fixture(scope="module", params=["input_tiling", "wavelengths"])
def trained(request):
    """Bench, student that learned for it, its masks, and the images."""
    changes, layout = {"input_tiling": (TILING, input_tiling), "wavelengths": (LINES, wavelengths)}[request.param]
    bench, data = (
        fo.FourF(bench_data(changes)),
        Dataset("shapes", tuple("abcdef"), *map(shapes, (1500, 1, 500), (0, 1, 2))),
    )
    student = build(
        lambda: Student(for_bench(StudentConfig.model_validate(SMALL | {"depth": 2, "classes": 6}), bench.config)), 0
    )
    fit(student, data, FitConfig(batch=50), seed=0)
    encoding = partial(phase_only, steps=150, rounding=60)
    return bench, student, from_kernels(student.collapse(), bench, encoding=encoding, layout=layout, light=0.05), data


def test_from_training_to_the_camera(trained, tmp_path):
    """The masks miss 1 % of a kernel: two of 500 predictions may differ on the mean of many frames, five with noise."""
    bench, student, masks, data = trained
    images, labels = data.test.images, data.test.labels
    digital = logits(student, images).argmax(1)
    assert 0.9 < float((digital == labels).double().mean()) < 1
    fo.bundle.save(tmp_path / "masks.h5", masks)
    loaded = fo.bundle.load(tmp_path / "masks.h5")
    check_pairing(bench, loaded, student)
    optics = response(bench, loaded)
    assert torch.equal(optics(images[:9]), response(bench, masks)(images[:9]))
    for generator, most in ((None, 2), (torch.Generator().manual_seed(0), 5)):
        instrument = calibrate(bench, optics, student, data.train.images[:300], generator)
        seen = predict(student, optics, instrument, images, generator).argmax(1)
        assert int((seen != digital).sum()) <= most
    instrument.save(tmp_path / "instrument.json")
    again = Instrument.load(tmp_path / "instrument.json", bench)
    assert torch.equal(again(optics(images[:9])), instrument(optics(images[:9])))
    swapped = predict(student, optics, instrument, images.roll(1, 1)).argmax(1)
    assert float((swapped == labels).double().mean()) < 0.5  # which colour is where does matter


def test_detected_channels_are_the_students(trained):
    """Pixel by pixel, with the weights that the student gave its channels: 1 % of a kernel is missed, 2 % of |u|^2."""
    bench, student, masks, data = trained
    optics, images = response(bench, masks), data.test.images[:50]
    found = calibrate(bench, optics, student, data.train.images[:300], None)(optics(images))
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images))
    miss = (found - wanted).square().mean((0, 2, 3)) / wanted.var((0, 2, 3))
    assert float(miss.max().sqrt()) < 0.03


def test_the_whole_bench_is_the_reduction(trained):
    """The light's whole way, line by line; to 1e-5, to which both integrate over a panel pixel (`SLM.order_for`)."""
    bench, _, masks, _ = trained
    images, optics = some_images(), response(bench, masks, torch.complex128)
    parts: Any = optics.optics if isinstance(optics, Lines | SideBySide) else optics
    parts = parts if isinstance(optics, Lines) else (parts,)
    rows = rows_by_channel(masks.kernels)
    long = [WholeBench(part.bench, with_rows(masks, mine)) for part, mine in zip(parts, rows, strict=False)]
    whole = replace(optics, optics=tuple(long) if isinstance(optics, Lines) else long[0])
    found, wanted = optics(images), whole(images)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-5
    turned = PosesConfig.model_validate({"panel": {"rotation": "1 mrad"}})
    moved = fo.FourF(bench.config.model_copy(update={"poses": turned}))
    assert response(moved, masks)(images).shape == found.shape


def test_a_window_is_read_where_it_lies(trained):
    """The camera has a pixel for each of the image: those that the instrument reads are those of the mask file."""
    bench, student, masks, data = trained
    optics = response(bench, masks)
    instrument = calibrate(bench, optics, student, data.train.images[:20], None)
    for tile, row in zip(optics.tiles, rows_by_channel(masks.kernels)[0], strict=True):
        top, bottom, left, right = masks.kernels.crop[row].tolist()
        assert instrument.pixels(tile) == (list(range(top, bottom))[::-1], list(range(left, right))[::-1])


def with_columns(masks, **columns):
    return replace(masks, kernels=replace(masks.kernels, **columns))


def test_masks_and_light_that_show_no_channels_are_refused(trained):
    bench, student, masks, _ = trained
    table = masks.kernels
    alone = {"place": None, "wavelength": None}
    cases = [
        (with_columns(masks, **alone), "layout = input_tiling, or wavelengths"),
        (with_columns(masks, tile=table.tile + table.in_channel[:, None]), "windows .tile. of their own"),
        (with_columns(masks, in_channel=np.minimum(table.in_channel, 1)), "for each output and channel"),
    ]
    for wrong, message in cases:
        with pytest.raises(fo.FourOpticsError, match=message):
            response(bench, wrong)
        with pytest.raises(fo.FourOpticsError, match=message):
            check_pairing(bench, wrong, student)
    with pytest.raises(fo.FourOpticsError, match="4 kernels of 3 input channels that are not the student's"):
        check_pairing(bench, with_columns(masks, weight=table.weight[::-1]), student)


def test_light_of_other_lines_is_refused():
    bench = fo.FourF(bench_data(LINES))
    kernels = torch.randn(1, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    masks = from_kernels(kernels, bench, encoding=partial(phase_only, steps=40, rounding=0), layout=wavelengths)
    (red, *others), slope = LINES["light"]["spectrum"], {"focal_length": "200 mm", "focal_slope": 1e4}
    cases = [
        ({"light": {"spectrum": []}}, "the light has no lines"),
        ({"light": {"spectrum": [red, *others[::-1]]}}, "the light has 633 nm, 506.4 nm, 569.7 nm"),
        (
            {"light": {"spectrum": [red, others[0], ["506.4 nm", 3]]}},
            "has the weights 1, 2, 3, the masks are for 1, 2, 1.5",
        ),
        ({"lens1": slope}, "images of different lines have different sizes"),
    ]
    for changes, message in cases:
        with pytest.raises(fo.FourOpticsError, match=message):
            response(fo.FourF(bench_data(LINES | changes)), masks)


def test_a_display_of_phase_has_no_dark_gaps():
    phase = fo.FourF(bench_data(TILING | {"input": TILING["input"] | {"coding": "phase"}}))
    masks = from_kernels(
        torch.ones(1, 3, 1, 1), phase, encoding=partial(phase_only, steps=40, rounding=0), layout=input_tiling
    )
    with pytest.raises(fo.FourOpticsError, match="bright between the pictures"):
        response(phase, masks)


def test_layouts_of_one_picture_or_too_small_a_display_are_refused():
    kernels, bench = torch.ones(4, 3, 3, 3), fo.FourF(bench_data(TILING))
    for layout in (tiled, sequential):
        with pytest.raises(fo.GeometryError, match=r"take layout=input_tiling .* or layout=wavelengths"):
            from_kernels(kernels, bench, layout=layout)
    small = fo.FourF(bench_data(TILING | {"input": TILING["input"] | {"shape": [4, 8]}}))
    with pytest.raises(fo.SamplingError, match=r"input\.shape more pixels"):
        from_kernels(kernels, small, layout=input_tiling)
    with pytest.raises(fo.GeometryError, match="has 0 lines, the kernels 3 channels"):
        from_kernels(kernels, bench, layout=wavelengths)
    with pytest.raises(fo.GeometryError, match="not within the display"):
        on_display(torch.rand(1, 3, 16, 16), PLACES, (12, 42))


def test_a_student_and_the_light_have_as_many_channels():
    amplitudes, intensities = make_student(), make_student(channel_sum="intensity")
    two = {"spectrum": [["633 nm", 1], ["532 nm", 1]]}
    for student, changes, message in (
        (amplitudes, LINES, "channel_sum = 'amplitude', which takes 0"),
        (intensities, TILING, "channel_sum = 'intensity', which takes 3"),
        (intensities, LINES | {"light": two}, "2 lines, the images have 3 channels"),
    ):
        bench = fo.FourF(bench_data(changes))
        with pytest.raises(fo.FourOpticsError, match=message):
            check_learned(bench.config, student.config)
        with pytest.raises(fo.FourOpticsError, match=message):
            ideal_amplitude(bench, student)
    pair = bench_data(LINES | {"readout": {"kind": "reference_pair"}, "reference": {"power": "auto"}})
    with pytest.raises(fo.FourOpticsError, match="lines add their intensities"):
        for_bench(intensities.config, fo.FourF(pair).config)
