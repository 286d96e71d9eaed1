"""What objectives are told of training beside their values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

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

    def attach(self, learner: Learner) -> None:
        """The weights are those that learning starts from."""
        self._learner = learner
        self._stage: Stage | None = None
        self._moving: list[ObjectiveModule] = []
        for objective in learner.model.objectives.values():
            if isinstance(objective, ObjectiveModule):
                objective.begin()

    def updated(self, step: Step) -> None:
        """Once an update, with the place in the phase."""
        if self._learner.stage is not self._stage:  # it may have been set up again, with a task left out
            self._stage = self._learner.stage
            self._moving = [o for _, o in self._active() if type(o).after_update is not ObjectiveModule.after_update]
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
        telling = {name: o for name, o in self._active() if type(o).figures is not ObjectiveModule.figures}
        if not self._learner.processes.alone:
            tallies = [o.get_buffer(name) for o in telling.values() for name in o.tallies]
            for tally, of_all in zip(tallies, self._learner.processes.sum(tallies), strict=True):
                tally.copy_(of_all)
        told = {f"{key}/{name}": value for name, o in telling.items() for key, value in o.figures().items()}
        if not told:
            return {}
        values = torch.stack([*told.values()]).tolist()
        return {name: value for name, value in zip(told, values, strict=True) if not math.isnan(value)}

    def _active(self) -> list[tuple[str, ObjectiveModule]]:
        """Those that learn now: a phase may have been set up again, with a task left out or with another model."""
        stage, objectives = self._learner.stage, self._learner.model.objectives
        names = [name for name in objectives if stage is not None and name in stage.active]
        return [(name, o) for name in names if isinstance(o := objectives[name], ObjectiveModule)]

    def _join(self, rows: Tensor) -> Tensor:
        return Whole(len(rows), self._learner.processes).join(rows)

    def __getstate__(self) -> dict[str, Any]:
        # A stage's plans hold the model's modules; a copy of the learner looks anew.
        return {**vars(self), "_stage": None, "_moving": []}
