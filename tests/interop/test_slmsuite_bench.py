"""The simulated SLM and camera of slmsuite as the judge of the far field and of the whole 4f; skipped without it."""

import math
import warnings

import numpy as np
import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.light.sources import axes

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    slms = pytest.importorskip("slmsuite.hardware.slms.simulated", exc_type=ImportError)
    cameras = pytest.importorskip("slmsuite.hardware.cameras.simulated", exc_type=ImportError)

N, BAND, F, WAVELENGTH = 128, 512, 0.2, 633e-9
pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


def bench(bits: int) -> fo.FourF:
    """One band of the input on 512 x 512 panel pixels without gaps: the far field is one FFT, as it is there."""
    pitch = f"{WAVELENGTH * F / (BAND * 8e-6)!r} m"
    panel = {"shape": [BAND, BAND], "pitch": "8 um", "bits": bits, "fill_factor": 1.0, "iris": None}
    return fo.FourF(bench_data({"input": {"shape": [N, N], "pitch": pitch, "pixel": "point"}, "panel": panel}))


def rendered(place: fo.FourF, phase: np.ndarray, source: torch.Tensor | None = None) -> np.ndarray:
    """What slmsuite's camera sees of a phase on its SLM, lit by a field; over its sum."""
    wave = {} if source is None else {"amplitude_sim": source.abs().numpy(), "phase_sim": source.angle().numpy()}
    bits = place.config.panel.bits
    slm = slms.SimulatedSLM((BAND, BAND), pitch_um=8, bitdepth=bits, wav_um=0.633, gpu=False, source=wave or None)
    camera = cameras.SimulatedCamera(slm, resolution=(BAND, BAND), bitdepth=16)
    slm.set_phase(phase, phase_correct=False)
    picture = np.asarray(camera.render(), float)
    return picture / picture.sum()


def seen(place: fo.FourF, behind: torch.Tensor) -> np.ndarray:
    """The same from this package: an ideal lens transform of the field behind the panel."""
    scale = WAVELENGTH * F / (BAND * 8e-6)
    light = fo.fourier_lens(fo.Field(behind, place.fourier_grid, WAVELENGTH), F, fo.Grid((BAND, BAND), scale)).intensity
    return (light / light.sum()).numpy()


def shown(place: fo.FourF, phase: np.ndarray) -> torch.Tensor:
    return place.slm.transmission(place.slm.levels(torch.from_numpy(phase)))


@pytest.mark.parametrize("bits", [8, 10])
def test_the_far_field_is_that_of_its_camera(bits: int):
    """I3: to 1e-6 of the peak, which is what its float32 leaves."""
    place, random = bench(bits), np.random.default_rng(0)
    y, x = np.mgrid[:BAND, :BAND] - BAND // 2
    phase = 2 * math.pi * (20 * x - 12 * y) / BAND + random.uniform(-1, 1, (BAND, BAND))
    theirs, ours = rendered(place, phase), seen(place, shown(place, phase))
    assert np.unravel_index(ours.argmax(), ours.shape) == (BAND // 2 - 12, BAND // 2 + 20)
    assert np.abs(theirs - ours).max() < 1e-6 * ours.max()


def test_a_shift_mask_shifts_the_inverted_input():
    """I4: the whole 4f with their SLM and camera; flipped both ways, and moved by (-5, +7) samples."""
    place = bench(16)
    image = torch.zeros(N, N, dtype=torch.float64)
    image[30:70, 40:90] = torch.rand(40, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u = fo.Field(image + 0j, place.input_grid, WAVELENGTH)
    before = place.at("fourier", u).data
    y, x = axes(place.fourier_grid)
    pitch = place.config.input.pitch
    phase = (-2 * math.pi * (7 * x - 5 * y) * pitch / (WAVELENGTH * F)).numpy()
    mask = shown(place, phase)
    onto = fo.Grid((BAND, BAND), pitch)
    ours = place(u, mask, onto).intensity
    ours = (ours / ours.sum()).numpy()
    theirs = rendered(place, phase, before)
    assert np.abs(theirs - ours).max() < 1e-6 * ours.max()
    power = np.zeros((BAND, BAND))
    power[BAND // 2 - N // 2 : BAND // 2 + N // 2, BAND // 2 - N // 2 : BAND // 2 + N // 2] = image.square().numpy()
    moved = np.roll(np.roll(power[::-1, ::-1], (1, 1), (0, 1)), (5, -7), (0, 1))
    assert np.abs(ours - moved / moved.sum()).max() < 2e-4 * ours.max()  # 16 bit: phases within 5e-5 rad
