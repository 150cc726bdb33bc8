"""What an image costs on a bench: frames, time and energy, part by part, idle power included."""

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from fouroptics.bench import budget
from fouroptics.bench.geometry import geometry
from fouroptics.bench.schedule import schedule
from fouroptics.bench.settings import FourFConfig
from fouroptics.config import FileConfig, Number, Power, Time
from fouroptics.errors import FourOpticsError
from models.electronics import Electronics, Layer
from models.pairing import check_front
from models.student import Student

SPEED = 299_792_458.0  #: of light, m/s
LIGHT = 0.08  #: of the light, in the taps: what `budget.exposure` takes where nothing is said
BATCH = 1000  #: images that one run takes through its masks, for the throughput


class PowersConfig(FileConfig):
    """Powers and energies that no bench file has; ``cost.toml`` has two sets, and says where each figure is from.

    Parameters
    ----------
    display, panel, laser, camera, processor : float
        What each takes in W as long as the bench is on: the laser without its light, the camera without conversions
        and transfer, the processor while it waits.
    efficiency : float
        Light of the laser from its electric power.
    light : float
        Part of the light on the panel in the taps of all kernels of a frame.
    signal : float
        Mean brightness of a result against that of a white image under a kernel of one tap.
    adc_step : float
        J a conversion step; b bits take 2^b of them.
    link_bit, link_rate : float
        J a bit and bits a second, of the connection to the camera; displays take the same energy.
    row_time, row_overhead : float
        Seconds to read a row of the camera, and those of a frame whatever its rows.
    mac_rate : float
        Multiply-accumulates a second of the electronics.
    """

    display: Power = Field(ge=0)
    panel: Power = Field(ge=0)
    laser: Power = Field(ge=0)
    camera: Power = Field(ge=0)
    processor: Power = Field(ge=0)
    efficiency: Number = Field(gt=0, le=1)
    light: Number = Field(gt=0, le=1)
    signal: Number = Field(gt=0, le=1)
    adc_step: Number = Field(ge=0)
    link_bit: Number = Field(ge=0)
    link_rate: Number = Field(gt=0)
    row_time: Time = Field(ge=0)
    row_overhead: Time = Field(ge=0)
    mac_rate: Number = Field(gt=0)

    def without_idle(self) -> "PowersConfig":
        """Return the same without idle power: what is left if every part slept whenever it does nothing."""
        return self.model_copy(update=dict.fromkeys(("display", "panel", "laser", "camera", "processor"), 0.0))


@cache
def _assumed() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_name("cost.toml").read_text(encoding="utf-8"))


def present_powers() -> PowersConfig:
    """Powers of a laboratory's bench: LCOS panel, machine-vision camera."""
    return PowersConfig.model_validate(_assumed()["present"], context="models/cost.toml")


def fast_powers() -> PowersConfig:
    """Powers of the fast bench."""
    table = {key: value for key, value in _assumed()["fast"].items() if key != "bench"}
    return PowersConfig.model_validate(table, context="models/cost.toml")


def fast_bench() -> FourFConfig:
    """Two DMDs and a fast camera; a DMD shows grey as binary images, whose accuracy is another question."""
    return FourFConfig.model_validate(_assumed()["fast"]["bench"], context="models/cost.toml")


class Task(NamedTuple):
    """What a student asks of a bench.

    Channels of the images, a display each, whose light adds up; kernels and their taps; size of an image, and `pooled`,
    what the head gets of it, along an axis; multiply-accumulates of the head; the step from one pixel that is read to
    the next, and whether the readout is linear.
    """

    channels: int
    kernels: int
    taps: int
    size: int
    pooled: int
    macs: int
    read: int = 1
    linear: bool = False

    def at(self, size: int) -> "Task":
        """Return the task for larger images, pooled to the same size for the same head."""
        return self._replace(size=size)


def task(student: Student) -> Task:
    """Task of a student; errors as `models.pairing.check_front`."""
    c = student.config
    check_front(c)
    linear = c.readout != "intensity"
    return Task(c.channels, c.outputs, c.kernel_size, c.size, c.features[-1], student.electronic_macs(), c.read, linear)


def in_electronics(task: Task, size: int) -> Electronics:
    """The student itself without a bench, equal in accuracy: the same kernels and the same head, all computed.

    Tap by tap only the pixels that are read are computed, and of a linear readout only their averages: those of the
    moved images, which are additions, come before the products (`models.front.averaged_correlation`).
    """
    after = task.pooled if task.linear else size / task.read
    return Electronics((Layer(task.channels, task.kernels, task.taps, size, after),), task.macs)


class Layout(NamedTuple):
    """How a bench takes an image: pieces of it, masks for each piece, camera pixels (rows, columns) of a frame."""

    config: FourFConfig
    pieces: int
    masks: int
    kernels: int
    pixels: tuple[int, int]


def as_it_is(config: FourFConfig, task: Task) -> Layout:
    """Layout of a bench for images of its own size: as many kernels a frame as it has windows, all pixels read.

    Raises
    ------
    FourOpticsError
        If the display has another size, or no window fits.
    """
    if config.input.shape != (task.size, task.size):
        raise FourOpticsError(
            f"input.shape = {list(config.input.shape)}, the student takes {task.size} x {task.size} pixels: set it to "
            f"[{task.size}, {task.size}]"
        )
    windows = math.prod(geometry(config, taps=task.taps).windows)
    if windows == 0:
        raise FourOpticsError("no window fits beside the undiffracted light: see fouroptics check")
    return Layout(config, 1, math.ceil(task.kernels / windows), min(task.kernels, windows), config.camera_grid.shape)


def laid_out(config: FourFConfig, task: Task) -> Layout:
    """Lay a bench out anew for images of any size, with the fewest frames.

    One band fills the panel, the beam the display, and a camera pixel is as large as what the head averages: all in
    favour of the bench. Images without a window of their size beside the undiffracted light come in overlapping pieces,
    read by camera pixels an eighth as wide, of which the head's averages are made.

    Raises
    ------
    FourOpticsError
        If the panel is too small for any window.
    """
    sizes = {task.size} | set(range(task.taps, task.size, max(task.size // 128, 1)))
    plans = [plan for size in sizes if (plan := _in_pieces(config, task, size))]
    if not plans:
        raise FourOpticsError(
            f"panel.shape = {list(config.panel.shape)} has no window for {task.taps} taps; take a larger panel"
        )
    return min(plans, key=lambda plan: (plan.pieces * plan.masks, math.prod(plan.pixels)))


def _in_pieces(config: FourFConfig, task: Task, size: int) -> Layout | None:
    """Pieces of size x size pixels; None where not one window fits."""
    whole = size == task.size
    pixel = task.size / task.pooled / (1 if whole else 8)  # image pixels that a camera pixel averages
    config = _fitted(config, size, pixel)
    place = geometry(config, taps=task.taps)
    new = math.floor((size - task.taps + 1) / pixel)  # camera pixels along an axis that the piece's edges do not reach
    windows = math.prod(place.windows)
    if windows == 0 or new == 0:
        return None
    kernels = min(task.kernels, windows)
    wide = min(place.windows[1], 2 * math.ceil(math.sqrt(kernels) / 2))
    high = min(place.windows[0], 2 * math.ceil(kernels / wide / 2))
    rows, across = (
        math.ceil((2 * place.first[0] + (count - 2) * place.step[0] + size) / pixel) for count in (high, wide)
    )
    pieces = 1 if whole else math.ceil(8 * task.pooled / new) ** 2
    return Layout(config, pieces, math.ceil(task.kernels / windows), kernels, (rows, across))


def _fitted(config: FourFConfig, size: int, pixel: float) -> FourFConfig:
    """Bench for so many pixels a side: a band fills the panel, the beam the display; camera pixels average `pixel`."""
    band = min(config.panel.shape)
    pitch = config.light.wavelength * config.lens1.focal_length / (band * config.panel.pitch)
    across = math.ceil(band / pixel)  # all that the panel's replicas leave free
    camera = {"pitch": pitch * pixel * config.magnification, "shape": (across, across), "roi": None, "binning": 1}
    changes = {
        "light": config.light.model_copy(update={"beam_radius": None}),
        "input": config.input.model_copy(update={"shape": (size, size), "pitch": pitch}),
        "camera": config.camera.model_copy(update=camera),
    }
    return config.model_copy(update=changes)


class Part(NamedTuple):
    """A part of the bench: seconds an image, W as long as the bench is on, J for what it does for an image."""

    name: str
    seconds: float
    idle: float
    work: float


@dataclass(frozen=True)
class BenchCost:
    """Time and energy of an image.

    Attributes
    ----------
    frames : int
        Exposures an image.
    latency : float
        Seconds from the image to its class, one image on its own.
    period : float
        Seconds from one class to the next, where `BATCH` images follow each other and the parts overlap.
    parts : tuple of Part
        All but the products of the back end.
    macs : float
        Multiply-accumulates of the back end.
    """

    frames: int
    latency: float
    period: float
    parts: tuple[Part, ...]
    macs: float

    def fixed(self, seconds: float) -> float:
        """J an image without the products of the back end, at so many seconds an image: idle power and work."""
        return sum(part.idle * seconds + part.work for part in self.parts)

    def energy(self, e_mac: float, seconds: float | None = None) -> float:
        """J an image for `e_mac` joules a product; `seconds` an image, those of `period` if left out."""
        return self.fixed(self.period if seconds is None else seconds) + self.macs * e_mac

    def crossover(self, macs: float) -> float:
        """E_MAC in J above which the bench takes less energy than electronics of so many products; inf if never."""
        return self.fixed(self.period) / (macs - self.macs) if macs > self.macs else math.inf


def on_bench(layout: Layout, task: Task, powers: PowersConfig) -> BenchCost:
    """Cost of an image.

    A bench changes display and panel, and exposes, one after the other; reading, sending and the back end of one frame
    go on beside the next ones. The panel keeps a mask for `BATCH` images; a single mask stays for good. The laser
    shines for the exposure that the photons ask for (`budget.exposure`), shared by the kernels of a frame.
    """
    config, images = layout.config, layout.pieces
    share = powers.light * powers.signal / layout.kernels / LIGHT
    light = config.light.model_copy(update={"power": config.light.power * share})
    lit = config.model_copy(update={"light": light})
    one, run = ({row.step: row for row in schedule(lit, n, layout.masks).rows} for n in (images, images * BATCH))
    stays = run["panel"].count == 1
    still = {"readout", "panel"} if stays else {"readout"}
    frames, shown = one["exposure"].count, run["display"].count / BATCH
    reading = max(one["readout"].each, powers.row_overhead + layout.pixels[0] * powers.row_time)
    conversions, camera = frames * math.prod(layout.pixels), config.camera
    bits = conversions * camera.bits
    depth = 1 if config.input.coding == "binary" else 8
    sent = bits + shown * task.channels * depth * math.prod(config.input.shape)
    changed = 0.0 if stays else run["panel"].count / BATCH
    sent += changed * config.panel.bits * math.prod(config.panel.shape)
    shining = frames * budget.exposure(lit) * config.light.power / powers.efficiency
    converting = conversions * 2**camera.bits * powers.adc_step
    parts = (
        Part("display", one["display"].total, task.channels * powers.display, 0.0),
        Part("panel", 0.0 if stays else one["panel"].total, powers.panel, 0.0),
        Part("laser and exposure", one["exposure"].total, powers.laser, shining),
        Part("way of the light", 2 * (config.lens1.focal_length + config.lens2.focal_length) / SPEED, 0.0, 0.0),
        Part("camera and read-out", frames * reading, powers.camera, 0.0),
        Part("ADC", 0.0, 0.0, converting),
        Part("transfer", bits / powers.link_rate, 0.0, sent * powers.link_bit),
        Part("back end", task.macs / powers.mac_rate, powers.processor, 0.0),
    )
    lighting = sum(row.total for row in run.values() if row.step not in still) / BATCH
    beside = (part.seconds for part in parts if part.name in ("camera and read-out", "transfer", "back end"))
    return BenchCost(frames, sum(p.seconds for p in parts), max(lighting, *beside), parts, task.macs)
