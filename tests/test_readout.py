"""Readouts: exact without noise, and the shot noise of the pair as its formula says."""

import math

import pytest
import torch

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
