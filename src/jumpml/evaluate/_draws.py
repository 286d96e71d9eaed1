"""How often each of many resamples draws each row, from which a named figure of all of them is computed at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

if TYPE_CHECKING:
    from torch import Tensor


@final
@dataclass(frozen=True)
class Draws:
    """Resamples of rows.

    A resample in memory of its own costs a thousand small calls where this costs one; sums over its rows are sums over
    all rows, each as often as it was drawn.

    Attributes:
        counts: float64 ``[resamples, rows]``.
    """

    counts: Tensor

    @classmethod
    def once(cls, rows: int) -> Draws:
        """One resample, of each row once: the sample itself."""
        return cls(torch.ones(1, rows, dtype=torch.float64))

    @classmethod
    def of(cls, rows: Tensor) -> Draws:
        """As `resamples` draws them.

        Args:
            rows: int64 ``[resamples, rows]``, as many as there are.

        Example:
            >>> Draws.of(torch.tensor([[0, 0, 2]])).counts
            tensor([[2., 0., 1.]], dtype=torch.float64)
        """
        counts = torch.zeros(rows.shape, dtype=torch.float64)
        return cls(counts.scatter_add_(1, rows, torch.ones_like(counts)))

    def split(self, size: int) -> list[Draws]:
        """So many resamples at a time."""
        return [Draws(counts) for counts in self.counts.split(max(1, size))]

    def sums(self, values: Tensor) -> Tensor:
        """The sums over rows.

        Args:
            values: ``[rows, *rest]``, finite.

        Returns:
            float64 ``[resamples, *rest]``.
        """
        flat = values.double().reshape(len(values), -1)
        return (self.counts @ flat).reshape(-1, *values.shape[1:])

    def means(self, values: Tensor, *, each: bool = False) -> Tensor:
        """The means over rows and elements, or over rows alone; NaN does not count.

        Args:
            values: ``[rows, *elements]``.
            each: Whether of each element.

        Returns:
            float64 ``[resamples]``, or ``[resamples, *elements]``; NaN where nothing counts.
        """
        total, known = values.nan_to_num(nan=0.0), ~values.isnan()
        if not each:
            total, known = (part.reshape(len(values), -1).sum(1) for part in (total.double(), known))
        return self.sums(total) / self.sums(known)

    def tally(self, codes: Tensor, size: int) -> Tensor:
        """How many of the drawn rows have each code.

        Args:
            codes: int64 ``[rows]``.
            size: How many codes there are.

        Returns:
            float64 ``[resamples, size]``.
        """
        return self.counts.new_zeros(len(self.counts), size).index_add_(1, codes, self.counts)
