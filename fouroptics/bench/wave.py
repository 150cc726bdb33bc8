"""The wave model: free space as it is, thin lenses with rims and aberrations, every part where its pose puts it.

To the ideal transform of an arm, exact free space adds ``-pi (r^4 + R^4) / (4 lambda f^3)`` for light from r in the
front focal plane to R in the back focal plane: what paths of ``sqrt(f^2 + R^2)`` before the lens and ``sqrt(f^2 +
r^2)`` behind it have less than their parabolas. The display and the camera show it once, the panel twice.

The plane of a lens is as small as the light allows. Light from y to Y crosses the lens at ``(y/before + Y/after -
c/f)/bend`` and is blurred by some ``sqrt(lambda/bend)`` there, with ``bend = 1/before + 1/after - 1/f``; behind the
lens its slope is no more than y/f, so the samples need not follow the lens itself. The source is first cut to a smooth
band: what it sends past its target does not get to the lens.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench.aberrations import aberrated
from fouroptics.bench.ideal import Points, depths, seen, turn, turned
from fouroptics.bench.settings import FourFConfig, LensConfig
from fouroptics.errors import GeometryError, SamplingError
from fouroptics.light import resample, shapes, zernike
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.sources import axes
from fouroptics.units import show
from fouroptics.waves.lenses import focused
from fouroptics.waves.propagation import propagate
from fouroptics.waves.transforms import kept, phasor

LARGEST = 2**26  #: samples of the plane of a lens
AT_ONCE = 2**24  #: samples in planes of a lens that are held at a time
SKIRT = 2.0  #: width of the skirt of the band, in Fresnel lengths
MARGIN = 0.5  #: room beyond the skirt, in Fresnel lengths: light there has an amplitude of 1e-5
KAISER = 10.0  #: shape of the window of the band: ripples of 99 dB

Span = tuple[float, float]  # middle and half width along an axis, in metres
Spans = tuple[Span, Span]


@dataclass(frozen=True)
class Arm:
    """Free space, a thin lens, free space, as the light along one arm meets them.

    Attributes
    ----------
    name : str
        Of the lens, for messages.
    lens : LensConfig
        What it is.
    before, after : float
        Distances to it and from it, in metres.
    center : tuple of float
        Of the lens, (y, x), in metres, in the frame of the fields.
    angle : float
        By which that frame is turned, in rad from x to y.
    side : float
        Of the uniform squares that the samples of the source stand for, in metres; 0 for points.
    bent : float
        Largest slope that the aberrations add.
    pointing : tuple of float
        Direction sines (y, x) of the beam on those squares.
    """

    name: str
    lens: LensConfig
    before: float
    after: float
    center: Pair
    angle: float = 0.0
    side: float = 0.0
    bent: float = 0.0
    pointing: Pair = (0.0, 0.0)

    @property
    def bend(self) -> float:
        """``1/before + 1/after - 1/f``, in 1/m."""
        return 1 / self.before + 1 / self.after - 1 / self.lens.focal_length

    def crossing(self, source: Span, target: Span, axis: int) -> Span:
        """Where straight light from `source` to `target` crosses the lens."""
        middle = source[0] / self.before + target[0] / self.after - self.center[axis] / self.lens.focal_length
        return middle / self.bend, (source[1] / self.before + target[1] / self.after + self.bent) / self.bend

    def leaving(self, source: Span, target: Span, axis: int) -> float:
        """Largest slope at which light leaves `source` for `target`."""
        middle = (self.crossing(source, target, axis)[0] - source[0]) / self.before
        spread = target[1] / self.after + source[1] * abs(1 / self.before - self.bend) + self.bent
        return abs(middle) + spread / (self.before * self.bend)

    def arriving(self, source: Span, target: Span, axis: int) -> float:
        """Largest slope at which light from `source` arrives on `target`: that of light on its way back."""
        return replace(self, before=self.after, after=self.before).leaving(target, source, axis)


def arm1(config: FourFConfig) -> Arm:
    """From the display to the panel."""
    lens, panel, f = config.poses.lens1, config.poses.panel, config.lens1.focal_length
    square = config.input.pixel == "square"
    side = math.sqrt(config.input.fill_factor) * config.input.pitch if square else 0.0
    bent = _aberration_slope(config.lens1, config.light.wavelength)
    center, tilt = (lens.y, lens.x), (math.sin(config.light.pointing[0]), math.sin(config.light.pointing[1]))
    return _checked(Arm("lens1", config.lens1, f + lens.z, f + panel.z - lens.z, center, 0.0, side, bent, tilt))


def arm2(config: FourFConfig) -> Arm:
    """From the panel to the camera, in the frame of the panel."""
    panel, lens, camera = config.poses.panel, config.poses.lens2, config.poses.camera
    f, center = config.lens2.focal_length, turn((lens.y, lens.x), (panel.y, panel.x), -panel.rotation)
    before, after = f + lens.z - panel.z, f + camera.z - lens.z
    bent = _aberration_slope(config.lens2, config.light.wavelength)
    return _checked(Arm("lens2", config.lens2, before, after, center, panel.rotation, bent=bent))


def _checked(arm: Arm) -> Arm:
    f = arm.lens.focal_length
    if min(arm.before, arm.after) <= 0 or arm.bend < 0.1 / f:
        raise GeometryError(
            f"{arm.name} of f = {show(f, 'length', 4)} stands {show(arm.before, 'length', 4)} behind and "
            f"{show(arm.after, 'length', 4)} before the planes it joins, each {show(f, 'length', 4)} by design: "
            "that is no Fourier transform; use smaller z in poses"
        )
    if arm.lens.aberrations and arm.lens.diameter is None:
        raise GeometryError(f"{arm.name}.aberrations are RMS over the clear diameter: give {arm.name}.diameter")
    return arm


# ---- the two halves of the bench ---------------------------------------------------------------------


def front(config: FourFConfig, u: Field) -> Callable[[Grid], Field]:
    """From the display to the panel: a function of the grid there, of samples in the pixels of `fourier_grid`."""
    arm, pose, whole = arm1(config), config.poses.panel, config.fourier_grid
    spans = _spans(u.grid, axes(u.grid)), _spans(whole, axes(whole))
    steepest = [arm.arriving(start, end, axis) for axis, (start, end) in enumerate(zip(*spans, strict=True))]
    behind = behind_lens1(config, u)

    def at(plane: Grid) -> Field:
        _check_inside(plane, whole)
        points = _points(plane, (pose.y, pose.x), pose.rotation)
        parts = (
            _arrived(replace(arm, after=arm.after + depth), behind, u.grid, plane, points).modulate(share.conj()).data
            for depth, share in _depths(config, plane, steepest, u.wavelength)
        )
        return u.replace(data=reduce(torch.add, parts), grid=plane)

    return at


def _check_inside(plane: Grid, whole: Grid) -> None:
    for axis, (middle, half), pitch in zip(plane.coordinates(), _spans(whole, axes(whole)), whole.spacing, strict=True):
        far = max(abs(axis[0] - middle), abs(axis[-1] - middle))
        if far > half + 1e-6 * pitch:
            raise GeometryError(
                f"{plane} on the panel reach {show(far, 'length', 4)} from its middle, and light is sent "
                f"{show(half, 'length', 4)} far: take bench.fourier_grid, or a larger panel"
            )


def back(config: FourFConfig, u: Field, onto: Grid) -> Field:
    """From behind the mask to the camera, a few fields at a time where the plane of the lens is large.

    Less the obliquity of a tilted panel, a factor ``1 - slope X/f`` on the camera.
    """
    arm, (grid, points) = arm2(config), _seen(config, onto)
    some = max(1, AT_ONCE // math.prod(lens_plane(arm, config.fourier_grid, _spans(grid, points), u.wavelength).shape))
    parts = [
        _arrived(arm, behind_lens2(config, u.replace(data=part), onto), u.grid, grid, points).data
        for part in u.data.reshape(-1, *u.grid.shape).split(some)
    ]
    return u.replace(data=torch.cat(parts).reshape(*u.data.shape[:-2], *onto.shape), grid=onto)


def behind_lens1(config: FourFConfig, u: Field) -> Field:
    """Light behind lens 1: what of it reaches the panel."""
    arm, pose, plane = arm1(config), config.poses.panel, config.fourier_grid
    target = _spans(plane, _points(plane, (pose.y, pose.x), pose.rotation))
    middle = lens_plane(arm, u.grid, target, u.wavelength)
    return _through_lens(arm, propagate(_banded(arm, u, u.grid, target), arm.before, middle))


def behind_lens2(config: FourFConfig, u: Field, onto: Grid) -> Field:
    """Light behind lens 2: what of it reaches `onto` in the camera plane, in the frame of the panel."""
    arm, area, target = arm2(config), config.fourier_grid, _spans(*_seen(config, onto))  # one area for all its nodes
    spans = zip(_spans(area, axes(area)), target, strict=True)
    steepest = [arm.leaving(start, end, axis) for axis, (start, end) in enumerate(spans)]
    middle = lens_plane(arm, area, target, u.wavelength)
    parts = (
        propagate(_banded(arm, u.modulate(share), area, target), arm.before - depth, middle).data
        for depth, share in _depths(config, u.grid, steepest, u.wavelength)
    )
    return _through_lens(arm, u.replace(data=reduce(torch.add, parts), grid=middle))


def _seen(config: FourFConfig, onto: Grid) -> tuple[Grid, Points]:
    """`onto` in the camera plane, and where its samples lie, in the frame of the panel."""
    grid, about, angle = seen(config, onto)
    return grid, _points(grid, about, angle)


def _depths(config: FourFConfig, plane: Grid, slopes: Sequence[float], wavelength: float) -> list[tuple[float, Tensor]]:
    """Planes that add up to a tilted panel, see `ideal.depths`: depths, and shares (1, x) with the carrier."""
    some = depths(config, plane, 1.5 * math.hypot(*slopes))  # and some for what lies in the skirt
    carriers = (phasor(torch.full((), depth / wavelength, dtype=torch.float64)) for depth, _ in some)
    return [(depth, share * carrier) for (depth, share), carrier in zip(some, carriers, strict=True)]


# ---- one arm -----------------------------------------------------------------------------------------


def lens_plane(arm: Arm, source: Grid, target: Spans, wavelength: float) -> Grid:
    """The smallest grid in the plane of the lens for light from `source`, cut to its band, to `target`.

    Where the rim of the lens is in the light, its samples follow the edge wave to the target.
    """
    lens, blur = arm.lens, _reach(_skirt(arm, wavelength))
    spans = [(at, half + blur) for at, half in _spans(source, axes(source))]
    margin = (SKIRT + MARGIN) * math.sqrt(wavelength / arm.bend)
    lit = [(at, half + margin) for at, half in (arm.crossing(spans[i], target[i], i) for i in (0, 1))]
    rim = math.inf if lens.diameter is None else lens.diameter / 2
    cut = rim < math.hypot(*(abs(at - c) + half for (at, half), c in zip(lit, arm.center, strict=True)))
    shape, spacing, center = [], [], []
    for (at, half), (start, width), (end, far), c in zip(lit, spans, target, arm.center, strict=True):
        slope = abs((at - start) / arm.before - (at - c) / lens.focal_length) + width / arm.before
        slope += half * abs(1 / arm.before - 1 / lens.focal_length) + MARGIN * math.sqrt(wavelength * arm.bend)
        slope += arm.bent
        low, high = at - half, at + half
        if cut:
            low, high = max(low, c - rim), min(high, c + rim)
            slope = max(slope, (abs(at - end) + half + far) / arm.after)
        pitch = wavelength / (2 * slope)
        shape.append(2 * math.ceil((high - low) / (2 * pitch)) + 2)
        spacing.append(pitch)
        center.append((low + high) / 2)
        if low >= high:
            raise GeometryError(f"{arm.name} of {show(2 * rim, 'length', 4)} stands aside of all light: move it back")
    if math.prod(shape) > LARGEST:
        raise SamplingError(
            f"{arm.name}: to follow the light takes {shape[0]} x {shape[1]} samples in its plane, and 8192 x 8192 are "
            "the most; use a smaller panel, camera or input, or a lens whose rim is out of the light"
        )
    return Grid((shape[0], shape[1]), (spacing[0], spacing[1]), (center[0], center[1]))


def _aberration_slope(lens: LensConfig, wavelength: float) -> float:
    """Bound of the slope that aberrations add inside the rim: a polynomial of degree n rises by n^2 of its size."""
    if lens.diameter is None:
        return 0.0
    orders = {j: zernike.indices(j)[0] for j in lens.aberrations}
    rise = sum(abs(a) * orders[j] ** 2 * math.sqrt(2 * orders[j] + 2) for j, a in lens.aberrations.items())
    return rise * wavelength / (math.pi * lens.diameter)


def _through_lens(arm: Arm, light: Field) -> Field:
    """What the lens does to the light in its plane."""
    lens, plane = arm.lens, light.grid
    y, x = (axis - c for axis, c in zip(axes(plane, light.data.device), arm.center, strict=True))
    light = focused(light, lens.focal_length, y, x)
    if lens.diameter is None:
        return light
    if lens.aberrations:
        cos, sin = math.cos(arm.angle), math.sin(arm.angle)
        light = aberrated(light, lens.aberrations, lens.diameter / 2, cos * y + sin * x, cos * x - sin * y)
    return light.modulate(shapes.circle(plane, lens.diameter / 2, arm.center))


def _arrived(arm: Arm, behind: Field, source: Grid, onto: Grid, points: Points) -> Field:
    """Light on `onto`, whose samples lie at `points`: interpolated where they are turned."""
    if points[0].shape != onto.shape:
        return propagate(behind, arm.after, onto)
    shape, spacing, center = [], [], []
    for axis, (start, end) in enumerate(zip(_spans(source, axes(source)), _spans(onto, points), strict=True)):
        pitch = behind.wavelength / (8 * arm.arriving(start, end, axis))  # what `resample` wants
        shape.append(2 * math.ceil(end[1] / pitch + resample.REACH))
        spacing.append(pitch)
        center.append(end[0])
    wide = Grid((shape[0], shape[1]), (spacing[0], spacing[1]), (center[0], center[1]))
    places = (at.to(behind.data.device) for at in points)
    data = resample.sample(propagate(behind, arm.after, wide).data, wide, *places)
    return behind.replace(data=data, grid=onto)


# ---- where the light is ------------------------------------------------------------------------------


def _banded(arm: Arm, u: Field, area: Grid, target: Spans) -> Field:
    """The samples, as points or squares in `area`, in the band of light that reaches `target`, with a smooth skirt."""
    skirt, data, spans = _skirt(arm, u.wavelength), u.data, _spans(area, axes(area))
    shape, spacing = [0, 0], [0.0, 0.0]
    for axis, (middle, half) in enumerate(spans):
        band = arm.leaving(spans[axis], target[axis], axis) / u.wavelength
        first = u.grid.coordinates()[axis][0] - middle
        line = (u.grid.shape[axis], u.grid.spacing[axis], first, half)
        matrix, shape[axis], spacing[axis] = _filter(*line, arm.side, band, skirt, arm.pointing[axis] / u.wavelength)
        matrix = matrix.to(data.device, data.dtype)
        data = matrix @ data if axis == 0 else data @ matrix.T
    grid = Grid((shape[0], shape[1]), (spacing[0], spacing[1]), (spans[0][0], spans[1][0]))
    return u.replace(data=data, grid=grid)


def _skirt(arm: Arm, wavelength: float) -> float:
    """Width of the skirt, in cycles/m."""
    return SKIRT / math.sqrt(wavelength * arm.before)


def _reach(skirt: float) -> float:
    """Half length of the Kaiser window that makes it, in metres."""
    return (KAISER / 0.1102 + 0.7) / (2 * 2.285 * 2 * math.pi * skirt)


@kept(32)
def _filter(
    n: int, d: float, first: float, half: float, side: float, band: float, skirt: float, tilt: float
) -> tuple[Tensor, int, float]:
    """From n samples of an axis onto a line of its own, about its middle: matrix, size and pitch.

    A sinc under a Kaiser window, flat to 1e-5 up to `band` and 1e-5 from ``band + skirt`` on, both in cycles/m (J. F.
    Kaiser and R. W. Schafer, IEEE Trans. Acoust. 28, 105, 1980); a sample counts for its pitch d, or for a square of
    that side, on which the phase goes on with `tilt` (cycles/m), by a Gauss-Legendre quadrature.
    """
    reach, pitch = _reach(skirt), 1 / (2 * (band + skirt))
    size = 2 * math.ceil((half + reach) / pitch)
    order = 8 + math.ceil(3 * side * (1 / pitch + 2 * abs(tilt)))
    nodes, weights = np.polynomial.legendre.leggauss(order) if side else ([0.0], [2.0])
    new, old = (torch.arange(count, dtype=torch.float64) for count in (size, n))
    node, weight = (torch.as_tensor(each, dtype=torch.float64) for each in (nodes, weights))
    away = ((new - size // 2) * pitch)[:, None, None] - (first + old * d)[:, None] - node * side / 2
    window = torch.special.i0(KAISER * (1 - (away / reach) ** 2).clamp_min(0).sqrt()) * (away.abs() < reach)
    wave = torch.sinc((2 * band + skirt) * away) * window * ((2 * band + skirt) / np.i0(KAISER))
    share = weight * phasor(tilt * side / 2 * node) if tilt else weight
    return wave.to(share.dtype) @ share * ((side or d) / 2), size, pitch


def _points(grid: Grid, about: Pair, angle: float) -> Points:
    """Where its samples lie, turned about a point: (y, x) each; else the two axes."""
    return turned(grid, about, angle) if angle else axes(grid)


def _spans(grid: Grid, points: Points) -> Spans:
    """What the cells of a grid cover with its samples at `points`."""
    first, second = (
        ((float(at.max()) + float(at.min())) / 2, (float(at.max()) - float(at.min()) + max(grid.spacing)) / 2)
        for at in points
    )
    return first, second
