"""Schedule: how many frames a run takes on the bench, and how long each part keeps it waiting. Imports no torch."""

import math
import numbers
import warnings
from dataclasses import dataclass
from typing import Literal

from fouroptics.bench import budget
from fouroptics.bench.rows import columns
from fouroptics.bench.settings import FRAMES, FourFConfig
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.units import show

USUAL = 60.0  #: refresh rate in Hz of a panel whose own is not known


@dataclass(frozen=True)
class Step:
    """One part of a run: what it is, the seconds it takes each time, how many times."""

    step: str
    each: float
    count: int

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.each * self.count


@dataclass(frozen=True)
class Schedule:
    """A run on the bench.

    Attributes
    ----------
    frames : int
        Exposures of the camera.
    rows : tuple of Step
        What takes the time; nothing overlaps, so their sum is an upper limit.
    notes : tuple of str
        What was assumed, and what to look at.
    """

    frames: int
    rows: tuple[Step, ...]
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Time of the whole run."""
        return sum(row.total for row in self.rows)

    def __str__(self) -> str:
        rows = [(r.step, show(r.each, "time", 4), str(r.count), show(r.total, "time", 4)) for r in self.rows]
        rate = f"{self.frames} frames in {show(self.seconds, 'time', 4)}, {self.frames / self.seconds:.4g} a second"
        table = columns(("step", "each", "times", "in all"), rows)
        return "\n".join([table, rate, *(f"note: {note}" for note in self.notes)])


def durations(config: FourFConfig, exposure: float | None = None) -> dict[str, float]:
    """Seconds that each part takes each time: ``panel``, ``display``, ``exposure``, ``readout``.

    A change of the panel or the display is its upload, a refresh period at least, and then ``max(rise, fall)``. What
    is not known of the panel counts as one period. The readout is what the camera's readout and its frame rate ask for
    after the exposure.
    """
    panel, display, camera = config.panel, config.input, config.camera
    period = refresh_period(config)
    seconds = _exposure(config, exposure)
    settle = max(panel.rise_time or 0.0, panel.fall_time or 0.0)
    least = 0.0 if camera.frame_rate is None else 1 / camera.frame_rate - seconds
    return {
        "panel": max(panel.upload_time or 0.0, period) + settle,
        "display": max(display.upload_time, 1 / display.refresh_rate) + max(display.rise_time, display.fall_time),
        "exposure": seconds,
        "readout": max(camera.readout_time, least),
    }


def refresh_period(config: FourFConfig) -> float:
    """Seconds from one refresh of the panel to the next; of `USUAL` where it is not known."""
    return 1 / (config.panel.refresh_rate or USUAL)


def schedule(
    config: FourFConfig,
    images: int,
    masks: int,
    order: Literal["kernel-major", "image-major"] = "kernel-major",
    repeats: int = 1,
    exposure: float | None = None,
) -> Schedule:
    """Frames and time of a run of all images through all masks, one step after the other.

    Kernel-major shows each mask once and all images through it: the panel, mostly the slow one, changes once a mask.
    Image-major shows each image once, and the panel changes for every pair. A ``split`` readout shows two masks for
    each one; the pairs and steps of a reference change neither panel nor display.

    Parameters
    ----------
    config : FourFConfig
        The bench.
    images, masks : int
        How many of each, 1 at least.
    order : {"kernel-major", "image-major"}
        Which of the two stays while the other one changes.
    repeats : int
        Frames that are averaged for each.
    exposure : float, optional
        In seconds; left out, that of the camera, and where that is automatic the estimate of `budget.exposure`, in
        whole refresh periods of the panel.

    Raises
    ------
    GeometryError
        If a count is below 1, the order unknown or the exposure not positive.

    Warns
    -----
    SamplingWarning
        If an exposure is no whole number of the panel's refresh periods: its flicker then shows in the frames.

    Examples
    --------
    >>> import tomllib
    >>> from fouroptics.bench.settings import EXAMPLE
    >>> run = schedule(FourFConfig.model_validate(tomllib.loads(EXAMPLE)), images=100, masks=8, exposure=1 / 60)
    >>> run.frames, round(run.seconds, 2)
    (800, 26.8)
    """
    if exposure is not None and not 0 < exposure < math.inf:
        raise GeometryError(f"exposure = {exposure} s: must be positive and finite")
    times, notes = _times(config.readout.kind, images, masks, order, repeats), _notes(config, exposure)
    if odd := flicker(config, exposure):
        warnings.warn(odd, SamplingWarning, stacklevel=2)
        notes.append(odd)
    rows = tuple(Step(step, each, times[step]) for step, each in durations(config, exposure).items())
    return Schedule(times["exposure"], rows, tuple(notes))


def _times(readout: str, images: int, masks: int, order: str, repeats: int) -> dict[str, int]:
    """How often each part of `durations` has to act."""
    check_counts(images=images, masks=masks, repeats=repeats)
    if order not in ("kernel-major", "image-major"):
        raise GeometryError(f"order = {order!r}: use 'kernel-major' or 'image-major'")
    frames = images * masks * FRAMES[readout] * repeats
    shown = 2 * masks if readout == "split" else masks
    pairs = images * shown
    if order == "kernel-major":
        panel, display = shown, 1 if images == 1 else pairs
    else:
        panel, display = 1 if shown == 1 else pairs, images
    return {"panel": panel, "display": display, "exposure": frames, "readout": frames}


def check_counts(**counts: int) -> None:
    """Refuse what is no whole number from 1 on."""
    for name, value in counts.items():
        if not isinstance(value, numbers.Integral) or value < 1:
            raise GeometryError(f"{name} = {value!r}: must be a whole number, at least 1")


def flicker(config: FourFConfig, exposure: float | None = None) -> str | None:
    """What is wrong with an exposure that is no whole number of refresh periods; None if it is, or none is given."""
    seconds, rate = exposure or config.camera.exposure, config.panel.refresh_rate
    if seconds is None or rate is None:
        return None
    periods = seconds * rate
    if periods >= 0.999 and abs(periods - round(periods)) < 1e-3 * periods:
        return None
    return (
        f"an exposure of {show(seconds, 'time', 4)} is {periods:.4g} refresh periods of the panel at "
        f"{show(rate, 'frequency', 4)}: its flicker does not average out; take "
        f"{show(max(round(periods), 1) / rate, 'time')}"
    )


def _exposure(config: FourFConfig, exposure: float | None) -> float:
    if given := exposure or config.camera.exposure:
        return given
    estimate, rate = budget.exposure(config), config.panel.refresh_rate
    return estimate if rate is None else max(math.ceil(estimate * rate - 1e-9), 1) / rate


def _notes(config: FourFConfig, exposure: float | None) -> list[str]:
    """What is not known, and what stands in for it."""
    panel, period = config.panel, show(refresh_period(config), "time", 4)
    notes = []
    if panel.refresh_rate is None:
        notes.append(f"panel.refresh_rate is not known: {USUAL:g} Hz assumed")
    if panel.upload_time is None:
        notes.append(f"panel.upload_time is not known: one refresh period, {period}, assumed")
    if panel.rise_time is None or panel.fall_time is None:
        notes.append("panel.rise_time, panel.fall_time are not both known: what is missing counts as 0, measure them")
    if exposure is None and config.camera.exposure is None:
        wanted, taken = budget.exposure(config), _exposure(config, None)
        less = f"; whole refresh periods, {show(taken, 'time', 4)}, take a light.power of " + show(
            config.light.power * wanted / taken, "power", 3
        )
        estimate = f"camera.exposure is automatic: {show(wanted, 'time', 3)} estimated for a white image"
        notes.append(estimate + (less if taken != wanted else ""))
    return notes
