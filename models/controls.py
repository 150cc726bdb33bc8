"""What the student must beat, at the same cost of electronics: without learned optics, and without optics.

A control that is trained as the student is, with the same seeds, tells what the learned kernels are worth.
"""

import bisect
import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fouroptics.config import FileConfig
from fouroptics.errors import FourOpticsError
from models.macs import count_macs
from models.student import Count, Student, StudentConfig, head

WIDTHS = ((6, 12), (3, 6), (2, 4), (1, 2))  # of seven pairs (6, 12) was the best on validation, by a hair
Kind = Literal["linear", "mlp", "convolution", "separable"]


class DigitalConfig(FileConfig):
    """A network without optics; the table ``[digital]`` of a recipe.

    Parameters
    ----------
    kind : {"linear", "mlp", "convolution", "separable"}
        Logistic regression; a head with hidden layers; 3x3 convolutions, each with stride 2, batch normalisation and
        ReLU, and a head; the same, but each layer behind the first is a 3x3 convolution of each channel by itself and
        then a 1x1 convolution (depthwise separable: A. G. Howard et al., arXiv 1704.04861).
    pool : int
        Pixels of the image that are averaged first, in both directions, as `StudentConfig.pool`; not counted.
    widths : tuple of int
        Channels behind each convolution.
    spread : int, optional
        Averages a side that the head gets of each channel of the last convolution; left out, all of its pixels.
    hidden : int or tuple of int
        Width of the head, or of each of its layers; 0 for a linear head.
    dropout : float
        In training, in front of each linear layer of the head.
    size, channels, classes : int
        Images are size x size, of so many channels, in so many classes.
    """

    kind: Kind = "convolution"
    pool: Count = 1
    widths: tuple[Count, ...] = (6, 12)
    spread: Count | None = None
    hidden: Annotated[int, Field(ge=0)] | tuple[Count, ...] = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    size: Count = 28
    channels: Count = 1
    classes: Count = 10

    def fault(self) -> str | None:
        """Name the values that do not fit together."""
        if self.kind == "mlp" and not self.hidden:
            return "hidden = 0: kind 'mlp' has hidden layers; give their widths, or take kind 'linear'"
        if self.kind in ("convolution", "separable") and not self.widths:
            return f"widths = []: kind {self.kind!r} has convolutions; give the channels behind each"
        return None


class DigitalNet(nn.Module):
    """The network of a `DigitalConfig`: averages, convolutions, head.

    Examples
    --------
    >>> DigitalNet(DigitalConfig(kind="mlp", pool=4, hidden=32)).macs()
    1888
    """

    def __init__(self, config: DigitalConfig) -> None:
        super().__init__()
        self.config = config
        side, channels = math.ceil(config.size / config.pool), config.channels
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(side)] if config.pool > 1 else []
        if config.kind in ("convolution", "separable"):
            for i, width in enumerate(config.widths):
                layers += _strided(channels, width, separable=config.kind == "separable" and i > 0)
                side, channels = math.ceil(side / 2), width
            if config.spread is not None and config.spread < side:
                side = config.spread
                layers.append(nn.AdaptiveAvgPool2d(side))
        else:
            layers.append(nn.BatchNorm2d(channels))
        self.layers = nn.Sequential(*layers)
        hidden = 0 if config.kind == "linear" else config.hidden
        self.head = head(channels * side**2, hidden, config.classes, config.dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size) or (B, channels, size, size)."""
        return self.head(self.layers(images.unsqueeze(1) if images.ndim == 3 else images))

    def macs(self) -> int:
        """Multiply-accumulates an image, as `models.macs.count_macs` counts them."""
        c = self.config
        return count_macs(self, next(self.parameters()).new_zeros(1, c.channels, c.size, c.size))


def _strided(before: int, after: int, *, separable: bool = False) -> list[nn.Module]:
    if separable:
        deep = nn.Conv2d(before, before, 3, stride=2, padding=1, groups=before, bias=False)
        return [deep, nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 1, bias=False), *_rectified(after)]
    return [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), *_rectified(after)]


def _rectified(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]


def digital_candidates(size: int, channels: int, classes: int, budget: int) -> list[DigitalConfig]:
    """Networks without optics that cost 70 to 100 % of a budget, for a choice on validation images.

    Logistic regression and one hidden layer on the image, averaged or not; one to three strided or depthwise separable
    convolutions, each twice as wide as the one before it, as wide as the budget allows, with a linear head on all
    pixels or on 2 x 2 averages, or with a hidden layer from what half of the budget pays for.

    Parameters
    ----------
    size, channels, classes : int
        Images and classes.
    budget : int
        Multiply-accumulates an image, as `models.macs.count_macs` counts them.

    Examples
    --------
    >>> sorted({config.kind for config in digital_candidates(28, 1, 10, 8_000)})
    ['convolution', 'linear', 'mlp', 'separable']
    """
    image: dict[str, Any] = {"size": size, "channels": channels, "classes": classes}
    found = (*_flat(budget, image), *_convolutional(budget, image))
    return [config for config in dict.fromkeys(found) if 0.7 * budget <= _macs(config) <= budget]


def _flat(budget: int, image: dict[str, Any]) -> Iterator[DigitalConfig]:
    """One hidden layer of what the budget pays for, and logistic regression of as many features."""
    features = {pool: image["channels"] * math.ceil(image["size"] / pool) ** 2 for pool in range(1, image["size"] + 1)}
    for pool in (1, 2, 3, 4):
        if hidden := budget // (features[pool] + image["classes"]):
            yield DigitalConfig(kind="mlp", pool=pool, hidden=hidden, **image)
    affordable = [pool for pool in features if features[pool] * image["classes"] <= budget]
    yield from (DigitalConfig(kind="linear", pool=pool, **image) for pool in affordable[:1])


def _convolutional(budget: int, image: dict[str, Any]) -> Iterator[DigitalConfig]:
    kinds: tuple[Kind, ...] = ("convolution", "separable")
    for kind, pool, depth, form in itertools.product(kinds, (1, 2), (1, 2, 3), ("all", "spread", "hidden")):
        if kind == "separable" and depth == 1:
            continue  # its first layer is a convolution
        spread, limit = 2 if form == "spread" else None, budget // 2 if form == "hidden" else budget
        plain = DigitalConfig(kind=kind, pool=pool, spread=spread, hidden=0, **image)
        cost = partial(_wide_macs, plain, depth)
        if width := bisect.bisect_right(range(1, 1025), limit, key=cost):
            widest = _widened(plain, depth, width)
            yield _with_hidden(widest, budget) if form == "hidden" else widest


def _widened(config: DigitalConfig, depth: int, width: int) -> DigitalConfig:
    return config.model_copy(update={"widths": tuple(width * 2**i for i in range(depth))})


def _wide_macs(config: DigitalConfig, depth: int, width: int) -> int:
    return _macs(_widened(config, depth, width))


def _with_hidden(config: DigitalConfig, budget: int) -> DigitalConfig:
    """As much of a hidden layer as the budget pays for."""
    with torch.device("meta"):
        net = DigitalNet(config)
        features = net.head[1].get_parameter("weight").shape[1]
        hidden = (budget - net.macs() + features * config.classes) // (features + config.classes)
    return config.model_copy(update={"hidden": hidden})


def _macs(config: DigitalConfig) -> int:
    with torch.device("meta"):  # no memory, no random numbers
        return DigitalNet(config).macs()


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
        side = config.features[1]
        features = config.channels * side**2
        hidden = budget // (features + config.classes)
        self.pool = nn.AdaptiveAvgPool2d(side)
        self.normalise = nn.BatchNorm1d(features)
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, config.classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size) or (B, channels, size, size)."""
        pooled = self.pool(images.unsqueeze(1) if images.ndim == 3 else images)
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
        features = widths[1] * math.ceil(config.size / 4) ** 2
        left = budget - _macs(plain) + features * config.classes
        hidden = left // (features + config.classes)
        if hidden >= 1 and left >= budget / 8:
            return plain.model_copy(update={"hidden": hidden})
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
    changes = {"front": "delta", "outputs": config.channels, "widths": None, "bands": None, "complex_kernels": False}
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
