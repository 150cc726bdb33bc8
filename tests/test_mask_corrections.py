"""Phases added to masks: where they move light and windows, and that they undo what is wrong with a bench."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import bench_data
from test_maskset import mask_set

import fouroptics as fo
from fouroptics.devices.panel import mask_levels
from fouroptics.errors import BundleError
from fouroptics.masks.corrections import corrected
from fouroptics.masks.measure import with_report
from fouroptics.masks.phases import from_phases, wrapped
from fouroptics.units import mm, um

KERNELS = torch.stack([torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]), torch.tensor([[1.0, 0, -1]] * 3)])[:, None]


def added(masks: fo.masks.MaskSet, after: fo.masks.MaskSet) -> np.ndarray:
    """Phase (M, H, W) in rad that was added, in (-pi, pi]."""
    return np.angle(np.exp(1j * (after.phase.astype(float) - masks.phase)))


@pytest.fixture(scope="module")
def small_masks(small_bench: fo.FourF) -> fo.masks.MaskSet:
    return fo.masks.from_kernels(KERNELS, small_bench, light=0.05)


# ---- phases as masks ---------------------------------------------------------------------------------------------


def test_phases_become_masks_with_the_levels_of_the_panel():
    slm = fo.SLMConfig(shape=(12, 16), bits=10)
    phase = np.random.default_rng(0).uniform(-20, 20, (3, 12, 16))
    masks = from_phases(phase, slm, provenance={"file": "a.h5"})
    assert np.abs(np.exp(1j * masks.phase) - np.exp(1j * phase)).max() < 1e-6  # float32
    assert np.array_equal(masks.gray, mask_levels(slm, phase.astype(np.float32)))
    assert (masks.encoding, masks.kernels.mask.tolist()) == ("imported", [0, 1, 2])
    assert masks.kernels.weight.shape == (3, 1, 1)


def test_wrapping_never_reaches_a_whole_turn():
    phase = np.array([-1e-12, 0, 2 * np.pi, 4 * np.pi - 1e-9, np.nextafter(np.float32(2 * np.pi), 0), -1])
    found = wrapped(phase)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() < 2 * np.pi
    assert np.abs(np.exp(1j * found) - np.exp(1j * phase)).max() < 1e-6  # float32


@pytest.mark.parametrize(
    ("phase", "slm", "says"),
    [
        (np.zeros((2, 4, 4)), {"shape": (4, 5)}, r"phase \(2, 4, 4\)"),
        (np.zeros((4, 5)), {"shape": (4, 5)}, r"phase \(4, 5\)"),
        (np.zeros((0, 4, 5)), {"shape": (4, 5)}, r"phase \(0, 4, 5\)"),
        (np.full((1, 4, 5), np.nan), {"shape": (4, 5)}, "mask 0 is not finite"),
        (np.zeros((1, 4, 5), complex), {"shape": (4, 5)}, "complex"),
        (np.zeros((1, 4, 5)), {"shape": (4, 5), "modulation": "binary", "bits": 1}, "shows no phase"),
    ],
)
def test_what_is_no_phase_of_the_panel_is_an_error(phase, slm, says):
    with pytest.raises(BundleError, match=says):
        from_phases(phase, fo.SLMConfig(**slm))


# ---- blaze -------------------------------------------------------------------------------------------------------


def test_a_blaze_moves_the_windows_and_the_table_says_where(small_bench, small_masks, tmp_path: Path):
    """By 4 image pixels of a band of 64, away from the axis: the response is at the place that the table now names.

    The levels are rounded anew, each by itself: 0.9 %, where the compiler's, which make up for each other, leave 0.4 %.
    """
    after = corrected(small_masks, blaze=(-4 / 64, -4 / 64))
    assert np.array_equal(after.kernels.tile - small_masks.kernels.tile, [[-4, -4]] * 2)
    assert np.allclose(after.kernels.carrier, after.kernels.tile / 64)
    assert np.array_equal(after.gray, mask_levels(after.slm, after.phase))
    before, moved = (with_report(masks, small_bench).kernels for masks in (small_masks, after))
    assert moved.error.max() < 0.012
    sent = np.array([[small_bench.slm.envelope(y, x) for y, x in table.carrier] for table in (moved, before)])
    share = sent[0] / sent[1]  # what the size of a panel pixel leaves at either place of the window
    assert np.allclose(moved.efficiency, before.efficiency * share, rtol=0.01)  # of its centre, not of all taps
    fo.bundle.save(tmp_path / "moved.h5", after)
    assert fo.bundle.load(tmp_path / "moved.h5") == after


def test_a_blaze_must_move_windows_by_whole_pixels_and_not_beyond_the_first_order(small_masks):
    with pytest.raises(BundleError, match=r"by 0, 3\.2 image pixels, .*take \(0, 0\.046875\)"):
        corrected(small_masks, blaze=(0, 0.05))
    with pytest.raises(BundleError, match="beyond the first order"):
        corrected(small_masks, blaze=(0, 40 / 64))
    with pytest.raises(BundleError, match="two finite numbers"):
        corrected(small_masks, blaze=(0, np.inf))


def test_a_blaze_of_masks_without_a_bench():
    slm = fo.SLMConfig(shape=(32, 33))
    masks = from_phases(np.random.default_rng(0).uniform(0, 6, (2, 32, 33)), slm)
    after = corrected(masks, blaze=(0.1234, -0.2))
    y, x = np.arange(32)[:, None] - 16, np.arange(33) - 16
    wanted = np.exp(2j * np.pi * (0.1234 * y - 0.2 * x))
    assert np.abs(np.exp(1j * added(masks, after)) - wanted).max() < 2e-6  # float32, twice
    assert after.kernels.carrier.tolist() == [[0.1234, -0.2]] * 2
    assert after.kernels.tile.tolist() == [[0, 0]] * 2


# ---- Zernike terms and maps --------------------------------------------------------------------------------------


def test_zernike_terms_are_those_of_the_elements(small_masks):
    terms, radius, center = {4: 1.5, 7: -0.5}, 0.3 * mm, (0.05 * mm, -0.1 * mm)
    after = corrected(small_masks, zernike=terms, radius=radius, center=center)
    plane = fo.plane_wave(fo.Grid(small_masks.slm.shape, 8 * um), 633e-9, dtype=torch.complex128)
    wanted = fo.aberrate(plane, terms, radius, center).data / plane.data
    assert np.abs(np.exp(1j * added(small_masks, after)) - wanted.numpy()).max() < 2e-6  # float32, twice
    default = corrected(small_masks, zernike={4: 1.0})
    half = corrected(small_masks, zernike={4: 1.0}, radius=48 * 8 * um)  # of 96 x 128 pixels
    assert np.array_equal(default.phase, half.phase)


def test_corrections_of_the_bench_restore_the_response(small_masks, tmp_path: Path):
    """A panel that is not flat (1.3 rad rms) ruins the response; the opposite phase brings it back to the rounding."""
    y, x = (np.linspace(-1, 1, n) for n in (96, 128))
    flatness = 5 * y[:, None] ** 2 - 4 * x**2 + 3 * x * y[:, None]
    np.save(tmp_path / "flatness.npy", flatness)
    bench = fo.FourF(bench_data({"panel": {"flatness": str(tmp_path / "flatness.npy")}}))
    flat, bent, mended = (
        with_report(masks, bench).kernels.error.max()
        for bench, masks in (
            (fo.FourF(bench_data()), small_masks),
            (bench, small_masks),
            (bench, corrected(small_masks, phase=-flatness)),
        )
    )
    assert bent > 0.5
    assert mended < flat + 0.01  # the levels are rounded anew, each by itself


PLACE = {"input": {"shape": [8, 8]}, "panel": {"shape": [512, 512]}, "camera": {"shape": [1800, 1800]}}


@pytest.fixture(scope="module")
def fine_masks() -> fo.masks.MaskSet:
    quick = partial(fo.encoding.phase_only, steps=100, rounding=0)
    return fo.masks.from_kernels(KERNELS, fo.FourF(bench_data(PLACE, small=False)), light=0.1, encoding=quick)


def overlap(bench: fo.FourF, masks: fo.masks.MaskSet, row: int) -> float:
    """Of the field in the window of a kernel with its digital result, for one random image."""
    image = torch.rand(8, 8, generator=torch.Generator().manual_seed(1))
    y, x = (float(part) * bench.image_grid.spacing[0] for part in masks.kernels.tile[row])
    seen = bench(image, masks, onto=bench.image_grid.shifted(y, x)).data[0].flip((-2, -1))
    wanted = torch.nn.functional.conv2d(image[None, None], KERNELS[row][None], padding=1)[0, 0]
    return float((seen.conj() * wanted).sum().abs() / seen.norm() / wanted.norm())


@pytest.mark.parametrize("name", ["lens1", "lens2"])
def test_zernike_terms_undo_a_lens(name, fine_masks):
    """Image 0.25 mm, band 4 mm; 4 and 5 rad of Z4 and Z6 over lens 1 (12 mm), or 16 and 20 rad over lens 2 (24 mm).

    Neither lens stands in the Fourier plane. Light of the pixel at s that passes the panel at X meets lens 1 at X + s,
    and lens 2, on its way to the place t of the camera, at X + t. So the phase of lens 1 lies on the panel up to the
    size of the image, the same for all windows; that of lens 2 lies there about -t, for each window elsewhere. What is
    left, 0.995, is the size of the image.
    """
    radius, terms = (6 * mm, {4: 4.0, 6: 5.0}) if name == "lens1" else (12 * mm, {4: 16.0, 6: 20.0})
    lens = {"diameter": f"{2e3 * radius} mm", "aberrations": {str(j): f"{a} rad" for j, a in terms.items()}}
    bench, back = fo.FourF(bench_data(PLACE | {name: lens, "model": "wave"}, small=False)), {4: -terms[4], 6: -terms[6]}
    assert overlap(bench, fine_masks, 0) < 0.8
    for row, (y, x) in enumerate(fine_masks.kernels.tile):
        center = (0.0, 0.0) if name == "lens1" else (-y * bench.config.input.pitch, -x * bench.config.input.pitch)
        assert overlap(bench, corrected(fine_masks, zernike=back, radius=radius, center=center), row) > 0.99
    if name == "lens2":
        assert overlap(bench, corrected(fine_masks, zernike=back, radius=radius), 0) < 0.98


# ---- what is kept, and what is refused ---------------------------------------------------------------------------


def test_corrections_add_up_in_the_provenance():
    masks = mask_set()
    first = corrected(masks, phase=np.ones((48, 64)))
    again = corrected(first, zernike={4: 0.25}, radius=mm)
    assert [text.split()[0] for text in again.provenance["corrections"]] == ["phase", "Zernike"]
    assert "4: 0.25 rad over a radius of 0.001 m" in again.provenance["corrections"][1]
    assert again.provenance["seed"] == masks.provenance["seed"]
    assert again.kernels == masks.kernels
    assert corrected(masks) is masks


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"phase": np.ones((48, 63))}, BundleError, r"phase \(48, 63\)"),
        ({"phase": np.full((48, 64), np.inf)}, BundleError, "finite"),
        ({"zernike": {0: 1.0}}, fo.GeometryError, "Noll index j = 0"),
        ({"zernike": {4: 1.0}, "radius": 0.0}, fo.GeometryError, "radius"),
    ],
)
def test_a_correction_that_cannot_be_is_an_error(change, error, says):
    with pytest.raises(error, match=says):
        corrected(mask_set(), **change)


def test_steep_terms_warn():
    with pytest.warns(fo.SamplingWarning, match="aliased"):
        corrected(mask_set(), zernike={4: 100.0})
