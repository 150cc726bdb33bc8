"""Neural tangent kernel distillation: a student that answers a change of its weights as the teacher answers one of its.

``Theta[i, j] = sum_c <dz_c(x_i)/dw, dz_c(x_j)/dw>``, the inner products of the scores' gradients with respect to all
weights, summed over the scores, says how a step that fits image j moves the scores of image i. Matching the student's
kernel to the teacher's is the loss of Xiang, Choi et al., arXiv 2508.08421.

Networks are taken in eval mode: batch statistics would tie each image to the others, and dropout is not a function.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vmap

from models.batch import Batch, Objective

Weights = dict[str, Tensor]


def exact_kernel(model: nn.Module, images: Tensor) -> Tensor:
    """Theta (n, n) of images (n, ...) from the whole Jacobian; memory n x scores x weights, so for small networks."""
    with _evaluated(model) as (weights, scores):

        def of_one(weights: Weights, image: Tensor) -> Tensor:
            return scores(weights, image.unsqueeze(0))[0]

        jacobian = vmap(jacrev(of_one), (None, 0))(weights, images)
    rows = torch.cat([part.flatten(2) for part in jacobian.values()], 2).flatten(1)
    return rows @ rows.T


def tangents(model: nn.Module, images: Tensor, probes: int) -> Tensor:
    """Project the Jacobian on random directions of the weights: ``Theta ~ kernel(tangents)`` for many of them.

    For v of independent normal numbers, ``E[J v (J v)^T] = J J^T``. One forward derivative gives J v of all scores.

    Parameters
    ----------
    model : Module
        Images (n, ...) to scores (n, ...); gradients reach its weights.
    images : Tensor
        Shape (n, ...).
    probes : int
        Directions, drawn by torch's global generator.

    Returns
    -------
    Tensor
        Shape (n, probes, scores of an image).
    """
    with _evaluated(model) as (weights, scores):
        directions = {name: weight.new_empty(probes, *weight.shape).normal_() for name, weight in weights.items()}

        def along(direction: Weights) -> Tensor:
            return jvp(lambda moved: scores(moved, images), (weights,), (direction,))[1]

        return vmap(along, out_dims=1)(directions)


def kernel(tangents: Tensor) -> Tensor:
    """Theta (n, n) from `tangents` (n, probes, scores): the mean over the probes; its error falls as 1/sqrt(probes)."""
    rows = tangents.flatten(1)
    return rows @ rows.T / tangents.shape[1]


def normalised(theta: Tensor) -> Tensor:
    """Divide by the mean of the diagonal: teacher and student have kernels of different sizes."""
    return theta / theta.diagonal().mean()


def kernel_distance(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference of two kernels (n, n), each `normalised`."""
    return (normalised(first) - normalised(second)).square().mean()


def ntk_matched(
    teacher: nn.Module,
    task: Objective,
    *,
    alpha: float = 1.0,
    beta: float = 0.1,
    images: int = 32,
    probes: int = 8,
    every: int = 8,
    shown: Tensor | None = None,
) -> Objective:
    """``alpha L_task + beta MSE(Theta_teacher, Theta_student)`` (arXiv 2508.08421), the kernels normalised.

    The kernels are those of the first images of a batch, and of one batch in `every`, with `every` times the weight.

    Parameters
    ----------
    teacher : Module
        Not trained.
    task : Objective
        L_task: `models.distill.labels_only` or `distilled`.
    alpha, beta : float
        Weights of the terms.
    images, probes, every : int
        Size of the kernel, random directions, and batches for each one that is matched.
    shown : Tensor, optional
        What the teacher sees, (N, ...) in the order of the training images; left out, what the student sees.
    """

    def objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, scores = task(model, batch)
        if batch.step % every:
            return alpha * loss, scores
        few = batch.images[:images]
        with torch.no_grad():
            wanted = kernel(tangents(teacher, few if shown is None else shown[batch.chosen[:images]], probes))
        distance = kernel_distance(kernel(tangents(model, few, probes)), wanted)
        return alpha * loss + every * beta * distance, scores

    return objective


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[tuple[Weights, Callable[[Weights, Tensor], Tensor]]]:
    """Weights of a model, and its scores (n, all) as a function of weights and images; in eval mode meanwhile."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        weights: Weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        with torch.autocast(device.type, enabled=False):  # differences of bfloat16 would be lost
            yield weights, lambda changed, images: functional_call(model, changed, (images,)).flatten(1)
    finally:
        model.train(training)
