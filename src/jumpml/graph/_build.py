"""A model file's nodes and tasks as objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from jumpml.core import MASK, PRESENT, FieldInfo, ModelSpec, Task, ValueInfo, join_errors
from jumpml.graph._construct import Constructor
from jumpml.graph._file_problems import file_problems, kept_parts
from jumpml.graph._names import Names
from jumpml.graph._nesting import flatten, place
from jumpml.graph._node import Node, references

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def fields_read(spec: ModelSpec) -> tuple[str, ...]:
    """What a model file's nodes read of the data: every name that is no node's, and ``name.mask`` where that is read.

    Args:
        spec: The model file.

    Example:
        >>> from jumpml.core import load_spec
        >>> nodes = {"a": {"module": "torch.nn.ReLU", "inputs": "x"}, "b": {"module": "torch.nn.ReLU", "inputs": "a"}}
        >>> fields_read(load_spec(ModelSpec, {"nodes": nodes}))
        ('x',)
    """
    parts = flatten(spec)
    names = Names({name: part.inputs for name, part in parts.items()})
    kept = kept_parts(spec, parts).values()
    read = {reference for part in kept for _, reference in references(part.inputs)}
    outside = {name: names.split(name)[0] for name in read}
    return tuple(
        sorted(
            {name if name.endswith((MASK, PRESENT)) else field for name, field in outside.items() if field not in names}
        )
    )


def build_tasks(spec: ModelSpec) -> dict[str, Task]:
    """The tasks of a model file.

    Args:
        spec: The model file.

    Example:
        >>> from jumpml.core import load_spec
        >>> nodes = {"age": {"module": "torch.nn.Linear", "inputs": "x", "args": {"in_features": 3, "out_features": 1}}}
        >>> tasks = {"age": {"kind": "regression", "output": "age", "target": "years"}}
        >>> build_tasks(load_spec(ModelSpec, {"nodes": nodes, "tasks": tasks}))["age"].target
        'years'
    """
    return {
        name: Task(
            kind=task.kind,
            output=task.output,
            target=task.target,
            metrics=task.metrics,
            quantiles=task.quantiles or (),
            history=task.history,
            season=task.season or 1,
        )
        for name, task in spec.tasks.items()
    }


def build_nodes(
    spec: ModelSpec,
    inputs: Mapping[str, ValueInfo],
    fields: Mapping[str, FieldInfo],
    trust: Collection[str] = (),
    *,
    seed: int | None = None,
) -> dict[str, Node]:
    """The nodes of a model file, after all that can be checked without shapes.

    With a seed each node's weights depend on it and on the node's name alone, and torch's global generator is left as
    it was; without one they are drawn from that generator.

    Args:
        spec: The model file.
        inputs: Shape and type of the fields that nodes read, after features.
        fields: The data's fields; empty where no data is known yet.
        trust: Packages beside ``torch.nn`` and ``jumpml`` from which modules may come.
        seed: Of the weights; the file's own where None.

    Raises:
        SpecError: Names, wiring, modules or their arguments are wrong; all mistakes with their lines.
        JumpMLError: The same for several files, where one nests others.

    Example:
        >>> from jumpml.core import load_spec
        >>> node = {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [8, 2]}}
        >>> spec = load_spec(ModelSpec, {"nodes": {"out": node}, "tasks": {
        ...     "out": {"kind": "multiclass", "output": "out", "target": "y"}}})
        >>> build_nodes(spec, {"x": ValueInfo(shape=(4,))}, {}, seed=0)["out"].inputs
        'x'
    """
    tasks, parts = build_tasks(spec), flatten(spec)
    problems = file_problems(spec, parts, inputs, tasks, fields)
    parts = kept_parts(spec, parts)
    constructor = Constructor(tasks=tasks, fields=fields, trust=trust, seed=spec.seed if seed is None else seed)
    modules: dict[str, nn.Module] = {}
    for name, part in parts.items():
        if part.owner is None:
            made = constructor.make(name, part.node, part.spec.folder)
            if isinstance(made, nn.Module):
                modules[name] = made
            else:
                problems += made
    if problems:
        raise join_errors([place(spec, parts, problem) for problem in problems])
    # a module's own node stands before those that share it: its weights bear the name of the first
    own_first = sorted(parts.items(), key=lambda item: item[1].owner is not None)
    return {name: Node(modules[part.owner or name], part.inputs) for name, part in own_first}
