"""Whether tasks fit the graph's outputs and the data's fields."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from jumpml.core import TASK_KINDS, FieldInfo, Problem, Task, ValueInfo, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


def target_problems(tasks: Mapping[str, Task], fields: Mapping[str, FieldInfo]) -> list[Problem]:
    """Targets that no data has or that are of the wrong kind.

    Args:
        tasks: By name.
        fields: The data's fields.
    """
    problems: list[Problem] = []
    for name, task in tasks.items():
        path, field = ("tasks", name, "target"), fields.get(task.target)
        if field is None:
            problems.append(Problem(path, f"the data has no field {task.target!r}.", did_you_mean(task.target, fields)))
        elif field.kind not in task.brings.target:
            wanted = " or ".join(task.brings.target)
            fits = [kind.name for kind in TASK_KINDS.values() if field.kind in kind.target]
            fix = f"A field of this kind goes with {' or '.join(fits)}."
            text = f"a {task.kind} task needs a target of kind {wanted}, and {task.target!r} is of kind {field.kind}."
            problems.append(Problem(path, text, fix))
        elif task.brings.one_logit and field.kind == "category" and len(field.classes) != 2:
            text = f"a binary task needs a target with 2 classes, and {task.target!r} has {len(field.classes)}."
            problems.append(Problem(path, text, "With more classes its kind is multiclass."))
        elif task.brings.truth and field.value.shape[0] < 2:
            text = f"a {task.kind} task needs texts of two tokens or more, and {task.target!r} has a length of 1."
            problems.append(Problem(path, text, "Without a next token there is nothing to predict: raise `length`."))
    return problems


def featurised_targets(
    tasks: Mapping[str, Task],
    fields: Mapping[str, FieldInfo],
    values: Mapping[str, ValueInfo],
    undoable: Mapping[str, bool],
) -> list[Problem]:
    """Classes that features change, and numbers whose predictions have no way back to raw units.

    Args:
        tasks: By name.
        fields: The data's fields, as decoded.
        values: The same after features.
        undoable: By field with features, whether these can be undone.
    """
    problems = []
    for name, task in tasks.items():
        field, target = fields.get(task.target), task.target
        if field is None or target not in undoable:
            continue
        if task.brings.decides != "numbers":
            text = f"classes must stay codes, and {target!r} has features."
        elif not undoable[target]:
            text = f"predictions are told in raw units, and the features of {target!r} cannot be undone."
        elif values[target].shape != field.value.shape:
            text = (
                f"predictions are {field.value} as in the data, and the features of {target!r} give {values[target]}."
            )
        else:
            continue
        fix = "Take it out of `features`; where a node reads it, let another field have its column."
        problems.append(Problem(("tasks", name, "target"), text, fix))
    return problems


def output_problems(
    tasks: Mapping[str, Task], values: Mapping[str, ValueInfo], fields: Mapping[str, FieldInfo]
) -> list[Problem]:
    """Outputs whose shape is not what the kind, or the target, asks for.

    Args:
        tasks: By name; outputs and targets exist.
        values: Of every node and part.
        fields: The data's fields, or nothing where they are not known yet.
    """
    misfits = {name: _output_misfit(task, values[task.output], fields.get(task.target)) for name, task in tasks.items()}
    return [Problem(("tasks", name, "output"), text, _fix(tasks[name])) for name, text in misfits.items() if text]


def _fix(task: Task) -> str:
    head = "PixelHead" if task.brings.at == "pixels" else "Head"
    return f"In a model file jumpml.blocks.{head} is as wide as its task needs."


def _output_misfit(task: Task, output: ValueInfo, field: FieldInfo | None) -> str:
    width, what = prod(output.shape), f"{task.output!r} is {output}"
    if "float" not in output.dtype:
        return f"its output must be a floating point number, and {what}."
    one_a_class = task.brings.decides != "numbers" and task.brings.at == "row" and not task.brings.one_logit
    if one_a_class and len(output.shape) != 1:
        return f"a {task.kind} task needs an output [batch, classes], and {what}."
    if one_a_class and field is not None and width != len(field.classes):
        return f"the output {what}, {width} wide, and the target {task.target!r} has {len(field.classes)} classes."
    if task.brings.at != "row":
        return _position_misfit(task, output, field)
    if task.brings.one_logit and output.shape not in {(), (1,)}:
        return f"a binary task needs an output [batch] or [batch, 1], and {what}."
    if task.brings.decides == "numbers" and field is not None and width != prod(field.value.shape):
        size = prod(field.value.shape)
        return (
            f"the output {what}, {width} numbers a row, and the target {task.target!r} is {field.value}, {size} a row."
        )
    return ""


def _position_misfit(task: Task, output: ValueInfo, field: FieldInfo | None) -> str:
    """Why an output has no number for each class of each position."""
    what, pixels = f"{task.output!r} is {output}", task.brings.at == "pixels"
    form, places = ("[batch, classes, height, width]", 2) if pixels else ("[batch, length, classes]", 1)
    if len(output.shape) != places + 1:
        return f"a {task.kind} task needs an output {form}, and {what}."
    if field is None:
        return ""
    given, positions = (output.shape[0], output.shape[1:]) if pixels else (output.shape[-1], output.shape[:-1])
    wanted = len(field.classes) or field.value.classes or given
    of = "different tokens" if task.brings.truth else "classes"
    if given != wanted:
        return f"the output {what}, for {given} classes, and the target {task.target!r} has {wanted} {of}."
    if positions != field.value.shape:
        return f"a {task.kind} task decides at each position of its target, which is {field.value}, and {what}."
    return ""


def kind_problems(tasks: Mapping[str, Task]) -> list[Problem]:
    """Kinds that there are not."""
    return [
        Problem(("tasks", name, "kind"), f"there is no task kind {task.kind!r}.", did_you_mean(task.kind, TASK_KINDS))
        for name, task in tasks.items()
        if task.kind not in TASK_KINDS
    ]
