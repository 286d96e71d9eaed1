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
    """Each objective's mean times its own weight, ``[objectives]``; 0 of what did not run. Losses have no graph."""
    ran = [name for name in names if name in losses]
    means = reduce_all([losses[name] for name in ran])
    if len(ran) < len(names):
        places = torch.tensor([place for place, name in enumerate(names) if name in losses], device=means.device)
        means = means.new_zeros(len(names)).index_copy(0, places, means)
    own = [weights[name] for name in names]
    return means if all(weight == 1 for weight in own) else means * means.new_tensor(own)


def there_of(names: Sequence[str], losses: Mapping[str, Loss], weights: Mapping[str, float]) -> Tensor | None:
    """A bool ``[objectives]``, those that count in these rows; None where it takes no look to know that all do."""
    if all(name in losses and losses[name].present is None and weights[name] for name in names):
        return None
    device = next(iter(losses.values())).value.device
    return torch.stack([_counts(losses.get(name), weights[name], device) for name in names])


def _counts(loss: Loss | None, weight: float, device: torch.device) -> Tensor:
    if loss is None or loss.present is None or not weight:
        return torch.full((), loss is not None and bool(weight), device=device)
    return loss.present.any()
