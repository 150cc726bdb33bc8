"""The student: one linear optical layer, a camera, and a small electronic head.

While it learns, the optical layer is a stack of four 3x3 convolutions without anything between them; for the bench, and
for speed, the stack is merged into one kernel for each output channel (exactly: the composition of linear maps is one).
Kernels are in the order of torch, cross-correlation: ``u[y, x] = sum_ij kernel[i, j] image[y+i-k//2, x+j-k//2]``.
"""

import itertools
import math
from typing import Annotated, Literal

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
from models.macs import count_macs

Count = Annotated[int, Field(ge=1)]
Readout = Literal["intensity", "reference_pair"]


class StudentConfig(FileConfig):
    """What a student is made of; the table ``[student]`` of a recipe.

    Parameters
    ----------
    front : {"stack", "free", "delta", "random"}
        The optical layer: the linear stack; kernels learned directly; a plain lens; fixed random kernels.
    outputs : int
        Kernels, that is channels of the camera picture.
    width : int
        Channels between the convolutions of the stack.
    depth : int
        Convolutions in the stack; the merged kernels are 2 depth + 1 pixels wide.
    readout : {"intensity", "reference_pair"}
        What the camera tells of the amplitude u: |u|^2, or the real part of u with its sign.
    coding : {"amplitude", "intensity", "phase", "binary"}
        What a grey value g in [0, 1] is to the light: g, sqrt(g), exp(i pi g), or 1 from g = 1/2 on.
    gamma, contrast : float
        Of the display, as in the bench file: it shows g**gamma, and its dark pixels pass 1/contrast of the light.
    pool : int
        Camera pixels that are averaged, in both directions.
    hidden : int
        Width of the head.
    size, classes : int
        Images are size x size, in so many classes.
    """

    front: Literal["stack", "free", "delta", "random"] = "stack"
    outputs: Count = 16
    width: Count = 16
    depth: Count = 4
    readout: Readout = "intensity"
    coding: Coding = "amplitude"
    gamma: Number = Field(default=1.0, gt=0, le=10)
    contrast: Number | None = Field(default=None, gt=1)
    pool: Count = 4
    hidden: Count = 64
    size: Count = 28
    classes: Count = 10

    @property
    def kernel_size(self) -> int:
        """Width of the merged kernels in pixels."""
        return 2 * self.depth + 1

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
        if config.size % config.pool:
            raise FourOpticsError(
                f"images of {config.size} pixels cannot be pooled by {config.pool}; choose a divisor of {config.size}"
            )
        self.config = config
        self.stack = nn.ParameterList()
        if config.front == "stack":
            channels = [1] + [config.width] * (config.depth - 1) + [config.outputs]
            self.stack = nn.ParameterList(_weights(after, before, 3) for before, after in itertools.pairwise(channels))
        elif config.front == "free":
            self.stack = nn.ParameterList([_weights(config.outputs, 1, config.kernel_size)])
        else:
            self.register_buffer("fixed", _fixed_kernels(config))
        features = config.outputs * (config.size // config.pool) ** 2
        self.pool = nn.AvgPool2d(config.pool)
        self.normalise = nn.BatchNorm2d(config.outputs)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(features, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.classes)
        )

    def kernels(self) -> Tensor:
        """Merge the stack: kernels (outputs, 1, k, k), cross-correlation order; gradients reach the stack."""
        return merge(list(self.stack)) if len(self.stack) else self.get_buffer("fixed")

    def collapse(self) -> Tensor:
        """Merge the stack in float64, detached: kernels (outputs, 1, k, k), what the bench gets."""
        if not len(self.stack):
            return self.get_buffer("fixed").double()
        return merge([weights.detach().double() for weights in self.stack])

    def encode(self, images: Tensor) -> Tensor:
        """Light (B, size, size) behind the display, of a beam of amplitude 1; complex for the coding "phase".

        A plain display of amplitudes passes any numbers, so that the optics can be shown to be linear; the others want
        grey values in [0, 1].
        """
        c = self.config
        plain = c.coding == "amplitude" and c.gamma == 1 and c.contrast is None
        return images if plain else coded(c.display, images)

    def run_stack(self, images: Tensor) -> Tensor:
        """Compute the amplitude layer by layer: zero-padded once, then each convolution; for the proof that it merges.

        Parameters
        ----------
        images : Tensor
            Shape (B, size, size), float32 or float64.

        Returns
        -------
        Tensor
            Shape (B, outputs, size, size), of the precision of `images`.
        """
        layers = list(self.stack) or [self.get_buffer("fixed")]
        field = _padded(self.encode(images), self.config.kernel_size)
        for weights in layers:
            field = convolve(field, weights.to(images.dtype))
        return field

    def amplitude(self, images: Tensor) -> Tensor:
        """Compute the amplitude (B, outputs, size, size) in the camera plane of images (B, size, size).

        Linear in the light that `encode` makes of them; complex for the coding "phase".
        """
        kernels = self.kernels()
        return convolve(_padded(self.encode(images), kernels.shape[-1]), kernels)

    def detect(self, amplitude: Tensor) -> Tensor:
        """Detect what the camera tells: |u|^2 for the readout "intensity", Re u for "reference_pair"; any shape."""
        if self.config.readout == "reference_pair":
            return amplitude.real
        return readout.intensity(amplitude) if amplitude.is_complex() else amplitude.square()

    def classify(self, detected: Tensor) -> Tensor:
        """Logits (B, classes) of camera pictures (B, outputs, size, size): averaged, normalised, then the head."""
        return self.head(self.normalise(self.pool(detected)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size), grey values 0 to 1."""
        return self.classify(self.detect(self.amplitude(images)))

    def electronic_macs(self) -> int:
        """Multiply-accumulates an image in the head (its linear layers), as `models.macs.count_macs` counts them.

        The convolution and the square belong to light and camera; the averages over camera pixels are additions
        (outputs size^2 of them) and are not counted.
        """
        pooled = self.config.size // self.config.pool
        weight = self.head[1].get_parameter("weight")
        return count_macs(self.head, weight.new_zeros(1, self.config.outputs, pooled, pooled))


def convolve(light: Tensor, kernels: Tensor, padding: int = 0) -> Tensor:
    """Cross-correlate light (B, C, y, x), real or complex, with real kernels (K, C, k, k)."""
    if light.is_complex():
        return torch.complex(*(F.conv2d(part, kernels, padding=padding) for part in (light.real, light.imag)))
    return F.conv2d(light, kernels, padding=padding)


def merge(stack: list[Tensor]) -> Tensor:
    """One kernel for a stack of convolutions with nothing between them.

    ``kernel[o, i, n] = sum_m sum_a last[o, m, a] first[m, i, n - a]``, layer by layer.

    Parameters
    ----------
    stack : list of Tensor
        Weights (out, in, k, k) of each layer, cross-correlation order.

    Returns
    -------
    Tensor
        Shape (out of the last, in of the first, K, K), K = sum(k) - layers + 1.
    """
    merged = stack[0].transpose(0, 1)
    for weights in stack[1:]:
        merged = F.conv2d(merged, weights.flip((-2, -1)), padding=weights.shape[-1] - 1)
    return merged.transpose(0, 1)


def _weights(outputs: int, inputs: int, size: int) -> nn.Parameter:
    """Random weights that keep the variance: as many outputs as inputs times taps, on average."""
    return nn.Parameter(torch.randn(outputs, inputs, size, size) / math.sqrt(inputs * size**2))


def _fixed_kernels(config: StudentConfig) -> Tensor:
    size = config.kernel_size
    if config.front == "random":
        return torch.randn(config.outputs, 1, size, size) / size
    kernels = torch.zeros(config.outputs, 1, size, size)
    kernels[:, :, size // 2, size // 2] = 1
    return kernels


def _padded(light: Tensor, size: int) -> Tensor:
    """Light (B, y, x) -> (B, 1, y, x) with the zeros that make a valid convolution of `size` taps a 'same' one."""
    before, after = size // 2, size - 1 - size // 2
    return F.pad(light.unsqueeze(1), (before, after, before, after))
