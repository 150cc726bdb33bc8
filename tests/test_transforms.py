"""Fourier sums and convolutions: every path, at every size, is the sum as it is defined."""

import multiprocessing
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fouroptics.bench.display import square_pixels
from fouroptics.light.grid import Grid
from fouroptics.waves import blocked, transforms
from fouroptics.waves.transforms import (
    Kernel,
    convolve,
    fast_length,
    fft2,
    filtered,
    fourier,
    frequencies,
    ifft2,
    spectrum,
)


def noise(*shape: int, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def brute(data: torch.Tensor, source: Grid, target: Grid, scale: float, sign: int) -> torch.Tensor:
    """The sum as it is defined."""
    y, x = source.coordinates()
    big_y, big_x = target.coordinates()
    rows, columns = (np.exp(sign * 2j * np.pi * np.outer(a, b) / scale) for a, b in ((big_y, y), (big_x, x)))
    return torch.from_numpy(rows @ data.numpy() @ columns.T)


FFT = {
    "even": (Grid((64, 64), (1.0, 1.0)), Grid((64, 64), (1 / 64, 1 / 64))),
    "odd": (Grid((63, 75), (1.0, 2.0)), Grid((63, 75), (1 / 63, 1 / 150))),
    "not square": (Grid((64, 81), (0.5, 1.0)), Grid((64, 81), (1 / 32, 1 / 81))),
    "shifted": (Grid((64, 63), (1.0, 1.0), (3.7, -120.0)), Grid((64, 63), (1 / 64, 1 / 63), (0.3, -0.77))),
    "fewer": (Grid((64, 64), (1.0, 1.0)), Grid((63, 50), (1 / 64, 1 / 64), (0.1, 0.0))),
    "finer": (Grid((64, 64), (1.0, 1.0)), Grid((128, 127), (1 / 128, 1 / 128))),
    "wraps": (Grid((64, 64), (1.0, 1.0), (0.0, 2.5)), Grid((150, 129), (1 / 64, 1 / 64), (0.2, 0.0))),
}
MATRIX = {
    "small": (Grid((5, 8), (1.0, 1.0)), Grid((5, 8), (1 / 5, 1 / 8))),
    "zoomed": (Grid((64, 61), (1.0, 1.0)), Grid((31, 40), (0.3 / 64, 0.11 / 64))),
    "zoomed and shifted": (Grid((64, 61), (1.0, 2.0), (5.0, 0.1)), Grid((31, 40), (0.3 / 64, 0.1 / 64), (0.2, -0.1))),
    "longer than the period": (Grid((9, 7), (1.0, 1.0)), Grid((31, 40), (0.13, 0.171))),
    "one point": (Grid((64, 64), (1.0, 1.0)), Grid((1, 1), (1 / 64, 1 / 64))),
}
CHIRP = {
    "long": (Grid((512, 601), (1.0, 1.0)), Grid((500, 512), (0.3 / 512, 0.1 / 512))),
    "long and shifted": (
        Grid((600, 512), (1.0, 2.0), (5.0, 0.1)),
        Grid((512, 451), (0.3 / 512, 0.11 / 512), (0.2, -9)),
    ),
}
PATHS = {"fft": ("ramps", FFT), "matrix": ("_matrix", MATRIX), "chirp": ("_chirps", CHIRP)}
CASES = {name: (path, *grids) for path, (_, cases) in PATHS.items() for name, grids in cases.items()}


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", CASES)
def test_every_path_is_the_sum(name: str, sign: int, monkeypatch: pytest.MonkeyPatch):
    """float64, 1e-12 of the largest value: rounding of a sum of 64 x 64; chirps of 1e5 turns lose more: 1e-11."""

    def forbidden(*_: object) -> None:
        raise AssertionError("another path was taken")

    path, source, target = CASES[name]
    for other, (factors, _) in PATHS.items():
        if other != path:
            monkeypatch.setattr(transforms, factors, forbidden)
    data = noise(*source.shape)
    expected = brute(data, source, target, 1.0, sign)
    error = (fourier(data, source, target, 1.0, sign) - expected).abs().max() / expected.abs().max()
    assert float(error) < (1e-11 if path == "chirp" else 1e-12)


def test_the_scale_is_that_of_a_lens():
    source, target = Grid((64, 64), (8e-6, 8e-6)), Grid((32, 33), (20e-6, 15e-6))
    data = noise(64, 64)
    torch.testing.assert_close(
        fourier(data, source, target, 633e-9 * 0.2),
        brute(data, source, target, 633e-9 * 0.2, -1),
        rtol=0,
        atol=1e-10,
    )


@pytest.mark.parametrize("name", ["odd", "zoomed", "wraps", "long"])
def test_batches_are_transformed_one_by_one(name: str):
    _, source, target = CASES[name]
    data = noise(2, 3, *source.shape)
    whole = fourier(data, source, target, 1.0)
    torch.testing.assert_close(whole[1, 2], fourier(data[1, 2], source, target, 1.0), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("name", ["odd", "zoomed", "shifted", "long and shifted"])
def test_single_precision_has_its_phases_from_float64(name: str):
    """complex64 is off by some float32 steps (6e-8) of the sum, whatever the shift."""
    _, source, target = CASES[name]
    data = noise(*source.shape)
    exact, single = (fourier(d, source, target, 1.0) for d in (data, data.to(torch.complex64)))
    assert single.dtype == torch.complex64
    assert float((single - exact).norm() / exact.norm()) < 1e-6


def test_there_and_back_is_the_number_of_samples():
    source, target = FFT["odd"]
    data = noise(*source.shape)
    back = fourier(fourier(data, source, target, 1.0), target, source, 1.0, sign=1)
    torch.testing.assert_close(back / (63 * 75), data, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["odd", "zoomed", "wraps", "long and shifted"])
def test_gradients_pass_every_path(name: str):
    """The transpose is the transform back with the same sign; 1e-11: rounding of chirps of 1e5 turns."""
    _, source, target = CASES[name]
    data, weight = noise(*source.shape).requires_grad_(), noise(*target.shape)
    (fourier(data, source, target, 1.0) * weight).sum().real.backward()
    assert data.grad is not None
    expected = fourier(weight, target, source, 1.0).conj()
    assert float((data.grad - expected).norm() / expected.norm()) < 1e-11


def test_fft2_and_ifft2_are_unscaled():
    data = noise(6, 10)
    torch.testing.assert_close(ifft2(fft2(data)), 60 * data)
    torch.testing.assert_close(fft2(data, (8, 12)), torch.from_numpy(np.fft.fft2(data.numpy(), (8, 12))))


@pytest.mark.parametrize(("n", "length"), [(1, 1), (7, 7), (17, 18), (1021, 1024), (4099, 4116)])
def test_fast_length(n: int, length: int):
    found = fast_length(n)
    assert n <= found <= length
    for prime in (2, 3, 5, 7, 11, 13):
        while found % prime == 0:
            found //= prime
    assert found == 1


@pytest.mark.parametrize("shape", [(5, 8), (4, 4), (7, 3)])
@pytest.mark.parametrize("n", [2, 3])
def test_square_pixels_have_a_sinc_spectrum(shape: tuple[int, int], n: int):
    """Exact at the frequencies of the window, 1/(2 size) apart, below n/2 cycles a pixel."""
    data = noise(2, *shape)
    fine = Grid((2 * n * shape[0], 2 * n * shape[1]), (1 / n, 1 / n))
    at = Grid((2 * n * shape[0] - 1, 2 * n * shape[1] - 1), (1 / (2 * shape[0]), 1 / (2 * shape[1])))
    spectrum = fourier(square_pixels(data, n), fine, at, 1.0) / n**2
    fy, fx = (torch.from_numpy(np.sinc(axis)) for axis in at.coordinates())
    expected = fourier(data, Grid(shape, (1.0, 1.0)), at, 1.0) * fy[:, None] * fx
    torch.testing.assert_close(spectrum, expected, rtol=0, atol=1e-11)


def test_square_pixels_of_a_real_image_are_real():
    fine = square_pixels(noise(5, 6).real.to(torch.complex128), 3)
    assert float(fine.imag.abs().max() / fine.real.abs().max()) < 1e-12


# ---- convolution -----------------------------------------------------------------------------------------------------


FORMS = ("dense", "even", "factored")


def kernel_of(shape: tuple[int, int], form: str, dtype: torch.dtype = torch.complex128) -> Kernel:
    """Noise as a kernel of each form."""
    (height, width), quadrant = shape, (shape[0] // 2 + 1, shape[1] // 2 + 1)
    if form == "dense":
        return Kernel(noise(*shape, dtype=dtype))
    if form == "even":
        return Kernel(noise(*quadrant, dtype=dtype), even=shape)
    return Kernel(noise(*quadrant, dtype=dtype), noise(height, dtype=dtype), noise(width, dtype=dtype))


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    """Any period about the size of a block, any part of it before and after, any batch."""
    period = draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    some = [st.tuples(*(st.integers(1, n) for n in period)) for _ in range(2)]
    return {
        "period": period,
        "size": draw(some[0]),
        "out": draw(some[1]),
        "batch": draw(st.sampled_from([(), (1,), (3,), (2, 2)])),
        "form": draw(st.sampled_from(FORMS)),
        "inverse": draw(st.sampled_from([(False, True), (True, False), (False, False)])),  # turned: the last
        "threads": draw(st.sampled_from([1, 2, 5])),
    }


@settings(max_examples=40, deadline=None, derandomize=True)
@given(convolutions())
def test_the_blocked_form_is_the_plain_one(case: dict[str, Any]):
    """float64, 1e-12: rounding of two transforms of at most 150 x 150."""
    kernel, data = kernel_of(case["period"], case["form"]), noise(*case["batch"], *case["size"])
    expected = transforms._plain(data, kernel, case["out"], case["inverse"])
    factors = transforms._arrays(kernel)
    with patch.object(blocked, "BLOCK", 2000):  # 16 lines or a few more: several blocks, one across the middle
        done = torch.from_numpy(blocked.convolve(data.numpy(), factors, case["out"], case["inverse"], case["threads"]))
    assert done.shape == expected.shape
    assert float((done - expected).norm()) <= 1e-12 * float(expected.norm())
    if case["inverse"] == (False, True):
        half = blocked.spectrum(data.numpy(), case["period"], case["threads"])
        torch.testing.assert_close(torch.from_numpy(half), fft2(data, case["period"]), rtol=1e-11, atol=1e-10)
        done = torch.from_numpy(blocked.filtered(half, factors, case["out"], True, case["threads"], case["period"]))
        assert float((done - expected).norm()) <= 1e-12 * float(expected.norm())


@pytest.mark.parametrize("kind", FORMS)
def test_a_convolution_is_the_sum_over_the_period(kind: str):
    """Against the definition, so that the two forms are not wrong together; float64."""
    kernel, data, (ny, nx) = kernel_of((5, 6), kind), noise(3, 4), (5, 6)
    response = ifft2(kernel.dense().rest)
    expected = torch.zeros(4, 6, dtype=torch.complex128)
    for i in range(3):
        for j in range(4):
            expected += data[i, j] * response.roll((i, j), (0, 1))[:4, :6]
    assert kernel.shape == (ny, nx)
    torch.testing.assert_close(convolve(data, kernel, (4, 6)), expected, rtol=1e-12, atol=1e-12)


@pytest.fixture(params=["blocked", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(transforms, "BLOCKED", 1 if request.param == "blocked" else 2**60)
    return request.param


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("period", [(2, 3), (3, 4)])
def test_first_and_second_gradients_of_a_convolution(period: tuple[int, int], kind: str):
    kernel = kernel_of(period, kind)
    data = noise(2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: convolve(u, kernel, (2, 2)), data)
    assert torch.autograd.gradgradcheck(lambda u: convolve(u, kernel, (2, 2)), data, fast_mode=True)


@pytest.mark.usefixtures("form")
def test_gradients_of_a_dense_kernel():
    rest, data = noise(3, 2).requires_grad_(), noise(2, 1, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda u, r: convolve(u, Kernel(r), (2, 2)), (data, rest))
    assert torch.autograd.gradgradcheck(lambda u, r: convolve(u, Kernel(r), (2, 2)), (data, rest), fast_mode=True)
    assert torch.autograd.gradcheck(lambda u, r: filtered(spectrum(u, (3, 2)), Kernel(r), (2, 2)), (data, rest))


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("kind", FORMS)
def test_the_operator_keeps_the_rules_of_torch(kind: str, monkeypatch: pytest.MonkeyPatch):
    """Schema, shapes without data, autograd and what torch.compile asks of an operator."""
    operator, seen = transforms._convolution, []
    monkeypatch.setattr(transforms, "_convolution", lambda *arguments: seen.append(arguments) or operator(*arguments))
    convolve(noise(2, 4, 3).requires_grad_(), kernel_of((6, 5), kind), (3, 5))
    torch.library.opcheck(operator, seen[0])


def test_large_windows_take_the_blocked_form_and_small_ones_do_not(monkeypatch: pytest.MonkeyPatch):
    seen = []
    original = blocked.convolve
    monkeypatch.setattr(blocked, "convolve", lambda *some: seen.append(some[0].shape) or original(*some))
    large, small = kernel_of((1024, 512), "factored"), kernel_of((512, 512), "factored")
    single = noise(2, 100, 100, dtype=torch.complex64)
    for kernel, data in ((large, single[0]), (small, single[0]), (small, single)):
        convolve(data, kernel.to(data.dtype, data.device, data.shape[:-2].numel()), (100, 100))
    assert seen == [(100, 100), (2, 100, 100)]  # the same number of samples in one window or in two


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("shape", [(8, 6), (7, 5), (1, 2)])
def test_a_kernel_has_the_form_that_its_device_and_size_want(shape: tuple[int, int], kind: str):
    kernel, cpu = kernel_of(shape, kind), torch.device("cpu")
    large, small = (kernel.to(torch.complex64, cpu, batch) for batch in (2**20, 1))
    assert large.rest.shape == kernel.rest.shape
    assert large.rest.dtype == small.rest.dtype == torch.complex64
    assert kernel.shape == large.shape == small.shape == small.rest.shape == shape
    torch.testing.assert_close(large.dense().rest, small.rest, rtol=1e-5, atol=1e-5)  # float32
    if kind != "dense":
        whole = (
            small.rest / kernel.y[:, None] / kernel.x if kernel.y is not None and kernel.x is not None else small.rest
        )
        torch.testing.assert_close(whole, whole.roll((-1, -1), (0, 1)).flip((0, 1)), rtol=1e-4, atol=1e-4)  # f as -f


@pytest.mark.usefixtures("form")
def test_a_conjugate_view_is_convolved_as_what_it_shows():
    """torch keeps conj() as a flag, which numpy cannot see."""
    data, kernel = noise(3, 4), kernel_of((5, 6), "dense")
    torch.testing.assert_close(convolve(data.conj(), kernel, (5, 6)), convolve(data.conj().clone(), kernel, (5, 6)))
    torch.testing.assert_close(spectrum(data.conj(), (5, 6)), fft2(data.conj(), (5, 6)))
    wide = noise(6, 8)
    torch.testing.assert_close(
        convolve(wide[::2, ::2], kernel, (5, 6)), convolve(wide[::2, ::2].clone(), kernel, (5, 6))
    )


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_has_threads_of_its_own():
    """Those of its parent do not come along; one that waited for them would wait for ever."""
    kernel, data = transforms._arrays(kernel_of((130, 140), "dense")), noise(2, 70, 70).numpy()
    arguments = (data, kernel, (70, 70), (False, True), 2)
    expected = blocked.convolve(*arguments)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        done = pool.apply_async(blocked.convolve, arguments).get(timeout=60)
    np.testing.assert_array_equal(done, expected)


@pytest.mark.parametrize("finer", [(1, 1), (3, 1), (2, 5)])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("period", [(12, 15), (9, 8)])
def test_samples_between_those_of_the_period(finer: tuple[int, int], turned: bool, period: tuple[int, int]):
    """The plain form and the one in blocks against the sum over frequencies, the upper half of them negative."""
    out, sign = (5 * finer[0], 4 * finer[1]), -1 if turned else 1
    half, mask = noise(2, *period), noise(*period)
    y, x = (
        torch.exp(sign * 2j * torch.pi * torch.outer(torch.arange(n), frequencies(size, 1 / size)) / (size * fine))
        for n, size, fine in zip(out, period, finer, strict=True)
    )
    expected = y @ (half * mask) @ x.mT
    plain = transforms.filtered(half, transforms.Kernel(mask), out, turned=turned, finer=finer)
    torch.testing.assert_close(plain, expected)
    length = (period[0] * finer[0], period[1] * finer[1])
    kernel = transforms._arrays(transforms.Kernel(mask))
    with patch.object(blocked, "BLOCK", 200):
        done = blocked.filtered(half.numpy(), kernel, out, not turned, 2, length)
    torch.testing.assert_close(torch.from_numpy(done), expected)
