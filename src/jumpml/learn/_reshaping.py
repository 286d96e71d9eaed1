"""What becomes of a loop whose model, or whose objectives, change under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import LearnerError, did_you_mean
from jumpml.learn._stage import left_out_with
from jumpml.learn.hooks._carry import carry_optimizer
from jumpml.learn.teaching._taught import TaughtOrder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.graph import Growth
    from jumpml.learn._loop import Loop
    from jumpml.learn._stage import Stage


def follow(loop: Loop, growth: Growth) -> None:
    """Go on with a model that has grown, where the phase stands."""
    groups = _options(loop)
    carry_optimizer(loop.optimizer, growth)
    loop.meter.take_in(loop.weights.take_in(loop.model.objectives))
    loop.loaders.bind([name for name in loop.model.inputs if name in loop.loaders.readable])
    loop.hooks.grew(growth)
    if loop.stage is not None:
        _set_up_again(loop, loop.stage, groups)


def regrow(loop: Loop, lineage: Sequence[Mapping[str, Any]]) -> None:
    """Bring the model, and what stands beside it, into the shape of a lineage; weights are to be loaded then."""
    for growth in loop.model.regrow(lineage):
        follow(loop, growth)
    loop.model.let_go()


def leave_out(loop: Loop, task: str) -> None:
    """Leave a task out of what remains of the phase; see `Learner.stop_task`."""
    stage, model = loop.stage, loop.model
    if stage is None or task not in model.tasks or task not in stage.active:
        learning = [name for name in model.tasks if stage is not None and name in stage.active]
        near = did_you_mean(task, learning) if learning else "No task learns now."
        raise LearnerError(f"task {task!r} cannot be left out: it does not learn. {near}")
    stopped = [*loop.progress.stopped.get(stage.name, ()), task]
    left_out, _ = left_out_with(stopped, stage.name, model)
    if not {*model.active(stage.name)} - left_out:
        raise LearnerError(f"task {task!r} cannot be left out: nothing else learns in phase {stage.name!r}.")
    loop.progress.stopped[stage.name] = stopped
    _set_up_again(loop, stage, _options(loop))


def _options(loop: Loop) -> list[dict[str, Any]]:
    """By group of the optimizer, all but its parameters."""
    return [{key: value for key, value in g.items() if key != "params"} for g in loop.optimizer.param_groups]


def _set_up_again(loop: Loop, before: Stage, groups: Sequence[Mapping[str, Any]]) -> None:
    """Go on where the phase stands, with another model or other objectives."""
    state = before.state_dict()
    held = {id(p) for g in loop.optimizer.param_groups for p in g["params"]}
    stage = loop.set_up(before.name, trained=[p for p in loop.model.parameters() if id(p) in held])
    for group, options in zip(loop.optimizer.param_groups, groups, strict=True):
        group.update(options)
    stage.load_state_dict(state)
    if stage.order is None and not isinstance(before.order, TaughtOrder):
        stage.order, stage.ways = before.order, before.ways
    else:
        for way in before.ways:
            stage.rearrange(way)
