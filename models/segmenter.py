"""Students that name each pixel: a linear optical layer, a camera, a small convolutional head; and digital rivals.

Optics and camera are those of `models.student`; the scores are per pixel, so the head stays a picture: it works on the
averages of the camera and ends in up-convolutions.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from fouroptics.config import FileConfig
from models.macs import count_macs
from models.student import Count, Student, StudentConfig
from models.unet import up_convolution

SKETCH = 8  #: channels between the two up-convolutions of a decoder


class SegmenterConfig(StudentConfig):
    """What a student of segmentation is made of: the keys of `StudentConfig`, some with other meanings, and two more.

    Parameters
    ----------
    groups : tuple of int
        So many 3x3 kernels in each group, whose taps are squares of 1, 2, 4, ... pixels, as if the picture were halved
        from group to group; in place of the kernels of `front`, which has to be "free". None if empty.
    hidden : int
        Channels of the head.
    blocks : int
        Residual blocks of the head, each a 5x5 convolution of each channel by itself and a 1x1 convolution.
    root : bool
        Whether the head gets the square roots of the averages of |u|^2 (readout "intensity" only).
    front : {"stack", "free", "delta", "random"}
        As for a student; but of "delta", the plain lens, kernel o shows camera pixel o of a cell of read x read.
    """

    outputs: Count = 56
    read: Count = 2
    pool: Count = 2
    hidden: Annotated[int, Field(ge=0)] | tuple[Count, ...] = 32
    size: Count = 64
    classes: Count = 6
    groups: tuple[Count, ...] = ()
    blocks: Annotated[int, Field(ge=0)] = 2
    root: bool = True

    def fault(self) -> str | None:
        """Name the values that do not fit together."""
        if found := super().fault():
            return found
        if not isinstance(self.hidden, int) or self.hidden == 0:
            return f"hidden = {self.hidden}: the head of a segmenter has one width; give a number from 1 on"
        if self.dropout:
            return f"dropout = {self.dropout}: the head of a segmenter has none; leave it out"
        if self.groups and (self.front != "free" or self.complex_kernels or self.outputs != sum(self.groups)):
            return (
                f"groups = {list(self.groups)}: they are real kernels in place of those of the front; "
                f"set front = 'free' and outputs = {sum(self.groups)}"
            )
        if self.bands is not None:
            return f"bands = {list(self.bands)}: the head gives scores for the whole picture; leave them out"
        if self.size % (self.read * self.pool):
            return f"size = {self.size} is no multiple of read x pool = {self.read * self.pool}; change one of them"
        if self.kernel is not None and (self.groups or self.front == "delta"):
            return f"kernel = {self.kernel}: groups and the plain lens have kernels of their own size; leave it out"
        if self.front == "delta" and self.outputs > self.read**2:
            return f"outputs = {self.outputs}: a cell has {self.read**2} camera pixels; lower outputs or raise read"
        return None

    @property
    def kernel_size(self) -> int:
        """Width of the merged kernels in pixels; as the student's but for groups."""
        if self.groups:
            return 3 * 2 ** (len(self.groups) - 1)
        return 2 * self.read - 1 if self.front == "delta" else super().kernel_size


class Segmenter(Student):
    """A student whose head gives scores for each pixel.

    Parameters
    ----------
    config : SegmenterConfig
        What it is made of.

    Examples
    --------
    >>> segmenter = Segmenter(SegmenterConfig())
    >>> segmenter(torch.zeros(2, 64, 64)).shape
    torch.Size([2, 6, 64, 64])
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__(config)
        self.groups = config.groups
        if config.groups:
            self.stack = nn.ParameterList(torch.randn(n, config.channels, 3, 3) / 3 for n in config.groups)
        if config.front == "delta":
            self.register_buffer("fixed", _cell(config.outputs, config.channels, config.read))
        assert isinstance(config.hidden, int)
        channels, side, _ = config.features
        if config.root and config.readout == "intensity":
            self.normalise = nn.Sequential(Root(), self.normalise)
        self.head = decoder(channels, config.hidden, config.blocks, config.classes, config.size // side)

    def weights(self) -> list[Tensor]:
        """Kernels of each layer, (out, in, k, k), real or complex; the groups stand side by side in one layer."""
        if not self.groups:
            return super().weights()
        return [torch.cat([_enlarged(part, 2**i, self.config.kernel_size) for i, part in enumerate(self.stack)])]


class DigitalSegmenterConfig(FileConfig):
    """What a digital rival is made of: two convolutions of stride 2 in place of optics and camera, then the same head.

    Parameters
    ----------
    widths : tuple of int
        Channels of the two 3x3 convolutions.
    separable : bool
        The second convolution works on each channel by itself (both widths are the same then).
    hidden, blocks, size, classes, channels : int
        As for `SegmenterConfig`.
    """

    widths: tuple[Count, Count] = (24, 24)
    separable: bool = True
    hidden: Count = 32
    blocks: Annotated[int, Field(ge=0)] = 2
    size: Annotated[int, Field(ge=4, multiple_of=4)] = 64
    classes: Count = 6
    channels: Count = 1

    def fault(self) -> str | None:
        """Name the values that do not fit together."""
        if self.separable and self.widths[0] != self.widths[1]:
            return f"widths = {list(self.widths)}: a separable convolution keeps the channels; give the same twice"
        return None


class DigitalSegmenter(nn.Module):
    """No optics: the network of a `DigitalSegmenterConfig`."""

    def __init__(self, config: DigitalSegmenterConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.widths
        self.layers = nn.Sequential(
            nn.Conv2d(config.channels, first, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1, groups=first if config.separable else 1, bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(),
            decoder(second, config.hidden, config.blocks, config.classes, 4),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, classes, y, x) of images (B, y, x) or (B, channels, y, x)."""
        return self.layers(images.unsqueeze(1) if images.ndim == 3 else images)

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        c = self.config
        return count_macs(self, next(self.parameters()).new_zeros(1, c.channels, c.size, c.size))


class Root(nn.Module):
    """Square roots of averaged camera numbers, which noise may have taken below 0."""

    def forward(self, averaged: Tensor) -> Tensor:
        """``sqrt(averaged + 1e-6)``: the slope at 0 is finite."""
        return (averaged.clamp(min=0) + 1e-6).sqrt()


class Block(nn.Module):
    """``ReLU(x + f(x))``; f: a 5x5 convolution of each channel by itself, ReLU, a 1x1 convolution across channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Pictures (B, channels, y, x) as they were given, changed by what the neighbourhood says."""
        return torch.relu(picture + self.layers(picture))


def decoder(features: int, hidden: int, blocks: int, classes: int, factor: int) -> nn.Sequential:
    """Head: a 1x1 convolution, residual blocks, up-convolutions to scores at `factor` times the resolution.

    An even factor above 2 is taken in two steps, factor / 2 and 2.

    Parameters
    ----------
    features, hidden, classes : int
        Channels in, between and out.
    blocks : int
        `Block` s.
    factor : int
        Pixels of the scores a cell of the features, in both directions.
    """
    layers = [nn.Conv2d(features, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()]
    layers += [Block(hidden) for _ in range(blocks)]
    if factor % 2 or factor == 2:
        return nn.Sequential(*layers, up_convolution(hidden, classes, factor))
    layers += [up_convolution(hidden, SKETCH, factor // 2), nn.BatchNorm2d(SKETCH), nn.ReLU()]
    return nn.Sequential(*layers, up_convolution(SKETCH, classes, 2))


def _enlarged(kernels: Tensor, side: int, size: int) -> Tensor:
    """Kernels (n, C, 3, 3) with taps of side x side pixels and the sum of theirs, in the middle of size x size.

    That is, the mean of side x side pixels and then the convolution; the middle tap covers the origin, size // 2.
    """
    spread = kernels.repeat_interleave(side, -1).repeat_interleave(side, -2) / side**2
    before = size // 2 - 3 * side // 2
    after = size - 3 * side - before
    return nn.functional.pad(spread, (before, after, before, after))


def _cell(outputs: int, channels: int, read: int) -> Tensor:
    """Kernels of a plain lens that show pixel after pixel of the cell around a read pixel."""
    first = read - 1 - (read - 1) // 2  # the read pixel is (read - 1)//2 behind the first of its cell
    kernels = torch.zeros(outputs, channels, 2 * read - 1, 2 * read - 1)
    at = torch.arange(outputs)
    kernels[at, :, first + at // read, first + at % read] = 1
    return kernels
