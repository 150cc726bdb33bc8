"""Images through masks in the Fourier model: B transforms to the panel, and B M from there to the camera.

Where the display, the panel and the wanted places of the camera lie on one FFT lattice (a whole number of panel pixels
to a band, the camera read at the pitch of the image) the bench is a filter: no ramp, no shift and no constant touches
the images, since all of them are in the masks, which are few.
"""

import math

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
    many = max(1, mask.shape[:-2].numel())
    shape = lattice(config, u.grid, plane, onto)
    filters = None if shape is None else _filters(config, u, plane, mask, onto, shape)
    count = math.prod(shape or plane.shape) * (1 if filters is not None else many)
    some = max(1, AT_ONCE // (count * data.element_size() * data.shape[1:-2].numel()))
    out: Tensor | None = None
    for start in range(0, len(data), some):
        part = u.replace(data=data[start : start + some])
        light = _filtered(part, filters, onto) if filters is not None else _sent(config, part, plane, mask, onto)
        if len(light) == len(data):
            out = light
        else:
            out = data.new_zeros((len(data), *light.shape[1:])) if out is None else out
            out[start : start + some] = light
    assert out is not None
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


def lattice(config: FourFConfig, grid: Grid, plane: Grid, onto: Grid) -> tuple[int, int] | None:
    """Sizes (y, x) of the one FFT that is both arms, or None where they do not share one."""
    if not ideal.is_plain(config):
        return None
    shape = []
    for axis in (0, 1):
        length = config.light.wavelength * config.lens1.focal_length / (grid.spacing[axis] * plane.spacing[axis])
        pitch = grid.spacing[axis] * config.magnification
        whole = round(length)
        fits = abs(length - whole) < 1e-12 * length and abs(onto.spacing[axis] - pitch) < 1e-12 * pitch
        if not fits or whole < max(grid.shape[axis], onto.shape[axis]):
            return None
        shape.append(whole)
    return shape[0], shape[1]


def _filters(
    config: FourFConfig, u: Field, plane: Grid, mask: Tensor, onto: Grid, shape: tuple[int, int]
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
        turns = (n // 2 + last // 2) * k / shape[axis]
        turns = (
            turns - start * (k * plane.spacing[axis] + c1) / scale1 - begin * (k * plane.spacing[axis] + c2) / scale2
        )
        whole = whole * phasor(turns).to(whole).unsqueeze(-1 if axis == 0 else 0)
        i, j = torch.arange(n).double() - n // 2, torch.arange(last).double() - last // 2
        ramps += [phasor(-i * (u.grid.spacing[axis] * c1 / scale1)), phasor(-j * (onto.spacing[axis] * c2 / scale2))]
    whole = _folded(_folded(whole, -2, shape[0]), -1, shape[1])
    moved = any(plane.center[a] != (p.y, p.x)[a] for p in (lens1, lens2) for a in (0, 1))
    return whole, tuple(ramps) if moved else ()


def _folded(mask: Tensor, dim: int, length: int) -> Tensor:
    """Sum the samples k, k + L, ... of an axis whose sample m//2 has k = 0, in FFT order."""
    m = mask.shape[dim]
    index = (torch.arange(m, device=mask.device) - m // 2) % length
    shape = list(mask.shape)
    shape[dim] = length
    return mask.new_zeros(shape).index_add(dim, index, mask)


def _filtered(u: Field, filters: tuple[Tensor, tuple[Tensor, ...]], onto: Grid) -> Tensor:
    """Images (B, y, x) or (B, C, y, x) through their filters."""
    masks, ramps = filters
    shape = (masks.shape[-2], masks.shape[-1])
    before = after = None
    if ramps:
        before, after = (a[:, None] * b for a, b in ((ramps[0], ramps[2]), (ramps[1], ramps[3])))
    light = spectrum(u.data if before is None else u.data * before.to(u.data), shape)
    if masks.ndim == 4:
        light = torch.einsum("bcyx,mcyx->bmyx", light, masks)
        out = filtered(light, Kernel(torch.ones_like(masks[0, 0])), onto.shape, turned=True)
    elif masks.ndim == 2:
        out = filtered(light, Kernel(masks), onto.shape, turned=True)
    else:
        out = u.data.new_empty((len(light), len(masks), *onto.shape))
        for i, mask in enumerate(masks):
            out[:, i] = filtered(light, Kernel(mask), onto.shape, turned=True)
    return out if after is None else out * after.to(out)
