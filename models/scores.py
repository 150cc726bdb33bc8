"""What a network makes of images, and how much of it is right."""

import torch
from torch import Tensor, nn

from models.data import IGNORE, Split


@torch.no_grad()
def logits(model: nn.Module, images: Tensor, batch: int = 500) -> Tensor:
    """Run `model` in eval mode on `images` (N, ...): scores (N, classes, ...), without gradients, on the CPU.

    The model is left in the mode that it was in.
    """
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        return torch.cat([model(part.to(device)).cpu() for part in images.split(batch)])
    finally:
        model.train(training)


def hits(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Count the images, or pixels, that are named rightly, and those that have a name: two numbers.

    Parameters
    ----------
    scores : Tensor
        Shape (B, classes) or (B, classes, y, x).
    labels : Tensor
        Shape (B,) or (B, y, x); what is `IGNORE` there does not count.
    """
    return (scores.argmax(1) == labels).sum(), (labels != IGNORE).sum()


def accuracy(model: nn.Module, split: Split) -> float:
    """Share of the images, or pixels, of `split` that `model` in eval mode names rightly, 0 to 1."""
    right, scored = hits(logits(model, split.images), split.labels)
    return (right.double() / scored).item()
