"""The first batches of an order's epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.data._around import Around
from jumpml.data._order import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpml.data._order import Order


@final
class FirstBatches(Around):
    """The first batches of every epoch of another order.

    Args:
        order: The other one.
        most: How many batches an epoch has at most.
    """

    def __init__(self, order: Order, most: int) -> None:
        super().__init__(order)
        self._most = most

    def around(self, order: Order) -> FirstBatches:
        """The first batches of another order."""
        return FirstBatches(order, self._most)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """The first batches."""
        positions, sizes = self._order.epoch(seed, epoch, batch_size)
        sizes = sizes[: self._most]
        return Epoch(positions[: sum(sizes)], sizes)

    def batches(self, batch_size: int) -> int:
        """At most so many."""
        return min(self._most, self._order.batches(batch_size))

    def rearranged(self, way: Callable[[Order, bool], Order]) -> FirstBatches:
        """The first batches of what is made of the other order."""
        return self.around(self._order.rearranged(way))
