"""Readouts: exact without noise, and the shot noise of the pair as its formula says."""

import math

import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.bench import readout
from fouroptics.errors import GeometryError


def test_reference_pair_is_exact_for_real_outputs():
    y = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plus, minus = readout.reference_pair(y.to(torch.complex128), 1.7)
    torch.testing.assert_close(readout.from_reference_pair(plus, minus, 1.7), y, atol=1e-14, rtol=0)


def test_reference_pair_drops_what_is_out_of_phase():
    field = torch.tensor([1 + 2j, -3 - 1j], dtype=torch.complex128)
    plus, minus = readout.reference_pair(field, 0.5)
    torch.testing.assert_close(readout.from_reference_pair(plus, minus, 0.5), field.real)
    torch.testing.assert_close(readout.intensity(field), field.abs().square())


@pytest.mark.parametrize(("ratio", "deviation"), [(20.0, math.sqrt(401 / 8) / 20), (1.0, 0.5)])
def test_shot_noise_of_the_pair(ratio, deviation):
    """sqrt(2 (R^2 + y^2)) / 4R: 0.3536 for a strong reference, 0.5 for R = y."""
    y, generator = 30.0, torch.Generator().manual_seed(0)
    plus, minus = readout.reference_pair(torch.full((200_000,), y + 0j, dtype=torch.complex128), ratio * y)
    noisy = readout.from_reference_pair(torch.poisson(plus, generator), torch.poisson(minus, generator), ratio * y)
    assert float(noisy.std()) == pytest.approx(deviation, rel=0.01)  # 200,000 samples: 0.16 % a standard error
    assert float(noisy.mean()) == pytest.approx(y, abs=0.01)


def test_reference_of_nothing_is_refused():
    one = torch.ones(1)
    with pytest.raises(GeometryError, match="reference"):
        readout.from_reference_pair(one, one, 0)


def field(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("reference", [0.3, 2.0, torch.tensor(1.1 - 0.4j, dtype=torch.complex128)])
def test_four_steps_are_exact(reference):
    """S1: rounding alone, 1e-15 of numbers near 10."""
    e = field(50)
    frames = readout.four_step(e, reference)
    torch.testing.assert_close(readout.from_four_step(frames, reference), e, atol=1e-14, rtol=0)


def test_split_of_incoherent_light_is_linear():
    plus, minus = field(2, 30).abs().square()
    torch.testing.assert_close(readout.from_split(plus, minus, coherent=False), plus - minus)


def test_split_of_coherent_light_takes_the_root():
    """|u * w+|^2 - |u * w-|^2 is not u * w; of non-negative fields the difference of the roots is."""
    plus, minus = field(2, 30).abs()
    torch.testing.assert_close(readout.from_split(plus**2, minus**2, coherent=True), plus - minus)
    with pytest.raises(GeometryError, match="root"):
        readout.from_split(plus**2 - 10, minus, coherent=True)


def _bench(kind: str, **reference) -> fo.FourF:
    return fo.FourF(bench_data({"readout": {"kind": kind}, "input": {"pixel": "point"}, "reference": reference}))


def test_frames_of_a_bench_give_its_field():
    image, generator = torch.rand(8, 8, dtype=torch.float64), torch.Generator().manual_seed(0)
    for kind in ("reference_pair", "four_step"):
        place = _bench(kind, power="2 mW", tilt=["0.3 mrad", "0 mrad"])
        mask = torch.exp(1j * torch.rand(place.fourier_grid.shape, dtype=torch.float64))
        e, wave = place(image, mask).data, place.reference
        frames = place.frames(image, mask)
        assert len(frames) == readout.FRAMES[kind]
        tilted = fo.plane_wave(place.camera_grid, 633e-9, power=2e-3, direction=(math.sin(3e-4), 0), dtype=e.dtype).data
        assert wave == pytest.approx(float(tilted.abs()[0, 0]), rel=1e-9)  # the whole power of the arm over the camera
        if kind == "four_step":
            torch.testing.assert_close(readout.from_four_step(frames, tilted), e)
        else:
            seen = readout.from_reference_pair(frames[0], frames[1], tilted)
            torch.testing.assert_close(seen, (e * tilted.conj()).real / tilted.abs())
        still = place.frames(image, mask, generator=generator)
        torch.testing.assert_close(still[1], frames[1])  # no drift in the file
    drifting = _bench("four_step", power="2 mW", phase_drift="50 mrad")
    moved = drifting.frames(image, mask, generator=torch.Generator().manual_seed(1))
    plain = drifting.frames(image, mask)
    torch.testing.assert_close(moved[0], plain[0])
    assert float((moved[3] - plain[3]).abs().max() / plain[3].max()) > 1e-3


def test_a_reference_is_required():
    for kind in ("reference_pair", "four_step"):
        with pytest.raises(fo.ConfigError, match=r"\[reference\]"):
            fo.FourF(bench_data({"readout": {"kind": kind}}))
    with pytest.raises(fo.ConfigError, match="coherent"):
        fo.FourF(bench_data({"readout": {"kind": "four_step"}, "reference": {}, "light": {"coherence": "incoherent"}}))
    automatic = _bench("reference_pair", power="auto")
    assert automatic.reference is None
    mask = torch.ones(automatic.fourier_grid.shape)
    with pytest.raises(fo.GeometryError, match="auto"):
        automatic.frames(torch.ones(8, 8), mask)
    assert len(automatic.frames(torch.ones(8, 8), mask, reference=1.0)) == 2


def test_split_frames_come_in_pairs():
    place = fo.FourF(bench_data({"readout": {"kind": "split"}}))
    masks = torch.rand(4, *place.fourier_grid.shape)
    plus, minus = place.frames(torch.ones(8, 8), masks)
    torch.testing.assert_close(plus, place(torch.ones(8, 8), masks[:2]).intensity)
    assert minus.shape == plus.shape
    with pytest.raises(fo.GeometryError, match="pairs"):
        place.frames(torch.ones(8, 8), masks[:3])
