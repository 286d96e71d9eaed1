"""Steps that a loop lives without an update, to be looked at closely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.learn._reshaping import regrow
from jumpml.learn.saving._snapshot import Snapshot
from jumpml.learn.steps._relived import look_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.learn._loop import Loop
    from jumpml.learn._stage import Stage
    from jumpml.learn.steps._relived import RelivedStep


def look_ahead(loop: Loop, stage: Stage, batches: Sequence[Mapping[str, Tensor]]) -> tuple[RelivedStep, Snapshot]:
    """The coming step's losses and gradients; and what it takes to see them again."""
    loop.move_weights(stage)
    served = [dict(batch) for batch in batches]
    state = {
        "step": loop.progress.step + 1,
        "phase": stage.name,
        "stopped": [*loop.progress.stopped.get(stage.name, ())],
        "lineage": [*loop.model.lineage],
        "net": loop.model.state_dict(),
        "weights": dict(loop.weights.now),
        "random": loop.random.state_dict(),
        "batches": served,
    }
    kept = Snapshot.take({"model": {}, **state})
    return look_at(loop.model, stage, served, loop.weights.now, state["step"]), kept


def relive(loop: Loop, state: Mapping[str, Any]) -> RelivedStep:
    """The same of a step that was kept; the model stands before it then."""
    regrow(loop, state["lineage"])
    loop.model.load_state_dict(state["net"])
    loop.progress.stopped[state["phase"]] = [*state["stopped"]]
    stage = loop.enter(state["phase"])
    loop.weights.now.update(state["weights"])
    loop.model.train()
    with loop.random:
        loop.random.load_state_dict(state["random"])
        device = loop.loaders.device
        batches = [{name: value.to(device) for name, value in batch.items()} for batch in state["batches"]]
        return look_at(loop.model, stage, batches, loop.weights.now, state["step"])
