"""Rows that count by their losses."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, final

from jumpml.core import LearnerError, Problem
from jumpml.learn.examples._row_hook import RowHook
from jumpml.learn.examples._row_losses import RowLosses, by_row, find_row_problems
from jumpml.objectives import BinaryCrossEntropy, CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import EpochRecord, Loss
    from jumpml.curriculum import RowWeights
    from jumpml.graph import Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage

EXAMPLES = ("curriculum", "examples")


@final
class Weighing(RowHook):
    """Lets single rows count by their losses, in each objective for itself; what is logged stays plain.

    Args:
        weights: What says it. Each objective has a copy of its own.
        of: The objectives, by name; all that have a loss a row where None.
        when: The phases in which rows are weighed, or ``"all"``; each begins afresh.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[Weighing(SuperLoss())])``
    """

    name = "examples"

    def __init__(
        self, weights: RowWeights, of: Sequence[str] | None = None, *, when: str | Sequence[str] = "all"
    ) -> None:
        super().__init__(of, when)
        self.weights = weights
        self.positions = weights.remembers
        self._rules: dict[str, RowWeights] = {}
        self._losses: dict[str, RowLosses] = {}

    def _problems(self, learner: Learner, phases: Sequence[str]) -> Iterator[Problem]:
        yield from find_row_problems(EXAMPLES, learner, phases, self.of, self.weights.kind)
        for name in dict.fromkeys(name for phase in phases for name in by_row(learner.model, phase, self.of)):
            try:
                copy.deepcopy(self.weights).begin(choices_of(learner.model, name))
            except LearnerError as error:
                yield Problem(EXAMPLES, f"objective {name!r}: {error}")

    def enter(self, stage: Stage) -> None:
        """Begin with a rule for each objective."""
        model, processes = self._learner.model, self._learner.processes
        rows, device = len(self._learner.loaders.train.rows), self._learner.loaders.device
        self._phase = stage.name
        names = by_row(model, stage.name, self.of) if self._is_on(stage.name) else ()
        self._rules = {name: copy.deepcopy(self.weights) for name in names}
        for name, rule in self._rules.items():
            rule.begin(choices_of(model, name))
            if not processes.alone:
                rule.added_up = processes.sum
        kept = names if self.weights.remembers else ()
        self._losses = {name: RowLosses(rows, device, processes) for name in kept}

    def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What each objective's rows count."""
        return {name: rule.weigh(*losses[name]) for name, rule in self._rules.items() if name in losses}

    def learned(self, step: Step) -> None:
        """Note the rows' losses, where the rule goes by those of all."""
        for name, kept in self._losses.items():
            kept.note(step, (name,), {name: 1.0})

    def closed(self, record: EpochRecord) -> None:
        """Let the rules hear of the epoch."""
        progress, phase = self._learner.progress, self._learner.phases[self._phase]
        over = min(1.0, progress.closed(self._phase) / max(1, phase.epochs))
        for name, kept in self._losses.items():
            kept.agree()
            self._rules[name].closed(kept.last, over)

    def state_dict(self) -> dict[str, Any]:
        """Of each objective, the rule's and the rows' losses."""
        return {
            "kind": self.weights.kind,
            "rules": {name: rule.state_dict() for name, rule in self._rules.items()},
            "losses": {name: kept.state_dict() for name, kept in self._losses.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of another kind is of no use."""
        if state.get("kind") != self.weights.kind:
            return
        for name, rule in self._rules.items():
            if name in state["rules"]:
                rule.load_state_dict(state["rules"][name])
        for name, kept in self._losses.items():
            if name in state["losses"]:
                kept.load_state_dict(state["losses"][name])

    def identity(self) -> str:
        """The rule's, and of what."""
        return f"{self.weights.identity()}{self._whose()}"


def choices_of(model: Model, objective: str) -> int:
    """Among how many classes an objective chooses, where a guess has the logarithm of that as its loss; 0 elsewhere."""
    loss = model.objectives[objective]
    if not isinstance(loss, CrossEntropy | BinaryCrossEntropy) or loss.focal:
        return 0
    return 2 if isinstance(loss, BinaryCrossEntropy) else classes_of(model, objective)


def classes_of(model: Model, objective: str) -> int:
    """How many classes an objective's target has; 0 where it is none."""
    named = [model.fields[name] for name in model.objectives[objective].inputs if name in model.fields]
    return next((len(info.classes) for info in named if info.classes), 0)
