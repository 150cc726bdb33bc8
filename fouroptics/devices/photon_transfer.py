"""Photon transfer: the figures of a camera from its frames, by the linear model of EMVA 1288 Release 4.0.

`measure` takes the frames itself, from a simulated camera or from a function that drives a real one; `fit` is for
frames that lie on a disk. A frame is anything that numpy makes an array (y, x) of.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from fouroptics.devices.camera import Camera
from fouroptics.errors import GeometryError

Values = NDArray[np.float64]
Moments = tuple[Values, Values]
Stacks = tuple[Iterable[ArrayLike], Iterable[ArrayLike]]
QUANTISATION, FLOOR = 1 / 12, 0.24  #: Variances in DN^2: of rounding, and the least dark one that says something.


@dataclass(frozen=True)
class PhotonTransfer:
    """Figures of a camera, with the names of the standard; NaN where the frames do not tell.

    Attributes
    ----------
    gain : float
        K in DN per electron.
    qe : float
        eta, electrons a photon.
    read_noise : float
        sigma_d in electrons.
    dark_current, dark_current_by_variance : float
        mu_I in electrons a second, from the means and from the variances of the dark frames.
    dsnu, prnu : float
        DSNU1288 in electrons, PRNU1288 as a fraction.
    saturation : float
        mu_p.sat: photons at the greatest temporal variance.
    threshold : float
        mu_p.min: photons of a signal-to-noise ratio of 1.
    snr_max, dynamic_range : float
        ``sqrt(mu_e.sat)``, ``mu_p.sat / mu_p.min``.
    linearity_error : tuple of float
        LE: least and largest relative deviation from the line, as fractions.
    steps : int
        How many are in the fit of the gain, up to 70 % of saturation.
    """

    gain: float
    qe: float
    read_noise: float
    dark_current: float
    dark_current_by_variance: float
    dsnu: float
    prnu: float
    saturation: float
    threshold: float
    snr_max: float
    dynamic_range: float
    linearity_error: tuple[float, float]
    steps: int


def temporal(pairs: Iterable[Sequence[ArrayLike]]) -> tuple[Values, Values]:
    """Mean and temporal variance (n) of pairs of frames A, B of even light.

    ``var = mean((A - B)^2) / 2 - (mean A - mean B)^2 / 2``: what differs from pixel to pixel drops out, and so does a
    lamp that drifts between the two.
    """
    means, variances = [], []
    for i, pair in enumerate(pairs):
        both = [_frame(frame, f"pair {i}") for frame in pair]
        if len(both) != 2 or both[0].shape != both[1].shape:
            raise GeometryError(
                f"pair {i}: frames {', '.join(str(f.shape) for f in both)}; give two of one shape (y, x)"
            )
        first, second = both
        means.append((first.mean() + second.mean()) / 2)
        variances.append(np.square(first - second).mean() / 2 - (first.mean() - second.mean()) ** 2 / 2)
    return np.array(means), np.array(variances)


def spatial(frames: Iterable[ArrayLike]) -> tuple[float, float]:
    """Mean and spatial variance of L frames of the same light, without the temporal noise that their mean still has.

    ``s^2 = s^2_measured - sigma^2_stack / L``, s^2_measured of the mean frame, sigma^2_stack the mean temporal
    variance of a pixel.
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for frame in frames:  # Welford's recurrence: one frame at a time
        values = _frame(frame, f"frame {count}")
        if count and values.shape != mean.shape:
            raise GeometryError(f"frame {count}: {values.shape} after {mean.shape}; give frames of one shape")
        count, step = count + 1, values - mean
        mean = mean + step / count
        squares = squares + step * (values - mean)
    if count < 2 or mean.size < 2:
        raise GeometryError(
            f"{count} frames {mean.shape}: the spatial variance takes 2 of 2 pixels at least, 100 for a weak pattern"
        )
    return float(mean.mean()), float(mean.var(ddof=1) - squares.mean() / (count - 1) / count)


def fit(
    photons: ArrayLike,
    exposure: ArrayLike,
    bright: Iterable[Sequence[ArrayLike]],
    dark: Iterable[Sequence[ArrayLike]],
    stacks: Stacks | None = None,
) -> PhotonTransfer:
    """Figures of a camera from pairs of frames of even light, and in the dark.

    K is the slope of ``var - var.dark`` over ``mean - mean.dark``, R = K eta that of ``mean - mean.dark`` over the
    photons, both through 0 and up to 70 % of saturation; ``sigma_d = sqrt(var.dark - 1/12) / K``;
    ``mu_p.min = (sqrt(var.dark) / K + 1/2) / eta``; the line of the linearity error is fitted with the weights
    1 / mean^2 from 5 to 95 % of saturation. `var.dark` is that of exposure 0 if the exposures differ, else the mean.
    With P pixels and n steps in the fit the relative standard deviation of K and eta is
    ``sqrt(2 / P) 1.34 / sqrt(n)``.

    Parameters
    ----------
    photons : array_like
        (n) mean photons a pixel at each step, at least 3, from some per cent of saturation to beyond it.
    exposure : array_like
        (n) seconds.
    bright, dark : iterable
        n pairs of frames (y, x) in DN, with light and without. They are read once, so a generator may load them.
    stacks : tuple of iterable, optional
        Frames of one exposure at 50 % of saturation, and dark ones, 100 of each, for PRNU and DSNU.

    Returns
    -------
    PhotonTransfer
        Its figures.

    Raises
    ------
    GeometryError
        If the lengths differ, frames are not two-dimensional and finite, or no light is seen.
    """
    return _figures(np.asarray(photons, float), np.asarray(exposure, float), temporal(bright), temporal(dark), stacks)


def _figures(light: Values, seconds: Values, bright: Moments, dark: Moments, stacks: Stacks | None) -> PhotonTransfer:
    (mean, variance), (mean_dark, variance_dark) = bright, dark
    if not (len(mean) == len(mean_dark) == light.size == seconds.size >= 3):
        raise GeometryError(
            f"{light.size} photons, {seconds.size} exposures, {len(mean)} bright and {len(mean_dark)} dark pairs: "
            "give as many of each, 3 at least"
        )
    signal, full = mean - mean_dark, int(variance.argmax())
    used = (signal <= 0.7 * signal[full]) & (light <= light[full])
    if not (light > 0).all() or not signal[full] > 0 or used.sum() < 2:
        raise GeometryError("no photon transfer: give rising numbers of photons above 0 up to saturation, in order")
    gain = _through_zero(signal[used], (variance - variance_dark)[used])
    qe = _through_zero(light[used], signal[used]) / gain
    drift, zero = _line(seconds, mean_dark), _line(seconds, variance_dark)
    noise = max(zero[1], FLOOR)
    threshold = (math.sqrt(noise) / gain + 0.5) / qe
    dsnu, prnu = _uniformity(stacks, gain) if stacks else (math.nan, math.nan)
    return PhotonTransfer(
        gain=gain,
        qe=qe,
        read_noise=math.sqrt(noise - QUANTISATION) / gain,
        dark_current=drift[0] / gain,
        dark_current_by_variance=zero[0] / gain**2,
        dsnu=dsnu,
        prnu=prnu,
        saturation=float(light[full]),
        threshold=threshold,
        snr_max=math.sqrt(qe * light[full]),
        dynamic_range=float(light[full]) / threshold,
        linearity_error=_linearity(light, signal, signal[full]),
        steps=int(used.sum()),
    )


def measure(
    expose: Callable[[float, float], Any],
    photons: Sequence[float],
    exposure: Sequence[float],
    images: int = 100,
) -> PhotonTransfer:
    """Take the frames and fit them: two with light and two without at each step, and two stacks for the pattern.

    Parameters
    ----------
    expose : callable
        ``expose(photons, seconds)`` gives one frame (y, x) in DN, with 0 photons a dark one; `frames` makes one of a
        `Camera`.
    photons, exposure : sequence of float
        Mean photons a pixel and seconds of each step, as for `fit`.
    images : int
        Frames in a stack; 0 takes none, and DSNU and PRNU are NaN.

    Returns
    -------
    PhotonTransfer
        Its figures.

    Raises
    ------
    GeometryError
        As `fit` does.
    """
    if len(photons) != len(exposure) or images < 0 or images == 1:
        raise GeometryError(
            f"{len(photons)} photons, {len(exposure)} exposures, images = {images}: give as many of each, and 0 images "
            "or 2 at least"
        )
    steps = list(zip(photons, exposure, strict=True))
    bright = temporal((expose(p, t), expose(p, t)) for p, t in steps)
    dark = temporal((expose(0.0, t), expose(0.0, t)) for _, t in steps)
    light, seconds, stacks = np.asarray(photons, float), np.asarray(exposure, float), None
    if images:
        half, t = steps[int(np.abs(light - light[bright[1].argmax()] / 2).argmin())]
        stacks = (expose(half, t) for _ in range(images)), (expose(0.0, t) for _ in range(images))
    return _figures(light, seconds, bright, dark, stacks)


def frames(
    camera: Camera, shape: tuple[int, int], generator: torch.Generator | None = None
) -> Callable[[float, float], torch.Tensor]:
    """Return ``expose(photons, seconds)`` for `measure`: one noisy frame (y, x) of `camera` in even light."""

    def expose(photons: float, seconds: float) -> torch.Tensor:
        return camera(torch.full(shape, float(photons)), generator, exposure=seconds)

    return expose


def _frame(frame: ArrayLike, name: str) -> Values:
    values = np.asarray(frame, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise GeometryError(f"{name}, {values.shape}: give finite arrays (y, x) with pixels")
    return values


def _through_zero(x: Values, y: Values) -> float:
    return float((x * y).sum() / (x * x).sum())


def _line(seconds: Values, values: Values) -> tuple[float, float]:
    """Slope and value at 0 s; of less than three exposures NaN and the mean."""
    if len(np.unique(seconds)) < 3:
        return math.nan, float(values.mean())
    slope, start = np.polyfit(seconds, values, 1)
    return float(slope), float(start)


def _linearity(light: Values, signal: Values, full: float) -> tuple[float, float]:
    inside = (signal >= 0.05 * full) & (signal <= 0.95 * full)
    if inside.sum() < 3:
        return math.nan, math.nan
    x, y = light[inside], signal[inside]
    line = np.polyval(np.polyfit(x, y, 1, w=1 / y), x)
    return float((y / line - 1).min()), float((y / line - 1).max())


def _uniformity(stacks: Stacks, gain: float) -> tuple[float, float]:
    """DSNU in electrons and PRNU as a fraction."""
    (mean, variance), (mean_dark, variance_dark) = spatial(stacks[0]), spatial(stacks[1])
    prnu = math.sqrt(max(variance - variance_dark, 0)) / (mean - mean_dark)
    return math.sqrt(max(variance_dark, 0)) / gain, prnu
