"""A whole layer in one frame of the example bench: error, light, crosstalk, and what file and network keep."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import bench_data
from small_students import SMALL, WAYS, make_student, some_images

import fouroptics as fo
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.measure import with_report
from models.optical import calibrate, predict, response


def bench(pixel: str, **panel) -> fo.FourF:
    """500 x 500 pixels of 8 bit in the band, fill factor 0.9, the pixels' envelope included."""
    data = {"input": {"pixel": pixel}, "panel": panel}
    return fo.FourF(bench_data(data, small=False))


@pytest.mark.parametrize(
    ("pixel", "count", "light", "error"),
    [("point", 16, 0.2, 0.01), ("square", 16, 0.05, 0.01), ("point", 36, 0.15, 0.015)],
)
def test_signed_kernels_of_9_x_9_in_one_mask(pixel, count, light, error):
    """Measured: 0.28, 0.57 and 0.65 %, which is what 8 bit leave; the limits are those of a bench that one builds."""
    kernels = torch.randn(count, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    place = bench(pixel)
    masks = from_kernels(kernels, place, light=light)
    table = masks.kernels
    assert len(masks) == 1
    assert float(table.error.max()) <= error
    assert float(table.efficiency.sum()) >= 0.995 * light
    assert masks.report().total["crosstalk_db"] <= 20 * np.log10(error)  # -40 dB and, for 1.5 %, -36 dB
    turned = [with_report(masks, bench(pixel, dead_phase=f"{phase} rad")).kernels for phase in (1.5, 3.0, 4.5)]
    for seen in turned:  # square pixels have a cross of 1/D^2 about the axis, of which the windows hold nearly nothing
        np.testing.assert_allclose(seen.error, table.error, rtol=1e-3 if pixel == "point" else 0.01)


@pytest.mark.parametrize("kind", ["intensity", "four_step"])
def test_the_file_gives_the_network_the_same_digits(kind, tmp_path: Path):
    """Kernels, masks, file, masks again, bench with camera noise: every logit is the same, to the last bit."""
    place, student = fo.FourF(bench_data(WAYS[kind])), make_student(kind, **SMALL)
    masks = from_kernels(student.collapse(), place, light=0.05)
    fo.bundle.save(tmp_path / "masks.h5", masks)
    loaded, images = fo.bundle.load(tmp_path / "masks.h5"), some_images(12)
    assert loaded == masks
    seen = []
    for each in (masks, loaded):
        optics = response(place, each)
        assert torch.equal(optics(images), response(place, masks)(images))
        instrument = calibrate(place, optics, student, images, torch.Generator().manual_seed(0))
        seen.append(predict(student, optics, instrument, images, torch.Generator().manual_seed(1)))
    assert torch.equal(*seen)
