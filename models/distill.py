"""Distillation: what a network learns from the labels, and from a teacher's scores.

The objectives that `models.train.fit` takes. Scores are (B, classes) with labels (B,), or (B, classes, y, x) with
labels (B, y, x) in which IGNORE is not scored.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from fouroptics.errors import FourOpticsError
from models.batch import Batch, Objective
from models.data import IGNORE


def divergence(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """``T^2 KL(softmax(z_t / T) || softmax(z_s / T))`` of each image or pixel; nothing flows back to the teacher.

    T^2 keeps the gradient as large as that of the cross entropy as T grows (Hinton et al., arXiv 1503.02531). At T =
    inf this is logit matching, ``sum_c (d_c - mean d)^2 / (2 classes)`` with ``d = z_s - z_t`` (section 2.1 there).

    Parameters
    ----------
    student_logits, teacher_logits : Tensor
        z_s and z_t, shape (B, classes) or (B, classes, y, x).
    temperature : float
        T > 0, or inf; the larger, the more the small probabilities count.

    Returns
    -------
    Tensor
        Shape (B,) or (B, y, x).
    """
    if math.isinf(temperature):
        return (student_logits - teacher_logits.detach()).var(1, correction=0) / 2
    learned = F.log_softmax(student_logits / temperature, 1)
    taught = F.log_softmax(teacher_logits.detach() / temperature, 1)
    return temperature**2 * F.kl_div(learned, taught, reduction="none", log_target=True).sum(1)


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
    weights: Tensor | None = None,
) -> Tensor:
    """``alpha T^2 KL(softmax(z_t / T) || softmax(z_s / T)) + (1 - alpha) CE(z_s, labels)``, averaged.

    The mean over the images, or pixels, whose label is not IGNORE, each with the weight of its class: in both terms, so
    that the teacher does not dilute the weights.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor
        z_s and z_t, shape (B, classes) or (B, classes, y, x); the teacher's come from eval mode.
    labels : Tensor
        Shape (B,) or (B, y, x), int64.
    temperature : float
        T > 0, or inf for logit matching, as in `divergence`.
    alpha : float
        Share of the teacher, 0 to 1.
    weights : Tensor, optional
        Shape (classes,); 1 if left out.

    Returns
    -------
    Tensor
        A number.
    """
    entropy = F.cross_entropy(student_logits, labels, ignore_index=IGNORE, reduction="none")
    loss = alpha * divergence(student_logits, teacher_logits, temperature) + (1 - alpha) * entropy
    scored = labels != IGNORE
    counted = scored.to(loss) if weights is None else weights.to(loss)[labels * scored] * scored
    return (counted * loss).sum() / counted.sum()


def labels_only(weights: Tensor | None = None) -> Objective:
    """Learn the labels: cross entropy, with a weight for each class if `weights` (classes,) are given."""

    def objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        scores = model(batch.images)
        counted = None if weights is None else weights.to(scores)
        return F.cross_entropy(scores, batch.labels, counted, ignore_index=IGNORE), scores

    return objective


def distilled(
    teacher_logits: Tensor, temperature: float = 10.0, alpha: float = 0.5, weights: Tensor | None = None
) -> Objective:
    """Learn from a teacher's scores as well: `kd_loss`. The defaults are the method's (arXiv 2102.13323).

    Parameters
    ----------
    teacher_logits : Tensor
        Shape (views, N, classes) or (views, N, classes, y, x): what the teacher in eval mode makes of each view of each
        training image, in their order; of any precision, on any device.
    temperature, alpha, weights
        As for `kd_loss`.

    Raises
    ------
    FourOpticsError
        If temperature or alpha is out of range, or the scores are of other classes or sizes than the student's.
    """
    if not temperature > 0 or not 0 <= alpha <= 1:
        raise FourOpticsError(f"temperature = {temperature}, alpha = {alpha}: expected T > 0 and alpha from 0 to 1")

    def objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        scores = model(batch.images)
        taught = teacher_logits[batch.view][batch.chosen.to(teacher_logits.device)].to(scores)
        if taught.shape != scores.shape:
            shapes = f"{tuple(taught.shape[1:])} and {tuple(scores.shape[1:])}"
            raise FourOpticsError(f"scores of teacher and student of shapes {shapes} an image: they must be the same")
        return kd_loss(scores, taught, batch.labels, temperature, alpha, weights), scores

    return objective
