"""Imaging: what a pupil makes of a point, of a frequency and of an object, in incoherent and in coherent light.

A pupil is a `Field`: the complex amplitude transmission, or the light itself, in the front focal plane of an ideal
lens. For a system with its pupil elsewhere, `focal_length` is the distance from the exit pupil to the image.
"""

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves.lenses import focal_grid, fourier_lens, transformed
from fouroptics.waves.transforms import Kernel, convolve, fast_length, fourier, irfft2, phasor, rfft2


def psf(pupil: Field, focal_length: float, onto: Grid | None = None) -> Tensor:
    """Point spread function ``|U(X, Y)|^2`` in the focal plane, U from `fourier_lens` (Goodman, sec. 6.2).

    In W/m^2 for a pupil in sqrt(W)/m: over a whole period lambda f / d its sum times the cell of `onto` is
    ``pupil.power()``, and its value on the axis is ``|sum p dy dx|^2 / (lambda f)^2``. For unit sum multiply by
    ``onto.cell / pupil.power()``.

    Parameters
    ----------
    pupil : Field
        Batch of pupils (..., y, x); it may fill its grid.
    focal_length : float
        In metres.
    onto : Grid, optional
        Grid of the image plane; left out, the pitch is ``lambda f / (n d)`` with as many samples, half as fine as an
        intensity needs to be interpolated.

    Returns
    -------
    torch.Tensor
        Real (..., Y, X).

    Warns
    -----
    SamplingWarning
        If `onto` reaches beyond the period lambda f / d.
    """
    return fourier_lens(pupil, focal_length, onto).intensity


def otf(pupil: Field, focal_length: float, onto: Grid | None = None) -> tuple[Grid, Tensor]:
    """Optical transfer function: the transform of the PSF, 1 at zero frequency.

    ``H(v) = int psf exp(-2 pi i v X) dX / int psf = int p(x) p*(x + lambda f v) dx / int |p|^2 dx`` (Goodman,
    sec. 6.3), a linear autocorrelation: nothing wraps, and it ends at the cut-off D / (lambda f). It is exact for the
    samples at multiples of d / (lambda f); between them it is the transform of one period of the PSF, which rings where
    the pupil has edges.

    An edge cell of amplitude c holds the power c^2. Where c is the covered part (`shapes.circle`) a pupil so has less
    power than its area, and H is too high by the factor 1 + 0.17 d perimeter / area, 0.26 % for a circle of 256 samples
    across. ``H * pupil.power() / area`` is right to second order, except within some d / (lambda f) of zero frequency.

    Parameters
    ----------
    pupil : Field
        Batch of pupils (..., y, x); it may fill its grid.
    focal_length : float
        In metres.
    onto : Grid, optional
        Frequencies in cycles/m; left out, multiples of d / (lambda f) up to the cut-off, (2 ny - 1, 2 nx - 1).

    Returns
    -------
    Grid
        The frequencies in cycles/m in the image plane: ``fy, fx = grid.coordinates()``.
    torch.Tensor
        Complex (..., fy, fx).
    """
    scale = pupil.wavelength * focal_length
    if not (math.isfinite(scale) and scale > 0):
        raise GeometryError(f"focal_length = {focal_length!r}: must be finite and positive, in metres")
    (ny, nx), (dy, dx) = pupil.grid.shape, pupil.grid.spacing
    onto = onto or Grid((2 * ny - 1, 2 * nx - 1), (dy / scale, dx / scale))
    reach = [abs(c) + n // 2 * d for n, d, c in zip(onto.shape, onto.spacing, onto.center, strict=True)]
    my, mx = (  # samples of one period: the autocorrelation, n wide, comes again beyond the last frequency
        fast_length(n + max(n - 1, math.ceil(edge * scale / d)))
        for n, d, edge in zip((ny, nx), (dy, dx), reach, strict=True)
    )
    image = Grid((my, mx), (scale / (my * dy), scale / (mx * dx)))
    intensity = psf(pupil, focal_length, image).to(pupil.data.dtype)
    return onto, fourier(intensity, image, onto, 1.0) * (image.cell / pupil.power())[..., None, None]


def mtf(pupil: Field, focal_length: float, onto: Grid | None = None) -> tuple[Grid, Tensor]:
    """Modulation transfer function, the modulus of `otf`: frequencies in cycles/m and real values (..., fy, fx)."""
    frequencies, values = otf(pupil, focal_length, onto)
    return frequencies, values.abs()


def incoherent(image: Tensor, grid: Grid, pupil: Field, focal_length: float) -> Tensor:
    """Image of an object in incoherent light: the ideal image convolved with the PSF of unit sum (Goodman, sec. 6.3).

    Linear: what the PSF carries beyond the grid is lost, nothing comes in from the other side, and the rest of the
    power is kept. What the pupil absorbs is a factor that is not in here.

    Parameters
    ----------
    image : torch.Tensor
        Intensity (..., y, x) that geometrical optics puts on `grid`; its batch broadcasts against that of the pupil. An
        object with magnification -M lies flipped on ``object_grid.inverted(M)``, its intensity divided by M^2.
    grid : Grid
        Samples of the image plane.
    pupil : Field
        Batch of pupils (..., y, x), in any unit.
    focal_length : float
        In metres.

    Returns
    -------
    torch.Tensor
        Real (..., y, x) on `grid`, in the unit of `image` and the precision of the pupil; nowhere negative where
        `image` is not.

    Warns
    -----
    SamplingWarning
        If the grid is too coarse for the cut-off of the pupil's grid, or twice the grid reaches beyond the period
        lambda f / d of the PSF.
    """
    if tuple(image.shape[-2:]) != grid.shape:
        raise GeometryError(f"image {tuple(image.shape)} does not end in the shape of its grid, {grid.shape}")
    ny, nx = grid.shape
    shape = (fast_length(2 * ny - 1), fast_length(2 * nx - 1))
    spread = psf(pupil, focal_length, Grid((2 * ny - 1, 2 * nx - 1), grid.spacing))  # every difference of two samples
    _warn_if_coarse(grid, pupil, focal_length)
    unit = grid.cell / (shape[0] * shape[1]) / pupil.power()
    kernel = spread * unit[..., None, None]
    whole = irfft2(rfft2(image.to(kernel), shape) * rfft2(kernel, shape), shape)
    lowest = image.detach().amin((-2, -1), keepdim=True).clamp_max(0)  # no mean with weights is lower: only rounding is
    return whole[..., ny - 1 : 2 * ny - 1, nx - 1 : 2 * nx - 1].clamp(min=lowest.to(whole))


def _warn_if_coarse(grid: Grid, pupil: Field, focal_length: float) -> None:
    for d, aperture in zip(grid.spacing, pupil.grid.extent, strict=True):
        finest = pupil.wavelength * focal_length / aperture
        if 2 * d > finest * (1 + 1e-9):
            warnings.warn(
                f"incoherent: a pupil of {show(aperture, 'length', 4)} passes periods down to "
                f"{show(finest, 'length', 4)}, samples of {show(d, 'length', 4)} hold them down to "
                f"{show(2 * d, 'length', 4)} and alias the rest; use samples of {show(finest / 2, 'length', 3)}, or "
                "cut the grid of the pupil to its aperture",
                SamplingWarning,
                stacklevel=3,
            )
            return


def coherent(u: Field, pupil: Field, f1: float, f2: float, onto: Grid | None = None) -> Field:
    """Image of a field through an ideal 4f: lens transform, pupil, lens transform.

    An open pupil gives ``-(f1/f2) u(-x f1/f2, -y f1/f2)``, inverted and with its sign. The samples of a pupil with
    pitch D repeat the object with the period lambda f1 / D: what the pupil moves or spreads farther comes round.

    Parameters
    ----------
    u : Field
        In the front focal plane of the first lens, (..., y, x).
    pupil : Field
        Amplitude transmission (..., fy, fx) in the plane between the lenses, at most 1 if passive; its batch broadcasts
        against that of `u`.
    f1, f2 : float
        Focal lengths in metres.
    onto : Grid, optional
        Grid of the image plane; left out, ``u.grid.inverted(f2 / f1)``, on which ``data.flip((-2, -1))`` is upright.

    Returns
    -------
    Field
        On `onto`, same dtype as `u`.

    Raises
    ------
    GeometryError
        If the pupil belongs to another wavelength, or a focal length is not positive and finite.

    Warns
    -----
    SamplingWarning
        If the pupil reaches beyond the period lambda f1 / d of the spectrum, or if its samples are so coarse that a
        part of the object, repeated, falls into `onto`.
    """
    if pupil.wavelength != u.wavelength:
        raise GeometryError(
            f"the pupil has a wavelength of {show(pupil.wavelength, 'length')}, the field of "
            f"{show(u.wavelength, 'length')}; give the pupil the wavelength of the field"
        )
    ratio = _ratio(f1, f2)
    if onto is None and pupil.data.ndim == 2 and pupil.grid == focal_grid(u, f1):
        return prepared(pupil, u, f1, f2)(u)
    spectrum = fourier_lens(u, f1, pupil.grid).modulate(pupil.data)
    onto = onto or u.grid.inverted(ratio)
    _warn_about_ghost(u, pupil, f1, onto.inverted(1 / ratio))
    return transformed(spectrum, f2, onto)


def _ratio(f1: float, f2: float) -> float:
    for name, f in (("f1", f1), ("f2", f2)):
        if not 0 < f < math.inf:
            raise GeometryError(f"{name} = {f}: must be positive and finite, in metres")
    return f2 / f1


def _warn_about_ghost(u: Field, pupil: Field, f1: float, seen: Grid) -> None:
    """Warn if a place of the object plane that is seen lies a period or more from a sample of the object."""
    for axis, pitch in enumerate(pupil.grid.spacing):
        period = u.wavelength * f1 / pitch
        (low, high), (first, last) = (grid.coordinates()[axis][[0, -1]] for grid in (u.grid, seen))
        span = float(max(high - first, last - low))
        if span > period * (1 + 1e-9):
            warnings.warn(
                f"coherent: pupil samples of {show(pitch, 'length', 4)} repeat the object every "
                f"{show(period, 'length', 4)}, the image shows {show(span, 'length', 4)}: use pupil samples of "
                f"{show(0.99 * u.wavelength * f1 / span, 'length', 3)} or less, or a smaller image",
                SamplingWarning,
                stacklevel=3,
            )
            return


def prepared(pupil: Field, like: Field, f1: float, f2: float) -> Callable[[Field], Field]:
    """`coherent` for many fields like one: what depends on the pupil alone is done once.

    Where the pupil fits one FFT of the field, two lens transforms are one filter, and no sample has to be shifted but
    those of the pupil.

    Parameters
    ----------
    pupil : Field
        Amplitude transmission (fy, fx) on ``fourier_lens(like, f1).grid``.
    like : Field
        Gives grid, wavelength, dtype and device of the fields to come.
    f1, f2 : float
        Focal lengths in metres.

    Returns
    -------
    callable
        Maps a field (..., y, x) to its image on ``like.grid.inverted(f2 / f1)``.

    Raises
    ------
    GeometryError
        If a focal length is not positive and finite, the pupil is a batch or lies on another grid; from the callable,
        if a field lies on another grid.
    """
    ratio = _ratio(f1, f2)
    if pupil.data.ndim != 2 or pupil.grid != focal_grid(like, f1):
        raise GeometryError(
            f"pupil {tuple(pupil.data.shape)} on {pupil.grid}: give one, on {focal_grid(like, f1)} about the axis, "
            "or use coherent()"
        )
    ny, nx = like.grid.shape
    rolled = pupil.data.to(like.data).roll((-(ny // 2), -(nx // 2)), (-2, -1))
    # Two forward transforms turn the image, and it starts with sample 0, which is to be the last: one sample on.
    y, x = (phasor(torch.arange(n, device=rolled.device, dtype=torch.float64) / -n).to(rolled) for n in (ny, nx))
    kernel = Kernel(rolled, y * (-1 / ratio / (ny * nx)), x).dense()
    image_grid = like.grid.inverted(ratio)

    def image(u: Field) -> Field:
        if u.grid != like.grid or u.wavelength != like.wavelength:
            raise GeometryError(f"the field has {u.grid}, the 4f was prepared for {like.grid}: prepare another")
        return u.replace(data=convolve(u.data, kernel, u.grid.shape, turned=True), grid=image_grid)

    return image


def strehl(pupil: Field) -> Tensor:
    """Strehl ratio ``|int p|^2 / (int |p|)^2``: the PSF on the axis over that of the same pupil without its phase.

    Exact for the samples, with the amplitude as the weight (Born and Wolf, sec. 9.1); for small phases
    ``exp(-variance)`` comes near it. A tilt moves the PSF off the axis and counts as an aberration.

    Parameters
    ----------
    pupil : Field
        Batch of pupils (..., y, x).

    Returns
    -------
    torch.Tensor
        Real (...), in [0, 1].
    """
    return pupil.data.sum((-2, -1)).abs().square() / pupil.data.abs().sum((-2, -1)).square()
