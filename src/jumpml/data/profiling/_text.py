"""A profile as lines of text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.data.profiling._records import FieldProfile, Profile, VariableProfile

BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
CLASSES_SHOWN = 4
WIDTH = 120  # letters a line of examples
FIRST, LAST = -62_135_596_800, 253_402_300_799  # the years 1 and 9999, which are all that Python's datetime knows
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Line = tuple[str, str]


def lines(profile: Profile) -> Iterator[Line]:
    """Each line with its style at a terminal: ``bold``, ``red``, ``dim`` or none."""
    yield from _head(profile)
    yield "", ""
    yield from _table(profile)
    for title, level, style in (("alarming", "alarm", "red"), ("worth knowing", "note", "")):
        found = [str(suspicion) for suspicion in profile.suspicions if suspicion.level == level]
        yield "", ""
        yield f"{title}:", "bold"
        yield from ((f"  {text}", style) for text in found or ["nothing"])
    yield "", ""
    yield "first train rows:", "bold"
    for field in profile.fields:
        joined = f"  {field.name}: {' | '.join(field.examples)}"
        if len(joined) <= WIDTH:
            yield joined, ""
        else:
            yield f"  {field.name}:", ""
            yield from ((f"    {text}", "") for text in field.examples)


def spark(counts: Sequence[int]) -> str:
    """A histogram in one line; a bar without rows is empty, so that one with a few is seen.

    Example:
        >>> spark([0, 1, 4, 8])
        ' ▁▄█'
    """
    most = max(counts, default=0)
    return "".join(" " if count == 0 else BLOCKS[max(0, -(-count * 8 // most) - 1)] for count in counts)


def told(variable: VariableProfile) -> str:
    """The values in a few words: the most frequent classes, or least, median and greatest."""
    bars, total = variable.bars, max(1, sum(variable.known.values()))
    if variable.kind == "category":
        shown = list(zip(variable.classes, bars, strict=True))[:CLASSES_SHOWN] if bars else []
        names = ", ".join(f"{name} {count / total:.0%}" for name, count in shown if count)
        more = variable.distinct - sum(count > 0 for _, count in shown)
        return names + (f", {more} more" if more > 0 else "")
    if not variable.quantiles:
        return "no value"
    least, _, middle, _, most = variable.quantiles
    return f"{value_of(variable, least)} .. {value_of(variable, middle)} .. {value_of(variable, most)}"


def value_of(variable: VariableProfile, value: float) -> str:
    """A number, or a date's day."""
    if variable.kind == "date":
        return f"{(EPOCH + timedelta(seconds=min(max(value, FIRST), LAST))).date()}"
    return f"{value:.4g}"


def bounds(profile: Profile) -> str:
    """Which rows were looked at, and how; empty where all were."""
    total, few = sum(profile.rows.values()), [field for field in profile.fields if field.rows < profile.looked_at]
    parts = [f"{profile.looked_at:,} of {total:,} rows, drawn by chance"] if profile.looked_at < total else []
    parts += [f"{field.rows:,} rows of {field.name}" for field in few]
    return f"looked at {'; '.join(parts)}" if parts else ""


def _head(profile: Profile) -> Iterator[Line]:
    total = sum(profile.rows.values())
    shares = ", ".join(f"{split} {count:,} ({count / total:.0%})" for split, count in profile.rows.items())
    yield f"{profile.name}: {total:,} rows: {shares}", "bold"
    for reason, count in profile.left_out.items():
        yield f"  in no split: {count:,} rows {reason}", ""
    if profile.target is not None:
        yield f"  target: {profile.target}; `alone` is how well a column predicts it by itself, from 0 to 1", ""
    if bounds(profile):
        yield f"  {bounds(profile)}", ""


def _table(profile: Profile) -> Iterator[Line]:
    rows: list[tuple[str, ...]] = [("field", "kind", "missing", "different", "alone", "values", "")]
    for field in profile.fields:
        rows += _rows_of(field)
    if profile.target is None:
        rows = [(*row[:4], *row[5:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for position, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join(cells).rstrip(), "dim" if position == 0 else ""


def _rows_of(field: FieldProfile) -> Iterator[tuple[str, ...]]:
    several = [variable.name for variable in field.variables] != [field.name]
    if several:
        shape = "x".join(map(str, field.shape))
        yield field.name, f"{field.kind} {shape}", str(field.missing or ""), "", "", "", ""
    for variable in field.variables:
        name = f"  {variable.name.removeprefix(field.name).lstrip('. ')}" if several else variable.name
        missing = f"{variable.missing:.1%}" if variable.missing else ""
        alone = "" if variable.alone is None else f"{variable.alone:.2f}"
        yield name, variable.kind, missing, f"{variable.distinct:,}", alone, spark(variable.bars), told(variable)
