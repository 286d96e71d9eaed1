"""The state of a loop: what a checkpoint has of it, what it goes on from, and whose it is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from jumpml.learn._reshaping import regrow
from jumpml.learn.optimizers._joint import names_of
from jumpml.learn.steps._execution import laid_out_alike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.learn._loop import Loop
    from jumpml.learn._stage import Stage
    from jumpml.learn.saving._identity import Changes


def identity_of(loop: Loop) -> dict[str, str]:
    """What must be the same for a resumed run to be the same run."""
    return {
        "seed": str(loop.seed),
        "train rows": str(len(loop.loaders.train.rows)),
        "batch size": str(loop.loaders.batch_size),
        "how rows are drawn": loop.loaders.train.fingerprint(),
        "optimizer": names_of(loop.optimizer),
        **loop.update.identity(),
        "accumulate": str(loop.accumulate),
        "execution": str(loop.execution),
        **({} if loop.processes.alone else {"processes": str(loop.processes.count)}),
        **loop.hooks.identity(),
        **{f"phase {name}": str(phase) for name, phase in loop.phases.items()},
    }


def state_of(loop: Loop) -> dict[str, Any]:
    """All of it. The steps must have been read."""
    return {
        "lineage": [*loop.model.lineage],
        "model": loop.model.state_dict(),
        "optimizer": loop.optimizer.state_dict(),
        "update": loop.update.state_dict(),
        "stage": loop.stage.state_dict() if loop.stage else None,
        "random": _random_of(loop),
        "meter": loop.meter.state_dict(),
        "progress": vars(loop.progress),
        "hooks": loop.hooks.state_dict(),
    }


def load_state(loop: Loop, state: Mapping[str, Any], changes: Changes) -> None:
    """Bring a loop to where another stood.

    Args:
        loop: The loop.
        state: What `state_of` gave, of this loop or of one that was another.
        changes: What was another.

    Raises:
        CheckpointError: A part of the state does not fit what was changed.
    """
    anew = _take_place(loop, state, changes)
    with changes.fitting("the model's weights"):
        regrow(loop, state["lineage"])
        loop.model.load_state_dict(state["model"])
    stage = loop.enter(loop.progress.phase) if loop.progress.phase else None
    _load_moments(loop, state, stage, changes)
    with changes.fitting("what joins the loop"):
        loop.hooks.load_state_dict(state["hooks"])
    if anew and loop.teaching:
        loop.teaching.begin_anew()
    random = state["random"]
    every = random.get("processes", [random])
    if len(every) == loop.processes.count:  # another number of them draws anew
        loop.random.load_state_dict(every[loop.processes.rank])


def _take_place(loop: Loop, state: Mapping[str, Any], changes: Changes) -> bool:
    """Stand where the other stood; whether the open epoch begins anew, since it has other batches now."""
    loop.progress.load(state["progress"])
    loop.meter.load_state_dict(state["meter"])
    phase, told = loop.phases.get(loop.progress.phase or ""), state["stage"] or {}
    moved = phase is not None and told.get("data", [*phase.data]) != [*phase.data]
    anew = (changes.orders or moved) and loop.progress.batch > 0
    if anew:
        loop.progress.batch = 0
        loop.meter.end_epoch()
    return anew


def _load_moments(loop: Loop, state: Mapping[str, Any], stage: Stage | None, changes: Changes) -> None:
    """What moves the weights, and how fast."""
    fresh = [{key: group[key] for key in group if key != "params"} for group in loop.optimizer.param_groups]
    with changes.fitting("the optimizer"):
        if "optimizer" not in changes.by_key:  # another one's moments mean nothing to it
            loop.optimizer.load_state_dict(state["optimizer"])
            if loop.execution.channels_last:
                laid_out_alike(loop.optimizer)
        loop.update.load_state_dict(state["update"])
        if stage and not changes.rates:
            stage.load_state_dict(state["stage"])
    if stage and changes.rates:
        _move_rates(loop, stage, fresh)


def _random_of(loop: Loop) -> dict[str, Any]:
    """The generators' states: where several processes learn, each has its own."""
    states = loop.processes.gather(loop.random.state_dict())
    return states[0] if loop.processes.alone else {"processes": states}


def _move_rates(loop: Loop, stage: Stage, fresh: Sequence[Mapping[str, Any]]) -> None:
    """Let the rates stand where they would, had they moved so since the phase began; a plateau begins afresh."""
    for group, options in zip(loop.optimizer.param_groups, fresh, strict=True):
        group.update(options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch misses the updates, which were another process's
        an_epoch = -(-len(loop.loaders.train) // loop.accumulate)
        done = -(-loop.progress.batch // loop.accumulate)
        for _ in range(loop.progress.closed(stage.name) * an_epoch + done):
            stage.advance()
