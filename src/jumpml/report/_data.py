"""The section on the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.report import _words as words
from jumpml.report._blocks import Block, Facts, Heading, Items, Section, Table, Text
from jumpml.report._values import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.report._record import CardRecord


def data_section(record: CardRecord) -> Section:
    """Rows by split, fields, findings, and where the data comes from."""
    return Section("data", "The data", tuple(_blocks(record)))


def _blocks(record: CardRecord) -> list[Block]:
    if not record.run:
        return [Text("What the data is comes from the run's record: report_card(..., run=record).", "note")]
    blocks: list[Block] = []
    if description := record.about("data", "description"):
        blocks.append(Text(words.prose(description)))
    summary = record.data
    if facts := _facts(record):
        blocks.append(Facts(facts))
    if rows := summary.get("rows"):
        blocks.append(_rows(rows))
    if fields := summary.get("fields"):
        blocks.append(_fields(fields, summary.get("features", {})))
    if "findings" in summary:
        blocks.extend(_findings(summary["findings"]))
    return blocks


def _facts(record: CardRecord) -> tuple[tuple[str, str], ...]:
    said = (
        ("Data set", record.data.get("name", "")),
        ("Source", record.about("data", "source")),
        ("Collected", record.about("data", "collected")),
        ("Licence", record.about("data", "license")),
    )
    return tuple((word, words.prose(text)) for word, text in said if text)


def _rows(rows: Mapping[str, int]) -> Table:
    total = sum(rows.values())
    lines = [
        (words.name(split), words.count(number), f"{number / total:.0%}" if total else "")
        for split, number in rows.items()
    ]
    return Table("Rows by split", ("split", "rows", "share"), (*lines, ("all", words.count(total), "")), "lrr")


def _fields(fields: Mapping[str, Mapping[str, Any]], features: Mapping[str, Any]) -> Table:
    keys = ("kind", "shape", "missing", "classes")
    lines = [
        {"field": name, **{key: field.get(key) for key in keys}, "features": features.get(name)}
        for name, field in fields.items()
    ]
    return table_of("Fields, as they are decoded, and the features that a model reads of them", lines)


def _findings(findings: list[Any]) -> list[Block]:
    if not findings:
        return [Text("Nothing in the data looked suspicious.", "note")]
    return [Heading("Findings"), Items(words.sentences(map(str, findings)))]
