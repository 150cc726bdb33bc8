"""The input display: the beam on it, what an image does to the beam, what a pixel does to its spectrum."""

import math

import torch
from torch import Tensor

from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes, modulation
from fouroptics.units import show
from fouroptics.waves.transforms import square_pixels


def illumination(config: FourFConfig) -> Tensor:
    """Amplitude of the beam on the display, float64 (y, x), in sqrt(W)/m; uniform without a `beam_radius`."""
    light, grid = config.light, config.input_grid
    if light.beam_radius is None:
        height, width = grid.extent
        return torch.full(grid.shape, math.sqrt(light.power / (height * width)), dtype=torch.float64)
    y, x = axes(grid)
    peak = math.sqrt(2 * light.power / math.pi) / light.beam_radius
    return peak * torch.exp(-(y**2 + x**2) / light.beam_radius**2)


def encode(config: FourFConfig, light: Tensor | Field) -> Field:
    """Light behind the display: a field passes as it is, an image in [0, 1] modulates the beam as `coding` says.

    Parameters
    ----------
    config : FourFConfig
        The bench.
    light : torch.Tensor or Field
        Grey values in [0, 1], (..., y, x), or a field on the grid of the display.

    Raises
    ------
    GeometryError
        If the shape, grid or wavelength is not that of the display, or a grey value is outside [0, 1].
    """
    grid, wavelength = config.input_grid, config.light.wavelength
    if isinstance(light, Field):
        if light.grid != grid or light.wavelength != wavelength:
            raise GeometryError(
                f"the field has {light.grid} at {show(light.wavelength, 'length')}, the display of the bench {grid} at "
                f"{show(wavelength, 'length')}: make the field on bench.input_grid, at the wavelength of the bench"
            )
        return light
    if tuple(light.shape[-2:]) != grid.shape:
        raise GeometryError(f"images {tuple(light.shape)} do not end in the shape of the display, {grid.shape}")
    grey = light if light.is_floating_point() or light.is_complex() else light.float()
    coded = modulation(grey, config.input.coding)
    return Field(coded * illumination(config).to(grey), grid, wavelength)


def sampled(config: FourFConfig, field: Field) -> Field:
    """The light behind the display as free space needs it: square pixels on a grid three times finer."""
    if config.input.pixel == "point":
        return field
    (ny, nx), pitch = config.input.shape, config.input.pitch / 3
    return Field(square_pixels(field.data, 3), Grid((6 * ny, 6 * nx), (pitch, pitch)), field.wavelength)


def pixel_spectrum(config: FourFConfig, plane: Grid) -> Tensor:
    """Spectrum of one pixel in the Fourier plane, float64 (fy, fx): 1 for points, sinc sinc for squares."""
    y, x = axes(plane)
    if config.input.pixel == "point":
        return torch.ones_like(y * x)
    unit = config.input.pitch / (config.light.wavelength * config.lens1.focal_length)
    return torch.sinc(y * unit) * torch.sinc(x * unit)
