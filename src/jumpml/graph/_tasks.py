"""Whether tasks fit the graph's outputs and the data's fields."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from jumpml.core import TASK_KINDS, FieldInfo, Problem, Task, ValueInfo, did_you_mean, options_problem
from jumpml.graph._history import history_problems

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
            text = f"{_a(task.kind)} task needs a target of kind {wanted}, and {task.target!r} is of kind {field.kind}."
            problems.append(Problem(path, text, fix))
        elif task.brings.one_logit and field.kind == "category" and len(field.classes) != 2:
            text = f"a binary task needs a target with 2 classes, and {task.target!r} has {len(field.classes)}."
            problems.append(Problem(path, text, "With more classes its kind is multiclass."))
        elif task.brings.truth and field.value.shape[0] < 2:
            text = f"a {task.kind} task needs texts of two tokens or more, and {task.target!r} has a length of 1."
            problems.append(Problem(path, text, "Without a next token there is nothing to predict: raise `length`."))
        elif task.kind == "ordinal" and _order_problem(field):
            problems.append(Problem(path, *_order_problem(field)))
        elif task.brings.decides == "embedding" and len(field.classes) < 2:
            text = f"a {task.kind} task needs a target with 2 classes or more, and {task.target!r} has"
            problems.append(Problem(path, f"{text} {len(field.classes)}."))
        elif field.kind == "table" and any(column.kind != "number" for column in field.columns):
            names = ", ".join(column.name for column in field.columns if column.kind != "number")
            text = f"a {task.kind} task predicts numbers, and {names} of {task.target!r} is none."
            problems.append(Problem(path, text, "Give a category a field and a task of its own."))
    return [*problems, *history_problems(tasks, fields)]


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _order_problem(field: FieldInfo) -> tuple[str, ...]:
    """Why a category's classes have no order that could be learned, and what to do; nothing where they have one."""
    shown = f"{', '.join(field.classes[:4])}{', ...' if len(field.classes) > 4 else ''}"
    if len(field.classes) < 2:
        count = len(field.classes)
        return (f"an ordinal task needs a target with 2 classes or more, and {field.name!r} has {count}.",)
    if field.alphabetical:
        text = f"an ordinal task needs classes in their order, and those of {field.name!r} stand by their letters: "
        return f"{text}{shown}.", "Give the field `classes`, from the lowest to the highest."
    return ()


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
    return [
        Problem(("tasks", name, "output"), text, _fix(tasks[name], values[tasks[name].output], fields))
        for name, text in misfits.items()
        if text
    ]


def _fix(task: Task, output: ValueInfo, fields: Mapping[str, FieldInfo]) -> str:
    """One vector a row where there are many, or else as many numbers as the task needs."""
    field, axes = fields.get(task.target), len(output.shape)
    most = len(field.value.shape) if field and task.brings.decides == "numbers" else 1
    if task.brings.at == "row" and axes > max(1, most):
        return f"It has {axes} axes a row: put torch.nn.Flatten or jumpml.blocks.Pool before its last layer."
    head = "PixelHead" if task.brings.at == "pixels" else "Head"
    return f"In a model file jumpml.blocks.{head} is as wide as its task needs."


def _output_misfit(task: Task, output: ValueInfo, field: FieldInfo | None) -> str:
    width, what = prod(output.shape), f"{task.output!r} is {output}"
    if "float" not in output.dtype:
        return f"its output must be a floating point number, and {what}."
    one_a_class = task.brings.decides in {"class", "labels"} and task.brings.at == "row" and not task.brings.one_logit
    if one_a_class and len(output.shape) != 1:
        wanted = "classes - 1" if task.kind == "ordinal" else "classes"
        return (
            f"{'an' if task.kind == 'ordinal' else 'a'} {task.kind} task needs an output [batch, {wanted}], and {what}."
        )
    if one_a_class and field is not None and width != output_width(task, field):
        less = ", one more than the output must be wide" if task.kind == "ordinal" else ""
        return (
            f"the output {what}, {width} wide, and the target {task.target!r} has {len(field.classes)} classes{less}."
        )
    if task.brings.decides == "embedding" and (len(output.shape) != 1 or width < 2):
        return f"a {task.kind} task needs an output [batch, width], and {what}."
    if task.brings.at != "row":
        return _position_misfit(task, output, field)
    if task.brings.one_logit and output.shape not in {(), (1,)}:
        return f"a binary task needs an output [batch] or [batch, 1], and {what}."
    if task.brings.decides == "numbers" and field is not None and width != output_width(task, field):
        size = f"{prod(field.value.shape)} a row"
        size += f" at each of {len(task.quantiles)} quantiles" if task.quantiles else ""
        return f"the output {what}, {width} numbers a row, and the target {task.target!r} is {field.value}, {size}."
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


def output_width(task: Task, field: FieldInfo) -> int:
    """How many numbers a row of a task's output holds.

    Args:
        task: The task; its output is as wide as its target asks for.
        field: The target.

    Example:
        >>> age = FieldInfo(name="age", kind="number", value=ValueInfo(shape=(1,)))
        >>> output_width(Task(kind="regression", output="out", target="age", quantiles=(0.1, 0.5, 0.9)), age)
        3
    """
    if task.brings.decides == "numbers":
        return prod(field.value.shape) * max(len(task.quantiles), 1)
    if task.brings.one_logit:
        return 1
    if task.brings.prediction == "corn":
        return len(field.classes) - 1
    return len(field.classes) or field.value.classes or 0  # a text's classes are its tokens, which have no list


def kind_problems(tasks: Mapping[str, Task]) -> list[Problem]:
    """Kinds that there are not, and options that do not fit the kind."""
    problems = []
    for name, task in tasks.items():
        if task.kind not in TASK_KINDS:
            text, near = f"there is no task kind {task.kind!r}.", did_you_mean(task.kind, TASK_KINDS)
            problems.append(Problem(("tasks", name, "kind"), text, near))
            continue
        season = None if task.season == 1 else task.season
        problem = options_problem(
            task.kind, metrics=task.metrics or (), quantiles=task.quantiles, history=task.history, season=season
        )
        if problem:
            problems.append(Problem(("tasks", name), f"{problem}."))
    return problems
