"""Whether the names that tasks and objectives use exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import ANSWER, NEXT, POSITION, PRESENT, TOLD, FieldInfo, Problem, did_you_mean, field_of
from jumpml.graph._names import Names, prefixes
from jumpml.graph._node import Inputs, references
from jumpml.graph._wiring import unknown_source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_RESERVED = (".", "@")


def name_problems(**kinds: Collection[str]) -> list[Problem]:
    """Names that would be taken for something else, by the kind of thing that they name."""
    return [
        Problem((kind, name), "a name must not be empty, be 'all', or hold '.' or '@'.")
        for kind, names in kinds.items()
        for name in names
        if any(_reserved(part) for part in (name.split(".") if kind == "nodes" else [name]))
    ]


def _reserved(name: str) -> bool:
    return name in {"", "all"} or any(mark in name for mark in _RESERVED)


def parts_problems(names: Names) -> list[Problem]:
    """Nodes whose name would be taken for a part of another's output."""
    fix = "A dot stands between a nested graph and its nodes: rename one."
    return [
        Problem(("nodes", name), f"{group!r} is a node, and this would be a part of what it gives.", fix)
        for name in names
        for group in prefixes(name)[1:]
        if group in names
    ]


def output_references(outputs: Mapping[str, str], inputs: Collection[str], names: Names) -> list[Problem]:
    """Tasks whose output is no node.

    Args:
        outputs: By task, its output.
        inputs: The fields that nodes read.
        names: The nodes'.
    """
    problems = []
    for task, reference in outputs.items():
        name, _ = names.split(reference)
        path = ("tasks", task, "output")
        if name in inputs:
            problems.append(
                Problem(path, f"{name!r} is a field; the output of a task is a node.", did_you_mean(name, names))
            )
        elif name not in names:
            text, fix = names.problem(reference)
            text = f"{reference!r} {text}" if text else f"there is no node {name!r}."
            problems.append(Problem(path, text, fix or did_you_mean(name, names)))
    return problems


def target_references(targets: Mapping[str, str], nodes: Collection[str], fields: Collection[str]) -> list[Problem]:
    """Tasks whose target is a node; where the data's fields are known, `wiring_problems` has told of such a node.

    Args:
        targets: By task, its target.
        nodes: All nodes.
        fields: The data's fields.
    """
    return [
        Problem(
            ("tasks", task, "target"),
            f"{name!r} is a node; the target of a task is a field.",
            "Fields and nodes share one set of names: rename the node.",
        )
        for task, name in targets.items()
        if name in nodes and name not in fields
    ]


def objective_references(
    reads: Mapping[str, Inputs], inputs: Collection[str], names: Names, fields: Collection[str]
) -> list[Problem]:
    """Objectives that read what does not exist.

    Args:
        reads: By objective, its inputs.
        inputs: The fields that nodes read.
        names: The nodes'.
        fields: The data's fields; while nothing is known of them, any name but the first may be a target.
    """
    problems = []
    for objective, read in reads.items():
        for position, (key, reference) in enumerate(references(read)):
            if reference == POSITION:
                continue
            name, part = names.split(reference)
            own = part is None or f".{part}" in {NEXT, PRESENT, *TOLD}
            read_of = name if own else None
            if read_of is not None and (read_of in fields or (position > 0 and not fields)):
                continue
            path = ("objectives", objective, "inputs", *key)
            problems += unknown_source(path, reference, names, {*inputs, *fields}, ())
    return problems


def unknown_fields(
    reads: Mapping[str, Sequence[str]], known: Collection[str], fields: Collection[str]
) -> list[Problem]:
    """Objectives that read a field that the data does not have.

    Args:
        reads: By objective, its inputs.
        known: The graph's nodes and parts.
        fields: The data's fields.
    """
    return [
        Problem(("objectives", objective, "inputs"), f"the data has no field {name!r}.", did_you_mean(name, fields))
        for objective, names in reads.items()
        for name in names
        if name not in known and name != POSITION and _read_of(name) not in fields
    ]


def _read_of(name: str) -> str:
    """The field behind what objectives alone can read of it."""
    return field_of(name) if name.endswith((NEXT, PRESENT, *TOLD)) else name


def untold(
    reads: Mapping[str, Sequence[str]], views: Mapping[str, Sequence[str]], fields: Mapping[str, FieldInfo]
) -> list[Problem]:
    """Objectives that ask a view for what no step of it tells.

    Args:
        reads: By objective, its inputs.
        views: Likewise.
        fields: The data's fields.
    """
    asked: dict[tuple[str, str, bool], str] = {}  # one step tells what was hidden and what stood there: one problem
    for objective, names in reads.items():
        for name in names:
            if name.endswith(TOLD) and field_of(name) in fields:
                asked.setdefault((objective, field_of(name), name.endswith(ANSWER)), name)
    return [
        Problem(("objectives", objective, "views"), text, fix)
        for (objective, field, _), name in asked.items()
        for text, fix in _untold(name, fields[field], views[objective])
    ]


def _untold(name: str, field: FieldInfo, views: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Why none of an objective's views tells a value, and how to mend it."""
    if not views:
        yield f"reads {name!r}, which only a view tells.", "Give it `views`."
    tell = sorted(field.answers if name.endswith(ANSWER) else field.hides)
    steps = "`quarter_turn`, `jigsaw` or `order`" if name.endswith(ANSWER) else "`hide`"
    for view in views:
        if view not in tell:
            text = f"the view {view!r} does not tell {name!r}: it has no step {steps} on {field.name!r}."
            yield text, did_you_mean(view, tell) if tell else "No view of the data has one."
