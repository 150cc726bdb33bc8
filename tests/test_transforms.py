"""Fourier sums: the FFT path, the matrix path and brute force agree."""

import numpy as np
import pytest
import torch

from fouroptics.light.grid import Grid
from fouroptics.waves import transforms
from fouroptics.waves.transforms import fast_length, fft2, fourier, ifft2, square_pixels


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


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("name", "path"), [*((n, "fft") for n in FFT), *((n, "matrix") for n in MATRIX)])
def test_both_paths_are_the_sum(name: str, path: str, sign: int, monkeypatch: pytest.MonkeyPatch):
    """float64, 1e-12 of the largest value: rounding of a sum of 64 x 64."""

    def forbidden(*_: object) -> None:
        raise AssertionError("the other path was taken")

    monkeypatch.setattr(transforms, {"fft": "_matrix", "matrix": "_ramps"}[path], forbidden)
    source, target = (FFT | MATRIX)[name]
    data = noise(*source.shape)
    expected = brute(data, source, target, 1.0, sign)
    error = (fourier(data, source, target, 1.0, sign) - expected).abs().max() / expected.abs().max()
    assert float(error) < 1e-12


def test_the_scale_is_that_of_a_lens():
    source, target = Grid((64, 64), (8e-6, 8e-6)), Grid((32, 33), (20e-6, 15e-6))
    data = noise(64, 64)
    torch.testing.assert_close(
        fourier(data, source, target, 633e-9 * 0.2),
        brute(data, source, target, 633e-9 * 0.2, -1),
        rtol=0,
        atol=1e-10,
    )


@pytest.mark.parametrize("name", ["odd", "zoomed", "wraps"])
def test_batches_are_transformed_one_by_one(name: str):
    source, target = (FFT | MATRIX)[name]
    data = noise(2, 3, *source.shape)
    whole = fourier(data, source, target, 1.0)
    torch.testing.assert_close(whole[1, 2], fourier(data[1, 2], source, target, 1.0), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("name", ["odd", "zoomed", "shifted"])
def test_single_precision_has_its_phases_from_float64(name: str):
    """complex64 is off by some float32 steps (6e-8) of the sum, whatever the shift."""
    source, target = (FFT | MATRIX)[name]
    data = noise(*source.shape)
    exact, single = (fourier(d, source, target, 1.0) for d in (data, data.to(torch.complex64)))
    assert single.dtype == torch.complex64
    assert float((single - exact).norm() / exact.norm()) < 1e-6


def test_there_and_back_is_the_number_of_samples():
    source, target = FFT["odd"]
    data = noise(*source.shape)
    back = fourier(fourier(data, source, target, 1.0), target, source, 1.0, sign=1)
    torch.testing.assert_close(back / (63 * 75), data, rtol=1e-11, atol=1e-12)


def test_gradients_pass_both_paths():
    for source, target in (
        (Grid((32, 32), (1.0, 1.0)), Grid((40, 32), (1 / 32, 1 / 32))),
        (Grid((3, 4), (1.0, 1.0)), Grid((2, 3), (0.1, 0.1))),
    ):
        data = noise(*source.shape).requires_grad_()
        weight = noise(*target.shape)
        (fourier(data, source, target, 1.0) * weight).sum().real.backward()
        expected = fourier(weight, target, source, 1.0)  # the transpose is the transform back with the same sign
        torch.testing.assert_close(data.grad, expected.conj().resolve_conj())


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
