"""An exponential moving average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from jumpml.learn._hook import Hook, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.graph import Growth, Model

HAS_AVERAGE: WeakSet[Model] = WeakSet()
IS_AVERAGE: WeakSet[Model] = WeakSet()


def has_average(model: Model) -> bool:
    """Whether a learner keeps an average of this model's weights, which is the one to measure."""
    return model in HAS_AVERAGE


def is_average(model: Model) -> bool:
    """Whether this model is such an average."""
    return model in IS_AVERAGE


class EMA(Hook):
    """Averages a model's weights; normalisation statistics are the model's own latest.

    The share of the old average at update ``t`` is ``min(decay, (1 + t) / (10 + t))``: a short run is not held back by
    its first weights (as in TensorFlow's ExponentialMovingAverage).

    Args:
        model: The model that learns.
        decay: The share of the old average that stays at each step, once the warm-up is over.
    """

    name = "ema"

    def __init__(self, model: Model, decay: float) -> None:
        self._learning = model
        self._decay = decay
        self._updates = 0
        self._averaged = AveragedModel(model, multi_avg_fn=self._average)
        self.model.requires_grad_(False).eval()
        HAS_AVERAGE.add(model)
        IS_AVERAGE.add(self.model)

    def identity(self) -> str:
        """Its decay."""
        return f"decay {self._decay}"

    @property
    def model(self) -> Model:
        """The averaged model, in evaluation mode."""
        return self._averaged.module  # type: ignore[return-value]

    def updated(self, step: Step) -> None:
        """Take in the weights after a step."""
        self.update()

    def update(self) -> None:
        """Take in the weights; the first time they are copied."""
        self._updates += 1
        self._averaged.update_parameters(self._learning)

    def grew(self, growth: Growth) -> None:
        """Grow likewise: what is fresh begins with the same values, and what is not stays the average that it was."""
        self.model.regrow(self._learning.lineage)
        self.model.requires_grad_(False).eval()

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and the number of updates."""
        return {"average": self._averaged.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._updates = state["updates"]
        self._averaged.load_state_dict(dict(state["average"]))

    def _average(self, averaged: Any, current: Any, count: Any) -> None:
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        get_ema_multi_avg_fn(decay)(averaged, current, count)
