"""What objectives are told of training beside their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.learn._hook import Hook
from jumpml.objectives import ObjectiveModule

if TYPE_CHECKING:
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage


class TellObjectives(Hook):
    """Tells objectives that learning starts, and those that move with the weights of each update.

    What they remember are their buffers, and so in the model's state.
    """

    name = "objectives"

    def __init__(self) -> None:
        self._moving: list[ObjectiveModule] = []

    def attach(self, learner: Learner) -> None:
        """The weights are those that learning starts from."""
        self._learner = learner
        for objective in learner.model.objectives.values():
            if isinstance(objective, ObjectiveModule):
                objective.begin()

    def enter(self, stage: Stage) -> None:
        """See which are active and move."""
        objectives = [self._learner.model.objectives[name] for name in self._learner.model.active(stage.name)]
        modules = [objective for objective in objectives if isinstance(objective, ObjectiveModule)]
        self._moving = [o for o in modules if type(o).after_update is not ObjectiveModule.after_update]

    def updated(self, step: Step) -> None:
        """Once an update, with the place in the phase."""
        if self._moving:
            learner = self._learner
            name, progress = str(learner.progress.phase), learner.progress
            epoch = progress.closed(name) + progress.batch / len(learner.loaders.train)
            for objective in self._moving:
                objective.after_update(epoch, learner.phases[name].epochs)
