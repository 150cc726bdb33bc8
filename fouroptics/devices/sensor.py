"""The camera as data: what its data sheet says, which pixels it reads and what is fixed in them. Imports no torch."""

import tomllib
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fouroptics.config import FileConfig, Frequency, Length, Number, Shape, Size, Temperature, Time, Whole
from fouroptics.devices.panel import with_preset
from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid, Pair

PHOTON = 6.62607015e-34 * 299792458.0  #: h c in J m: the energy of a photon is this over its wavelength
Start = Annotated[int, Field(strict=True, ge=0)]


@cache
def presets() -> dict[str, dict[str, Any]]:
    """Data sheets of cameras by name, from ``cameras.toml`` beside this file; a new table there is a new preset."""
    return tomllib.loads(Path(__file__).with_name("cameras.toml").read_text(encoding="utf-8"))


class CameraConfig(FileConfig):
    """A linear camera.

    Attributes
    ----------
    shape : tuple of int or None
        Pixels of the sensor, (height, width); None lets the bench choose.
    pitch : float
        Pixel pitch in metres.
    qe : float
        Quantum efficiency eta, electrons a photon.
    read_noise : float
        Standard deviation sigma_d of the dark signal, in electrons.
    full_well : float
        Electrons at which a pixel saturates.
    gain : float
        System gain K in DN per electron.
    black_level : float
        Mean dark output in DN.
    bits : int
        Bits of the converter.
    fill_factor : float
        Photosensitive part F of the pixel area: a square of side sqrt(F) pitch, whose MTF is sinc(sqrt(F) pitch v).
    exposure : float or None
        Exposure time in seconds; None (``"auto"`` in a file) leaves it to ``Camera.exposure_for``.
    mean_photons : float
        Photons a read pixel that an automatic exposure aims at, on average.
    dark_current : float
        mu_I in electrons a second at `reference_temperature`.
    temperature, reference_temperature : float
        Of the sensor, and of the figure for the dark current, in degrees Celsius.
    doubling_temperature : float
        Kelvin that double the dark current, about 8 for silicon (a rule of thumb, not a figure of a data sheet).
    dsnu : float
        Dark signal non-uniformity: standard deviation of the offset of a pixel, in electrons, white over the sensor.
    prnu : float
        Photo response non-uniformity: relative standard deviation of the QE of a pixel, white over the sensor.
    fixed_pattern_seed : int
        Which sensor: the same seed gives the same pixels, whatever part of them is read.
    nonlinearity : float
        Relative loss of signal a at the full well W: a charge e counts as ``e (1 - a e / W)``.
    binning : int
        n x n pixels whose charge is summed before it is read: one read noise, n^2 wells. `gain` and `read_noise` stay.
    roi : tuple of int or None
        (top, left, height, width) of the part that is read, in pixels of the sensor; None reads them all.
    frame_rate : float or None
        Frames a second that the camera takes at most, in hertz.
    readout_time : float
        Seconds after an exposure before the next one can start.
    verified : bool
        Whether a public data sheet confirms the figures.
    source : str
        Where they come from.
    """

    name: str = "camera"
    shape: Shape | None = None
    pitch: Length = Field(default=3.45e-6, ge=1e-8, le=1)
    qe: Number = Field(default=0.64, gt=0, le=1)
    read_noise: Number = Field(default=2.4, ge=0, le=1e6)
    full_well: Number = Field(default=10500, ge=1, le=1e9)
    gain: Number = Field(default=0.37, ge=1e-6, le=1e6)
    black_level: Number = Field(default=100, ge=0, le=1e6)
    bits: Whole = Field(default=12, ge=1, le=16)
    fill_factor: Number = Field(default=1.0, gt=0, le=1)
    exposure: Time | None = Field(default=None, gt=0)
    mean_photons: Number = Field(default=1000, gt=0)
    dark_current: Number = Field(default=0.0, ge=0, le=1e12)
    temperature: Temperature = Field(default=25.0, ge=-200, le=150)
    reference_temperature: Temperature = Field(default=25.0, ge=-200, le=150)
    doubling_temperature: Number = Field(default=8.0, gt=1, le=100)
    dsnu: Number = Field(default=0.0, ge=0, le=1e6)
    prnu: Number = Field(default=0.0, ge=0, lt=0.3)
    fixed_pattern_seed: Whole = Field(default=0, ge=0)
    nonlinearity: Number = Field(default=0.0, ge=0, lt=0.5)
    binning: Whole = Field(default=1, ge=1, le=64)
    roi: tuple[Start, Start, Size, Size] | None = None
    frame_rate: Frequency | None = Field(default=None, gt=0)
    readout_time: Time = Field(default=0.0, ge=0)
    verified: bool = False
    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        data = with_preset(data, presets())
        automatic = isinstance(data, dict) and data.get("exposure") == "auto"
        return {**data, "exposure": None} if automatic else data

    @classmethod
    def preset(cls, name: str) -> "CameraConfig":
        """Return the camera of a data sheet by its name, such as ``"generic-12bit"``."""
        return cls.model_validate({"preset": name})

    def fault(self) -> str | None:
        """A converter without room above black, a roi outside the sensor, a sensor smaller than one binned pixel."""
        if self.black_level >= 2**self.bits - 1:
            return f"black_level = {self.black_level:g}: {self.bits} bits end at {2**self.bits - 1}; lower it"
        top, left, *read = self.roi or (0, 0, *(self.shape or (self.binning, self.binning)))
        if self.roi and self.shape and (top + read[0] > self.shape[0] or left + read[1] > self.shape[1]):
            return f"roi = {list(self.roi)}: reaches beyond shape = {list(self.shape)}; (top, left, height, width)"
        if min(read) < self.binning:
            return f"binning = {self.binning}: {read[0]} x {read[1]} pixels are read; take a smaller one"
        return None

    @property
    def area(self) -> float:
        """Photosensitive area of a pixel that is read, in m^2."""
        return (self.pitch * self.binning) ** 2 * self.fill_factor

    @property
    def well(self) -> float:
        """Electrons at which a pixel that is read is full."""
        return self.full_well * self.binning**2

    def dark(self, seconds: float) -> float:
        """Mean dark electrons of a pixel that is read, ``mu_I t 2^((T - T_0) / T_d)``."""
        warmer = 2 ** ((self.temperature - self.reference_temperature) / self.doubling_temperature)
        return self.dark_current * warmer * self.binning**2 * seconds

    def noise(self, electrons: float) -> float:
        """Variance of a pixel in electrons squared: read noise, shot noise of its electrons, rounding to DN."""
        return self.read_noise**2 + electrons + 1 / (12 * self.gain**2)

    def grid(self, sensor: Grid) -> Grid:
        """Grid of the pixels that are read, in their region and binned, of a sensor whose pixels lie on `sensor`."""
        if self.roi is None:
            return joined(sensor, self.binning) if self.binning > 1 else sensor
        top, left, height, width = self.roi
        if top + height > sensor.shape[0] or left + width > sensor.shape[1]:
            raise GeometryError(f"roi = {list(self.roi)} reaches beyond a sensor of {sensor}; use a smaller one")
        return joined(sensor, self.binning, (top, left), (height, width))


def divided(grid: Grid, n: int) -> Grid:
    """Grid of n x n cells in each cell of `grid`: where an intensity must be known to average it over pixels."""
    return _cells(grid, (0, 0), (grid.shape[0] * n, grid.shape[1] * n), 1 / n)


def joined(grid: Grid, n: int, start: tuple[int, int] = (0, 0), shape: tuple[int, int] | None = None) -> Grid:
    """Grid whose cells are n x n cells of `grid`, from cell `start`, of `shape` of them; what is left over is cut."""
    height, width = shape or grid.shape
    return _cells(grid, start, (height // n, width // n), n)


def _cells(grid: Grid, start: tuple[int, int], shape: tuple[int, int], scale: float) -> Grid:
    spacing = (grid.spacing[0] * scale, grid.spacing[1] * scale)
    centre: Pair = tuple(  # pyright: ignore[reportAssignmentType]
        c + (i - n // 2 - 0.5) * d + (m // 2 + 0.5) * s
        for c, i, n, d, m, s in zip(grid.center, start, grid.shape, grid.spacing, shape, spacing, strict=True)
    )
    return Grid(shape, spacing, centre)


@lru_cache(maxsize=4)
def fixed_pattern(seed: int, rows: tuple[int, ...], columns: tuple[int, ...]) -> NDArray[np.float32]:
    """Two maps (2, y, x) of standard normal numbers, for DSNU and PRNU, that belong to the pixels of a sensor.

    Each row of the sensor has its own stream, so a pixel keeps its numbers whatever else is read.
    """
    width, at = max(columns) + 1, list(columns)
    draws = (np.random.default_rng((seed, row)).standard_normal((width, 2), dtype=np.float32)[at] for row in rows)
    return np.stack(list(draws)).transpose(2, 0, 1)
