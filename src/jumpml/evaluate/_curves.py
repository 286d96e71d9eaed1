"""Lines and points that show how a task's figures come about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.core import TASK_KINDS, Curve
from jumpml.evaluate._neighbours import recall_curve
from jumpml.evaluate._number_curves import evenly, number_curves

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.evaluate._positions import Positions
    from jumpml.evaluate._sample import Sample

    Line = Callable[[Tensor, Tensor], tuple[NDArray[np.float64], NDArray[np.float64]]]

GRID = np.linspace(0.0, 1.0, 101)  # what a macro average is taken on
GROUPS = 64  # of neighbouring positions, that a long text's losses are averaged over


def curves(sample: Sample) -> dict[str, tuple[Curve, ...]]:
    """The pictures of a task's kind.

    Returns:
        By title: ROC and precision against recall, for several classes or labels the mean of each against the rest; of
        numbers those of `number_curves`, of embeddings what the nearest rows are.
    """
    if sample.decides == "numbers":
        return number_curves(sample)
    if sample.decides == "embedding":
        return recall_curve(sample)
    scores, truths = sample.rankings()
    if not truths.shape[1]:
        return {}
    of = "mean over labels" if sample.decides == "labels" else "mean over classes"
    of = of if sample.probabilities.dim() == 2 else ""
    return {
        "ROC": (_curve(scores, truths, _roc, of, ("false positive rate", "true positive rate")),),
        "precision and recall": (_curve(scores, truths, _precision_recall, of, ("recall", "precision")),),
    }


def loss_along(positions: Positions) -> dict[str, tuple[Curve, ...]]:
    """Of texts of which each next token is told: the mean loss at each position, or at some neighbours together.

    What comes late in a text can be told from more of what comes before.
    """
    if not TASK_KINDS[positions.kind].truth:
        return {}
    before = torch.arange(1, positions.along.shape[1] + 1).double()  # tokens that are known
    sums = torch.stack([before * positions.along[1], *positions.along])
    parts = [part.sum(1) for part in sums.tensor_split(min(GROUPS, len(before)), dim=1)]
    known = [(place / count, loss / count) for place, loss, count in (part.tolist() for part in parts) if count]
    line = Curve(
        x=tuple(x for x, _ in known), y=tuple(y for _, y in known), x_label="tokens before", y_label="nats a token"
    )
    return {"loss along the text": (line,)} if len(known) > 1 else {}


def _curve(scores: Tensor, truths: Tensor, line: Line, of: str, axes: tuple[str, str]) -> Curve:
    """The line itself where there is one, else its mean `of` all of them on a grid."""
    lines = [line(score, truth) for score, truth in zip(scores.unbind(1), truths.unbind(1), strict=True)]
    if of:
        x, y = GRID, np.mean([np.interp(GRID, x, y) for x, y in lines], axis=0)
    else:
        x, y = (values[evenly(len(values))] for values in lines[0])
    return Curve(x=_plain(x), y=_plain(y), x_label=axes[0], y_label=axes[1], label=of)


def _roc(scores: Tensor, target: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.metrics import roc_curve

    false_positives, true_positives, _ = roc_curve(target.numpy(), scores.numpy(), drop_intermediate=False)
    return false_positives, true_positives


def _precision_recall(scores: Tensor, target: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(target.numpy(), scores.numpy())
    return recall[::-1], precision[::-1]


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(values.tolist())
