"""An order around another one."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from jumpml.data._order import Order

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from jumpml.data._pools import Group


class Around(Order):
    """Serves what another order does, in a way of its own: a subclass says what differs.

    Its epochs have as many batches, of the same data sets and groups, unless it says otherwise.

    Args:
        order: The other one.
    """

    def __init__(self, order: Order) -> None:
        self._order = order

    @abstractmethod
    def around(self, order: Order) -> Self:
        """The same way, around another order."""

    def batches(self, batch_size: int) -> int:
        """As many as the other order has."""
        return self._order.batches(batch_size)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The other order's."""
        return self._order.datasets

    @property
    def groups(self) -> tuple[Group, ...]:
        """The other order's."""
        return self._order.groups

    def only(self, datasets: Collection[str]) -> Self:
        """The other order's rows of some data sets, in the same way."""
        return self.around(self._order.only(datasets))

    def within(self, mask: Tensor) -> Self | None:
        """Some of the other order's rows, in the same way."""
        order = self._order.within(mask)
        return None if order is None else self.around(order)
