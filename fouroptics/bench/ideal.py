"""The Fourier model: each arm of the bench is one transform, exact for paraxial light and ideal lenses.

The parts may stand anywhere near their places: an arm is the integral of S. A. Collins (J. Opt. Soc. Am. 60, 1168,
1970) over a thin lens between two stretches of free space, seen in the frame of the panel where that is turned about
the axis. A tilted panel is the sum of a few planes across the axis.
"""

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from fouroptics.bench.display import envelope
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
    slope = _reach(u.grid, (lens.y, lens.x)) / f

    def at(plane: Grid) -> Field:
        parts = (
            Arm(f, f + lens.z, f + panel.z + depth - lens.z, (lens.y, lens.x))(
                u, plane, (panel.y, panel.x), panel.rotation
            ).data
            * share.to(u.data)
            for depth, share in depths(config, plane, slope)
        )
        return u.replace(data=reduce(torch.add, parts), grid=plane)

    return at


def back(config: FourFConfig, u: Field, onto: Grid) -> Field:
    """From behind the mask to the camera plane, all as the panel sees it."""
    panel, lens, camera = config.poses.panel, config.poses.lens2, config.poses.camera
    f, center = config.lens2.focal_length, turn((lens.y, lens.x), (panel.y, panel.x), -panel.rotation)
    grid, about, angle = seen(config, onto)
    parts = (
        Arm(f, f + lens.z - panel.z - depth, f + camera.z - lens.z, center)(
            u.modulate(share.to(u.data)) if depth else u, grid, about, angle
        ).data
        for depth, share in depths(config, u.grid, _reach(grid, center) / f)
    )
    return u.replace(data=reduce(torch.add, parts), grid=onto)


def seen(config: FourFConfig, onto: Grid) -> tuple[Grid, Pair, float]:
    """A grid of the camera plane as the panel sees it: the grid, and the point and angle that it is turned by."""
    panel, camera = config.poses.panel, config.poses.camera
    y, x = turn((camera.y, camera.x), (panel.y, panel.x), -panel.rotation)
    return onto.shifted(y - camera.y, x - camera.x), (y, x), camera.rotation - panel.rotation


def _reach(grid: Grid, center: Pair) -> float:
    """How far a grid, turned or not, reaches from the centre of a lens."""
    return math.dist(grid.center, center) + math.hypot(*grid.extent) / 2


def depths(config: FourFConfig, plane: Grid, slope: float) -> list[tuple[float, Tensor]]:
    """Planes across the axis that add up to a tilted panel: how far down the bench, and shares (1, x), float64.

    Light of this slope turns by some ``pi slope^2 depth / lambda`` up to a depth, its carrier left out: a polynomial
    through n nodes of Chebyshev misses less than ``2 (turn/2)^n / n!`` of it.
    """
    depth = math.tan(config.tilt) * (axes(plane)[1] - config.poses.panel.x)
    far, count = float(depth.abs().max()), 2
    if far == 0:
        return [(0.0, torch.ones(1, 1, dtype=torch.float64))]
    turns = math.pi * slope**2 * far / config.light.wavelength
    while 2 * (turns / 2) ** count / math.factorial(count) > 1e-6:
        count += 1
    nodes = [far * math.cos(math.pi * (i + 0.5) / count) for i in range(count)]
    shares = [
        torch.stack([(depth - other) / (node - other) for other in nodes if other != node]).prod(0) for node in nodes
    ]
    return list(zip(nodes, shares, strict=True))


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

    def __call__(self, u: Field, onto: Grid, about: Pair = (0.0, 0.0), angle: float = 0.0) -> Field:
        """Field (..., y, x) in the plane behind, on a grid turned by `angle` (rad, from x to y) about a point."""
        scale = self.scale(u.wavelength)
        source, target = (grid.shifted(-self.center[0], -self.center[1]) for grid in (u.grid, onto))
        first, last = ((1 - way / self.focal_length) / scale for way in (self.after, self.before))
        data, about = _curved(u.data, axes(source), first), (about[0] - self.center[0], about[1] - self.center[1])
        data = (
            _onto_turned(data, source, target, scale, about, angle) if angle else fourier(data, source, target, scale)
        )
        points = turned(target, about, angle) if angle else axes(target)
        return u.replace(data=_curved(data, points, last) * complex(0, -source.cell / scale), grid=onto)


def _curved(data: Tensor, points: Points, bend: float) -> Tensor:
    """Multiply by ``exp(i pi bend r^2)``."""
    if bend == 0:
        return data
    y, x = points
    return data * phasor(bend / 2 * (y**2 + x**2)).to(data)


def _onto_turned(data: Tensor, source: Grid, target: Grid, scale: float, about: Pair, angle: float) -> Tensor:
    """Fourier sum onto a grid turned about a point: two matrix products, and rows that slide.

    With X, Y from that point, c, s, t the cosine, sine and tangent of the angle, and ``X' = X - t Y``, the turned
    ``x (c X - s Y) + y (s X + c Y)`` is ``c x X' + s y X' + y Y / c``: a sum over x, a factor, a sum over y, at X' that
    resolve its band twice, and each row slides by t Y. Quarters of a turn swap the axes before.
    """
    (y, x), (down, across) = axes(source), axes(target.shifted(-about[0], -about[1]))
    data = data * phasor(-(y * about[0] + x * about[1]) / scale).to(data)
    y, x, quarters = y.flatten(), x.flatten(), round(2 * angle / math.pi)
    for _ in range(quarters % 4):
        data, y, x = data.mT, -x, y
    angle -= quarters * math.pi / 2
    cos, sin, begin = math.cos(angle), math.sin(angle), across[0, 0] - math.tan(angle) * down.flatten()
    finest = scale / (4 * float(cos * x.abs().max() + abs(sin) * y.abs().max()))
    count, stride = target.shape[1], math.ceil(target.spacing[1] / finest)
    start = (begin - begin.min()) * (stride / target.spacing[1]) + resample.REACH
    samples = torch.arange(math.ceil(float(start.max())) + stride * (count - 1) + resample.REACH + 1) - resample.REACH
    column = begin.min() + samples * (target.spacing[1] / stride)
    light = data @ phasor(-cos / scale * x[:, None] * column).to(data)
    light = light * phasor(-sin / scale * y[:, None] * column).to(data)
    light = phasor(-down * y / (scale * cos)).to(data) @ light
    return resample.slide_rows(light, start, count, stride)


def turned(grid: Grid, about: Pair, angle: float) -> Points:
    """Samples of a grid turned by `angle` (rad, from x to y) about a point: y and x, float64 (y, x) each."""
    y, x = axes(grid)
    y, x, cos, sin = y - about[0], x - about[1], math.cos(angle), math.sin(angle)
    return about[0] + sin * x + cos * y, about[1] + cos * x - sin * y


def turn(point: Pair, about: Pair, angle: float) -> Pair:
    """A point, turned from x to y."""
    arm = cmath.rect(1, angle) * complex(point[1] - about[1], point[0] - about[0])
    return about[0] + arm.imag, about[1] + arm.real


def is_plain(config: FourFConfig) -> bool:
    """Whether both arms are plain transforms: nothing off along the axis, nothing turned; sideways does not matter."""
    poses = config.poses
    along = (part.z for part in (poses.lens1, poses.panel, poses.lens2, poses.camera))
    return not any([*along, poses.panel.rotation, poses.camera.rotation, config.tilt])


def pixel_spectrum(config: FourFConfig, plane: Grid) -> Tensor:
    """What the size of the display's pixels does to the light on the panel, float64 (fy, fx): 1 for points.

    See `display.envelope`, at the frequency ``nu = X / (lambda f1)`` seen from the centre of lens 1, and from the beam.
    """
    panel, lens, f = config.poses.panel, config.poses.lens1, config.lens1.focal_length
    y, x = turned(plane, (panel.y, panel.x), panel.rotation) if panel.rotation else axes(plane)
    slope_y, slope_x = (math.sin(angle) for angle in config.light.pointing)
    fy, fx = ((axis - part) / f - slope for axis, part, slope in ((y, lens.y, slope_y), (x, lens.x, slope_x)))
    return envelope(config.input, fy / config.light.wavelength, fx / config.light.wavelength)
