"""What an update is rewarded by."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch

from jumpml.core import LearnerError
from jumpml.learn._validation import rises

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.learn._hook import Step
    from jumpml.learn.teaching._choices import Choice
    from jumpml.learn.teaching._sight import Sight

    Batches = list[tuple[int, Mapping[str, Tensor]]]


class Reward(ABC):
    """Measures what an update brought. More is better.

    Args:
        of: The objectives whose losses tell; those of the arm where None.

    Attributes:
        kind: Its name in a learner file.
        of: The same.
        from_step: Whether it is made of the losses that the update itself had, so that `of` can only name objectives
            that run in every update.
        figures: Validation figures that it reads.
    """

    kind: ClassVar[str]
    from_step: ClassVar[bool] = False
    figures: tuple[str, ...] = ()

    def __init__(self, of: Sequence[str] | None = None) -> None:
        self.of = None if of is None else tuple(of)

    def begin(self, sight: Sight) -> None:
        """A phase is set up: what was kept of another is forgotten."""
        self._sight = sight

    def differentiated(self, choice: Choice) -> None:  # noqa: B027 (some look afterwards alone)
        """The gradients are there, and no weight has moved."""

    @abstractmethod
    def updated(self, choice: Choice, steps: Sequence[Step]) -> Tensor | None:
        """The weights have moved.

        Args:
            choice: What was learned from.
            steps: Its batches as they were learned from.

        Returns:
            A scalar on the device; None where this update has no reward.
        """

    def closed(self, val: Mapping[str, float]) -> list[tuple[int, float]]:
        """An epoch is over and validated.

        Args:
            val: Its figures, `figures` among them.

        Returns:
            Arms by their places, with what they are rewarded by for the epoch.
        """
        return []

    def names(self, arm: int) -> tuple[str, ...]:
        """The objectives whose losses tell."""
        return self._sight.arms[arm].own if self.of is None else self.of

    def state_dict(self) -> dict[str, Any]:
        """What it keeps from one update to another: tensors and plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (most keep nothing)
        """Go on from a state."""

    def identity(self) -> str:
        """In words, what must be the same for a resumed run to be the same run."""
        return self.kind + ("" if self.of is None else f" of {', '.join(self.of)}")


class _Gain(Reward):
    """How much an update lowers a loss: two passes forward, in evaluation mode and without a gradient."""

    def differentiated(self, choice: Choice) -> None:
        """Look at the loss before."""
        self._batches = self._rows(choice)
        self._before = self._loss(choice)

    def updated(self, choice: Choice, steps: Sequence[Step]) -> Tensor | None:
        """The loss before less the loss after."""
        return self._before - self._loss(choice)

    @abstractmethod
    def _rows(self, choice: Choice) -> Batches:
        """Batches with the rows of each."""

    def _loss(self, choice: Choice) -> Tensor:
        names, every = self.names(choice.arm), sum(rows for rows, _ in self._batches)
        parts = [self._sight.loss(names, batch) * (rows / every) for rows, batch in self._batches]
        return torch.stack(parts).sum()


@final
class SPG(_Gain):
    """Self-prediction gain: how much an update lowers the loss of other rows of the same arm, a batch of them.

    Graves et al. 2017, https://arxiv.org/abs/1704.03003. What is learned by heart alone is not rewarded.
    """

    kind = "spg"

    def _rows(self, choice: Choice) -> Batches:
        positions, number = self._sight.fresh(choice.arm)
        return [(len(positions), self._sight.batch("train", positions, self.names(choice.arm), number))]


@final
class PredictionGain(_Gain):
    """How much an update lowers the loss of the rows that it learned from.

    Bellemare et al. 2016, https://arxiv.org/abs/1606.01868; Graves et al. 2017, https://arxiv.org/abs/1704.03003.
    """

    kind = "prediction_gain"

    def _rows(self, choice: Choice) -> Batches:
        names = self.names(choice.arm)
        numbers = range(choice.first, choice.end)
        made = zip(choice.batches, numbers, strict=True)
        return [(len(rows), self._sight.batch("train", rows, names, number)) for rows, number in made]


@final
class TargetGain(_Gain):
    """How much an update lowers the loss of some validation rows, always the same ones.

    Graves et al. 2017, https://arxiv.org/abs/1704.03003. With ``of`` it is the loss that all is learned for.

    Args:
        of: The objectives whose losses tell; those of the arm where None.
        rows: How many rows.

    Raises:
        LearnerError: There is to be no row.
    """

    kind = "target_gain"

    def __init__(self, of: Sequence[str] | None = None, rows: int = 256) -> None:
        super().__init__(of)
        if rows < 1:
            raise LearnerError(f"target_gain: expected one row or more, got {rows!r}.")
        self._most = rows

    def begin(self, sight: Sight) -> None:
        """Other rows may count in another phase."""
        super().begin(sight)
        self._probes: dict[tuple[str, ...], Batches] = {}

    def identity(self) -> str:
        """With how many rows."""
        return f"{super().identity()}, {self._most} rows"

    def _rows(self, choice: Choice) -> Batches:
        names = self.names(choice.arm)
        if names not in self._probes:
            positions = self._sight.probe(names, self._most)
            self._probes[names] = [(len(positions), self._sight.batch("val", positions, names))]
        return self._probes[names]


class LossReward(Reward):
    """The loss itself, as it was in the update."""

    kind = "loss"
    from_step = True

    def updated(self, choice: Choice, steps: Sequence[Step]) -> Tensor | None:
        """The mean of the batches' losses, by rows."""
        return self._sight.learned(self.names(choice.arm), steps)


@final
class LossDrop(LossReward):
    """How much lower the loss is than when the arm was learned from last (Matiisen et al. 2017, https://arxiv.org/abs/1707.00183)."""

    kind = "loss_drop"

    def begin(self, sight: Sight) -> None:
        """No loss is known yet."""
        super().begin(sight)
        self._last: dict[str, Tensor] = {}

    def updated(self, choice: Choice, steps: Sequence[Step]) -> Tensor | None:
        """Nothing at the first visit."""
        loss, name = super().updated(choice, steps), self._sight.arms[choice.arm].facts.name
        before = self._last.get(name)
        if loss is not None:
            self._last[name] = loss
        return None if before is None or loss is None else before - loss

    def state_dict(self) -> dict[str, Any]:
        """The last losses."""
        return {"last": dict(self._last)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        device = self._sight.device
        self._last = {name: loss.to(device) for name, loss in state["last"].items()}


@final
class MetricGain(Reward):
    """How much better the first figure of an arm's task is on the validation rows than an epoch before.

    An arm that was learned from in an epoch has one reward, at its end.
    """

    kind = "metric_gain"

    def __init__(self) -> None:
        super().__init__()

    def begin(self, sight: Sight) -> None:
        """No figure is known yet."""
        super().begin(sight)
        self._last: dict[str, float] = {}
        self._served: list[int] = []
        self._tasks = [next(name for name in arm.own if name in sight.figures) for arm in sight.arms]
        self.figures = tuple(dict.fromkeys(f"val/{name}/{sight.figures[name]}" for name in self._tasks))

    def updated(self, choice: Choice, steps: Sequence[Step]) -> Tensor | None:
        """Nothing is known before the epoch's end."""
        if choice.arm not in self._served:
            self._served.append(choice.arm)

    def closed(self, val: Mapping[str, float]) -> list[tuple[int, float]]:
        """What became better."""
        served, self._served, found = self._served, [], []
        for figure in self.figures:
            name, value = figure.removeprefix("val/"), val.get(figure.removeprefix("val/"), math.nan)
            before, own = self._last.get(name), name.partition("/")[0]
            if math.isfinite(value):
                self._last[name] = value
                gain = 0.0 if before is None else (value - before) * (1 if rises(figure) else -1)
                found += [(arm, gain) for arm in served if self._tasks[arm] == own and before is not None]
        return found

    def state_dict(self) -> dict[str, Any]:
        """The last figures, and who was served since."""
        return {"last": dict(self._last), "served": [*self._served]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._last, self._served = dict(state["last"]), [*state["served"]]


@final
class GradientNorm(Reward):
    """How long the gradient of the update is, before it is clipped."""

    kind = "gradient_norm"

    def __init__(self) -> None:
        super().__init__()

    def differentiated(self, choice: Choice) -> None:
        """Measure it."""
        gradients = [parameter.grad for parameter in self._sight.trained if parameter.grad is not None]
        self._norm = torch.nn.utils.get_total_norm(gradients).float()

    def updated(self, choice: Choice, steps: Sequence[Step]) -> Tensor | None:
        """What was measured."""
        return self._norm
