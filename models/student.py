"""The student: one linear optical layer, a camera, and a small electronic head.

While it learns, the optical layer may be a stack of convolutions without anything between them but linear pooling; for
the bench, and for speed, the stack is merged into one kernel, or one mask, for each output channel (exactly: the
composition of linear maps is one). Kernels are in the order of torch, cross-correlation:
``u[y, x] = sum_ij kernel[i, j] image[y+i-k//2, x+j-k//2]``. Detection stands behind the optics.
"""

import itertools
import math
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fouroptics.bench import readout
from fouroptics.bench.display import coded
from fouroptics.bench.settings import InputConfig
from fouroptics.config import FileConfig, Number
from fouroptics.errors import FourOpticsError
from fouroptics.light.sources import Coding
from models.front import averaged_correlation, averages, bordered, convolve, deltas, merge, random_weights
from models.head import head
from models.macs import count_macs
from models.pictures import with_channels
from models.spectral import masked, merge_spectra, spectral_layer

Count = Annotated[int, Field(ge=1)]
Readout = Literal["intensity", "reference_pair", "four_step", "split"]
AT_ONCE = 2**19  #: samples of camera pictures at a time: 64 x 28 x 28 of 256 images take 2.5 times as long in one piece
READOUTS: tuple[Readout, ...] = get_args(Readout)


class StudentConfig(FileConfig):
    """What a student is made of; the table ``[student]`` of a recipe.

    Parameters
    ----------
    front : {"stack", "free", "delta", "random"}
        The optical layer: the linear stack of 3x3 layers; kernels learned directly; a plain lens; fixed random kernels.
    channels : int
        Of the images, one display each, or side by side on one; their amplitudes add up in the camera plane.
    channel_sum : {"amplitude", "intensity"}
        "intensity": each channel has light of its own wavelength, and the camera adds their |u|^2.
    outputs : int
        Kernels, that is channels of the camera picture.
    width, depth : int
        Channels between the convolutions of the stack, and their number; the merged kernels are 2 depth + 1 wide.
    widths : tuple of int, optional
        Channels between the convolutions, one by one, in place of `width` and `depth`.
    bands : tuple of int, optional
        Spectral pooling behind each layer of the stack: samples a side that are left of the image with its dark border
        (`StudentConfig.periods`), odd, the same or fewer from layer to layer.
    kernel : int, optional
        Width in pixels of the kernels of the other fronts; left out, that of the merged stack.
    rectified : bool
        With `bands`: each pooling drops what is below 0, as that of the authors' released code does. No optics does
        this, and such a stack does not merge; it is here to be compared with.
    complex_kernels : bool
        Kernels have a phase; else they are real.
    readout : {"intensity", "reference_pair", "four_step", "split"}
        What the camera tells of the amplitude u: |u|^2; Re u; u, its Im as further channels if the kernels are complex;
        or, of incoherent light, the signed kernels act on the intensity of the display, w+ and w- on frames of their
        own that are subtracted. All but the first are linear.
    coding : {"amplitude", "intensity", "phase", "binary"}
        What a grey value g in [0, 1] is to the light: g, sqrt(g), exp(i pi g), or 1 from g = 1/2 on.
    gamma, contrast : float
        Of the display, as in the bench file: it shows g**gamma, and its dark pixels pass 1/contrast of the light.
    read : int
        The camera is read at every read-th image pixel, the first at (read - 1)//2, in both directions.
    pool : int
        Read pixels that are averaged, in both directions; where it does not divide them, ceil(pixels / pool) windows
        of nearly equal size that may overlap by a pixel (adaptive average pooling).
    hidden : int or tuple of int
        Width of the head, or of each of its layers; 0 for a linear head.
    dropout : float
        In training, in front of each linear layer of the head.
    size, classes : int
        Images are size x size, in so many classes.
    """

    front: Literal["stack", "free", "delta", "random"] = "stack"
    channels: Count = 1
    channel_sum: Literal["amplitude", "intensity"] = "amplitude"
    outputs: Count = 16
    width: Count = 16
    depth: Count = 4
    widths: tuple[Count, ...] | None = None
    bands: tuple[Count, ...] | None = None
    kernel: Count | None = None
    rectified: bool = False
    complex_kernels: bool = False
    readout: Readout = "intensity"
    coding: Coding = "amplitude"
    gamma: Number = Field(default=1.0, gt=0, le=10)
    contrast: Number | None = Field(default=None, gt=1)
    read: Count = 1
    pool: Count = 4
    hidden: Annotated[int, Field(ge=0)] | tuple[Count, ...] = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    size: Count = 28
    classes: Count = 10

    def fault(self) -> str | None:
        """Name the values that do not fit together."""
        if self.front == "stack" and self.kernel is not None:
            made = 2 * len(self.layers) - 1
            return f"kernel = {self.kernel}: the stack makes kernels of {made}; give depth, or another front"
        if self.readout == "split" and (self.complex_kernels or self.coding == "phase"):
            key = "coding = 'phase'" if self.coding == "phase" else "complex_kernels = true"
            return f"{key}: readout 'split' is of incoherent light, which has no phase; take another readout"
        if self.channel_sum == "intensity" and self.readout != "intensity":
            return f"channel_sum = 'intensity': readout {self.readout!r} is linear in the amplitude; take 'intensity'"
        if self.channel_sum == "intensity" and self.channels == 1:
            return "channel_sum = 'intensity': one channel leaves nothing to add; give channels, or leave it out"
        if self.rectified and (self.bands is None or not self.real):
            return "rectified = true: it is of pooling (bands) of real light; leave it out"
        if self.read > 2 * self.picture:
            return f"read = {self.read}: of {self.picture} pixels that reads none; take a smaller one"
        if self.bands is None:
            return None
        layers = len(self.layers) - 1
        if self.front != "stack" or len(self.bands) != layers:
            return f"bands = {list(self.bands)}: give one for each of the {layers} layers of the front 'stack'"
        if self.periods is None:
            return f"bands = {list(self.bands)}: the dark border would be wider than the images; take more samples"
        sides = [*self.periods, self.bands[-1]]
        if list(self.bands) != sorted(self.bands, reverse=True) or any(n % 2 == 0 for n in self.bands):
            return f"bands = {list(self.bands)}: take odd numbers that do not grow"
        if self.bands[0] > sides[0]:
            return f"bands = {list(self.bands)}: an image with its border has {sides[0]} samples; take at most as many"
        return None

    @property
    def real(self) -> bool:
        """Whether light and kernels have no phase but 0 and pi."""
        return not (self.complex_kernels or self.coding == "phase")

    @property
    def layers(self) -> list[int]:
        """Channels of the stack, those of the images first."""
        between = self.widths if self.widths is not None else (self.width,) * (self.depth - 1)
        return [self.channels, *between, self.outputs]

    @property
    def kernel_size(self) -> int:
        """Width of the merged kernels in pixels, without pooling between the layers."""
        return self.kernel or 2 * len(self.layers) - 1

    @property
    def periods(self) -> list[int] | None:
        """Samples a side that each layer with spectral pooling works on; the first are the image and a dark border.

        A layer reaches one sample further of those that it works on. The border is as wide as all layers reach to one
        side: what leaves the image there comes in, dark, at the other.
        """
        if self.bands is None:
            return None
        pooled = self.bands[:-1]
        left = 1 - sum(1 / n for n in pooled)  # the period p is size + 1 + sum of p / n
        if left < 0.5:
            return None
        first = math.ceil((self.size + 1) / left)
        return [first + 1 - first % 2, *pooled]

    @property
    def picture(self) -> int:
        """Samples a side of the camera picture."""
        if self.bands is None or self.periods is None:
            return self.size
        return math.ceil(self.size * self.bands[-1] / self.periods[0])

    @property
    def read_pixels(self) -> range:
        """Samples of the camera picture that are read, in each direction."""
        return range((self.read - 1) // 2, self.picture, self.read)

    @property
    def features(self) -> tuple[int, int, int]:
        """What the head gets: channels, and averages in y and in x."""
        side = math.ceil(len(self.read_pixels) / self.pool)
        return self.outputs * (2 if self.readout == "four_step" and self.complex_kernels else 1), side, side

    @property
    def display(self) -> InputConfig:
        """The display of the images; its pitch does not matter here."""
        shape = (self.size, self.size)
        return InputConfig(shape=shape, pitch=1.0, coding=self.coding, gamma=self.gamma, contrast=self.contrast)


class Student(nn.Module):
    """A linear optical layer, a camera, and a head: `classify(detect(amplitude(images)))`.

    Parameters
    ----------
    config : StudentConfig
        What it is made of.

    Examples
    --------
    >>> student = Student(StudentConfig())
    >>> student(torch.zeros(2, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.stack = nn.ParameterList()
        shape, phase = (config.outputs, config.channels, config.kernel_size), config.complex_kernels
        if config.front == "stack":
            self.stack = nn.ParameterList(
                random_weights(after, before, 3, phase) for before, after in itertools.pairwise(config.layers)
            )
        elif config.front == "free":
            self.stack = nn.ParameterList([random_weights(*shape, phase)])
        elif config.front == "random":
            self.register_buffer("fixed", random_weights(*shape, phase).detach())
        else:
            self.register_buffer("fixed", deltas(*shape, phase))
        self.normalise = nn.BatchNorm2d(config.features[0])
        self.head = head(math.prod(config.features), config.hidden, config.classes, config.dropout)
        table = averages(config.picture, config.read_pixels, config.features[1])
        self.register_buffer("averages", table, persistent=False)

    def kernels(self) -> Tensor:
        """Merge the stack: kernels (outputs, channels, k, k), cross-correlation order; gradients reach the stack."""
        return merge(self.weights())

    def weights(self) -> list[Tensor]:
        """Kernels of each layer, (out, in, k, k), real or complex."""
        stored = list(self.stack) or [self.get_buffer("fixed")]
        return [torch.view_as_complex(part) for part in stored] if self.config.complex_kernels else stored

    def collapse(self) -> Tensor:
        """Merge the optical layer in float64, detached: what the bench gets.

        Returns
        -------
        Tensor
            Kernels (outputs, channels, k, k); with spectral pooling, complex masks (outputs, channels, band, band) in
            FFT order instead, at the frequencies of the image with its border (`StudentConfig.periods`).

        Raises
        ------
        FourOpticsError
            If the layers are not linear (`StudentConfig.rectified`).
        """
        if self.config.rectified:
            raise FourOpticsError(
                "rectified = true: what drops values below 0 between its layers is not one pass of light"
            )
        double = [weights.detach().to(torch.promote_types(weights.dtype, torch.float64)) for weights in self.weights()]
        c = self.config
        if c.bands is not None and c.periods is not None:
            return merge_spectra(double, c.periods, c.bands[-1])
        return merge(double)

    def encode(self, images: Tensor) -> Tensor:
        """Light (B, channels, size, size) behind the display, of a beam of amplitude 1; complex for the coding "phase".

        Images are (B, size, size) or (B, channels, size, size). For the readout "split" it is the intensity, else the
        amplitude. A plain display of amplitudes passes any numbers, so that the optics can be shown to be linear; the
        others want grey values in [0, 1].
        """
        c = self.config
        images = with_channels(images, c.channels, c.size)
        plain = c.coding == "amplitude" and c.gamma == 1 and c.contrast is None
        light = images if plain else coded(c.display, images)
        return light.square() if c.readout == "split" else light

    def run_stack(self, images: Tensor) -> Tensor:
        """Compute the amplitude layer by layer, back in space behind each; for the proof that they merge.

        Parameters
        ----------
        images : Tensor
            Shape (B, size, size) or (B, channels, size, size), float32 or float64.

        Returns
        -------
        Tensor
            As `amplitude`, of the precision of `images`.
        """
        c, field = self.config, self.encode(images)
        if c.channel_sum == "intensity":  # each channel alone, the others dark
            alone = torch.eye(c.channels, dtype=field.dtype, device=field.device)[..., None, None]
            field = (field[:, None] * alone).flatten(0, 1)
        layers = [
            w.to(torch.promote_types(images.dtype, w.dtype) if w.is_complex() else images) for w in self.weights()
        ]
        if c.bands is None or c.periods is None:
            field = bordered(field, c.kernel_size)
            for weights in layers:
                field = convolve(field, weights)
        else:
            field = F.pad(field, (0, c.periods[0] - c.size) * 2)
            for weights, band in zip(layers, c.bands, strict=True):
                field = spectral_layer(field, weights, band)
                field = field.relu() if c.rectified else field
        field = self.sampled(field[..., : c.picture, : c.picture])
        return field.unflatten(0, (-1, c.channels)) if c.channel_sum == "intensity" else field

    def merged(self) -> Tensor:
        """Merge the stack: `kernels`, or with spectral pooling the mask that `models.spectral.masked` takes."""
        c = self.config
        if c.bands is None or c.periods is None:
            return self.kernels()
        return merge_spectra(self.weights(), c.periods, c.bands[-1], half=c.real)

    def amplitude(self, images: Tensor, merged: Tensor | None = None) -> Tensor:
        """Compute the amplitude (B, outputs, y, x) at the pixels that are read of images (B[, channels], size, size).

        Linear in the light that `encode` makes of them, unless the student is rectified; complex if it or the kernels
        are; (B, channels, outputs, y, x) where the intensities of the channels add. `merged` is the merged stack, if it
        is at hand.
        """
        if self.config.rectified:
            return self.run_stack(images)
        merged, light = self.merged() if merged is None else merged, self.encode(images)
        if self.config.channel_sum == "amplitude":
            return self._through(light, merged)
        channels = zip(light.split(1, 1), merged.split(1, 1), strict=True)
        return torch.stack([self._through(*channel) for channel in channels], 1)

    def _through(self, light: Tensor, merged: Tensor) -> Tensor:
        """Amplitude behind the merged stack, summed over the channels of the light."""
        c = self.config
        if c.bands is not None and c.periods is not None:
            band, first = c.bands[-1], c.periods[0]
            field = masked(light, merged, (first, first), (band, band), half=c.real)
            return self.sampled(field[..., : c.picture, : c.picture])
        start = c.read_pixels.start
        light = bordered(light, merged.shape[-1])[..., start:, start:]
        return convolve(light, merged, stride=c.read)

    def sampled(self, picture: Tensor) -> Tensor:
        """Pixels that are read of a whole camera picture (..., y, x)."""
        read = self.config.read_pixels
        return picture[..., read.start :: read.step, read.start :: read.step]

    def detect(self, amplitude: Tensor) -> Tensor:
        """Detect what the camera tells of amplitudes (..., outputs, y, x): pictures (..., channels, y, x).

        |u|^2 for the readout "intensity", added over light of several wavelengths; Re u for "reference_pair" and
        "split"; for "four_step" Re u and, if the kernels are complex, then Im u.
        """
        if self.config.readout == "intensity":
            seen = readout.intensity(amplitude) if amplitude.is_complex() else amplitude.square()
            return seen.sum(-4) if self.config.channel_sum == "intensity" else seen
        if self.config.readout == "four_step" and self.config.complex_kernels:
            return torch.cat([amplitude.real, amplitude.imag], -3)
        return amplitude.real

    def average(self, detected: Tensor) -> Tensor:
        """Average camera pictures (B, channels, y, x), of the pixels that are read, over the windows of `pool`."""
        if len(self.config.read_pixels) % self.config.pool:
            return F.adaptive_avg_pool2d(detected, self.config.features[1:])
        return F.avg_pool2d(detected, self.config.pool)

    def classify(self, detected: Tensor) -> Tensor:
        """Logits (B, classes) of camera pictures (B, channels, y, x): averaged, normalised, then the head."""
        return self.head(self.normalise(self.average(detected)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size) or (B, channels, size, size), grey values 0 to 1.

        In mixed precision (autocast) the head alone is computed in bfloat16, which has no complex numbers.
        """
        with torch.autocast(images.device.type, enabled=False):
            averaged = self.see(images)
        return self.head(self.normalise(averaged))

    def see(self, images: Tensor) -> Tensor:
        """Averages (B, channels, y, x) of the camera pictures of images, of which the head makes the logits.

        Where the readout is linear the averages are taken first, which is the same and costs less.
        """
        c = self.config
        if c.readout == "intensity" or c.bands is not None or c.pool == 1:
            merged = None if c.rectified else self.merged()
            some = max(AT_ONCE // (c.outputs * c.picture**2), 1)
            averaged = [self.average(self.detect(self.amplitude(part, merged))) for part in images.split(some)]
            return torch.cat(averaged)
        light = self.encode(images)
        return self.detect(averaged_correlation(light, self.kernels(), self.get_buffer("averages")))

    def electronic_macs(self) -> int:
        """Multiply-accumulates an image in the head (its linear layers), as `models.macs.count_macs` counts them.

        The convolution and the square belong to light and camera; the averages over camera pixels are additions
        (outputs size^2 of them) and are not counted.
        """
        weight = next(self.head.parameters())
        return count_macs(self.head, weight.new_zeros(1, *self.config.features))
