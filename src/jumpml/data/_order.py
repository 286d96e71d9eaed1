"""Which rows an epoch serves, in what order and in which batches: functions of (seed, epoch) and nothing else."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple, final

import torch

from jumpml.core import DataError, derive_seed, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from torch import Tensor

    from jumpml.data._pools import Group, Pool


BATCHES = ("mixed", "separate", "alternate")


class Epoch(NamedTuple):
    """What one epoch serves, or a part of it.

    Attributes:
        positions: int64 ``[served]``, positions in the split, batch after batch.
        sizes: Rows by batch; they sum to ``served``.
    """

    positions: Tensor
    sizes: tuple[int, ...]

    def since(self, first: int) -> Epoch:
        """What is left of it.

        Args:
            first: The batch that comes next.
        """
        return Epoch(self.positions[sum(self.sizes[:first]) :], self.sizes[first:]) if first else self


class Round(NamedTuple):
    """Some batches of an epoch, and what they hold.

    Attributes:
        epoch: Rows and sizes of these batches.
        draws: The draws of views that they hold; those that the loader serves where None.
        augment: The view whose changes are made to the plain fields, ``plain`` for none; what the data's ``augment``
            says where None.
    """

    epoch: Epoch
    draws: tuple[str, ...] | None = None
    augment: str | None = None


class Order(ABC):
    """Decides what every epoch serves. A subclass of your own is given to `DataLoaders` as ``order``."""

    @abstractmethod
    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """The rows of an epoch; equal arguments must give equal rows, or a resumed run is another run."""

    @abstractmethod
    def batches(self, batch_size: int) -> int:
        """How many batches each epoch has."""

    def rounds(self, seed: int, epoch: int, batch_size: int, first: int = 0) -> Iterator[Round]:
        """What is left of an epoch, some batches at a time; batches are made of a round when all before have been used.

        All at once here. An order that decides as it goes gives rounds of fewer batches, as many in all as `batches`
        says; what it decides by must stand in a checkpoint, or a resumed run is another run.

        Args:
            seed: As for `epoch`.
            epoch: The epoch's number.
            batch_size: Rows a batch.
            first: The batch to begin with.
        """
        yield Round(self.epoch(seed, epoch, batch_size).since(first))

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that it draws from, by name; none where it does not tell them apart."""
        return ()

    @property
    def groups(self) -> tuple[Group, ...]:
        """What it draws from, in groups whose shares it keeps; empty where that is all rows alike."""
        return ()

    def rearranged(self, way: Callable[[Order, bool], Order]) -> Order:
        """The same with other rows in their places.

        Args:
            way: What makes of an order one of other rows. It is given the order that draws rows, which this one may
                only arrange, and whether an epoch's batches come in any order then.
        """
        return way(self, False)

    def only(self, datasets: Collection[str]) -> Order:
        """The same with the rows of some data sets alone.

        Raises:
            DataError: It does not draw from them.
        """
        raise DataError(f"this order ({type(self).__name__}) tells no data sets apart, so that none can be chosen.")

    def within(self, mask: Tensor) -> Order | None:
        """The same with some rows alone; None where none is left.

        Args:
            mask: bool ``[rows]``, by position in the split.

        Raises:
            DataError: It cannot.
        """
        raise DataError(f"this order ({type(self).__name__}) cannot draw from some of its rows alone.")

    @property
    def anywhere(self) -> bool:
        """Whether what it serves may be cut into batches at any row: no batch of its has rows that belong together."""
        return False


@final
class InOrder(Order):
    """Every row once, as it stands.

    Args:
        count: Rows of the split.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """All positions."""
        return Epoch(torch.arange(self._count), _sizes(self._count, batch_size))

    def batches(self, batch_size: int) -> int:
        """As many as hold all rows."""
        return math.ceil(self._count / batch_size)


@final
class Mixture(Order):
    """Draws from one pool or from several, in given shares.

    An epoch serves as many rows as the pools hold together. Unless the shares are the pools' own, a small pool's rows
    come several times an epoch, and a large one's once in several epochs; none is passed over.

    Args:
        pools: By data set.
        weights: How often each is drawn from, relative to the others; by its rows where None, so that each row comes
            once an epoch.
        batches: ``mixed``; ``separate``: the rows of a batch come from one data set, in random order of the batches; or
            ``alternate``: likewise, and the data sets take turns, a full batch each.

    Raises:
        DataError: There is no pool, a weight is missing or not above 0, or ``batches`` is none of the three.

    Example:
        >>> from jumpml.data import Shuffled
        >>> order = Mixture({"a": Shuffled(torch.arange(6)), "b": Shuffled(torch.arange(6, 8))}, {"a": 1, "b": 1})
        >>> order.epoch(seed=0, epoch=0, batch_size=4).positions.ge(6).sum().item()
        4
    """

    def __init__(
        self, pools: Mapping[str, Pool], weights: Mapping[str, float] | None = None, batches: str = "mixed"
    ) -> None:
        if not pools:
            raise DataError("expected pools to draw from, got none.")
        if batches not in BATCHES:
            raise DataError(f"expected batches that are {', '.join(BATCHES)}; got {batches!r}.")
        self._pools = dict(pools)
        self._weights = weights
        self._batches = batches
        self._counts = {name: len(pool) for name, pool in pools.items()}
        if weights is not None:
            if set(weights) != set(pools) or min(weights.values()) <= 0:
                raise DataError(f"expected a weight above 0 for each of {', '.join(pools)}, got {dict(weights)}.")
            self._counts = _shares(sum(self._counts.values()), weights)
        self._total = sum(self._counts.values())  # a row more for each data set whose share is below one row

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """Rows from every pool, shuffled together or batch by batch."""
        if self._batches == "alternate":
            rounds = self.batches(batch_size) // len(self._pools)
            counts = dict.fromkeys(self._pools, rounds * batch_size)
        else:
            counts = self._counts
        alone = len(self._pools) == 1
        drawn = [
            pool.take(counts[name], seed=seed, epoch=epoch, key="" if alone else name)
            for name, pool in self._pools.items()
        ]
        if alone:
            return Epoch(drawn[0], _sizes(len(drawn[0]), batch_size))
        generator = torch.Generator().manual_seed(derive_seed(seed, "mix", epoch))
        if self._batches == "mixed":
            positions = torch.cat(drawn)
            positions = positions[torch.randperm(len(positions), generator=generator)]
            return Epoch(positions, _sizes(len(positions), batch_size))
        parts = [part.split(batch_size) for part in drawn]
        if self._batches == "alternate":
            batches = [batch for together in zip(*parts, strict=True) for batch in together]
        else:
            batches = [batch for part in parts for batch in part]
            batches = [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
        return Epoch(torch.cat(batches), tuple(len(batch) for batch in batches))

    def batches(self, batch_size: int) -> int:
        """By the counts of all pools, or of each where batches are of one data set."""
        if self._batches == "mixed":
            return math.ceil(self._total / batch_size)
        if self._batches == "separate":
            return sum(math.ceil(count / batch_size) for count in self._counts.values())
        return math.ceil(self._total / (batch_size * len(self._pools))) * len(self._pools)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The pools' names."""
        return tuple(self._pools)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The pools'."""
        return tuple(group for pool in self._pools.values() for group in pool.groups)

    def only(self, datasets: Collection[str]) -> Mixture:
        """Some of the pools, in the shares that they have of each other."""
        unknown = next((name for name in datasets if name not in self._pools), None)
        if unknown is not None:
            raise DataError(f"there is no data set {unknown!r} to draw from. {did_you_mean(unknown, self._pools)}")
        pools = {name: pool for name, pool in self._pools.items() if name in datasets}
        weights = None if self._weights is None else {name: self._weights[name] for name in pools}
        return Mixture(pools, weights, self._batches)

    def within(self, mask: Tensor) -> Mixture | None:
        """What is left of the pools, in the shares that they have of each other."""
        found = {name: pool.within(mask) for name, pool in self._pools.items()}
        pools = {name: pool for name, pool in found.items() if pool is not None}
        weights = None if self._weights is None else {name: self._weights[name] for name in pools}
        return Mixture(pools, weights, self._batches) if pools else None

    @property
    def anywhere(self) -> bool:
        """Where data sets are mixed in a batch, or there is one."""
        return self._batches == "mixed" or len(self._pools) == 1


def _sizes(count: int, batch_size: int) -> tuple[int, ...]:
    full, rest = divmod(count, batch_size)
    return (batch_size,) * full + ((rest,) if rest else ())


def _shares(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers in proportion to the weights, by the largest remainder, and none of them 0."""
    exact = {name: total * weight / sum(weights.values()) for name, weight in weights.items()}
    counts = {name: math.floor(share) for name, share in exact.items()}
    most = sorted(exact, key=lambda name: exact[name] - counts[name], reverse=True)
    for name in most[: total - sum(counts.values())]:
        counts[name] += 1
    return {name: max(1, count) for name, count in counts.items()}
