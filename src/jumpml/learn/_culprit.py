"""Where a non-finite loss began: the run is lived again from its last checkpoint up to that step, and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import NonFiniteLossError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from jumpml.learn._learner import Learner
    from jumpml.learn._meter import NonFinite
    from jumpml.learn._stage import Stage

_ADVICE = "Lower the learning rate, set clip_norm, or look at the rows of that batch."


def explain(learner: Learner, signal: NonFinite) -> NonFiniteLossError:
    """The error for a non-finite loss, with the node where it began if a checkpoint lets us go back.

    The learner is left as that checkpoint has it.
    """
    head = f"the loss of objective {signal.objective!r} became non-finite at step {signal.step}"
    if signal.objective is None:
        head = f"the weights became non-finite in the update of step {signal.step - 1}"
    if not learner.resume():
        kept = learner.restore_last_good()
        left = "" if kept is None else f" The weights are those after step {kept}, and the optimizer begins afresh."
        more = "With checkpoints on, the node where it began would be named."
        return NonFiniteLossError(f"{head}.{left} {_ADVICE} {more}")
    good = learner.progress.step
    origin = _relive(learner, signal.step)
    learner.resume()
    return NonFiniteLossError(f"{head}; it began in {origin}. The checkpoint of step {good} is good. {_ADVICE}")


def _relive(learner: Learner, step: int) -> str:
    while learner.progress.step < step:
        for batches in learner.windows():
            if learner.progress.step == step - 1 and learner.stage is not None:
                found = [_first_non_finite(learner, learner.stage, batch) for batch in batches]
                return next((place for place in found if place), "the sum of the objectives")
            learner.step(*batches)
        phase = learner.progress.phase or ""
        learner.progress.epochs[phase] = learner.progress.closed(phase) + 1
        learner.progress.batch = 0
    return "a step that did not come again: something in the model or the data is not repeatable"


def _first_non_finite(learner: Learner, stage: Stage, batch: Mapping[str, Tensor]) -> str:
    """In words; nothing where all values of the batch are finite."""
    for name, value in batch.items():
        if not _finite(value):
            return f"the field {name!r} of the batch"
    for node in learner.model.node_names:
        for name, parameter in learner.model.node(node).named_parameters():
            if not _finite(parameter):
                return f"node {node!r}: the update of the step before made its parameter {name!r} non-finite"
    losses, values = stage.plan(batch)
    for name, value in values.items():
        if not _finite(value):
            return f"node {name!r}: its output is non-finite though its inputs and weights are finite"
    for name, loss in losses.items():
        if not _finite(loss.value):
            return f"objective {name!r}: its loss is non-finite though what it reads is finite"
    return ""


def all_finite(values: Iterable[Tensor]) -> bool:
    """Whether no value is NaN or infinite, with one reading of the device."""
    finite = [value.isfinite().all() for value in values if value.is_floating_point()]
    return not finite or bool(torch.stack(finite).all())


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())
