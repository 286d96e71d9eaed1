"""A teacher that has nothing to choose from, or nothing to go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import DataError, LearnerError, Problem, did_you_mean
from jumpml.learn.misfits._wrong_rows import least_rows, needs_two, told_rows
from jumpml.learn.teaching._arms import find_arms
from jumpml.learn.teaching._axes import ARMS
from jumpml.learn.teaching._rewards import MetricGain, TargetGain
from jumpml.learn.teaching._sight import probed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._phase import Phase
    from jumpml.learn.teaching._arms import TaughtArm
    from jumpml.learn.teaching._rewards import Reward
    from jumpml.learn.teaching._teaching import Teaching


def find_teaching_problems(
    teaching: Teaching, model: Model, loaders: DataLoaders, phases: Mapping[str, Phase], count: int = 1
) -> Iterator[Problem]:
    """What cannot be chosen from, or rewarded, so.

    Args:
        teaching: The teacher, its arms and its reward.
        model: The model.
        loaders: The data.
        phases: By name.
        count: How many processes share each batch.
    """
    wrong = [name for name in teaching.when if name not in {*phases, "all"}]
    for name in wrong:
        yield Problem(("curriculum", "when"), f"there is no phase {name!r}.", did_you_mean(name, phases))
    several = len(teaching.axes) > 1
    axes = [
        problem
        for place, axis in enumerate(teaching.axes)
        for problem in axis.problems((*ARMS, place) if several else ARMS, model, loaders)
    ]
    yield from axes
    unknown = [name for phase in phases.values() for name in phase.data if name not in loaders.train.datasets]
    if wrong or axes or unknown:
        return
    asked = [n for n, phase in phases.items() if phase.epochs and model.active(n)]
    found: dict[str, list[TaughtArm]] = {}
    meant = [name for name in asked if {name, "all"} & {*teaching.when}]
    if not meant:
        text = f"no phase in which the teacher chooses ({', '.join(teaching.when)}) has epochs and an objective."
        yield Problem(("curriculum", "when"), text, "Name one that learns, or leave it out.")
    for name in meant:
        try:
            found[name] = find_arms(teaching.axes, model, loaders, name, phases[name].data)
        except DataError as error:
            yield Problem(ARMS, str(error), "Leave the curriculum out, or the order that was given in code.")
            return
        except LearnerError as error:
            yield from error.problems or [Problem(ARMS, str(error))]
            return
    yield from _too_few(teaching, found)
    yield from _lone_rows(found, model, loaders, phases, count)
    if teaching.teacher.learns:
        several_arms = {name: arms for name, arms in found.items() if len(arms) > 1}
        yield from _unrewarded(teaching.reward, several_arms, model)
        yield from _unmeasured(teaching.reward, several_arms, model, loaders)


def _too_few(teaching: Teaching, found: Mapping[str, Sequence[TaughtArm]]) -> Iterator[Problem]:
    few = {name: arms for name, arms in found.items() if len(arms) < 2}
    if few and ("all" not in teaching.when or len(few) == len(found)):
        told = "; ".join(f"in {n!r} there is {_named(arms)}" for n, arms in few.items())
        text = f"a teacher needs two arms or more to choose from: {told}."
        yield Problem(ARMS, text, "Choose from other arms, or leave the curriculum out.")


def _lone_rows(
    found: Mapping[str, Sequence[TaughtArm]],
    model: Model,
    loaders: DataLoaders,
    phases: Mapping[str, Phase],
    count: int,
) -> Iterator[Problem]:
    """Arms with a batch of one row, where something needs two; or with one that cannot be shared out."""
    for phase, arm in ((phase, arm) for phase, arms in found.items() if len(arms) > 1 for arm in arms):
        if arm.company is not None:  # no row is alone
            continue
        sizes = [min(arm.facts.rows, loaders.batch_size)]
        if not arm.order.anywhere:  # its batches are the order's own, also the last one of an epoch
            sizes = arm.order.epoch(0, 0, loaders.batch_size).sizes
        needing = [*dict.fromkeys(needs_two(model, phase, phases[phase], arm.runs))]
        if min(sizes) < least_rows(needing, count):
            text = f"arm {arm.facts.name!r} has a batch of {told_rows(min(sizes), needing, count)}"
            yield Problem(ARMS, text, "Give it more rows, take another batch_size, or choose from other arms.")
            return


def _named(arms: Sequence[TaughtArm]) -> str:
    return ", ".join(repr(arm.facts.name) for arm in arms) or "none"


def _unrewarded(reward: Reward, found: Mapping[str, Sequence[TaughtArm]], model: Model) -> Iterator[Problem]:
    path = ("curriculum", "reward", "of")
    for name in reward.of or ():
        if name not in model.objectives:
            yield Problem(path, f"there is no objective {name!r}.", did_you_mean(name, model.objectives))
            continue
        for phase, arms in found.items():
            if name not in model.active(phase):
                text = f"objective {name!r} is not active in phase {phase!r}, where the teacher chooses."
                yield Problem(path, text, "Name one that is, or say in `when` in which phases it chooses.")
                continue
            idle = [arm.facts.name for arm in arms if arm.runs is not None and name not in arm.runs]
            if reward.from_step and idle:
                text = f"{reward.kind} is told by the update itself, and objective {name!r} does not run on arm "
                yield Problem(path, f"{text}{idle[0]!r}.", "Leave `of` out, or take spg, which looks at any objective.")


def _unmeasured(
    reward: Reward, found: Mapping[str, Sequence[TaughtArm]], model: Model, loaders: DataLoaders
) -> Iterator[Problem]:
    """Rewards on validation rows, of which there are none that tell."""
    for arm in (arm for arms in found.values() for arm in arms):
        tasks = [name for name in arm.own if name in model.tasks]
        if isinstance(reward, MetricGain) and (arm.runs is None or len(tasks) != 1):
            text = (
                f"metric_gain goes by the figure of an arm's task, and arm {arm.facts.name!r} has no task of its own."
            )
            yield Problem(("curriculum", "reward"), text, "Choose from tasks, or take target_gain.")
            return
        names = arm.own if reward.of is None else reward.of
        known = all(name in model.objectives for name in names)
        if isinstance(reward, TargetGain) and known and not len(probed(names, model, loaders)):
            text = f"no validation row counts for {', '.join(names)}."
            yield Problem(("curriculum", "reward"), text, "Give the validation split such rows, or take spg.")
            return
