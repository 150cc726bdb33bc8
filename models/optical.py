"""The student on the bench: the exact reduction of a shift-invariant bench, the camera, and the fit of its numbers.

In the Fourier model every window of the camera sees the image correlated with one complex kernel of (2 ny - 1)(2 nx -
1) displacements, which `FourF.kernel` gives with everything that the panel does. What follows is that sum, by FFT: the
same field as
``bench(images, masks)`` at the pixels that are read, thousands of times faster. This file is where the inverted image
is turned upright.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.bench.display import illumination
from fouroptics.bench.fourf import FourF
from fouroptics.bench.response import correlate
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import FourOpticsError
from fouroptics.light.grid import Grid
from fouroptics.masks.compiler import placed, responses, transfer, warn_if_foreign
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from fouroptics.units import show
from models.student import Readout, Student, StudentConfig

DISPLAY = ("coding", "gamma", "contrast")  #: keys of ``[input]`` that a student learns with


@dataclass(frozen=True, eq=False)
class Response:
    """What one bench with its masks does to an image: complex kernels (K, 2 ny - 1, 2 nx - 1), the image upright."""

    bench: FourF
    kernels: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Field at the read pixels, upright, (B, K, ny, nx) in sqrt(W)/m, of images (B, ny, nx) in [0, 1]."""
        return -(self.bench.config.magnification**-1) * correlate(self.bench.encode(images).data, self.kernels)


@dataclass(frozen=True, eq=False)
class WholeBench:
    """A bench that is not shift-invariant, such as the wave model, with its masks: the light goes all the way."""

    bench: FourF
    masks: MaskSet

    def __call__(self, images: Tensor) -> Tensor:
        """Field at the read pixels, as `Response` gives it, from one grid of image pixels that holds all windows."""
        plan, grid = placed(self.masks), self.bench.image_grid
        y, x = ([tile[axis] for tile in plan.tiles] for axis in (0, 1))
        shape = (max(y) - min(y) + grid.shape[0], max(x) - min(x) + grid.shape[1])
        low = [n // 2 - m // 2 + min(t) for n, m, t in zip(shape, grid.shape, (y, x), strict=True)]
        whole = Grid(
            shape, grid.spacing, (grid.center[0] + low[0] * grid.spacing[0], grid.center[1] + low[1] * grid.spacing[1])
        )
        field = self.bench(images, self.masks, onto=whole).data
        windows = [
            field[:, mask, ty - min(y) : ty - min(y) + grid.shape[0], tx - min(x) : tx - min(x) + grid.shape[1]]
            for mask, (ty, tx) in zip(plan.mask, plan.tiles, strict=True)
        ]
        return torch.stack([windows[row] for row in self.masks.kernels.out_channel.argsort()], 1).flip((-2, -1))


Optics = Response | WholeBench


def response(bench: FourF, masks: MaskSet, dtype: torch.dtype = torch.complex64) -> Optics:
    """What a bench with its masks does to images, one channel for each output of the kernel table, in their order.

    The exact reduction of a shift-invariant bench; the whole bench, thousands of times slower, of any other, such as
    the wave model.

    Warns
    -----
    SamplingWarning
        If the masks were compiled for another wavelength, focal length or input.
    """
    warn_if_foreign(masks, bench)
    if not bench.is_shift_invariant:
        return WholeBench(bench, masks)
    plan = placed(masks)
    kernels = responses(masks, plan.mask, plan.tiles, bench)
    return Response(bench, kernels[masks.kernels.out_channel.argsort()].to(dtype))


def for_bench(student: StudentConfig, bench: FourFConfig) -> StudentConfig:
    """Return the student that learns with the readout, coding, gamma and contrast of a bench.

    Raises
    ------
    ConfigError
        If no student learns with that readout.
    """
    here = {"readout": bench.readout.kind} | {key: getattr(bench.input, key) for key in DISPLAY}
    return StudentConfig.model_validate(student.model_dump() | here)


def check_pairing(bench: FourF, masks: MaskSet, student: Student) -> None:
    """Refuse a bench or masks that are not made for this student.

    Raises
    ------
    FourOpticsError
        If the kernels of the masks are not the student's, or the readout, coding, gamma or contrast is not what it
        was trained with.
    """
    config, table, wanted = bench.config, masks.kernels, student.collapse()[:, 0].numpy()
    kernels = table.weight[table.out_channel.argsort()]
    if kernels.shape != wanted.shape or not np.allclose(kernels, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max()):
        raise FourOpticsError(
            f"the masks hold {len(table)} kernels that are not the student's {len(wanted)}: take the masks of its run"
        )
    pairs = {"readout.kind": (config.readout.kind, student.config.readout)}
    pairs |= {f"input.{key}": (getattr(config.input, key), getattr(student.config, key)) for key in DISPLAY}
    for key, values in pairs.items():
        here, learned = ("left out" if value is None else f"= {value!r}" for value in values)
        if here != learned:
            raise FourOpticsError(
                f"{key} {here}, the student learned with {key} {learned}: change the bench file, or train a student "
                "for this bench"
            )


def ideal_amplitude(bench: FourF, student: Student) -> Callable[[Tensor], Tensor]:
    """The student's amplitudes as ideal complex masks give them, one frame a kernel, with no fit.

    What passivity took out of each mask, the magnification and the mean beam on the display are known and divided out.

    Returns
    -------
    callable
        Images (B, y, x) to amplitudes (B, K, y, x): complex for the coding "phase", else real.
    """
    exact = transfer(student.collapse()[:, 0], bench)
    scale = exact.abs().amax((-2, -1))
    optics = Response(bench, bench.kernel(exact / scale[:, None, None])[:, 0].to(torch.complex64))
    unit = -bench.config.magnification * scale.float() / illumination(bench.config).abs().mean().float()
    if bench.config.input.coding == "phase":
        return lambda images: optics(images) * unit[:, None, None]
    return lambda images: optics(images).real * unit[:, None, None]


def with_panel(bench: FourF, **changes: float) -> FourF:
    """Return the same bench with other values in ``[panel]``, such as ``fill_factor=1``."""
    data = bench.config.model_dump()
    return FourF(data | {"panel": data["panel"] | changes})


@dataclass(frozen=True, eq=False)
class Instrument:
    """From fields to the student's numbers: exposure, readout, and the fitted gain and offset of each channel.

    Attributes
    ----------
    bench : FourF
        Its camera takes the frames.
    kind : {"intensity", "reference_pair"}
        Readout.
    exposure : float
        Seconds.
    reference : float
        Amplitude of the reference wave in sqrt(W)/m, for the pair.
    gain, offset : Tensor
        (K) student's units for the readout's numbers.

    Raises
    ------
    FourOpticsError
        If the bench is read in a way, or has light, that no student learns with.
    """

    bench: FourF
    kind: Readout
    exposure: float
    reference: float
    gain: Tensor
    offset: Tensor

    def __post_init__(self) -> None:
        light, kind, reference = self.bench.config.light, self.bench.config.readout.kind, self.bench.config.reference
        if kind not in get_args(Readout):
            known = " or ".join(repr(name) for name in get_args(Readout))
            raise FourOpticsError(f"readout.kind = {kind!r}: students learn with {known}; take one of these")
        if light.coherence == "incoherent" or light.spectrum:
            key = "coherence = 'incoherent'" if light.coherence == "incoherent" else "spectrum"
            raise FourOpticsError(f"light.{key}: students learn with coherent light of one wavelength; leave it out")
        if kind == "reference_pair" and reference and any(reference.tilt):
            tilt = " and ".join(show(angle, "angle") for angle in reference.tilt)
            raise FourOpticsError(
                f"reference.tilt = {tilt}: students learn with a reference along the axis; leave it out"
            )

    def numbers(self, field: Tensor, generator: torch.Generator | None) -> Tensor:
        """Numbers (B, K, y, x) in DN for fields; a generator makes camera and reference noisy, None gives the mean.

        Between the two frames of an image, which hold all its kernels, the reference drifts by one random phase.
        """
        if self.kind == "intensity":
            return self._expose(readout.intensity(field), generator)
        plus, minus = readout.reference_pair(field, self.reference)
        reference = self.bench.config.reference
        if generator is not None and reference and reference.phase_drift:
            turn = torch.randn(len(field), 1, 1, 1, generator=generator, dtype=plus.dtype) * reference.phase_drift
            _, minus = readout.reference_pair(field, self.reference * torch.polar(torch.ones_like(turn), turn))
        return readout.from_reference_pair(self._expose(plus, generator), self._expose(minus, generator), 1.0)

    def _expose(self, intensity: Tensor, generator: torch.Generator | None) -> Tensor:
        camera = self.bench.camera
        photons = camera.photons_for(intensity, self.bench.wavelength, self.exposure)
        if generator is None:
            return camera.expected(photons, self.exposure)
        return camera(photons, generator, self.exposure)

    def __call__(self, field: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Detected values in the student's units (B, K, y, x)."""
        return self.numbers(field, generator) * self.gain[:, None, None] + self.offset[:, None, None]

    def save(self, path: Path) -> None:
        """Write exposure (s), reference (sqrt(W)/m), gain and offset as JSON."""
        data = {"readout": self.kind, "exposure": self.exposure, "reference": self.reference}
        data |= {"gain": self.gain.tolist(), "offset": self.offset.tolist()}
        write_whole(path, (json.dumps(data, indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path, bench: FourF) -> "Instrument":
        """Read what `save` wrote, for a bench with the same readout; a reference that the bench file gives counts."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            numbers = torch.tensor(data["gain"]), torch.tensor(data["offset"])
            kind, exposure, reference = data["readout"], float(data["exposure"]), float(data["reference"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FourOpticsError(f"{path}: not a calibration ({error}); the demo writes it beside its masks") from None
        if kind != bench.config.readout.kind:
            raise FourOpticsError(
                f"{path} is for readout {kind!r}, the bench has {bench.config.readout.kind!r}: change one"
            )
        return cls(bench, kind, exposure, bench.reference or reference, *numbers)


def calibrate(
    bench: FourF,
    optics: Optics,
    student: Student,
    images: Tensor,
    generator: torch.Generator | None,
    exposure: float | None = None,
) -> Instrument:
    """Set the exposure and fit gain and offset of each channel on training images, as a lab does, frames included.

    Parameters
    ----------
    bench : FourF
        Its camera and readout.
    optics : Response or WholeBench
        What the bench does.
    student : Student
        Whose detected values the numbers shall become.
    images : Tensor
        Training images (N, y, x) in [0, 1].
    generator : torch.Generator, optional
        Noise of the calibration frames; None for the mean.
    exposure : float, optional
        In seconds; left out, that of the bench file or, if it is "auto", for `mean_photons` on these images.

    Returns
    -------
    Instrument
        Ready for any image.

    Raises
    ------
    FourOpticsError
        As `Instrument`.
    """
    field, kind = optics(images), cast(Readout, bench.config.readout.kind)
    intensity = readout.intensity(field)
    reference = (bench.reference or float(intensity.max().sqrt())) if kind == "reference_pair" else 0.0
    seen = intensity if kind == "intensity" else intensity + reference**2
    exposure = exposure or bench.config.camera.exposure or bench.camera.exposure_for(seen, bench.wavelength)
    one = torch.ones(field.shape[1])
    raw = Instrument(bench, kind, exposure, reference, one, 0 * one)
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images)).transpose(0, 1).flatten(1).double()
    numbers = raw.numbers(field, generator).transpose(0, 1).flatten(1).double()
    spread = numbers - numbers.mean(1, keepdim=True)
    gain = (spread * wanted).sum(1) / spread.square().sum(1)
    offset = wanted.mean(1) - gain * numbers.mean(1)
    return replace(raw, gain=gain.float(), offset=offset.float())


@torch.no_grad()
def predict(
    student: Student,
    optics: Optics,
    instrument: Instrument,
    images: Tensor,
    generator: torch.Generator | None = None,
    batch: int = 200,
) -> Tensor:
    """Logits (N, classes) of images (N, y, x) on the bench: the camera's numbers feed the frozen head."""
    parts = [student.classify(instrument(optics(part), generator)) for part in images.split(batch)]
    return torch.cat(parts)
