"""Rows: one quantity of a bench each, what it is, what it should be, what to change; tables as plain text. No torch."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fouroptics.bench.geometry import Geometry
from fouroptics.bench.settings import FourFConfig
from fouroptics.devices.tables import stroke
from fouroptics.light.grid import Grid
from fouroptics.units import show

Verdict = Literal["ok", "note", "no"]
PHASE = 5e-3  #: rad by which the light of a lens may differ from that of an ideal one
PIXELS = 0.1  #: image pixels that a place may be off
LEAST = 0.99  #: light that should be left at the edge of a window
SLOPE = 0.2  #: to which light counts as paraxial


@dataclass(frozen=True)
class Row:
    """One quantity of a bench.

    Attributes
    ----------
    quantity, have, need : str
        What it is, its value and what it should be.
    verdict : {"ok", "note", "no"}
        Good; works, but look; cannot work as the file says.
    remedy : str
        What to change where it is not good.
    """

    quantity: str
    have: str
    need: str
    verdict: Verdict
    remedy: str

    @property
    def ok(self) -> bool:
        """Whether the bench can work as the file says."""
        return self.verdict != "no"


def else_no(good: bool) -> Verdict:
    """Return "ok", or "no" where the bench cannot work."""
    return "ok" if good else "no"


def else_note(good: bool) -> Verdict:
    """Return "ok", or "note" where it works, but not as one may think."""
    return "ok" if good else "note"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells in columns as wide as their longest cell, under a ruled head."""
    wide = [max(len(cells[i]) for cells in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in wide], *rows]
    return "\n".join("  ".join(map(str.ljust, cells, wide)).rstrip() for cells in lines)


def _long(value: float) -> str:
    return show(value, "length", 4)


def _far(config: FourFConfig, place: Geometry) -> tuple[float, float]:
    """Edge (y, x) of the farthest window, or of the image on the axis where there is none, in image pixels."""
    y, x = (max(r, 0.0) + n / 2 for r, n in zip(place.reach, config.input.shape, strict=True))
    return y, x


def _reads(sensor: Grid, image: Grid, axis: int) -> bool:
    """Whether the image lies on the camera, to a pixel."""
    ends = [
        (g.center[axis] - g.shape[axis] // 2 * d, g.center[axis] + (g.shape[axis] - 1 - g.shape[axis] // 2) * d)
        for g, d in ((sensor, sensor.spacing[axis]), (image, image.spacing[axis]))
    ]
    (low, high), (first, last) = ends
    near = max(sensor.spacing[axis], image.spacing[axis])  # even sizes are a pixel off
    return low - near <= first and last <= high + near


# ---- lattice ---------------------------------------------------------------------------------------------------------


def lattice(config: FourFConfig, places: list[Geometry], taps: int) -> Iterator[Row]:
    """The band of the display on the panel, the replicas of the panel and the windows on the camera."""
    f1, pitch, shape, n = config.lens1.focal_length, config.input.pitch, config.panel.shape, config.input.shape
    both = [(g, axis) for g in places for axis in (0, 1)]

    def band_times(ratio: float) -> str:
        return f"lens1.focal_length = {_long(f1 * ratio)} or input.pitch = {_long(pitch / ratio)}"

    place, axis = max(both, key=lambda at: at[0].band[at[1]] / shape[at[1]])
    band, most = place.band[axis], shape[axis]
    yield Row(
        "band on the panel",
        f"{band:.4g} pixels",
        f"at most {most}",
        else_no(band <= most + 0.5),
        f"{band_times(most / band)}, or a panel of {math.ceil(band)} pixels; else it cuts the finest detail",
    )
    place, axis = min(both, key=lambda at: at[0].band[at[1]] / n[at[1]])
    band, least = place.band[axis], 2 * n[axis] - 1
    yield Row(
        "panel pixels in the band",
        f"{band:.4g}",
        f"at least {least}",
        else_no(band >= least * (1 - 1e-3)),
        f"{band_times(least / band)}; else the panel's replicas overlap the image",
    )
    pixel, far = place.replicas[axis] / band, n[axis] + taps - 1
    yield Row(
        "replicas of the panel",
        f"{_long(place.replicas[axis])} apart",
        f"{_long(far * pixel)}: image and {taps} taps",
        "no" if band < n[axis] else else_note(band >= far * (1 - 1e-3)),
        f"{band_times(far / band)}, or fewer taps",
    )
    rows, columns = min((g.windows for g in places), key=min)
    first, side = max(zip(place.first, n, strict=True))
    sensor = [_long((2 * d + m) * place.magnification * pitch) for d, m in zip(place.first, n, strict=True)]
    yield Row(
        "windows off the axis",
        f"{rows} x {columns}, {place.step[0]} x {place.step[1]} image pixels apart",
        "at least 2 x 2",
        else_note(min(rows, columns) >= 2),
        f"a camera of {sensor[0]} x {sensor[1]} and a band of {2 * (first + side - 1)} panel pixels at least; "
        "else results lie on the undiffracted light",
    )


def image(config: FourFConfig, places: list[Geometry]) -> Iterator[Row]:
    """The image of the display on the camera."""
    sensor, size = config.camera_grid, config.image_grid.extent
    axis = min((0, 1), key=lambda axis: sensor.extent[axis] / size[axis])
    large = sensor.extent[axis] >= size[axis] * (1 - 1e-9)
    inside = all(_reads(sensor, config.image_grid, axis) for axis in (0, 1))
    yield Row(
        "camera over the image",
        _long(sensor.extent[axis]) + (", beside the image" if large and not inside else ""),
        f"at least {_long(size[axis])}",
        else_no(large and inside),
        f"{math.ceil(size[axis] / sensor.spacing[axis] - 1e-6)} camera pixels, or lens2.focal_length = "
        f"{_long(config.lens2.focal_length * sensor.extent[axis] / size[axis])}; a camera.roi about the axis",
    )
    pixel = config.image_grid.spacing[0]
    ratio = pixel / sensor.spacing[0]
    yield Row(
        "camera pixels per image pixel",
        f"{ratio:.6g}",
        "a whole number",
        else_no(abs(ratio - round(ratio)) < 1e-3 and ratio >= 0.999),
        f"camera.pitch = {show(config.camera.pitch * ratio / max(round(ratio), 1), 'length')}",
    )
    finest = min(g.replicas[a] * config.fourier_grid.spacing[a] / (2 * g.iris[a]) for g in places for a in (0, 1))
    yield Row(
        "camera sampling",
        f"pixels of {_long(sensor.spacing[0])}",
        f"at most {_long(finest)}",
        else_note(sensor.spacing[0] <= finest * (1 + 1e-3)),
        f"camera.pitch = {_long(finest * config.camera.pitch / sensor.spacing[0])}, or read single pixels only: "
        "the intensity holds twice the band",
    )


# ---- lenses and panel ------------------------------------------------------------------------------------------------


def lenses(config: FourFConfig, places: list[Geometry], lost: list[float]) -> Iterator[Row]:
    """Diameters, and how far from paraxial the light is.

    In the plane of a lens the light reaches half the panel plus half the display or the camera off the axis.
    """
    for line in lost:
        at = show(line, "length")
        yield Row("focal lengths", f"not positive at {at}", "positive", "no", "a focal_slope nearer to 0")
    plane, display, sensor = (g.extent for g in (config.fourier_grid, config.input_grid, config.camera_grid))
    for name, lens, far in (("lens1", config.lens1, display), ("lens2", config.lens2, sensor)):
        need = math.hypot(*(a + b for a, b in zip(plane, far, strict=True)))
        yield Row(
            f"{name} diameter",
            "open" if lens.diameter is None else _long(lens.diameter),
            f"at least {show(need, 'length', 3)}",
            else_no(lens.diameter is None or lens.diameter >= need),
            f"{name}.diameter = {show(need * 1.005, 'length', 3)}; else it vignettes the corners",
        )
    seen = config.readout.kind in ("reference_pair", "four_step")  # else the camera does not see its own phase
    short = min(g.wavelength for g in places)
    for name, f, sides in (
        ("lens1", config.lens1.focal_length, [plane, display]),
        ("lens2", config.lens2.focal_length, [plane, sensor] if seen else [plane]),
    ):
        phase = sum(math.pi * (math.hypot(*side) / 2) ** 4 / (4 * short * f**3) for side in sides)
        near = (4 * short * f**3 * PHASE / math.pi) ** 0.25
        yield Row(
            f"{name} quartic phase",
            show(phase, "angle", 3),
            f"at most {show(PHASE, 'angle')}",
            else_note(phase <= PHASE or config.model == "wave"),
            f'model = "wave", which computes it; light within {_long(near)} of the axis keeps to it',
        )
    parts = (("lens1", config.lens1, (plane, display)), ("lens2", config.lens2, (plane, sensor)))
    far = [(math.hypot(*side) / 2, lens.focal_length, name) for name, lens, sides in parts for side in sides]
    half, f, name = max(far, key=lambda each: each[0] / each[1])
    yield Row(
        "paraxial range",
        f"x/f up to {half / f:.3g}",
        f"at most {SLOPE}",
        else_note(half / f <= SLOPE * (1 + 1e-3)),
        f"{name}.focal_length = {_long(half / SLOPE)}",
    )


def panel(config: FourFConfig, places: list[Geometry]) -> Iterator[Row]:
    """The pixels of the panel: their envelope, their stroke, their crosstalk; the orders of the display on it."""
    far, place = min(((_far(config, g), g) for g in places), key=lambda at: at[1].band)
    turns = math.hypot(far[0] / place.band[0], far[1] / place.band[1])
    side = math.sqrt(config.panel.fill_factor)
    left = math.prod(float(np.sinc(side * at / band)) ** 2 for at, band in zip(far, place.band, strict=True))
    yield Row(
        "pixel envelope",
        f"{left:.4g} at the edge of the farthest window",
        f"at least {LEAST}",
        else_note(left >= LEAST),
        "give the masks as a MaskSet, which is shown with the shape of the pixels (slm.expand), or stay within "
        f"{math.sqrt((1 - LEAST) * 3 / 2) / (math.pi * side) * min(place.band):.3g} image pixels of the axis",
    )
    if config.panel.iris is None:
        orders = [2 * math.floor(n / (2 * b)) + 1 for n, b in zip(config.panel.shape, place.band, strict=True)]
        apart = _long(place.band[0] * config.fourier_grid.spacing[0])
        yield Row(
            "display orders",
            f"{orders[0]} x {orders[1]} on the panel, {apart} apart",
            "1 x 1",
            else_note(max(orders) == 1),
            f'panel.iris = "band" stops all but one, of {apart}',
        )
    if config.panel.modulation == "phase":
        yield _stroke(config, max(g.wavelength for g in places))
    sigma = config.panel.crosstalk
    contrast = math.exp(-2 * (math.pi * sigma * turns) ** 2)
    most = math.sqrt(-math.log(LEAST) / 2) / (math.pi * turns)
    yield Row(
        "crosstalk",
        f"{sigma:.3g} pixels: contrast {contrast:.4g}",
        f"at most {most:.3g} pixels: contrast {LEAST}",
        else_note(sigma <= most),
        f"windows at {most / max(sigma, most):.3g} of that distance from the axis, or slm.expand to see what it does",
    )


def _stroke(config: FourFConfig, wavelength: float) -> Row:
    """Phase that the levels divide; beyond a short stroke the nearer of its ends is shown, see `levels_for`."""
    panels = config.panel.at(wavelength), config.lit_panel.at(wavelength)
    own, lit = (at.stroke if at.table is None else stroke(np.array(at.table)) for at in panels)
    turns = lit / (2 * math.pi)
    blaze = (min(turns, 1) + math.sin(math.pi * (1 - min(turns, 1))) / math.pi) ** 2
    return Row(
        "phase stroke",
        f"{turns:.4g} of 2 pi at {show(wavelength, 'length')}: {blaze:.4g} of a blaze",
        "at least 1 of 2 pi",
        else_note(turns >= 1 - 1e-9),
        f"a panel or a voltage range with a stroke of {show(own / turns, 'angle', 4)}, or encoding arrizon, which "
        "takes 0.586 of 2 pi",
    )


def fold(config: FourFConfig, place: Geometry) -> Iterator[Row]:
    """What folding the bench and its polarisers take, and the keystone of a tilted panel.

    A panel whose plane rises by s = tan(tilt) along x adds the phase ``k x s (beta^2 - alpha^2) / 2`` to light that a
    mask takes from the angle alpha to beta, which moves it by ``f1 s |beta^2 - alpha^2| / 2`` on the display's scale.
    """
    if config.tilt:
        f1, pitch, slope = config.lens1.focal_length, config.input.pitch, abs(math.tan(config.tilt))
        ends = zip(_far(config, place), config.input.shape, strict=True)
        moved = slope * pitch / (2 * f1) * sum(far**2 - (n / 2) ** 2 for far, n in ends)
        yield Row(
            "keystone",
            f"{moved:.3g} image pixels at the edge of the farthest window",
            f"at most {PIXELS}",
            else_note(moved <= PIXELS),
            f"a tilt of {show(math.atan(slope * PIXELS / max(moved, PIXELS)), 'angle', 3)}, or calibrate the windows",
        )
    if config.fold.kind == "beam_splitter":
        r, ghost = config.fold.reflectance, config.fold.ghost
        left = r * (1 - r)
        yield Row(
            "beam splitter",
            f"leaves {left:.1%} of the power, ghost {ghost**2:.3g} of an open panel's",
            "25 % at R = 0.5; a ghost of at most 0.0001",
            else_note(left >= 0.24 and ghost <= 0.01),
            "fold.reflectance = 0.5, and a coating or a wedge for a fold.ghost of 0.01",
        )
    psi = config.polarisation.angle
    bare = abs(math.sqrt(config.polarisation.extinction) * math.sin(psi))
    yield Row(
        "polarisation",
        f"{math.cos(psi) ** 2:.4g} of the power modulated, {bare**2:.3g} not",
        "at least 0.99, at most 0.0001 not",
        else_note(math.cos(psi) ** 2 >= LEAST and bare <= 0.01),
        "polarisation.angle within 100 mrad and an analyser: polarisation.extinction = 0.0001 or better "
        "(times sin^2 of the angle)",
    )


# ---- alignment -------------------------------------------------------------------------------------------------------


def alignment(config: FourFConfig, places: list[Geometry], taps: int) -> Iterator[Row]:
    """What is off by ``[poses]`` and by the spectrum, against what kernels of so many taps bear.

    A mask that is off by d turns the outermost tap by ``pi d (taps - 1) / B``, 0.1 rad at most for a band B; an angle
    or a relative error e of ``lambda f`` moves it by ``e (taps - 1) / 2`` pixels.
    """
    place, poses = places[0], config.poses
    least = place.band[0] * config.fourier_grid.spacing[0] / (10 * math.pi * (taps - 1))
    off = math.hypot(poses.panel.y - poses.lens1.y, poses.panel.x - poses.lens1.x)
    yield Row(
        "panel offset",
        _long(off),
        f"at most {show(least, 'length', 3)} for {taps} taps",
        else_note(off <= least),
        f"move the panel by {_long(off)}, or shift the masks by {off / config.panel.pitch:.3g} pixels",
    )
    bears, turn = 2 * PIXELS / (taps - 1), abs(poses.panel.rotation)
    yield Row(
        "panel rotation",
        show(turn, "angle", 4),
        f"at most {show(bears, 'angle', 3)} for {taps} taps",
        else_note(turn <= bears),
        f"turn the panel by {show(0.0 - poses.panel.rotation, 'angle', 4)}",
    )
    pixel, off = config.image_grid.spacing[0], math.hypot(*place.zero_order)
    yield Row(
        "camera offset",
        _long(off),
        f"at most {show(PIXELS * pixel, 'length', 3)}: {PIXELS} image pixels",
        else_note(off <= PIXELS * pixel),
        f"register the image, whose middle is at y = {_long(place.zero_order[0])}, x = {_long(place.zero_order[1])}",
    )
    edge, turn = math.hypot(*_far(config, place)), abs(poses.camera.rotation)
    yield Row(
        "camera rotation",
        show(turn, "angle", 4),
        f"at most {show(PIXELS / edge, 'angle', 3)}: {PIXELS} image pixels",
        else_note(turn <= PIXELS / edge),
        f"turn the camera by {show(0.0 - poses.camera.rotation, 'angle', 4)}",
    )
    if len(places) > 1:
        error = max(abs(g.replicas[0] / place.replicas[0] - 1) for g in places)
        yield Row(
            "width of the spectrum",
            f"moves the farthest window by {error * edge:.3g} image pixels",
            f"at most {PIXELS}",
            else_note(error * edge <= PIXELS),
            f"lines within {show(place.wavelength * PIXELS / edge, 'length', 3)} of light.wavelength",
        )
