"""Methods that would learn alone, since no node that they read trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import Problem
from jumpml.learn.misfits._no_gradient import has_weights, reached
from jumpml.objectives import ObjectiveModule, WithMomentum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jumpml.graph import Model
    from jumpml.learn._phase import Phase


def idle_encoders(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    """Objectives that make sense only where a node trains, in phases in which none that they read does.

    Args:
        model: The model.
        phases: By name; their patterns name nodes that there are.
    """
    for phase, said in phases.items():
        for name in model.active(phase) if said.epochs else ():
            objective = model.objectives[name]
            if isinstance(objective, ObjectiveModule) and objective.needs_learning:
                yield from _idle_encoder(model, phase, said, name, objective)


def _idle_encoder(model: Model, phase: str, said: Phase, name: str, objective: ObjectiveModule) -> Iterator[Problem]:
    read = {node for value in objective.inputs if (node := model.node_of(value)) is not None}
    reaching = reached(model, [name]) - model.without_gradient
    able = [unit for unit in model.units if model.node_of(unit) in reaching and has_weights(model, unit)]
    if {*able} & ({*model.select(said.train)} - {*model.select(said.freeze)}):
        return
    alone = "its momentum encoder would follow weights that stand still"
    if not isinstance(objective, WithMomentum):
        alone = "only what belongs to the objective itself would learn"
    which = f"none of {', '.join(able)} trains in this phase" if able else "nothing that makes it has weights to train"
    reads = ", ".join(map(repr, sorted(read)))
    text = f"objective {name!r} ({type(objective).__name__}) reads {reads}, and {which}: {alone}."
    train = f"Train it (train: [{able[-1]}])" if able else "Name a node with weights"
    yield Problem(("phases", phase, "train"), text, f"{train}, or leave the objective out of the phase, by its `when`.")
