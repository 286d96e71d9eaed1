"""Soft assignments of rows to prototypes, with as much for each prototype."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Sinkhorn and Knopp's alternating normalization (Cuturi 2013, https://arxiv.org/abs/1306.0895).

    Args:
        scores: ``[rows, prototypes]``, the larger the nearer.
        epsilon: What they are divided by; the smaller, the harder the assignments.
        iterations: How often prototypes and rows are normalized in turn.

    Returns:
        ``[rows, prototypes]``; each row adds up to 1.

    Example:
        >>> sinkhorn(torch.zeros(2, 4), epsilon=0.05, iterations=3)
        tensor([[0.2500, 0.2500, 0.2500, 0.2500],
                [0.2500, 0.2500, 0.2500, 0.2500]])
    """
    logs = scores / epsilon  # by their logarithms: no exponential of a small epsilon is 0 for a whole row
    for _ in range(iterations):
        logs = logs.log_softmax(0).log_softmax(1)
    return logs.exp()
