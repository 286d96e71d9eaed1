"""How well scores rank rows: the two areas, of all classes at once.

torchmetrics takes one class after another, and a bootstrap asks for each of them a thousand times.
"""

from __future__ import annotations

import torch
from torch import Tensor


def auroc(scores: Tensor, truths: Tensor) -> Tensor:
    """The chance that a row of the class scores higher than another; ties count half.

    Mann's and Whitney's statistic (1947, https://doi.org/10.1214/aoms/1177730491), which is the area under the ROC.

    Args:
        scores: ``[rows, classes]``.
        truths: 0 and 1, both in each class, ``[rows, classes]``.

    Returns:
        float64 ``[classes]``.

    Example:
        >>> auroc(torch.tensor([[0.9], [0.5], [0.5], [0.1]]), torch.tensor([[1], [1], [0], [0]]))
        tensor([0.8750], dtype=torch.float64)
    """
    ordered, order = scores.sort(dim=0)
    first, last = _ties(ordered)
    positive = truths.gather(0, order).double()
    hits = positive.sum(0)
    ranks = (positive * (first + last + 2) / 2).sum(0)  # a row's rank among equals is the mean of theirs
    return (ranks - hits * (hits + 1) / 2) / (hits * (len(scores) - hits))


def average_precision(scores: Tensor, truths: Tensor) -> Tensor:
    """The mean, over the rows of the class, of the precision among the rows that score no lower.

    Args:
        scores: ``[rows, classes]``.
        truths: 0 and 1, both in each class, ``[rows, classes]``.

    Returns:
        float64 ``[classes]``.

    Example:
        >>> average_precision(torch.tensor([[0.9], [0.5], [0.3]]), torch.tensor([[1], [0], [1]]))
        tensor([0.8333], dtype=torch.float64)
    """
    ordered, order = scores.sort(dim=0, descending=True)
    _, last = _ties(ordered)
    positive = truths.gather(0, order).double()
    precision = positive.cumsum(0).gather(0, last) / (last + 1)
    return (positive * precision).sum(0) / positive.sum(0)


def _ties(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """The positions of the first and the last row with the same score, int64 ``[rows, classes]`` each."""
    rows = torch.arange(len(ordered)).unsqueeze(1).expand_as(ordered)
    differs = ordered[1:] != ordered[:-1]
    edge = torch.ones_like(ordered[:1], dtype=torch.bool)
    starts, ends = torch.cat([edge, differs]), torch.cat([differs, edge])
    first = torch.where(starts, rows, 0).cummax(0).values
    last = torch.where(ends, rows, len(rows)).flip(0).cummin(0).values.flip(0)
    return first, last
