"""What the student must beat, at the same cost of electronics: without learned optics, and without optics.

A control that is trained as the student is, with the same seeds, tells what the learned kernels are worth.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fouroptics.errors import FourOpticsError
from models.macs import count_macs
from models.student import Student, StudentConfig

WIDTHS = ((6, 12), (3, 6), (2, 4), (1, 2))  # of seven pairs (6, 12) was the best on validation, by a hair


class HeadOnly(nn.Module):
    """No optics: the image, averaged over the same pixels as the student's camera pictures, and a head.

    Parameters
    ----------
    config : StudentConfig
        Its size, pool and classes are used.
    budget : int
        Multiply-accumulates an image; the head is as wide as they allow.
    """

    def __init__(self, config: StudentConfig, budget: int) -> None:
        super().__init__()
        features = (config.size // config.pool) ** 2
        hidden = budget // (features + config.classes)
        self.pool = nn.AvgPool2d(config.pool)
        self.normalise = nn.BatchNorm1d(features)
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, config.classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size)."""
        return self.head(self.normalise(self.pool(images).flatten(1)))

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        weight = self.head[0].get_parameter("weight")
        return count_macs(self.head, weight.new_zeros(1, weight.shape[1]))


class DigitalNet(nn.Module):
    """No optics: two strided convolutions and a head, with at most the student's electronic multiply-accumulates.

    Parameters
    ----------
    config : StudentConfig
        Its size and classes are used.
    budget : int
        Multiply-accumulates an image: the widest convolutions of `WIDTHS` that leave an eighth of them to the head,
        and a head as wide as the rest allows.

    Raises
    ------
    FourOpticsError
        If the budget does not pay for the narrowest.
    """

    def __init__(self, config: StudentConfig, budget: int) -> None:
        super().__init__()
        self.example = (1, config.size, config.size)
        for channels in WIDTHS:
            self.features = _strided(*channels)
            features = channels[1] * math.ceil(config.size / 4) ** 2
            left = budget - count_macs(self.features, torch.zeros(self.example).unsqueeze(1))
            hidden = left // (features + config.classes)
            if hidden >= 1 and left >= budget / 8:
                break
        else:
            raise FourOpticsError(f"{budget:,} multiply-accumulates are too few for two convolutions and a head")
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, config.classes))
        assert self.macs() <= budget

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size)."""
        return self.head(self.features(images.unsqueeze(1)))

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        return count_macs(self, next(self.parameters()).new_zeros(self.example))


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
        "random kernels": lambda: Student(config.model_copy(update={"front": "random"})),
        "head only": lambda: HeadOnly(config, budget),
        "digital": lambda: DigitalNet(config, budget),
    }


def _strided(first: int, second: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, first, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(second),
        nn.ReLU(),
        nn.Flatten(),
    )


def plain_lens(config: StudentConfig) -> StudentConfig:
    """Drop the mask and keep the head: one channel, and averages over fewer pixels.

    Raises
    ------
    FourOpticsError
        If no average over whole pixels gives as few features as the student's.
    """
    features = config.outputs * (config.size // config.pool) ** 2
    pools = [pool for pool in range(1, config.size + 1) if config.size % pool == 0]
    fits = [pool for pool in pools if (config.size // pool) ** 2 <= features]
    if not fits:
        raise FourOpticsError(f"a picture of {config.size} pixels cannot be averaged to {features} features")
    return config.model_copy(update={"front": "delta", "outputs": 1, "pool": fits[0]})
