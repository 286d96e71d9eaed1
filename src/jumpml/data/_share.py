"""The rows of each batch that one of several processes takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from jumpml.core import DataError
from jumpml.data._order import Epoch


@dataclass(frozen=True)
class Share:
    """One process's rows of every batch: the shares of all make up the batch, and differ by one row at most.

    Args:
        rank: Which process, from 0.
        count: How many there are.

    Example:
        >>> import torch
        >>> from jumpml.data import Epoch
        >>> Share(1, 2).of(Epoch(torch.arange(7), (4, 3)))
        Epoch(positions=tensor([1, 3, 5]), sizes=(2, 1))
    """

    rank: int
    count: int

    def of(self, epoch: Epoch) -> Epoch:
        """The share of each batch.

        Raises:
            DataError: A batch has fewer rows than there are processes.
        """
        sizes = epoch.sizes
        if min(sizes, default=self.count) < self.count:
            text = f"a batch has {min(sizes)} rows, which cannot be shared out among {self.count} processes"
            raise DataError(f"{text}. Take another batch_size, or fewer processes.")
        parts = [batch[self.rank :: self.count] for batch in epoch.positions.split(sizes)]
        return Epoch(torch.cat(parts) if parts else epoch.positions, tuple(map(len, parts)))
