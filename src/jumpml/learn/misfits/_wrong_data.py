"""Data that the model's tasks or nodes cannot take as the data file makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import GraphError, LearnerError, Problem, field_of, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jumpml.data import DataLoaders
    from jumpml.graph import Model


def check_lengths(model: Model, loaders: DataLoaders) -> None:
    """Refuse a model that cannot take a text as short as ``bucket`` cuts it.

    Raises:
        LearnerError: A node, or a task's output, depends on the whole length.
    """
    shortest = {name: value for name, value in loaders.shortest().items() if name in model.inputs}
    if not shortest:
        return
    try:
        model.check_shapes(shortest)
    except GraphError as error:
        field, value = field_of(next(iter(shortest))), next(iter(shortest.values()))
        whole = loaders.fields[field].value.shape[0]
        needs = f"it needs all {whole} tokens of {field!r}, which `bucket` cuts to {value.shape[0]} or more"
        fix = "Pool over the tokens before, as jumpml.blocks.Pool does, or leave `bucket` out of the data file."
        raise refusal(LearnerError, [Problem(p.path, f"{needs}: {p.text}", fix) for p in error.problems]) from error


def unmixed_targets(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Tasks whose inputs are mixed between rows, and whose target is not."""
    for mixed in loaders.policies.mixed:
        for name, task in model.tasks.items():
            read = [field for field in mixed if field in model.ancestors(task.output)]
            if read and task.target not in mixed:
                text = f"`augment` mixes {read[0]!r} of different rows, and would leave their {task.target!r} as it is."
                fix = f"Name {task.target!r} in that key of `augment` too, or leave the mixing out."
                yield Problem(("tasks", name, "target"), text, fix)


def filled_targets(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Tables of targets whose features put numbers where some are missing: these would be learned."""
    for name, task in model.tasks.items():
        field = loaders.fields.get(task.target)
        partly = [column.name for column in field.columns if column.missing > field.missing] if field else []
        step = next((step.name for step in loaders.features.steps(task.target) if step.fills), None) if partly else None
        if step:
            text = f"{', '.join(partly)} of {task.target!r} is missing in some rows, and {step} would fill it in."
            yield Problem(("tasks", name, "target"), text, "With `standardize: {fill: false}` it stays missing.")
