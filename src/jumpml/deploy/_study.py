"""A model that is trained again: on its tasks' own objectives, and on what another model says."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, final

import torch
from torch import Tensor, nn

from jumpml.core import DeploymentError
from jumpml.graph import Model, Node
from jumpml.objectives import Distillation, PositionDistillation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jumpml.core import FieldInfo, Objective

SUPERVISED = "supervised"


@final
class _Whole(nn.Module):
    """A model as one node: reads its fields, and gives its nodes' values by reference."""

    def __init__(self, model: Model, references: Collection[str]) -> None:
        super().__init__()
        self.references = tuple(dict.fromkeys(references))
        nodes = dict.fromkeys(filter(None, map(model.node_of, self.references)))
        self.model = model.until(*nodes)  # without what its objectives learn: no gradient would come there
        self.fields = self.model.plan(self.references, self.model.inputs).fields

    def forward(self, *values: Tensor) -> dict[str, Tensor]:
        return self.model(dict(zip(self.fields, values, strict=True)), outputs=self.references)


@final
class _Fixed(nn.Module):
    """A node that never learns, whoever trains: no gradient, and evaluation mode always."""

    def __init__(self, whole: _Whole) -> None:
        super().__init__()
        self.whole = whole

    @torch.no_grad()
    def forward(self, *values: Tensor) -> dict[str, Tensor]:
        return self.whole(*values)

    def train(self, mode: bool = True) -> Self:
        return super().train(mode=False)


def study(
    student: Model, fields: Mapping[str, FieldInfo], source: Model | None = None, temperature: float = 1.0
) -> Model:
    """Join a student, its tasks' own objectives and, where there is one, the source that it learns from.

    Args:
        student: Its very modules are trained.
        fields: The data's fields.
        source: A model with the same tasks, whose outputs the student shall match.
        temperature: See `jumpml.objectives.Distillation`.

    Returns:
        A model to train in place of the student; its outputs and tasks are the student's.

    Raises:
        DeploymentError: There is nothing to learn from: no source, and no task's own objective in the supervised phase.
        ObjectiveError: The source's outputs have another shape than the student's.
    """
    student.train_only(student.node_names)  # a phase may have left some of them frozen
    names = _unused({*student.inputs, *(source.inputs if source else ()), *fields})
    own = {name: student.objectives[name] for name in student.active(SUPERVISED) if name in student.tasks}
    if source is None and not own:
        raise DeploymentError(
            "there is nothing to train on: no task has an objective of its own in the supervised phase."
        )
    references = [task.output for task in student.tasks.values()]
    read = [name for objective in own.values() for name in objective.inputs if student.node_of(name)]
    whole = _Whole(student, [*references, *read])
    nodes = {names["student"]: Node(whole, list(whole.fields))}
    objectives: dict[str, Any] = {task: _moved(objective, student, names["student"]) for task, objective in own.items()}
    if source is not None:
        taught = _Whole(source, [task.output for task in source.tasks.values()])
        nodes[names["source"]] = Node(_Fixed(taught), list(taught.fields))
        for task, how in student.tasks.items():
            inputs = (f"{names['student']}.{how.output}", f"{names['source']}.{source.tasks[task].output}")
            options: dict[str, Any] = {"kind": how.kind, "temperature": temperature}
            objectives[f"{task} as the source"] = (
                Distillation(inputs, **options)
                if how.brings.at == "row"
                else PositionDistillation((*inputs, how.truth), **options)
            )
    return Model(
        inputs={**(source.inputs if source else {}), **student.inputs},
        nodes=nodes,
        tasks={task: replace(how, output=f"{names['student']}.{how.output}") for task, how in student.tasks.items()},
        objectives=objectives,
        fields=fields,
    )


def fixed_nodes(pair: Model) -> tuple[str, ...]:
    """The nodes of what `study` gives that never learn."""
    return tuple(name for name in pair.node_names if isinstance(pair.node(name), _Fixed))


def _moved(objective: Objective, student: Model, node: str) -> Objective:
    """The objective as it reads the student's values through the one node."""
    moved = copy.deepcopy(objective)
    moved.when = (SUPERVISED,)  # the one phase that there is; the student's other phases are over
    moved.inputs = tuple(f"{node}.{name}" if student.node_of(name) else name for name in moved.inputs)
    return moved


def _unused(taken: Collection[str]) -> dict[str, str]:
    """Names for the two nodes that no field has."""
    names = {}
    for name in ("student", "source"):
        names[name] = name
        while names[name] in taken:
            names[name] += "_"
    return names
