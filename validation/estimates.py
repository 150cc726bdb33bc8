"""Does `plan` know its own error? Its estimate beside the true error: ``python -m validation.estimates``.

The field behind a case is known in closed form, or by quadrature; what is sent are its samples. So the true error holds
all that samples do to a field, and not only what the propagation does to samples.
"""

import statistics
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch

import fouroptics as fo
from fouroptics.errors import SamplingWarning
from fouroptics.light.sources import axes
from fouroptics.units import mm, nm, show, um
from fouroptics.waves.planner import Plan
from validation import exact
from validation.case import DOUBLE, SINGLE, Setting, dtype_name, table
from validation.drawn import drawn
from validation.sent import (
    GREEN,
    GRID,
    SMALL,
    Asked,
    beam,
    binary,
    boundary,
    covered,
    cut_beam,
    disk,
    many,
    noise,
    samples,
    send,
    shadow,
    square,
)


@dataclass(frozen=True)
class Estimate:
    """One plan, and how it turned out."""

    case: str
    label: str
    dtype: str
    asked: float
    plan: Plan
    true: float

    @property
    def ratio(self) -> float:
        """Estimated over true error."""
        return self.plan.error / max(self.true, 1e-300)

    @property
    def rounding(self) -> bool:
        """Whether the error is that of rounding alone, which no case can predict."""
        return self.true <= self.plan.terms["rounding"]


def estimate(case: str, setting: Setting) -> list[Estimate]:
    """Plan a propagation for each precision, run the plan and compare with the closed form."""
    done = []
    for dtype, asked in setting.tolerance.items():
        field = setting.field(dtype)
        plan = fo.plan(field, setting.z, setting.onto, asked, pixels=setting.pixels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SamplingWarning)
            result = plan(field).data
        done.append(
            Estimate(case, setting.label, dtype_name(dtype), asked, plan, setting.error(result, setting.exact()))
        )
    return done


FINE, COARSE = fo.Grid((160, 160), 1 * um), fo.Grid((200, 200), 20 * um)
BOTH: Asked = {DOUBLE: 1e-6, SINGLE: 1e-3}
FINELY: Asked = {DOUBLE: 1e-6, SINGLE: 1e-6}


def beams() -> Iterable[Setting]:
    """Of many waists and distances, well and badly sampled."""
    for waist, z, asked in (
        (8 * um, 0.3 * mm, {DOUBLE: 1e-3}),
        (8 * um, 50 * mm, {DOUBLE: 1e-3}),
        (12 * um, 2 * mm, {DOUBLE: 1e-3}),
        (12 * um, 300 * mm, {SINGLE: 1e-3}),
        (16 * um, 0.3 * mm, {DOUBLE: 1e-3}),
        (16 * um, 10 * mm, BOTH),
        (16 * um, 1.0, {DOUBLE: 1e-3}),
        (40 * um, 5 * mm, BOTH),
        (40 * um, 300 * mm, FINELY),
        (100 * um, 0.3 * mm, FINELY),
        (100 * um, 50 * mm, BOTH),
        (100 * um, 200 * mm, {DOUBLE: 1e-2, SINGLE: 1e-6}),
        (100 * um, 300 * mm, {DOUBLE: 1e-2}),
        (100 * um, 3.0, BOTH),
        (200 * um, 500 * mm, {DOUBLE: 1e-2, SINGLE: 1e-3}),
        (300 * um, 50 * mm, {DOUBLE: 1e-3, SINGLE: 1e-6}),
        (300 * um, -300 * mm, {DOUBLE: 1e-3}),
        (500 * um, 100 * mm, {DOUBLE: 1e-3}),
        (680 * um, 5 * mm, {DOUBLE: 1e-3}),
        (680 * um, 300 * mm, {DOUBLE: 1e-3}),
        (680 * um, 3.0, {SINGLE: 1e-3}),
    ):
        yield send(f"w0 = {show(waist, 'length')}", beam(waist), z, asked=asked)
    for waist, z, grid, wavelength in (
        (2 * um, 0.1 * mm, FINE, 633 * nm),
        (4 * um, 1 * mm, FINE, 633 * nm),
        (20 * um, 0.5 * mm, FINE, 633 * nm),
        (200 * um, 1.5, COARSE, 1064 * nm),
        (600 * um, -500 * mm, COARSE, 1064 * nm),
        (30 * um, 20 * mm, fo.Grid((240, 300), (3.74 * um, 2 * um)), 405 * nm),
    ):
        label = f"w0 = {show(waist, 'length')}, {grid}, {show(wavelength, 'length')}"
        wave = beam(waist, wavelength=wavelength)
        yield send(label, wave, z, grid, wavelength=wavelength, asked=BOTH if waist > 10 * um else None)


def tilted() -> Iterable[Setting]:
    """Directions along with which a beam leaves its window, or not."""
    for sines, waist, z, asked in (
        ((0.005, -0.003), 100 * um, 30 * mm, {DOUBLE: 1e-3, SINGLE: 1e-6}),
        ((0.005, -0.003), 100 * um, 100 * mm, {DOUBLE: 1e-2}),
        ((0.02, 0.0), 100 * um, 20 * mm, {DOUBLE: 1e-3}),
        ((0.0, 0.031), 60 * um, 20 * mm, {DOUBLE: 1e-3}),
    ):
        yield send(f"w0 = {show(waist, 'length')}, sines {sines}", beam(waist, 0.0, sines), z, asked=asked)
    onto = fo.Grid((200, 180), 6 * um, (2 * mm, -3 * mm))
    yield send("sines (0.02, -0.03), where it lands", beam(80 * um, 0.0, (0.02, -0.03)), 0.1, onto=onto)
    near = fo.Grid((160, 200), 1 * um, (0.0, 200 * um))
    yield send("sines (0, 0.2), where it lands", beam(15 * um, 0.0, (0.0, 0.2)), 1 * mm, FINE, near)
    yield send("sines (0, 0.2)", beam(15 * um, 0.0, (0.0, 0.2)), 0.1 * mm, FINE)


def chirped() -> Iterable[Setting]:
    """Diverging and converging beams; the last ones turn by more than their samples carry."""
    for waist, start, z, asked in (
        (50 * um, 50 * mm, 50 * mm, BOTH),
        (50 * um, 50 * mm, -50 * mm, BOTH),
        (20 * um, -50 * mm, 50 * mm, {DOUBLE: 1e-3}),
        (20 * um, -50 * mm, 30 * mm, {SINGLE: 1e-2}),
        (20 * um, -50 * mm, 100 * mm, {DOUBLE: 1e-2}),
        (20 * um, 30 * mm, 300 * mm, {DOUBLE: 1e-3}),
        (12 * um, -30 * mm, 30 * mm, {DOUBLE: 1e-3}),
        (8 * um, -20 * mm, 20 * mm, {DOUBLE: 1e-3}),
        (5 * um, -20 * mm, 20 * mm, {DOUBLE: 1e-3}),
        (5 * um, -20 * mm, 5 * mm, {DOUBLE: 1e-3}),
        (5 * um, 20 * mm, 20 * mm, {DOUBLE: 1e-3}),
    ):
        label = f"w0 = {show(waist, 'length')}, {show(start, 'length')} behind its waist"
        yield send(label, beam(waist, start), z, asked=asked)
    spot = fo.Grid((64, 64), 2 * um)
    yield send("w0 = 20 um, onto its focus", beam(20 * um, -50 * mm), 50 * mm, onto=spot)


def bordered() -> Iterable[Setting]:
    """Beams that go on beyond the grid, and beams that end there."""
    for waist, center, z in (
        (900 * um, (0.0, 0.0), 10 * mm),
        (900 * um, (0.0, 0.0), 300 * mm),
        (900 * um, (0.0, 0.0), 3.0),
        (2 * mm, (0.0, 0.0), 50 * mm),
        (2 * mm, (0.0, 0.0), 1.0),
        (300 * um, (0.0, 0.9 * mm), 1 * mm),
        (300 * um, (0.0, 0.9 * mm), 50 * mm),
        (300 * um, (0.8 * mm, -0.9 * mm), 1.0),
    ):
        yield send(f"w0 = {show(waist, 'length')} about {center[0]:g}, {center[1]:g}", beam(waist, center=center), z)
    yield send("converging, cut", beam(12 * um, -60 * mm), 60 * mm)
    yield send("converging, cut", beam(12 * um, -60 * mm), 20 * mm)
    for z in (5 * mm, 300 * mm):
        yield send("plane wave", lambda y, x, z: exact.phasor(z / GREEN + 0 * y * x), z)
    low, high = -128.5 * GRID.spacing[0], 127.5 * GRID.spacing[0]
    for waist, z in ((900 * um, 50 * mm), (700 * um, 1.0)):
        yield send(f"w0 = {show(waist, 'length')}, ends at the border", cut_beam(waist, (low, high, low, high)), z)


def squares() -> Iterable[Setting]:
    """Squares whose edge cells carry their open part, and whose samples are 0 or 1."""
    d = GRID.spacing[0]
    for part, side, z in (
        (0.5, 0.992 * mm, 20 * mm),
        (0.5, 0.992 * mm, 50 * mm),
        (0.5, 0.992 * mm, 300 * mm),
        (0.5, 0.992 * mm, 3.0),
        (0.0, 0.992 * mm, 50 * mm),
        (0.0, 0.992 * mm, 1.0),
        (0.3, 0.992 * mm, 100 * mm),
        (0.3, 0.992 * mm, -100 * mm),
        (0.3, 0.992 * mm, 1.0),
        (0.2, 1.6 * mm, 300 * mm),
        (0.3, 0.2 * mm, 20 * mm),
        (0.4, 0.2 * mm, 300 * mm),
    ):
        boxes = (square(side, part * d),)
        label = f"square of {show(side, 'length')} off by {part:g} cells"
        yield send(label, shadow(boxes), z, data=partial(covered, boxes, GRID))
    for part, z in ((0.0, 50 * mm), (0.1, 300 * mm), (0.4, 50 * mm), (0.4, 3.0), (-0.3, 100 * mm)):
        boxes = (square(0.996 * mm, part * d),)
        label = f"square of 0 and 1 off by {part:g} cells"
        yield send(label, shadow(boxes), z, data=partial(binary, boxes, GRID))


def edged() -> Iterable[Setting]:
    """Openings whose samples are cells, close up, two of them, finer, onto other grids."""
    d = GRID.spacing[0]
    box = square(0.48 * mm, -d / 2)
    for z, onto in (
        (5 * mm, fo.Grid((2, 128), 8 * um, (30 * um, 0.0))),
        (50 * mm, fo.Grid((2, 128), 8 * um, (30 * um, 0.0))),
        (0.3, None),
        (3.0, fo.Grid((20, 30), 200 * um)),
    ):
        data = partial(covered, (box,), SMALL)
        yield send("square of cells", boundary(box), z, SMALL, onto, BOTH, data=data, pixels=True)
    box = square(0.48 * mm, 0.3 * d)
    for z in (2 * mm, 5 * mm, 20 * mm):
        onto = fo.Grid((2, 128), 8 * um, (30 * um, 0.0))
        yield send("square, two rows", boundary(box), z, SMALL, onto, data=partial(covered, (box,), SMALL))
    for width, apart in ((5.3 * d, 20 * d), (5 * d, 30.4 * d)):
        slits = [(-0.5 * mm, 0.5 * mm, x - width / 2, x + width / 2) for x in (-apart / 2, apart / 2)]
        label = f"double slit of {width / d:.3g} cells"
        yield send(label, shadow(slits), 0.1, data=partial(covered, slits, GRID))
        far = fo.Grid((60, 90), 100 * um)
        yield send(label + ", aside", shadow(slits), 1.0, onto=far, data=partial(covered, slits, GRID))
    boxes = (square(0.5 * mm, 3 * um),)
    fine = fo.Grid((200, 200), 4 * um)
    yield send(
        "square, 4 um", shadow(boxes, 405 * nm), 0.2, fine, data=partial(covered, boxes, fine), wavelength=405 * nm
    )
    for onto in (
        fo.Grid((101, 90), 3 * um, (0.4 * mm, 0.3 * mm)),
        fo.Grid((64, 64), 40 * um),
        fo.Grid((90, 90), 8 * um, (2 * mm, 3 * mm)),
        fo.Grid((90, 90), 8 * um, (0.0, 5 * mm)),
    ):
        boxes = (square(0.8 * mm, 0.2 * d),)
        label = f"square, onto {onto} about {onto.center[1] / mm:g} mm"
        yield send(label, shadow(boxes), 0.2, onto=onto, data=partial(covered, boxes, GRID))


def round_and_cut() -> Iterable[Setting]:
    """Circles and knife edges."""
    for radius, z in ((0.3 * mm, 20 * mm), (0.3 * mm, 100 * mm), (0.3 * mm, 1.0), (0.1023 * mm, 10 * mm)):
        covers = partial(fo.shapes.circle, SMALL, radius)
        yield send(f"circle of {show(radius, 'length')}", disk(radius), z, SMALL, data=covers)
    y, x = axes(SMALL)
    for radius, z in ((0.3 * mm, 50 * mm), (0.3 * mm, 300 * mm), (0.201 * mm, 100 * mm)):
        inside = torch.hypot(y, x) < radius
        label = f"circle of 0 and 1 of {show(radius, 'length')}"
        yield send(label, disk(radius), z, SMALL, data=partial(inside.to, torch.float64))
    d, waist = GRID.spacing[0], 300 * um
    for part, z in ((0.0, 20 * mm), (0.3, 100 * mm), (0.5, 1.0)):
        edge = (part - 0.5) * d
        open_part = fo.shapes.edge(GRID, 0.0, (0.0, edge))
        data = samples(beam(waist), GRID, 0.0) * open_part
        wave = cut_beam(waist, (-1.0, 1.0, edge, 1.0))
        yield send(f"beam behind a knife edge {part:g} of a cell in", wave, z, data=partial(data.clone))


def steep() -> Iterable[Setting]:
    """Far from paraxial: fine samples, tight waists, large tilts."""
    fine, tight = fo.Grid((128, 128), 0.2 * um), fo.Grid((200, 200), 0.4 * um)
    for waist, z, onto in (
        (0.8 * um, 20 * um, None),
        (0.8 * um, 20 * um, fo.Grid((65, 80), 0.5 * um, (3 * um, -2 * um))),
        (0.8 * um, 1 * mm, fo.Grid((65, 80), 10 * um, (3 * um, -2 * um))),
        (0.6 * um, 20 * um, fo.Grid((100, 100), 0.4 * um)),
        (2 * um, 50 * um, None),
    ):
        yield send(f"w0 = {show(waist, 'length')}", beam(waist), z, fine, onto, BOTH)
    for sine, z, onto in (
        (0.5, 0.5 * mm, fo.Grid((200, 200), 0.6 * um, (0.0, 290 * um))),
        (0.45, 1 * mm, fo.Grid((128, 128), 1 * um, (0.0, 504 * um))),
        (0.5, 30 * um, None),
        (0.5, 80 * um, None),
    ):
        yield send(f"sine {sine}", beam(6 * um, 0.0, (0.0, sine)), z, tight, onto, BOTH)
    for z in (20 * um, 200 * um):
        onto = fo.Grid((3, 150), 0.5 * um, (4 * um, 0.0))
        box = square(40 * um, 0.12 * um)
        yield send("square", boundary(box), z, tight, onto, data=partial(covered, (box,), tight))


def noisy() -> Iterable[Setting]:
    """Noise of a part of the band, and of all of it; speckle of a hundred beams."""
    for band, z, envelope, asked in (
        (0.5, 0.3 * mm, 60 * um, {DOUBLE: 1e-3}),
        (0.5, 5 * mm, 60 * um, BOTH),
        (0.8, 2 * mm, 60 * um, {DOUBLE: 1e-3}),
        (1.0, 5 * mm, 0.0, {DOUBLE: 1e-3}),
    ):
        data, wave = noise(48, 8 * um, band, 3, envelope)
        grid = fo.Grid((48, 48), 8 * um)
        label = f"noise of {band:g} of the band" + ", within the grid" * bool(envelope)
        yield send(label, wave, z, grid, data=partial(data.clone), asked=asked)
    for z, spread, asked in (
        (10 * mm, 0.4 * mm, BOTH),
        (100 * mm, 0.4 * mm, {DOUBLE: 1e-3}),
        (20 * mm, 1.5 * mm, {DOUBLE: 1e-3}),
    ):
        yield send(f"speckle over {show(spread, 'length')}", many(60, 50 * um, 0.01, spread, 5), z, asked=asked)


def elsewhere() -> Iterable[Setting]:
    """Beams onto other grids, also where hardly any light is."""
    for waist, z, onto in (
        (100 * um, 0.1, fo.Grid((100, 90), 3 * um, (50 * um, -20 * um))),
        (100 * um, 1.0, fo.Grid((64, 64), 200 * um)),
        (16 * um, 0.1, fo.Grid((80, 80), 50 * um, (1 * mm, 0.0))),
        (100 * um, 0.3, fo.Grid((100, 100), 8 * um, (1.2 * mm, 0.0))),
        (100 * um, 0.3, fo.Grid((100, 100), 8 * um, (2 * mm, 1 * mm))),
        (100 * um, 0.02, fo.Grid((100, 100), 8 * um, (0.0, 0.8 * mm))),
        (12 * um, 0.02, fo.Grid((100, 100), 8 * um, (0.0, 1.5 * mm))),
    ):
        label = f"w0 = {show(waist, 'length')}, onto {onto} about {onto.center[0] / mm:g}, {onto.center[1] / mm:g} mm"
        yield send(label, beam(waist), z, onto=onto, asked=BOTH)


def tuned() -> Iterable[Setting]:
    """Random cases that the planner was improved on."""
    return drawn(0, 60)


def held_back() -> Iterable[Setting]:
    """Random cases that nobody looked at until the planner was ready."""
    return drawn(2, 60)


FAMILIES = (beams, tilted, chirped, bordered, squares, edged, round_and_cut, steep, noisy, elsewhere, tuned, held_back)


def compare(families: Iterable[Callable[[], Iterable[Setting]]] = FAMILIES) -> list[Estimate]:
    """All cases of some families."""
    return [done for family in families for setting in family() for done in estimate(family.__name__, setting)]


def summary(name: str, done: list[Estimate]) -> str:
    """How many estimates are right: within a factor of 3 of the error, or above."""
    ratios = [one.ratio for one in done]
    above = [one.ratio for one in done if not one.rounding]
    return (
        f"{name}: {len(ratios)} plans, {sum(ratio < 1 / 3 for ratio in ratios)} below a third of the true error; "
        f"{len(above)} with an error above rounding: median of estimate over error {statistics.median(above):.2g}, "
        f"{sum(ratio <= 3 for ratio in above)} within a factor of 3, {sum(ratio > 100 for ratio in above)} above 100"
    )


def main() -> int:
    """Print all cases and the summary; returns 1 if an estimate is below a third of the true error."""
    done = compare()
    head = ("case", "setting", "dtype", "asked", "method", "estimate", "true", "ratio", "most from")
    lines = (
        (
            one.case,
            one.label,
            one.dtype,
            f"{one.asked:.0e}",
            one.plan.method,
            f"{one.plan.error:.1e}",
            f"{one.true:.1e}",
            f"{one.ratio:.2g}",
            max(one.plan.terms, key=lambda cause, terms=one.plan.terms: terms[cause]),
        )
        for one in done
    )
    print(table(head, lines))
    print(summary("\ntuned on", [one for one in done if one.case != held_back.__name__]))
    print(summary("held back", [one for one in done if one.case == held_back.__name__]))
    return int(any(one.ratio < 1 / 3 for one in done))


if __name__ == "__main__":
    sys.exit(main())
