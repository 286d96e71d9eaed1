"""How well scores rank rows: the two areas, on all resamples at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._draws import Draws


def auroc(scores: Tensor, truths: Tensor, draws: Draws) -> Tensor:
    """The chance that a row of the class scores higher than another; ties count half.

    Mann's and Whitney's statistic (1947, https://doi.org/10.1214/aoms/1177730491), which is the area under the ROC.

    Args:
        scores: ``[rows, classes]``.
        truths: 0 and 1, ``[rows, classes]``.
        draws: The resamples of rows.

    Returns:
        float64 ``[resamples, classes]``; NaN where all drawn rows are of the class, or none.

    Example:
        >>> from jumpml.evaluate._draws import Draws
        >>> auroc(torch.tensor([[0.9], [0.5], [0.5], [0.1]]), torch.tensor([[1], [1], [0], [0]]), Draws.once(4))
        tensor([[0.8750]], dtype=torch.float64)
    """
    return torch.stack([_area(*pair, draws.counts) for pair in zip(scores.T, truths.T, strict=True)], dim=1)


def average_precision(scores: Tensor, truths: Tensor, draws: Draws) -> Tensor:
    """The mean, over the rows of the class, of the precision among the rows that score no lower.

    Args:
        scores: ``[rows, classes]``.
        truths: 0 and 1, ``[rows, classes]``.
        draws: The resamples of rows.

    Returns:
        float64 ``[resamples, classes]``; NaN where all drawn rows are of the class, or none.

    Example:
        >>> from jumpml.evaluate._draws import Draws
        >>> average_precision(torch.tensor([[0.9], [0.5], [0.3]]), torch.tensor([[1], [0], [1]]), Draws.once(3))
        tensor([[0.8333]], dtype=torch.float64)
    """
    return torch.stack([_precision(*pair, draws.counts) for pair in zip(scores.T, truths.T, strict=True)], dim=1)


def _area(scores: Tensor, truths: Tensor, counts: Tensor) -> Tensor:
    """Of one class, ``[resamples]``: its rows' pairs with others that score lower, and half of those that tie."""
    ordered, order = scores.sort()
    first, last = _ties(ordered)
    truths, counts = truths[order], counts[:, order]
    own = truths.nonzero().squeeze(1)
    others = F.pad((counts * (1 - truths)).cumsum(1), (1, 0))
    wins = (counts[:, own] * (others[:, first[own]] + others[:, last[own] + 1])).sum(1) / 2
    return wins / (counts[:, own].sum(1) * others[:, -1])


def _precision(scores: Tensor, truths: Tensor, counts: Tensor) -> Tensor:
    """Of one class, ``[resamples]``."""
    ordered, order = scores.sort(descending=True)
    _, last = _ties(ordered)
    truths, counts = truths[order], counts[:, order]
    own = truths.nonzero().squeeze(1)
    hits, taken = (counts * truths).cumsum(1), counts.cumsum(1)
    precision = hits[:, last[own]] / taken[:, last[own]].clamp(min=1)  # 0 where no row is drawn yet, and none counts
    total = hits[:, -1]
    return (counts[:, own] * precision).sum(1) / total.where(total < taken[:, -1], torch.nan)


def _ties(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """The positions of the first and the last row with the same score, int64 ``[rows]`` each."""
    rows = torch.arange(len(ordered))
    differs = ordered[1:] != ordered[:-1]
    edge = torch.ones(1, dtype=torch.bool)
    starts, ends = torch.cat([edge, differs]), torch.cat([differs, edge])
    first = torch.where(starts, rows, 0).cummax(0).values
    last = torch.where(ends, rows, len(rows)).flip(0).cummin(0).values.flip(0)
    return first, last
