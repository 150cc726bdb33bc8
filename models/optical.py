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
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.bench.display import illumination
from fouroptics.bench.fourf import FourF
from fouroptics.errors import FourOpticsError, GeometryError
from fouroptics.light.grid import Grid
from fouroptics.masks.compiler import placed, responses, transfer, warn_if_foreign
from fouroptics.masks.export import write_whole
from fouroptics.masks.maskset import MaskSet
from fouroptics.waves.transforms import fast_length, fft2, ifft2
from models.student import Student


def correlate(images: Tensor, kernels: Tensor) -> Tensor:
    """Correlate images with kernels of all displacements: ``out[m] = sum_D kernel[D] image[m + D]``, by FFT.

    Parameters
    ----------
    images : Tensor
        (B, ny, nx), real or complex.
    kernels : Tensor
        (K, 2 ny - 1, 2 nx - 1) complex, displacement 0 at the centre.

    Returns
    -------
    Tensor
        (B, K, ny, nx), complex.
    """
    (ny, nx), dtype = images.shape[-2:], kernels.dtype
    if kernels.shape[-2:] != (2 * ny - 1, 2 * nx - 1):
        raise GeometryError(
            f"kernels {tuple(kernels.shape)} for images {tuple(images.shape)}: need (K, {2 * ny - 1}, {2 * nx - 1})"
        )
    shape = fast_length(2 * ny - 1), fast_length(2 * nx - 1)  # differences of 1 - n .. n - 1 stay distinct
    taps = torch.zeros(len(kernels), *shape, dtype=dtype, device=kernels.device)
    taps[:, : 2 * ny - 1, : 2 * nx - 1] = kernels.flip((-2, -1))
    taps = taps.roll((1 - ny, 1 - nx), (-2, -1))
    spectrum = fft2(images.to(dtype), shape)[:, None] * (fft2(taps) / (shape[0] * shape[1]))
    return ifft2(spectrum)[..., :ny, :nx]


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

    The exact reduction in the Fourier model; the whole bench, thousands of times slower, in the wave model.

    Warns
    -----
    SamplingWarning
        If the masks were compiled for another wavelength, focal length or input.
    """
    warn_if_foreign(masks, bench)
    if bench.config.model != "fourier":
        return WholeBench(bench, masks)
    plan = placed(masks)
    kernels = responses(masks, plan.mask, plan.tiles, bench)
    return Response(bench, kernels[masks.kernels.out_channel.argsort()].to(dtype))


def check_pairing(bench: FourF, masks: MaskSet, student: Student) -> None:
    """Refuse a bench or masks that are not made for this student.

    Raises
    ------
    FourOpticsError
        If the kernels of the masks are not the student's, or readout or coding is not what it was trained with.
    """
    config, table, wanted = bench.config, masks.kernels, student.collapse()[:, 0].numpy()
    kernels = table.weight[table.out_channel.argsort()]
    if kernels.shape != wanted.shape or not np.allclose(kernels, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max()):
        raise FourOpticsError(
            f"the masks hold {len(table)} kernels that are not the student's {len(wanted)}: take the masks of its run"
        )
    if config.readout.kind != student.config.readout:
        raise FourOpticsError(
            f"readout.kind = {config.readout.kind!r}, the student learned with {student.config.readout!r}: change one"
        )
    if config.input.coding != "amplitude":
        raise FourOpticsError(
            f"input.coding = {config.input.coding!r}, the student was trained for 'amplitude': change one"
        )


def ideal_amplitude(bench: FourF, student: Student) -> Callable[[Tensor], Tensor]:
    """The student's amplitudes as ideal complex masks give them, one frame a kernel, with no fit.

    What passivity took out of each mask, the magnification and the mean beam on the display are known and divided out.

    Returns
    -------
    callable
        Images (B, y, x) to real amplitudes (B, K, y, x).
    """
    exact = transfer(student.collapse()[:, 0], bench)
    scale = exact.abs().amax((-2, -1))
    optics = Response(bench, bench.kernel(exact / scale[:, None, None])[:, 0].to(torch.complex64))
    unit = -bench.config.magnification * scale.float() / illumination(bench.config).mean().float()
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
    """

    bench: FourF
    kind: Literal["intensity", "reference_pair"]
    exposure: float
    reference: float
    gain: Tensor
    offset: Tensor

    def numbers(self, field: Tensor, generator: torch.Generator | None) -> Tensor:
        """Numbers (B, K, y, x) in DN for fields; a generator makes the camera noisy, None gives its mean."""
        if self.kind == "intensity":
            return self._expose(readout.intensity(field), generator)
        plus, minus = (self._expose(frame, generator) for frame in readout.reference_pair(field, self.reference))
        return readout.from_reference_pair(plus, minus, 1.0)

    def _expose(self, intensity: Tensor, generator: torch.Generator | None) -> Tensor:
        camera = self.bench.camera
        photons = camera.photons_for(intensity, self.bench.wavelength, self.exposure)
        return camera.expected(photons) if generator is None else camera(photons, generator)

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
        """Read what `save` wrote, for a bench with the same readout."""
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
        return cls(bench, kind, exposure, reference, *numbers)


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
    """
    field, kind = optics(images), bench.config.readout.kind
    intensity = readout.intensity(field)
    reference = float(intensity.max().sqrt()) if kind == "reference_pair" else 0.0
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
