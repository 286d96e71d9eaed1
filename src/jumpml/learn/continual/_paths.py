"""What objectives that hold weights near where they were are told of the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.learn._hook import Hook
from jumpml.objectives import SI

if TYPE_CHECKING:
    from jumpml.graph import Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage


def path_hooks(model: Model) -> list[Hook]:
    """The hooks that a model's objectives need."""
    return [Paths()] if any(isinstance(objective, SI) for objective in model.objectives.values()) else []


class Paths(Hook):
    """Tells SI of every step; what that sums up are its buffers, and so in the model's state."""

    name = "paths"

    def attach(self, learner: Learner) -> None:
        """Keep the learner, whose weights of objectives may move."""
        self._learner = learner
        self._told: dict[str, SI] = {}

    def enter(self, stage: Stage) -> None:
        """See which there are."""
        objectives = self._learner.model.objectives
        self._told = {name: objective for name, objective in objectives.items() if isinstance(objective, SI)}

    def differentiated(self, stage: Stage) -> None:
        """Before the step; those that are left out take no part in the loss."""
        for name, objective in self._told.items():
            objective.before_step(self._learner.weights[name] if name in stage.active else 0.0)

    def updated(self, step: Step) -> None:
        """After it."""
        for objective in self._told.values():
            objective.after_step()
