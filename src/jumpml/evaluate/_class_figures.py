"""Figures of decided classes and labels, once a row or at positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from jumpml.evaluate._metric import UndefinedError
from jumpml.evaluate._positions import Positions
from jumpml.evaluate._ranking import auroc, average_precision

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._sample import Sample


def hits(given: Tensor, hit: Tensor) -> tuple[Tensor, Tensor]:
    """Of what was given so, how much was hit."""
    return (given & hit).sum(), given.sum()


def accuracy(s: Sample) -> tuple[Tensor, Tensor]:
    """Rows that are decided rightly, of all."""
    return s.right.sum(), torch.tensor(len(s))


def balanced_accuracy(s: Sample) -> Tensor:
    """The mean over classes of the share of their rows that are decided rightly."""
    from torchmetrics.functional.classification import multiclass_recall

    recall = multiclass_recall(s.decided, s.target, s.num_classes, average="none", validate_args=False)
    return recall[s.class_counts > 0].mean()


def macro_f1(s: Sample | Positions) -> Tensor:
    """The mean F1 score of the classes or labels; at positions it is Dice's coefficient."""
    if isinstance(s, Positions):
        return dice(s)
    if s.decides == "labels":
        twice, marked = _f1_of_labels(s)
        return (twice[marked > 0] / marked[marked > 0]).mean()
    from torchmetrics.functional.classification import multiclass_f1_score

    return multiclass_f1_score(s.decided, s.target, s.num_classes, average="macro", validate_args=False)


def micro_f1(s: Sample) -> Tensor:
    """The F1 score of all labels together."""
    twice, marked = _f1_of_labels(s)
    return twice.sum() / marked.sum()


def _f1_of_labels(s: Sample) -> tuple[Tensor, Tensor]:
    """An F1 score's numerator and denominator of each label; one without a row and without a decision has no score."""
    twice, marked = 2 * (s.decided & s.target).sum(0), (s.decided + s.target).sum(0)
    if not marked.any():
        raise UndefinedError("no row has a label and none was given one")
    return twice.double(), marked.double()


def f1(s: Sample) -> Tensor:
    """The F1 score of the second class."""
    from torchmetrics.functional.classification import binary_f1_score

    if not (s.decided.any() or s.target.any()):
        raise UndefinedError("no row is positive and none was taken for positive")
    return binary_f1_score(s.decided, s.target, validate_args=False)


def matthews(s: Sample) -> Tensor:
    """Matthews' correlation of decisions and truth."""
    from torchmetrics.functional.classification import multiclass_matthews_corrcoef

    return multiclass_matthews_corrcoef(s.decided, s.target, s.num_classes, validate_args=False)


def kappa(s: Sample) -> Tensor:
    """Cohen's agreement of decisions and truth beyond chance."""
    from torchmetrics.functional.classification import multiclass_cohen_kappa

    _several_classes(s)
    return multiclass_cohen_kappa(s.decided, s.target, s.num_classes, validate_args=False)


def macro_auroc(s: Sample) -> Tensor:
    """The mean over classes or labels of the area under the ROC."""
    return auroc(*_rankings(s)).mean()


def macro_average_precision(s: Sample) -> Tensor:
    """The mean over classes or labels of the average precision."""
    return average_precision(*_rankings(s)).mean()


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


def log_loss(s: Sample | Positions) -> Tensor:
    """The mean of minus the logarithm of the probability of what is true."""
    if isinstance(s, Positions):
        return s.mean_loss()
    logits = s.logits.double()  # a probability in float32 would round to 0 where the logit still says how wrong it is
    if s.logits.dim() == 2 and s.decides == "class":
        return F.cross_entropy(logits, s.target)
    return F.binary_cross_entropy_with_logits(logits, s.target.double())


def brier(s: Sample) -> Tensor:
    """The mean squared difference of probabilities and truth."""
    probabilities = s.probabilities.double()
    if s.probabilities.dim() == 2 and s.decides == "class":
        return (probabilities - F.one_hot(s.target, s.num_classes)).square().sum(1).mean()
    return (probabilities - s.target).square().mean()


def quadratic_kappa(s: Sample) -> Tensor:
    """Cohen's agreement, a disagreement weighed by the square of the ranks between."""
    from torchmetrics.functional.classification import multiclass_cohen_kappa

    _several_classes(s)
    return multiclass_cohen_kappa(s.decided, s.target, s.num_classes, weights="quadratic", validate_args=False)


def dice(s: Positions) -> Tensor:
    """The mean over classes of twice what is right over what is true and what was given."""
    right, true, given = s.totals
    there = true + given > 0  # a class of no position that none was taken for has no score
    return (2 * right[there] / (true + given)[there]).mean()


def mean_iou(s: Positions) -> Tensor:
    """The mean over classes of what is right over what is true or was given."""
    right, true, given = s.totals
    union = true + given - right
    return (right[union > 0] / union[union > 0]).mean()
