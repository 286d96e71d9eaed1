"""What is wrong with a model file that shows without its modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import Problem
from jumpml.graph._names import Names
from jumpml.graph._nesting import needed
from jumpml.graph._node import references
from jumpml.graph._patterns import pattern_problems
from jumpml.graph._references import objective_references, output_references, target_references
from jumpml.graph._tasks import target_problems
from jumpml.graph._wiring import Wiring, wiring_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jumpml.core import FieldInfo, ModelSpec, Task, ValueInfo
    from jumpml.graph._nesting import Parts
    from jumpml.graph._node import Inputs


def file_problems(
    spec: ModelSpec,
    parts: Parts,
    inputs: Mapping[str, ValueInfo],
    tasks: Mapping[str, Task],
    fields: Mapping[str, FieldInfo],
) -> list[Problem]:
    """Names that lead nowhere, circles, targets of the wrong kind; and, where all that is well, what nothing reads.

    Args:
        spec: The model file.
        parts: Its nodes, with those of the files that it nests.
        inputs: Shape and type of the fields that nodes read.
        tasks: The file's tasks.
        fields: The data's fields; empty where no data is known yet.
    """
    nodes = {name: part.inputs for name, part in parts.items()}
    names, reads = Names(nodes), _reads(spec)
    wiring = wiring_problems(inputs, nodes, fields, names)
    outputs = {name: task.output for name, task in tasks.items()}
    wrong_outputs = output_references(outputs, inputs, names)
    problems = [
        *wiring,
        *wrong_outputs,
        *target_references({name: task.target for name, task in tasks.items()}, nodes, fields),
        *objective_references(reads, inputs, names, fields),
        *(target_problems(tasks, fields) if fields else []),
        *([] if wiring or wrong_outputs else pattern_problems(_patterns(spec), Wiring.of(nodes), outputs)),
    ]
    if problems:
        return problems
    kept = kept_parts(spec, parts)
    told = [reference for part in kept.values() for _, reference in references(part.inputs)]
    told += [*_asked(spec)]
    return _unread(inputs, spec, names, names.sources(told).union(told))


def kept_parts(spec: ModelSpec, parts: Parts) -> Parts:
    """The nodes that are made: the file's own, and those of nested files that these, tasks or objectives depend on.

    Args:
        spec: The model file.
        parts: Its nodes, with those of the files that it nests.
    """
    own = {name: part for name, part in parts.items() if part.spec is spec}
    reached = needed(parts, [*own, *_asked(spec)])
    return {name: part for name, part in parts.items() if name in own or name in reached}


def _asked(spec: ModelSpec) -> list[str]:
    """What tasks and objectives read."""
    read = [reference for inputs in _reads(spec).values() for _, reference in references(inputs)]
    return [*read, *(task.output for task in spec.tasks.values())]


def _reads(spec: ModelSpec) -> dict[str, Inputs]:
    # a penalty on parameters has no inputs
    return {name: getattr(objective, "inputs", None) or () for name, objective in spec.objectives.items()}


def _patterns(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    found = {name: getattr(objective, "parameters", None) or () for name, objective in spec.objectives.items()}
    return {name: (patterns,) if isinstance(patterns, str) else patterns for name, patterns in found.items()}


def _unread(inputs: Collection[str], spec: ModelSpec, names: Names, read: Collection[str]) -> list[Problem]:
    used = {name for name in spec.nodes if name in read or any(member in read for member in names.members(name))}
    return [
        *(
            Problem(("inputs", name), "no node and no objective reads it.", "Take it out.")
            for name in inputs
            if name not in read
        ),
        *(
            Problem(("nodes", name), "no node, no task and no objective reads its output.", "Take it out, or use it.")
            for name in spec.nodes
            if name not in used
        ),
    ]
