"""The exact reduction against the bench itself, and the fit of the camera's numbers."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from conftest import bench_data
from torch.nn import functional

import fouroptics as fo
from fouroptics.bench.response import correlate
from fouroptics.masks.compiler import from_kernels, transfer
from fouroptics.masks.layout import sequential
from models.data import fashion_subset
from models.incoherent import split_masks
from models.optical import Instrument, WholeBench, calibrate, fitted, ideal_amplitude, predict, response
from models.pairing import check_pairing, for_bench, with_panel
from models.student import READOUTS, Student, StudentConfig


def make_student(readout: Any = "intensity", **fields: Any) -> Student:
    torch.manual_seed(0)
    return Student(StudentConfig(readout=readout, **fields)).eval()


PAIR = {"readout": {"kind": "reference_pair"}, "reference": {"power": "auto"}}
WAYS: dict[str, dict[str, Any]] = {
    "intensity": {},
    "reference_pair": PAIR,
    "four_step": PAIR | {"readout": {"kind": "four_step"}},
    "split": {"readout": {"kind": "split"}, "light": {"coherence": "incoherent"}},
}
SMALL: dict[str, Any] = {"size": 8, "depth": 1, "outputs": 4, "pool": 2, "hidden": 8}


def some_images(count: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, *(shape or (8, 8)), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def small_masks(small_bench):
    """Of the student of `SMALL`, whatever its display and readout."""
    return from_kernels(make_student(**SMALL).collapse(), small_bench, light=0.05)


@pytest.fixture(scope="module")
def small_halves():
    """Of the same kernels, for incoherent light."""
    return split_masks(make_student(**SMALL).collapse(), fo.FourF(bench_data(WAYS["split"])), light=0.05)


@pytest.mark.parametrize("shape", [(8, 8), (7, 10)])
def test_correlate_is_a_sum_over_displacements(shape):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    kernels = torch.randn(3, 2 * shape[0] - 1, 2 * shape[1] - 1, dtype=torch.complex128, generator=generator)
    padded = functional.pad(images, (shape[1] - 1, shape[1] - 1, shape[0] - 1, shape[0] - 1))[:, None]
    expected = torch.complex(*(functional.conv2d(padded, part[:, None]) for part in (kernels.real, kernels.imag)))
    torch.testing.assert_close(correlate(images, kernels), expected, atol=1e-12, rtol=0)
    with pytest.raises(fo.GeometryError, match="need"):
        correlate(images, kernels[:, 1:])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.complex128, 1e-10), (torch.complex64, 1e-5)])
def test_reduction_equals_the_bench_on_64_images(example_bench, dtype, tolerance):
    """One tile of a full-size mask through `FourF` at the read pixels; the tolerances are the contract's."""
    bench = example_bench
    masks = from_kernels(torch.randn(2, 1, 9, 9, generator=torch.Generator().manual_seed(0)), bench)
    images = fashion_subset().validation.images[:64].to(torch.float64 if dtype == torch.complex128 else torch.float32)
    reduced = response(bench, masks, dtype)(images)
    d = bench.image_grid.spacing[0]
    for k, (ty, tx) in enumerate(masks.kernels.tile.tolist()):
        whole = bench(images, masks, onto=bench.image_grid.shifted(ty * d, tx * d)).data[:, 0].flip((-2, -1))
        assert float((reduced[:, k] - whole).abs().max() / whole.abs().max()) < tolerance


def test_sequential_masks_reduce_alike(small_bench):
    masks = from_kernels(
        torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0)), small_bench, layout=sequential
    )
    images = torch.rand(3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    d, (ty, tx) = small_bench.image_grid.spacing[0], masks.kernels.tile[0].tolist()
    whole = small_bench(images, masks, onto=small_bench.image_grid.shifted(ty * d, tx * d)).data.flip((-2, -1))
    reduced = response(small_bench, masks, torch.complex128)(images)
    assert float((reduced - whole).abs().max() / whole.abs().max()) < 1e-10


@pytest.mark.parametrize("iris", ["band", None])
@pytest.mark.parametrize("f2", ["200 mm", "300 mm"])
def test_ideal_optics_are_the_student(iris, f2):
    """To 5e-3: the beam is brighter in the middle of the display by exp(-(1.4/20)^2), the mean is divided out."""
    bench = fo.FourF(bench_data({"panel": {"shape": [96, 128], "iris": iris}, "lens2": {"focal_length": f2}}))
    student = make_student(**SMALL)
    images = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = student.amplitude(images)
    torch.testing.assert_close(
        ideal_amplitude(bench, student)(images), wanted, atol=5e-3 * float(wanted.abs().max()), rtol=0
    )


@pytest.mark.parametrize(
    "display",
    [
        {"coding": "intensity"},
        {"coding": "phase"},
        {"coding": "binary"},
        {"coding": "amplitude", "gamma": 2.2, "contrast": 20, "fill_factor": 0.8},
    ],
    ids=lambda display: display["coding"],
)
def test_ideal_optics_are_the_student_of_each_coding(display):
    """To 5e-3 as above: the display of the bench and that of the student are one."""
    bench = fo.FourF(bench_data({"input": display}))
    student = Student(for_bench(StudentConfig(**SMALL), bench.config)).eval()
    images = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = student.amplitude(images)
    found = ideal_amplitude(bench, student)(images)
    torch.testing.assert_close(found, wanted, atol=5e-3 * float(wanted.abs().max()), rtol=0)


def test_the_whole_bench_is_its_reduction(small_bench):
    """The long way, which the wave model takes, against the short one, in the model that has both."""
    masks = from_kernels(torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(0)), small_bench, light=0.05)
    images = torch.rand(2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    reduced, whole = response(small_bench, masks, torch.complex128)(images), WholeBench(small_bench, masks)(images)
    assert float((reduced - whole).abs().max() / whole.abs().max()) < 1e-10
    for changes in ({"model": "wave"}, {"poses": {"panel": {"rotation": "1 mrad"}}}):
        other = response(fo.FourF(bench_data(changes)), masks)
        assert isinstance(other, WholeBench)
        assert other(images).shape == (2, 3, 8, 8)


def test_rows_of_the_table_may_stand_in_any_order(small_bench):
    masks = from_kernels(torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(0)), small_bench, light=0.05)
    order = [2, 0, 1]
    columns = {item.name: getattr(masks.kernels, item.name)[order] for item in fields(masks.kernels)}
    turned = replace(masks, kernels=type(masks.kernels)(**columns))
    images = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(response(small_bench, turned)(images), response(small_bench, masks)(images))


def test_what_does_not_belong_together_is_refused(small_bench, small_masks):
    student, masks = make_student(**SMALL), small_masks
    check_pairing(small_bench, masks, student)
    torch.manual_seed(1)
    with pytest.raises(fo.FourOpticsError, match="of its run"):
        check_pairing(small_bench, masks, Student(StudentConfig(**SMALL)))
    cases: dict[str, dict[str, Any]] = {
        "readout.kind = 'reference_pair', the student learned with readout.kind = 'intensity'": PAIR,
        "readout.kind = 'four_step', the student learned with readout.kind = 'intensity'": WAYS["four_step"],
        "input.coding = 'phase', the student learned with input.coding = 'amplitude'": {"input": {"coding": "phase"}},
        "input.gamma = 2.2, the student learned with input.gamma = 1.0": {"input": {"gamma": 2.2}},
        "input.contrast = 50.0, the student learned with input.contrast left out": {"input": {"contrast": 50}},
    }
    for message, changes in cases.items():
        bench = fo.FourF(bench_data(changes))
        with pytest.raises(fo.FourOpticsError, match=message):
            check_pairing(bench, masks, student)
        other = make_student(**SMALL)
        other.config = for_bench(other.config, bench.config)
        check_pairing(bench, masks, other)
    with pytest.warns(fo.SamplingWarning, match="incident_wavelength = 6.33e-07"):
        response(fo.FourF(bench_data({"light": {"wavelength": "600 nm"}})), masks)


def test_calibration_is_stored(small_bench, small_masks, tmp_path):
    student = make_student(**SMALL)
    images = torch.rand(20, 8, 8, generator=torch.Generator().manual_seed(0))
    optics = response(small_bench, small_masks)
    instrument = calibrate(small_bench, optics, student, images, None)
    instrument.save(tmp_path / "instrument.json")
    loaded = Instrument.load(tmp_path / "instrument.json", small_bench)
    assert torch.equal(loaded(optics(images)), instrument(optics(images)))
    with pytest.raises(fo.FourOpticsError, match="the bench has 'reference_pair'"):
        Instrument.load(tmp_path / "instrument.json", fo.FourF(bench_data(PAIR)))
    with pytest.raises(fo.FourOpticsError, match="not a calibration"):
        Instrument.load(tmp_path / "none.json", small_bench)


@pytest.mark.parametrize(
    ("coding", "readout"),
    [(coding, kind) for coding in ("amplitude", "intensity", "phase") for kind in READOUTS[:3]]
    + [("amplitude", "split"), ("intensity", "split")],
)
def test_calibrated_numbers_are_the_students(coding, readout, small_masks, small_halves):
    """2,000 photons a pixel and the error of so small a mask: 3 % of a response, 6 % of a difference of two powers."""
    bench = fo.FourF(bench_data(WAYS[readout] | {"input": {"coding": coding}, "camera": {"mean_photons": 2000}}))
    student = make_student(readout, coding=coding, **SMALL)
    images = some_images(300)
    optics = response(bench, small_halves if readout == "split" else small_masks)
    generator = torch.Generator().manual_seed(0)
    instrument = calibrate(bench, optics, student, images[:200], generator)
    detected = instrument(optics(images[200:]), generator)
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images[200:]))
    assert detected.shape == wanted.shape
    for k in range(4):
        pair = torch.stack([detected[:, k].flatten(), wanted[:, k].flatten()])
        assert float(torch.corrcoef(pair)[0, 1]) > 0.97
        slope = float(torch.cov(pair)[0, 1] / pair[1].var())
        assert slope == pytest.approx(1, abs=0.1)  # in the student's units
    frames = torch.stack(instrument.frames(optics(images[:200])))
    photons = bench.camera.photons_for(frames, bench.wavelength, instrument.exposure)
    assert float(photons.mean()) == pytest.approx(2000, rel=1e-4)


def test_the_reference_has_its_power(small_masks, tmp_path):
    """R^2 times the area of the camera is the power; four times the power, twice the numbers.

    To 1e-3: the numbers are small differences of frames in float32.
    """
    student = make_student("reference_pair", **SMALL)
    images = torch.rand(20, 8, 8, generator=torch.Generator().manual_seed(0))
    weak, strong = (
        fo.FourF(bench_data(PAIR | {"reference": {"power": power}, "camera": {"exposure": "1 us"}}))
        for power in ("1 uW", "4 uW")
    )
    optics = response(weak, small_masks)
    instrument = calibrate(weak, optics, student, images, None)
    height, width = weak.camera_grid.extent
    assert instrument.reference**2 * height * width == pytest.approx(1e-6, rel=1e-12)
    instrument.save(tmp_path / "instrument.json")
    later = Instrument.load(tmp_path / "instrument.json", strong)
    assert later.reference == pytest.approx(2 * instrument.reference, rel=1e-12)
    field = optics(images)
    torch.testing.assert_close(later.numbers(field, None), 2 * instrument.numbers(field, None), rtol=1e-3, atol=1e-3)
    d, (ty, tx) = weak.image_grid.spacing[0], small_masks.kernels.tile[0].tolist()
    frames = weak.frames(images, small_masks, onto=weak.image_grid.shifted(ty * d, tx * d))  # of the bench itself
    plus, minus = (
        weak.camera.expected(weak.camera.photons_for(frame, weak.wavelength, 1e-6)[:, 0]).flip((-2, -1))
        for frame in frames
    )
    torch.testing.assert_close(instrument.numbers(field)[:, 0, 0], (plus - minus) / 4, rtol=1e-3, atol=1e-3)
    automatic = calibrate(fo.FourF(bench_data(PAIR)), optics, student, images, None)
    assert automatic.reference == pytest.approx(float(field.abs().max()), rel=1e-6)


def test_the_reference_drifts_between_the_frames_of_an_image():
    """A drift d leaves ``(Re E + Re(E exp(-id))) / 2``; over a Gaussian of RMS s that is ``(1 + exp(-s^2/2)) / 2``.

    For real fields the mean of 400 images scatters by 1.1 %: the tolerance is four times that. Noise adds 1 % an image
    (1,000 photons, 256 pixels), which the correlation of the kernels sees against the 22 % of the drift.
    """
    bench = fo.FourF(bench_data(PAIR | {"reference": {"power": "auto", "phase_drift": "1 rad"}}))
    field = torch.ones(400, 4, 8, 8, dtype=torch.complex64) * torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None, None]
    exposure = bench.camera.exposure_for(torch.tensor(2.0), bench.wavelength)
    instrument = Instrument(bench, exposure, 1.0, torch.ones(1, 4), torch.zeros(4), ((0, 0),) * 4)
    still = instrument.numbers(field, None)
    drifted = (instrument.numbers(field, torch.Generator().manual_seed(0)) / still)[:, 0].mean(
        (-2, -1)
    )  # (image, kernel)
    assert float(drifted.mean()) == pytest.approx((1 + math.exp(-0.5)) / 2, abs=0.045)
    assert float(torch.corrcoef(drifted.T).min()) > 0.98
    calm = fo.FourF(bench_data(PAIR))
    seen = replace(instrument, bench=calm).numbers(field, torch.Generator().manual_seed(0)) / still
    assert float((seen.mean((-2, -1)) - 1).abs().max()) < 0.1  # noise alone


def test_what_no_student_learns_with_is_refused(small_masks):
    optics, images = response(fo.FourF(bench_data(PAIR)), small_masks), some_images(2)
    cases: list[tuple[str, dict[str, Any]]] = [
        ("reference.tilt = 0 rad and 1 mrad", PAIR | {"reference": {"tilt": ["0 rad", "1 mrad"]}}),
        ("light.spectrum", {"light": {"spectrum": [["632 nm", 1], ["634 nm", 1]]}}),
        ("readout.kind = 'split' with incoherent light", {"readout": {"kind": "split"}}),
        ("readout.kind = 'intensity' with coherent light", {"light": {"coherence": "incoherent"}}),
    ]
    for message, changes in cases:
        bench = fo.FourF(bench_data(changes))
        with pytest.raises(fo.FourOpticsError, match=message):
            calibrate(bench, optics, make_student(**SMALL), images, None)
        with pytest.raises(fo.FourOpticsError, match=message):  # before an hour of training
            for_bench(StudentConfig(**SMALL), bench.config)
    phases = StudentConfig(**SMALL, complex_kernels=True)
    with pytest.raises(fo.ConfigError, match="which has no phase"):
        for_bench(phases, fo.FourF(bench_data(WAYS["split"])).config)
    turned = fo.FourF(bench_data(WAYS["split"] | {"poses": {"panel": {"rotation": "1 mrad"}}}))
    with pytest.raises(fo.FourOpticsError, match="shift-invariant bench: put its parts in place"):
        response(turned, small_masks)


def test_predictions_depend_on_the_noise_seed_only(small_bench, small_masks):
    student = make_student(**SMALL)
    images = torch.rand(60, 8, 8, generator=torch.Generator().manual_seed(0))
    optics = response(small_bench, small_masks)
    instrument = calibrate(small_bench, optics, student, images, None)

    def run(seed):
        return predict(student, optics, instrument, images, torch.Generator().manual_seed(seed), batch=25)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_with_panel_changes_the_panel_only(small_bench):
    other = with_panel(small_bench, fill_factor=1.0)
    assert other.config.panel.fill_factor == 1.0
    assert other.config.model_copy(update={"panel": small_bench.config.panel}) == small_bench.config
    with pytest.raises(fo.ConfigError, match="fil_factor"):
        with_panel(small_bench, fil_factor=1.0)


# ---- all readouts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", READOUTS)
def test_frames_are_those_of_the_bench(kind, small_masks, small_halves):
    """Window by window against `FourF.frames`, in float64; 1e-4 for split, whose mean over a pixel is a quadrature."""
    way = WAYS[kind] | ({"reference": {"power": "1 uW"}} if "reference" in WAYS[kind] else {})
    bench, masks = fo.FourF(bench_data(way)), small_halves if kind == "split" else small_masks
    images = some_images(2).double()
    optics = response(bench, masks, torch.complex128)
    none = torch.zeros(0)
    seen = Instrument(bench, 1.0, bench.reference or 0.0, none, none, optics.tiles).frames(optics(images))
    assert len(seen) == fo.readout.FRAMES[kind]
    d = bench.image_grid.spacing[0]
    for k, (ty, tx) in enumerate(optics.tiles[:4]):
        whole = bench.frames(images, masks, onto=bench.image_grid.shifted(ty * d, tx * d))
        for ours, frame in zip(seen, whole, strict=True):
            expected = frame[:, 0].flip((-2, -1))
            assert float((ours[:, k] - expected).abs().max() / expected.max()) < (1e-4 if kind == "split" else 1e-9)


@pytest.mark.parametrize("kind", READOUTS)
def test_linear_readouts_are_linear_through_the_camera(kind):
    """In the mean of many frames, f(ax + by) + (a + b - 1) f(0) = a f(x) + b f(y); the intensity readout is not so.

    x and y are fields, for split powers. 0.9 us of 1 W/m^2 leave 1/4 of the well: nothing is cut. To rounding, 1e-9 DN.
    """
    bench = fo.FourF(bench_data(WAYS[kind]))
    exposure = 0.2 * bench.camera.exposure_for(torch.tensor(1.0), bench.wavelength)
    instrument = Instrument(bench, exposure, 2.0, torch.ones(1, 2), torch.zeros(2), ((0, 0),) * 2)
    x, y = torch.randn(2, 3, 2, 8, 8, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    if kind == "split":
        x, y = x.abs(), y.abs()
    a, b = 0.3, 0.9
    left = instrument.numbers(a * x + b * y) + (a + b - 1) * instrument.numbers(0 * x)
    right = a * instrument.numbers(x) + b * instrument.numbers(y)
    assert left.shape[1] == {"four_step": 2, "split": 2}.get(kind, 1)
    assert (float((left - right).abs().max()) < 1e-9) == (kind != "intensity")


@pytest.mark.parametrize("kind", READOUTS)
def test_a_trained_student_keeps_its_predictions_on_ideal_optics(kind):
    """Sixty steps make one that is right in 9 of 10 images of bars; the beam's 0.5 % may turn a doubtful one of 300."""
    bench = fo.FourF(bench_data(WAYS[kind] | {"input": {"coding": "intensity"}}))
    student = make_student(**SMALL, classes=2).train()
    student = Student(for_bench(student.config, bench.config))
    images, labels = some_images(300) * 0.6, torch.arange(300) % 2
    for i, image in enumerate(images):
        at = i % 7
        (image[at] if labels[i] else image[:, at]).add_(0.4)
    optimiser = torch.optim.Adam(student.parameters(), lr=0.03)
    for _ in range(60):
        optimiser.zero_grad()
        functional.cross_entropy(student(images), labels).backward()
        optimiser.step()
    student.eval()
    ideal = ideal_amplitude(bench, student)
    with torch.no_grad():
        digital, optical = student(images), student.classify(student.detect(ideal(images)))
    assert float((digital.argmax(1) == labels).float().mean()) > 0.9
    assert int((digital.argmax(1) != optical.argmax(1)).sum()) <= 3


def test_complex_kernels_on_ideal_optics():
    """To 5e-3 of the largest, as real ones; the compiler, and with it the panel, takes real ones only."""
    bench = fo.FourF(bench_data(WAYS["four_step"]))
    student = make_student("four_step", **SMALL, complex_kernels=True)
    images = some_images(5)
    with torch.no_grad():
        wanted = student.amplitude(images)
    found = ideal_amplitude(bench, student)(images)
    assert found.is_complex()
    torch.testing.assert_close(found, wanted, atol=5e-3 * float(wanted.abs().max()), rtol=0)
    with pytest.raises(fo.GeometryError, match="give real"):
        from_kernels(student.collapse(), bench)


def test_four_steps_give_both_parts_of_complex_kernels():
    """A field that is the student's, with a phase that the reference does not share: the fit finds the phase."""
    bench = fo.FourF(bench_data(WAYS["four_step"] | {"camera": {"mean_photons": 2000}}))
    student = make_student("four_step", **SMALL, complex_kernels=True)
    images = some_images(40)

    class Turned:
        tiles = ((0, 0),) * 4

        def __call__(self, part):
            with torch.no_grad():
                return 3 * torch.exp(torch.tensor(0.7j)) * student.amplitude(part)

    optics: Any = Turned()
    instrument = calibrate(bench, optics, student, images[:20], None)
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images[20:]))
    found = instrument(optics(images[20:]))
    assert found.shape == (20, 8, 8, 8)
    torch.testing.assert_close(found, wanted, atol=1e-3 * float(wanted.abs().max()), rtol=0)  # float32 frames


@pytest.mark.parametrize("complex_kernels", [False, True])
def test_channels_add_their_fields(complex_kernels):
    """Against `FourF` with masks (M, C, fy, fx): one factor for each output, and its equal to float32."""
    bench = fo.FourF(bench_data(WAYS["four_step"]))
    student = make_student("four_step", **SMALL, channels=3, complex_kernels=complex_kernels)
    images = some_images(4, 3, 8, 8)
    found = ideal_amplitude(bench, student)(images)
    with torch.no_grad():
        wanted = student.amplitude(images)
    torch.testing.assert_close(found, wanted, atol=5e-3 * float(wanted.abs().max()), rtol=0)
    exact = transfer(student.collapse(), bench)
    masks = exact / exact.abs().amax((1, 2, 3), keepdim=True)
    whole = bench(images, masks, onto=bench.image_grid).data.flip((-2, -1))
    whole = whole if complex_kernels else whole.real
    factor = (found * whole.conj()).sum((0, 2, 3)) / whole.abs().square().sum((0, 2, 3))
    torch.testing.assert_close(whole * factor[:, None, None], found, atol=1e-5 * float(found.abs().max()), rtol=0)
    one = make_student("split", **SMALL, channels=3)
    with pytest.raises(fo.FourOpticsError, match="takes one display"):
        ideal_amplitude(fo.FourF(bench_data(WAYS["split"])), one)


def test_each_window_has_its_own_pixels_of_the_sensor(small_masks):
    """The mean frame of the whole sensor, pattern and all, holds the numbers of each window at its pixels."""
    uneven = {"camera": {"prnu": 0.1, "dsnu": 20, "mean_photons": 300}}
    bench, student, images = fo.FourF(bench_data(uneven)), make_student(**SMALL), some_images(20)
    optics = response(bench, small_masks)
    instrument = calibrate(bench, optics, student, images, None)
    frame = bench.camera.expected(
        bench.camera.photons_for(bench.intensity(images[:3], small_masks), bench.wavelength, instrument.exposure),
        instrument.exposure,
    )[:, 0]
    numbers = instrument.numbers(optics(images[:3]))[:, 0]
    for k, tile in enumerate(optics.tiles):
        rows, columns = instrument.pixels(tile)
        torch.testing.assert_close(numbers[:, k], frame[:, rows][:, :, columns], rtol=1e-3, atol=1e-2)
    noisy = instrument.numbers(optics(images), torch.Generator().manual_seed(0))[:, 0]
    assert float((noisy - instrument.numbers(optics(images))[:, 0]).mean().abs()) < 1  # 5,120 pixels of 10 DN
    even = replace(instrument, bench=fo.FourF(bench_data()))
    assert float((even.numbers(optics(images[:3]))[:, 0] - numbers).abs().max()) > 5  # the pattern is no small thing


def test_every_second_pixel_is_read(small_bench, small_masks):
    student, whole, images = make_student(**SMALL, read=2), make_student(**SMALL), some_images(60)
    optics = response(small_bench, small_masks)
    instrument, other = (calibrate(small_bench, optics, one, images, None) for one in (student, whole))
    seen, all_of_it = instrument.numbers(optics(images)), other.numbers(optics(images))
    torch.testing.assert_close(
        seen * other.exposure, student.sampled(all_of_it) * instrument.exposure, rtol=0.3, atol=0
    )
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images))
    found = instrument(optics(images))
    assert float(torch.corrcoef(torch.stack([found.flatten(), wanted.flatten()]))[0, 1]) > 0.98
    assert instrument.pixels((0, 0))[0] == other.pixels((0, 0))[0][::2]
    assert predict(student, optics, instrument, images).shape == (60, 10)


def test_halves_belong_to_the_readout_split(small_bench, small_masks, small_halves):
    split = fo.FourF(bench_data(WAYS["split"]))
    student = make_student("split", **SMALL)
    check_pairing(split, small_halves, student)
    with pytest.raises(fo.FourOpticsError, match="the masks hold whole kernels"):
        check_pairing(split, small_masks, student)
    with pytest.raises(fo.FourOpticsError, match="the masks hold halves of kernels"):
        check_pairing(small_bench, small_halves, make_student(**SMALL))


def test_what_a_bench_cannot_hold_is_refused(small_bench, small_masks):
    pooled = make_student(**(SMALL | {"size": 16, "depth": 2}), bands=(9, 7))
    with pytest.raises(fo.FourOpticsError, match="spectral pooling merges into masks"):
        ideal_amplitude(small_bench, pooled)
    with pytest.raises(fo.FourOpticsError, match="3 input channels"):
        check_pairing(small_bench, small_masks, make_student(**SMALL, channels=3))


def test_a_fit_of_numbers_that_never_change():
    """Two numbers a pixel, the second constant: it has no gain, and the offset takes no notice of it."""
    x = torch.randn(5, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    numbers = torch.cat([x, torch.full_like(x, 100.0)], 1)
    gain, offset = fitted(numbers, 2 * x[:, 0] + 1)
    torch.testing.assert_close(gain, torch.tensor([[2.0] * 3, [0.0] * 3]), atol=1e-6, rtol=0)
    torch.testing.assert_close(offset, torch.ones(3), atol=1e-5, rtol=0)
