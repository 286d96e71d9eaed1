"""What a teacher's choice changes in the loop: which rows come, and which objectives run."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.data import Epoch, Order, Round

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss
    from jumpml.data import Group
    from jumpml.learn.steps._execution import Losses
    from jumpml.learn.teaching._arms import TaughtArm
    from jumpml.learn.teaching._choices import Choice, Choices


@final
class TaughtOrder(Order):
    """Asks for an arm whenever the batches of an update are due; an epoch has as many batches as without a teacher.

    Args:
        plain: What would be served without one.
        arms: The arms.
        choices: What was chosen.
        choose: Makes a choice: of the epoch, its first batch, and how many batches are left. It gives beside it, by
            batch, the rows that are not the arm's own; nothing where there are none.
    """

    def __init__(
        self,
        plain: Order,
        arms: Sequence[TaughtArm],
        choices: Choices,
        choose: Callable[[int, int, int], tuple[Choice, Sequence[Tensor]]],
    ) -> None:
        self._plain, self._arms, self._choices, self._choose = plain, arms, choices, choose
        self.ways: list[Callable[[Order, bool], Order]] = []
        self._made: dict[tuple[int, bool, int], tuple[_Given, Order]] = {}

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """What an epoch has served, of the open one and the one before it; else what it would without a teacher."""
        served = self._choices.served(epoch)
        return self._plain.epoch(seed, epoch, batch_size) if served is None else Epoch(served, (len(served),))

    def batches(self, batch_size: int) -> int:
        """As many as without a teacher."""
        return self._plain.batches(batch_size)

    def rounds(self, seed: int, epoch: int, batch_size: int, first: int = 0) -> Iterator[Round]:
        """An update's batches at a time."""
        count = self.batches(batch_size)
        while first < count:
            choice = self._choices.known(epoch, first)
            if choice is None:
                choice, others = self._choose(epoch, first, count - first)
                arm = self._arms[choice.arm]
                choice.batches = self._kept(choice, choice.batches, arm.order, seed, batch_size)
                if others and arm.company is not None:
                    beside = self._kept(choice, others, arm.company, seed, batch_size)
                    choice.batches = [torch.cat(both) for both in zip(choice.batches, beside, strict=True)]
            arm = self._arms[choice.arm]
            left = choice.batches[first - choice.first :]
            yield Round(_joined(left), arm.draws, arm.view)
            first = choice.end

    def rearranged(self, way: Callable[[Order, bool], Order]) -> TaughtOrder:
        """Of each arm's rows those that are said; it is this order from now on."""
        self.ways.append(way)
        return self

    def _kept(
        self, choice: Choice, batches: Sequence[Tensor], order: Order, seed: int, batch_size: int
    ) -> Sequence[Tensor]:
        """Of rows that were drawn from an order those that may come."""
        some = _joined(batches)
        for place, way in enumerate(self.ways):
            key = choice.arm, order is self._arms[choice.arm].order, place
            if key not in self._made:
                given = _Given(some, order)
                self._made[key] = given, way(given, False)
            given, made = self._made[key]
            given.some = some
            (told,) = made.rounds(seed, choice.epoch, batch_size, choice.first)
            some = told.epoch
        return some.positions.split(list(some.sizes))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Those that would be drawn from without a teacher."""
        return self._plain.datasets

    def only(self, datasets: Collection[str]) -> Order:
        """Some data sets without a teacher."""
        return self._plain.only(datasets)


@final
class _Given(Order):
    """Some batches of an arm, and the groups that its rows are drawn from."""

    def __init__(self, some: Epoch, order: Order) -> None:
        self.some, self._order = some, order

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        return self.some

    def rounds(self, seed: int, epoch: int, batch_size: int, first: int = 0) -> Iterator[Round]:
        yield Round(self.some)

    def batches(self, batch_size: int) -> int:
        return len(self.some.sizes)

    @property
    def groups(self) -> tuple[Group, ...]:
        return self._order.groups


@final
class TaughtPlan:
    """A phase's losses, of which those of the arm run that the next batch is of; called as a `LossPlan` is.

    Args:
        whole: All of the phase's.
        plans: By arm.
        choices: What was chosen.
    """

    def __init__(self, whole: Losses, plans: Sequence[Losses], choices: Choices) -> None:
        self.fields = whole.fields
        self._whole, self._plans, self._choices = whole, plans, choices

    @property
    def nodes(self) -> Sequence[str]:
        """The nodes that run."""
        choice = self._choices.next
        return self._whole.nodes if choice is None else self._plans[choice.arm].nodes

    def counted(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor | None]:
        """See `LossPlan.counted`."""
        return self._of(batch).counted(batch)

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Loss], dict[str, Tensor]]:
        """See `LossPlan`."""
        return self._of(batch)(batch)

    def _of(self, batch: Mapping[str, Tensor]) -> Losses:
        """That of a batch which no teacher chose, or which is learned from again, is the whole, if it has all views."""
        choice = self._choices.next
        if choice is not None:
            return self._plans[choice.arm]
        every = (self._whole, *self._plans)
        return next((plan for plan in every if all(name in batch for name in plan.fields)), self._whole)


def _joined(batches: Sequence[Tensor]) -> Epoch:
    return Epoch(torch.cat([*batches]), tuple(len(batch) for batch in batches))
