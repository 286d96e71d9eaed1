"""What was run."""

from __future__ import annotations

from pydantic import JsonValue

from jumpml.core._graph_record import GraphRecord
from jumpml.core._records import Record, WeightsRecord


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
    command: str = ""
    """The command that repeats it."""
