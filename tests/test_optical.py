"""The exact reduction against the bench itself, and the fit of the camera's numbers."""

from typing import Any

import pytest
import torch
from conftest import bench_data
from torch.nn import functional

import fouroptics as fo
from fouroptics.bench.display import illumination
from fouroptics.masks.compiler import from_kernels, sequential
from models.data import fashion_subset
from models.optical import calibrate, correlate, ideal_response, predict, response, with_panel
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


def test_ideal_optics_are_the_student(small_bench):
    student = make_student(**SMALL)
    images = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0))
    optics, scale = ideal_response(small_bench, student)
    beam = illumination(small_bench.config).float()
    field = optics(images).real * -scale.float()[:, None, None]
    with torch.no_grad():
        wanted = student.amplitude(images * beam)
    torch.testing.assert_close(field, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=0)
    assert (scale >= student.collapse().square().sum((1, 2, 3)).sqrt()).all()  # passive: |H| <= 1 leaves at most this


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
        assert float(pair[0].mean() / pair[1].mean()) == pytest.approx(1, abs=0.1) or readout == "reference_pair"
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
