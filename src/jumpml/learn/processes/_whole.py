"""The batch that the rows of all processes make up."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.learn.processes._processes import Processes


@final
class Whole:
    """A batch as one process would have it, where each of several has a share: `jumpml.data.Share` of its rows.

    Args:
        own: How many rows this process has.
        processes: Those that have the others.

    Attributes:
        rows: How many there are in all.
    """

    def __init__(self, own: int, processes: Processes) -> None:
        self._processes = processes
        sizes = processes.gather(own)
        self.rows = sum(sizes)
        mine = whole_order(sizes).split(sizes)[processes.rank]
        self._own = {place: row for row, place in enumerate(mine.tolist())}

    def join(self, values: Tensor) -> Tensor:
        """What all processes have of their rows.

        Args:
            values: ``[own, *]``, this one's.

        Returns:
            ``[rows, *]``, in all of them.
        """
        return self.pick(values, range(self.rows))

    def pick(self, values: Tensor, places: Sequence[int]) -> Tensor:
        """The same of some rows alone.

        Args:
            values: ``[own, *]``, this one's.
            places: Which rows of the whole batch; equal in all processes.
        """
        held = torch.tensor([(at, self._own[place]) for at, place in enumerate(places) if place in self._own])
        to, of = held.reshape(-1, 2).long().to(values.device).unbind(1)
        found = values.new_zeros((len(places), *values.shape[1:])).index_copy_(0, to, values.index_select(0, of))
        # as bytes: not every backend adds up every type, and where one process alone has any the sum is what it has
        (told,) = self._processes.sum([found.flatten().view(torch.uint8)])
        return told.view(found.dtype).view(found.shape)


def whole_order(sizes: Sequence[int]) -> Tensor:
    """Where the rows of processes stand in the batch that they share: the first of each, then the second of each.

    Args:
        sizes: How many rows each process has, by rank.

    Returns:
        int64 ``[rows]``, the places of the first one's rows, then of the second one's.

    Example:
        >>> whole_order([3, 2]).tolist()
        [0, 2, 4, 1, 3]
    """
    keys = torch.cat([torch.arange(size) * len(sizes) + rank for rank, size in enumerate(sizes)])
    return keys.argsort().argsort()
