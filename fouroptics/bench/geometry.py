"""Geometry: where a bench puts its band, its replicas and its windows, for one wavelength. Imports no torch."""

import math
from dataclasses import dataclass

from fouroptics.bench.settings import FourFConfig
from fouroptics.light.grid import Pair

Place = tuple[int, int]
GUARD = 1  #: image pixels between the taps of a kernel and the window of the next


@dataclass(frozen=True)
class Geometry:
    """Lengths and counts of a bench along (y, x); N pixels of pitch p on the display, p_slm on the panel.

    Attributes
    ----------
    wavelength : float
        In metres; the focal lengths f1, f2 are those at it.
    magnification : float
        f2/f1.
    fourier_pitch : tuple of float
        One cycle over the image on the panel, ``lambda f1 / (N p)``, in metres.
    band : tuple of float
        One band of the display, ``lambda f1 / p``, in panel pixels; those of a tilted panel are ``p_slm cos`` wide.
    replicas : tuple of float
        Distance of the panel's replicas in the camera plane, ``lambda f2 / p_slm``, in metres.
    iris : tuple of float
        Height and width of what passes the Fourier plane, in metres.
    window : tuple of float
        Camera pixels that the image of the display covers.
    zero_order : tuple of float
        Centre of the undiffracted image, ``lens2 + (f2/f1) lens1 - camera``, in metres from the camera's axis.
    reach : tuple of float
        Farthest centre of a window that the camera holds and the replicas leave free,
        ``min(camera/2 - N/2, band/2 - (N - 1))``, in image pixels; below 0 where not even one on the axis fits.
    step : tuple of int
        Distance of two windows in image pixels: no tap of a kernel lies where an image could bring it into the window
        of another, ``N + taps//2``, with a guard of one pixel.
    shape : tuple of int
        Pixels N of the display.
    """

    wavelength: float
    magnification: float
    fourier_pitch: Pair
    band: Pair
    replicas: Pair
    iris: Pair
    window: Pair
    zero_order: Pair
    reach: Pair
    step: tuple[int, int]
    shape: tuple[int, int]

    @property
    def first(self) -> tuple[int, int]:
        """Distance of the innermost windows from the axis, in image pixels; see `lattice`."""
        return self.shape[0] + GUARD, self.shape[1] + GUARD

    @property
    def windows(self) -> tuple[int, int]:
        """Windows that fit, as a lattice on both sides of the axis: rows and columns, both even."""
        y, x = (
            2 * (math.floor((far - near) / step) + 1) if far >= near else 0
            for far, near, step in zip(self.reach, self.first, self.step, strict=True)
        )
        return y, x

    def prescribed(self, kernels: int) -> float:
        """Fraction of the plane (a band in y and x) in which so many windows, the innermost, prescribe the response.

        In each quarter lies a square of ``sqrt(kernels) / 2`` windows a side, which overlap.
        """
        rows, part = max(math.sqrt(kernels) / 2, 1.0), 1.0
        for n, apart, band in zip(self.shape, self.step, self.band, strict=True):
            part *= ((rows - 1) * apart + 2 * n - 1) / band
        return min(kernels, 4) * part


def lattice(reach: Pair, step: tuple[int, int], first: tuple[int, int]) -> list[Place]:
    """Centres (y, x) of windows, `first` and then `step` further off the axis up to `reach`, the nearest first.

    With `first` wider than the image no window holds a displacement without a part along y or along x: there lies the
    light that the panel does not diffract, and the cross that pixels and edges draw through it.
    """
    y, x = (
        [sign * at for at in range(near, math.floor(max(far, 0)) + 1, apart) for sign in (-1, 1)]
        for far, apart, near in zip(reach, step, first, strict=True)
    )
    return sorted(((a, b) for a in y for b in x), key=lambda at: (at[0] ** 2 + at[1] ** 2, at))


def focal_lengths(config: FourFConfig, wavelength: float) -> Pair:
    """Focal lengths of both lenses at a wavelength, ``f + focal_slope (wavelength - light.wavelength)``."""
    off = wavelength - config.light.wavelength
    return config.lens1.at(off).focal_length, config.lens2.at(off).focal_length


def step(shape: tuple[int, int], taps: int, guard: int = GUARD) -> tuple[int, int]:
    """Distance of two windows of images of `shape` (y, x) pixels: see `Geometry`."""
    return shape[0] + taps // 2 + guard, shape[1] + taps // 2 + guard


def geometry(config: FourFConfig, wavelength: float | None = None, taps: int = 9) -> Geometry:
    """Geometry of a bench.

    Parameters
    ----------
    config : FourFConfig
        The bench.
    wavelength : float, optional
        In metres; left out, that of the bench. Both lenses must be positive there.
    taps : int
        Taps of a kernel along an axis.
    """
    wavelength = wavelength or config.light.wavelength
    f1, f2 = focal_lengths(config, wavelength)
    pitch, n, poses = config.input.pitch, config.input.shape, config.poses
    pixel, sensor, big = config.fourier_grid.spacing, config.camera_grid, pitch * f2 / f1
    band = wavelength * f1 / (pitch * pixel[0]), wavelength * f1 / (pitch * pixel[1])

    def reach(axis: int) -> float:
        return min(sensor.extent[axis] / (2 * big) - n[axis] / 2, band[axis] / 2 - (n[axis] - 1))

    return Geometry(
        wavelength=wavelength,
        magnification=f2 / f1,
        fourier_pitch=(wavelength * f1 / (n[0] * pitch), wavelength * f1 / (n[1] * pitch)),
        band=band,
        replicas=(wavelength * f2 / pixel[0], wavelength * f2 / pixel[1]),
        iris=config.fourier_grid.extent,
        window=(n[0] * big / sensor.spacing[0], n[1] * big / sensor.spacing[1]),
        zero_order=(
            poses.lens2.y + f2 / f1 * poses.lens1.y - poses.camera.y,
            poses.lens2.x + f2 / f1 * poses.lens1.x - poses.camera.x,
        ),
        reach=(reach(0), reach(1)),
        step=step(n, taps),
        shape=n,
    )
