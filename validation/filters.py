"""Two lenses and what stands between them: image, knife edge, phase contrast, dark field, slit, convolution kernels."""

import math
from collections.abc import Callable
from functools import partial

import torch
from scipy.special import jv, sici, wofz
from torch import Tensor
from torch.nn.functional import conv2d, pad

import fouroptics as fo
from fouroptics.light.sources import axes
from fouroptics.masks.targets import transfer
from fouroptics.units import mm, show, um
from validation.case import DOUBLE, SINGLE, Case, Point, Setting, dtype_name, largest, relative
from validation.lenses import EXACT, ROUNDING, WAVELENGTH, spot, spot_field

F1, F2 = 0.2, 0.3


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Complex Gaussian noise, complex128."""
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def filtered(u: fo.Field, stop: Callable[[fo.Grid], Tensor], plane: fo.Grid | None = None) -> fo.Field:
    """A 4f bench: lens, a stop on some grid of the Fourier plane, lens; onto the inverted grid."""
    spectrum = fo.fourier_lens(u, F1, plane)
    return fo.fourier_lens(spectrum.modulate(stop(spectrum.grid)), F2, u.grid.inverted(F2 / F1))


def imaged(grid: fo.Grid, values: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Closed form ``-(f1/f2) o(-X f1/f2, -Y f1/f2)`` on the inverted grid, for an object o(y, x)."""
    y, x = (-F1 / F2 * axis for axis in axes(grid.inverted(F2 / F1)))
    return -F1 / F2 * values(y, x)


# ---- the image -------------------------------------------------------------------------------------------------------


def magnified(u: fo.Field, f2: float, onto: fo.Grid) -> fo.Field:
    """Two lenses of different focal lengths, onto any window."""
    return fo.fourier_lens(fo.fourier_lens(u, F1), f2, onto)


def image(f2: float, onto: fo.Grid) -> Tensor:
    """``-(f1/f2) o(-X f1/f2, -Y f1/f2)``."""
    return -F1 / f2 * spot(*(-F1 / f2 * axis for axis in axes(onto)))


def magnification(f2: float, shape: tuple[int, int], onto: fo.Grid) -> Setting:
    """The spot through two lenses."""
    return Setting(
        f"f2 = {show(f2, 'length')}, {shape[0]} x {shape[1]} onto {onto.shape[0]} x {onto.shape[1]}",
        EXACT,
        partial(spot_field, shape=shape),
        2 * (F1 + f2),
        partial(image, f2, onto),
        by=partial(magnified, f2=f2, onto=onto),
    )


# ---- edges: a knife edge and a slit in the Fourier plane, on one line ------------------------------------------------

WIDTH, SLIT, HALF = 0.1 * mm, 640 * um, 0.304 * mm


def line(dtype: torch.dtype, pitch: float, values: Callable[[fo.Grid], Tensor]) -> fo.Field:
    """An object that depends on x alone, over 1.024 mm."""
    grid = fo.Grid((1, round(1.024 * mm / pitch)), (pitch, pitch))
    return fo.Field(values(grid).to(dtype), grid, WAVELENGTH)


def fourier_line(pitch: float, step: float) -> fo.Grid:
    """Grid of the Fourier plane over 8 mm, in steps of `step`; its lines are `pitch` apart in the object."""
    return fo.Grid((1, 2 * round(4 * mm / step) + 1), (WAVELENGTH * F1 / pitch, step))


def bell(grid: fo.Grid) -> Tensor:
    """Gaussian ``exp(-x^2/w^2)``."""
    return torch.exp(-((axes(grid)[1] / WIDTH) ** 2))


def knife(grid: fo.Grid) -> Tensor:
    """Half-plane X > 0; the edge covers half of the sample on the axis."""
    return fo.shapes.rectangle(grid, (1.0, 1.0), (0.0, 0.5))


def hilbert(y: Tensor, x: Tensor) -> Tensor:
    """``(g + i Hg)/2`` of the Gaussian: half the Faddeeva function of x/w."""
    return torch.from_numpy(wofz((x / WIDTH).numpy())) / 2


def foucault(step: float, pitch: float = 8 * um) -> Setting:
    """A knife edge on the axis, with samples of the Fourier plane `step` apart."""
    wrap = 1.1 * math.pi**1.5 / 3 * 0.512 * mm * WIDTH * (step / (WAVELENGTH * F1)) ** 2
    return Setting(
        f"steps of {show(step, 'length')}",
        {DOUBLE: wrap, SINGLE: wrap + 1e-6},
        partial(line, pitch=pitch, values=bell),
        2 * (F1 + F2),
        partial(imaged, line(DOUBLE, pitch, bell).grid, hilbert),
        error=largest,
        by=partial(filtered, stop=knife, plane=fourier_line(pitch, step)),
    )


def bar(grid: fo.Grid) -> Tensor:
    """A bar of 0.608 mm, bright on dark."""
    return fo.shapes.rectangle(grid, (1.0, 2 * HALF))


def slit(grid: fo.Grid) -> Tensor:
    """Pupil of 1.28 mm."""
    return fo.shapes.rectangle(grid, (1.0, 2 * SLIT))


def sine_integrals(y: Tensor, x: Tensor) -> Tensor:
    """``(Si(2 pi B (x + W)) - Si(2 pi B (x - W)))/pi``: two edges through a pupil that ends at the frequency B."""
    turn = 2 * math.pi * SLIT / (WAVELENGTH * F1)
    high, low = (sici((turn * (x + side)).numpy())[0] for side in (HALF, -HALF))
    return torch.from_numpy(high - low) / math.pi


def edges(pitch: float, step: float) -> Setting:
    """The bar through the slit."""
    sampled = 0.2 * (math.pi * pitch * SLIT / (WAVELENGTH * F1)) ** 2 / 6
    wrap = step**2 * (0.512 * mm + HALF) / (3 * SLIT * WAVELENGTH * F1)
    return Setting(
        f"d = {show(pitch, 'length')}, steps of {show(step, 'length')}",
        {DOUBLE: sampled + wrap, SINGLE: sampled + wrap + 1e-6},
        partial(line, pitch=pitch, values=bar),
        2 * (F1 + F2),
        partial(imaged, line(DOUBLE, pitch, bar).grid, sine_integrals),
        error=largest,
        by=partial(filtered, stop=slit, plane=fourier_line(pitch, step)),
    )


def order(coarse: Setting, fine: Setting) -> float:
    """How far the order of convergence, over one halving, is from 2."""
    return abs(math.log2(coarse.measure(DOUBLE) / fine.measure(DOUBLE)) - 2)


# ---- a phase grating: every order times what the stop does to it -----------------------------------------------------

PERIOD, DEPTH = 264 * um, 1.3


def grating(dtype: torch.dtype, depth: float, samples: int) -> fo.Field:
    """Three periods of ``exp(i m sin(2 pi x/p))``, a whole number of them, as for a grating without end."""
    grid = fo.Grid((1, samples), (8 * um, 3 * PERIOD / samples))
    phase = depth * torch.sin(2 * math.pi * axes(grid)[1] / PERIOD)
    return fo.Field(torch.exp(1j * phase).to(dtype), grid, WAVELENGTH)


def contrast(n: Tensor, sign: int) -> Tensor:
    """Phase plate on the order 0: a quarter of a wave, ahead or behind."""
    return torch.where(n == 0, 1j * sign, 1)


def plate(grid: fo.Grid, act: Callable[[Tensor], Tensor]) -> Tensor:
    """What a stop does to the order that is nearest to each sample of the Fourier plane."""
    return act((axes(grid)[1] * PERIOD / (WAVELENGTH * F1)).round())


def jacobi_anger(y: Tensor, x: Tensor, act: Callable[[Tensor], Tensor], depth: float = DEPTH) -> Tensor:
    """``sum_n a_n J_n(m) exp(2 pi i n x/p)``."""
    n = torch.arange(-40, 41, dtype=torch.float64)[:, None]
    return (act(n) * torch.from_numpy(jv(n.numpy(), depth)) * torch.exp(2j * math.pi * n * x / PERIOD)).sum(0, True)


def orders(label: str, act: Callable[[Tensor], Tensor], samples: int = 96) -> Setting:
    """The grating, with something done to its orders."""
    return Setting(
        label,
        EXACT,
        partial(grating, depth=DEPTH, samples=samples),
        2 * (F1 + F2),
        partial(imaged, grating(DOUBLE, DEPTH, samples).grid, partial(jacobi_anger, act=act)),
        by=partial(filtered, stop=partial(plate, act=act)),
    )


def zernike(sign: int, dtype: torch.dtype, depth: float = 0.02) -> float:
    """Largest deviation from ``1 + 2 phi`` (or minus), the image of a weak phase object; unit intensity without it."""
    u = grating(dtype, depth, 96)
    seen = filtered(u, partial(plate, act=partial(contrast, sign=sign))).intensity * (F2 / F1) ** 2
    phase = imaged(u.grid, lambda y, x: depth * torch.sin(2 * math.pi * x / PERIOD)) * -F2 / F1
    return float((seen - 1 - 2 * sign * phase).abs().max())


# ---- convolution -----------------------------------------------------------------------------------------------------


def bench(shape: tuple[int, int]) -> fo.FourF:
    """4f bench of unequal lenses with point pixels and an iris of one band, 125 panel pixels."""
    pitch = WAVELENGTH * F1 / (125 * 8 * um)
    return fo.FourF(
        {
            "light": {"wavelength": WAVELENGTH},
            "input": {"shape": shape, "pitch": pitch, "pixel": "point"},
            "lens1": {"focal_length": F1},
            "panel": {"preset": "generic-1080p-8um", "iris": "band"},
            "lens2": {"focal_length": F2},
            "camera": {"pitch": 5 * um},
        }
    )


def identity(shape: tuple[int, int], dtype: torch.dtype) -> float:
    """Error of an open bench against ``-(f1/f2) u(-x f1/f2, -y f1/f2)``."""
    four_f, data = bench(shape), noise(2, *shape)
    masks = torch.ones(four_f.fourier_grid.shape, dtype=dtype)
    out = four_f(fo.Field(data.to(dtype), four_f.input_grid, WAVELENGTH), masks, four_f.image_grid).data
    return relative(out, -F1 / F2 * data.flip((-2, -1)))


def convolution(k: int, shape: tuple[int, int], channels: int, dtype: torch.dtype) -> float:
    """Error of the bench with exact masks against torch's conv2d, for real images and three signed kernels."""
    four_f, data = bench(shape), noise(2, channels, *shape).real
    weights = noise(3, channels, k, k, seed=1).real
    sent = fo.Field(data.to(dtype), four_f.input_grid, WAVELENGTH)
    out = four_f(sent, transfer(weights, four_f).to(dtype), four_f.image_grid).data
    before, after = k // 2, k - 1 - k // 2
    exact = conv2d(pad(data, (before, after, before, after)), weights)
    return relative(out.flip((-2, -1)) * (-F2 / F1), exact)


def both(label: str, measure: Callable[..., float]) -> tuple[Point, ...]:
    """A comparison in both precisions."""
    return tuple(
        Point(label, limit, partial(measure, dtype=dtype), dtype_name(dtype)) for dtype, limit in EXACT.items()
    )


CASES = (
    Case(
        "4f identity",
        "two lens transforms (Goodman, eq. 5-19): o(x, y) = -(f1/f2) u(-x f1/f2, -y f1/f2), f1 = 0.2 m, f2 = 0.3 m",
        f"a sum over one band is exact; {ROUNDING}",
        tuple(
            point
            for ny, nx in ((28, 28), (27, 27), (20, 31))
            for point in both(f"{ny} x {nx}", partial(identity, (ny, nx)))
        ),
    ),
    Case(
        "4f magnification",
        "the same for a Gaussian off the axis, f1 = 0.2 m, onto windows of any pitch and centre",
        f"the samples hold the Gaussian to 1e-16; {ROUNDING}",
        (
            magnification(0.2, (96, 128), fo.Grid((96, 128), (8 * um, 6 * um))),
            magnification(0.3, (97, 127), fo.Grid((64, 65), (5 * um, 5 * um), (-36 * um, 60 * um))),
            magnification(0.1, (96, 127), fo.Grid((65, 64), (4 * um, 3 * um), (10 * um, 0.0))),
        ),
    ),
    Case(
        "4f knife edge",
        "L. Foucault (1858); (g + i Hg)/2 with the Hilbert transform H, for a Gaussian half the Faddeeva function",
        "largest error over the peak: samples of the Fourier plane repeat the object with a period L, 1/x becomes the "
        "cotangent, which takes pi^1.5/3 x w/L^2 at x; a tenth more; complex64: plus 1e-6",
        (foucault(16 * um), foucault(8 * um)),
    ),
    Case(
        "4f slit",
        "image of two edges through a pupil that ends at the frequency B (Goodman, sec. 6.5.2): sine integrals",
        "largest error over the peak; object: 0.2 (pi B d)^2/6, samples of pitch d against a bar; Fourier plane: "
        "h^2 (x + W)/(3 B), the end term of the trapezoidal rule in steps of h cycles a metre; complex64: plus 1e-6",
        (edges(8 * um, 16 * um), edges(4 * um, 8 * um), edges(8 * um, 8 * um)),
    ),
    Case(
        "4f knife edge and slit, order",
        "the same, over one halving of both steps: distance of the order of convergence from 2",
        "a twentieth for the next order",
        (
            Point("knife edge", 0.05, lambda: order(foucault(32 * um), foucault(16 * um)), "complex128"),
            Point("slit", 0.05, lambda: order(edges(8 * um, 16 * um), edges(4 * um, 8 * um)), "complex128"),
        ),
    ),
    Case(
        "4f phase grating",
        "F. Zernike, Physica 9, 686 (1942); orders J_n(m) of exp(i m sin) (Jacobi and Anger), each times what the "
        "Fourier plane does to it, m = 1.3",
        f"a sum over whole periods is exact; {ROUNDING}",
        (
            orders("phase contrast, +90 degrees", partial(contrast, sign=1)),
            orders("phase contrast, -90 degrees", partial(contrast, sign=-1)),
            orders("dark field", lambda n: n != 0),
            orders("low pass, orders -1, 0, 1", lambda n: n.abs() <= 1),
            orders("half-plane, orders 1, 2, ...", lambda n: n > 0),
            orders("the same, odd number of samples", lambda n: n > 0, 99),
        ),
    ),
    Case(
        "4f weak phase object",
        "F. Zernike, Physica 9, 686 (1942): intensity 1 + 2 phi, or 1 - 2 phi, for a phase phi of 0.02 sin",
        "the next order is phi^2 - m^2/2, at most m^2/2 = 2e-4; a tenth more",
        tuple(
            Point(f"{sign * 90:+d} degrees", 2.2e-4, partial(zernike, sign, dtype), dtype_name(dtype))
            for sign in (1, -1)
            for dtype in EXACT
        ),
    ),
    Case(
        "4f convolution",
        "torch.nn.functional.conv2d, tap k//2 at the origin, zero padding k//2 before and k-1-k//2 behind",
        f"the band holds image and kernel, nothing wraps; {ROUNDING}",
        tuple(
            point
            for k, (ny, nx), c in ((3, (28, 28), 1), (4, (28, 28), 1), (5, (20, 31), 3), (2, (27, 16), 2))
            for point in both(f"k = {k}, {ny} x {nx}, C = {c}", partial(convolution, k=k, shape=(ny, nx), channels=c))
        ),
    ),
)
