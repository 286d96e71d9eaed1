"""The sections on how to repeat the run, and on the graph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from jumpml.drawing import draw_graph
from jumpml.report import _words as words
from jumpml.report._blocks import Block, Chart, Charts, Code, Details, Facts, Section, Text
from jumpml.report._values import table_of

if TYPE_CHECKING:
    from jumpml.core import GraphRecord
    from jumpml.report._record import CardRecord


def repeat_section(record: CardRecord) -> Section:
    """The command, the seeds, the environment and the resolved files."""
    key, title = "repeat", "How to repeat it"
    if not record.run:
        return Section(
            key,
            title,
            (Text("Command, seeds and versions come from the run's record: report_card(..., run=record).", "note"),),
        )
    blocks: list[Block] = []
    if record.run.command:
        blocks += [Text("The command that repeats the run:"), Code(words.prose(record.run.command))]
    if seeds := _seeds(record):
        blocks.append(Facts(seeds))
    if record.run.environment:
        pairs = tuple((words.name(name), words.prose(value)) for name, value in record.run.environment.items())
        blocks.append(Details("Versions and machine", (Facts(pairs),)))
    for kind, spec in record.run.specs.items():
        blocks.append(Details(f"The {words.name(kind)} file, resolved", (Code(words.verbatim(_yaml(spec))),)))
    return Section(key, title, tuple(blocks))


def _seeds(record: CardRecord) -> tuple[tuple[str, str], ...]:
    splits = [
        dataset.get("split")
        for dataset in (record.spec("data").get("datasets") or {}).values()
        if isinstance(dataset, dict)
    ]
    split = next((split.get("seed") for split in splits if isinstance(split, dict)), None)
    said = (
        ("Seed of the split", split),
        ("of the initial weights", record.spec("model").get("seed")),
        ("of the training", record.spec("learner").get("seed")),
    )
    return tuple((word, str(seed)) for word, seed in said if seed is not None)


def _yaml(spec: dict[str, Any]) -> str:
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=100)


def graph_section(record: CardRecord) -> Section:
    """The nodes of the model, and how they hang together."""
    graph = record.run.graph if record.run else None
    if graph is None or not graph.nodes:
        text = "The graph comes from the run's record: report_card(..., run=record)."
        return Section("graph", "The graph", (Text(text, "note"),))
    shared = any(node.get("shares") for node in graph.nodes)
    rows = [{key: value for key, value in node.items() if shared or key != "shares"} for node in graph.nodes]
    total = sum(count for node in rows if isinstance(count := node.get("parameters"), int) and not node.get("shares"))
    said = f"{words.plural(len(rows), 'node')}, {words.plural(total, 'parameter')}."
    blocks: list[Block] = [Text(said), Charts((_drawing(graph),))]
    blocks.append(table_of("Nodes in the order in which they run", rows))
    begun = record.run.weights if record.run else {}
    if begun:
        told = tuple((words.name(node), words.prose(str(weights))) for node, weights in begun.items())
        blocks += [Text("What nodes began with, where it was made elsewhere:"), Facts(told)]
    return Section("graph", "The graph", tuple(blocks))


def _drawing(graph: GraphRecord) -> Chart:
    svg = draw_graph(graph)
    width = re.match(r'<svg [^>]*?width="(\d+)"', svg)
    nodes = ", ".join(words.name(str(node["node"])) for node in graph.nodes)
    return Chart(
        title="Fields above, nodes below what they read",
        svg=svg,
        alt=f"The nodes {nodes}, with arrows from what they read.",
        width=int(width[1]) if width else 0,
        reading="A flag is a task, a round tag an objective, with the phases in which it is active.",
    )
