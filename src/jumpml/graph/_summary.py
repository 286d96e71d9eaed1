"""A model as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.graph._node import class_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import Objective
    from jumpml.graph._model import Model


def table(model: Model, reads: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """A row a node: ``node``, ``module``, ``inputs``, ``shape`` (of its output or its parts) and ``parameters``."""
    return [
        {
            "node": name,
            "module": class_name(type(model.node(name))),
            "inputs": list(reads[name]),
            "shape": _shape(model, name),
            "parameters": sum(parameter.numel() for parameter in model.node(name).parameters()),
        }
        for name in model.node_names
    ]


def text(model: Model, reads: Mapping[str, tuple[str, ...]]) -> str:
    """The table, the tasks and the objectives, aligned."""
    rows = [
        (row["node"], row["module"], ", ".join(row["inputs"]), row["shape"], f"{row['parameters']:,}")
        for row in table(model, reads)
    ]
    total = sum(parameter.numel() for parameter in model.parameters())
    blocks = [
        [f"{name}  {info}" for name, info in model.inputs.items()],
        _aligned([("node", "module", "inputs", "output", "parameters"), *rows]),
        [f"{name} begins with {record}" for name, record in model.loaded.items()],
        [f"task {name}: {task.kind}, {task.output} -> {task.target}" for name, task in model.tasks.items()],
        [_objective(name, objective) for name, objective in model.objectives.items()],
    ]
    lines = [f"Model with {total:,} parameters", *(line for block in blocks for line in block)]
    return "\n  ".join(lines)


def _objective(name: str, objective: Objective) -> str:
    read = ", ".join(objective.inputs) or f"the parameters of {', '.join(objective.parameters_of)}"
    views = f" on {', '.join(objective.views)}" if objective.views else ""
    what = f"{type(objective).__name__} of {read}{views}"
    weight = getattr(objective, "schedule", None) or f"{objective.weight:g}"
    return f"objective {name}: {what}, weight {weight}, when {', '.join(objective.when)}"


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
