"""The input display: the beam on it, and what an image does to the beam."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fouroptics.bench.nuisances import Dust, LaserDrift, PointingJitter, WindowFringes
from fouroptics.bench.settings import FourFConfig, InputConfig
from fouroptics.devices.pixels import active_part
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes, modulation
from fouroptics.units import show
from fouroptics.waves.transforms import fft2, frequencies, ifft2, phasor


class InputDisplay(nn.Module):
    """A display on its own: what grey values do to the light, pixel by pixel, within a pixel, and in its far field.

    Parameters
    ----------
    config : InputConfig
        Its pixels and their coding.

    Examples
    --------
    >>> display = InputDisplay(InputConfig(shape=(4, 4), pitch=8e-6, coding="intensity", fill_factor=0.81))
    >>> display(torch.full((4, 4), 0.25))[0, 0]
    tensor(0.5000)
    """

    def __init__(self, config: InputConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def grid(self) -> Grid:
        """Pixel centres."""
        return Grid(self.config.shape, (self.config.pitch, self.config.pitch))

    def forward(self, grey: Tensor) -> Tensor:
        """Amplitude transmission (..., y, x), real or complex, of each pixel's active area; see `coded`."""
        return coded(self.config, grey)

    def expand(self, grey: Tensor, n: int) -> Tensor:
        """Sub-pixels, n x n a pixel, of pitch / n: the transmission where a pixel is active, 0 in the gap.

        A sub-pixel on the edge carries the part of its area that is active.
        """
        if n < 1 or self.config.pixel == "point":
            raise GeometryError(f"n = {n}, pixel = {self.config.pixel!r}: square pixels divide into one part or more")
        light = self(grey)
        active = active_part(n, self.config.fill_factor).to(light).repeat(*light.shape[-2:])
        return light.repeat_interleave(n, -2).repeat_interleave(n, -1) * active

    def envelope(self, fy: Tensor, fx: Tensor) -> Tensor:
        """Spectrum of a pixel at frequencies (1/m) that broadcast; see `envelope`."""
        return envelope(self.config, fy, fx)

    def orders(self, wavelength: float, focal_length: float) -> float:
        """Distance of the diffraction orders in the focal plane of a lens, ``lambda f / p``, in metres.

        The one on the axis fills one band of the panel; without an iris a larger panel is lit by more of them.
        """
        return wavelength * focal_length / self.config.pitch


def envelope(config: InputConfig, fy: Tensor, fx: Tensor) -> Tensor:
    """Spectrum of one pixel over that of a point with the light of its whole pitch: 1 for points.

    An active square of side ``sqrt(F) p`` gives ``F sinc(sqrt(F) p fy) sinc(sqrt(F) p fx)``.
    """
    if config.pixel == "point":
        return torch.ones_like(fy * fx)
    side = math.sqrt(config.fill_factor) * config.pitch
    return config.fill_factor * torch.sinc(fy * side) * torch.sinc(fx * side)


def illumination(config: FourFConfig) -> Tensor:
    """Amplitude of the beam on the display in sqrt(W)/m, float64 (y, x), complex128 where `pointing` is not 0.

    Uniform without a `beam_radius`.
    """
    light, grid = config.light, config.input_grid
    y, x = axes(grid)
    if light.beam_radius is None:
        height, width = grid.extent
        beam = torch.full(grid.shape, math.sqrt(light.power / (height * width)), dtype=torch.float64)
    else:
        peak = math.sqrt(2 * light.power / math.pi) / light.beam_radius
        beam = peak * torch.exp(-(y**2 + x**2) / light.beam_radius**2)
    if light.pointing == (0.0, 0.0):
        return beam
    slope_y, slope_x = (math.sin(angle) / light.wavelength for angle in light.pointing)
    return beam * phasor(slope_y * y + slope_x * x)


def coded(config: InputConfig, grey: Tensor) -> Tensor:
    """What the display does to the beam, real or complex (..., y, x), for grey values in [0, 1].

    The `coding` of ``grey**gamma``; where that is real, its power is ``1/C + (1 - 1/C) u^2`` for a contrast C.
    """
    light = modulation(grey if config.gamma == 1 else _grey(grey) ** config.gamma, config.coding)
    if config.contrast is None or light.is_complex():
        return light
    dark = 1 / config.contrast
    return (dark + (1 - dark) * light.square()).sqrt()


def _grey(grey: Tensor) -> Tensor:
    """Refuse what no power may be taken of, as `modulation` does."""
    modulation(grey, "amplitude")
    return grey


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
    if not isinstance(light, Tensor):
        raise GeometryError(
            f"images are a {type(light).__name__}: give a torch.Tensor (torch.from_numpy for an array), or a Field"
        )
    if tuple(light.shape[-2:]) != grid.shape:
        raise GeometryError(f"images {tuple(light.shape)} do not end in the shape of the display, {grid.shape}")
    grey = light if light.is_floating_point() or light.is_complex() else light.float()
    light, beam = coded(config.input, grey), illumination(config)
    kind = light.dtype if light.is_complex() or not beam.is_complex() else light.dtype.to_complex()
    return Field(light * beam.to(light.device, kind), grid, wavelength)


def nuisances(config: FourFConfig) -> Iterator[nn.Module]:
    """What fringes, dust and the laser do to the light of the display, as elements."""
    part = config.nuisances
    if fringes := part.fringes:
        frequency = (math.sin(fringes.angle) / fringes.period, math.cos(fringes.angle) / fringes.period)
        yield WindowFringes(fringes.amplitude, frequency, fringes.phase)
    if dust := part.dust:
        area = config.input_grid.extent
        yield Dust.scattered(dust.count, area, (dust.radius, dust.radius), seed=dust.seed)
    if part.power_drift:
        yield LaserDrift(part.power_drift, part.seed)
    if part.pointing_jitter:
        yield PointingJitter(part.pointing_jitter, part.seed + 1)


def sampled(config: FourFConfig, field: Field) -> Field:
    """The light behind the display as free space needs it: square pixels on a grid three times finer."""
    if config.input.pixel == "point":
        return field
    (ny, nx), pitch = config.input.shape, config.input.pitch / 3
    return Field(square_pixels(field.data, 3), Grid((6 * ny, 6 * nx), (pitch, pitch)), field.wavelength)


def square_pixels(data: Tensor, n: int) -> Tensor:
    """Samples of square pixels on an n times finer grid, twice as wide: the comb of values with a ``sinc`` spectrum.

    Band-limited to n/2 cycles a pixel, where its spectrum is that of ideal squares. Pixel j of an axis of N lies at
    sample ``n (j + N - N//2)``, so both grids have the same centre.
    """
    height, width = data.shape[-2:]
    comb = data.new_zeros((*data.shape[:-2], 2 * height * n, 2 * width * n))
    first = [n * (size - size // 2) for size in (height, width)]
    comb[..., first[0] : first[0] + n * height : n, first[1] : first[1] + n * width : n] = data
    sinc = [torch.sinc(frequencies(2 * size * n, 1 / n)) / (2 * size) for size in (height, width)]
    return ifft2(fft2(comb) * (sinc[0][:, None] * sinc[1][None, :]).to(data.device, data.dtype))
