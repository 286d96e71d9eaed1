"""What is wrong with a model file that shows without its modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import Problem
from jumpml.graph._node import references
from jumpml.graph._patterns import pattern_problems
from jumpml.graph._references import objective_references, output_references, target_references
from jumpml.graph._tasks import target_problems
from jumpml.graph._wiring import Wiring, sources, wiring_problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo, ModelSpec, Task, ValueInfo


def file_problems(
    spec: ModelSpec, inputs: Mapping[str, ValueInfo], tasks: Mapping[str, Task], fields: Mapping[str, FieldInfo]
) -> list[Problem]:
    """Names that lead nowhere, circles, targets of the wrong kind; and, where all that is well, what nothing reads.

    Args:
        spec: The model file.
        inputs: Shape and type of the fields that nodes read.
        tasks: The file's tasks.
        fields: The data's fields; empty where no data is known yet.
    """
    nodes = {name: node.inputs for name, node in spec.nodes.items()}
    # a penalty on parameters has no inputs
    reads = {name: getattr(objective, "inputs", ()) for name, objective in spec.objectives.items()}
    wiring = wiring_problems(inputs, nodes, fields)
    problems = [
        *wiring,
        *output_references({name: task.output for name, task in tasks.items()}, inputs, nodes),
        *target_references({name: task.target for name, task in tasks.items()}, nodes, fields),
        *objective_references(reads, inputs, nodes, fields),
        *(target_problems(tasks, fields) if fields else []),
        *([] if wiring else pattern_problems(_patterns(spec), Wiring.of(nodes))),
    ]
    if problems:
        return problems
    read = [reference for inputs_ in (*nodes.values(), *reads.values()) for _, reference in references(inputs_)]
    return _unread(inputs, nodes, sources([*read, *(task.output for task in tasks.values())]).union(read))


def _patterns(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    found = {name: getattr(objective, "parameters", ()) for name, objective in spec.objectives.items()}
    return {name: (patterns,) if isinstance(patterns, str) else patterns for name, patterns in found.items()}


def _unread(inputs: Mapping[str, Any], nodes: Mapping[str, Any], read: frozenset[str]) -> list[Problem]:
    return [
        *(
            Problem(("inputs", name), "no node and no objective reads it.", "Take it out.")
            for name in inputs
            if name not in read
        ),
        *(
            Problem(("nodes", name), "no node, no task and no objective reads its output.", "Take it out, or use it.")
            for name in nodes
            if name not in read
        ),
    ]
