"""Rows of another order's groups, drawn by weights that may move from epoch to epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import derive_seed
from jumpml.data._around import Around
from jumpml.data._order import Epoch
from jumpml.data._pools import Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jumpml.data._order import Order


@final
class Preferred(Around):
    """Another order's epochs, in which each row is drawn anew from its group, in proportion to a weight.

    An epoch has as many rows of each group as ever, in the same places. A group's draws are evenly spread over its
    weights (systematic sampling) and then shuffled, so that a row comes as often as its share says, to within one.

    Args:
        order: The other one.
        weights: Says what rows weigh: float64 ``[rows]``, by position in the split, not negative. It is asked before
            each epoch.

    Example:
        >>> from jumpml.data import InOrder
        >>> order = Preferred(InOrder(4), lambda: torch.tensor([0.0, 3.0, 1.0, 0.0], dtype=torch.float64))
        >>> sorted(order.epoch(seed=0, epoch=0, batch_size=2).positions.tolist())
        [1, 1, 1, 2]
    """

    def __init__(self, order: Order, weights: Callable[[], Tensor]) -> None:
        super().__init__(order)
        self._weights = weights

    def around(self, order: Order) -> Preferred:
        """The same weights, on another order."""
        return Preferred(order, self._weights)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """The other order's batches, of rows that are drawn by weight."""
        positions, sizes = self._order.epoch(seed, epoch, batch_size)
        groups, found = self.groups, positions.clone()
        group = self._group_of(groups, positions)
        generator = torch.Generator().manual_seed(derive_seed(seed, "prefer", epoch))
        for number, (rows, weights) in enumerate(groups):
            places = slice(None) if group is None else (group == number).nonzero().flatten()
            found[places] = _drawn(rows, weights, len(positions[places]), generator)
        return Epoch(found, sizes)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The other order's, by the weights as they stand, times its own."""
        weights = self._weights()
        every = self._order.groups or (Group(torch.arange(len(weights))),)
        own = ((rows, weights[rows] if said is None else weights[rows] * said) for rows, said in every)
        return tuple(Group(rows, _positive(found)) for rows, found in own)

    def often(self) -> Tensor:
        """How often each row comes, over how often it would by the other order: float64 ``[rows]``."""
        found = torch.ones(len(self._weights()), dtype=torch.float64)
        every = self._order.groups or (Group(torch.arange(len(found))),)
        for (rows, weights), (_, said) in zip(self.groups, every, strict=True):
            plain = 1 / len(rows) if said is None else said / said.sum()
            share = weights / weights.sum() if weights is not None else plain
            found[rows] = torch.as_tensor(share / plain, dtype=torch.float64).nan_to_num(nan=1.0)
        return found

    @property
    def anywhere(self) -> bool:
        """As the other order."""
        return self._order.anywhere

    def _group_of(self, groups: tuple[Group, ...], positions: Tensor) -> Tensor | None:
        if len(groups) < 2:
            return None
        found = torch.empty(len(self._weights()), dtype=torch.int64)
        for number, (rows, _) in enumerate(groups):
            found[rows] = number
        return found[positions]


def _positive(weights: Tensor) -> Tensor:
    """Weights, or all alike where none is above 0."""
    return weights if bool(weights.sum() > 0) else torch.ones_like(weights)


def _drawn(rows: Tensor, weights: Tensor | None, count: int, generator: torch.Generator) -> Tensor:
    ends = (torch.ones(len(rows), dtype=torch.float64) if weights is None else weights).cumsum(0)
    first = torch.rand((), generator=generator, dtype=torch.float64)
    aims = (torch.arange(count, dtype=torch.float64) + first) * (ends[-1] / max(1, count))
    found = rows[torch.searchsorted(ends, aims, right=True).clamp(max=len(rows) - 1)]
    return found[torch.randperm(count, generator=generator)]
