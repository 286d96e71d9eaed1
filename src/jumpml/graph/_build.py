"""A model file's nodes and tasks as objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from jumpml.core import MASK, FieldInfo, ModelSpec, SpecError, Task, ValueInfo
from jumpml.graph._construct import construct
from jumpml.graph._file_problems import file_problems
from jumpml.graph._node import Node, references, split

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
    read = {reference for node in spec.nodes.values() for _, reference in references(node.inputs)}
    names = {name if name.endswith(MASK) else split(name)[0] for name in read if split(name)[0] not in spec.nodes}
    return tuple(sorted(names))


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
        name: Task(kind=task.kind, output=task.output, target=task.target, metrics=task.metrics)
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

    Example:
        >>> from jumpml.core import load_spec
        >>> node = {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [8, 2]}}
        >>> spec = load_spec(ModelSpec, {"nodes": {"out": node}, "tasks": {
        ...     "out": {"kind": "multiclass", "output": "out", "target": "y"}}})
        >>> build_nodes(spec, {"x": ValueInfo(shape=(4,))}, {}, seed=0)["out"].inputs
        'x'
    """
    tasks = build_tasks(spec)
    mistakes = [
        spec.mistake(problem.path, problem.text, problem.fix) for problem in file_problems(spec, inputs, tasks, fields)
    ]
    nodes: dict[str, Node] = {}
    for name, node in spec.nodes.items():
        made = construct(
            name,
            node.module,
            node.args,
            tasks=tasks,
            fields=fields,
            trust=trust,
            seed=spec.seed if seed is None else seed,
        )
        if isinstance(made, nn.Module):
            nodes[name] = Node(made, node.inputs)
        else:
            mistakes.append(spec.mistake(made.path, made.text, made.fix))
    if mistakes:
        raise SpecError(spec.source, mistakes)
    return nodes
