"""The exact reduction against the bench itself, and the fit of the camera's numbers."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from conftest import bench_data
from torch.nn import functional

import fouroptics as fo
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.layout import sequential
from models.data import fashion_subset
from models.optical import (
    Instrument,
    WholeBench,
    calibrate,
    check_pairing,
    correlate,
    ideal_amplitude,
    predict,
    response,
    with_panel,
)
from models.student import Student, StudentConfig


def make_student(readout: Any = "intensity", **fields: Any) -> Student:
    torch.manual_seed(0)
    return Student(StudentConfig(readout=readout, **fields)).eval()


SMALL: dict[str, Any] = {"size": 8, "depth": 1, "outputs": 4, "pool": 2, "hidden": 8}


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


def test_the_whole_bench_is_its_reduction(small_bench):
    """The long way, which the wave model takes, against the short one, in the model that has both."""
    masks = from_kernels(torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(0)), small_bench, light=0.05)
    images = torch.rand(2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    reduced, whole = response(small_bench, masks, torch.complex128)(images), WholeBench(small_bench, masks)(images)
    assert float((reduced - whole).abs().max() / whole.abs().max()) < 1e-10
    wave = fo.FourF(bench_data({"model": "wave"}))
    assert response(wave, masks)(images).shape == (2, 3, 8, 8)


def test_rows_of_the_table_may_stand_in_any_order(small_bench):
    masks = from_kernels(torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(0)), small_bench, light=0.05)
    order = [2, 0, 1]
    columns = {item.name: getattr(masks.kernels, item.name)[order] for item in fields(masks.kernels)}
    turned = replace(masks, kernels=type(masks.kernels)(**columns))
    images = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(response(small_bench, turned)(images), response(small_bench, masks)(images))


def test_what_does_not_belong_together_is_refused(small_bench):
    student = make_student(**SMALL)
    masks = from_kernels(student.collapse(), small_bench, light=0.05)
    check_pairing(small_bench, masks, student)
    torch.manual_seed(1)
    with pytest.raises(fo.FourOpticsError, match="of its run"):
        check_pairing(small_bench, masks, Student(StudentConfig(**SMALL)))
    for section, field, value in (("readout", "kind", "reference_pair"), ("input", "coding", "phase")):
        with pytest.raises(fo.FourOpticsError, match=value):
            check_pairing(fo.FourF(bench_data({section: {field: value}})), masks, student)
    with pytest.warns(fo.SamplingWarning, match="incident_wavelength = 6.33e-07"):
        response(fo.FourF(bench_data({"light": {"wavelength": "600 nm"}})), masks)


def test_calibration_is_stored(small_bench, tmp_path):
    student = make_student(**SMALL)
    images = torch.rand(20, 8, 8, generator=torch.Generator().manual_seed(0))
    optics = response(small_bench, from_kernels(student.collapse(), small_bench, light=0.05))
    instrument = calibrate(small_bench, optics, student, images, None)
    instrument.save(tmp_path / "instrument.json")
    loaded = Instrument.load(tmp_path / "instrument.json", small_bench)
    assert torch.equal(loaded(optics(images)), instrument(optics(images)))
    with pytest.raises(fo.FourOpticsError, match="reference_pair"):
        Instrument.load(tmp_path / "instrument.json", fo.FourF(bench_data({"readout": {"kind": "reference_pair"}})))
    with pytest.raises(fo.FourOpticsError, match="not a calibration"):
        Instrument.load(tmp_path / "none.json", small_bench)


@pytest.mark.parametrize("readout", ["intensity", "reference_pair"])
def test_calibrated_numbers_are_the_students(readout):
    bench = fo.FourF(bench_data({"readout": {"kind": readout}, "camera": {"mean_photons": 2000}}))
    student = make_student(readout, **SMALL)
    images = torch.rand(300, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = from_kernels(student.collapse(), bench, light=0.05)
    optics = response(bench, masks)
    generator = torch.Generator().manual_seed(0)
    instrument = calibrate(bench, optics, student, images[:200], generator)
    detected = instrument(optics(images[200:]), generator)
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images[200:]))
    for k in range(4):
        pair = torch.stack([detected[:, k].flatten(), wanted[:, k].flatten()])
        assert (
            float(torch.corrcoef(pair)[0, 1]) > 0.97
        )  # 2,000 photons a pixel, and 3 % response error of so small a mask
        slope = float(torch.cov(pair)[0, 1] / pair[1].var())
        assert slope == pytest.approx(1, abs=0.1)  # in the student's units
    photons = bench.camera.photons_for(
        fo.readout.intensity(optics(images[:200])), bench.wavelength, instrument.exposure
    )
    if readout == "intensity":
        assert float(photons.mean()) == pytest.approx(2000, rel=1e-4)


def test_predictions_depend_on_the_noise_seed_only(small_bench):
    student = make_student(**SMALL)
    images = torch.rand(60, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = from_kernels(student.collapse(), small_bench, light=0.05)
    optics = response(small_bench, masks)
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
