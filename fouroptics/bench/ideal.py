"""The Fourier model: each arm of the bench is one transform, exact for paraxial light and ideal lenses.

The parts may stand anywhere near their places: an arm is the integral of S. A. Collins (J. Opt. Soc. Am. 60, 1168,
1970) over a thin lens between two stretches of free space. It is seen in the frame of the panel where that is turned
about the axis.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fouroptics.bench.settings import FourFConfig
from fouroptics.light import resample
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.waves.transforms import fourier, phasor

Points = tuple[Tensor, Tensor]


def front(config: FourFConfig, u: Field) -> Callable[[Grid], Field]:
    """From the display to the panel: a function of the grid there.

    Its light is that of points at the pixel centres; what the size of the pixels does is the factor `pixel_spectrum`.
    """
    lens, panel, f = config.poses.lens1, config.poses.panel, config.lens1.focal_length
    way = Arm(f, f + lens.z, f + panel.z - lens.z, (lens.y, lens.x))
    slope = math.tan(config.tilt)

    def at(plane: Grid) -> Field:
        if panel.rotation == 0:
            return _slanted(way, u, plane, slope, panel.x, first=False) if slope else way(u, plane)
        return _sampled(way, u, turned(plane, (panel.y, panel.x), panel.rotation), plane)

    return at


def back(config: FourFConfig, u: Field, onto: Grid) -> Field:
    """From behind the mask to the camera plane."""
    panel, lens, camera = config.poses.panel, config.poses.lens2, config.poses.camera
    f, about, slope = config.lens2.focal_length, (panel.y, panel.x), math.tan(config.tilt)
    way = Arm(f, f + lens.z - panel.z, f + camera.z - lens.z, (lens.y, lens.x))
    if panel.rotation == camera.rotation == 0:
        return _slanted(way, u, onto, slope, panel.x, first=True) if slope else way(u, onto)
    y, x = turned(onto, (camera.y, camera.x), camera.rotation)
    center = [torch.tensor(place, dtype=torch.float64) for place in way.center]
    seen = _turn(y, x, about, -panel.rotation)  # all as the panel sees it
    y, x = _turn(center[0], center[1], about, -panel.rotation)
    return _sampled(replace(way, center=(float(y), float(x))), u, seen, onto)


@dataclass(frozen=True)
class Arm:
    """Free space, thin lens, free space, without the phase of their lengths.

    ``U(X) = 1/(i lambda B) int u(x) exp(i pi (A x^2 - 2 x X + D X^2) / (lambda B)) dx`` about the centre of the lens,
    with ``A = 1 - after/f``, ``B = before + after - before after/f``, ``D = 1 - before/f``.

    Attributes
    ----------
    focal_length, before, after : float
        In metres.
    center : tuple of float
        Of the lens, (y, x), in metres.
    """

    focal_length: float
    before: float
    after: float
    center: Pair

    def scale(self, wavelength: float) -> float:
        """``lambda B`` in m^2."""
        return wavelength * (self.before + self.after - self.before * self.after / self.focal_length)

    def __call__(self, u: Field, onto: Grid) -> Field:
        """Field (..., y, x) in the plane behind."""
        scale = self.scale(u.wavelength)
        source, target = (grid.shifted(-self.center[0], -self.center[1]) for grid in (u.grid, onto))
        first, last = ((1 - way / self.focal_length) / scale for way in (self.after, self.before))
        data = fourier(_curved(u.data, source, first), source, target, scale) * complex(0, -source.cell / scale)
        return u.replace(data=_curved(data, target, last), grid=onto)


def _curved(data: Tensor, grid: Grid, bend: float) -> Tensor:
    """Multiply by ``exp(i pi bend r^2)``."""
    if bend == 0:
        return data
    y, x = axes(grid, data.device)
    return data * phasor(bend / 2 * (y**2 + x**2)).to(data.dtype)


def _slanted(way: Arm, u: Field, onto: Grid, slope: float, pivot: float, *, first: bool) -> Field:
    """An arm whose first or last plane slants: column x of it lies ``slope (x - pivot)`` farther down the bench.

    Each column has its own A (or D), so the transform along x is a matrix product and the one along y takes a phase of
    the column. What is of second order in the slope and in the offsets along the axis is neglected.
    """
    scale, f = way.scale(u.wavelength), way.focal_length
    source, target = (grid.shifted(-way.center[0], -way.center[1]) for grid in (u.grid, onto))
    flat, slant = (target, source) if first else (source, target)
    (y, x), column = axes(flat, u.data.device), axes(slant, u.data.device)[1]
    depth = slope * (column + way.center[1] - pivot)
    bend = (1 - (way.before - depth if first else way.after + depth) / f) / scale
    matrix = phasor(bend * x.mT**2 / 2 - x.mT * column / scale).to(u.data.dtype)  # (x, column)
    height = phasor(bend * y**2 / 2).to(u.data.dtype)
    rows = phasor(-axes(target)[0] * axes(source)[0].mT / scale).to(u.data.device, u.data.dtype)
    ends = [(1 - distance / f) / scale for distance in (way.after, way.before)]
    data = u.data * complex(0, -source.cell / scale)
    if first:
        data = (rows @ _curved(data, source, ends[0]) * height) @ matrix.mT
    else:
        data = _curved(rows @ (data @ matrix * height), target, ends[1])
    return u.replace(data=data, grid=onto)


def turned(grid: Grid, about: Pair, angle: float) -> Points:
    """Samples of a grid turned by `angle` (rad, from x to y) about a point: y and x, float64 (y, x) each."""
    y, x = axes(grid)
    return _turn(y.expand(grid.shape), x.expand(grid.shape), about, angle)


def _turn(y: Tensor, x: Tensor, about: Pair, angle: float) -> Points:
    y, x, cos, sin = y - about[0], x - about[1], math.cos(angle), math.sin(angle)
    return about[0] + sin * x + cos * y, about[1] + cos * x - sin * y


def _sampled(way: Arm, u: Field, points: Points, onto: Grid) -> Field:
    """The field of an arm at any points, interpolated from a grid that resolves its band twice."""
    scale = way.scale(u.wavelength)
    far = [abs(c - o) + e / 2 for c, o, e in zip(u.grid.center, way.center, u.grid.extent, strict=True)]
    pitch = [scale / (4 * half) for half in far]
    low, high = ([float(edge(p)) for p in points] for edge in (torch.min, torch.max))
    shape = [math.ceil((b - a) / d) + 2 * resample.REACH for a, b, d in zip(low, high, pitch, strict=True)]
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    wide = Grid((shape[0], shape[1]), (pitch[0], pitch[1]), (middle[0], middle[1]))
    return u.replace(data=resample.sample(way(u, wide).data, wide, *points), grid=onto)


def is_plain(config: FourFConfig) -> bool:
    """Whether both arms are plain transforms: nothing off along the axis, nothing turned; sideways does not matter."""
    poses = config.poses
    along = (part.z for part in (poses.lens1, poses.panel, poses.lens2, poses.camera))
    return not any([*along, poses.panel.rotation, poses.camera.rotation, config.tilt])


def pixel_spectrum(config: FourFConfig, plane: Grid) -> Tensor:
    """What the size of the display's pixels does to the light on the panel, float64 (fy, fx): 1 for points.

    The active square of side ``sqrt(F) p`` gives ``F sinc(sqrt(F) p nu_y) sinc(sqrt(F) p nu_x)``, with the frequency
    ``nu = X / (lambda f1)`` seen from the centre of lens 1.
    """
    if config.input.pixel == "point":
        return torch.ones(plane.shape, dtype=torch.float64)
    panel, lens = config.poses.panel, config.poses.lens1
    y, x = turned(plane, (panel.y, panel.x), panel.rotation) if panel.rotation else axes(plane)
    side = math.sqrt(config.input.fill_factor) * config.input.pitch
    f = config.lens1.focal_length
    ends = (part + f * math.sin(angle) for part, angle in zip((lens.y, lens.x), config.light.pointing, strict=True))
    units = ((axis - end) * side / (config.light.wavelength * f) for axis, end in zip((y, x), ends, strict=True))
    return config.input.fill_factor * math.prod(map(torch.sinc, units), start=torch.ones((), dtype=torch.float64))
