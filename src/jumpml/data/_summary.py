"""A data set in words and in plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._loaders import DataLoaders

CLASSES_SHOWN = 8


def record(loaders: DataLoaders) -> dict[str, JsonValue]:
    """What the data set is, for ``run.json``."""
    difficulty = loaders.difficulty
    hard: dict[str, JsonValue] = {} if difficulty is None else {"difficulty": _spread(difficulty)}
    return {
        "name": loaders.name,
        "batch_size": loaders.batch_size,
        "rows": {"train": len(loaders.train.rows), "val": len(loaders.val.rows), "test": len(loaders.test.rows)},
        "left_out": {reason: len(rows) for reason, rows in loaders.left_out.items()},
        "fields": {name: _field(info) for name, info in loaders.fields.items()},
        "features": {name: [step.name for step in loaders.features.steps(name)] for name in loaders.fields},
        **hard,
        "findings": list(loaders.findings()),
    }


def _spread(difficulty: Tensor) -> JsonValue:
    """How hard train rows are: the range of it, and how many have none."""
    known = difficulty[difficulty.isfinite()]
    ends: JsonValue = [float(known.min()), float(known.max())] if len(known) else None
    return {"range": ends, "missing": len(difficulty) - len(known)}


def _field(info: FieldInfo) -> dict[str, JsonValue]:
    return {
        "kind": info.kind,
        "shape": list(info.value.shape),
        "dtype": info.value.dtype,
        "missing": info.missing,
        "classes": list(info.classes),
        "range": None if info.range is None else list(info.range),
    }


def summary(told: Mapping[str, Any]) -> str:
    """A record as a table for people."""
    rows: dict[str, int] = told["rows"]
    lines = [f"{told['name']}: {sum(rows.values())} rows ({', '.join(f'{split} {n}' for split, n in rows.items())})"]
    lines += [f"  in no split: {count} rows {reason}" for reason, count in told["left_out"].items()]
    cells = [("field", "kind", "shape", "missing", "features", "classes")]
    for name, field in told["fields"].items():
        shape = "x".join(map(str, field["shape"])) or "-"
        steps = ", ".join(told["features"][name]) or "-"
        cells.append((name, field["kind"], shape, str(field["missing"]), steps, _classes(field["classes"])))
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join(lines + [f"  finding: {finding}" for finding in told["findings"]])


def _classes(names: list[str]) -> str:
    if not names:
        return "-"
    rest = f", ... ({len(names)})" if len(names) > CLASSES_SHOWN else ""
    return ", ".join(names[:CLASSES_SHOWN]) + rest
