"""Area under the ROC curve of two classes, and how far it spreads over the images and splits that were drawn.

Scores are margins, score of class 1 minus score of class 0, of S splits with n test images each: (S, n).
"""

import numpy as np
import torch
from torch import Tensor


def auc(margins: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Area under the ROC curve: the probability that an image of class 1 has a larger margin than one of class 0.

    Equal margins count half (J. A. Hanley, B. J. McNeil, Radiology 143, 29, 1982).

    Parameters
    ----------
    margins, labels : Tensor
        Shape (n,); labels are 0 and 1, and both must be there.
    weights : Tensor, optional
        How often each image counts, (..., n); once if left out.

    Returns
    -------
    Tensor
        Shape (...), 0 to 1, float64.

    Examples
    --------
    >>> auc(torch.tensor([0.1, 0.4, 0.4, 0.8]), torch.tensor([0, 0, 1, 1])).item()
    0.875
    """
    zero, one = labels == 0, labels == 1
    counted = torch.ones(len(labels)) if weights is None else weights
    difference = margins[one, None].float() - margins[zero].float()
    wins = (difference > 0).double() + 0.5 * (difference == 0)
    ones, zeros = counted[..., one].double(), counted[..., zero].double()
    return ((ones @ wins) * zeros).sum(-1) / (ones.sum(-1) * zeros.sum(-1))


def recalls(margins: Tensor, labels: Tensor) -> tuple[float, float]:
    """Share of the images of class 0, and of class 1, that are named rightly: class 1 where the margin is above 0."""
    return float((margins[labels == 0] <= 0).double().mean()), float((margins[labels == 1] > 0).double().mean())


def draws(images: np.ndarray, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw images and splits with replacement, `count` times, for a paired bootstrap of both.

    An image that is in the test sets of several splits is drawn for all of them at once, and a split for all networks:
    so what splits and networks share stays shared. Drawing both ways overstates the variance of a mean rather than
    understating it (A. B. Owen, Ann. Appl. Stat. 1, 386, 2007).

    Parameters
    ----------
    images : ndarray
        Which images each split tests, (S, n), whole numbers.
    count, seed : int
        How many times, and of the random numbers.

    Returns
    -------
    images, splits : Tensor
        How often each test image counts, (count, S, n), and each split, (count, S); float32.
    """
    draw, (names, where) = np.random.default_rng(seed), np.unique(images, return_inverse=True)
    drawn = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), count).astype(np.float32)
    splits = draw.multinomial(len(images), np.full(len(images), 1 / len(images)), count).astype(np.float32)
    return torch.from_numpy(drawn[:, where.reshape(images.shape)]), torch.from_numpy(splits)


def resampled(margins: Tensor, labels: Tensor, drawn: tuple[Tensor, Tensor]) -> Tensor:
    """Mean of the AUC over the splits, for each of the `draws`: (count,). Differences of two of these are paired.

    Parameters
    ----------
    margins, labels : Tensor
        Shape (S, n).
    drawn : tuple of Tensor
        Of `draws`.
    """
    images, splits = drawn
    areas = torch.stack([auc(margins[s], labels[s], images[:, s]) for s in range(len(margins))], 1)
    return (areas * splits).sum(1) / splits.sum(1)


def interval(values: Tensor) -> tuple[float, float]:
    """Middle 95 % of bootstrap values; a draw without an image of one of the classes, nan, does not count."""
    low, high = torch.nanquantile(values.double(), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
