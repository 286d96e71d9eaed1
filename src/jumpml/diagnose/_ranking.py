"""Whether an attribution ranks elements better than chance: insertion and deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from jumpml.diagnose._elements import Elements

MOST_STEPS = 16  # points on a curve; the area of 64 elements hardly changes with more


def curve_areas(
    confidence: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    baselines: Sequence[Tensor],
    elements: Sequence[Elements],
    importance: Tensor,
) -> tuple[Tensor, Tensor]:
    """Areas under the insertion and the deletion curve of each row (Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421).

    Insertion starts at the baseline and puts elements back, most important first; deletion starts at the row and takes
    them away to the baseline, in the same order. The elements of all inputs are ranked together.

    Args:
        confidence: From the inputs to ``[n]``.
        inputs: Each ``[n, *shape]``.
        baselines: Each ``[n, *shape]``.
        elements: Of each input.
        importance: ``[n, all elements]``, most important highest.

    Returns:
        ``[n]`` and ``[n]``; the axis of elements has length one, so an area is a mean confidence.
    """
    rank = importance.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    total = rank.shape[1]
    steps = torch.linspace(0, total, min(total, MOST_STEPS) + 1).round().long()
    insertion, deletion = [], []
    for step in steps.tolist():
        chosen = (rank < step).split([part.count for part in elements], dim=1)
        masks = [part.spread(mask) for part, mask in zip(elements, chosen, strict=True)]
        inserted = [torch.where(m, x, b) for m, x, b in zip(masks, inputs, baselines, strict=True)]
        deleted = [torch.where(m, b, x) for m, x, b in zip(masks, inputs, baselines, strict=True)]
        insertion.append(confidence(*inserted))
        deletion.append(confidence(*deleted))
    share = (steps / total).to(importance.device)
    return torch.trapezoid(torch.stack(insertion), share, dim=0), torch.trapezoid(torch.stack(deletion), share, dim=0)
