"""One network trained by several processes (torchrun): each computes its share of every batch.

All processes hold the whole data and the same weights. Scores are gathered, so every process sees the loss of the whole
batch; moments of batch normalisation and gradients are summed over the processes. What comes out is what one process
makes of the same batches, to rounding. In a single process everything here does nothing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

T = TypeVar("T")


def processes() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Which of them this is, from 0 on; files and the progress bar are the business of 0."""
    return distributed.get_rank() if _together() else 0


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()  # some builds of torch have no `distributed`


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started, if it did; gives the device of this one: a GPU each, or the CPU.

    Once is enough: within another call this does nothing.
    """
    if _together() or "TORCHELASTIC_RUN_ID" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def agreed(value: T) -> T:
    """Return what the first process passes here, in all of them; only it looks at the run folder."""
    box = [value]
    if processes() > 1:
        distributed.broadcast_object_list(box)
    return box[0]


def share(count: int) -> slice:
    """Which of `count` images are this process's; the shares differ by one image at most, and may be empty."""
    return slice(count * rank() // processes(), count * (rank() + 1) // processes())


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, part: Tensor) -> Tensor:
        whole = part.contiguous().clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return _Total.forward(ctx, gradients[0])


def total(part: Tensor) -> Tensor:
    """Sum over the processes; the gradient is summed too, for each process has a loss that depends on the sum."""
    return _Total.apply(part)  # pyright: ignore[reportReturnType]


@contextmanager
def shared(network: nn.Module) -> Iterator[None]:
    """While this lasts and `network` is in train mode, it computes this process's share and returns the scores of all.

    Its batch normalisation uses the moments of the whole batch. In eval mode the network does what it always does.
    """
    if processes() == 1:
        yield
        return
    changed = [network, *(module for module in network.modules() if isinstance(module, BatchNorm))]
    for module in changed:
        replacement = _normalise if isinstance(module, BatchNorm) else _scores
        module.forward = partial(replacement, module, module.forward)
    try:
        yield
    finally:
        for module in changed:
            del module.forward  # the method of its class is what remains


def _scores(network: nn.Module, forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    if not network.training:
        return forward(images)
    own = share(len(images))
    scores = forward(images[own])
    before = scores.new_zeros(own.start, *scores.shape[1:])
    after = scores.new_zeros(len(images) - own.stop, *scores.shape[1:])
    return total(torch.cat([before, scores, after]))


def _normalise(norm: BatchNorm, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Batch normalisation with the mean and variance over the batches of all processes, in float32 at least."""
    if not norm.training:
        return forward(x)
    values = x if x.dtype == torch.float64 else x.float()
    axes, channels = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
    count = total(values.new_tensor(float(x.numel() // x.shape[1])))
    mean = total(values.sum(axes)) / count
    values = values - mean.view(channels)
    variance = total(values.square().sum(axes)) / count
    if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
        step = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean.detach(), step)
        norm.running_var.lerp_(variance.detach() * count / (count - 1).clamp(min=1), step)
    values = values * (variance + norm.eps).rsqrt().view(channels)
    if norm.affine:
        values = values * norm.weight.view(channels) + norm.bias.view(channels)
    return values.to(x.dtype)


def backward(loss: Tensor, network: nn.Module) -> None:
    """Compute the gradients of `loss`, which every process has, and give all processes their sum: that of one loss."""
    (loss / processes()).backward()
    if processes() == 1:
        return
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    parts = [torch.view_as_real(gradient) if gradient.is_complex() else gradient for gradient in gradients]
    whole = torch.cat([part.flatten() for part in parts])
    distributed.all_reduce(whole)
    for part, summed in zip(parts, whole.split([part.numel() for part in parts]), strict=True):
        part.copy_(summed.view_as(part))
