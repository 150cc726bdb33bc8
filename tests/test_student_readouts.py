"""Each readout of a student on the bench: frames, linearity, ideal optics, channels and the pixels of the sensor."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import bench_data
from small_students import SMALL, WAYS, coherent_masks, incoherent_masks, make_student, some_images
from torch.nn import functional

import fouroptics as fo
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.targets import transfer
from models.optical import Instrument, calibrate, fitted, ideal_amplitude, predict, response
from models.pairing import check_pairing, for_bench
from models.student import READOUTS, Student


@pytest.fixture(scope="module")
def small_masks():
    return coherent_masks()


@pytest.fixture(scope="module")
def small_halves():
    return incoherent_masks()


@pytest.mark.parametrize("kind", READOUTS)
def test_frames_are_those_of_the_bench(kind, small_masks, small_halves):
    """Window by window against `FourF.frames`, in float64, 1e-5: the bench takes its panel's pixels at other points.

    1e-4 for split, where the mean over a pixel of the display is a sum over points, too.
    """
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
            assert float((ours[:, k] - expected).abs().max() / expected.max()) < (1e-4 if kind == "split" else 1e-5)


@pytest.mark.parametrize("kind", READOUTS)
def test_linear_readouts_are_linear_through_the_camera(kind):
    """In the mean of many frames, f(ax + by) + (a + b - 1) f(0) = a f(x) + b f(y); the intensity readout is not so.

    x and y are fields, for split powers, at a fifth of the exposure for `mean_photons`: nothing is cut. To 1e-9 DN.
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
    """To 5e-3 of the largest, as real ones; the panel comes to within its levels."""
    bench = fo.FourF(bench_data(WAYS["four_step"]))
    student = make_student("four_step", **SMALL, complex_kernels=True)
    images = some_images(5)
    with torch.no_grad():
        wanted = student.amplitude(images)
    found = ideal_amplitude(bench, student)(images)
    assert found.is_complex()
    torch.testing.assert_close(found, wanted, atol=5e-3 * float(wanted.abs().max()), rtol=0)
    assert from_kernels(student.collapse(), bench, light=0.05).kernels.error.max() < 0.1


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
    rectified = make_student(**pooled.config.model_dump(exclude={"readout", "rectified"}), rectified=True)
    cases = [(pooled, "spectral pooling merges into masks"), (rectified, "rectified = true: .* no light does")]
    for student, message in cases:
        with pytest.raises(fo.FourOpticsError, match=message):
            ideal_amplitude(small_bench, student)
        with pytest.raises(fo.FourOpticsError, match=message):
            check_pairing(small_bench, small_masks, student)
        with pytest.raises(fo.FourOpticsError, match=message):
            calibrate(small_bench, response(small_bench, small_masks), student, some_images(2, 16, 16), None)
        with pytest.raises(fo.FourOpticsError, match=message):  # before the training
            for_bench(student.config, small_bench.config)
    with pytest.raises(fo.FourOpticsError, match="3 input channels"):
        check_pairing(small_bench, small_masks, make_student(**SMALL, channels=3))


def test_a_fit_of_numbers_that_never_change():
    """Two numbers a pixel, the second constant: it has no gain, and the offset takes no notice of it."""
    x = torch.randn(5, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    numbers = torch.cat([x, torch.full_like(x, 100.0)], 1)
    gain, offset = fitted(numbers, 2 * x[:, 0] + 1)
    torch.testing.assert_close(gain, torch.tensor([[2.0] * 3, [0.0] * 3]), atol=1e-6, rtol=0)
    torch.testing.assert_close(offset, torch.ones(3), atol=1e-5, rtol=0)
