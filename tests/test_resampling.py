"""Area under the ROC curve and its bootstrap."""

import doctest

import numpy as np
import pytest
import torch
from scipy import stats

import models.resampling
from models.resampling import auc, draws, interval, recalls, resampled


def example(count=200, shift=1.0, seed=0):
    draw = torch.Generator().manual_seed(seed)
    labels = (torch.rand(count, generator=draw) < 0.3).long()
    return torch.randn(count, generator=draw) + shift * labels, labels


def test_auc_is_mann_whitney():
    margins, labels = example()
    margins = (margins * 4).round().double()  # with ties
    u = stats.mannwhitneyu(margins[labels == 1], margins[labels == 0]).statistic
    expected = u / (int(labels.sum()) * int((1 - labels).sum()))
    assert float(auc(margins, labels)) == pytest.approx(expected, abs=1e-12)  # both count pairs
    assert float(auc(-margins, labels)) == pytest.approx(1 - expected, abs=1e-12)


def test_a_weight_is_a_repetition():
    margins, labels = example()
    weights = torch.randint(0, 4, (3, 200), generator=torch.Generator().manual_seed(1))
    expected = [float(auc(margins.repeat_interleave(w), labels.repeat_interleave(w))) for w in weights]
    assert auc(margins, labels, weights).tolist() == pytest.approx(expected, abs=1e-12)


def test_recalls_of_both_classes():
    margins, labels = torch.tensor([-1.0, 0.0, 2.0, 1.0, -3.0]), torch.tensor([0, 0, 0, 1, 1])
    assert recalls(margins, labels) == pytest.approx((2 / 3, 1 / 2))


def test_an_image_is_drawn_for_all_splits_at_once():
    images = np.array([[3, 5, 7], [5, 7, 9]])
    counts, splits = draws(images, 50, seed=0)
    assert torch.equal(counts[:, 0, 1], counts[:, 1, 0])  # image 5
    assert torch.equal(counts[:, 0, 2], counts[:, 1, 1])  # image 7
    total = counts[:, 0].sum(1) + counts[:, 1, 2]  # each of the four once
    assert set(total.tolist()) == {4.0}
    assert set(splits.sum(1).tolist()) == {2.0}
    again, _ = draws(images, 50, seed=0)
    assert torch.equal(counts, again)


def test_the_interval_covers_the_truth():
    """One split of 200 images whose AUC is known: normal margins a standard deviation apart, Phi(1 / sqrt 2)."""
    truth, covered, widths = float(stats.norm.cdf(1 / np.sqrt(2))), 0, []
    drawn = draws(np.arange(200)[None], 300, seed=0)
    for seed in range(150):
        margins, labels = example(seed=seed)
        low, high = interval(resampled(margins[None], labels[None], drawn))
        covered += low <= truth <= high
        widths.append(high - low)
    assert 0.88 <= covered / 150 <= 0.99  # 95 % of 150: standard error 1.8 %; a percentile interval is a little narrow
    assert np.mean(widths) == pytest.approx(4 * 0.036, rel=0.15)  # Hanley and McNeil: standard error 0.036 here


def test_a_paired_difference_is_narrower():
    """Two networks that mostly agree, and a split that is hard for both."""
    base, labels = example(300)
    margins = torch.stack([base, base * 0.2 + 0.4 * torch.randn(300, generator=torch.Generator().manual_seed(2))])
    labels = torch.stack([labels, labels])
    noise = 0.3 * torch.randn(2, 300, generator=torch.Generator().manual_seed(3))
    drawn = draws(np.arange(600).reshape(2, 300), 500, seed=0)
    first, second = resampled(margins, labels, drawn), resampled(margins + noise, labels, drawn)
    (low, high), (below, above) = interval(first - second), interval(first)
    assert high - low < 0.5 * (above - below)
    plain = np.mean([float(auc(margins[s], labels[s])) for s in (0, 1)])
    assert first.mean().item() == pytest.approx(plain, abs=0.01)  # a bootstrap is about its sample


def test_examples():
    result = doctest.testmod(models.resampling)
    assert result.attempted
    assert not result.failed
