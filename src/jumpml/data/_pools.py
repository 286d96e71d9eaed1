"""Rows that are drawn from, cycle after cycle."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple, final

import torch

from jumpml.core import DataError, derive_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor


class Group(NamedTuple):
    """Rows of which none is drawn in another's place but by their own weights: of one data set, or of one class.

    Attributes:
        rows: int64 ``[rows]``, positions in the split.
        weights: How often each is drawn, relative to the others, float64 ``[rows]``; None where all are alike.
    """

    rows: Tensor
    weights: Tensor | None = None


class Pool(ABC):
    """Rows that are drawn from, cycle after cycle: an epoch goes on in the cycle where the one before it stopped.

    Args:
        rows: int64 ``[rows]``, positions in the split.
    """

    def __init__(self, rows: Tensor) -> None:
        if not len(rows):
            raise DataError("expected rows to draw from, got none.")
        self.rows = rows
        self._count = len(rows)  # asking a tensor costs more than the rest of a short epoch's bookkeeping
        self._open: dict[str, tuple[tuple[int, int], Tensor]] = {}  # by key, the cycle that was last asked for in parts

    def __len__(self) -> int:
        return self._count

    @abstractmethod
    def cycle(self, generator: Generator) -> Tensor:
        """As many positions as there are rows, drawn anew."""

    def within(self, mask: Tensor) -> Pool | None:
        """The same of some of its rows alone; None where none is left.

        Args:
            mask: bool, by position in the split.

        Raises:
            DataError: It cannot.
        """
        raise DataError(f"this pool ({type(self).__name__}) cannot draw from some of its rows alone.")

    @property
    def groups(self) -> tuple[Group, ...]:
        """The rows in groups that keep their shares whatever else is said of how often rows come."""
        return (Group(self.rows),)

    def take(self, count: int, *, seed: int, epoch: int, key: str = "") -> Tensor:
        """The ``count`` positions of an epoch, where every epoch takes as many.

        Args:
            count: How many.
            seed: What the cycles are drawn from.
            epoch: The epoch.
            key: Tells the pools of one run apart.
        """
        return self.slice(epoch * count, (epoch + 1) * count, seed=seed, key=key)

    def slice(self, start: int, stop: int, *, seed: int, key: str = "") -> Tensor:
        """A stretch of all that is ever drawn, cycle after cycle without end.

        Args:
            start: How many rows were drawn before.
            stop: How many will have been drawn then.
            seed: What the cycles are drawn from.
            key: Tells the pools of one run apart.

        Example:
            >>> pool = Shuffled(torch.arange(4))
            >>> torch.equal(pool.slice(3, 6, seed=0), pool.slice(0, 8, seed=0)[3:6])
            True
        """
        if start >= stop:
            return self.rows[:0]
        parts, cycle = [], self._count
        for number in range(start // cycle, math.ceil(stop / cycle)):
            first, whole = number * cycle, start <= number * cycle <= stop - cycle
            drawn = self._drawn(seed, key, number, kept=stop < first + cycle)
            parts.append(drawn if whole else drawn[max(start - first, 0) : stop - first])
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _drawn(self, seed: int, key: str, number: int, *, kept: bool) -> Tensor:
        """A cycle, drawn once where its parts are asked for one after the other."""
        open_one = self._open.get(key)
        if open_one is not None and open_one[0] == (seed, number):
            return open_one[1]
        generator = torch.Generator().manual_seed(derive_seed(seed, "order", *([key] if key else []), number))
        drawn = self.cycle(generator)
        if kept:
            self._open[key] = (seed, number), drawn
        return drawn


@final
class Shuffled(Pool):
    """Every row once a cycle, in random order.

    Example:
        >>> sorted(Shuffled(torch.arange(4)).take(4, seed=0, epoch=0).tolist())
        [0, 1, 2, 3]
    """

    def __init__(self, rows: Tensor) -> None:
        super().__init__(rows)
        self._every = torch.equal(rows, torch.arange(len(rows)))

    def cycle(self, generator: Generator) -> Tensor:
        """A permutation of the rows."""
        drawn = torch.randperm(len(self), generator=generator)
        return drawn if self._every else self.rows.index_select(0, drawn)

    def within(self, mask: Tensor) -> Shuffled | None:
        """Shuffled likewise."""
        rows = self.rows[mask[self.rows]]
        return Shuffled(rows) if len(rows) else None


@final
class Streamed(Pool):
    """Every row once a cycle, shuffled as far as reading from slow storage in long runs allows.

    The shards come in random order; what they give in a row is cut into blocks, and each block is shuffled. The first
    block is shorter by chance, so that other neighbours meet in the next cycle.

    Args:
        shards: int64 positions ``[shard's rows]`` by shard, as they lie in storage.
        buffer: Rows that are shuffled together.
    """

    def __init__(self, shards: Sequence[Tensor], buffer: int) -> None:
        super().__init__(torch.cat(list(shards)))
        self._shards, self._buffer = tuple(shards), buffer

    def cycle(self, generator: Generator) -> Tensor:
        """The rows, shard by shard and shuffled block by block."""
        shards = torch.randperm(len(self._shards), generator=generator).tolist()
        rows = torch.cat([self._shards[shard] for shard in shards])
        first = int(torch.randint(self._buffer, (), generator=generator))
        block = (torch.arange(len(rows)) + first) // self._buffer
        # One sort shuffles every block on its own: by block, then by a random number.
        shuffled = torch.randperm(len(rows), generator=generator)
        return rows[shuffled[block[shuffled].argsort(stable=True)]]

    def within(self, mask: Tensor) -> Streamed | None:
        """As they lie in the same shards."""
        shards = [left for shard in self._shards if len(left := shard[mask[shard]])]
        return Streamed(shards, self._buffer) if shards else None


@final
class Weighted(Pool):
    """Rows drawn with replacement, each in proportion to its weight.

    Args:
        rows: int64 ``[rows]``.
        weights: float ``[rows]``, not negative.
    """

    def __init__(self, rows: Tensor, weights: Tensor) -> None:
        super().__init__(rows)
        if not (bool(torch.isfinite(weights).all()) and float(weights.min()) >= 0 and float(weights.max()) > 0):
            raise DataError("expected weights that are finite, not negative, and not all 0.")
        self._weights = weights.double()
        self._ends = self._weights.cumsum(0)

    @property
    def groups(self) -> tuple[Group, ...]:
        """All rows, by their weights."""
        return (Group(self.rows, self._weights),)

    def cycle(self, generator: Generator) -> Tensor:
        """Draws by inverse transform, since torch.multinomial stops at 2**24 rows."""
        drawn = torch.rand(len(self), generator=generator, dtype=torch.float64) * self._ends[-1]
        return self.rows[torch.searchsorted(self._ends, drawn, right=True).clamp(max=len(self) - 1)]

    def within(self, mask: Tensor) -> Weighted | None:
        """By the same weights; those of weight 0 alone are none."""
        there = mask[self.rows]
        left = self._weights[there]
        return Weighted(self.rows[there], left) if len(left) and float(left.max()) else None


@final
class Balanced(Pool):
    """Every class as often as any other: in a cycle the rows of a rare one come again, and of a frequent one some.

    Args:
        classes: int64 positions by class.
    """

    def __init__(self, classes: Sequence[Tensor]) -> None:
        super().__init__(torch.cat(list(classes)))
        self._classes = [Shuffled(rows) for rows in classes]

    @property
    def groups(self) -> tuple[Group, ...]:
        """One for each class."""
        return tuple(Group(pool.rows) for pool in self._classes)

    def cycle(self, generator: Generator) -> Tensor:
        """Shares of one cycle; classes that do not divide it take turns in having one row more."""
        counts = _even(len(self), len(self._classes), generator)
        seed = int(torch.randint(2**31, (), generator=generator))
        drawn = [
            pool.take(count, seed=seed, epoch=0, key=str(number))
            for number, (pool, count) in enumerate(zip(self._classes, counts, strict=True))
            if count
        ]
        rows = torch.cat(drawn)
        return rows[torch.randperm(len(rows), generator=generator)]

    def within(self, mask: Tensor) -> Balanced | None:
        """Every class that is left as often as any other."""
        left = [found.rows for pool in self._classes if (found := pool.within(mask)) is not None]
        return Balanced(left) if left else None


def _even(total: int, parts: int, generator: Generator) -> list[int]:
    counts = torch.full((parts,), total // parts)
    counts[torch.randperm(parts, generator=generator)[: total % parts]] += 1
    return counts.tolist()
