"""What a network costs in electronics: its products, each convolution computed in the cheaper of two ways."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Layer(NamedTuple):
    """A convolution: channels before and after, taps of a kernel, pixels along an axis before and after."""

    inputs: int
    outputs: int
    taps: int
    size: float
    after: float

    def at(self, ratio: float) -> "Layer":
        """Return the layer for images `ratio` times as large along an axis."""
        return self._replace(size=self.size * ratio, after=self.after * ratio)


def spatial_macs(layer: Layer) -> float:
    """Multiply-accumulates of a convolution tap by tap, ``C_in C_out k^2 N^2`` for N x N results."""
    return layer.inputs * layer.outputs * layer.taps**2 * layer.after**2


def fft_macs(layer: Layer) -> float:
    """Multiply-accumulates of a convolution by FFT, padded to L = N + k - 1, the kernels' spectra at hand.

    ``(C_in + C_out) 2 L^2 log2(L^2)`` for the transforms and ``3 C_in C_out L^2`` for the complex products, three
    real ones each; half of both, since images are real.
    """
    area = (layer.size + layer.taps - 1) ** 2
    transforms = (layer.inputs + layer.outputs) * 2 * area * math.log2(area)
    return (transforms + 3 * layer.inputs * layer.outputs * area) / 2


@dataclass(frozen=True)
class Electronics:
    """A network in electronics: its convolutions, and the multiply-accumulates of its linear layers.

    With the size of the image the convolutions grow, and the linear layers stay: what they get is pooled to one size.
    """

    layers: tuple[Layer, ...]
    head: int

    def macs(self, ratio: float = 1.0) -> float:
        """Multiply-accumulates for images `ratio` times as large; the cheaper way for each convolution."""
        scaled = [layer.at(ratio) for layer in self.layers]
        return self.head + sum(min(spatial_macs(layer), fft_macs(layer)) for layer in scaled)


def electronics(model: nn.Module, example: Tensor) -> Electronics:
    """Convolutions and linear layers of a network, found by running it on one sample; the model is left as it was.

    A convolution in groups counts as that many small ones.
    """
    found: list[Layer] = []
    head = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal head
        if isinstance(layer, nn.Conv2d):
            sizes = math.sqrt(math.prod(inputs[0].shape[-2:])), math.sqrt(math.prod(output.shape[-2:]))
            outputs, per_group, *taps = layer.weight.shape
            groups = layer.groups
            found.extend([Layer(per_group, outputs // groups, round(math.sqrt(math.prod(taps))), *sizes)] * groups)
        elif isinstance(layer, nn.Linear):
            head += layer.weight.numel()

    hooks = [layer.register_forward_hook(add) for layer in model.modules()]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(example)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return Electronics(tuple(found), head)
