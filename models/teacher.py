"""The teacher: a small CNN with all the nonlinearity that the optics does not have."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from fouroptics.config import FileConfig
from models.macs import count_macs

Count = Annotated[int, Field(ge=1)]


class TeacherConfig(FileConfig):
    """What a teacher is made of; the table ``[teacher]`` of a recipe.

    Parameters
    ----------
    width : int
        Channels of the first block; the second has twice as many.
    hidden : int
        Width of the head.
    size, classes : int
        Images are size x size, a multiple of 4, in so many classes.
    """

    width: Count = 16
    hidden: Count = 128
    size: Annotated[int, Field(ge=4, multiple_of=4)] = 28
    classes: Count = 10


class Teacher(nn.Module):
    """Two blocks of 3x3 convolution, batch normalisation, ReLU and 2x2 maximum pooling, then a ReLU head."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        width, features = config.width, 2 * config.width * (config.size // 4) ** 2
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(features, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size)."""
        return self.layers(images.unsqueeze(1))

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        weight = self.layers[0].get_parameter("weight")
        return count_macs(self.layers, weight.new_zeros(1, 1, self.config.size, self.config.size))
