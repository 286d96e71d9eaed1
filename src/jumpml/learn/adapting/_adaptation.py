"""How a learner adapts its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpml.core import NEXT, PRESENT, TOLD, LearnerError, did_you_mean
from jumpml.learn.adapting._adapted import Adapted
from jumpml.learn.adapting._method import AdaptationMethod
from jumpml.learn.adapting._probe import Probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """A method, and how it is held in check; see `Adapted`.

    Attributes:
        method: How the model adapts.
        episodic: Whether each batch begins with the unadapted model.
        probe: What an adaptation is undone for; nothing is where None.
    """

    method: AdaptationMethod
    episodic: bool = False
    probe: Probe | None = Probe()  # noqa: RUF009 (frozen)


def adapt_to(
    loaders: DataLoaders, model: Model, how: Adaptation | AdaptationMethod | None, *, seed: int = 0
) -> Adapted:
    """An adapting copy of a model, whose known rows are those of the validation split.

    Args:
        loaders: The data that the model was made for.
        model: The model.
        how: What was asked for.
        seed: See `Adapted`.

    Raises:
        LearnerError: Nobody said how, the method cannot adapt this model, or the data has no such view.
    """
    if how is None:
        raise LearnerError(
            "nobody has said how to adapt. Give the learner file the key `adapt`, or name a method: "
            "learner.adapt(method=jumpml.learn.BatchStatistics())."
        )
    if isinstance(how, AdaptationMethod):
        how = Adaptation(method=how)
    problem = view_problem(loaders, model, how.method)
    if problem:
        raise LearnerError(f"{how.method.name}: {problem}")
    loaders.bind([value for value in how.method.reads(model) if value.endswith((NEXT, PRESENT, *TOLD))])
    known = known_rows(loaders, model, how.probe.rows) if how.probe else ()
    return Adapted(model, how.method, episodic=how.episodic, probe=how.probe, known=known, seed=seed)


def view_problem(loaders: DataLoaders, model: Model, method: AdaptationMethod) -> str:
    """Why draws cannot be served, or change nothing of what the tasks read; empty where they can and do."""
    read = model.behind(task.output for task in model.tasks.values())
    for view in dict.fromkeys(draw.rpartition(".")[0] for draw in method.draws(model)):
        if view not in loaders.view_fields:
            near = did_you_mean(view, loaders.view_fields) if loaders.view_fields else "It has none: give it `views`."
            return f"the data has no view {view!r}. {near}"
        if not loaders.view_fields[view] & read:
            touched = ", ".join(sorted(loaders.view_fields[view]))
            return f"the view {view!r} changes {touched}, and no task reads that."
    return ""


def known_rows(loaders: DataLoaders, model: Model, rows: int) -> Iterable[Mapping[str, Tensor]]:
    """Batches of validation rows, evenly apart, so many that they have ``rows`` rows; none where there are none."""
    loaders.bind([task.truth for task in model.tasks.values() if task.truth != task.target])
    batches = -(-rows // loaders.batch_size)
    return loaders.val.few(batches).plain() if batches and len(loaders.val.rows) else ()
