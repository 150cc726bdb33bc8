"""The exact reduction against the bench itself, and the fit of the camera's numbers."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import bench_data
from small_students import PAIR, SMALL, WAYS, coherent_masks, incoherent_masks, make_student, some_images
from torch.nn import functional

import fouroptics as fo
from fouroptics.bench.response import correlate
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.layout import sequential
from models.data import fashion_subset
from models.optical import Instrument, WholeBench, calibrate, ideal_amplitude, predict, response
from models.pairing import check_pairing, for_bench, with_panel, with_rows
from models.student import READOUTS, Student, StudentConfig


@pytest.fixture(scope="module")
def small_masks():
    return coherent_masks()


@pytest.fixture(scope="module")
def small_halves():
    return incoherent_masks()


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
    assert float((reduced - whole).abs().max() / whole.abs().max()) < 1e-5  # as `SLM.order_for`: points of a pixel


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
    assert float((reduced - whole).abs().max() / whole.abs().max()) < 1e-5  # as `SLM.order_for`: points of a pixel
    for changes in ({"model": "wave"}, {"poses": {"panel": {"rotation": "1 mrad"}}}):
        other = response(fo.FourF(bench_data(changes)), masks)
        assert isinstance(other, WholeBench)
        assert other(images).shape == (2, 3, 8, 8)


def test_rows_of_the_table_may_stand_in_any_order(small_bench):
    masks = from_kernels(torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(0)), small_bench, light=0.05)
    turned = with_rows(masks, [2, 0, 1])
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
