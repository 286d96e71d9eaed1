"""Objectives that ask for phases or views that there are not, or for other data than there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import Problem, did_you_mean, field_of
from jumpml.graph import is_drawn
from jumpml.objectives import PseudoLabel, TS2Vec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jumpml.core import Objective
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._phase import Phase

# phases that an objective may name though no learner has them
BUILT_IN = ("self_supervised", "supervised", "test_time")


def unknown_phases(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    known = {*phases, *BUILT_IN}
    for name, objective in model.objectives.items():
        for phase in objective.when:
            if phase not in {*known, "all"}:
                fix = did_you_mean(phase, known)
                yield Problem(place_of(model, name, "when"), f"there is no phase {phase!r}.", fix)


def wrong_views(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    for name, objective in model.objectives.items():
        read = _read(model, objective)
        for view in dict.fromkeys(objective.views):
            touched = loaders.view_fields.get(view)
            path = place_of(model, name, "views")
            if touched is None:
                near = did_you_mean(view, loaders.view_fields)
                yield Problem(path, f"the data has no view {view!r}.", near)
            elif not touched & read:
                text = (
                    f"the view {view!r} changes {', '.join(sorted(touched))}, and {', '.join(objective.inputs)} "
                    f"depends on nothing of that but on {', '.join(sorted(read & {*loaders.fields}))}."
                )
                yield Problem(path, text, "Let the view change what the node reads, or name another node.")


def equal_views(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Objectives of nodes alone that compare draws, though nothing makes these differ."""
    changed, touched = loaders.policies.changed, loaders.view_fields
    for name, objective in model.objectives.items():
        several = objective.views and (len(objective.views) > 1 or objective.draws != 1)
        if not several or not all(map(model.node_of, objective.inputs)):
            continue
        read = _read(model, objective)
        if not all(touched.get(view, frozenset()) & read for view in objective.views):
            continue  # which is another mistake
        if any(changed[view] & read for view in objective.views) or is_drawn(model, objective.inputs):
            continue
        views = " and ".join(map(repr, dict.fromkeys(objective.views)))
        fields = ", ".join(sorted(read & {*loaders.fields}))
        text = f"no step of the view {views} changes {fields}: its draws are equal."
        fix = "Give it steps; or a node that is read dropout, which differs from draw to draw."
        yield Problem(place_of(model, name, "views"), text, fix)


def moved_steps(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Views that put other steps beside each other than those that are compared."""
    for name, objective in model.objectives.items():
        if isinstance(objective, TS2Vec):
            read = _read(model, objective)
            for view in dict.fromkeys(objective.views):
                for field in sorted(loaders.policies.moved.get(view, frozenset()) & read):
                    text = f"the view {view!r} moves the steps of {field!r}, and each is compared with the same step."
                    fix = "Let it hide stretches, scale or add noise: mask_steps, scale, noise."
                    yield Problem(place_of(model, name, "views"), text, fix)


def all_labelled(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Objectives for rows without a label, where each row has one."""
    for name, objective in model.objectives.items():
        if isinstance(objective, PseudoLabel):
            for field in map(field_of, objective.inputs[1:]):
                if field in loaders.fields and not loaders.fields[field].missing:
                    text = f"it learns from rows without {field!r}, and every row has a value of it."
                    fix = f"Leave {field!r} out of its inputs to learn from all rows, or mix in a data set without it."
                    yield Problem(place_of(model, name, "inputs"), text, fix)


def _read(model: Model, objective: Objective) -> frozenset[str]:
    """What an objective's values come from, with the fields of what views tell."""
    return model.behind(objective.inputs).union(map(field_of, objective.inputs))


def place_of(model: Model, objective: str, key: str) -> tuple[str, ...]:
    """Where a model file says it: a task's own objective stands with its task."""
    return ("tasks", objective, "objective", key) if objective in model.tasks else ("objectives", objective, key)
