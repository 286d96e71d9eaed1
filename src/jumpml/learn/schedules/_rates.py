"""The learning rates of a phase under way."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from jumpml.core import LearnerError
from jumpml.learn._validation import Best
from jumpml.learn.optimizers._optimizers import RATE_SHARE
from jumpml.learn.schedules._schedules import (
    Chain,
    OneCycle,
    Plateau,
    Schedule,
    ScheduleFunction,
    TorchSchedule,
    Warmup,
    schedules_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A schedule's part of a phase.

    Attributes:
        start: The step with which it begins.
        count: Its steps.
        schedule: What it does.
    """

    start: int
    count: int
    schedule: Schedule


def pieces_of(schedule: Schedule | Sequence[Schedule] | None, steps: int, an_epoch: int) -> list[Piece]:
    """A phase cut among its schedules, a warm-up apart from what comes after it.

    Args:
        schedule: One, or several that follow each other; what no one takes is the last one's.
        steps: The phase's.
        an_epoch: An epoch's.
    """
    given = schedules_of(schedule)
    pieces, start = list[Piece](), 0
    for place, one in enumerate(given):
        left = max(steps - start, 0)
        count = left if place == len(given) - 1 else min(left, _length(one, left, an_epoch))
        if isinstance(one, Chain):
            inner = pieces_of(one.schedules, count, an_epoch)
            pieces += [replace(piece, start=start + piece.start) for piece in inner]
            start += count
            continue
        rise = 0
        if one.warmup is not None and not isinstance(one, OneCycle):
            way = one.warmup if isinstance(one.warmup, Warmup) else Warmup(share=one.warmup)
            rise = min(way.length(count, an_epoch), count)
            pieces.append(Piece(start=start, count=rise, schedule=_Rise(start=way.start)))
        pieces.append(Piece(start=start + rise, count=count - rise, schedule=one))
        start += count
    return [piece for piece in pieces if piece.count] or pieces[-1:]


def _length(schedule: Schedule, left: int, an_epoch: int) -> int:
    if schedule.steps is not None:
        return schedule.steps
    return left if schedule.epochs is None else round(schedule.epochs * an_epoch)


@dataclass(frozen=True, kw_only=True)
class _Rise(ScheduleFunction):
    """A warm-up; a first step at the rate of zero would be none."""

    start: float

    def at(self, place: int, count: int, lr: float) -> float:
        return lr * (self.start + (1 - self.start) * (place + 1) / count)


class Rates:
    """Sets the learning rates of an optimizer's groups over a phase.

    A schedule moves one rate; the groups keep their ratio to it.

    Args:
        optimizer: Its groups' rates are set.
        initial: By group, all but the parameters, as it was before training.
        lr: The phase's learning rate; the groups' own where None.
        schedule: None, one, or several that follow each other.
        steps: The phase's.
        an_epoch: An epoch's.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        initial: Sequence[Mapping[str, Any]],
        *,
        lr: float | None,
        schedule: Schedule | Sequence[Schedule] | None,
        steps: int,
        an_epoch: int,
    ) -> None:
        self._optimizer, self._an_epoch = optimizer, max(an_epoch, 1)
        for group, was in zip(optimizer.param_groups, initial, strict=False):
            for key in group.keys() - was.keys() - {"params"}:  # what another phase's scheduler left
                del group[key]
            group.update({key: value for key, value in was.items() if key != "lr"})
            _set(group, was["lr"])
        self._shares = _shares(optimizer)
        self._lr = self._now() if lr is None else lr
        if lr is not None:
            self._spread(lr)
        self._pieces = pieces_of(schedule, steps, self._an_epoch)
        self._step = 0  # of the phase: the one that comes next
        self._piece: Piece | None = None
        self._torch: LRScheduler | None = None
        self._cuts = _Cuts()
        self._reached = self._lr  # the rate with which the piece before ended
        self._told: list[float] = []
        if self._pieces:
            self._move()

    def advance(self) -> None:
        """Set the rates of the next step.

        Raises:
            LearnerError: Somebody else has moved them.
        """
        if not self._pieces:
            return
        if self._told != self._found():
            self._refuse()
        self._step += 1
        self._move()

    def closed(self, val: Mapping[str, float]) -> None:
        """Take in the validation's figures; a plateau's rate follows them."""
        piece = self._piece
        if piece is None or not isinstance(piece.schedule, Plateau):
            return
        if self._cuts.take(piece.schedule, val):
            self._move()

    def state_dict(self) -> dict[str, Any]:
        """How far the phase is, and what its schedule remembers."""
        return {
            "step": self._step,
            "reached": self._reached,
            "cuts": asdict(self._cuts),
            "torch": self._torch.state_dict() if self._torch else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; the optimizer must have its own already."""
        rates = [dict(group) for group in self._optimizer.param_groups]
        self._step, self._cuts = state["step"], _Cuts(**{**state["cuts"], "best": Best(**state["cuts"]["best"])})
        self._piece, self._reached = self._at(self._step), state["reached"]
        if self._piece and isinstance(self._piece.schedule, TorchSchedule):
            _load(self._begin(self._piece.schedule), state["torch"])
        for group, was in zip(self._optimizer.param_groups, rates, strict=True):
            group.update(was)  # making a scheduler has set them
        self._told = self._found()

    def _at(self, step: int) -> Piece | None:
        return next((piece for piece in reversed(self._pieces) if piece.start <= step), None)

    def _move(self) -> None:
        """Set the rates of the step that comes next; past the phase's last one they stay."""
        piece = self._at(self._step)
        if piece is None:
            return
        place = min(self._step - piece.start, max(piece.count - 1, 0))
        begun, self._piece = piece is not self._piece, piece
        if begun and piece.start:
            self._reached = self._now()
        schedule = piece.schedule
        if isinstance(schedule, TorchSchedule):
            self._follow(schedule, begun=begun, moves=self._step - piece.start == place)
        elif isinstance(schedule, ScheduleFunction):
            self._spread(self._value(schedule, piece, place))
        elif isinstance(schedule, Plateau):
            self._cuts = _Cuts() if begun else self._cuts
            self._spread(max(self._lr * self._cuts.factor, min(schedule.min_lr, self._lr)))
        self._told = self._found()

    def _value(self, schedule: ScheduleFunction, piece: Piece, place: int) -> float:
        lr = self._reached if schedule.continues else self._lr
        if schedule.by == "step":
            return schedule.at(place, piece.count, lr)
        first = piece.start // self._an_epoch
        last = (piece.start + max(piece.count - 1, 0)) // self._an_epoch
        return schedule.at((piece.start + place) // self._an_epoch - first, last - first + 1, lr)

    def _follow(self, schedule: TorchSchedule, *, begun: bool, moves: bool) -> None:
        """Let torch's scheduler set the rates."""
        if begun or self._torch is None:
            self._spread(self._lr)
            self._torch = self._begin(schedule)
        elif moves and (schedule.by == "step" or self._step % self._an_epoch == 0):
            with warnings.catch_warnings():  # a first update that a gradient scaler left out was none to torch
                warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
                self._torch.step()

    def _begin(self, schedule: TorchSchedule) -> LRScheduler:
        for group in self._optimizer.param_groups:
            group.pop("initial_lr", None)  # or it would start from another scheduler's
        self._torch = schedule.scheduler(self._optimizer, **schedule.arguments)
        return self._torch

    def _spread(self, lr: float) -> None:
        groups = self._optimizer.param_groups
        if len(groups) > len(self._shares):  # parameters that have come since
            self._shares += [group.get(RATE_SHARE, 1.0) for group in groups[len(self._shares) :]]
        for group, share in zip(groups, self._shares, strict=True):
            _set(group, lr * share)

    def _now(self) -> float:
        """The rate that moves, as the first group has it."""
        return float(self._optimizer.param_groups[0]["lr"]) / (self._shares[0] or 1.0)

    def _found(self) -> list[float]:
        return [group["lr"] for group in self._optimizer.param_groups[: len(self._shares)]]

    def _refuse(self) -> None:
        found, told = self._found(), self._told
        raise LearnerError(
            f"the learning rate was moved from outside, from {told[0]:g} to {found[0]:g} before step {self._step + 1} "
            "of the phase, and the phase's schedule moves it too. The learner steps its schedule itself: leave "
            "scheduler.step() out of your loop, or the schedule out of the phase."
        )


@dataclass
class _Cuts:
    """What a plateau remembers."""

    best: Best = field(default_factory=Best)
    waited: int = 0
    cooling: int = 0
    factor: float = 1.0

    def take(self, schedule: Plateau, val: Mapping[str, float]) -> bool:
        """Look at an epoch's figures.

        Returns:
            Whether the rate is cut.
        """
        figure = val.get(schedule.metric.removeprefix("val/"))
        if figure is None:
            return False
        better = self.best.take(schedule.metric, figure, mode=schedule.mode, min_delta=schedule.min_delta)
        self.waited = 0 if better or self.cooling else self.waited + 1
        self.cooling = max(self.cooling - 1, 0)
        if self.waited <= schedule.patience:
            return False
        self.waited, self.cooling = 0, schedule.cooldown
        self.factor *= schedule.factor
        return True


def _shares(optimizer: Optimizer) -> list[float]:
    """What each group's learning rate is of the first one's, or of the one that it was made with."""
    groups = optimizer.param_groups
    first = float(groups[0]["lr"])
    return [group.get(RATE_SHARE, float(group["lr"]) / first if first else 1.0) for group in groups]


def without_parameters(group: Mapping[str, Any]) -> dict[str, Any]:
    """All that an optimizer's group says of its parameters."""
    return {**{key: value for key, value in group.items() if key != "params"}, "lr": float(group["lr"])}


def _set(group: dict[str, Any], lr: float) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def _load(scheduler: LRScheduler, state: Mapping[str, Any]) -> None:
    """Go on from a state, in which milestones, which are counted, have become plain."""
    own = vars(scheduler)
    scheduler.load_state_dict(
        {key: Counter(value) if isinstance(own.get(key), Counter) else value for key, value in state.items()}
    )
