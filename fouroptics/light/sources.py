"""Sources on a grid: plane wave, Gaussian beam, point source, picture."""

import math
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.units import show

Coding = Literal["amplitude", "intensity", "phase", "binary"]
LARGEST = {torch.bool: 1, torch.uint8: 255, torch.uint16: 65535}  #: grey values that stand for 1


def axes(grid: Grid, device: torch.device | str | None = None) -> tuple[Tensor, Tensor]:
    """Coordinates of a grid as float64 tensors that broadcast: y (ny, 1) and x (1, nx), in metres."""
    y, x = (torch.from_numpy(axis).to(device) for axis in grid.coordinates())
    return y[:, None], x[None, :]


def plane_wave(
    grid: Grid,
    wavelength: float,
    *,
    power: float = 1.0,
    direction: Pair = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Field:
    """Uniform wave ``exp(i k (sy y + sx x))`` that carries `power` through the grid.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    wavelength : float
        In metres.
    power : float
        Power through the whole grid in watts.
    direction : tuple of float
        Direction sines (sy, sx): positive travels to +y, +x.
    dtype : torch.dtype
        complex64 or complex128.

    Returns
    -------
    Field
        Shape ``grid.shape``.

    Warns
    -----
    SamplingWarning
        If the tilt turns the phase by more than pi a sample.
    """
    if math.hypot(*direction) > 1:
        raise GeometryError(
            f"direction = {direction!r}: the direction sines of a travelling wave have a length of at most 1"
        )
    for sine, d in zip(direction, grid.spacing, strict=True):
        if abs(sine) * d > wavelength / 2:
            warnings.warn(
                f"a tilt of sine {sine:.4g} needs samples of {wavelength / 2 / abs(sine) * 1e6:.4g} um, the grid has "
                f"{d * 1e6:.4g} um: the wave is aliased; use a finer grid",
                SamplingWarning,
                stacklevel=2,
            )
    y, x = axes(grid)
    turns = (direction[0] * y + direction[1] * x) / wavelength
    amplitude = math.sqrt(power / (grid.cell * grid.shape[0] * grid.shape[1]))
    return Field(torch.polar(torch.full_like(turns, amplitude), 2 * math.pi * (turns % 1)).to(dtype), grid, wavelength)


def gaussian_beam(
    grid: Grid,
    wavelength: float,
    *,
    waist: float,
    power: float = 1.0,
    z: float = 0.0,
    center: Pair = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Field:
    """Fundamental Gaussian beam at a distance z behind its waist (Siegman, *Lasers*, ch. 17), paraxial.

    ``u = sqrt(2P/pi)/w exp(-r^2/w^2 + ikz + ik r^2/2R - i psi)`` with ``zR = pi w0^2/lambda``,
    ``w = w0 sqrt(1+(z/zR)^2)``, ``R = z(1+(zR/z)^2)``, ``psi = arctan(z/zR)``. Valid while the divergence
    ``lambda/(pi w0)`` is small against 1.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    wavelength : float
        In metres.
    waist : float
        1/e^2 intensity radius w0 at the waist, in metres.
    power : float
        Power of the whole beam in watts.
    z : float
        Distance from the waist in metres; negative before it.
    center : tuple of float
        Position (y, x) of the axis in metres.
    dtype : torch.dtype
        complex64 or complex128.

    Returns
    -------
    Field
        Shape ``grid.shape``.

    Raises
    ------
    GeometryError
        If the waist is not positive and finite.

    Warns
    -----
    SamplingWarning
        If its curvature turns the phase by more than pi a sample, or the waist is below 1.2 samples: then more than
        2e-4 of its light lies beyond their band.
    """
    if not 0 < waist < math.inf:
        raise GeometryError(f"waist = {waist}: must be positive and finite, in metres")
    y, x = axes(grid)
    r2 = (y - center[0]) ** 2 + (x - center[1]) ** 2
    rayleigh = math.pi * waist**2 / wavelength
    w = waist * math.hypot(1, z / rayleigh)
    curvature = z / (z**2 + rayleigh**2)  # 1/R
    if waist < 1.2 * max(grid.spacing):
        warnings.warn(
            f"a waist of {show(waist, 'length', 3)} is too small for samples of "
            f"{show(max(grid.spacing), 'length', 3)}: use samples of {show(0.99 * waist / 1.2, 'length', 3)} or less",
            SamplingWarning,
            stacklevel=2,
        )
    for n, d, c, c0 in zip(grid.shape, grid.spacing, grid.center, center, strict=True):
        edge = min(abs(c - c0) + n * d / 2, 2 * w)  # beyond, 3e-4 of the light are left
        if 2 * edge * abs(curvature) * d > wavelength:
            warnings.warn(
                f"a beam of {show(w, 'length', 3)} at {show(z, 'length', 4)} from its waist turns its phase by more "
                f"than pi a sample of {show(d, 'length', 3)}: use samples of "
                f"{show(wavelength / (2 * edge * abs(curvature)), 'length', 3)}",
                SamplingWarning,
                stacklevel=2,
            )
            break
    turns = z / wavelength % 1 - math.atan(z / rayleigh) / (2 * math.pi) + r2 * curvature / (2 * wavelength)
    amplitude = math.sqrt(2 * power / math.pi) / w * torch.exp(-r2 / w**2)
    return Field(torch.polar(amplitude, 2 * math.pi * (turns % 1)).to(dtype), grid, wavelength)


def point_source(
    grid: Grid,
    wavelength: float,
    *,
    distance: float,
    power: float = 1.0,
    center: Pair = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Field:
    """Spherical wave ``A exp(ikr) / r`` of a point before the plane; ``A exp(-ikr) / r`` if it converges to one behind.

    ``r^2 = distance^2 + (y - center_y)^2 + (x - center_x)^2``, and A is such that `power` goes through the grid.
    An exact solution of the Helmholtz equation, but for its point: not paraxial.

    Parameters
    ----------
    grid : Grid
        Where it is sampled.
    wavelength : float
        In metres.
    distance : float
        From the point to the plane in metres; negative converges to a point behind the plane.
    power : float
        Power through the whole grid in watts.
    center : tuple of float
        Position (y, x) of the point in metres.
    dtype : torch.dtype
        complex64 or complex128.

    Returns
    -------
    Field
        Shape ``grid.shape``.

    Raises
    ------
    GeometryError
        If the distance is 0 or not finite.

    Warns
    -----
    SamplingWarning
        If its curvature turns the phase by more than pi a sample.
    """
    z = abs(distance)
    if not (math.isfinite(z) and z > 0):
        raise GeometryError(f"distance = {distance!r}: must be finite and not 0, in metres; from afar take plane_wave")
    for n, d, c, c0 in zip(grid.shape, grid.spacing, grid.center, center, strict=True):
        edge = abs(c - c0) + n * d / 2
        sine = edge / math.hypot(edge, z)
        if n > 1 and sine * d > wavelength / 2 * (1 + 1e-9):
            warnings.warn(
                f"a point {show(distance, 'length', 4)} before the plane turns its phase by more than pi a sample of "
                f"{show(d, 'length', 3)} at {show(edge, 'length', 4)} from its axis: use samples of "
                f"{show(0.99 * wavelength / (2 * sine), 'length', 3)}, or a smaller grid",
                SamplingWarning,
                stacklevel=2,
            )
            break
    y, x = axes(grid)
    rho2 = (y - center[0]) ** 2 + (x - center[1]) ** 2
    r = (rho2 + z**2).sqrt()
    turns = (z / wavelength % 1 + (rho2 / (r + z) / wavelength) % 1) * math.copysign(1, distance)
    amplitude = 1 / r * (power / (grid.cell * (1 / r**2).sum())).sqrt()
    return Field(torch.polar(amplitude, 2 * math.pi * turns).to(dtype), grid, wavelength)


def from_image(
    image: NDArray[np.generic] | Tensor | str | Path,
    grid: Grid | float | Pair,
    wavelength: float,
    *,
    coding: Coding = "amplitude",
    power: float = 1.0,
    dtype: torch.dtype = torch.complex64,
) -> Field:
    """Uniform light of `power` that an image modulates, as `modulation` says; row 0 lies at the smallest y.

    Parameters
    ----------
    image : numpy.ndarray, torch.Tensor, str or Path
        Grey values (..., y, x): floats in [0, 1]; bools; or uint8 or uint16, which are divided by 255 or 65535. A
        tensor may need a gradient. A path is read by `picture`.
    grid : Grid, float or tuple of float
        Where it lies; or the pitch of its pixels in metres, on a grid of its shape about the axis.
    wavelength : float
        In metres.
    coding : {"amplitude", "intensity", "phase", "binary"}
        What a grey value means to the light.
    power : float
        Power through the whole grid in watts where the image is 1 everywhere; a darker image carries less.
    dtype : torch.dtype
        complex64 or complex128.

    Returns
    -------
    Field
        (..., y, x).

    Raises
    ------
    GeometryError
        If a value is not in [0, 1], the integers are of another kind, the image has another shape than the grid or
        looks like colours, or a file is no picture.
    """
    grey = _grey(picture(image) if isinstance(image, str | Path) else image)
    if grey.ndim < 2:
        raise GeometryError(f"image {tuple(grey.shape)}: give grey values (..., y, x)")
    if not isinstance(grid, Grid):
        if grey.ndim == 3 and grey.shape[-1] in (3, 4) and grey.shape[-2] > 4:
            raise GeometryError(
                f"image {tuple(grey.shape)} looks like colours (y, x, channel): give grey values (y, x)"
            )
        grid = Grid((grey.shape[-2], grey.shape[-1]), grid)
    height, width = grid.extent
    return Field(modulation(grey, coding) * math.sqrt(power / (height * width)), grid, wavelength).to(dtype)


def modulation(grey: Tensor, coding: Coding) -> Tensor:
    """What grey values g in [0, 1] do to the amplitude of light.

    ``amplitude``: g; ``intensity``: sqrt(g); ``phase``: exp(i pi g); ``binary``: 1 where g >= 1/2, else 0.

    Raises
    ------
    GeometryError
        If a value is not real and in [0, 1], or there is no such coding.
    """
    if grey.is_complex() or not bool(((grey >= 0) & (grey <= 1)).all()):
        raise GeometryError("image values must be real, in [0, 1]; scale the image, or give a Field for signed input")
    if coding == "amplitude":
        return grey
    if coding == "intensity":
        return grey.sqrt()
    if coding == "phase":
        return torch.polar(torch.ones_like(grey), math.pi * grey)
    if coding == "binary":
        return (grey >= 0.5).to(grey.dtype)
    raise GeometryError(f"coding = {coding!r}: give one of 'amplitude', 'intensity', 'phase', 'binary'")


def _grey(image: NDArray[np.generic] | Tensor) -> Tensor:
    tensor = image if isinstance(image, Tensor) else torch.from_numpy(np.array(image))
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor
    if tensor.dtype not in LARGEST:
        raise GeometryError(f"image of {tensor.dtype}: give bools, uint8, uint16, or floats in [0, 1]")
    return tensor.double() / LARGEST[tensor.dtype]


def picture(path: str | Path) -> Tensor:
    """Grey values (height, width) in [0, 1] of a picture, float32; row 0 is its top.

    Colours become luminance, what is transparent becomes dark, and the grey value is taken as it is (no gamma). 16-bit
    greys keep their depth.

    Raises
    ------
    GeometryError
        If the file is missing or is no picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=("PNG", "JPEG", "BMP")) as file:
            shown = ImageOps.exif_transpose(file)
    except FileNotFoundError:
        raise GeometryError(f"{path}: is not there; check the path of the picture") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise GeometryError(f"{path}: cannot be read as a picture ({error}); give a PNG, JPG or BMP") from None
    if shown.mode in ("LA", "PA", "RGBA") or "transparency" in shown.info:
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "black"), shown.convert("RGBA"))
    deep = shown.mode.startswith("I")  # 16 bit, which convert("L") would clip
    grey = np.asarray(shown.convert("I" if deep else "L"), np.float32) / np.float32(65535 if deep else 255)
    return torch.from_numpy(grey)
