"""What the training loop gives to an objective: the images of one step, and where they come from."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.data import Split

Flips = Literal["none", "horizontal", "both"]
VIEWS: dict[Flips, int] = {"none": 1, "horizontal": 2, "both": 4}


@dataclass(frozen=True, eq=False)
class Batch:
    """The images of one step, all seen in the same view.

    Parameters
    ----------
    images : Tensor
        Shape (B, y, x) or (B, C, y, x), float32, as seen: flipped already.
    labels : Tensor
        Shape (B,) or (B, y, x), int64, flipped with the images.
    chosen : Tensor
        Shape (B,), int64, on the device of the images: which of the training images they are.
    view : int
        Which view, as `flipped` counts them.
    step : int
        How many steps were taken before this one, from the first epoch on.
    """

    images: Tensor
    labels: Tensor
    chosen: Tensor
    view: int = 0
    step: int = 0


Objective = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""(network, batch) -> (loss, a number to be lowered; scores (B, classes) or (B, classes, y, x)).

It keeps no state between calls and takes its random numbers from torch's global generator, which the loop seeds; so a
training that was interrupted goes on as if it had not been.
"""


def flipped(pictures: Tensor, view: int) -> Tensor:
    """Pictures (..., y, x) in a view: 0 as they are, 1 mirrored in x, 2 in y, 3 in both."""
    axes = [axis for bit, axis in ((1, -1), (2, -2)) if view & bit]
    return pictures.flip(axes) if axes else pictures


def views(images: Tensor, flips: Flips) -> Iterator[Tensor]:
    """All the views of the images that a training with these flips sees, in the order of `Batch.view`."""
    return (flipped(images, view) for view in range(VIEWS[flips]))


def count_steps(images: int, size: int) -> int:
    """Steps an epoch; an image left alone goes with the batch before it, for batch normalisation takes two or more."""
    return max(math.ceil((images - 1) / size), 1)


def batches(split: Split, size: int, flips: Flips, shuffle: torch.Generator, taken: int = 0) -> Iterator[Batch]:
    """Yield the batches of one epoch, in an order and views that `shuffle` draws; `taken` steps came before them."""
    order = torch.randperm(len(split), generator=shuffle).to(split.images.device)
    full = count_steps(len(split), size) - 1
    for step, chosen in enumerate(order.split([*[size] * full, len(split) - full * size]), taken):
        view = 0
        if flips != "none":
            view = int(torch.randint(VIEWS[flips], (), generator=shuffle))
        images, labels = split.images[chosen], split.labels[chosen]
        labels = flipped(labels, view) if labels.ndim > 1 else labels
        yield Batch(flipped(images, view), labels, chosen, view, step)
