"""A model that grows while it learns, by schedule or on a plateau."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

from jumpml.core import GraphError, LearnerError, ObjectiveError, Problem
from jumpml.graph import Branch, Classes
from jumpml.learn._hook import Hook
from jumpml.learn._validation import Best, wrong_figure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from jumpml.core import EpochRecord
    from jumpml.data import DataLoaders
    from jumpml.graph import Model, Surgery
    from jumpml.learn._learner import Learner


@dataclass(frozen=True, kw_only=True)
class AtEpoch:
    """At the end of an epoch.

    Attributes:
        epoch: Which one of the phase, from 1.
        phase: The phase.
    """

    epoch: int
    phase: str = "supervised"


@dataclass(frozen=True, kw_only=True)
class OnPlateau:
    """At the end of an epoch, when a figure on the validation rows has not become better for a while.

    Attributes:
        metric: `val/<task>/<metric>` or `val/loss`.
        patience: Epochs without a better figure that are put up with.
        min_delta: What counts as better differs by more than this.
        mode: ``max``, ``min``, or ``auto``, which asks the metric.
        times: How often it may happen; the patience begins anew each time.
        phase: The phase whose epochs are looked at.
    """

    metric: str = "val/loss"
    patience: int = 3
    min_delta: float = 0.0
    mode: str = "auto"
    times: int = 1
    phase: str = "supervised"


@dataclass(frozen=True, kw_only=True)
class GrowthRule:
    """A surgery, and when it is done.

    Attributes:
        trigger: When.
        surgery: What.
    """

    trigger: AtEpoch | OnPlateau
    surgery: Surgery


@dataclass(kw_only=True)
class _Watch:
    """What a plateau remembers."""

    best: Best = field(default_factory=Best)
    waited: int = 0
    done: int = 0

    def take(self, trigger: OnPlateau, val: Mapping[str, float]) -> bool:
        """Look at an epoch's figures.

        Returns:
            Whether they have stayed where they were for too long.
        """
        figure = val.get(trigger.metric.removeprefix("val/"))
        if figure is None or self.done == trigger.times:
            return False
        better = self.best.take(trigger.metric, figure, mode=trigger.mode, min_delta=trigger.min_delta)
        self.waited = 0 if better else self.waited + 1
        if self.waited <= trigger.patience:
            return False
        self.best, self.waited, self.done = Best(), 0, self.done + 1
        return True


@final
class Grow(Hook):
    """Lets the model grow, or shrink, at the end of epochs.

    The epoch's record says what was done, and the checkpoint that follows has the new shape.

    Args:
        rules: What is done when, in their order where several are at once.

    Example:
        >>> from jumpml.graph import Widen
        >>> rule = GrowthRule(trigger=AtEpoch(epoch=3), surgery=Widen("encoder", 2.0))
        >>> Grow([rule]).figures
        ()
    """

    name = "grow"

    def __init__(self, rules: Sequence[GrowthRule]) -> None:
        self._rules = tuple(rules)
        self._watches = [_Watch() for _ in self._rules]
        metrics = [rule.trigger.metric for rule in self._rules if isinstance(rule.trigger, OnPlateau)]
        self.figures = tuple(dict.fromkeys(metrics))

    def attach(self, learner: Learner) -> None:
        """Keep the learner, which does the surgeries.

        Raises:
            LearnerError: A rule brings classes that the learner's data has not.
        """
        for rule in self._rules:
            check_classes(rule.surgery, learner.loaders)
        self._learner = learner

    def closed(self, record: EpochRecord) -> None:
        """Do what is due."""
        for rule, watch in zip(self._rules, self._watches, strict=True):
            trigger = rule.trigger
            if trigger.phase != record.phase:
                continue
            due = watch.take(trigger, record.val) if isinstance(trigger, OnPlateau) else record.epoch == trigger.epoch
            if due:
                self._learner.grow(rule.surgery)

    def state_dict(self) -> dict[str, Any]:
        """What plateaus remember."""
        return {"watches": [{"best": w.best.value, "waited": w.waited, "done": w.done} for w in self._watches]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of other rules says nothing of these."""
        if len(state["watches"]) == len(self._rules):
            self._watches = [
                _Watch(best=Best(told["best"]), waited=told["waited"], done=told["done"]) for told in state["watches"]
            ]

    def identity(self) -> str:
        """Its rules."""
        return "; ".join(map(str, self._rules))


def with_fields(surgery: Surgery, model: Model, loaders: DataLoaders) -> Surgery:
    """A surgery that knows what it reads of the data and the model has not read yet.

    Args:
        surgery: Any; a branch is told of its fields.
        model: Whose inputs are known.
        loaders: The data.
    """
    if not isinstance(surgery, Branch):
        return surgery
    reads = [surgery.inputs] if isinstance(surgery.inputs, str) else surgery.inputs
    new = [name for name in reads if name in loaders.readable and name not in {*model.inputs, *surgery.fields}]
    loaders.bind(new)
    return replace(surgery, fields={**surgery.fields, **{name: loaders.info(name) for name in new}})


def check_classes(surgery: Surgery, loaders: DataLoaders) -> None:
    """Refuse new classes while a model learns from data that has none of them.

    Args:
        surgery: Any.
        loaders: The data.

    Raises:
        LearnerError: The surgery gives a field classes whose codes are not the data's.
    """
    if not isinstance(surgery, Classes) or surgery.field not in loaders.fields:
        return
    known = loaders.fields[surgery.field].classes
    new = [label for label in surgery.classes if label not in known]
    if new:
        raise LearnerError(
            f"{surgery.field!r} has the classes {', '.join(known)} in the data that is learned from, and no row of "
            f"{', '.join(new)}: its codes would be taken for other classes. New classes come between two learners: "
            f"model.grow(Classes({surgery.field!r}, ...)) with the classes of the new data in their order, and then "
            "Learner(new_data, model, ...)."
        )


def find_growth_problems(
    rules: Sequence[GrowthRule],
    model: Model,
    phases: Collection[str],
    loaders: DataLoaders,
    measured: Collection[str] = (),
) -> Iterator[Problem]:
    """What is wrong with rules, found on a copy of the model that is let grow by all of them in their order."""
    tried = copy.deepcopy(model)
    for place, rule in enumerate(rules):
        path, trigger = ("grow", place), rule.trigger
        if trigger.phase not in phases:
            yield Problem((*path, "trigger", "phase"), f"there is no phase {trigger.phase!r}.", _known(phases))
        if isinstance(trigger, OnPlateau):
            where = (*path, "trigger", "plateau", "metric")
            yield from wrong_figure(where, trigger.metric, model, trigger.mode, measured)
        try:
            tried.grow(with_fields(rule.surgery, tried, loaders))
        except (GraphError, ObjectiveError) as error:
            yield Problem((*path, "node"), str(error))


def _known(phases: Collection[str]) -> str:
    return f"There is: {', '.join(phases)}."
