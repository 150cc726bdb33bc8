"""The electronic part behind a camera, or behind averages of an image: linear layers."""

import itertools

from torch import nn


def head(features: int, hidden: int | tuple[int, ...], classes: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with ReLU between them, and dropout in front of each.

    Parameters
    ----------
    features, classes : int
        Numbers in and out.
    hidden : int or tuple of int
        Widths between; 0 for none.
    dropout : float
        Share of the numbers left out in training.
    """
    widths = (
        [features, *([hidden] if hidden else []), classes] if isinstance(hidden, int) else [features, *hidden, classes]
    )
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(widths):
        layers += [nn.Dropout(dropout)] if dropout else []
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
