"""Values of a JSON document as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.report import _words as words
from jumpml.report._blocks import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_NONE = "\N{EN DASH}"


def table_of(caption: str, records: Sequence[dict[str, Any]]) -> Table:
    """A table with a row a record and a column a key, in the order in which the keys come."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    rows = tuple(tuple(value_text(record.get(key)) for key in keys) for record in records)
    align = "".join("r" if _numeric([record.get(key) for record in records]) else "l" for key in keys)
    return Table(caption, tuple(words.name(key) for key in keys), rows, align)


def value_text(value: Any) -> str:
    """A JSON value in a cell: a shape with its crosses, a list with its commas, nothing as a dash."""
    if value is None or value in ("", [], {}, ()):
        return _NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return words.count(value)
    if isinstance(value, float):
        return words.number(value)
    if isinstance(value, dict):
        return words.listing([f"{words.name(key)} {value_text(item)}" for key, item in value.items()])
    if isinstance(value, list | tuple):
        whole = all(isinstance(item, int) and not isinstance(item, bool) for item in value)
        return " \u00d7 ".join(map(str, value)) if whole else words.listing([words.name(item, 32) for item in value])
    return words.name(value, 80)


def _numeric(values: list[Any]) -> bool:
    return all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)
