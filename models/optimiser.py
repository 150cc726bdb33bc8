"""How a network is trained, and what takes the steps."""

import math
from typing import Annotated, Literal

from pydantic import Field
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from fouroptics.config import FileConfig
from models.batch import Flips


class FitConfig(FileConfig):
    """How a network is trained; the tables ``[teacher_training]`` and ``[training]`` of a recipe.

    Parameters
    ----------
    epochs : int
        Passes through the training images.
    optimiser : {"adamw", "sgd"}
        What takes the steps.
    momentum : float
        Of "sgd" with the schedule "cosine"; "one-cycle" lowers it from 0.95 to 0.85 and back while the rate rises and
        falls, and so it does with the first beta of "adamw".
    schedule : {"one-cycle", "cosine"}
        The rate rises to its peak and falls to 0, along two half cosines or along a line and a half cosine.
    rate : float
        Peak of the learning rate.
    warmup : float
        Share of the steps in which the rate rises.
    decay : float
        Weight decay.
    batch : int
        Images a step, over all processes.
    clip : float, optional
        Longest gradient, as a vector of all weights; a longer one is scaled to it.
    flips : {"none", "horizontal", "both"}
        Whether images, each batch as a whole, are mirrored at random: in x, or in x and in y.
    temperature, alpha : float
        Of `models.distill.kd_loss`; used only if there is a teacher. The temperature may be inf: logit matching.
    """

    epochs: Annotated[int, Field(ge=1)] = 12
    optimiser: Literal["adamw", "sgd"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    rate: Annotated[float, Field(gt=0)] = 3e-3
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.2
    decay: Annotated[float, Field(ge=0)] = 1e-4
    batch: Annotated[int, Field(ge=2)] = 256
    clip: Annotated[float, Field(gt=0)] | None = None
    flips: Flips = "none"
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=True)] = 1.0
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5


def optimiser(model: nn.Module, recipe: FitConfig) -> Optimizer:
    """Make what takes the steps of `fit`."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if recipe.optimiser == "sgd":
        return SGD(weights, lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.decay)
    return AdamW(weights, lr=recipe.rate, weight_decay=recipe.decay)


def schedule(optimizer: Optimizer, recipe: FitConfig, steps: int) -> LRScheduler:
    """Make what sets the rate of each of `steps` steps."""
    rise = recipe.warmup * steps
    if recipe.schedule == "one-cycle":  # which divides by zero if the rise is exactly one step
        steps = max(steps, 3)
        return OneCycleLR(optimizer, recipe.rate, steps, pct_start=2 / steps if rise == 1 else recipe.warmup)

    def factor(step: int) -> float:
        if step < rise:
            return min((step + 1) / rise, 1)
        return (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2

    return LambdaLR(optimizer, factor)
