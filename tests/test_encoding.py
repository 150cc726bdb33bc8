"""Encodings: closed forms against their theory, searches against what rounding alone leaves."""

import math
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from conftest import bench_data
from scipy.special import j1

import fouroptics as fo
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.encoding import (
    Problem,
    amplitude_only,
    arrizon,
    binary,
    double_phase,
    gerchberg_saxton,
    phase_only,
)
from fouroptics.masks.layout import on_axis, sequential
from fouroptics.masks.measure import with_report

BESSEL = 1.8411837813406593


def kernels(count=4, size=3, seed=0) -> torch.Tensor:
    return torch.randn(count, 1, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def bench(**panel) -> fo.FourF:
    return fo.FourF(bench_data({"panel": {"shape": [96, 128], **panel}, "input": {"pixel": "point"}}))


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fo.SamplingWarning)
        return from_kernels(*args, **options)


def test_arrizon_first_order_is_exact():
    """Mean of exp(i psi) exp(-i carrier) over a carrier period: 0.58187 c, to the accuracy of the table."""
    amplitude, phase = torch.tensor([0.0, 0.3, 0.7, 1.0], dtype=torch.float64), 0.8
    carrier = 2 * torch.pi * torch.arange(64, dtype=torch.float64) / 64
    c = amplitude[:, None] * torch.exp(1j * (phase + carrier))
    psi = arrizon(Problem(lambda t: t, c, c), torch.Generator())
    order = (torch.exp(1j * psi) * torch.exp(-1j * carrier)).mean(1)
    torch.testing.assert_close(order, j1(BESSEL) * amplitude * np.exp(1j * phase), atol=1e-8, rtol=0)
    assert float(psi.min()) >= 0
    assert float(psi.max()) <= 2 * BESSEL + 1e-9  # a swing of 1.17 pi, from 0 on


def test_double_phase_has_the_transmission_as_its_mean():
    """Over a square of the checkerboard, for a constant: exactly; the rest of the power lies half a band away."""
    c = torch.full((16, 16), 0.6, dtype=torch.complex128) * np.exp(0.8j)
    shown = torch.exp(1j * double_phase(Problem(lambda t: t, c, c), torch.Generator()))
    assert complex(shown.mean()) == pytest.approx(0.6 * np.exp(0.8j), abs=1e-12)
    board = 1 - 2.0 * ((torch.arange(16)[:, None] + torch.arange(16)) % 2)
    assert abs(complex((shown * board).mean())) ** 2 == pytest.approx(1 - 0.6**2, abs=1e-12)


def test_rounding_goes_where_nothing_is_prescribed():
    """Fixing levels a few at a time leaves a third of the error that rounding all at once does."""
    place, w = bench(bits=6), kernels(2)
    once = quiet(w, place, encoding=partial(phase_only, rounding=0), light=0.1).kernels.error.max()
    settled = quiet(w, place, light=0.1).kernels.error.max()
    assert settled < once / 1.5  # measured: 1.9 on this small panel, 2.2 on 500 x 500 pixels


@pytest.mark.parametrize(
    ("panel", "gain"),
    [
        ({"dead_pixels": [[y, x, 0] for y in range(20, 76, 9) for x in range(36, 92, 9)]}, 2),
        ({"stroke": "5 rad"}, 1.2),
        ({"crosstalk": 0.15}, 1.5),
    ],
)
def test_the_panel_is_made_up_for(panel, gain):
    """Dead pixels, a short stroke, blur: the search through the panel as modelled, against one that knows none."""
    place, w = bench(**panel), kernels(2)
    blind = quiet(w, bench(), light=0.1)
    lost = with_report(blind, place).kernels.error.max()
    assert quiet(w, place, light=0.1).kernels.error.max() < lost / gain


def test_flatness_is_made_up_for(tmp_path):
    y, x = np.mgrid[-1:1:96j, -1:1:128j]
    np.save(tmp_path / "flat.npy", 3 * (y**2 + x**2))
    place, w = bench(flatness=str(tmp_path / "flat.npy")), kernels(2)
    assert quiet(w, place, light=0.1).kernels.error.max() < 0.05
    assert with_report(quiet(w, bench(), light=0.1), place).kernels.error.max() > 0.5


def test_projections_come_as_close_as_the_gradient_before_rounding():
    place = bench(bits=12)
    masks = quiet(kernels(2), place, encoding=gerchberg_saxton, light=0.1)
    assert float(masks.kernels.error.max()) < 0.01
    assert float(masks.kernels.efficiency.sum()) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("panel", "encoding", "error"),
    [
        ({"modulation": "amplitude"}, amplitude_only, 0.05),
        ({"modulation": "binary", "bits": 1, "dead_amplitude": 0.0}, binary, 0.2),
    ],
)
def test_panels_of_amplitudes(panel, encoding, error):
    """One kernel off the axis; two levels round by half of one, and 225 of 4096 places are prescribed."""
    place = bench(**panel)
    masks = quiet(kernels(1), place, encoding=encoding, layout=sequential)
    assert masks.phase is None
    assert float(masks.kernels.error.max()) < error
    assert 0.001 < float(masks.kernels.efficiency.sum()) < 1 / math.pi**2  # no first order of an amplitude holds more
    with pytest.raises(fo.GeometryError, match=f"take encoding {encoding.__name__}"):
        from_kernels(kernels(1), place)
    with pytest.raises(fo.GeometryError, match="take encoding phase_only"):
        from_kernels(kernels(1), bench(), encoding=encoding)


def test_naive_phase_is_far_worse(small_bench):
    """The angle of the transmission alone is no mask: what the optimisation is for."""

    def angle(problem, generator, progress=None):
        return problem.transfer.angle()

    with pytest.warns(fo.SamplingWarning, match="ask for less light"):
        naive = from_kernels(kernels(), small_bench, encoding=angle)
    assert float(naive.kernels.error.min()) > 10 * float(from_kernels(kernels(), small_bench).kernels.error.max())


def test_on_axis_the_search_knows_the_undiffracted_light():
    """With its phase as modelled the result is right; with another one it is not, which is why the layout warns."""
    place, turned = bench(), bench(dead_phase="3 rad")
    masks = quiet(kernels(1), place, layout=on_axis, light=0.1)
    assert float(masks.kernels.error.max()) < 0.03
    assert float(with_report(masks, turned).kernels.error.max()) > 0.1
