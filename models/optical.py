"""The student on the bench: the exact reduction of a shift-invariant bench, the camera, and the fit of its numbers.

In the Fourier model every window of the camera sees the image correlated with one complex kernel of (2 ny - 1)(2 nx -
1) displacements, which `FourF.kernel` gives with everything that the panel does. What follows is that sum, by FFT: the
same field as
``bench(images, masks)`` at the pixels that are read, thousands of times faster. This file is where the inverted image
is turned upright.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import GeometryError
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


def response(bench: FourF, masks: MaskSet, dtype: torch.dtype = torch.complex64) -> Response:
    """Reduce a bench with masks to its response, one kernel for each row of the kernel table."""
    table = masks.kernels
    tiles = [(int(y), int(x)) for y, x in table.tile]
    kernels = torch.stack(
        [bench.kernel(masks, [tile])[mask, 0] for mask, tile in zip(table.mask.tolist(), tiles, strict=True)]
    )
    return Response(bench, kernels.to(dtype))


def ideal_response(bench: FourF, student: Student, dtype: torch.dtype = torch.complex64) -> tuple[Response, Tensor]:
    """Response of ideal complex masks, one frame a kernel, and the factor (K) that passivity took out of each."""
    from fouroptics.masks.compiler import transfer

    exact = transfer(student.collapse()[:, 0], bench)
    scale = exact.abs().amax((-2, -1))
    return Response(bench, bench.kernel(exact / scale[:, None, None])[:, 0].to(dtype)), scale


def with_panel(bench: FourF, **changes: float) -> FourF:
    """Return the same bench with other values in ``[panel]``, such as ``fill_factor=1``."""
    panel = bench.config.panel.model_copy(update=changes)
    return FourF(FourFConfig.model_validate(bench.config.model_copy(update={"panel": panel}).model_dump()))


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


def calibrate(
    bench: FourF, optics: Response, student: Student, images: Tensor, generator: torch.Generator | None
) -> Instrument:
    """Set the exposure and fit gain and offset of each channel on training images, as a lab does, frames included.

    Parameters
    ----------
    bench : FourF
        Its camera and readout.
    optics : Response
        What the bench does.
    student : Student
        Whose detected values the numbers shall become.
    images : Tensor
        Training images (N, y, x) in [0, 1].
    generator : torch.Generator, optional
        Noise of the calibration frames; None for the mean.

    Returns
    -------
    Instrument
        Ready for any image.
    """
    field, kind = optics(images), bench.config.readout.kind
    intensity = readout.intensity(field)
    reference = float(intensity.max().sqrt()) if kind == "reference_pair" else 0.0
    seen = intensity if kind == "intensity" else intensity + reference**2
    exposure = bench.config.camera.exposure or bench.camera.exposure_for(seen, bench.wavelength)
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
    optics: Response,
    instrument: Instrument,
    images: Tensor,
    generator: torch.Generator | None = None,
    batch: int = 200,
) -> Tensor:
    """Logits (N, classes) of images (N, y, x) on the bench: the camera's numbers feed the frozen head."""
    parts = [student.classify(instrument(optics(part), generator)) for part in images.split(batch)]
    return torch.cat(parts)
