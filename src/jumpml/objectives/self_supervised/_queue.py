"""Rows of earlier batches that a loss looks at beside those of now."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@final
class Queue(nn.Module):
    """The last vectors that were noted, first in, first out; of length 1, at random where none was yet.

    What a training step notes is taken in at its end, once an update: so every batch of an update sees the same queue,
    and nothing that a gradient still needs is overwritten. Its state are two buffers: the vectors, and the place of the
    oldest. Nothing is read from the device.

    Args:
        length: How many vectors it holds.
        width: Of a vector.

    Example:
        >>> queue = Queue(3, 2)
        >>> queue.note(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> queue.take_in()
        >>> queue.rows[:2], queue.place
        (tensor([[1., 0.],
                [0., 1.]]), tensor(2))
    """

    rows: Tensor
    """``[length, width]``."""
    place: Tensor
    """int64 scalar, where the next vector goes."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", F.normalize(torch.randn(length, width), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))
        self._noted: list[Tensor] = []

    def note(self, rows: Tensor) -> None:
        """Keep vectors, ``[rows, width]``, until `take_in`."""
        self._noted.append(rows.detach())
        while sum(map(len, self._noted[1:])) >= len(self.rows):  # nothing of the first would be left
            del self._noted[0]

    def pool(self, join: Callable[[Tensor], Tensor], views: int) -> None:
        """Let what was noted be that of all processes; see `ObjectiveModule.pool`.

        Args:
            join: Makes rows of all processes of this one's.
            views: How many vectors were noted of each row, those of one view after those of the other.
        """
        if self._noted:
            rows = torch.cat([noted.unflatten(0, (views, -1)).transpose(0, 1) for noted in self._noted])
            self._noted = [join(rows).transpose(0, 1).flatten(0, 1)]

    @torch.no_grad()
    def take_in(self) -> None:
        """Put what was noted in the place of the oldest."""
        if not self._noted:
            return
        came, length = torch.cat(self._noted)[-len(self.rows) :].to(self.rows.dtype), len(self.rows)
        places = (self.place + torch.arange(len(came), device=came.device)) % length
        self.rows.index_copy_(0, places, came)
        self.place.add_(len(came)).remainder_(length)
        self._noted = []
