"""The teacher of segmentation: a U-Net (Ronneberger, Fischer and Brox, arXiv 1505.04597), small."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from fouroptics.config import FileConfig
from fouroptics.errors import FourOpticsError
from models.macs import count_macs

Count = Annotated[int, Field(ge=1)]


class UNetConfig(FileConfig):
    """What a U-Net is made of.

    Parameters
    ----------
    width : int
        Channels at full resolution; twice as many at each halving.
    depth : int
        How often the picture is halved.
    size, classes : int
        Images are size x size, a multiple of 2**depth, with so many classes of pixels.
    channels : int
        Of the images: 1 grey, 3 colour.
    """

    width: Count = 8
    depth: Count = 3
    size: Count = 64
    classes: Count = 6
    channels: Count = 1


class UNet(nn.Module):
    """Two 3x3 convolutions at each resolution, maximum pooling down, up-convolutions and copies of the same size up.

    Other than the authors': zero padding, so that the scores are as large as the image, and batch normalisation.

    Parameters
    ----------
    config : UNetConfig
        What it is made of.

    Examples
    --------
    >>> UNet(UNetConfig(classes=6))(torch.zeros(2, 64, 64)).shape
    torch.Size([2, 6, 64, 64])
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        if config.size % 2**config.depth:
            raise FourOpticsError(
                f"images of {config.size} pixels cannot be halved {config.depth} times; "
                f"choose a multiple of {2**config.depth}"
            )
        self.config = config
        widths = [config.width * 2**level for level in range(config.depth + 1)]
        self.down = nn.ModuleList(
            twice(before, after) for before, after in zip([config.channels, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(up_convolution(2 * width, width, 2) for width in widths[-2::-1])
        self.join = nn.ModuleList(twice(2 * width, width) for width in widths[-2::-1])
        self.scores = nn.Conv2d(config.width, config.classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, classes, y, x) of images (B, y, x) or (B, channels, y, x)."""
        picture = images.unsqueeze(1) if images.ndim == 3 else images
        passed = []
        for level, convolve in enumerate(self.down):
            picture = convolve(self.pool(picture) if level else picture)
            passed.append(picture)
        for up, join in zip(self.up, self.join, strict=True):
            passed.pop()
            picture = join(torch.cat([passed[-1], up(picture)], 1))
        return self.scores(picture)

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        c = self.config
        return count_macs(self, self.scores.weight.new_zeros(1, c.channels, c.size, c.size))


def twice(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions with zero padding, each followed by batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def up_convolution(inputs: int, outputs: int, factor: int) -> nn.Sequential:
    """`ConvTranspose2d` with kernel and stride `factor`, written as a 1x1 convolution whose channels become pixels."""
    return nn.Sequential(nn.Conv2d(inputs, outputs * factor**2, 1), nn.PixelShuffle(factor))
