"""Losses as a balancer sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.objectives import reduce_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss
    from jumpml.learn.processes._processes import Processes


def means_of(
    names: Sequence[str], losses: Mapping[str, Loss], weights: Mapping[str, float], rows: int, processes: Processes
) -> Tensor:
    """Each objective's mean times its own weight, ``[objectives]``; 0 of what did not run.

    Args:
        names: The objectives.
        losses: Without a graph.
        weights: By objective.
        rows: That they are of.
        processes: Those over whose rows the means are.
    """
    ran = [name for name in names if name in losses]
    means = reduce_all([losses[name] for name in ran])
    if not processes.alone:
        means = of_all(means, torch.stack([count_of(losses[name], rows) for name in ran]), processes)[0]
    if len(ran) < len(names):
        places = torch.tensor([place for place, name in enumerate(names) if name in losses], device=means.device)
        means = means.new_zeros(len(names)).index_copy(0, places, means)
    own = [weights[name] for name in names]
    return means if all(weight == 1 for weight in own) else means * means.new_tensor(own)


def of_all(means: Tensor, counts: Tensor, processes: Processes) -> tuple[Tensor, Tensor]:
    """Means over the rows of all processes, and how many these are.

    Args:
        means: This one's.
        counts: The rows that they are of, of the same shape.
        processes: All.
    """
    sums, counts = processes.sum([means.double() * counts, counts.double()])
    return (sums / counts.clamp(min=1)).to(means.dtype), counts


def count_of(loss: Loss, rows: int) -> Tensor:
    """The rows that an objective's mean is of, a scalar on the device."""
    value, present = loss
    return torch.full((), rows, device=value.device) if present is None else present.sum()


def there_of(
    names: Sequence[str], losses: Mapping[str, Loss], weights: Mapping[str, float], processes: Processes
) -> Tensor | None:
    """A bool ``[objectives]``, those that count in these rows; None where it takes no look to know that all do."""
    if all(name in losses and losses[name].present is None and weights[name] for name in names):
        return None
    device = next(iter(losses.values())).value.device
    there = torch.stack([_counts(losses.get(name), weights[name], device) for name in names])
    return there if processes.alone else processes.sum([there.int()])[0] > 0


def _counts(loss: Loss | None, weight: float, device: torch.device) -> Tensor:
    if loss is None or loss.present is None or not weight:
        return torch.full((), loss is not None and bool(weight), device=device)
    return loss.present.any()
