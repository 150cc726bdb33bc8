"""Networks without optics, from a thousand multiply-accumulates on: what the student is held against at equal cost."""

import bisect
import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from fouroptics.config import FileConfig
from models.head import head
from models.macs import count_macs
from models.pictures import with_channels
from models.student import Count

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

    @property
    def features(self) -> tuple[int, int, int]:
        """What the head gets: channels, and pixels or averages in y and in x."""
        side = math.ceil(self.size / self.pool)
        if self.kind in ("linear", "mlp"):
            return self.channels, side, side
        side = math.ceil(side / 2 ** len(self.widths))
        side = min(side, self.spread or side)
        return self.widths[-1], side, side


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
        layers: list[nn.Module] = []
        if config.pool > 1:
            layers.append(nn.AdaptiveAvgPool2d(math.ceil(config.size / config.pool)))
        if config.kind in ("convolution", "separable"):
            for i, (before, after) in enumerate(itertools.pairwise((config.channels, *config.widths))):
                layers += _strided(before, after, separable=config.kind == "separable" and i > 0)
            layers += [nn.AdaptiveAvgPool2d(config.features[1:])] if config.spread else []
        else:
            layers.append(nn.BatchNorm2d(config.channels))
        self.layers = nn.Sequential(*layers)
        hidden = 0 if config.kind == "linear" else config.hidden
        self.head = head(math.prod(config.features), hidden, config.classes, config.dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, size, size) or (B, channels, size, size)."""
        return self.head(self.layers(with_channels(images, self.config.channels, self.config.size)))

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
    return [config for config in dict.fromkeys(found) if 0.7 * budget <= digital_macs(config) <= budget]


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
    forms = ("all", "spread", "hidden")
    for kind, pool, depth, form in itertools.product(kinds, (1, 2), (1, 2, 3), forms):
        if kind == "separable" and depth == 1:
            continue  # its first layer is a convolution
        spread, limit = 2 if form == "spread" else None, budget // 2 if form == "hidden" else budget
        plain = DigitalConfig(kind=kind, pool=pool, spread=spread, hidden=0, **image)
        cost = partial(_wide_macs, plain, depth)
        if width := bisect.bisect_right(range(1, 1025), limit, key=cost):
            widest = _widened(plain, depth, width)
            yield with_hidden(widest, budget) if form == "hidden" else widest


def _widened(config: DigitalConfig, depth: int, width: int) -> DigitalConfig:
    return config.model_copy(update={"widths": tuple(width * 2**i for i in range(depth))})


def _wide_macs(config: DigitalConfig, depth: int, width: int) -> int:
    return digital_macs(_widened(config, depth, width))


def with_hidden(config: DigitalConfig, budget: int) -> DigitalConfig:
    """As wide a hidden layer as the budget pays for beside the convolutions of a network with a linear head."""
    features = math.prod(config.features)
    left = budget - digital_macs(config) + features * config.classes
    return config.model_copy(update={"hidden": max(left, 0) // (features + config.classes)})


def digital_macs(config: DigitalConfig) -> int:
    """`DigitalNet.macs` without a network."""
    total, before, side = 0, config.channels, math.ceil(config.size / config.pool)
    for i, width in enumerate(config.widths if config.kind in ("convolution", "separable") else ()):
        side = math.ceil(side / 2)
        deep = config.kind == "separable" and i > 0
        total += side**2 * before * (9 + width if deep else 9 * width)
        before = width
    features = math.prod(config.features)
    hidden = (config.hidden,) if isinstance(config.hidden, int) else config.hidden
    widths = [features, *(hidden if config.kind != "linear" and config.hidden else ()), config.classes]
    return total + sum(inputs * outputs for inputs, outputs in itertools.pairwise(widths))
