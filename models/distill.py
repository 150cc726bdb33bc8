"""Distillation: learn from the teacher's probabilities as well as from the labels."""

from torch import Tensor
from torch.nn import functional as F


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, alpha: float) -> Tensor:
    """``alpha T^2 KL(softmax(z_t / T) || softmax(z_s / T)) + (1 - alpha) CE(z_s, labels)``, averaged over the batch.

    T^2 keeps the gradient of the first term at the size of the second as T grows (Hinton et al., arXiv 1503.02531).

    Parameters
    ----------
    student_logits, teacher_logits : Tensor
        z_s and z_t, shape (B, classes); the teacher's come from `models.train.logits`, so from eval mode.
    labels : Tensor
        Shape (B,), int64.
    temperature : float
        T > 0; the larger, the more the small probabilities count.
    alpha : float
        Share of the teacher, 0 to 1.

    Returns
    -------
    Tensor
        A number.
    """
    learned = F.log_softmax(student_logits / temperature, dim=-1)
    taught = F.log_softmax(teacher_logits.detach() / temperature, dim=-1)
    divergence = F.kl_div(learned, taught, reduction="batchmean", log_target=True)
    return alpha * temperature**2 * divergence + (1 - alpha) * F.cross_entropy(student_logits, labels)
