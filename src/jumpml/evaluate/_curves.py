"""Lines and points that show how a task's figures come about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.core import Curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.evaluate._sample import Sample

    Line = Callable[[Tensor, Tensor], tuple[NDArray[np.float64], NDArray[np.float64]]]

GRID = np.linspace(0.0, 1.0, 101)  # what a macro average is taken on
POINTS = 500  # the most that a picture holds


def curves(sample: Sample) -> dict[str, tuple[Curve, ...]]:
    """The pictures of a task's kind.

    Returns:
        By title: ROC and precision against recall, for several classes or labels the mean of each against the rest; for
        regression predicted against true values and residuals, evenly spaced rows where there are many.
    """
    if sample.decides == "numbers":
        return _scatter(sample)
    scores, truths = sample.rankings()
    if not truths.shape[1]:
        return {}
    of = {"multiclass": "mean over classes", "multilabel": "mean over labels"}.get(sample.kind, "")
    return {
        "ROC": (_curve(scores, truths, _roc, of, ("false positive rate", "true positive rate")),),
        "precision and recall": (_curve(scores, truths, _precision_recall, of, ("recall", "precision")),),
    }


def _curve(scores: Tensor, truths: Tensor, line: Line, of: str, axes: tuple[str, str]) -> Curve:
    """The line itself where there is one, else its mean `of` all of them on a grid."""
    lines = [line(score, truth) for score, truth in zip(scores.unbind(1), truths.unbind(1), strict=True)]
    if of:
        x, y = GRID, np.mean([np.interp(GRID, x, y) for x, y in lines], axis=0)
    else:
        x, y = (values[_evenly(len(values))] for values in lines[0])
    return Curve(x=_plain(x), y=_plain(y), x_label=axes[0], y_label=axes[1], label=of)


def _roc(scores: Tensor, target: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from torchmetrics.functional.classification import binary_roc

    false_positives, true_positives, _ = binary_roc(scores, target, validate_args=False)
    return false_positives.double().numpy(), true_positives.double().numpy()


def _precision_recall(scores: Tensor, target: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from torchmetrics.functional.classification import binary_precision_recall_curve

    precision, recall, _ = binary_precision_recall_curve(scores, target, validate_args=False)
    return recall.flip(0).double().numpy(), precision.flip(0).double().numpy()


def _scatter(sample: Sample) -> dict[str, tuple[Curve, ...]]:
    kept = _evenly(sample.target.numel())
    true, predicted = sample.target.flatten()[kept].double(), sample.decided.flatten()[kept].double()
    return {
        "predicted and true": (_points(true, predicted, "true", "predicted"),),
        "residuals": (_points(predicted, true - predicted, "predicted", "true less predicted"),),
    }


def _points(x: Tensor, y: Tensor, x_label: str, y_label: str) -> Curve:
    return Curve(x=_plain(x.numpy()), y=_plain(y.numpy()), x_label=x_label, y_label=y_label)


def _evenly(count: int) -> NDArray[np.int64]:
    return np.unique(torch.linspace(0, count - 1, min(count, POINTS), dtype=torch.float64).long().numpy())


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(values.tolist())
