"""What a shift-invariant bench does to an image, as kernels of all displacements that an image can use."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench import ideal
from fouroptics.bench.settings import FoldConfig, FourFConfig
from fouroptics.bench.shown import PanelMasks, shown
from fouroptics.devices.slm import SLM
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves.transforms import fast_length, fft2, fourier, ifft2

Tile = tuple[float, float]


def is_shift_invariant(config: FourFConfig) -> bool:
    """Whether a kernel says all: the Fourier model with lenses in place, nothing off along the axis or turned."""
    poses = config.poses
    centred = not any((poses.lens1.y, poses.lens1.x, poses.lens2.y, poses.lens2.x))
    return config.model == "fourier" and centred and ideal.is_plain(config)


def kernel(config: FourFConfig, slm: SLM, masks: Tensor | PanelMasks, tiles: Sequence[Tile]) -> Tensor:
    """Complex kernels (M, T, 2 ny - 1, 2 nx - 1), complex128; see `FourF.kernel`."""
    _check(config)
    if not tiles:
        raise GeometryError("tiles are none: give the centre (y, x) of one window at least")
    unit = config.input.pitch**2 * config.fourier_grid.cell / _scale(config) ** 2
    if any(at != round(at) for tile in tiles for at in tile):
        windows = [_at(config, slm, masks, _window(config, tile), square=True) * unit for tile in tiles]
        return torch.stack(windows, -3)
    low, high = ([round(edge(tile[axis] for tile in tiles)) for axis in (0, 1)] for edge in (min, max))
    every = _at(config, slm, masks, _window(config, (low[0], low[1]), (high[0], high[1])), square=True) * unit
    sides = [2 * n - 1 for n in config.input.shape]
    corners = [(round(tile[0]) - low[0], round(tile[1]) - low[1]) for tile in tiles]
    return torch.stack([every[..., y : y + sides[0], x : x + sides[1]] for y, x in corners], -3)


def incoherent_kernel(config: FourFConfig, slm: SLM, masks: Tensor | PanelMasks, tiles: Sequence[Tile]) -> Tensor:
    """Kernels of intensity (M, T, 2 ny - 1, 2 nx - 1), float64: the light of a pixel in the places of the image.

    ``K[D] = p^2 / A int |h(D p + s)|^2 ds / p^2`` over the active area of a pixel, ``h`` the response to a point that
    lights the panel's window of area A evenly. The integral is Gauss-Legendre's.
    """
    _check(config)
    scale, area = _scale(config), config.fourier_grid.cell * math.prod(config.fourier_grid.shape)
    side = math.sqrt(config.input.fill_factor) if config.input.pixel == "square" else 0.0
    turns = 2 * side * config.input.pitch * max(config.fourier_grid.extent) / (2 * scale)
    points, weights = np.polynomial.legendre.leggauss(slm.order_for(turns) if side else 1)
    out = []
    for tile in tiles:
        window, total = _window(config, tile), torch.zeros((), dtype=torch.float64)
        for y, dy in zip(points, weights, strict=True):
            for x, dx in zip(points, weights, strict=True):
                place = window.shifted(*(at * side * config.input.pitch / 2 for at in (y, x)))
                light = _at(config, slm, masks, place, square=False) * (config.fourier_grid.cell / scale)
                total = total + light.abs().square() * (dy * dx / 4)
        out.append(total * (config.input.pitch**2 / area))
    return torch.stack(out, -3)


def incoherent_image(config: FourFConfig, slm: SLM, u: Field, masks: Tensor | PanelMasks, onto: Grid) -> Tensor:
    """Image of intensities (..., M, y, x) in W/m^2 of a display with the power ``|u|^2`` on its pixels, inverted.

    Raises
    ------
    GeometryError
        If `onto` is not the grid of the image, moved.
    """
    image = config.image_grid
    if onto.shape != image.shape or onto.spacing != image.spacing:
        raise GeometryError(f"incoherent light on {onto}: it is computed on {image}, bench.image_grid, moved or not")
    moved = [(a - b) / d for a, b, d in zip(onto.center, image.center, image.spacing, strict=True)]
    kernels = incoherent_kernel(config, slm, masks, [(moved[0], moved[1])])[..., 0, :, :]
    flat = u.intensity.reshape(-1, *u.grid.shape)
    out = correlate(flat, kernels.reshape(-1, *kernels.shape[-2:]).to(flat.to(u.data.dtype.to_complex()).dtype))
    out = out.real.flip((-2, -1)) / config.magnification**2
    return out.reshape(*u.data.shape[:-2], *kernels.shape[:-2], *image.shape)


def correlate(images: Tensor, kernels: Tensor) -> Tensor:
    """Correlate images with kernels of all displacements: ``out[m] = sum_D kernel[D] image[m + D]``, by FFT.

    Parameters
    ----------
    images : Tensor
        (B, ny, nx), real or complex.
    kernels : Tensor
        (K, 2 ny - 1, 2 nx - 1) complex, displacement 0 at the centre.

    Returns
    -------
    Tensor
        (B, K, ny, nx), complex.
    """
    (ny, nx), dtype = images.shape[-2:], kernels.dtype
    if kernels.shape[-2:] != (2 * ny - 1, 2 * nx - 1):
        raise GeometryError(
            f"kernels {tuple(kernels.shape)} for images {tuple(images.shape)}: need (K, {2 * ny - 1}, {2 * nx - 1})"
        )
    shape = fast_length(2 * ny - 1), fast_length(2 * nx - 1)  # differences of 1 - n .. n - 1 stay distinct
    taps = torch.zeros(len(kernels), *shape, dtype=dtype, device=kernels.device)
    taps[:, : 2 * ny - 1, : 2 * nx - 1] = kernels.flip((-2, -1))
    taps = taps.roll((1 - ny, 1 - nx), (-2, -1))
    spectrum = fft2(images.to(dtype), shape)[:, None] * (fft2(taps) / (shape[0] * shape[1]))
    return ifft2(spectrum)[..., :ny, :nx]


def _check(config: FourFConfig) -> None:
    if is_shift_invariant(config):
        return
    flat = config.model_copy(update={"fold": FoldConfig(), "poses": config.poses.straight()})
    if not is_shift_invariant(flat):
        what = "the wave model" if config.model == "wave" else "a bench with turned parts, or lenses out of place,"
        raise GeometryError(f"{what} is not shift-invariant, it has no kernel; call bench(images, masks)")
    edge = max(config.camera_grid.extent) / (2 * config.magnification)
    bent = abs(math.tan(config.tilt)) * edge**2 / (2 * config.lens1.focal_length)
    warnings.warn(
        f"the panel is tilted by {show(config.tilt, 'angle', 3)}: a kernel leaves out its keystone, which moves light "
        f"at the edge of the camera by {bent / config.input.pitch:.3g} image pixels; bench(images, masks) has it",
        SamplingWarning,
        stacklevel=4,
    )


def _scale(config: FourFConfig) -> float:
    return config.light.wavelength * config.lens1.focal_length


def _window(config: FourFConfig, tile: Tile, last: tuple[int, int] | None = None) -> Grid:
    """Displacements about a tile, or about all from one whole tile to the `last`, in the input plane."""
    pitch, pose = config.input.pitch, (config.poses.camera.y, config.poses.camera.x)
    more = (0, 0) if last is None else (last[0] - round(tile[0]), last[1] - round(tile[1]))
    y, x = (
        (2 * n - 1 + m, (t - (n - 1) + (2 * n - 1 + m) // 2) * pitch + off / config.magnification)
        for n, m, t, off in zip(config.input.shape, more, tile, pose, strict=True)
    )
    return Grid((y[0], x[0]), (pitch, pitch), (y[1], x[1]))


def _at(config: FourFConfig, slm: SLM, masks: Tensor | PanelMasks, window: Grid, *, square: bool) -> Tensor:
    """Fourier sum of the masks over displacements, with what the size of the display's pixels does or without."""
    far = max(abs(c) + (n + 1) // 4 * d for c, n, d in zip(window.center, window.shape, window.spacing, strict=True))
    total = torch.zeros((), dtype=torch.complex128)
    for plane, mask in shown(config, slm, masks, torch.complex128, far):
        seen = mask * ideal.pixel_spectrum(config, plane) if square else mask
        total = total + fourier(seen, plane, window, _scale(config))
    return total
