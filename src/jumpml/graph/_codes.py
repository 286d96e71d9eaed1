"""Whether a field's codes are of the classes that a model knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import FieldInfo
    from jumpml.graph._model import Model

_NAMED = 12  # classes that a text lists


def classes_problem(known: FieldInfo | None, field: FieldInfo) -> str:
    """Why codes of a field would be read as other classes than they are of; empty where they would not.

    Args:
        known: The field as the model knows it, if it does.
        field: The field of data.
    """
    if known is None or not known.classes or not field.classes or known.classes == field.classes:
        return ""
    pairs = [*zip(known.classes, field.classes, strict=False)]
    code = next((code for code, (one, other) in enumerate(pairs) if one != other), len(pairs))
    told = [f"{classes[code]!r}" if code < len(classes) else "no class" for classes in (known.classes, field.classes)]
    return (
        f"code {code} of {field.name!r} is {told[0]} to the model, and {told[1]} in this data. Name the model's "
        f"classes in the data file, in their order: `classes: [{_listed(known.classes)}]`."
    )


def codes_problems(model: Model, fields: Mapping[str, FieldInfo]) -> list[Problem]:
    """Fields that the model reads or learns, of as many classes in the data as it knows, and in fact of others.

    Args:
        model: The model.
        fields: The data's fields.
    """
    paths = {
        **{name: ("inputs", name) for name in model.inputs},
        **{task.target: ("tasks", name, "target") for name, task in model.tasks.items()},
    }
    return [
        Problem(path, problem)
        for name, path in paths.items()
        if name in fields and name in model.fields and len(fields[name].classes) == len(model.fields[name].classes)
        if (problem := classes_problem(model.fields[name], fields[name]))
    ]


def _listed(classes: Sequence[str]) -> str:
    shown = [*classes[: _NAMED - 1], "...", classes[-1]] if len(classes) > _NAMED else classes
    return ", ".join(shown)
