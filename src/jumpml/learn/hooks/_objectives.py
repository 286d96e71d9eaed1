"""What objectives are told of training beside their values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from jumpml.learn._hook import Hook
from jumpml.learn.processes._whole import Whole
from jumpml.objectives import ObjectiveModule

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage


class TellObjectives(Hook):
    """Tells objectives that learning starts, and those that move with the weights of each update; asks for figures.

    What they remember are their buffers, and so in the model's state.
    """

    name = "objectives"

    def __init__(self) -> None:
        self._moving: list[ObjectiveModule] = []
        self._telling: dict[str, ObjectiveModule] = {}

    def attach(self, learner: Learner) -> None:
        """The weights are those that learning starts from."""
        self._learner = learner
        for objective in learner.model.objectives.values():
            if isinstance(objective, ObjectiveModule):
                objective.begin()

    def enter(self, stage: Stage) -> None:
        """See which are active and move."""
        objectives = {name: self._learner.model.objectives[name] for name in self._learner.model.active(stage.name)}
        modules = {name: o for name, o in objectives.items() if isinstance(o, ObjectiveModule)}
        self._moving = [o for o in modules.values() if type(o).after_update is not ObjectiveModule.after_update]
        self._telling = {name: o for name, o in modules.items() if type(o).figures is not ObjectiveModule.figures}

    def updated(self, step: Step) -> None:
        """Once an update, with the place in the phase."""
        if self._moving:
            learner = self._learner
            name, progress = str(learner.progress.phase), learner.progress
            epoch = progress.closed(name) + progress.batch / len(learner.loaders.train)
            for objective in self._moving:
                if not learner.processes.alone:
                    objective.pool(self._join)
                objective.after_update(epoch, learner.phases[name].epochs)

    def read(self) -> dict[str, float]:
        """What objectives have to say of what they saw, by ``<figure>/<objective>``; read from the device at once."""
        if not self._learner.processes.alone:
            tallies = [o.get_buffer(name) for o in self._telling.values() for name in o.tallies]
            for tally, of_all in zip(tallies, self._learner.processes.sum(tallies), strict=True):
                tally.copy_(of_all)
        told = {f"{key}/{name}": value for name, o in self._telling.items() for key, value in o.figures().items()}
        if not told:
            return {}
        values = torch.stack([*told.values()]).tolist()
        return {name: value for name, value in zip(told, values, strict=True) if not math.isnan(value)}

    def _join(self, rows: Tensor) -> Tensor:
        return Whole(len(rows), self._learner.processes).join(rows)
