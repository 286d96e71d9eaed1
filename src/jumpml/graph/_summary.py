"""A model as a table, and as a record of its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import GraphRecord, ObjectiveNote, TaskNote
from jumpml.drawing import count
from jumpml.graph._node import OPTIONAL, class_name, optional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import Objective
    from jumpml.graph._model import Model


def table(model: Model, flops: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """A row a node.

    ``node``, ``module``, ``inputs``, ``optional`` (those of them that it can do without), ``shape`` (of its output or
    its parts), ``parameters``, ``flops`` (a row; None where they cannot be counted), ``objectives`` (by name, the
    phases in which they are active) and ``shares``: the node whose weights it has too, or None.
    """
    owners = {id(model.node(name)): name for name in reversed(model.given)}
    rows = []
    for name in model.node_names:
        module = model.node(name)
        shared = owners[id(module)]
        rows.append(
            {
                "node": name,
                "module": class_name(type(module)),
                "inputs": list(model.reads[name]),
                "optional": sorted(optional(model.written(name))),
                "shape": _shape(model, name),
                "parameters": sum(parameter.numel() for parameter in module.parameters()),
                "flops": flops[name],
                "objectives": _on(model, name),
                "shares": None if shared == name else shared,
            }
        )
    return rows


def _on(model: Model, name: str) -> dict[str, list[str]]:
    """The objectives that read a node, or its parameters."""
    on: dict[str, list[str]] = {}
    for objective, made in model.objectives.items():
        read = {model.node_of(reference) for reference in made.inputs}
        if name in read or (made.parameters_of and name in model.select(made.parameters_of)):
            on[objective] = list(made.when)
    return on


def record(model: Model) -> GraphRecord:
    """What a drawing is made of."""
    objectives = model.objectives.items()
    references = [reference for name in model.node_names for reference in model.reads[name]]
    references += [task.output for task in model.tasks.values()]
    references += [reference for _, objective in objectives for reference in objective.inputs]
    sources = {reference: model.node_of(reference) for reference in references}
    return GraphRecord(
        inputs={name: str(info) for name, info in model.inputs.items()},
        nodes=tuple(model.table()),
        tasks={
            name: TaskNote(kind=task.kind, output=task.output, target=task.target) for name, task in model.tasks.items()
        },
        objectives={
            name: ObjectiveNote(
                kind=type(objective).__name__,
                inputs=tuple(objective.inputs),
                parameters=tuple(objective.parameters_of),
                views=tuple(objective.views),
                weight=_weight(objective),
                when=tuple(objective.when),
            )
            for name, objective in objectives
        },
        sources={reference: node for reference, node in sources.items() if node is not None and node != reference},
    )


_HEAD = ("node", "module", "inputs", "output", "parameters", "FLOPs", "objectives")


def text(model: Model) -> str:
    """The table, the tasks and the objectives, aligned."""
    rows = model.table()
    total = sum(parameter.numel() for parameter in model.parameters())
    blocks = [
        [f"{name}  {info}" for name, info in model.inputs.items()],
        _aligned([_HEAD, *map(_cells, rows)]),
        [f"{name} begins with {weights}" for name, weights in model.loaded.items()],
        [f"task {name}: {task.kind}, {task.output} -> {task.target}" for name, task in model.tasks.items()],
        [_objective(name, objective) for name, objective in model.objectives.items()],
    ]
    head = f"Model with {total:,} parameters, {_total(rows)} FLOPs a row"
    return "\n  ".join([head, *(line for block in blocks for line in block)])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    shares = f" of {row['shares']}" if row["shares"] else ""
    flops = "?" if row["flops"] is None else count(row["flops"])
    objectives = "; ".join(f"{name}: {', '.join(when)}" for name, when in row["objectives"].items())
    inputs = ", ".join(read + OPTIONAL * (read in row["optional"]) for read in row["inputs"])
    return row["node"], row["module"] + shares, inputs, row["shape"], f"{row['parameters']:,}", flops, objectives


def _total(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of all nodes; at least so many where some cannot be counted."""
    known = [row["flops"] for row in rows if row["flops"] is not None]
    return f"{'' if len(known) == len(rows) else 'at least '}{count(sum(known))}"


def _objective(name: str, objective: Objective) -> str:
    read = ", ".join(objective.inputs) or f"the parameters of {', '.join(objective.parameters_of)}"
    views = f" on {', '.join(objective.views)}" if objective.views else ""
    what = f"{type(objective).__name__} of {read}{views}"
    return f"objective {name}: {what}, weight {_weight(objective)}, when {', '.join(objective.when)}"


def _weight(objective: Objective) -> str:
    return f"{objective.weight:g}" if objective.schedule is None else str(objective.schedule)


def _shape(model: Model, name: str) -> str:
    parts = {
        value: info
        for value, info in model.values.items()
        if model.node_of(value) == name and value not in model.graphs
    }
    if name in parts:
        return str(parts[name])
    return "; ".join(f"{value.removeprefix(f'{name}.')}: {info}" for value, info in parts.items())


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
