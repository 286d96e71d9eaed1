"""What a model checks of itself: before shapes are known, after, and when data comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from jumpml.core import (
    MASK,
    PRESENT,
    FieldInfo,
    Objective,
    Problem,
    Task,
    ValueInfo,
    derived_of,
    did_you_mean,
    masks_of,
)
from jumpml.graph._brought import BroughtLoss, check_brought
from jumpml.graph._codes import codes_problems
from jumpml.graph._names import Names
from jumpml.graph._node import Node
from jumpml.graph._patterns import pattern_problems
from jumpml.graph._problem import refuse
from jumpml.graph._references import (
    name_problems,
    objective_references,
    output_references,
    parts_problems,
    target_references,
    unknown_fields,
    untold,
)
from jumpml.graph._tasks import featurised_targets, kind_problems, output_problems, target_problems
from jumpml.graph._wiring import Wiring, namesakes, wiring_problems
from jumpml.pretrained import tokens_problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jumpml.graph._inferred import Inferred
    from jumpml.graph._model import Model

_ATTRIBUTES = (*Objective.__annotations__, "connect")
_AS_OBJECTIVE = "Derive it from jumpml.objectives.ObjectiveModule, or wrap a loss in LossModule."


def check_structure(
    inputs: Mapping[str, ValueInfo],
    nodes: Mapping[str, Node],
    tasks: Mapping[str, Task],
    objectives: Mapping[str, Objective],
    fields: Mapping[str, FieldInfo],
    *,
    whole: str | None = None,
) -> Names:
    """Names and wiring.

    Returns:
        What references stand for.

    Raises:
        GraphError: With all that is wrong.
    """
    refuse(_wrong_types(nodes, objectives))
    others = {name: objective.inputs for name, objective in objectives.items() if name not in tasks}
    named = [name for name, objective in objectives.items() if not _is_brought(name, objective)]
    edges = {name: node.inputs for name, node in nodes.items()}
    inner = [path for path, _ in nodes[whole].module.named_modules() if path] if whole is not None else []
    names = Names(edges, whole, inner)
    refuse(_hidden(names, {*inputs, *fields}))
    wiring = wiring_problems(inputs, edges, fields, names)
    patterns = {name: objective.parameters_of for name, objective in objectives.items()}
    outputs = {name: task.output for name, task in tasks.items()}
    wrong_outputs = output_references(outputs, inputs, names)
    read = {name.removesuffix(MASK).removesuffix(PRESENT) for name in inputs}
    refuse(
        [
            *name_problems(inputs=read, nodes=nodes, tasks=tasks, objectives=named),
            *parts_problems(names),
            *wiring,
            *kind_problems(tasks),
            *wrong_outputs,
            *target_references({name: task.target for name, task in tasks.items()}, nodes, fields),
            *objective_references(others, inputs, names, fields),
            *untold(others, {name: objective.views for name, objective in objectives.items()}, fields),
            *_namesakes(tasks, objectives),
            *([] if wiring or wrong_outputs else pattern_problems(patterns, Wiring.of(edges, names), outputs)),
        ]
    )
    return names


def _hidden(names: Names, fields: Collection[str]) -> list[Problem]:
    return [
        Problem(("inputs", field), f"an inner module of {names.whole!r} has this name too.", "Give the field another.")
        for field in names.inner
        if field in fields
    ]


def _is_brought(name: str, objective: Objective) -> bool:
    """Whether it is a loss of a node under that loss's own name, ``node.loss``."""
    return isinstance(objective, BroughtLoss) and objective.inputs == (name,)


def _wrong_types(nodes: Mapping[str, Node], objectives: Mapping[str, Objective]) -> list[Problem]:
    return [
        *(
            Problem(("nodes", name), f"expected a Node(module, inputs), got a {type(node).__name__}.")
            for name, node in nodes.items()
            if not isinstance(node, Node)
        ),
        *(
            Problem(("nodes", name), f"expected an nn.Module, got a {type(node.module).__name__}.")
            for name, node in nodes.items()
            if isinstance(node, Node) and not isinstance(node.module, nn.Module)
        ),
        *(
            Problem(("objectives", name), f"expected an nn.Module, got a {type(objective).__name__}.")
            for name, objective in objectives.items()
            if not isinstance(objective, nn.Module)
        ),
        *(
            Problem(("objectives", name), f"it has no {', '.join(lacking)}, as an objective has.", _AS_OBJECTIVE)
            for name, objective in objectives.items()
            if isinstance(objective, nn.Module) and (lacking := [a for a in _ATTRIBUTES if not hasattr(objective, a)])
        ),
    ]


def _namesakes(tasks: Mapping[str, Task], objectives: Mapping[str, Objective]) -> list[Problem]:
    return [
        Problem(
            ("objectives", name),
            f"a task has this name too, but its own objective would read {tasks[name].output}, {tasks[name].truth}; "
            f"this one reads {', '.join(objective.inputs) or 'parameters'}.",
            "Tasks and objectives share one set of names: rename one.",
        )
        for name, objective in objectives.items()
        if name in tasks and tuple(objective.inputs) != (tasks[name].output, tasks[name].truth)
    ]


def check_outputs(
    tasks: Mapping[str, Task],
    objectives: Mapping[str, Objective],
    fields: Mapping[str, FieldInfo],
    inferred: Inferred,
) -> None:
    """What tasks and objectives read has a shape, and it fits the tasks.

    Raises:
        GraphError: With all that is wrong.
    """
    read: list[tuple[str, str, str]] = [("tasks", name, task.output) for name, task in tasks.items()]
    check_brought(objectives, inferred.brought)
    others = [
        (name, objective)
        for name, objective in objectives.items()
        if name not in tasks and not isinstance(objective, BroughtLoss)
    ]
    read += [("objectives", name, reference) for name, objective in others for reference in objective.inputs]
    refuse(
        [
            Problem((kind, name), f"reads {reference!r}, but {inferred.why_not(reference)}")
            for kind, name, reference in read
            if reference not in inferred.values and inferred.names.split(reference)[0] in inferred.outputs
        ]
    )
    refuse([*(target_problems(tasks, fields) if fields else []), *output_problems(tasks, inferred.values, fields)])


def check_data(
    model: Model, fields: Mapping[str, FieldInfo], values: Mapping[str, ValueInfo], undoable: Mapping[str, bool]
) -> None:
    """A model against data that was not known when it was built.

    Raises:
        GraphError: With all that is wrong.
    """
    problems: list[Problem] = []
    for name, info in model.inputs.items():
        known, near = (*fields, *derived_of(fields)), did_you_mean(name, (*fields, *masks_of(fields)))
        if name not in known and name in model.needed:
            problems.append(Problem(("inputs", name), "the data has no field of this name.", near))
        elif name in known and name in values and values[name] != info:
            problems.append(
                Problem(("inputs", name), f"the model reads {info}, and the data gives {values[name]} after features.")
            )
    reads = {
        name: objective.inputs
        for name, objective in model.objectives.items()
        if name not in model.tasks and not isinstance(objective, BroughtLoss)
    }
    refuse(
        [
            *problems,
            *namesakes(model.node_names, fields, "a field of the data"),
            *target_problems(model.tasks, fields),
            *featurised_targets(model.tasks, fields, values, undoable),
            *output_problems(model.tasks, model.values, fields),
            *unknown_fields(reads, model.values, fields),
            *untold(reads, {name: objective.views for name, objective in model.objectives.items()}, fields),
            *_foreign_tokens(model, fields),
            *codes_problems(model, fields),
        ]
    )


def _foreign_tokens(model: Model, fields: Mapping[str, FieldInfo]) -> list[Problem]:
    """Pretrained nodes that read texts in other tokens than their models know."""
    return [
        Problem(("nodes", node, "inputs"), problem)
        for node, reads in model.reads.items()
        for name in reads
        if name in fields and name in model.inputs and model.inputs[name].dtype == "int64"
        if (problem := tokens_problem(model.node(node), fields[name]))
    ]
