"""Figures of decided classes and labels, once a row or at positions, each on all resamples at once: ``[resamples]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from jumpml.evaluate._metric import UndefinedError
from jumpml.evaluate._positions import Positions
from jumpml.evaluate._ranking import auroc, average_precision

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._draws import Draws
    from jumpml.evaluate._sample import Sample


def hits(given: Tensor, hit: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows were hit, of those that were given so; ``[rows]`` each."""
    return given & hit, given


def accuracy(s: Sample) -> tuple[Tensor, Tensor]:
    """Rows that are decided rightly, of all."""
    return s.right, torch.ones_like(s.right)


def balanced_accuracy(s: Sample, draws: Draws) -> Tensor:
    """The mean over classes of the share of their rows that are decided rightly."""
    right, true, _ = _by_class(s, draws)
    return (right / true).nanmean(1)


def macro_f1(s: Sample | Positions, draws: Draws) -> Tensor:
    """The mean F1 score of the classes or labels; at positions it is Dice's coefficient."""
    if not isinstance(s, Positions) and s.decides == "labels":
        _some_label(s)
    return dice(s, draws)


def micro_f1(s: Sample, draws: Draws) -> Tensor:
    """The F1 score of all labels together."""
    _some_label(s)
    right, true, given = (count.sum(1) for count in _by_class(s, draws))
    return 2 * right / (true + given)


def _some_label(s: Sample) -> None:
    if not (s.decided.any() or s.target.any()):
        raise UndefinedError("no row has a label and none was given one")


def f1(s: Sample, draws: Draws) -> Tensor:
    """The F1 score of the second class."""
    if not (s.decided.any() or s.target.any()):
        raise UndefinedError("no row is positive and none was taken for positive")
    right, true, given = (count[:, 1] for count in _by_class(s, draws))
    return 2 * right / (true + given)


def matthews(s: Sample, draws: Draws) -> Tensor:
    """Matthews' correlation of decisions and truth; 0 where either is of one class alone."""
    right, true, given = _by_class(s, draws)
    rows = true.sum(1)
    together = right.sum(1) * rows - (true * given).sum(1)
    apart = (rows.square() - true.square().sum(1)) * (rows.square() - given.square().sum(1))
    return torch.where(apart > 0, together / apart.sqrt(), 0.0)


def kappa(s: Sample, draws: Draws) -> Tensor:
    """Cohen's agreement of decisions and truth beyond chance."""
    return _agreement(s, draws, 1 - torch.eye(s.num_classes, dtype=torch.float64))


def quadratic_kappa(s: Sample, draws: Draws) -> Tensor:
    """Cohen's agreement, a disagreement weighed by the square of the ranks between."""
    ranks = torch.arange(s.num_classes, dtype=torch.float64)
    return _agreement(s, draws, (ranks[:, None] - ranks).square())


def _agreement(s: Sample, draws: Draws, cost: Tensor) -> Tensor:
    _several_classes(s)
    size = s.num_classes
    true, given = draws.tally(s.target, size), draws.tally(s.decided, size)
    expected = ((true @ cost) * given).sum(1) / true.sum(1)
    found = draws.sums(cost[s.target, s.decided])
    return (1 - found / expected).where((true > 0).sum(1) > 1, torch.nan)


def macro_auroc(s: Sample, draws: Draws) -> Tensor:
    """The mean over classes or labels of the area under the ROC."""
    return auroc(*_rankings(s), draws).nanmean(1)


def macro_average_precision(s: Sample, draws: Draws) -> Tensor:
    """The mean over classes or labels of the average precision."""
    return average_precision(*_rankings(s), draws).nanmean(1)


def _rankings(s: Sample) -> tuple[Tensor, Tensor]:
    if s.decides != "labels":
        _several_classes(s)
    scores, truths = s.rankings()
    if not truths.shape[1]:
        raise UndefinedError("each label is in all rows or in none")
    return scores, truths


def _several_classes(s: Sample) -> None:
    if (s.class_counts > 0).sum() < 2:
        raise UndefinedError("all rows are of one class")


def log_loss(s: Sample | Positions, draws: Draws) -> Tensor:
    """The mean of minus the logarithm of the probability of what is true."""
    if isinstance(s, Positions):
        return draws.sums(s.loss) / draws.sums(s.count)
    logits = s.logits.double()  # a probability in float32 would round to 0 where the logit still says how wrong it is
    if s.logits.dim() == 2 and s.decides == "class":
        return draws.means(F.cross_entropy(logits, s.target, reduction="none"))
    return draws.means(F.binary_cross_entropy_with_logits(logits, s.target.double(), reduction="none"))


def brier(s: Sample, draws: Draws) -> Tensor:
    """The mean squared difference of probabilities and truth."""
    probabilities = s.probabilities.double()
    if s.probabilities.dim() == 2 and s.decides == "class":
        return draws.means((probabilities - F.one_hot(s.target, s.num_classes)).square().sum(1))
    return draws.means((probabilities - s.target).square())


def hamming_loss(s: Sample, draws: Draws) -> Tensor:
    """The share of rows and labels that are decided wrongly."""
    return draws.means((s.decided != s.target).double())


def dice(s: Sample | Positions, draws: Draws) -> Tensor:
    """The mean over classes of twice what is right over what is true and what was given."""
    right, true, given = _by_class(s, draws)
    return (2 * right / (true + given)).nanmean(1)  # a class of no row that none was taken for has no score


def mean_iou(s: Positions, draws: Draws) -> Tensor:
    """The mean over classes of what is right over what is true or was given."""
    right, true, given = _by_class(s, draws)
    return (right / (true + given - right)).nanmean(1)


def position_accuracy(s: Positions, draws: Draws) -> Tensor:
    """The share of known positions that were decided rightly."""
    return draws.sums(s.right) / draws.sums(s.count)


def _by_class(s: Sample | Positions, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """What was decided rightly, what is true and what was given, float64 ``[resamples, classes]`` each."""
    if isinstance(s, Positions):
        right, true, given = draws.sums(s.classes).unbind(1)
        return right, true, given
    if s.decides == "labels":
        return draws.sums(s.decided & s.target), draws.sums(s.target), draws.sums(s.decided)
    size, right = s.num_classes, s.decided == s.target
    true, given = draws.tally(s.target, size), draws.tally(s.decided, size)
    return draws.tally(torch.where(right, s.target, size), size + 1)[:, :size], true, given
