"""Transfer functions and impulse responses of free space: built in float64, carrier reduced, then cast and cached."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from scipy.special import wofz
from torch import Tensor

from fouroptics.light.grid import Grid
from fouroptics.waves import blocked, sampling
from fouroptics.waves.transforms import Kernel, fast_length, fft, fft2, frequencies, kept, phasor

BLOCK = 2**15  #: samples of a kernel that are built in float64 at a time: in cache, too few for torch to split


def transfer_function(fy: Tensor, fx: Tensor, wavelength: float, z: float | Tensor) -> Tensor:
    """Angular-spectrum transfer function ``exp(i kz z)``.

    The phase is ``k z - (kx^2+ky^2)/(k+kz) z``, each term reduced mod 2 pi in float64. Evanescent waves decay with
    ``|z|`` in both directions: what a backward step would amplify is lost.

    Parameters
    ----------
    fy, fx : torch.Tensor
        Frequencies in cycles/m that broadcast, float64.
    wavelength : float
        In metres.
    z : float or torch.Tensor
        Distance in metres; a 0-d float64 tensor may need a gradient.

    Returns
    -------
    torch.Tensor
        complex128.
    """
    s2 = (wavelength * fy) ** 2 + (wavelength * fx) ** 2  # squared direction sine
    cosine = (1 - s2).clamp_min(0).sqrt()
    turns = z / wavelength % 1 - (s2.clamp_max(1) / (1 + cosine) * (z / wavelength)) % 1
    return phasor(turns) * _decay(s2, wavelength, z)


def _decay(s2: Tensor, wavelength: float, z: float | Tensor) -> Tensor:
    return torch.exp(-2 * math.pi * (s2 - 1).clamp_min(0).sqrt() * abs(z) / wavelength)


class _EdgeWave(torch.autograd.Function):
    """``G(t) = exp(i pi t^2/2) int_t^inf exp(-i pi s^2/2) ds`` for t >= 0: smooth, falling as ``1/(i pi t)``.

    By the Faddeeva function, ``G = w(i sqrt(i pi/2) t) / (1+i)``; and ``G' = i pi t G - 1``.
    """

    @staticmethod
    def forward(t: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return torch.from_numpy(wofz((1j - 1) * math.sqrt(math.pi) / 2 * t.detach().numpy())) / (1 + 1j)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        t, wave = ctx.saved_tensors
        return tangent * (1j * math.pi * t * wave - 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        t, wave = ctx.saved_tensors
        return (gradient * (1j * math.pi * t * wave - 1).conj()).real


def _edge_wave(t: Tensor) -> Tensor:
    wave = _EdgeWave.apply(t)
    assert isinstance(wave, Tensor)
    return wave


def line(offset: Tensor, d: float, wavelength: float, z: float | Tensor, *, pixels: bool = False) -> Tensor:
    """One axis of the paraxial impulse response, for samples of pitch d; carrier ``exp(ikz)`` left out.

    Band-limited to ``B = 1/2d``, ``h(x) = d int_-B^B exp(2 pi i f x - i pi lambda z f^2) df``: with
    ``t = sqrt(2 lambda z) (+-B - x/(lambda z))`` the wave ``exp(i pi x^2/(lambda z))/sqrt(i lambda z)`` where light of
    the band arrives, and a wave `G(|t|)` from each edge of the band. Closed form: nothing wraps, at any distance.

    Parameters
    ----------
    offset : torch.Tensor
        Target minus source position in metres, float64, any shape.
    d : float
        Pitch of the source in metres.
    wavelength : float
        In metres.
    z : float or torch.Tensor
        Distance in metres; a 0-d tensor may need a gradient.
    pixels : bool
        The samples are cells of uniform light, width d, with all their orders: the integral of the wave over a cell.

    Returns
    -------
    torch.Tensor
        complex128, shape of `offset`; the samples times this add up to the field.
    """
    if z == 0:
        if pixels:  # what lies on a border belongs to both cells, half and half
            half = ((offset.abs() - d / 2) / d).abs() < 1e-9
            return torch.where(half, 0.5, (offset.abs() < d / 2).to(torch.float64)).to(torch.complex128)
        return torch.sinc(offset / d) + 0.25j / math.pi * wavelength / d**2 * _bend(offset / d) * z
    scale = wavelength * abs(z)
    if pixels:
        ends = [_integral((offset + side) * math.sqrt(2) / scale**0.5) for side in (-d / 2, d / 2)]
        wave = (0.5 - 0.5j) * (ends[0] - ends[1]).conj()
        return wave.conj() if z < 0 else wave
    a, root = offset / scale, (2 * scale) ** 0.5
    ends = (root * (a + 0.5 / d), -offset / (2 * d)), (root * (0.5 / d - a), offset / (2 * d))
    lit = [t >= 0 for t, _ in ends]  # by the light of either half of the band
    wave = (1 - 1j) * (lit[0] & lit[1]) * phasor(offset * a / 2)
    for inside, (t, turns) in zip(lit, ends, strict=True):
        wave = wave + torch.where(inside, -1.0, 1.0) * phasor(turns - scale / (8 * d**2)) * _edge_wave(t.abs())
    wave = wave * (d / root)
    return wave.conj() if z < 0 else wave


def _bend(x: Tensor) -> Tensor:
    """Second derivative of ``sinc(x)``."""
    t = math.pi * torch.where(x.abs() < 1e-3, 1.0, x)
    bend = -t.sin() / t - 2 * t.cos() / t**2 + 2 * t.sin() / t**3
    return math.pi**2 * torch.where(x.abs() < 1e-3, -1 / 3 + (math.pi * x) ** 2 / 10, bend)


def _integral(t: Tensor) -> Tensor:
    """``int_t^inf exp(-i pi s^2/2) ds``."""
    tail = phasor(-(t**2) / 4) * _edge_wave(t.abs())
    return torch.where(t < 0, (1 - 1j) - tail, tail)


def margins(source: Grid, target: Grid, wavelength: float, z: float) -> tuple[float, float]:
    """Samples (y, x) by which the residual of `linear` carries light farther out than the paraxial response."""
    sines = sampling.reach(source, target, wavelength, z)
    band = [min(sampling.steepest(d, wavelength), 0.7) for d in source.spacing]
    beyond = []
    for axis, d in enumerate(source.spacing):
        most = min(sampling.paraxial_excess(sines, z)[axis], sampling.span(source, target, axis)) / d
        if band[axis] > 0.1:  # even what only steep noise brings
            size = source.shape[axis] + target.shape[axis]
            most = max(most, min(sampling.paraxial_excess((band[0], band[1]), z)[axis] / d, size / 4))
        beyond.append(most)
    return beyond[0], beyond[1]


def window(source: Grid, target: Grid, wavelength: float, z: float, pixels: bool = False) -> tuple[int, int]:
    """FFT lengths (y, x) of the linear convolution from `source` onto `target`, both of one pitch.

    The sum of both sizes less one, and where the margin is more than light that just crosses the window, a gap that
    keeps what passes the last offset from coming round; 4 samples for what cells diffract beyond it.
    """
    sizes = []
    for n, m, beyond in zip(source.shape, target.shape, margins(source, target, wavelength, z), strict=True):
        gap = math.ceil(2 * beyond) if beyond > (n + m) / 400 else 0
        sizes.append(fast_length(n + m - 1 + gap + 4 * pixels))
    return sizes[0], sizes[1]


def residual(
    fy: Tensor, fx: Tensor, wavelength: float, z: float | Tensor, arriving: float, real: torch.dtype
) -> Tensor:
    """What the angular spectrum has beyond the paraxial one, ``exp(i kz z - ikz + i pi lambda z f^2)``, (ny, nx), cast.

    Its turns are ``-z/lambda s^4/(2 (1 + cos)^2)`` for a direction sine s < 1. Beyond `arriving`, the ``s^2`` of light
    that passes the target by, they level off: what the finite response holds of it is not to be moved.
    """
    blocks = fy[:, None].split(max(BLOCK // len(fx), 1))
    made: list[Tensor] = [fy] * len(blocks)

    def some(parts: Iterator[tuple[int, Tensor]]) -> None:
        for i, rows in parts:
            made[i] = _residual(rows, fx, wavelength, z, arriving, real)

    threads = 1 if isinstance(z, Tensor) else torch.get_num_threads()
    blocked.together(some, iter(list(enumerate(blocks))), threads)
    return torch.cat(made)


def _residual(
    fy: Tensor, fx: Tensor, wavelength: float, z: float | Tensor, arriving: float, real: torch.dtype
) -> Tensor:
    s2 = (wavelength * fy) ** 2 + (wavelength * fx) ** 2
    most = float(s2.max())
    size = torch.ones((), dtype=real) if most <= 1 else _decay(s2, wavelength, z).to(real)
    if most > arriving:
        s2 = torch.where(s2 <= arriving, s2, arriving * (1 + torch.tanh(s2 / arriving - 1)))
    inside = s2 if most <= 1 else s2.clamp_max(1)
    turns = (1 - inside).sqrt_().add_(1)  # in place: no autograd before z
    turns = torch.div(inside, turns, out=turns).square_()
    turns = turns.neg_() if inside is s2 else s2.sub_(inside).sub_(turns)
    turns = turns * (z / (2 * wavelength)) if isinstance(z, Tensor) else turns.mul_(z / (2 * wavelength))
    turns = turns.frac().to(real) * (2 * math.pi)
    return torch.polar(size.expand_as(turns), turns)


def linear(
    source: Grid,
    target: Grid,
    wavelength: float,
    z: float | Tensor,
    pixels: bool,
    shape: tuple[int, int],
    dtype: torch.dtype,
) -> Kernel:
    """Kernel of the linear convolution from `source` onto `target` of the same pitch.

    The paraxial response of each axis, exact at every offset there is, times the residual phase of the angular
    spectrum, which moves light by a small part of its way. Cells of uniform light are divided until their parts carry
    the light that reaches the target. `shape` is at least `window`; `dtype` is that of the field.
    """
    plain, real = sampling.number(z), dtype.to_real()
    orders = parts(source, target, wavelength, plain) if pixels else 1
    y, x = (_line_spectrum(source, target, axis, wavelength, z, shape[axis], orders, pixels) for axis in (0, 1))
    y = y * phasor(torch.as_tensor(z / wavelength, dtype=torch.float64))
    fy, fx = (frequencies(orders * n, d / orders).abs() for n, d in zip(shape, source.spacing, strict=True))
    arriving = sampling.arriving(source, target, plain)
    if orders == 1:
        fy, fx = fy[: len(fy) // 2 + 1], fx[: len(fx) // 2 + 1]
        rest = residual(fy, fx, wavelength, z, arriving, real)
        if source.shape != target.shape or source.center != target.center:
            return Kernel(rest, y, x)
        return Kernel(rest * y[: len(fy), None].to(rest) * x[: len(fx)].to(rest), even=shape)
    whole = torch.zeros(shape, dtype=dtype)  # every order of the finer lattice falls on this one
    for f, a in zip(fy.view(orders, -1), y.view(orders, -1).to(whole), strict=True):
        for g, b in zip(fx.view(orders, -1), x.view(orders, -1).to(whole), strict=True):
            whole = whole + a[:, None] * b * residual(f, g, wavelength, z, arriving, real)
    return Kernel(whole)


def _line_spectrum(
    source: Grid, target: Grid, axis: int, wavelength: float, z: float | Tensor, length: int, orders: int, pixels: bool
) -> Tensor:
    """Spectrum of `line` at every offset target - source, on a lattice `orders` times finer, over the lengths."""
    n, m, d = source.shape[axis], target.shape[axis], source.spacing[axis] / orders
    first = target.center[axis] - source.center[axis] - (m // 2 - n // 2) * source.spacing[axis]
    index = torch.arange(orders * length, dtype=torch.float64)
    behind = orders * (m + (length - n - m + 1) // 2) - orders // 2  # parts of the first cell lie before its middle
    index = torch.where(index < behind, index, index - orders * length)
    spectrum = fft(line(first + index * d, d, wavelength, z, pixels=pixels)) / (orders * length)
    if orders == 1:
        return spectrum
    f = frequencies(orders * length, 1.0)[:, None]
    return spectrum * torch.cos(2 * math.pi * f * (torch.arange(orders) - orders // 2)).sum(1)  # parts of a cell add up


def parts_wanted(source: Grid, target: Grid, wavelength: float, z: float) -> int:
    """Parts of a cell along each axis, odd, whose band holds the light that reaches the target."""
    spans = [sampling.span(source, target, axis) for axis in (0, 1)]
    sines = [span / math.hypot(z, span) for span in spans]
    bands = 1.3 * max(s / sampling.steepest(d, wavelength) for s, d in zip(sines, source.spacing, strict=True))
    return 2 * math.ceil((bands - 1) / 2) + 1


def parts(source: Grid, target: Grid, wavelength: float, z: float) -> int:
    """Parts that are made of a cell: times both sizes together they are at most 2**14."""
    most = 2**14 // max(n + m for n, m in zip(source.shape, target.shape, strict=True))
    return min(parts_wanted(source, target, wavelength, z), max(most - 1 + most % 2, 1))


def paraxial(source: Grid, target: Grid, wavelength: float, z: float | Tensor, pixels: bool) -> Kernel:
    """Kernel of the Fresnel integral from `source` onto `target` of the same pitch: the two lines alone."""
    n = [fast_length(a + b - 1) for a, b in zip(source.shape, target.shape, strict=True)]
    y, x = (_line_spectrum(source, target, axis, wavelength, z, n[axis], 1, pixels) for axis in (0, 1))
    y = y * phasor(torch.as_tensor(z / wavelength, dtype=torch.float64))
    return Kernel(torch.ones(1, 1, dtype=torch.complex128).expand(n[0] // 2 + 1, n[1] // 2 + 1), y, x)


def matrix(source: Grid, target: Grid, axis: int, wavelength: float, z: float | Tensor, pixels: bool) -> Tensor:
    """`line` at every difference target - source along an axis, complex128 (target, source)."""
    new, old = (torch.from_numpy(grid.coordinates()[axis]) for grid in (target, source))
    return line(new[:, None] - old, source.spacing[axis], wavelength, z, pixels=pixels)


@kept(16)
def cached_matrix(
    source: Grid,
    target: Grid,
    axis: int,
    wavelength: float,
    z: float,
    pixels: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """`matrix` for a plain distance, cast and kept."""
    return matrix(source, target, axis, wavelength, z, pixels).to(device, dtype)


def widened(source: Grid, target: Grid, wavelength: float, z: float) -> Grid:
    """Grid of `source` with room for what the residual of `linear` carries outward, and for what diffracts."""
    ny, nx = (2 * math.ceil(3 * most) + 16 for most in margins(source, target, wavelength, z))
    return Grid((source.shape[0] + ny, source.shape[1] + nx), source.spacing, source.center)


def spread(source: Grid, target: Grid, wavelength: float, z: float | Tensor) -> Kernel:
    """Kernel of the residual alone, from `source` onto its `widened` grid."""
    plain = sampling.number(z)
    onto = widened(source, target, wavelength, plain)
    shape = fast_length(onto.shape[0]), fast_length(onto.shape[1])
    f = [frequencies(n, d) for n, d in zip(shape, source.spacing, strict=True)]
    half = [axis[: len(axis) // 2 + 1].abs() for axis in f]
    rest = residual(half[0], half[1], wavelength, z, sampling.arriving(source, target, plain), torch.float64)
    room = [(new - old) / 2 * d for new, old, d in zip(onto.shape, source.shape, source.spacing, strict=True)]
    y, x = (phasor(-axis * first) / n for axis, first, n in zip(f, room, shape, strict=True))
    return Kernel(rest, y * phasor(torch.as_tensor(z / wavelength, dtype=torch.float64)), x)


def impulse(source: Grid, target: Grid, wavelength: float, z: float | Tensor) -> Kernel:
    """Kernel of the sampled Rayleigh-Sommerfeld response from `source` onto `target`, both of one pitch."""
    offsets, shape = [], []
    for axis in (0, 1):
        n, m, d = source.shape[axis], target.shape[axis], source.spacing[axis]
        first = target.center[axis] - source.center[axis] - (m // 2 - n // 2) * d
        shape.append(fast_length(n + m - 1))
        index = torch.arange(shape[axis], dtype=torch.float64)
        offsets.append(first + torch.where(index < m, index, index - shape[axis]) * d)
    response = source.cell * spherical(offsets[0][:, None], offsets[1], wavelength, z)
    return Kernel(fft2(response) / (shape[0] * shape[1]))


def spherical(dy: Tensor, dx: Tensor, wavelength: float, z: float | Tensor) -> Tensor:
    """Rayleigh-Sommerfeld response ``(1/2 pi) (z/r) (1/r - ik) exp(ikr)/r``, complex128 (Goodman, eq. 3-41).

    Conjugate for negative z: the light that converges.
    """
    rho2, distance = dy**2 + dx**2, abs(z)
    r = (rho2 + distance**2).sqrt()
    turns = distance / wavelength % 1 + (rho2 / (r + distance) / wavelength) % 1
    wave = torch.polar(distance / (2 * math.pi * r**2), 2 * math.pi * turns)
    wave = wave * torch.complex(1 / r, torch.full_like(r, -2 * math.pi / wavelength))
    return wave.conj() if z < 0 else wave


def windowed(
    source: Grid, target: Grid, wavelength: float, z: float | Tensor, shape: tuple[int, int], bandlimit: bool
) -> Kernel:
    """Kernel of the angular spectrum in a window, from the first sample of `source` to the first of `target`.

    With `bandlimit`, without the frequencies whose light leaves a window about the target, which would alias: K.
    Matsushima and T. Shimobaba, Opt. Express 17, 19662 (2009), eq. 13 in its rectangular form; off the axis
    K. Matsushima, Opt. Express 18, 18453 (2010).
    """
    plain = sampling.number(z)
    f = [frequencies(n, d) for n, d in zip(shape, source.spacing, strict=True)]
    factors = []
    for axis in (0, 1):
        n, m, d = source.shape[axis], target.shape[axis], source.spacing[axis]
        aside = target.center[axis] - source.center[axis]
        first = aside - (m // 2) * target.spacing[axis] + (n // 2) * d
        ramp = phasor(f[axis] * first) / shape[axis]
        if bandlimit:
            ends = (aside - shape[axis] * d / 2, aside + shape[axis] * d / 2)
            low, high = sorted(math.copysign(1, plain) * end / (wavelength * math.hypot(end, plain)) for end in ends)
            ramp = ramp * ((f[axis] >= low) & (f[axis] <= high))
        factors.append(ramp)
    half = [axis[: len(axis) // 2 + 1].abs() for axis in f]
    return Kernel(transfer_function(half[0][:, None], half[1], wavelength, z), factors[0], factors[1])


def ready(made: str, data: Tensor, *key: Any, keep: bool = True) -> Kernel:
    """Kernel for `data`, by the name of one of the functions above and its arguments.

    With a tensor among them it is made anew, in one piece that carries the gradient; else `torch.compile` takes it for
    a constant, and it is kept if there are not many like it.
    """
    if any(isinstance(each, Tensor) for each in key):
        return globals()[made](*key).dense().to(data.dtype, data.device)
    return Kernel(*_parts(keep, made, data.dtype, data.device, data.shape[:-2].numel(), *key))


@kept(0)
def _parts(keep: bool, *key: Any) -> tuple[Any, ...]:
    kernel = _last(*key) if keep else _made(*key)
    return kernel.rest, kernel.y, kernel.x, kernel.even


def _made(made: str, dtype: torch.dtype, device: torch.device, batch: int, *key: Any) -> Kernel:
    return globals()[made](*key).to(dtype, device, batch)


_last = lru_cache(maxsize=8)(_made)
