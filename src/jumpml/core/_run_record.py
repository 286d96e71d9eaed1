"""What was run."""

from __future__ import annotations

from pydantic import JsonValue

from jumpml.core._graph_record import GraphRecord
from jumpml.core._records import Record, WeightsRecord
from jumpml.core._task_record import TaskCourse


class InitializationRecord(Record):
    """What of a node was drawn before it learned."""

    scheme: str
    """How, in words."""
    weights: tuple[str, ...]
    """What was drawn, by the names inside the node's module."""
    zeroed: tuple[str, ...] = ()
    """The biases that were set to zero."""
    deviations: dict[str, float] = {}
    """Of LSUV, by layer, the standard deviation of its outputs on the first train batch once it was scaled."""
    unreached: tuple[str, ...] = ()
    """Of LSUV, the layers that could not be scaled, since nothing came through them, or nothing that varies."""

    def __str__(self) -> str:
        count = len(self.weights)
        text = f"{self.scheme}, {count} weight{'s' * (count != 1)}"
        return f"{text}; not scaled: {', '.join(self.unreached)}" if self.unreached else text


class RunRecord(Record):
    """What was run: enough to run it again."""

    name: str
    created: str
    """UTC, ISO 8601."""
    specs: dict[str, dict[str, JsonValue]]
    """The resolved data, model, learner and deploy specs."""
    environment: dict[str, str]
    """Versions and machine."""
    data: dict[str, JsonValue] = {}
    """What the data summary says: rows by split, fields, findings."""
    graph: GraphRecord | None = None
    """The model: the table of its nodes, and what is asked of them."""
    weights: dict[str, WeightsRecord] = {}
    """What nodes began with, where it came from elsewhere, by node."""
    growth: tuple[str, ...] = ()
    """What was done to the model while it learned; the graph is what it then was."""
    initialized: dict[str, InitializationRecord] = {}
    """What nodes began with, where the learner drew it, by node."""
    tasks: tuple[TaskCourse, ...] = ()
    """How each task fared, once all is learned."""
    command: str = ""
    """The command that repeats it."""
