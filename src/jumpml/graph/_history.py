"""Whether a forecast's history fits its target."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jumpml.core import FieldInfo, Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import Task


def history_problems(tasks: Mapping[str, Task], fields: Mapping[str, FieldInfo]) -> list[Problem]:
    """Histories that no data has, that are no series, or that do not lead up to the target.

    Args:
        tasks: By name.
        fields: The data's fields.
    """
    problems = []
    for name, task in tasks.items():
        target = fields.get(task.target)
        if task.history is None or target is None or target.kind != "series":
            continue
        problem = _misfit(task, target, fields)
        if problem:
            key, text, fix = problem
            problems.append(Problem(("tasks", name, key), text, fix))
    return problems


def _misfit(task: Task, target: FieldInfo, fields: Mapping[str, FieldInfo]) -> tuple[str, str, str] | None:
    history = fields.get(task.history or "")
    series = [name for name, field in fields.items() if field.kind == "series" and name != task.target]
    if history is None:
        return "history", f"the data has no field {task.history!r}.", did_you_mean(task.history or "", series)
    if history.kind != "series":
        fix = f"Name one that is: {', '.join(series)}." if series else "Give the data such a field."
        return "history", f"a history is a series, and {history.name!r} is of kind {history.kind}.", fix
    here, there = _window(history), _window(target)
    if here and there and here[1] != there[0]:
        text = (
            f"the history {history.name!r} ends before step {here[1]}, and {target.name!r} begins at step {there[0]}."
        )
        return "history", text, "Let it end where the target begins."
    if channels_of(target, history) is None:
        told = f"{_names(history)}, and the target {target.name!r} is of {_names(target)}"
        return "history", f"the history {history.name!r} is of {told}.", "Give it the target's columns too."
    if task.season > history.value.shape[0]:
        steps = history.value.shape[0]
        text = f"a season of {task.season} steps does not fit into the {steps} of the history {history.name!r}."
        return "season", text, "Give the data a field with a longer window; no node needs to read it."
    return None


def channels_of(target: FieldInfo, history: FieldInfo) -> list[int] | None:
    """Where each of the target's channels stands in the history; None where one does not.

    Args:
        target: The series that is foretold.
        history: The one that leads up to it. Lists of steps have no names: there the channels are the same.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> past, future = (
        ...     FieldInfo(name=n, kind="series", value=ValueInfo(shape=(4, len(c))), options={"channels": c})
        ...     for n, c in (("past", ["load", "oil"]), ("future", ["oil"]))
        ... )
        >>> channels_of(future, past)
        [1]
    """
    wanted, there = target.options.get("channels"), history.options.get("channels")
    if isinstance(wanted, list) and isinstance(there, list):
        return [there.index(channel) for channel in wanted] if all(channel in there for channel in wanted) else None
    count = target.value.shape[1]
    return list(range(count)) if history.value.shape[1] == count else None


def _window(field: FieldInfo) -> Sequence[int] | None:
    window = field.options.get("window")
    return cast("list[int]", window) if isinstance(window, list) else None


def _names(field: FieldInfo) -> str:
    channels = field.options.get("channels")
    if isinstance(channels, list):
        return ", ".join(map(str, channels))
    count = field.value.shape[1]
    return f"{count} channel{'s' if count != 1 else ''}"
