"""What the electronics has to compute."""

import math

import torch
from torch import Tensor, nn


def count_macs(layers: nn.Module, example: Tensor) -> int:
    """Count the multiply-accumulates of `layers` for one sample by running them.

    Counted: every product of a convolution or a linear layer, zero padding included. Not counted: biases, ReLU, average
    and maximum pooling (additions and comparisons), and batch normalisation, in use a factor and an offset that the
    neighbouring layer absorbs.

    Parameters
    ----------
    layers : Module
        Put in eval mode while it is counted.
    example : Tensor
        A batch of one sample.
    """
    total = 0

    def add(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        total += output.numel() * math.prod(weight.shape[1:])

    counted = [layer for layer in layers.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in counted]
    training = layers.training
    try:
        with torch.no_grad():
            layers.eval()(example)
    finally:
        layers.train(training)
        for hook in hooks:
            hook.remove()
    return total
