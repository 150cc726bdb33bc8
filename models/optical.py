"""The student on the bench: the light of its masks, the camera, and the fit of its numbers."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.bench.display import illumination
from fouroptics.bench.fourf import FourF
from fouroptics.bench.response import correlate
from fouroptics.errors import FourOpticsError
from fouroptics.light.grid import Grid
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.measure import warn_if_foreign
from fouroptics.masks.targets import transfer
from models.channels import Lines, SideBySide, in_lines, side_by_side
from models.incoherent import ideal_halves
from models.pairing import (
    check_channels,
    check_front,
    check_readout,
    check_spectrum,
    merged_kernels,
    rows_by_channel,
)
from models.student import Readout, Student
from models.windows import Response, Tiles, WholeBench, one_pass

Optics = Response | WholeBench | SideBySide | Lines


def response(bench: FourF, masks: MaskSet, dtype: torch.dtype = torch.complex64) -> Optics:
    """What a bench with its masks does to images, one channel for each output of the kernel table, in their order.

    The exact reduction of a shift-invariant bench; the whole bench, thousands of times slower, of any other, such as
    the wave model. Images of several channels go side by side on the display, or each is shown in light of its own, as
    the masks were laid out.

    Raises
    ------
    FourOpticsError
        If the light is incoherent and the bench not shift-invariant, or as `models.pairing.check_channels`,
        `check_lines` and `check_weights`.

    Warns
    -----
    SamplingWarning
        If the masks were compiled for another wavelength, focal length or input.
    """
    warn_if_foreign(masks, bench)
    table = masks.kernels
    channels = len(rows_by_channel(table))
    if channels > 1:
        check_channels(table)
    if table.place is not None:
        return side_by_side(bench, masks, dtype)
    return in_lines(bench, masks, dtype) if channels > 1 else one_pass(bench, masks, dtype)


def ideal_amplitude(bench: FourF, student: Student) -> Callable[[Tensor], Tensor]:
    """The student's amplitudes as ideal complex masks give them, one frame a kernel, with no fit.

    What passivity took out of each mask, the magnification and the mean beam on the display are known and divided out.
    For the readout "split" they are what is left of two frames of intensity when they are subtracted. Channels have
    displays of their own, of the size of an image, or lines of the light.

    Returns
    -------
    callable
        Images (B, y, x) or (B, C, y, x) to what `Student.amplitude` is of them.

    Raises
    ------
    FourOpticsError
        As `models.pairing.check_front` and `check_spectrum`, or if the student takes several channels in incoherent
        light.
    """
    kernels, size = merged_kernels(student), (student.config.size,) * 2
    check_spectrum(bench.config, student.config)
    if len(bench.lines) > 1:
        lines = zip(bench.lines, kernels.split(1, 1), strict=True)
        channels = [_ideal(line, student, kernel) for (_, line), kernel in lines]
        return lambda images: torch.stack(
            [one(image) for one, image in zip(channels, images.unbind(1), strict=True)], 1
        )
    if kernels.shape[1] > 1 and bench.config.input.shape != size:
        picture = bench.config.input.model_copy(update={"shape": size})
        bench = FourF(bench.config.model_copy(update={"input": picture}))
    return _ideal(bench, student, kernels)


def _ideal(bench: FourF, student: Student, kernels: Tensor) -> Callable[[Tensor], Tensor]:
    """`ideal_amplitude` in light of one wavelength."""
    config, beam = bench.config, illumination(bench.config).abs()
    if student.config.readout == "split":
        if kernels.shape[1] != 1:
            raise FourOpticsError(
                f"channels = {kernels.shape[1]}: incoherent light takes one display; set channels = 1"
            )
        plus, minus = ideal_halves(kernels[:, 0], bench)
        signed = (plus - minus).to(torch.complex64)
        unit = 1 / float(beam.square().mean())
        return lambda images: student.sampled(correlate(bench.encode(images).intensity, signed).real * unit)
    exact = transfer(kernels, bench)
    scale = exact.abs().amax((-3, -2, -1))
    passive = exact / scale[:, None, None, None]
    found = bench.kernel(passive.flatten(0, 1))[:, 0].unflatten(0, passive.shape[:2]).to(torch.complex64)
    optics = Response(bench, found[:, 0] if found.shape[1] == 1 else found, ((0, 0),) * len(found))
    unit = (-config.magnification * scale.float() / beam.mean().float())[:, None, None]
    if kernels.is_complex() or config.input.coding == "phase":
        return lambda images: student.sampled(optics(images) * unit)
    return lambda images: student.sampled(optics(images).real * unit)


@dataclass(frozen=True, eq=False)
class Instrument:
    """From light to the student's numbers: frames, exposure, readout, and the fitted gains and offset of each channel.

    A kernel gives R numbers a pixel: 1, for "four_step" the real and the imaginary part, for "split" the frames of both
    halves. Each of the C channels that the student detects is a sum of the R numbers of one kernel, and an offset.

    Attributes
    ----------
    bench : FourF
        Its camera takes the frames.
    exposure : float
        Seconds, of each frame.
    reference : float
        Amplitude of the reference wave in sqrt(W)/m, for the readouts that have one.
    gain, offset : Tensor
        (R, C) and (C) student's units for the readout's numbers.
    tiles : tuple of (int, int)
        Of the optics, for the pattern of the sensor: which of its pixels each window has.
    read : tuple of int
        First image pixel that is read, and the step to the next, in both directions.
    picture : tuple of int, optional
        Image pixels (y, x) of a window; left out, as many as the display has.

    Raises
    ------
    FourOpticsError
        As `check_readout`.
    """

    bench: FourF
    exposure: float
    reference: float
    gain: Tensor
    offset: Tensor
    tiles: Tiles
    read: tuple[int, int] = (0, 1)
    picture: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_readout(self.bench.config)

    @property
    def kind(self) -> Readout:
        """Readout of the bench."""
        return cast(Readout, self.bench.config.readout.kind)

    def frames(self, light: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Intensities (B, K, y, x) in W/m^2 of the frames of each image, at the pixels that are read.

        Each frame holds all kernels, and the light (B, C, K, y, x) of all lines, which are shown one after another
        while it is exposed. With a generator the reference drifts from frame to frame, a random walk.
        """
        start, step = self.read
        light = light[..., start::step, start::step]
        if self.kind == "split":
            return readout.halves(light)
        if self.kind == "intensity":
            seen = readout.intensity(light)
            return (seen if seen.ndim == 4 else seen.sum(1),)
        steps, arm = readout.STEPS[self.kind], self.bench.config.reference
        turns = torch.zeros(len(light), len(steps), dtype=light.real.dtype)
        if generator is not None and arm and arm.phase_drift:
            walk = torch.randn(len(light), len(steps) - 1, generator=generator, dtype=turns.dtype)
            turns[:, 1:] = arm.phase_drift * walk.cumsum(1)
        waves = torch.polar(torch.full_like(turns, self.reference), turns)[..., None, None, None]
        return tuple(readout.intensity(light + waves[:, i] * factor) for i, factor in enumerate(steps))

    def numbers(self, light: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Numbers (B, R, K, y, x) in DN; a generator makes camera and reference noisy, None gives the mean."""
        frames = self.frames(light, generator)
        tiles = (self.tiles[: len(self.tiles) // 2], self.tiles[len(self.tiles) // 2 :])
        seen = [
            self._exposed(frame, tiles[i] if self.kind == "split" else self.tiles, generator)
            for i, frame in enumerate(frames)
        ]
        if self.kind == "reference_pair":
            seen = [readout.from_reference_pair(seen[0], seen[1], 1.0)]
        elif self.kind == "four_step":
            field = readout.from_four_step(seen, 1.0)
            seen = [field.real, field.imag]
        return torch.stack(seen, 1)

    def _exposed(self, intensity: Tensor, tiles: Tiles, generator: torch.Generator | None) -> Tensor:
        """One frame of the camera (B, K, y, x) in DN."""
        camera, seconds = self.bench.camera, self.exposure
        photons = camera.photons_for(intensity, self.bench.wavelength, seconds)
        take = partial(camera, generator=generator) if generator else camera.expected
        if camera.config.prnu == camera.config.dsnu == 0:
            return take(photons, exposure=seconds)
        windows = zip(photons.unbind(1), tiles, strict=True)
        return torch.stack([take(light, exposure=seconds, pixels=self.pixels(tile)) for light, tile in windows], 1)

    def pixels(self, tile: tuple[int, int]) -> tuple[list[int], list[int]]:
        """Rows and columns of the camera whose pixels lie nearest to the read pixels of an upright window."""
        (start, step), image, pose = self.read, self.bench.image_grid, self.bench.config.poses.camera
        grid, d = Grid(self.picture or image.shape, image.spacing).inverted(), image.spacing
        places = grid.shifted(tile[0] * d[0] + pose.y, tile[1] * d[1] + pose.x).coordinates()
        sensor = self.bench.camera_grid
        y, x = (
            np.rint((place[::-1][start::step] - axis[0]) / pitch).astype(int)
            for place, axis, pitch in zip(places, sensor.coordinates(), sensor.spacing, strict=True)
        )
        return y.tolist(), x.tolist()

    def __call__(self, light: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Detected values in the student's units (B, C, y, x)."""
        numbers = self.numbers(light, generator)
        numbers = torch.cat([numbers] * (self.gain.shape[1] // numbers.shape[2]), 2)
        return (numbers * self.gain[:, :, None, None]).sum(1) + self.offset[:, None, None]

    def save(self, path: Path) -> None:
        """Write exposure (s), reference (sqrt(W)/m), gains, offsets and which pixels are read as JSON."""
        data = {"readout": self.kind, "exposure": self.exposure, "reference": self.reference}
        data |= {"gain": self.gain.tolist(), "offset": self.offset.tolist(), "tiles": self.tiles, "read": self.read}
        data |= {"picture": self.picture}
        write_whole(path, (json.dumps(data, indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path, bench: FourF) -> "Instrument":
        """Read what `save` wrote, for a bench with the same readout; a reference that the bench file gives counts."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            kind, exposure, reference = data["readout"], float(data["exposure"]), float(data["reference"])
            gain, offset = torch.tensor(data["gain"]), torch.tensor(data["offset"])
            tiles = tuple((int(y), int(x)) for y, x in data["tiles"])
            read, picture = (pair and (int(pair[0]), int(pair[1])) for pair in (data["read"], data.get("picture")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FourOpticsError(f"{path}: not a calibration ({error}); the demo writes it beside its masks") from None
        if kind != bench.config.readout.kind:
            raise FourOpticsError(
                f"{path} is for readout {kind!r}, the bench has {bench.config.readout.kind!r}: change one"
            )
        return cls(bench, exposure, bench.reference or reference, gain, offset, tiles, read, picture)


def calibrate(
    bench: FourF,
    optics: Optics,
    student: Student,
    images: Tensor,
    generator: torch.Generator | None,
    exposure: float | None = None,
) -> Instrument:
    """Set the exposure and fit gains and offset of each channel on training images, as a lab does, frames included.

    Parameters
    ----------
    bench : FourF
        Its camera and readout.
    optics : Response or WholeBench
        What the bench does.
    student : Student
        Whose detected values the numbers shall become.
    images : Tensor
        Training images (N, y, x) or (N, C, y, x) in [0, 1].
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
        As `Instrument`, and `models.pairing.check_front` and `check_spectrum`.
    """
    check_readout(bench.config)
    check_front(student.config)
    check_spectrum(bench.config, student.config)
    light, read = optics(images), student.config.read_pixels
    with_arm = bench.config.readout.kind in readout.STEPS
    reference = (bench.reference or float(readout.intensity(light).max().sqrt())) if with_arm else 0.0
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images))
    none, picture = torch.zeros(0), (light.shape[-2], light.shape[-1])
    raw = Instrument(bench, 1.0, reference, none, none, optics.tiles, (read.start, read.step), picture)
    seen = torch.stack(raw.frames(light))
    exposure = exposure or bench.config.camera.exposure or bench.camera.exposure_for(seen, bench.wavelength)
    raw = replace(raw, exposure=exposure)
    gain, offset = fitted(raw.numbers(light, generator), wanted)
    return replace(raw, gain=gain, offset=offset)


def fitted(numbers: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Gains (R, C) and offset (C) with which numbers (B, R, K, y, x) come closest to channels (B, C, y, x).

    Least squares, channel by channel; channel c is of kernel c modulo K. A number that never changes has the gain 0.
    """
    x = numbers.permute(1, 2, 0, 3, 4).flatten(2).double()
    y = wanted.transpose(0, 1).flatten(1).double()
    middle, level = x.mean(2, keepdim=True), y.mean(1)
    spread = x - middle
    inverse = torch.linalg.pinv(torch.einsum("rkn,skn->krs", spread, spread), hermitian=True)
    product = torch.einsum("rkn,ckn->ckr", spread, y.unflatten(0, (-1, x.shape[1])))
    gain = torch.einsum("krs,cks->rck", inverse, product)
    offset = level - (gain * middle.transpose(1, 2)).sum(0).flatten()
    return gain.flatten(1).float(), offset.float()


@torch.no_grad()
def predict(
    student: Student,
    optics: Optics,
    instrument: Instrument,
    images: Tensor,
    generator: torch.Generator | None = None,
    batch: int = 200,
) -> Tensor:
    """Logits (N, classes) of images (N[, C], y, x) on the bench: the camera's numbers feed the frozen head."""
    parts = [student.classify(instrument(optics(part), generator)) for part in images.split(batch)]
    return torch.cat(parts)
