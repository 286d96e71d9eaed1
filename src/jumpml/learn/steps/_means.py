"""Losses as a balancer sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from jumpml.objectives import reduce_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss
    from jumpml.learn.processes._processes import Processes


class Means(NamedTuple):
    """Objectives' means over the rows of all processes.

    Attributes:
        values: Each one's mean times its own weight, ``[objectives]``; 0 of what did not run.
        counts: The rows that they are of, ``[objectives]``; None where there is but one process.
        beside: Sums of what was told beside.
    """

    values: Tensor
    counts: Tensor | None
    beside: Sequence[Tensor]


def means_of(
    names: Sequence[str],
    losses: Mapping[str, Loss],
    weights: Mapping[str, float],
    rows: int,
    processes: Processes,
    *,
    beside: Sequence[Tensor] = (),
) -> Means:
    """Each objective's mean as it counts.

    Args:
        names: The objectives.
        losses: Without a graph.
        weights: By objective.
        rows: That they are of.
        processes: Those over whose rows the means are.
        beside: What else is to be added up, in the same message, as float64.
    """
    ran = [place for place, name in enumerate(names) if name in losses]
    own = [losses[names[place]] for place in ran]
    if not own:
        return Means(next(iter(losses.values())).value.new_zeros(len(names)), None, beside)
    means, counts = reduce_all(own), None
    if not processes.alone:
        counts = torch.stack([count_of(loss, rows) for loss in own])
        means, counts, *beside = of_all(means, counts, processes, beside)
    if len(ran) < len(names):
        places = torch.tensor(ran, device=means.device)
        means = means.new_zeros(len(names)).index_copy(0, places, means)
        counts = None if counts is None else counts.new_zeros(len(names)).index_copy(0, places, counts)
    factors = [weights[name] for name in names]
    values = means if all(factor == 1 for factor in factors) else means * means.new_tensor(factors)
    return Means(values, counts, beside)


def of_all(means: Tensor, counts: Tensor, processes: Processes, more: Sequence[Tensor] = ()) -> list[Tensor]:
    """Means over the rows of all processes, how many these are, and sums of whatever else.

    Args:
        means: This one's.
        counts: The rows that they are of, of the same shape.
        processes: All.
        more: What else is added up.
    """
    sums, rows, *others = processes.sum([means.double() * counts, counts.double(), *(value.double() for value in more)])
    return [(sums / rows.clamp(min=1)).to(means.dtype), rows, *others]


def count_of(loss: Loss, rows: int) -> Tensor:
    """The rows that an objective's mean is of, a scalar on the device."""
    value, present = loss
    return torch.full((), rows, device=value.device) if present is None else present.sum()


def there_of(
    names: Sequence[str], losses: Mapping[str, Loss], weights: Mapping[str, float], means: Means
) -> Tensor | None:
    """A bool ``[objectives]``, those that count in these rows; None where it takes no look to know that all do.

    Args:
        names: The objectives.
        losses: Without a graph.
        weights: By objective.
        means: Theirs.
    """
    if all(name in losses and losses[name].present is None and weights[name] for name in names):
        return None
    if means.counts is not None:
        return means.counts * means.counts.new_tensor([weights[name] for name in names]) > 0
    device = means.values.device
    return torch.stack([_counts(losses.get(name), weights[name], device) for name in names])


def _counts(loss: Loss | None, weight: float, device: torch.device) -> Tensor:
    if loss is None or loss.present is None or not weight:
        return torch.full((), loss is not None and bool(weight), device=device)
    return loss.present.any()
