"""Fourier transforms: which one, at which size. The only file that calls torch.fft.

All transforms here are unscaled; a scale belongs into the kernel. (Scaled inverse transforms of 2048 x 2048 complex64
are wrong by their own scale in some builds of torch: pytorch/pytorch#169670.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.autograd import forward_ad

from fouroptics.light.grid import Grid
from fouroptics.waves import blocked

Function = TypeVar("Function", bound=Callable[..., Any])

BLOCKED = 2**19  #: samples of the padded windows from which on the blocked form is the faster one on a CPU


def kept(size: int) -> Callable[[Function], Function]:
    """``lru_cache`` for a function of plain values, whose result `torch.compile` takes for a constant.

    The result is a tensor, a number, or a tuple of such. It is made for every use to come, whatever the caller's mode
    and default device are.
    """

    def wrap(make: Function) -> Function:
        @lru_cache(size)
        def cached(*key: Any) -> Any:
            with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
                return make(*key)

        @torch.compiler.assume_constant_result
        def constant(*key: Any) -> tuple[Any]:
            return (
                cached(*(Grid(*each[1:]) if isinstance(each, tuple) and each[0] is Grid else each for each in key)),
            )

        @wraps(make)
        def call(*key: Any) -> Any:
            # A grid may be made while tracing; only what it holds is known then. A tensor by itself would be named
            # after the function, each one the same, and detached it is known to need no gradient.
            (value,) = constant(*((Grid, g.shape, g.spacing, g.center) if isinstance(g, Grid) else g for g in key))
            if isinstance(value, tuple):
                return tuple(each.detach() if isinstance(each, Tensor) else each for each in value)
            return value.detach() if isinstance(value, Tensor) else value

        return cast(Function, call)

    return wrap


@kept(256)
def fast_length(n: int) -> int:
    """Smallest length of at least n with small prime factors."""
    length: Any = next_fast_len(n)
    return int(length)


def frequencies(n: int, d: float) -> Tensor:
    """Frequencies of an n-point FFT with pitch d, in cycles per unit of d; FFT order, float64."""
    return torch.fft.fftfreq(n, d, dtype=torch.float64)


def phasor(turns: Tensor) -> Tensor:
    """``exp(2 pi i turns)``, reduced mod 1 first, for real turns of any shape."""
    return torch.polar(torch.ones_like(turns), 2 * math.pi * (turns % 1))


def fft(data: Tensor, dim: int = -1) -> Tensor:
    """Sum of ``u exp(-2 pi i ...)`` over an axis; FFT order."""
    return torch.fft.fft(data, dim=dim)


def ifft(data: Tensor, length: int, dim: int = -1) -> Tensor:
    """Sum of ``u exp(+2 pi i ...)`` over an axis, zero-padded behind to `length`, without a factor; FFT order."""
    return torch.fft.ifft(data, length, dim, norm="forward")


def fft2(data: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
    """Sum of ``u exp(-2 pi i ...)`` over the last two axes, zero-padded behind to `shape`; FFT order."""
    return torch.fft.fft2(data, s=shape)


def ifft2(data: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
    """Sum of ``u exp(+2 pi i ...)`` over the last two axes, without a factor; FFT order."""
    return torch.fft.ifft2(data, s=shape, norm="forward")


def rfft2(data: Tensor, shape: tuple[int, int]) -> Tensor:
    """`fft2` of real data: half of the spectrum, (..., ny, nx//2 + 1)."""
    return torch.fft.rfft2(data, s=shape)


def irfft2(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """`ifft2` of such a half spectrum, real (..., ny, nx)."""
    return torch.fft.irfft2(spectrum, s=shape, norm="forward")


@dataclass(frozen=True)
class Kernel:
    """Spectrum of a convolution, in FFT order, with the factor 1/(ny nx) of the transforms.

    In `rest`, either dense, (ny, nx), or where it is even in both frequencies the quadrant (ny//2+1, nx//2+1): a
    quarter of the memory, and of the time to make it. With `y` and `x`, ``y[:, None] * x`` times that.
    """

    rest: Tensor
    y: Tensor | None = None
    x: Tensor | None = None
    even: tuple[int, int] | None = None  # (ny, nx) where the quadrant is all there is

    @property
    def shape(self) -> tuple[int, int]:
        """Samples (ny, nx) of the period."""
        if self.y is not None and self.x is not None:
            return len(self.y), len(self.x)
        return self.even or (self.rest.shape[0], self.rest.shape[1])

    def dense(self) -> "Kernel":
        """Return the same kernel in one piece."""
        if self.even is None and self.y is None:
            return self
        whole = self.rest
        if tuple(whole.shape) != self.shape:
            rows, columns = (mirror(n, whole.device) for n in self.shape)
            whole = whole[rows][:, columns]
        return Kernel(whole if self.y is None or self.x is None else self.y[:, None] * self.x * whole)

    def to(self, dtype: torch.dtype, device: torch.device, batch: int = 1) -> "Kernel":
        """Cast it and give it the form that `convolve` wants for a batch of that size on that device."""
        rest, y, x = (each if each is None else each.to(device, dtype) for each in (self.rest, self.y, self.x))
        assert rest is not None
        kernel = Kernel(rest, y, x, self.even)
        return kernel if _in_blocks(device, self.shape, batch) else kernel.dense()


def mirror(n: int, device: torch.device | None = None) -> Tensor:
    """Index of ``|f|`` in the first half, for each frequency of an FFT of n."""
    index = torch.arange(n, device=device)
    return torch.minimum(index, n - index)


def _in_blocks(device: torch.device, shape: tuple[int, int], batch: int) -> bool:
    """The one place where the form of the convolution is chosen."""
    return device.type == "cpu" and batch * shape[0] * shape[1] >= BLOCKED


def convolve(data: Tensor, kernel: Kernel, out: tuple[int, int], *, turned: bool = False) -> Tensor:
    """First `out` samples of a convolution that is periodic in the kernel's shape.

    ``ifft2(kernel * fft2(data))``, with `data` zero-padded behind, cut to `out`. Differentiable in `data`, twice too,
    and in a dense kernel that needs a gradient.

    Parameters
    ----------
    data : torch.Tensor
        Complex (..., y, x), not larger than the kernel.
    kernel : Kernel
        Of the dtype and device of `data`.
    out : tuple of int
        Samples (height, width) to keep.
    turned : bool
        With `fft2` both times, as two lenses do it: sample i of the result is sample -i of the convolution.

    Returns
    -------
    torch.Tensor
        (..., height, width).
    """
    if data.numel() == 0:
        return data.new_zeros((*data.shape[:-2], *out))
    learned = kernel.rest.requires_grad and not torch.compiler.is_compiling()  # one that is compiled in is a constant
    if learned or _is_dual(data):
        return _plain(data, kernel, out, (False, not turned))
    return _convolution(data, kernel.rest, kernel.y, kernel.x, *kernel.shape, *out, False, not turned)


def _is_dual(data: Tensor) -> bool:
    """Whether the tensor carries a forward-mode derivative, which an operator of one's own cannot pass on."""
    return not torch.compiler.is_compiling() and forward_ad.unpack_dual(data).tangent is not None


def _plain(data: Tensor, kernel: Kernel, out: tuple[int, int], inverse: tuple[bool, bool]) -> Tensor:
    """The reference, and the form for accelerators, small windows and gradients of the kernel."""
    there, back = (ifft2 if each else fft2 for each in inverse)
    spectrum, factor = there(data, kernel.shape), kernel.dense().rest
    tracked = spectrum.requires_grad or factor.requires_grad
    return back(spectrum * factor if tracked else spectrum.mul_(factor))[..., : out[0], : out[1]]


# An operator of its own: opaque to torch.compile, which need not know how it is done, and with its own adjoint.
@torch.library.custom_op("fouroptics::convolution", mutates_args=())
def _convolution(
    data: Tensor,
    rest: Tensor,
    y: Tensor | None,
    x: Tensor | None,
    ny: int,
    nx: int,
    height: int,
    width: int,
    first: bool,
    second: bool,
) -> Tensor:
    quadrant = y is None and tuple(rest.shape) != (ny, nx)
    kernel, out = Kernel(rest, y, x, (ny, nx) if quadrant else None), (height, width)
    padded = tuple(data.shape[-2:]) != (ny, nx) or ny * nx > 2 * BLOCKED  # else blocks gain nothing
    if not (padded and _in_blocks(data.device, kernel.shape, data.shape[:-2].numel())):
        return _plain(data, kernel, out, (first, second)).contiguous()
    threads = torch.get_num_threads()
    done = blocked.convolve(data.resolve_conj().numpy(), _arrays(kernel), out, (first, second), threads)
    return torch.from_numpy(done)


def _arrays(kernel: Kernel) -> blocked.Factors:
    y, x = (None if each is None else each.numpy() for each in (kernel.y, kernel.x))
    return kernel.rest.numpy(), y, x, kernel.shape


@_convolution.register_fake
def _(data: Tensor, *rest: Any) -> Tensor:
    height, width = rest[-4:-2]
    return data.new_empty((*data.shape[:-2], height, width))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    data, rest, y, x, *ctx.period, _, _, ctx.first, ctx.second = inputs
    ctx.save_for_backward(rest, y, x)
    ctx.shape = data.shape[-2:]


def _adjoint(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    # The transpose takes the two transforms in the other order, the kernel as it is; the adjoint is its conjugate.
    conjugate = gradient.conj().resolve_conj()
    back = _convolution(conjugate, *ctx.saved_tensors, *ctx.period, *ctx.shape, ctx.second, ctx.first)
    return back.conj().resolve_conj(), *[None] * 9


_convolution.register_autograd(_adjoint, setup_context=_remember)


def spectrum(data: Tensor, shape: tuple[int, int]) -> Tensor:
    """Padded spectrum of `data`, for `filtered`."""
    if _is_plain(shape, data):
        return fft2(data, shape)
    return torch.from_numpy(blocked.spectrum(data.resolve_conj().numpy(), shape, torch.get_num_threads()))


def filtered(
    spectrum: Tensor, kernel: Kernel, out: tuple[int, int], *, turned: bool = False, finer: tuple[int, int] = (1, 1)
) -> Tensor:
    """Second half of `convolve`: the first `out` samples of ``ifft2(kernel * spectrum)``, or turned, of ``fft2``.

    `finer` is how many samples there are to one of the period, in y and x.
    """
    length = kernel.shape[0] * finer[0], kernel.shape[1] * finer[1]
    if _is_plain(length, spectrum, kernel.rest):
        product = spectrum * kernel.dense().rest
        for dim, n in zip((-2, -1), length, strict=True):
            product = _spread(product, n, dim)
        return (fft2(product) if turned else ifft2(product))[..., : out[0], : out[1]]
    threads = torch.get_num_threads()
    return torch.from_numpy(blocked.filtered(spectrum.numpy(), _arrays(kernel), out, not turned, threads, length))


def _is_plain(shape: tuple[int, int], data: Tensor, *others: Tensor) -> bool:
    """Whether a derivative, or the size, asks for the form of torch."""
    derived = any(part.requires_grad or _is_dual(part) for part in (data, *others))
    return derived or not _in_blocks(data.device, shape, data.shape[:-2].numel())


def _spread(spectrum: Tensor, n: int, dim: int) -> Tensor:
    """Put zeros beyond the highest frequencies of an axis in FFT order."""
    count = spectrum.shape[dim]
    if n == count:
        return spectrum
    shape = list(spectrum.shape)
    shape[dim] = n - count
    low, high = spectrum.split([(count + 1) // 2, count // 2], dim)
    return torch.cat([low, spectrum.new_zeros(shape), high], dim)


def fourier(data: Tensor, source: Grid, target: Grid, scale: float, sign: int = -1) -> Tensor:
    """Fourier sum ``U(X) = sum_x u(x) exp(sign 2 pi i x X / scale)`` from one grid onto any other.

    Each axis takes what costs least: an FFT where the two pitches fit one (``scale/(d D)`` a whole number), a matrix
    product where the axis is short, else the chirp-z transform (L. I. Bluestein, IEEE Trans. Audio Electroacoust. 18,
    451, 1970). Phases are built in float64.

    Parameters
    ----------
    data : torch.Tensor
        Complex samples (..., y, x) on `source`.
    source, target : Grid
        Grids before and after; their units multiply to those of `scale`.
    scale : float
        ``lambda f`` for a lens, 1 for plain frequencies.
    sign : {-1, 1}
        Sign of the exponent.

    Returns
    -------
    torch.Tensor
        Complex samples (..., Y, X) on `target`, unscaled.
    """
    for axis in shrinking_first(source, target):
        line = (source.shape[axis], source.spacing[axis], source.center[axis])
        onto = (target.shape[axis], target.spacing[axis], target.center[axis])
        data = _transform_axis(data, axis - 2, line, onto, scale, sign)
    return data


def shrinking_first(source: Grid, target: Grid) -> tuple[int, int]:
    """Axes in the order in which `fourier` takes them: the one that shrinks most goes first."""
    growth = [target.shape[i] / source.shape[i] for i in (0, 1)]
    return (0, 1) if growth[0] <= growth[1] else (1, 0)


Line = tuple[int, float, float]


def way(line: Line, onto: Line, scale: float) -> tuple[str, int]:
    """How `fourier` takes an axis: ``"fft"``, ``"chirp"`` or ``"matrix"``, and the length of the FFT, 0 for none."""
    n, m = line[0], onto[0]
    length = scale / (line[1] * onto[1])
    whole, padded = round(length), fast_length(n + m - 1)
    # An FFT needs the pitches to fit. Its 5 L log2 L flops run about 10 times slower than the 8 n m of a matrix
    # product; a chirp-z transform takes two of them and four products (`benchmarks.lens`: even at n = 1024, m = 150).
    fits = whole >= n and abs(length - whole) < 1e-12 * length
    costs = {"matrix": n * m, "chirp": 13 * padded * math.log2(max(padded, 2))}
    if fits:
        costs["fft"] = 6 * whole * math.log2(max(whole, 2))
    cheapest = min(costs, key=lambda way: costs[way])
    return cheapest, {"matrix": 0, "chirp": padded, "fft": whole}[cheapest]


def _transform_axis(data: Tensor, dim: int, line: Line, onto: Line, scale: float, sign: int) -> Tensor:
    n, m = line[0], onto[0]
    cheapest, length = way(line, onto, scale)
    if cheapest == "matrix":
        matrix = _matrix(line, onto, scale, sign, data.dtype, data.device)
        return data @ matrix.T if dim == -1 else matrix @ data
    if dim == -2:  # along memory
        return _transform_axis(data.mT.contiguous(), -1, line, onto, scale, sign).mT
    if cheapest == "chirp":
        factors = _chirps(line, onto, scale, sign, length, data.dtype, data.device)
        before, middle, after = factors.split([n, length, m])
        product = torch.fft.fft(data * before, n=length) * middle
        return torch.fft.ifft(product, norm="forward").narrow(-1, 0, m) * after
    before, after = ramps(line, onto, length, sign, data.dtype, data.device).split([n, m])
    transform = torch.fft.fft if sign < 0 else torch.fft.ifft
    norm = "backward" if sign < 0 else "forward"
    out = transform(data * before, n=length, norm=norm)
    if m > length:  # the sum is periodic
        out = out.index_select(-1, torch.arange(m, device=data.device) % length)
    return out.narrow(-1, 0, m) * after


@kept(64)
def _matrix(line: Line, onto: Line, scale: float, sign: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    x, big_x = ((torch.arange(n, dtype=torch.float64) - n // 2) * d + c for n, d, c in (line, onto))
    return phasor(sign * big_x[:, None] * x / scale).to(device, dtype)


@kept(64)
def _chirps(
    line: Line, onto: Line, scale: float, sign: int, padded: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Three factors of the chirp-z transform: ``i j = (i^2 + j^2 - (j - i)^2)/2`` makes the sum a convolution."""
    (n, d, c), (m, big_d, big_c) = line, onto
    turn = sign * d * big_d / scale / 2
    i, j = torch.arange(n, dtype=torch.float64), torch.arange(m, dtype=torch.float64)
    x, big_x = c - n // 2 * d, big_c - m // 2 * big_d  # where the lines start
    before = phasor(turn * i**2 + sign * big_x / scale * d * i)
    after = phasor(turn * j**2 + sign * x / scale * (big_x + big_d * j))
    index = torch.arange(padded, dtype=torch.float64)
    index = torch.where(index < m, index, index - padded)
    middle = torch.fft.fft(phasor(-turn * index**2)) / padded
    return torch.cat([before, middle, after]).to(device, dtype)


@kept(64)
def ramps(line: Line, onto: Line, whole: int, sign: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Phase ramps, before and after, that make an FFT the transform between two centred, shifted lines."""
    (n, d, c), (m, big_d, big_c) = line, onto
    start, begin = c / d - n // 2, big_c / big_d - m // 2
    i, j = torch.arange(n, dtype=torch.float64), torch.arange(m, dtype=torch.float64)
    before, after = phasor(sign * begin * i / whole), phasor(sign * start * (j + begin) / whole)
    return torch.cat([before, after]).to(device, dtype)
