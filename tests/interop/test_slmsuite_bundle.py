"""A mask file at slmsuite: uploaded in one line, it sends the stored levels and gives the response predicted here.

slmsuite's simulated SLM and camera are the judge. Their pixels have no gaps and their far field is one FFT of the
panel, so the bench of these tests has fill factor 1 and one band of the input on the whole panel.
"""

import logging
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.devices.panel import mask_levels
from fouroptics.masks import export
from fouroptics.masks.imported import from_slmsuite
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.phases import from_phases

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    slms = pytest.importorskip("slmsuite.hardware.slms.simulated", exc_type=ImportError)
    cameras = pytest.importorskip("slmsuite.hardware.cameras.simulated", exc_type=ImportError)
    files = pytest.importorskip("slmsuite.misc.files", exc_type=ImportError)

N, BAND, F, WAVELENGTH = 8, 128, 0.2, 633e-9
PITCH = WAVELENGTH * F / (BAND * 8e-6)  #: of the input: one band on BAND pixels of 8 um
FAR = fo.Grid((BAND, BAND), PITCH)  #: in image pixels, as far as the panel's period
pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


def bench(bits: int = 8) -> fo.FourF:
    size = {"shape": [N, N], "pitch": f"{PITCH!r} m", "pixel": "point"}
    panel = {"shape": [BAND, BAND], "pitch": "8 um", "bits": bits, "fill_factor": 1.0, "iris": None}
    camera = {"pitch": f"{PITCH / 3!r} m", "shape": [3 * BAND, 3 * BAND]}
    return fo.FourF(bench_data({"input": size, "panel": panel, "camera": camera, "light": {"beam_radius": None}}))


def theirs(bits: int = 8, source: torch.Tensor | None = None, shape: tuple[int, int] = (BAND, BAND)) -> Any:
    logging.getLogger("slmsuite").setLevel(logging.ERROR)
    wave = {} if source is None else {"amplitude_sim": source.abs().numpy(), "phase_sim": source.angle().numpy()}
    options = {"pitch_um": 8, "bitdepth": bits, "wav_um": WAVELENGTH * 1e6, "gpu": False, "source": wave or None}
    return slms.SimulatedSLM(shape[::-1], **options)


def rendered(slm: Any) -> np.ndarray:
    """What slmsuite's camera sees of the panel as it is; over its sum."""
    picture = np.asarray(cameras.SimulatedCamera(slm, resolution=slm.shape[::-1], bitdepth=16).render(), float)
    return picture / picture.sum()


def random_masks(bits: int, shape: tuple[int, int] = (60, 96)) -> MaskSet:
    """Three masks, from phases of many turns."""
    phase = np.random.default_rng(bits).uniform(-20, 20, (3, *shape))
    return from_phases(phase, fo.SLMConfig(shape=shape, bits=bits))


WAYS = {
    "tiled": (partial(fo.encoding.phase_only, steps=100), fo.masks.tiled),
    "sequential": (fo.encoding.arrizon, fo.masks.sequential),
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=list(WAYS))
def compiled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[fo.FourF, MaskSet, Path]:
    """Kernels compiled off the axis, tiled or one a frame, saved and read."""
    place, path = bench(), tmp_path_factory.mktemp("masks") / "masks.h5"
    kernels = np.random.default_rng(0).normal(size=(4, 1, 3, 3))
    encoding, layout = request.param
    made = fo.masks.from_kernels(kernels, place, encoding=encoding, layout=layout, light=0.2)
    fo.bundle.save(path, made)
    return place, fo.bundle.load(path), path


# ---- I1, I2: the levels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 10])
def test_levels_of_a_phase_are_theirs(bits: int):
    """I1, of the function that fills mask files: to the last bit, for phases in [-20, 20]."""
    slm, shape = theirs(bits, shape=(270, 480)), (270, 480)
    phase = np.random.default_rng(0).uniform(-20, 20, shape).astype(np.float32)
    mine = mask_levels(fo.SLMConfig(shape=shape, bits=bits), phase)
    sent = slm.set_phase(phase, phase_correct=False)
    assert mine.dtype == sent.dtype
    assert np.array_equal(mine, sent)


@pytest.mark.parametrize("bits", [8, 10])
def test_uploads_send_the_stored_levels(tmp_path: Path, bits: int):
    """I2: from the mask file by their reader and by h5py, as levels and as phase."""
    masks, path = random_masks(bits), tmp_path / "m.h5"
    fo.bundle.save(path, masks)
    slm, loaded = theirs(bits, shape=masks.slm.shape), files.load_h5(str(path))["entry"]["masks"]
    with h5py.File(path) as file:
        for i, gray in enumerate(masks.gray):
            assert np.array_equal(slm.set_phase(loaded["gray"][i]), gray)
            assert np.array_equal(slm.set_phase(file["entry/masks/gray"][i]), gray)  # pyright: ignore
            assert np.array_equal(slm.set_phase(loaded["phase"][i], phase_correct=False), gray)
            assert np.array_equal(slm.display, gray)


@pytest.mark.parametrize("bits", [8, 10])
def test_exported_files_load_by_their_load_phase(tmp_path: Path, bits: int):
    """I2: it sends the levels, and the phase beside them stands for the same levels there."""
    masks = random_masks(bits)
    slm = theirs(bits, shape=masks.slm.shape)
    for path, gray in zip(export.frames(masks, tmp_path, export.SLMSUITE), masks.gray, strict=True):
        slm.load_phase(str(path))
        assert np.array_equal(slm.display, gray)
        assert np.array_equal(slm.set_phase(files.load_h5(str(path))["phase"], phase_correct=False), gray)


@pytest.mark.parametrize("bits", [8, 10])
def test_what_they_save_is_a_mask_file(tmp_path: Path, bits: int):
    """After an upload of levels they save a phase that stands for the level below: the levels count."""
    shape = (60, 96)
    slm, random, sent, paths = theirs(bits, shape=shape), np.random.default_rng(1), [], []
    for _ in range(2):
        sent.append(slm.set_phase(random.uniform(-20, 20, shape).astype(np.float32), phase_correct=False).copy())
        paths.append(slm.save_phase(str(tmp_path)))
    sent.append(slm.set_phase(sent[0]).copy())
    paths.append(slm.save_phase(str(tmp_path)))
    masks = from_slmsuite(paths, fo.SLMConfig(shape=shape, bits=bits))
    assert np.array_equal(masks.gray, sent)


def test_a_corrected_phase_of_theirs_is_what_was_sent(tmp_path: Path):
    """They add the correction to the phase before they save it, so levels and phase agree."""
    slm, shape = theirs(shape=(60, 96)), (60, 96)
    slm.source["phase"] = np.random.default_rng(2).uniform(0, 6, shape).astype(np.float32)
    sent = slm.set_phase(np.zeros(shape, np.float32), phase_correct=True).copy()
    masks = from_slmsuite([slm.save_phase(str(tmp_path))], fo.SLMConfig(shape=shape))
    assert np.array_equal(masks.gray[0], sent)
    assert len(np.unique(sent)) > 200


# ---- I3, I4 and the response of a mask file --------------------------------------------------------------------------


def test_the_far_field_of_a_mask_file_is_theirs(compiled: tuple[fo.FourF, MaskSet, Path]):
    """I3, on compiled masks: to 1e-6 of the peak, which is what their float32 leaves; a factor of 10 for our complex64.

    Their pixels are points; the response that is predicted for the masks has the diffraction of square ones.
    """
    place, masks, path = compiled
    point = torch.zeros(N, N, dtype=torch.complex128)
    point[N // 2, N // 2] = 1  # the response to a point on the axis is the far field of the mask
    fields = place(fo.Field(point, place.input_grid, WAVELENGTH), masks, FAR).data
    pixel = np.sinc((np.arange(BAND) - BAND // 2) / BAND) ** 2
    slm = theirs()
    for i in range(len(masks)):
        slm.set_phase(files.load_h5(str(path))["entry"]["masks"]["gray"][i])
        points = rendered(slm)
        far = fo.fourier_lens(fo.Field(shown(place, masks, i), place.fourier_grid, WAVELENGTH), F, FAR)
        _same(points, far.intensity.numpy(), 1e-6)
        _same(points * pixel[:, None] * pixel, fields[i].abs().square().numpy(), 1e-5)
        for tile in masks.kernels.tile[masks.kernels.mask == i]:
            y, x = BAND // 2 + tile
            taps, around = (
                points[y - 1 : y + 2, x - 1 : x + 2].sum(),
                points[y - N + 1 : y + N, x - N + 1 : x + N].sum(),
            )
            assert taps > 0.98 * around  # the taps lie where the table says, and hardly anything lies beside them


def test_the_4f_of_a_mask_file_is_theirs(compiled: tuple[fo.FourF, MaskSet, Path]):
    """An image through their 4f is what is predicted here, to 1e-5 of the peak; in each window, its convolution.

    A relative error e of a response is 2 e of an intensity, and takes 2 e^2 off the cosine between the two; twice that,
    and 1e-5 for pixels that are points there, is allowed.
    """
    place, masks, path = compiled
    image = torch.rand(N, N, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u = fo.Field(image + 0j, place.input_grid, WAVELENGTH)
    slm = theirs(source=place.at("fourier", u).data)
    for i in range(len(masks)):
        slm.set_phase(files.load_h5(str(path))["entry"]["masks"]["gray"][i])
        seen = rendered(slm)
        _same(seen, place(u, shown(place, masks, i), FAR).intensity.numpy(), 1e-5)
        for row in np.flatnonzero(masks.kernels.mask == i):
            area = (slice(c - N // 2 + 1, c + N // 2 + 1) for c in BAND // 2 + masks.kernels.tile[row])
            upright = seen[tuple(area)][::-1, ::-1]
            weight = torch.from_numpy(masks.kernels.weight[row].copy())
            wanted = torch.nn.functional.conv2d(image[None, None], weight[None, None], padding=1)[0, 0].square().numpy()
            cosine = (upright * wanted).sum() / np.linalg.norm(upright) / np.linalg.norm(wanted)
            assert 1 - cosine < 4 * masks.kernels.error[row] ** 2 + 1e-5


def shown(place: fo.FourF, masks: MaskSet, i: int) -> torch.Tensor:
    """Transmission of the levels of a mask at the middle of each pixel."""
    return place.slm.transmission(torch.from_numpy(masks.gray[i].copy()))


def _same(seen: np.ndarray, ours: np.ndarray, tolerance: float) -> None:
    seen, ours = seen / seen.sum(), ours / ours.sum()
    assert np.abs(seen - ours).max() < tolerance * ours.max()


# ---- I5 --------------------------------------------------------------------------------------------------------------


def test_a_file_they_wrote_again_is_refused(tmp_path: Path):
    """Their writer keeps no attributes: what comes out of it is no mask file, and says so."""
    fo.bundle.save(tmp_path / "m.h5", random_masks(8))
    files.save_h5(str(tmp_path / "again.h5"), files.load_h5(str(tmp_path / "m.h5")))
    assert [finding.code for finding in fo.bundle.verify(tmp_path / "again.h5")] == ["F-FORMAT"]
