"""What the student must beat, at the same cost of electronics: without learned optics, and without optics.

A control that is trained as the student is, with the same seeds, tells what the learned kernels are worth.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fouroptics.errors import FourOpticsError
from models.digital import DigitalConfig, DigitalNet, digital_macs, with_hidden
from models.macs import count_macs
from models.pictures import with_channels
from models.student import Student, StudentConfig

WIDTHS = ((6, 12), (3, 6), (2, 4), (1, 2))  # of seven pairs (6, 12) was the best on validation, by a hair


class HeadOnly(nn.Module):
    """No optics: the image, averaged over the same pixels as the student's camera pictures, and a head.

    Parameters
    ----------
    config : StudentConfig
        Its size, channels, pool and classes are used.
    budget : int
        Multiply-accumulates an image; the head is as wide as they allow.
    """

    def __init__(self, config: StudentConfig, budget: int) -> None:
        super().__init__()
        self.config = config
        side = config.features[1]
        features = config.channels * side**2
        hidden = budget // (features + config.classes)
        self.pool = nn.AdaptiveAvgPool2d(side)
        self.normalise = nn.BatchNorm1d(features)
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, config.classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size) or (B, channels, size, size)."""
        pooled = self.pool(with_channels(images, self.config.channels, self.config.size))
        return self.head(self.normalise(pooled.flatten(1)))

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        weight = self.head[0].get_parameter("weight")
        return count_macs(self.head, weight.new_zeros(1, weight.shape[1]))


def controls(config: StudentConfig) -> dict[str, Callable[[], nn.Module]]:
    """Name the controls of this student, and how to make each; none has more electronic MACs than the student.

    Returns
    -------
    dict
        "plain lens": no mask, one camera picture at full resolution, as many camera pixels as the student has after its
        averages, hence the same head; of images coded as phases it shows nothing to the readout "intensity". "random
        kernels": the student with kernels that are not learned. "head only": the averaged image, no optics. "digital":
        a strided convolutional net.

    Examples
    --------
    >>> make = controls(StudentConfig())["plain lens"]
    >>> make().electronic_macs() == Student(StudentConfig()).electronic_macs()
    True
    """
    with torch.device("meta"):  # no memory, no random numbers
        budget = Student(config).electronic_macs()
    return {
        "plain lens": lambda: Student(plain_lens(config)),
        "random kernels": lambda: Student(random_kernels(config)),
        "head only": lambda: HeadOnly(config, budget),
        "digital": lambda: DigitalNet(strided_net(config, budget)),
    }


def strided_net(config: StudentConfig, budget: int) -> DigitalConfig:
    """Two strided convolutions, the widest of `WIDTHS` that leave an eighth of the budget, and a hidden layer.

    Raises
    ------
    FourOpticsError
        If the budget does not pay for the narrowest.
    """
    for widths in WIDTHS:
        plain = DigitalConfig(
            widths=widths, hidden=0, size=config.size, channels=config.channels, classes=config.classes
        )
        convolutions = digital_macs(plain) - math.prod(plain.features) * plain.classes
        net = with_hidden(plain, budget)
        if net.hidden and budget - convolutions >= budget / 8:
            return net
    raise FourOpticsError(f"{budget:,} multiply-accumulates are too few for two convolutions and a head")


def plain_lens(config: StudentConfig) -> StudentConfig:
    """Drop the mask and keep the head: as many pictures as the images have channels, averaged over fewer pixels.

    All pixels of the camera are there to be read; the averages are those of whole pixels, the finest that give no more
    features than the student's.

    Raises
    ------
    FourOpticsError
        If no average over whole pixels gives as few features as the student's.
    """
    features = math.prod(config.features)
    changes = {"front": "delta", "outputs": config.channels, "widths": None, "complex_kernels": False}
    changes |= {"bands": None, "rectified": False}
    pools = [pool for pool in range(1, config.size + 1) if config.size % pool == 0]
    fits = [pool for pool in pools if config.channels * (config.size // pool) ** 2 <= features]
    if not fits:
        raise FourOpticsError(f"a picture of {config.size} pixels cannot be averaged to {features} features")
    return config.model_copy(update=changes | {"read": 1, "pool": fits[0]})


def random_kernels(config: StudentConfig) -> StudentConfig:
    """Keep everything but the learning of the kernels, as wide as the student's.

    Raises
    ------
    FourOpticsError
        With spectral pooling, which has no kernels of so many pixels.
    """
    if config.bands is not None:
        raise FourOpticsError(f"bands = {list(config.bands)}: there are no random kernels of a pooled student")
    return config.model_copy(update={"front": "random", "kernel": config.kernel_size})
