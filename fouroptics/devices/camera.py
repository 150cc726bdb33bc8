"""Camera: photons to electrons to numbers, after the linear model of EMVA 1288 Release 4.0."""

import math
import warnings
from typing import Any

import torch
from pydantic import Field as Limits
from pydantic import model_validator
from torch import Tensor, nn

from fouroptics.config import FileConfig, Length, Number, Shape, Time, Whole
from fouroptics.devices.panel import with_preset
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.units import show

PLANCK, LIGHT_SPEED = 6.62607015e-34, 299792458.0

#: Data sheets; sizes and noise of the generic camera are those of a common 5-megapixel, 12-bit machine-vision sensor.
PRESETS: dict[str, dict[str, Any]] = {
    "generic-12bit": {
        "name": "generic 12 bit", "shape": [2048, 2448], "pitch": "3.45 um", "qe": 0.64, "read_noise": 2.4,
        "full_well": 10500, "gain": 0.37, "black_level": 100, "bits": 12, "fill_factor": 1.0,
    },
}  # fmt: skip


class CameraConfig(FileConfig):
    """A linear camera.

    Attributes
    ----------
    shape : tuple of int or None
        Pixels, (height, width); None lets the bench choose.
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
        Photosensitive part of the pixel area.
    exposure : float or None
        Exposure time in seconds; None (``"auto"`` in a file) leaves it to `Camera.exposure_for`.
    mean_photons : float
        Photons a read pixel that an automatic exposure aims at, on average.
    """

    name: str = "camera"
    shape: Shape | None = None
    pitch: Length = Limits(default=3.45e-6, gt=0)
    qe: Number = Limits(default=0.64, gt=0, le=1)
    read_noise: Number = Limits(default=2.4, ge=0)
    full_well: Number = Limits(default=10500, gt=0)
    gain: Number = Limits(default=0.37, gt=0)
    black_level: Number = Limits(default=100, ge=0)
    bits: Whole = Limits(default=12, ge=1, le=16)
    fill_factor: Number = Limits(default=1.0, gt=0, le=1)
    exposure: Time | None = Limits(default=None, gt=0)
    mean_photons: Number = Limits(default=1000, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        data = with_preset(data, PRESETS)
        automatic = isinstance(data, dict) and data.get("exposure") == "auto"
        return {**data, "exposure": None} if automatic else data

    @classmethod
    def preset(cls, name: str) -> "CameraConfig":
        """Return the camera of a data sheet by its name, such as ``"generic-12bit"``."""
        return cls.model_validate({"preset": name})


class Camera(nn.Module):
    """A linear camera: ``y = clip(rint(K e + black))``, ``e = min(Poisson(eta mu_p), full well) + N(0, sigma_d)``.

    Parameters
    ----------
    config : CameraConfig
        The data sheet.

    Examples
    --------
    >>> camera = Camera(CameraConfig.preset("generic-12bit"))
    >>> camera.expected(torch.tensor([0.0, 1000.0]))
    tensor([100.0000, 336.8000])
    """

    def __init__(self, config: CameraConfig) -> None:
        super().__init__()
        self.config = config

    def photons(self, field: Field, exposure: float | None = None) -> Tensor:
        """Mean photons a pixel, ``|u|^2 A t lambda / (h c)``; samples are at the centres of the pixels that are read.

        Parameters
        ----------
        field : Field
            On the camera's pixels or on some of them, (..., y, x).
        exposure : float, optional
            In seconds; left out, that of the configuration.

        Returns
        -------
        torch.Tensor
            Real (..., y, x).

        Warns
        -----
        SamplingWarning
            If the samples of the field lie closer than the pixels.
        """
        seconds = self.config.exposure if exposure is None else exposure
        if seconds is None:
            raise GeometryError(
                "the exposure is 'auto': give exposure=camera.exposure_for(...), set once on training images"
            )
        if not seconds > 0:
            raise GeometryError(f"exposure = {seconds} s: must be positive")
        if min(field.grid.spacing) < self.config.pitch * (1 - 1e-6):
            warnings.warn(
                f"{field.grid} on a camera with pixels of {show(self.config.pitch, 'length')}: each sample counts as a "
                "pixel, so the pixels overlap; propagate onto the pixels of the camera",
                SamplingWarning,
                stacklevel=2,
            )
        return self.photons_for(field.intensity, field.wavelength, seconds)

    def photons_for(self, intensity: Tensor, wavelength: float, exposure: float) -> Tensor:
        """Mean photons a pixel for intensities in W/m^2, any shape; `exposure` in seconds."""
        return intensity * (
            self.config.pitch**2 * self.config.fill_factor * exposure * wavelength / (PLANCK * LIGHT_SPEED)
        )

    def exposure_for(self, intensity: Tensor, wavelength: float) -> float:
        """Exposure in seconds at which intensities (W/m^2, any shape) give `mean_photons` a pixel on average."""
        per_second = float(self.photons_for(intensity.double().mean(), wavelength, 1.0))
        if not (math.isfinite(per_second) and per_second > 0):
            raise GeometryError(
                f"{per_second} photons a second reach a pixel: there is no exposure; give images with light"
            )
        return self.config.mean_photons / per_second

    def _mean_photons(self, light: Tensor | Field) -> Tensor:
        photons = self.photons(light) if isinstance(light, Field) else light
        if photons.is_complex() or not bool(((photons >= 0) & torch.isfinite(photons)).all()):
            raise GeometryError("photons must be real, finite and at least 0; give |u|^2 in photons, or a Field")
        return photons if photons.is_floating_point() else photons.float()

    def expected(self, light: Tensor | Field) -> Tensor:
        """Mean output in DN, real valued, clipped at the full well and at the converter; differentiable."""
        electrons = (self.config.qe * self._mean_photons(light)).clamp_max(self.config.full_well)
        return (self.config.gain * electrons + self.config.black_level).clamp(0, 2**self.config.bits - 1)

    def forward(self, light: Tensor | Field, generator: torch.Generator | None = None) -> Tensor:
        """One noisy exposure.

        Parameters
        ----------
        light : torch.Tensor or Field
            Mean photons a pixel (...), or a field on the camera's pixels.
        generator : torch.Generator, optional
            Source of the noise; the same state gives the same frame.

        Returns
        -------
        torch.Tensor
            Whole numbers in DN, 0 .. 2**bits - 1, in the dtype of the photons.
        """
        config = self.config
        photons = self._mean_photons(light)
        most = 2 * config.full_well + 1e3  # far beyond saturation a Poisson sample is the full well, and may overflow
        electrons = torch.poisson((config.qe * photons).clamp_max(most), generator=generator).clamp_max(
            config.full_well
        )
        dark = torch.empty_like(electrons).normal_(0, 1, generator=generator) * config.read_noise
        number = (config.gain * (electrons + dark) + config.black_level).round()
        return number.clamp(0, 2**config.bits - 1)

    def snr(self, photons: float) -> float:
        """Signal-to-noise ratio of one pixel, ``eta mu / sqrt(sigma_d^2 + 1/(12 K^2) + eta mu)``."""
        signal = self.config.qe * photons
        return signal / math.sqrt(self.config.read_noise**2 + 1 / (12 * self.config.gain**2) + signal)
