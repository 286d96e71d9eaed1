"""What an order serves, batch after batch, without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data._order import Epoch, Order


@final
class Stream:
    """An order's epochs one after the other, read batch by batch from any place.

    Where the order may be cut anywhere, every batch is full, and goes on in the next epoch; else batches are those of
    the order.

    Args:
        order: What is served.
        batch_size: Rows a batch; fewer where an epoch has fewer.
        seed: What epochs are drawn from.

    Example:
        >>> from jumpml.data import Mixture, Shuffled
        >>> stream, place, rows = Stream(Mixture({"a": Shuffled(torch.arange(5))}), 2, seed=0), 0, []
        >>> for _ in range(5):
        ...     batch, place = stream.read(place)
        ...     rows += batch.tolist()
        >>> sorted(rows[:5]), sorted(rows[5:]), place
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 10)
    """

    def __init__(self, order: Order, batch_size: int, seed: int) -> None:
        self._order, self._batch_size, self._seed = order, batch_size, seed
        self._last: tuple[int, Epoch] | None = None

    def read(self, place: int) -> tuple[Tensor, int]:
        """A batch.

        Args:
            place: Where it begins, 0 or what the batch before it gave: rows, or batches of the order.

        Returns:
            Its positions in the split, int64 ``[batch]``, and where the next one begins.
        """
        if not self._order.anywhere:
            epoch, batch = divmod(place, self._order.batches(self._batch_size))
            left = self._epoch(epoch).since(batch)
            return left.positions[: left.sizes[0]], place + 1
        count = len(self._epoch(0 if self._last is None else self._last[0]).positions)  # the same in each epoch
        parts, end = [], place + min(self._batch_size, count)
        while place < end:
            epoch, first = divmod(place, count)
            parts.append(self._epoch(epoch).positions[first : first + end - place])
            place += len(parts[-1])
        return torch.cat(parts) if len(parts) > 1 else parts[0], end

    def _epoch(self, number: int) -> Epoch:
        if self._last is None or self._last[0] != number:
            self._last = number, self._order.epoch(self._seed, number, self._batch_size)
        return self._last[1]
