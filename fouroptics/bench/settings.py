"""The bench file: its sections and keys, as frozen configurations."""

import math
from typing import Literal

from pydantic import Field

from fouroptics.config import FileConfig, Length, Power, Shape
from fouroptics.devices.camera import CameraConfig
from fouroptics.devices.panel import SLMConfig
from fouroptics.light.grid import Grid


class LightConfig(FileConfig):
    """``[light]``: a laser; `beam_radius` is the 1/e^2 radius of the intensity, left out for a uniform beam."""

    wavelength: Length = Field(ge=1e-8, le=1e-3)
    power: Power = Field(default=1e-3, gt=0)
    beam_radius: Length | None = Field(default=None, gt=0)


class InputConfig(FileConfig):
    """``[input]``: the display of the image; `coding` says what a grey value g in [0, 1] does to the light.

    ``amplitude``: u = g; ``intensity``: u = sqrt(g); ``phase``: u = exp(i pi g); ``binary``: u = 1 where g >= 1/2. A
    ``square`` pixel carries its value over the whole pitch, a ``point`` pixel at its centre.
    """

    shape: Shape
    pitch: Length = Field(ge=1e-8, le=1)
    coding: Literal["amplitude", "intensity", "phase", "binary"] = "amplitude"
    pixel: Literal["square", "point"] = "square"


class LensConfig(FileConfig):
    """``[lens1]``, ``[lens2]``: focal length at the wavelength, and clear diameter (left out: open)."""

    focal_length: Length = Field(ge=1e-4, le=1e3)
    diameter: Length | None = Field(default=None, gt=0)


class PanelConfig(SLMConfig):
    """``[panel]``: the SLM in the Fourier plane; an iris ``"band"`` on it passes one band of the input.

    The iris moves with the panel.
    """

    iris: Literal["band"] | None = None


class ReadoutConfig(FileConfig):
    """``[readout]``: ``intensity`` takes one frame, ``reference_pair`` two with a coherent reference."""

    kind: Literal["intensity", "reference_pair"] = "intensity"


class PoseConfig(FileConfig):
    """Offset of a part from the axis."""

    x: Length = 0.0
    y: Length = 0.0


class PosesConfig(FileConfig):
    """``[poses]``: what is off; everything left out is aligned."""

    panel: PoseConfig = PoseConfig()
    camera: PoseConfig = PoseConfig()


class FourFConfig(FileConfig):
    """A 4f bench: the whole bench file."""

    model: Literal["fourier", "wave"] = "fourier"
    light: LightConfig
    input: InputConfig
    lens1: LensConfig
    panel: PanelConfig = PanelConfig()
    lens2: LensConfig
    camera: CameraConfig = CameraConfig()
    readout: ReadoutConfig = ReadoutConfig()
    poses: PosesConfig = PosesConfig()

    def fault(self) -> str | None:
        """A band of less than two panel pixels is no Fourier plane."""
        if self.band >= 2:
            return None
        return (
            f"one band of the input, wavelength * f1 / (input.pitch * panel.pitch), is {self.band:.3g} panel pixels; "
            "it must be 2 at least: take a longer lens1.focal_length, or a finer input.pitch or panel.pitch"
        )

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
        if self.panel.iris == "band":
            whole = round(self.band)
            inside = whole if abs(self.band - whole) < 1e-6 else 2 * math.floor(self.band / 2) + 1
            shape = (min(shape[0], inside), min(shape[1], inside))
        return Grid(shape, (pitch, pitch), (self.poses.panel.y, self.poses.panel.x))

    @property
    def image_grid(self) -> Grid:
        """Where the camera reads the image of each input pixel; flipping both axes makes it upright."""
        return self.input_grid.inverted(self.magnification).shifted(self.poses.camera.y, self.poses.camera.x)

    @property
    def camera_grid(self) -> Grid:
        """Camera pixels, one off centre for even sizes; a camera without a shape covers the image of the input."""
        shape, pitch = self.camera.shape, self.camera.pitch
        if shape is None:
            n = [math.ceil(side * self.magnification / pitch - 1e-6) for side in self.input_grid.extent]
            shape = (n[0], n[1])
        return Grid(shape, (pitch, pitch)).inverted().shifted(self.poses.camera.y, self.poses.camera.x)


#: The bench of the examples: `fouroptics new` writes it.
EXAMPLE = """\
# A 4f bench. Lengths, powers, times and angles carry their unit.
model = "fourier"              # "fourier": ideal lens transforms; "wave": free space, thin lenses, apertures

[light]
wavelength = "633 nm"
power = "1 mW"
beam_radius = "6 mm"           # 1/e^2 radius of the intensity; left out: uniform over the display

[input]
shape = [28, 28]               # height, width
pitch = "31.65 um"             # wavelength * f1 / (pitch * panel pitch) = 500 panel pixels = one band
coding = "amplitude"           # amplitude | intensity | phase | binary: what grey g means to the light
pixel = "square"               # square | point

[lens1]
focal_length = "200 mm"
diameter = "50.8 mm"

[panel]
preset = "generic-1080p-8um"   # 1920 x 1080 pixels of 8 um, 8 bit; any field of the preset may follow
fill_factor = 0.9
iris = "band"                  # what passes the Fourier plane; left out: the whole panel

[lens2]
focal_length = "200 mm"
diameter = "50.8 mm"

[camera]
preset = "generic-12bit"
pitch = "3.516666666667 um"    # pitch of the image / 9; one reads the pixel centred on each image pixel
exposure = "auto"              # set once, on training images, for mean_photons a read pixel
mean_photons = 1000

[readout]
kind = "intensity"             # intensity | reference_pair
"""
