"""Classes in an order: from the logits of `jumpml.objectives.Corn` to chances and a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor


def log_chances(logits: Tensor) -> Tensor:
    """The logarithm of each class's probability.

    Args:
        logits: ``[n, classes - 1]``, at place k of being above class k where one is not below it.

    Returns:
        ``[n, classes]``.

    Example:
        >>> import torch
        >>> log_chances(torch.zeros(1, 2)).exp()
        tensor([[0.5000, 0.2500, 0.2500]])
    """
    above, not_above = F.logsigmoid(logits).cumsum(-1), F.logsigmoid(-logits)
    return F.pad(above, (1, 0)) + F.pad(not_above, (0, 1))


def median_class(chances: Tensor) -> Tensor:
    """The first class that half of the probability does not lie above, int64 ``[n]``.

    Args:
        chances: ``[n, classes]``.

    Example:
        >>> import torch
        >>> median_class(torch.tensor([[0.4, 0.2, 0.4], [0.1, 0.2, 0.7]]))
        tensor([1, 2])
    """
    return (chances.cumsum(-1)[..., :-1] < 0.5).sum(-1)
