"""Camera: photons to electrons to numbers, after the linear model of EMVA 1288 Release 4.0."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fouroptics.devices.pixels import average
from fouroptics.devices.sensor import PHOTON, CameraConfig, fixed_pattern
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show

CLEAR = 6.0  #: Standard deviations to the well, to 0 and to the highest number from which on no noise is cut off.
Pixels = tuple[Sequence[int], Sequence[int]]


def rectified(mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of max(X, 0) and of its square for a Gaussian X; `deviation` > 0.

    ``s phi(z) + m Phi(z)`` and ``(m^2 + s^2) Phi(z) + m s phi(z)`` with z = m / s, phi and Phi the density and the
    distribution of a standard Gaussian (the moments of a censored normal variable).
    """
    z = (mean / deviation).clamp(-13, 13)  # beyond, exp would leave what float32 holds, and be slow
    density, above = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi), torch.special.ndtr(z)
    first = deviation * density + mean * above
    return first, deviation.square() * above + mean * first


class Camera(nn.Module):
    """A camera: ``y = clip(rint(K (q + N(0, sigma_d) + offset) + black))`` with the charge q that a pixel keeps.

    ``q = e (1 - a e / W)``, ``e = min(Poisson(eta (1 + prnu) mu_p + mu_I t), W)`` for a full well W and nonlinearity a.
    A pixel is one number that the camera gives: n x n of the sensor if it bins them. Of those the light is taken as
    even where the well fills.

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
        self.well = config.well
        self.highest = 2**config.bits - 1
        self._bend = config.nonlinearity / config.well

    # ---- light -> photons --------------------------------------------------------------------------------------------

    def read(self, intensity: Tensor, grid: Grid, onto: Grid) -> Tensor:
        """Mean intensity over the photosensitive area of each pixel; see `fouroptics.devices.pixels.average`.

        Parameters
        ----------
        intensity : torch.Tensor
            W/m^2, (..., y, x).
        grid : Grid
            Where it is known; `fouroptics.devices.sensor.divided` makes a fine one. Its pitch need not divide that of
            the pixels.
        onto : Grid
            Centres of the pixels that are wanted: all of them, or one for each pixel of an image.

        Returns
        -------
        torch.Tensor
            (..., Y, X) in W/m^2, for `photons_for`.

        Warns
        -----
        SamplingWarning
            If a side of the area holds less than two samples, or the pixels reach beyond the samples.
        """
        n, pitch, side = self.config.binning, self.config.pitch, self.config.pitch * math.sqrt(self.config.fill_factor)
        coarse = max(grid.spacing)
        if coarse > side / 2 * (1 + 1e-6):
            warnings.warn(
                f"samples of {show(coarse, 'length', 4)} on pixels with a photosensitive side of "
                f"{show(side, 'length', 4)}: an average takes two samples a side at least; use samples of "
                f"{show(side / 2, 'length', 4)} or less",
                SamplingWarning,
                stacklevel=2,
            )
        return average(intensity, grid, onto, side, tuple((k - (n - 1) / 2) * pitch for k in range(n)))

    def photons(self, field: Field, exposure: float | None = None, onto: Grid | None = None) -> Tensor:
        """Mean photons a pixel, ``|u|^2 A t lambda / (h c)``.

        Parameters
        ----------
        field : Field
            (..., y, x). Left alone, its samples are at the centres of the pixels that are read, and count for them.
        exposure : float, optional
            In seconds; left out, that of the configuration.
        onto : Grid, optional
            Pixels over whose photosensitive area the intensity is averaged, by `read`.

        Returns
        -------
        torch.Tensor
            Real (..., y, x).

        Warns
        -----
        SamplingWarning
            Without `onto`, if the samples of the field lie closer than the pixels; with it, as `read` does.
        """
        seconds = self._seconds(exposure)
        if onto is not None:
            return self.photons_for(self.read(field.intensity, field.grid, onto), field.wavelength, seconds)
        pitch = self.config.pitch * self.config.binning
        if min(field.grid.spacing) < pitch * (1 - 1e-6):
            warnings.warn(
                f"{field.grid} on a camera with pixels of {show(pitch, 'length')}: each sample counts as a "
                "pixel, so the pixels overlap; propagate onto the pixels of the camera, or give onto= them",
                SamplingWarning,
                stacklevel=2,
            )
        return self.photons_for(field.intensity, field.wavelength, seconds)

    def photons_for(self, intensity: Tensor, wavelength: float, exposure: float) -> Tensor:
        """Mean photons a pixel for intensities in W/m^2, any shape; `exposure` in seconds."""
        for name, value in (("exposure", exposure), ("wavelength", wavelength)):
            if not 0 < value < math.inf:
                raise GeometryError(f"{name} = {value}: must be positive and finite")
        return intensity * (self.config.area * exposure * wavelength / PHOTON)

    def exposure_for(self, intensity: Tensor, wavelength: float) -> float:
        """Exposure in seconds at which intensities (W/m^2, any shape) give `mean_photons` a pixel on average."""
        intensity = torch.as_tensor(intensity)
        if intensity.is_complex() or not bool((intensity >= 0).all()):
            raise GeometryError("intensity: must be real and at least 0 everywhere; give |u|^2 in W/m^2")
        per_second = float(self.photons_for(intensity.double().mean(), wavelength, 1.0))
        if not (math.isfinite(per_second) and per_second > 0):
            raise GeometryError(
                f"{per_second} photons a second reach a pixel: there is no exposure; give images with light"
            )
        return self.config.mean_photons / per_second

    # ---- photons -> electrons ----------------------------------------------------------------------------------------

    def dark(self, exposure: float | None = None) -> float:
        """Mean dark electrons of a pixel, see `CameraConfig.dark`; `exposure` as for `photons`."""
        return self.config.dark(self._seconds(exposure)) if self.config.dark_current else 0.0

    def _seconds(self, exposure: float | None) -> float:
        seconds = self.config.exposure if exposure is None else exposure
        if seconds is None:
            raise GeometryError(
                "the exposure is 'auto': give exposure=camera.exposure_for(...), set once on training images"
            )
        if not 0 < seconds < math.inf:
            raise GeometryError(f"exposure = {seconds} s: must be positive and finite")
        return seconds

    def _electrons(self, light: Tensor | Field, exposure: float | None, pixels: Pixels | None) -> tuple[Tensor, Any]:
        """Mean electrons of light and dark current in a pixel without a full well, and its offset in electrons."""
        photons = self.photons(light, exposure) if isinstance(light, Field) else torch.as_tensor(light)
        fine = not photons.is_complex()
        if photons.dtype not in (torch.float32, torch.float64) and fine:
            photons = photons.float()
        if fine and photons.numel():
            least, most = photons.detach().aminmax()
            fine = bool((least >= 0) & (most < math.inf))
        if not fine:
            raise GeometryError("photons must be real, finite and at least 0; give |u|^2 in photons, or a Field")
        response, offset = self._maps(photons, pixels)
        electrons, dark = photons * (self.config.qe * response), self.dark(exposure)
        return (electrons + dark if dark else electrons), offset

    def _maps(self, photons: Tensor, pixels: Pixels | None) -> tuple[Any, Any]:
        """Relative response of each pixel, and its offset in electrons; 1.0 and 0.0 for an even sensor."""
        c, n = self.config, self.config.binning
        if c.prnu == c.dsnu == 0 or not photons.numel():
            return 1.0, 0.0
        if photons.ndim < 2:
            raise GeometryError(
                f"photons {tuple(photons.shape)}: pixels with a fixed pattern need the axes (..., y, x)"
            )
        top, left, *read = c.roi or (0, 0, *(c.shape or (math.inf, math.inf)))
        index = []
        for axis, (first, size) in enumerate(zip((top, left), read, strict=True)):
            count = photons.shape[axis - 2]
            cells = np.arange(count) if pixels is None else np.asarray(pixels[axis])
            whole = cells.shape == (count,) and cells.dtype.kind in "iu"
            if not whole or cells.min() < 0 or (int(cells.max()) + 1) * n > size:
                raise GeometryError(
                    f"photons {tuple(photons.shape)}, axis {'yx'[axis]}: not all of {cells.size} indices are pixels "
                    "that are read; give pixels=(rows, columns), the index of each row and of each column"
                )
            index.append(tuple((first + cells[:, None] * n + np.arange(n)).ravel().tolist()))
        maps = torch.from_numpy(fixed_pattern(c.fixed_pattern_seed, *index)).to(photons)
        mean = nn.functional.avg_pool2d(maps, n) if n > 1 else maps
        return (1 + c.prnu * mean[1]).clamp_min(0), c.dsnu * n**2 * mean[0]

    # ---- electrons -> numbers ----------------------------------------------------------------------------------------

    @property
    def _full(self) -> float:
        """Mean electrons from which on each exposure fills the well: 9 standard deviations, 1e-19 of them do not."""
        return self.well + 9 * math.sqrt(self.well) + 81

    def _bent(self, charge: Tensor) -> Tensor:
        return charge * (1 - self._bend * charge) if self._bend else charge

    def _kept(self, electrons: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the charge that a pixel keeps: a Gaussian in place of Poisson's law, cut at the well."""
        electrons = electrons.clamp_max(self._full)  # farther the squares of float32 would cancel
        spread, bend = electrons.clamp_min(1e-6).sqrt(), self._bend
        lost, square = rectified(electrons - self.well, spread)
        full = torch.special.ndtr((electrons - self.well) / spread)
        mean = electrons - lost
        variance = (electrons * (1 - 2 * full) + square - lost.square()).clamp_min(0)
        return mean - bend * (mean.square() + variance), variance * (1 - 2 * bend * mean).square()

    def _clear(self, offset: Any) -> tuple[float, float]:
        """Least and most electrons from which well and converter are `CLEAR` standard deviations away."""
        c = self.config
        least, most = (0.0, 0.0) if isinstance(offset, float) else (float(offset.min()), float(offset.max()))
        noise = c.noise(0)

        def below(ceiling: float, noise: float) -> float:
            return ((math.sqrt(CLEAR**2 + 4 * max(ceiling + noise, 0)) - CLEAR) / 2) ** 2 - noise

        room = CLEAR**2 - 4 * (c.black_level / c.gain + least - noise)
        lowest = ((CLEAR + math.sqrt(room)) / 2) ** 2 - noise if room > 0 else 0.0
        return lowest, min(below(self.well, 0), below((self.highest - c.black_level) / c.gain - most, noise))

    def expected(self, light: Tensor | Field, exposure: float | None = None, pixels: Pixels | None = None) -> Tensor:
        """Mean output in DN of many exposures, real valued; differentiable.

        The mean of the cut signal, not the cut of the mean: within 6 standard deviations of the full well, of 0 and of
        the highest number, shot noise counts as Gaussian, what the well leaves of it as Gaussian again, and rounding
        as noise of variance 1/12 DN^2. Elsewhere nothing is cut and the mean is ``K eta mu + black``.

        Parameters
        ----------
        light, exposure, pixels
            As for `forward`.

        Returns
        -------
        torch.Tensor
            DN, in the shape and precision of the photons.
        """
        c, bend = self.config, self._bend
        electrons, offset = self._electrons(light, exposure, pixels)
        kept = electrons - bend * (electrons.square() + electrons) if bend else electrons
        mean = c.gain * (kept + offset if isinstance(offset, Tensor) else kept) + c.black_level
        lowest, highest = self._clear(offset)
        least, most = electrons.detach().aminmax() if electrons.numel() else (lowest, highest)
        if lowest <= least and most <= highest:
            return mean
        beyond = electrons >= self._full
        mean = torch.where(beyond, self._cut(electrons.new_tensor(self._full), offset), mean)
        near = ((electrons < lowest) | (electrons > highest)) & ~beyond
        offset = offset.expand_as(electrons)[near] if isinstance(offset, Tensor) else offset
        return mean.masked_scatter(near, self._cut(electrons[near], offset))

    def _cut(self, electrons: Tensor, offset: Tensor | float) -> Tensor:
        """Mean of the number of a pixel that the well or the converter may cut."""
        c = self.config
        kept, variance = self._kept(electrons)
        mean = c.gain * (kept + offset) + c.black_level
        spread = (c.gain**2 * (variance + c.read_noise**2) + 1 / 12).sqrt()
        return rectified(mean, spread)[0] - rectified(mean - self.highest, spread)[0]

    def forward(
        self,
        light: Tensor | Field,
        generator: torch.Generator | None = None,
        exposure: float | None = None,
        pixels: Pixels | None = None,
    ) -> Tensor:
        """One noisy exposure.

        Parameters
        ----------
        light : torch.Tensor or Field
            Mean photons a pixel (...), or a field on the camera's pixels.
        generator : torch.Generator, optional
            Source of the noise; the same state gives the same frame. Left out, that of torch.
        exposure : float, optional
            In seconds, for a field and for the dark current; left out, that of the configuration.
        pixels : tuple of sequences of int, optional
            Which (rows, columns) of the pixels that are read these are, for the fixed pattern; left out, the first.

        Returns
        -------
        torch.Tensor
            Whole numbers in DN, 0 .. 2**bits - 1, in the dtype of the photons.
        """
        c = self.config
        electrons, offset = self._electrons(light, exposure, pixels)
        most = 2 * self.well + 1e3  # far beyond saturation a Poisson sample is the full well, and may overflow
        charge = torch.poisson(electrons.clamp_max(most), generator=generator).clamp_max(self.well)
        noisy = torch.empty_like(charge).normal_(0, 1, generator=generator).mul_(c.read_noise).add_(self._bent(charge))
        noisy = noisy.add_(offset) if isinstance(offset, Tensor) else noisy
        return noisy.mul_(c.gain).add_(c.black_level).round_().clamp_(0, self.highest)

    def differentiable(
        self,
        light: Tensor | Field,
        generator: torch.Generator | None = None,
        exposure: float | None = None,
        pixels: Pixels | None = None,
        whole: bool = True,
    ) -> Tensor:
        """One noisy exposure with a gradient: ``mean + sqrt(variance) eps`` with a Gaussian eps, then the converter.

        Mean and variance are those of `forward` up to a Gaussian in place of Poisson's law. The gradient passes
        straight through the rounding and is 0 where the converter cuts.

        Parameters
        ----------
        light, generator, exposure, pixels
            As for `forward`.
        whole : bool
            Round to whole numbers; False leaves the soft model, which is what the gradient is of.

        Returns
        -------
        torch.Tensor
            DN, in the shape and precision of the photons.
        """
        c = self.config
        electrons, offset = self._electrons(light, exposure, pixels)
        kept, variance = self._kept(electrons)
        draw = torch.empty_like(electrons).normal_(0, 1, generator=generator)
        spread = (variance + c.read_noise**2).clamp_min(1e-12).sqrt()
        number = (c.gain * (kept + spread * draw + offset) + c.black_level).clamp(0, self.highest)
        return number + (number.round() - number).detach() if whole else number

    # ---- what a lab asks ---------------------------------------------------------------------------------------------

    def saturated(self, light: Tensor | Field, exposure: float | None = None, pixels: Pixels | None = None) -> Tensor:
        """True where the mean signal reaches the full well or the highest number: about half of the exposures do."""
        electrons, offset = self._electrons(light, exposure, pixels)
        number = self.config.gain * (self._bent(electrons) + offset) + self.config.black_level
        return (electrons >= self.well) | (number >= self.highest)

    def snr(self, photons: float, exposure: float | None = None) -> float:
        """Signal-to-noise ratio, ``eta mu / sqrt(sigma_d^2 + mu_I t + 1/(12 K^2) + eta mu)``, of one exposure."""
        if not 0 <= photons < math.inf:
            raise GeometryError(f"photons = {photons}: give a finite number of at least 0")
        signal = self.config.qe * photons
        return signal / math.sqrt(self.config.noise(self.dark(exposure)) + signal)

    def frame_time(self, exposure: float | None = None) -> float:
        """Seconds from one frame to the next: exposure and readout, or what the frame rate allows."""
        taken = self._seconds(exposure) + self.config.readout_time
        return max(taken, 1 / self.config.frame_rate) if self.config.frame_rate else taken
