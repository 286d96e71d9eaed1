"""What a model's graph is made of, for those who draw it and do not know the model."""

from __future__ import annotations

from pydantic import JsonValue

from jumpml.core._records import Record


class TaskNote(Record):
    """A task on a graph."""

    kind: str
    """Its kind, such as multiclass."""
    output: str
    """The node, or the part of one, that it reads."""
    target: str
    """The field that it predicts."""


class ObjectiveNote(Record):
    """An objective on a graph."""

    kind: str
    """Its class."""
    inputs: tuple[str, ...] = ()
    """The nodes, parts and fields that it reads."""
    parameters: tuple[str, ...] = ()
    """The patterns of the nodes whose parameters it reads instead."""
    views: tuple[str, ...] = ()
    """The views that it is computed on."""
    weight: str = "1"
    """What it is multiplied by in the sum; of a schedule, what it says."""
    when: tuple[str, ...] = ()
    """The phases in which it is active."""


class GraphRecord(Record):
    """A model's graph: the table of its nodes, and what is asked of them."""

    inputs: dict[str, str]
    """The fields that nodes read, with their shapes."""
    nodes: tuple[dict[str, JsonValue], ...]
    """The table: node, module, inputs, optional, shape, parameters, flops, objectives, shares."""
    sources: dict[str, str] = {}
    """By reference that is no name of a field or a node (``lstm.0``, a nested graph), the node that it comes from."""
    tasks: dict[str, TaskNote] = {}
    """By name."""
    objectives: dict[str, ObjectiveNote] = {}
    """By name; one that bears a task's name is that task's own."""
