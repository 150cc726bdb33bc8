"""The bench file: its sections and keys, as frozen configurations."""

import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from fouroptics.config import Angle, FileConfig, Frequency, Length, Number, Power, Shape, Time, Whole
from fouroptics.devices.panel import SLMConfig
from fouroptics.devices.panel import presets as panel_presets
from fouroptics.devices.sensor import CameraConfig
from fouroptics.devices.sensor import presets as camera_presets
from fouroptics.light.grid import Grid

Wavelength = Annotated[Length, Field(ge=1e-8, le=1e-3)]
Weight = Annotated[Number, Field(gt=0)]
Noll = Annotated[int, Field(ge=2, le=1000)]


class LightConfig(FileConfig):
    """``[light]``: a laser, or with ``coherence = "incoherent"`` an OLED or LED display that shines by itself.

    `beam_radius` is the 1/e^2 radius of the intensity on the display, left out for a uniform beam; `pointing` the tilt
    (y, x) of the beam there. A `spectrum` of (wavelength, weight) lines adds intensities, the mask being made for
    `wavelength`.
    """

    wavelength: Length = Field(ge=1e-8, le=1e-3)
    spectrum: tuple[tuple[Wavelength, Weight], ...] = ()
    coherence: Literal["coherent", "incoherent"] = "coherent"
    power: Power = Field(default=1e-3, gt=0)
    beam_radius: Length | None = Field(default=None, gt=0)
    pointing: tuple[Angle, Angle] = (0.0, 0.0)


class InputConfig(FileConfig):
    """``[input]``: the display of the image; `coding` says what a grey value g in [0, 1] does to the light.

    ``amplitude``: u = g; ``intensity``: u = sqrt(g); ``phase``: u = exp(i pi g); ``binary``: u = 1 where g >= 1/2. The
    display shows ``g**gamma`` for g, and its dark pixels pass ``1 / contrast`` of the light. A ``square`` pixel carries
    its value over the square of area `fill_factor` in the middle of its pitch, a ``point`` pixel at its centre.
    """

    shape: Shape
    pitch: Length = Field(ge=1e-8, le=1)
    coding: Literal["amplitude", "intensity", "phase", "binary"] = "amplitude"
    pixel: Literal["square", "point"] = "square"
    fill_factor: Number = Field(default=1.0, gt=0, le=1)
    gamma: Number = Field(default=1.0, gt=0, le=10)
    contrast: Number | None = Field(default=None, gt=1)
    refresh_rate: Frequency = Field(default=60.0, gt=0)
    rise_time: Time = Field(default=0.0, ge=0)
    fall_time: Time = Field(default=0.0, ge=0)
    upload_time: Time = Field(default=0.0, ge=0)


class LensConfig(FileConfig):
    """``[lens1]``, ``[lens2]``: focal length at ``light.wavelength``, clear diameter (left out: open), aberrations.

    `focal_slope` is df/dlambda, a pure number (m/m); `aberrations` are Noll's j with rad RMS over the clear diameter,
    for the wave model.
    """

    focal_length: Length = Field(ge=1e-4, le=1e3)
    focal_slope: Number = 0.0
    diameter: Length | None = Field(default=None, gt=0)
    aberrations: dict[Noll, Angle] = Field(default={})

    def at(self, off: float) -> "LensConfig":
        """Return the lens in light of another wavelength, `off` metres longer."""
        return self.model_copy(update={"focal_length": self.focal_length + self.focal_slope * off})


class PanelConfig(SLMConfig):
    """``[panel]``: the SLM in the Fourier plane; an iris passes ``"band"``, one band of the input, or pixels (y, x).

    The iris moves with the panel.
    """

    iris: Literal["band"] | Shape | None = None


class FoldConfig(FileConfig):
    """``[fold]``: how a reflective panel is lit: straight through, by a beam splitter, or at an `angle`.

    A ``beam_splitter`` is passed twice, once in reflection: it leaves ``R (1 - R)`` of the power, 25 % at most, and
    adds a `ghost` of that amplitude (relative to the image of an open panel) shifted by `ghost_shift` (y, x) in the
    camera plane. A ``tilt`` by `angle` about y makes the pitch in x shorter by its cosine, the phase stroke longer by
    ``1 / cos(angle in the liquid crystal)`` with its refractive `index`, and the image a keystone.
    """

    kind: Literal["none", "beam_splitter", "tilt"] = "none"
    reflectance: Number = Field(default=0.5, gt=0, lt=1)
    ghost: Number = Field(default=0.0, ge=0, lt=1)
    ghost_shift: tuple[Length, Length] = (0.0, 0.0)
    angle: Angle = Field(default=0.0, gt=-math.pi / 4, lt=math.pi / 4)
    index: Number = Field(default=1.6, ge=1, le=3)


class PolarisationConfig(FileConfig):
    """``[polarisation]``: two scalars instead of Jones calculus.

    Light whose polarisation is off the panel's axis by `angle` psi leaves ``cos psi`` of the modulated amplitude behind
    the analyser, and ``sqrt(extinction) sin psi`` of unmodulated light; `extinction` is the power that a crossed
    analyser passes, 1 without an analyser. The unmodulated part is taken as coherent, the worst case.
    """

    angle: Angle = Field(default=0.0, ge=-math.pi / 2, le=math.pi / 2)
    extinction: Number = Field(default=0.0, ge=0, le=1)


FRAMES = {"intensity": 1, "reference_pair": 2, "four_step": 4, "split": 2}  #: that a result takes


class ReadoutConfig(FileConfig):
    """``[readout]``: frames that a result takes.

    ``intensity`` one; ``reference_pair`` two and ``four_step`` four, with a coherent reference; ``split`` two, one for
    the positive and one for the negative kernels.
    """

    kind: Literal["intensity", "reference_pair", "four_step", "split"] = "intensity"


class ReferenceConfig(FileConfig):
    """``[reference]``: the reference arm, a plane wave of uniform `power` over the camera.

    `phase_drift` is the RMS phase between two frames; `tilt` the angle (y, x) to the axis. Power left out (``"auto"``
    in a file): as bright as the brightest field of the calibration.
    """

    power: Power | None = Field(default=None, gt=0)
    phase_drift: Angle = Field(default=0.0, ge=0)
    tilt: tuple[Angle, Angle] = (0.0, 0.0)

    @model_validator(mode="before")
    @classmethod
    def _automatic(cls, data: Any) -> Any:
        return {**data, "power": None} if isinstance(data, dict) and data.get("power") == "auto" else data

    @property
    def direction(self) -> tuple[float, float]:
        """Direction sines (y, x)."""
        return math.sin(self.tilt[0]), math.sin(self.tilt[1])


class PoseConfig(FileConfig):
    """Offset of a part from its place: `x`, `y` off the axis, `z` along it, away from the light."""

    x: Length = 0.0
    y: Length = 0.0
    z: Length = 0.0


class TurnedConfig(PoseConfig):
    """Offset, and `rotation` about the axis, from x towards y."""

    rotation: Angle = 0.0


class PanelPoseConfig(TurnedConfig):
    """Offset, rotation, and `tilt` about y: the side of positive x goes away from the light."""

    tilt: Angle = Field(default=0.0, gt=-math.pi / 4, lt=math.pi / 4)


class PosesConfig(FileConfig):
    """``[poses]``: what is off; everything left out is aligned."""

    lens1: PoseConfig = PoseConfig()
    panel: PanelPoseConfig = PanelPoseConfig()
    lens2: PoseConfig = PoseConfig()
    camera: TurnedConfig = TurnedConfig()

    def straight(self) -> "PosesConfig":
        """Return the same poses without the tilt of the panel."""
        return self.model_copy(update={"panel": self.panel.model_copy(update={"tilt": 0.0})})


class FringesConfig(FileConfig):
    """Fringes of a window: relative `amplitude` of the light reflected twice, `period`, `angle` from x, `phase`."""

    amplitude: Number = Field(gt=0, lt=1)
    period: Length = Field(gt=0)
    angle: Angle = 0.0
    phase: Angle = 0.0


class DustConfig(FileConfig):
    """Opaque disks at random places: how many, their radius, the seed of the places."""

    count: Whole = Field(ge=1, le=10_000)
    radius: Length = Field(gt=0)
    seed: Whole = Field(default=0, ge=0)


class NuisancesConfig(FileConfig):
    """``[nuisances]``: fringes and dust on the display, the laser's relative power and its pointing, RMS a frame."""

    fringes: FringesConfig | None = None
    dust: DustConfig | None = None
    power_drift: Number = Field(default=0.0, ge=0, lt=0.5)
    pointing_jitter: Angle = Field(default=0.0, ge=0)
    seed: Whole = Field(default=0, ge=0)


class FourFConfig(FileConfig):
    """A 4f bench: the whole bench file."""

    file_title: ClassVar[str] = "fouroptics bench file"

    model: Literal["fourier", "wave"] = "fourier"
    light: LightConfig
    input: InputConfig
    lens1: LensConfig
    panel: PanelConfig = PanelConfig()
    fold: FoldConfig = FoldConfig()
    polarisation: PolarisationConfig = PolarisationConfig()
    lens2: LensConfig
    camera: CameraConfig = CameraConfig()
    readout: ReadoutConfig = ReadoutConfig()
    reference: ReferenceConfig | None = None
    poses: PosesConfig = PosesConfig()
    nuisances: NuisancesConfig = NuisancesConfig()

    @classmethod
    def file_schema(cls) -> dict[str, Any]:
        """JSON schema of the file, with the words that stand for a value: presets, "auto", the path of a table."""
        schema = super().file_schema()
        tables = schema["$defs"]
        for name, key, word in (
            ("PanelConfig", "preset", {"enum": list(panel_presets())}),
            ("CameraConfig", "preset", {"enum": list(camera_presets())}),
            ("CameraConfig", "exposure", {"const": "auto"}),
            ("ReferenceConfig", "power", {"const": "auto"}),
            ("PanelConfig", "table", {"type": "string"}),
        ):
            entry = tables[name]["properties"].setdefault(key, {"anyOf": []})
            entry["anyOf"].append(word)
        return schema

    def fault(self) -> str | None:
        """What cannot be together: a band of less than two panel pixels, a readout without its reference, ..."""
        if self.band < 2:
            return (
                "one band of the input, wavelength * f1 / (input.pitch * panel.pitch), is "
                f"{self.band:.3g} panel pixels; "
                "it must be 2 at least: take a longer lens1.focal_length, or a finer input.pitch or panel.pitch"
            )
        top, left, height, width = self.camera.roi or (0, 0, 1, 1)
        if top + height > self.sensor_shape[0] or left + width > self.sensor_shape[1]:
            return f"camera.roi = {self.camera.roi} reaches beyond the {self.sensor_shape} pixels of the sensor"
        kind = self.readout.kind
        if kind in ("reference_pair", "four_step"):
            if self.light.coherence == "incoherent":
                return f"readout.kind = {kind!r} needs coherent light; light.coherence is 'incoherent': use 'split'"
            if self.reference is None:
                return f"readout.kind = {kind!r} needs a reference arm: add a table [reference], such as power = 'auto'"
        if self.model == "fourier" and (self.lens1.aberrations or self.lens2.aberrations):
            name = "lens1" if self.lens1.aberrations else "lens2"
            return f"{name}.aberrations act in the plane of the lens, which the model 'fourier' has not: model = 'wave'"
        if kind == "split" and self.light.coherence == "coherent" and self.input.coding == "phase":
            return (
                "readout.kind = 'split' takes the root of coherent light, and fields of input.coding = 'phase' are not "
                "non-negative: use 'reference_pair', another coding, or incoherent light"
            )
        for name, lens in (("lens1", self.lens1), ("lens2", self.lens2)):
            if lens.aberrations and lens.diameter is None:
                return f"{name}.aberrations are RMS over the clear diameter: give {name}.diameter"
        if self.model == "wave" and self.light.coherence == "incoherent":
            return "light.coherence = 'incoherent' is computed from the response of the model 'fourier': set that"
        return None

    @property
    def tilt(self) -> float:
        """Angle of the panel about y in rad: that of the fold, and the error of its pose."""
        return self.poses.panel.tilt + (self.fold.angle if self.fold.kind == "tilt" else 0.0)

    def at(self, wavelength: float) -> "FourFConfig":
        """Return the same hardware in light of one other wavelength (m): panel, iris, camera stay as they are.

        Focal lengths follow their `focal_slope`, the phase of the panel's levels goes as 1 / wavelength.
        """
        off = wavelength - self.light.wavelength
        measured = self.panel.stroke_wavelength or self.light.wavelength
        panel = self.panel.model_copy(update={"iris": self.fourier_grid.shape, "stroke_wavelength": measured})
        return self.model_copy(
            update={
                "lens1": self.lens1.at(off),
                "lens2": self.lens2.at(off),
                "light": self.light.model_copy(update={"wavelength": wavelength, "spectrum": ()}),
                "panel": panel,
                "camera": self.camera.model_copy(update={"shape": self.sensor_shape}),
            }
        )

    @property
    def lit_panel(self) -> PanelConfig:
        """The panel as light sees it: at a tilt its phase stroke is longer by ``1 / cos`` of the angle inside."""
        if self.fold.kind != "tilt":
            return self.panel
        longer = 1 / math.sqrt(1 - (math.sin(self.fold.angle) / self.fold.index) ** 2)
        table = None if self.panel.table is None else tuple(phase * longer for phase in self.panel.table)
        return self.panel.model_copy(update={"stroke": self.panel.stroke * longer, "table": table})

    @property
    def magnification(self) -> float:
        """Size of the image over that of the input, f2/f1; the image is inverted."""
        return self.lens2.focal_length / self.lens1.focal_length

    @property
    def band(self) -> float:
        """Width of one band of the input in the Fourier plane, ``lambda f1 / pitch``, in panel pixels."""
        return self.light.wavelength * self.lens1.focal_length / (self.input.pitch * self.panel.pitch)

    @property
    def input_grid(self) -> Grid:
        """Pixels of the input display."""
        return Grid(self.input.shape, (self.input.pitch, self.input.pitch))

    @property
    def fourier_grid(self) -> Grid:
        """Panel pixels that the light passes: one band behind the iris, or the whole panel."""
        shape, pitch = self.panel.shape, self.panel.pitch
        seen = pitch * math.cos(self.tilt)
        if self.panel.iris is not None:
            band = (self.band, self.band * pitch / seen)
            iris = (_inside(band[0]), _inside(band[1])) if self.panel.iris == "band" else self.panel.iris
            shape = (min(shape[0], iris[0]), min(shape[1], iris[1]))
        return Grid(shape, (pitch, seen), (self.poses.panel.y, self.poses.panel.x))

    @property
    def image_grid(self) -> Grid:
        """Where the camera reads the image of each input pixel; flipping both axes makes it upright."""
        return self.input_grid.inverted(self.magnification).shifted(self.poses.camera.y, self.poses.camera.x)

    @property
    def sensor_shape(self) -> Shape:
        """Pixels (height, width) of the sensor; one without a shape covers the image of the input."""
        if self.camera.shape is not None:
            return self.camera.shape
        sides = (side * self.magnification for side in self.input_grid.extent)
        height, width = (math.ceil(side / self.camera.pitch - 1e-6) for side in sides)
        return height, width

    @property
    def camera_grid(self) -> Grid:
        """Camera pixels that are read; a sensor of even size is one off centre, so that a flip is upright."""
        pitch = self.camera.pitch
        sensor = Grid(self.sensor_shape, (pitch, pitch)).inverted().shifted(self.poses.camera.y, self.poses.camera.x)
        return self.camera.grid(sensor)


def _inside(band: float) -> int:
    """Pixels of a band: all if it is a whole number, else an odd number about the middle."""
    whole = round(band)
    return whole if abs(band - whole) < 1e-6 else 2 * math.floor(band / 2) + 1


#: The bench of the examples: `fouroptics new` writes it.
EXAMPLE = Path(__file__).with_name("example.toml").read_text(encoding="utf-8")
