"""How a learning rate moves over a phase: each a function of the place, so that most have no state."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch.optim.lr_scheduler import LRScheduler


@final
@dataclass(frozen=True, kw_only=True)
class Warmup:
    """A straight rise to the phase's learning rate, before a schedule begins.

    Attributes:
        share: Of the schedule's steps, or
        epochs: so many epochs, or
        steps: so many steps; one of the three.
        start: The share of the rate from which it rises; the first step is already above it, the last has all of it.
    """

    share: float | None = None
    epochs: float | None = None
    steps: int | None = None
    start: float = 0.0

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.share, self.epochs, self.steps)) != 1:
            raise ValueError(f"a warm-up: expected one of share, epochs and steps, got {self}.")

    def length(self, steps: int, an_epoch: int) -> int:
        """Its steps, of a schedule of so many."""
        if self.share is not None:
            return round(self.share * steps)
        return min(steps, round(self.epochs * an_epoch) if self.epochs is not None else self.steps or 0)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate moves over a phase, or over its part of one in a list of schedules.

    Attributes:
        warmup: A rise in front: `Warmup`, or the share of its steps that rise.
        epochs: Its length in a list, or
        steps: likewise; the last one of a list takes what is left.
    """

    warmup: Warmup | float | None = None
    epochs: float | None = None
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class ScheduleFunction(Schedule, ABC):
    """A schedule that is a function of the place alone; one of your own derives from this.

    Attributes:
        by: Whether the rate moves with every step, or is the same within an epoch.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Halving(ScheduleFunction):
        ...     def at(self, place: int, count: int, lr: float) -> float:
        ...         return lr * 0.5**place
        >>> Halving(by="epoch").at(3, 10, 0.8)
        0.1
    """

    continues: ClassVar[bool] = False
    """Whether ``lr`` is the rate that the schedule before ended with, and not the phase's."""

    by: Literal["step", "epoch"] = "step"

    @abstractmethod
    def at(self, place: int, count: int, lr: float) -> float:
        """The rate.

        Args:
            place: Steps, or epochs, that are over: 0 to ``count - 1``.
            count: How many there are.
            lr: The phase's learning rate.
        """


@final
@dataclass(frozen=True, kw_only=True)
class Constant(ScheduleFunction):
    """The same rate throughout.

    Attributes:
        lr: The rate; the phase's own where None.
    """

    lr: float | None = None

    def at(self, place: int, count: int, lr: float) -> float:
        """See `ScheduleFunction.at`."""
        return lr if self.lr is None else self.lr


@final
@dataclass(frozen=True, kw_only=True)
class Linear(ScheduleFunction):
    """A straight line.

    Attributes:
        start_lr: The first rate; the phase's own where None.
        end_lr: The last one, likewise.

    Example:
        >>> [round(Linear(end_lr=0.0).at(place, 5, 0.4), 3) for place in range(5)]
        [0.4, 0.3, 0.2, 0.1, 0.0]
    """

    start_lr: float | None = None
    end_lr: float | None = 0.0

    def at(self, place: int, count: int, lr: float) -> float:
        """See `ScheduleFunction.at`."""
        first, last = (lr if rate is None else rate for rate in (self.start_lr, self.end_lr))
        way = place / max(count - 1, 1)
        return (1 - way) * first + way * last  # both ends exact: a rate a little below zero would climb


@final
@dataclass(frozen=True, kw_only=True)
class Settle(ScheduleFunction):
    """A straight line from wherever the schedule before ended.

    Attributes:
        end_lr: The last rate.
    """

    continues: ClassVar[bool] = True

    end_lr: float

    def at(self, place: int, count: int, lr: float) -> float:
        """See `ScheduleFunction.at`."""
        return lr + (self.end_lr - lr) * (place + 1) / count


@final
@dataclass(frozen=True, kw_only=True)
class Chain(Schedule):
    """Several schedules, as one of a list.

    Attributes:
        schedules: They follow each other; the last takes what is left of the chain's length.
    """

    schedules: tuple[Schedule, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Cosine(ScheduleFunction):
    """Half a cosine down to ``min_lr`` (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983).

    Attributes:
        min_lr: The last learning rate.

    Example:
        >>> [round(Cosine().at(place, 5, 1.0), 3) for place in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    min_lr: float = 0.0

    def at(self, place: int, count: int, lr: float) -> float:
        """See `ScheduleFunction.at`."""
        return _cosine(lr, self.min_lr, place / max(count - 1, 1))


@final
@dataclass(frozen=True, kw_only=True)
class OneCycle(ScheduleFunction):
    """Warm up to ``max_lr``, then anneal to nearly zero (Smith & Topin 2018, https://arxiv.org/abs/1708.07120).

    Attributes:
        max_lr: The highest learning rate.
        warmup: The share of the steps that warm up.
    """

    max_lr: float
    warmup: float = 0.3

    def at(self, place: int, count: int, lr: float) -> float:
        """See `ScheduleFunction.at`; the phase's own rate counts for nothing."""
        first, last, peak = self.max_lr / 25, self.max_lr / 25e4, self.warmup * max(count, 2) - 1
        if place <= peak and peak:  # a warm-up of one step is that step at the highest rate
            return _cosine(first, self.max_lr, place / peak)
        return _cosine(self.max_lr, last, (place - peak) / (max(count, 2) - 1 - peak))


@final
@dataclass(frozen=True, kw_only=True)
class Plateau(Schedule):
    """Lower the rate whenever a figure on the validation rows has not become better for a while.

    Attributes:
        metric: ``val/<task>/<metric>`` or ``val/loss``.
        factor: What the rate is multiplied by.
        patience: Epochs without a better figure that are put up with.
        min_delta: What counts as better differs by more than this.
        cooldown: Epochs after a cut in which none is counted.
        min_lr: The rate does not fall below this.
        mode: ``max``, ``min``, or ``auto``, which asks the metric.
    """

    metric: str
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    cooldown: int = 0
    min_lr: float = 0.0
    mode: Literal["auto", "max", "min"] = "auto"


@final
@dataclass(frozen=True, kw_only=True)
class TorchSchedule(Schedule):
    """One of `torch.optim.lr_scheduler`, or of your own that derives from its `LRScheduler`.

    Attributes:
        scheduler: Its class, or what makes one of an optimizer.
        arguments: Its own, beside the optimizer.
        by: Whether it is stepped after every step or every epoch.
    """

    scheduler: Callable[..., LRScheduler]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    by: Literal["step", "epoch"] = "step"


def schedules_of(schedule: Schedule | Sequence[Schedule] | None) -> Sequence[Schedule]:
    """None, one or several, as several."""
    return [schedule] if isinstance(schedule, Schedule) else schedule or ()


def plateaus_of(schedule: Schedule | Sequence[Schedule] | None) -> list[Plateau]:
    """Those of a phase's schedules that follow a validation figure."""
    found: list[Plateau] = []
    for one in schedules_of(schedule):
        found += plateaus_of(one.schedules) if isinstance(one, Chain) else []
        found += [one] if isinstance(one, Plateau) else []
    return found


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
