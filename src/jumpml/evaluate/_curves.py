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
        By title: ROC and precision against recall, for several classes the mean of each class against the rest; for
        regression predicted against true values and residuals, evenly spaced rows where there are many.
    """
    if sample.kind == "regression":
        return _scatter(sample)
    if (sample.class_counts > 0).sum() < 2:
        return {}
    return {
        "ROC": (_curve(sample, _roc, "false positive rate", "true positive rate"),),
        "precision and recall": (_curve(sample, _precision_recall, "recall", "precision"),),
    }


def _curve(sample: Sample, line: Line, x_label: str, y_label: str) -> Curve:
    if sample.kind == "binary":
        x, y = line(sample.probabilities, sample.target)
        kept = _evenly(len(x))
        return Curve(x=_plain(x[kept]), y=_plain(y[kept]), x_label=x_label, y_label=y_label)
    present = sample.class_counts.nonzero().flatten().tolist()
    lines = [line(sample.probabilities[:, c], (sample.target == c).long()) for c in present]
    mean = np.mean([np.interp(GRID, x, y) for x, y in lines], axis=0)
    return Curve(x=_plain(GRID), y=_plain(mean), x_label=x_label, y_label=y_label, label="mean over classes")


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
