"""The spectral layer is the direct convolution; its pooling is linear and keeps what is inside the band."""

import math

import pytest
import torch
from torch.nn import functional as F

from models import spectral
from models.front import averaged_correlation, averages, convolve, merge
from models.spectral import merge_spectra, spectral_convolution, spectral_is_faster, spectral_layer

ROUNDING = 1e-12  # of float64 sums over at most a few hundred terms of order one


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("shape", [(7, 8), (13, 12)])
@pytest.mark.parametrize("k", [1, 2, 3, 6, 7])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 4), (3, 2), (5, 2)])
def test_spectral_convolution_is_conv2d(shape: tuple[int, int], k: int, inputs: int, outputs: int):
    x, w = numbers(2, inputs, *shape).requires_grad_(), numbers(outputs, inputs, k, k, seed=1).requires_grad_()
    for padding in {0, k // 2, k - 1}:
        direct, by_fft = F.conv2d(x, w, padding=padding), spectral_convolution(x, w, padding)
        close(by_fft, direct)
        upstream = numbers(*direct.shape, seed=2)
        for a, b in zip(
            *(torch.autograd.grad(y, (x, w), upstream) for y in (by_fft, direct)),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=0, atol=10 * ROUNDING)  # sums over the image and the batch


def test_a_batch_in_parts_is_the_batch(monkeypatch: pytest.MonkeyPatch):
    x, w = numbers(5, 1, 9, 9), numbers(2, 1, 3, 3, seed=1)
    monkeypatch.setattr(spectral, "CACHED", 1)  # two images at a time, and one
    close(spectral_convolution(x, w), F.conv2d(x, w))


@pytest.mark.parametrize("light", [torch.float64, torch.complex128])
@pytest.mark.parametrize("kernels", [torch.float64, torch.complex128])
@pytest.mark.parametrize("fast", [False, True])
def test_real_and_complex(light: torch.dtype, kernels: torch.dtype, fast: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.front.spectral_is_faster", lambda *_: fast)
    x, w = numbers(2, 3, 9, 10, dtype=light), numbers(4, 3, 4, 4, seed=1, dtype=kernels)
    both = torch.promote_types(light, kernels)
    close(convolve(x, w, padding=1), F.conv2d(x.to(both), w.to(both), padding=1))


def periodic(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Cross-correlation of light that goes on periodically, tap by tap."""
    k = w.shape[-1]
    moved = torch.stack([x.roll((k // 2 - a, k // 2 - b), (-2, -1)) for a in range(k) for b in range(k)], 2)
    return torch.einsum("bctyx,oct->boyx", moved, w.flatten(2))


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_a_layer_is_a_periodic_correlation(n: int, k: int, dtype: torch.dtype):
    x, w = numbers(2, 3, n, n), numbers(4, 3, k, k, seed=1, dtype=dtype)
    close(spectral_layer(x, w), periodic(x.to(dtype), w))


@pytest.mark.parametrize("n", [20, 21])
def test_pooling_keeps_a_constant_and_a_wave_inside_the_band(n: int):
    """And takes out one beyond it. Values, not only shapes: without the factor (M/N)^2 a constant would grow."""
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    constant = torch.full((1, 1, n, n), 0.7, dtype=torch.float64)
    close(spectral_layer(constant, one, 7), constant[..., :7, :7])
    wave = lambda count, turns: torch.cos(2 * math.pi * turns * torch.arange(count, dtype=torch.float64) / count)  # noqa: E731
    inside, outside = (wave(n, turns).expand(1, 1, n, n).contiguous() for turns in (3, 4))
    close(spectral_layer(inside, one, 7), wave(7, 3).expand(1, 1, 7, 7))
    close(spectral_layer(outside, one, 7), torch.zeros(1, 1, 7, 7).double())


def test_pooling_is_linear_and_has_no_relu():
    x, y, w = numbers(2, 3, 15, 15), numbers(2, 3, 15, 15, seed=1), numbers(4, 3, 3, 3, seed=2)
    pooled = lambda light: spectral_layer(light, w, 9)  # noqa: E731
    close(pooled(0.3 * x - 2 * y), 0.3 * pooled(x) - 2 * pooled(y))
    close(pooled(-x), -pooled(x))
    assert pooled(x).min() < -1


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_layers_and_pools_merge_into_one_mask(dtype: torch.dtype):
    stack = [numbers(*shape, dtype=dtype) / 5 for shape in ((6, 2, 3, 3), (5, 6, 4, 4), (3, 5, 3, 3))]
    x, periods, bands = numbers(2, 2, 21, 21), [21, 15, 15], (15, 15, 9)
    layered = x.to(dtype)
    for weights, band in zip(stack, bands, strict=True):
        layered = spectral_layer(layered, weights, band)
    mask = merge_spectra(stack, periods, 9)
    assert mask.shape == (3, 2, 9, 9)
    spectrum = torch.fft.fftshift(torch.fft.fft2(x), (-2, -1))[..., 6:15, 6:15]  # written out: the crop, and the scale
    field = torch.einsum("ocyx,bcyx->boyx", mask, torch.fft.ifftshift(spectrum, (-2, -1)))
    once = torch.fft.ifft2(field) * 81 / 441
    close(once if dtype.is_complex else once.real, layered)
    if not dtype.is_complex:
        torch.testing.assert_close(once.imag, torch.zeros_like(once.imag), rtol=0, atol=ROUNDING)


def test_merged_complex_kernels():
    stack = [numbers(*shape, dtype=torch.complex128) for shape in ((3, 2, 3, 3), (4, 3, 2, 2))]
    x = numbers(1, 2, 8, 8, dtype=torch.complex128)
    close(convolve(x, merge(stack)), convolve(convolve(x, stack[0]), stack[1]))


@pytest.mark.parametrize(("size", "read", "count"), [(12, 1, 3), (13, 1, 5), (28, 2, 5), (28, 3, 9)])
def test_averages_are_adaptive_pooling_of_what_is_read(size: int, read: int, count: int):
    x, pixels = numbers(1, 1, size, size), range((read - 1) // 2, size, read)
    table = averages(size, pixels, count)
    close(table.sum(1), torch.ones(count).double())
    seen = x[..., pixels.start :: read, pixels.start :: read]
    close(table @ x @ table.T, F.adaptive_avg_pool2d(seen, count))


@pytest.mark.parametrize("k", [1, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_averages_may_be_taken_first(k: int, dtype: torch.dtype):
    x, w, table = (
        numbers(2, 3, 11, 11),
        numbers(4, 3, k, k, seed=1, dtype=dtype).requires_grad_(),
        averages(11, range(11), 4),
    )
    plain = F.conv2d(F.pad(x, (k // 2, k - 1 - k // 2) * 2).to(dtype), w)
    plain = table.to(dtype) @ plain @ table.to(dtype).T
    first = averaged_correlation(x, w, table)
    close(first, plain)
    upstream = numbers(*plain.shape, seed=2, dtype=dtype)
    close(*(torch.autograd.grad(y, w, upstream)[0] for y in (first, plain)))


def test_the_choice_by_size():
    """Where one form takes less than half of the time of the other, on any machine that is not very different."""
    light, kernels = torch.empty(64, 1, 28, 28), torch.empty(16, 1, 9, 9, requires_grad=True)
    assert not spectral_is_faster(light, kernels, 4)
    big, wide = torch.empty(8, 16, 128, 128, requires_grad=True), torch.empty(16, 16, 33, 33, requires_grad=True)
    assert spectral_is_faster(big, wide, 16)
    assert not spectral_is_faster(big, wide, 16, 2)  # a stride is left to the direct form
    with torch.no_grad():
        assert spectral_is_faster(big, wide, 16)
        assert not spectral_is_faster(light, kernels, 4)
