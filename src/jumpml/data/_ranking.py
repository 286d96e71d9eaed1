"""Rows in the place of others: the same draws, kept within those that come first in a ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import derive_seed
from jumpml.data._around import Around
from jumpml.data._order import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from jumpml.data._order import Order, Round
    from jumpml.data._pools import Group

ROUNDING = 1e-9  # what a share times a count may be too much by


@final
class Ranking:
    """Rows from the first to the last, each in its group, and which of the first ones stands for a row that is drawn.

    Of a group's ``n`` rows of which the first ``k`` may come, the row at place ``p`` is replaced by the one at place
    ``p * k // n``. So a permutation of all rows becomes one in which each of the first ``k`` comes equally often, to
    within one; and where all may come, nothing is replaced. Where rows are drawn by weights it is the same in shares of
    the weight.

    Args:
        ranked: int64 ``[rows]``, positions in the split, from the first to the last.
        groups: The rows in groups; all together where empty.

    Example:
        >>> ranking = Ranking(torch.tensor([3, 1, 0, 2]))
        >>> ranking.replace(torch.tensor([0, 1, 2, 3]), torch.tensor(0.5, dtype=torch.float64)).tolist()
        [1, 3, 1, 3]
    """

    def __init__(self, ranked: Tensor, groups: Sequence[Group] = ()) -> None:
        place = torch.empty_like(ranked)
        place[ranked] = torch.arange(len(ranked))
        rows = [group.rows[place[group.rows].argsort()] for group in groups] or [ranked]
        self._rows = torch.cat(rows)
        self._sizes = torch.tensor([len(part) for part in rows])
        self._starts = self._sizes.cumsum(0) - self._sizes
        self._group = torch.zeros_like(ranked) if len(rows) > 1 else None
        for number, part in enumerate(rows):
            place[part] = torch.arange(len(part))
            if self._group is not None:
                self._group[part] = number
        self._place = place
        self._ends = {
            number: _ends(group, part)
            for number, (group, part) in enumerate(zip(groups, rows, strict=False))
            if group.weights is not None
        }

    @property
    def weighted(self) -> bool:
        """Whether rows of a group are drawn by weights, so that `replace` needs chance."""
        return bool(self._ends)

    def replace(self, positions: Tensor, shares: Tensor, chance: Tensor | None = None) -> Tensor:
        """The rows that stand for those that were drawn.

        Args:
            positions: int64 ``[drawn]``, positions in the split.
            shares: Of each group's rows, how many may come, float64 from 0 to 1, ``[drawn]`` or a scalar; at least one
                row may.
            chance: From 0 to 1, float64 ``[drawn]``; only where rows are `weighted`.

        Returns:
            int64 ``[drawn]``.
        """
        group = None if self._group is None else self._group[positions]
        place = self._place[positions]
        size = self._sizes if group is None else self._sizes[group]
        most = (shares * size - ROUNDING).ceil().long().clamp(min=1).minimum(size)
        found = place * most // size
        if chance is not None:
            for number, ends in self._ends.items():
                own = slice(None) if group is None else (group == number).nonzero().flatten()
                found[own] = _by_weight(ends, place[own], found[own], most.expand_as(place)[own], chance[own])
        return self._rows[found if group is None else found + self._starts[group]]


def _ends(group: Group, ranked: Tensor) -> Tensor:
    weights = torch.zeros(int(group.rows.max()) + 1, dtype=torch.float64)
    if group.weights is not None:
        weights[group.rows] = group.weights.double()
    return weights[ranked].cumsum(0)


def _by_weight(ends: Tensor, place: Tensor, even: Tensor, most: Tensor, chance: Tensor) -> Tensor:
    """Places in shares of the weight; those of `even` where all that may come weighs nothing."""
    own = ends.diff(prepend=ends.new_zeros(1))[place]
    reached = ends[most - 1]
    aim = (ends[place] - own * chance) * (reached / ends[-1])
    found = torch.searchsorted(ends, aim).minimum(most - 1)
    return torch.where(most == len(ends), place, torch.where(reached > 0, found, even))


@final
class Paced(Around):
    """Another order's epochs, kept within the rows that may come yet: as many batches, and the shares of its groups.

    Args:
        order: The other one.
        ranked: Says which rows come first: int64 ``[rows]``, positions in the split. It is asked before each epoch.
        shares: Of an epoch and of some batches of it, int64 ``[batches]``, how large a share of the rows may come in
            each: float64 ``[batches]``. Once it is 1, the other order is left as it is, to the bit.
        steady: Whether each epoch goes by its first batch, because its batches will be rearranged.
    """

    def __init__(
        self,
        order: Order,
        ranked: Callable[[], Tensor],
        shares: Callable[[int, Tensor], Tensor],
        *,
        steady: bool = False,
    ) -> None:
        super().__init__(order)
        self._ranked, self._shares, self._steady = ranked, shares, steady
        self._known: tuple[Tensor, Ranking] | None = None

    def around(self, order: Order) -> Paced:
        """Another order's rows, ranked among themselves."""
        return Paced(order, self._ranked, self._shares, steady=self._steady)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """The other order's batches, of rows that may come."""
        return self._kept(self._order.epoch(seed, epoch, batch_size), seed, epoch, batch_size)

    def rounds(self, seed: int, epoch: int, batch_size: int, first: int = 0) -> Iterator[Round]:
        """Likewise, as the other order gives them."""
        for some in self._order.rounds(seed, epoch, batch_size, first):
            yield some._replace(epoch=self._kept(some.epoch, seed, epoch, batch_size, first=first))
            first += len(some.epoch.sizes)

    @property
    def anywhere(self) -> bool:
        """As the other order."""
        return self._order.anywhere

    def _kept(self, some: Epoch, seed: int, epoch: int, batch_size: int, *, first: int = 0) -> Epoch:
        batches = torch.arange(first, first + len(some.sizes))
        shares = self._shares(epoch, batches * 0 if self._steady else batches)
        if bool((shares >= 1).all()):
            return some
        sizes, ranking = torch.tensor(some.sizes), self._ranking()
        chance = None
        if ranking.weighted:
            generator = torch.Generator().manual_seed(derive_seed(seed, "pace", epoch))
            drawn = torch.rand(int(batches[-1] + 1) * batch_size, generator=generator, dtype=torch.float64)
            chance = drawn.view(-1, batch_size)[first:].flatten()[_slots(sizes, batch_size)]
        return Epoch(ranking.replace(some.positions, shares.repeat_interleave(sizes), chance), some.sizes)

    def _ranking(self) -> Ranking:
        ranked = self._ranked()
        if self._known is None or self._known[0] is not ranked or self._known[1].weighted:  # weights may have moved
            self._known = ranked, Ranking(ranked, self._order.groups)
        return self._known[1]


def _slots(sizes: Tensor, batch_size: int) -> Tensor:
    """The place of each row in batches of full size, so that what a row draws does not depend on where a run began."""
    starts = torch.arange(len(sizes)) * batch_size - (sizes.cumsum(0) - sizes)
    return torch.arange(int(sizes.sum())) + starts.repeat_interleave(sizes)
