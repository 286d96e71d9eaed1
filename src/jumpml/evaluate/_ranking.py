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
    own, rest = _parted(truths)
    lower, no_higher, others = _drawn_below(scores, counts, rest, scores[own])
    drawn = counts[:, own]
    return (drawn * (lower + no_higher)).sum(1) / 2 / (drawn.sum(1) * others)


def _precision(scores: Tensor, truths: Tensor, counts: Tensor) -> Tensor:
    """Of one class, ``[resamples]``."""
    own, rest = _parted(truths)
    lower, _, total = _drawn_below(scores, counts, own, scores[own])
    wrong, _, others = _drawn_below(scores, counts, rest, scores[own])
    hits, misses = total.unsqueeze(1) - lower, others.unsqueeze(1) - wrong
    precision = hits / (hits + misses).clamp(min=1)  # 0 where no row is drawn so far up, and none counts
    return (counts[:, own] * precision).sum(1) / total.where(others > 0, torch.nan)


def _parted(truths: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of the class and the others, int64."""
    return truths.nonzero().squeeze(1), (truths == 0).nonzero().squeeze(1)


def _drawn_below(scores: Tensor, counts: Tensor, rows: Tensor, levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How many drawn ones of some rows score lower than each level, and how many no higher; and how many there are.

    Returns:
        ``[resamples, levels]`` twice, and ``[resamples]``.
    """
    ordered, order = scores[rows].sort()
    sums = F.pad(counts[:, rows[order]].cumsum(1), (1, 0))
    lower, no_higher = (torch.searchsorted(ordered, levels.contiguous(), right=right) for right in (False, True))
    return sums[:, lower], sums[:, no_higher], sums[:, -1]
