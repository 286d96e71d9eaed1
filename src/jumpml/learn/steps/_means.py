"""Losses as a balancer sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.objectives import reduce_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss


def means_of(names: Sequence[str], losses: Mapping[str, Loss], weights: Mapping[str, float]) -> Tensor:
    """Each objective's mean times its own weight, ``[objectives]`` without a graph."""
    with torch.no_grad():
        means = reduce_all([losses[name] for name in names])
        own = [weights[name] for name in names]
        return means if all(weight == 1 for weight in own) else means * means.new_tensor(own)


def there_of(names: Sequence[str], losses: Mapping[str, Loss], weights: Mapping[str, float]) -> Tensor | None:
    """A bool ``[objectives]``, those that count in these rows; None where it takes no look to know that all do."""
    if all(losses[name].present is None and weights[name] for name in names):
        return None
    device = losses[names[0]].value.device
    return torch.stack([_counts(losses[name], weights[name], device) for name in names])


def _counts(loss: Loss, weight: float, device: torch.device) -> Tensor:
    if loss.present is None or not weight:
        return torch.full((), bool(weight), device=device)
    return loss.present.any()
