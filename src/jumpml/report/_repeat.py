"""The sections on how to repeat the run, and on the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from jumpml.report import _words as words
from jumpml.report._blocks import Block, Code, Details, Facts, Section, Text
from jumpml.report._values import table_of

if TYPE_CHECKING:
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
    """The nodes of the model."""
    nodes = record.run.nodes if record.run else ()
    if not nodes:
        text = "The table of nodes comes from the run's record: report_card(..., run=record)."
        return Section("graph", "The graph", (Text(text, "note"),))
    total = sum(count for node in nodes if isinstance(count := node.get("parameters"), int))
    blocks: list[Block] = [Text(f"{words.plural(len(nodes), 'node')}, {words.plural(total, 'parameter')}.")]
    blocks.append(table_of("Nodes in the order in which they run", nodes))
    begun = record.run.weights if record.run else {}
    if begun:
        told = tuple((words.name(node), words.prose(str(weights))) for node, weights in begun.items())
        blocks += [Text("What nodes began with, where it was made elsewhere:"), Facts(told)]
    return Section("graph", "The graph", tuple(blocks))
