"""What an update is rewarded by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch

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
    """

    kind: ClassVar[str]
    from_step: ClassVar[bool] = False

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
class LossReward(Reward):
    """The loss itself, as it was in the update."""

    kind = "loss"
    from_step = True

    def updated(self, choice: Choice, steps: Sequence[Step]) -> Tensor | None:
        """The mean of the batches' losses, by rows."""
        names, every = self.names(choice.arm), sum(step.rows for step in steps)
        parts = [self._sight.sum(names, step.losses) * (step.rows / every) for step in steps]
        return torch.stack(parts).sum()


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
