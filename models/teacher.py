"""The teachers: convolutional networks with all the nonlinearity that the optics does not have."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from fouroptics.config import FileConfig
from models.macs import count_macs
from models.pictures import with_channels

Count = Annotated[int, Field(ge=1)]
Kind = Literal["two_blocks", "three_conv", "alexnet", "blocks"]
SMALLEST: dict[Kind, int] = {"two_blocks": 4, "three_conv": 12, "alexnet": 63, "blocks": 16}  #: pixels a side


class TeacherConfig(FileConfig):
    """What a teacher is made of; the table ``[teacher]`` of a recipe.

    Parameters
    ----------
    kind : {"two_blocks", "three_conv", "alexnet", "blocks"}
        "two_blocks": two blocks of 3x3 convolution, batch normalisation, ReLU and 2x2 maximum pooling, and a ReLU head,
        for 28x28. "three_conv": the teacher of the method for 28x28, 3x3 convolutions 1-32-128-256 without padding,
        each with ReLU, batch normalisation, averages 6x6, head 9216-512-256. "alexnet": torchvision's layers (A.
        Krizhevsky, arXiv 1404.5997) for 224x224, head 9216-1024-256. "blocks": four of the blocks of the first, each
        twice as wide as the one before, and the mean of each channel, for any size.
    width : int
        Channels of the first block of "two_blocks" and "blocks".
    hidden : int
        Width of the head of "two_blocks".
    dropout : float
        In training, in the heads of the other three.
    stride : int
        Of the first convolution of "blocks": 2 for images of 128 pixels and more costs a quarter.
    size, channels, classes : int
        Images are size x size (a multiple of 4 for "two_blocks"), of so many channels, in so many classes.
    """

    kind: Kind = "two_blocks"
    width: Count = 16
    hidden: Count = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    stride: Count = 1
    size: Count = 28
    channels: Count = 1
    classes: Count = 10

    def fault(self) -> str | None:
        """Name a size that the kind cannot take."""
        smallest = SMALLEST[self.kind] * (self.stride if self.kind == "blocks" else 1)
        if self.size < smallest:
            return f"size = {self.size}: the teacher {self.kind!r} takes images of at least {smallest} pixels"
        if self.kind == "two_blocks" and self.size % 4:
            return f"size = {self.size}: the teacher 'two_blocks' takes a multiple of 4; take 'blocks' for any size"
        return None


class Teacher(nn.Module):
    """The network of a `TeacherConfig`.

    Examples
    --------
    >>> Teacher(TeacherConfig(kind="blocks", size=64, classes=2))(torch.zeros(2, 64, 64)).shape
    torch.Size([2, 2])
    """

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.Sequential(*LAYERS[config.kind](config))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size) or (B, channels, size, size)."""
        return self.layers(with_channels(images, self.config.channels, self.config.size))

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        c, weight = self.config, next(self.parameters())
        return count_macs(self.layers, weight.new_zeros(1, c.channels, c.size, c.size))


def _two_blocks(config: TeacherConfig) -> list[nn.Module]:
    width, features = config.width, 2 * config.width * (config.size // 4) ** 2
    return [
        *_block(config.channels, width),
        *_block(width, 2 * width),
        nn.Flatten(),
        nn.Linear(features, config.hidden),
        nn.ReLU(),
        nn.Linear(config.hidden, config.classes),
    ]


def _three_conv(config: TeacherConfig) -> list[nn.Module]:
    return [
        *(nn.Conv2d(config.channels, 32, 3), nn.ReLU()),
        *(nn.Conv2d(32, 128, 3), nn.ReLU()),
        *(nn.Conv2d(128, 256, 3), nn.ReLU()),
        nn.BatchNorm2d(256),
        nn.AdaptiveAvgPool2d(6),
        *_head((9216, 512, 256), config),
    ]


def _alexnet(config: TeacherConfig) -> list[nn.Module]:
    return [
        *(nn.Conv2d(config.channels, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        nn.AdaptiveAvgPool2d(6),
        *_head((9216, 1024, 256), config),
    ]


def _blocks(config: TeacherConfig) -> list[nn.Module]:
    first, *rest = (config.width * 2**i for i in range(4))
    return [
        *_block(config.channels, first, config.stride),
        *(layer for width in rest for layer in _block(width // 2, width)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(config.dropout),
        nn.Linear(rest[-1], config.classes),
    ]


LAYERS: dict[Kind, Callable[[TeacherConfig], list[nn.Module]]] = {
    "two_blocks": _two_blocks,
    "three_conv": _three_conv,
    "alexnet": _alexnet,
    "blocks": _blocks,
}


def _block(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]


def _head(widths: tuple[int, int, int], config: TeacherConfig) -> list[nn.Module]:
    features, first, second = widths
    return [
        nn.Flatten(),
        *(nn.Dropout(config.dropout), nn.Linear(features, first), nn.ReLU()),
        *(nn.Dropout(config.dropout), nn.Linear(first, second), nn.ReLU()),
        nn.Linear(second, config.classes),
    ]
