"""Images through masks in the Fourier model: B transforms to the panel, and B M from there to the camera.

Where the display, the panel and the wanted places of the camera lie on one FFT lattice (a whole number of panel pixels
to a band, and of camera pixels to one of the image) the bench is a filter: no ramp, no shift and no constant touches
the images, since all of them are in the masks, which are few.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from fouroptics.bench import ideal
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.waves.transforms import Kernel, filtered, phasor, spectrum

AT_ONCE = 2**27  #: bytes of light on the panel that are kept at a time


def through(config: FourFConfig, u: Field, plane: Grid, mask: Tensor, onto: Grid) -> Tensor:
    """Light on the camera, complex (..., y, x) or (..., M, y, x), of u (..., y, x) or (..., C, y, x).

    `mask` is (fy, fx), (M, fy, fx) or (M, C, fy, fx) on `plane`, with what the size of the display's pixels does.
    """
    lines = 3 if mask.ndim == 4 else 2
    leading, data = u.data.shape[:-lines], u.data.reshape(-1, *u.data.shape[-lines:])
    check_axes(u.data, mask)
    many = len(mask) if mask.ndim > 2 else 1
    one = lattice(config, u.grid, plane, onto)
    if one is None:
        send = partial(_sent, config, plane=plane, mask=mask, onto=onto)
    else:
        send = partial(_filtered, filters=_filters(config, u, plane, mask, onto, one), onto=onto, one=one)
    count = many * math.prod(plane.shape) if one is None else math.prod(one.shape)
    some = max(1, AT_ONCE // (count * data.element_size() * data.shape[1:-2].numel()))
    if len(data) <= some:
        out = send(u.replace(data=data))
        return out.reshape(*leading, *out.shape[1:])
    out = data.new_empty((len(data), *([many] if mask.ndim > 2 else []), *onto.shape))
    for start in range(0, len(data), some):
        out[start : start + some] = send(u.replace(data=data[start : start + some]))
    return out.reshape(*leading, *out.shape[1:])


def check_axes(data: Tensor, mask: Tensor) -> None:
    """Refuse masks that do not fit images."""
    if mask.ndim in (2, 3) or (mask.ndim == 4 and data.ndim >= 3 and data.shape[-3] == mask.shape[1]):
        return
    raise GeometryError(
        f"masks {tuple(mask.shape)} and images {tuple(data.shape)} do not fit: masks (M, fy, fx) take "
        "images (..., y, x), masks (M, C, fy, fx) take images (..., C, y, x)"
    )


def modulated(data: Tensor, mask: Tensor) -> Tensor:
    """Fields (..., y, x) times masks (y, x) or (M, y, x), or fields (..., C, y, x) summed over C for (M, C, y, x)."""
    if mask.ndim == 2:
        return data * mask
    if mask.ndim == 3:
        return data.unsqueeze(-3) * mask
    return torch.einsum("...cyx,mcyx->...myx", data, mask)


def _sent(config: FourFConfig, u: Field, plane: Grid, mask: Tensor, onto: Grid) -> Tensor:
    at = ideal.front(config, u)(plane)
    return ideal.back(config, at.replace(data=modulated(at.data, mask)), onto).data


class Lattice(NamedTuple):
    """FFT that is both arms: samples of the period (y, x), and camera samples to one of the image."""

    shape: tuple[int, int]
    finer: tuple[int, int]


def lattice(config: FourFConfig, grid: Grid, plane: Grid, onto: Grid) -> Lattice | None:
    """Sizes of the one FFT that is both arms, or None where they do not share one, or short products cost less."""
    if not ideal.is_plain(config):
        return None
    scale = config.light.wavelength * config.lens1.focal_length
    shape, finer = [], []
    for axis in (0, 1):
        length = scale / (grid.spacing[axis] * plane.spacing[axis])
        ratio = grid.spacing[axis] * config.magnification / onto.spacing[axis]
        whole, fine = round(length), max(1, round(ratio))
        fits = abs(length - whole) < 1e-12 * length and abs(ratio - fine) < 1e-12 * ratio
        if not fits or whole < grid.shape[axis] or whole * fine < onto.shape[axis]:
            return None
        if fine > 1 and plane.shape[axis] > whole:
            return None
        shape.append(whole)
        finer.append(fine)
    one = Lattice((shape[0], shape[1]), (finer[0], finer[1]))
    return None if max(finer) > 1 and _products_cost_less(one, plane, onto) else one


def _products_cost_less(one: Lattice, plane: Grid, onto: Grid) -> bool:
    """Whether a few camera pixels are read faster by products of matrices than by long FFTs.

    A step ``L log2 L`` of an FFT takes as long as 2.3 multiplications of a product: even at L = 4500, 500 x 500 panel
    pixels and 252 x 252 of the camera.
    """
    length = [n * fine for n, fine in zip(*one, strict=True)]
    steps = sum(
        lines * n * math.log2(n) for lines, n in zip((one.shape[1], onto.shape[0]), length, strict=True)
    )  # columns of the panel, then the rows that the camera has
    return onto.shape[0] * plane.shape[1] * (plane.shape[0] + onto.shape[1]) < 2.3 * steps


def _filters(
    config: FourFConfig, u: Field, plane: Grid, mask: Tensor, onto: Grid, one: Lattice
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Masks in FFT order over one period, and the ramps (y, x) of u and of the camera if the plane is off centre.

    Sample ``X_j = c + k D`` of the plane is number k of the FFT. What ``x X / (lambda f)`` is beyond ``i k / L`` goes
    into the mask, and where c is not 0 into the images.
    """
    lens1, lens2 = config.poses.lens1, config.poses.lens2
    scale1, scale2 = (u.wavelength * lens.focal_length for lens in (config.lens1, config.lens2))
    whole, ramps = mask * complex(-u.grid.cell * plane.cell / (scale1 * scale2), 0), []
    for axis, (first, second) in enumerate(((lens1.y, lens2.y), (lens1.x, lens2.x))):
        n, m, last = u.grid.shape[axis], plane.shape[axis], onto.shape[axis]
        k = torch.arange(m, dtype=torch.float64) - m // 2
        start, begin = u.grid.center[axis] - first, onto.center[axis] - second
        c1, c2 = plane.center[axis] - first, plane.center[axis] - second
        turns = (n // 2 + last // 2 / one.finer[axis]) * k / one.shape[axis]
        turns -= start * (k * plane.spacing[axis] + c1) / scale1
        turns -= begin * (k * plane.spacing[axis] + c2) / scale2
        whole = whole * phasor(turns).to(whole).unsqueeze(-1 if axis == 0 else 0)
        i, j = torch.arange(n).double() - n // 2, torch.arange(last).double() - last // 2
        ramps += [phasor(-i * (u.grid.spacing[axis] * c1 / scale1)), phasor(-j * (onto.spacing[axis] * c2 / scale2))]
    whole = _folded(_folded(whole, -2, one.shape[0]), -1, one.shape[1])
    moved = any(plane.center[a] != (p.y, p.x)[a] for p in (lens1, lens2) for a in (0, 1))
    return whole, tuple(ramps) if moved else ()


def _folded(mask: Tensor, dim: int, length: int) -> Tensor:
    """Sum the samples k, k + L, ... of an axis whose sample m//2 has k = 0, in FFT order."""
    shape, m = list(mask.shape), mask.shape[dim]
    if m <= length:
        shape[dim] = length - m
        negative, positive = mask.split([m // 2, m - m // 2], dim)
        return torch.cat([positive, mask.new_zeros(shape), negative], dim)
    shape[dim] = length
    index = (torch.arange(m, device=mask.device) - m // 2) % length
    return mask.new_zeros(shape).index_add(dim, index, mask)


def _filtered(u: Field, filters: tuple[Tensor, tuple[Tensor, ...]], onto: Grid, one: Lattice) -> Tensor:
    """Images (B, y, x) or (B, C, y, x) through their filters."""
    masks, ramps = filters
    before = after = None
    if ramps:
        before, after = (a[:, None] * b for a, b in ((ramps[0], ramps[2]), (ramps[1], ramps[3])))
    light = spectrum(u.data if before is None else u.data * before.to(u.data), one.shape)
    if masks.ndim == 4:
        light = torch.einsum("bcyx,mcyx->bmyx", light, masks)
        out = filtered(light, Kernel(torch.ones_like(masks[0, 0])), onto.shape, turned=True, finer=one.finer)
    elif masks.ndim == 2:
        out = filtered(light, Kernel(masks), onto.shape, turned=True, finer=one.finer)
    else:
        out = u.data.new_empty((len(light), len(masks), *onto.shape))
        for i, mask in enumerate(masks):
            out[:, i] = filtered(light, Kernel(mask), onto.shape, turned=True, finer=one.finer)
    return out if after is None else out * after.to(out)
