"""An exponential moving average of the weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import torch

from jumpml.core import LearnerError
from jumpml.learn._hook import Hook, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

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

    Raises:
        LearnerError: The decay is no share.
    """

    name = "ema"

    def __init__(self, model: Model, decay: float) -> None:
        if not 0 < decay < 1:
            raise LearnerError(f"ema: expected a decay above 0 and below 1, such as 0.999; got {decay:g}.")
        self._learning = model
        self._decay = decay
        self._updates = 0
        self.model: Model = copy.deepcopy(model)
        """The averaged model, in evaluation mode."""
        self.model.requires_grad_(False).eval()
        self.pair()
        HAS_AVERAGE.add(model)
        IS_AVERAGE.add(self.model)

    def pair(self) -> None:
        """Look up what is averaged, and what is taken as it is, each beside the learning model's.

        Once, and again where either has other tensors than before.
        """
        self._weights: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._rest: tuple[list[Tensor], list[Tensor]] = ([], [])
        for own, other in zip(self.model.parameters(), self._learning.parameters(), strict=True):
            for held, tensor in zip(
                self._weights if own.is_floating_point() else self._rest, (own, other), strict=True
            ):
                held.append(tensor)
        self._rest[0].extend(self.model.buffers())
        self._rest[1].extend(self._learning.buffers())

    def identity(self) -> str:
        """Its decay."""
        return f"decay {self._decay}"

    def updated(self, step: Step) -> None:
        """Take in the weights after a step."""
        self.update()

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights; the first time they are copied."""
        self._updates += 1
        decay = 0.0 if self._updates == 1 else min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(*self._weights, 1 - decay)
        if self._rest[0]:
            torch._foreach_copy_(*self._rest)

    def buffers(self) -> Iterator[Tensor]:
        """What is no average, of which each of several processes has its own: that of the first one counts."""
        return self.model.buffers()

    def grew(self, growth: Growth) -> None:
        """Grow likewise: what is fresh begins with the same values, and what is not stays the average that it was."""
        self.model.regrow(self._learning.lineage, like=self._learning)
        self.model.requires_grad_(False).eval()
        self.pair()

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and the number of updates."""
        average = {f"module.{name}": value for name, value in self.model.state_dict().items()}
        return {"average": average, "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._updates = state["updates"]
        self.model.load_state_dict({name.removeprefix("module."): v for name, v in state["average"].items()})
        self.model.let_go()
        self.pair()  # loading may have made copies anew, of a model that has grown
