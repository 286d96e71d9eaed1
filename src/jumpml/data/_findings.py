"""What is suspicious in a data set, without being an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.data.kinds import KINDS
from jumpml.data.splits._overlap import overlap_findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._table import Table

MANY_MISSING = 0.05  # of the rows


def find(fields: Mapping[str, FieldInfo], table: Table, rows: Mapping[str, Tensor]) -> list[str]:
    """A sentence for each suspicious thing; what stays in files is not read for it.

    Args:
        fields: What each field is.
        table: Their values.
        rows: Row numbers by split.
    """
    found = [f"{name}: {problem}" for name, info in fields.items() for problem in _of_field(info, table, rows)]
    return [*found, *overlap_findings(fields, table.values, rows)]


def _of_field(info: FieldInfo, table: Table, rows: Mapping[str, Tensor]) -> Iterator[str]:
    count = sum(map(len, rows.values())) - info.lacking  # of the data sets that have the field
    present = table.present.get(info.name)
    yield from info.notes
    missing = info.missing - info.lacking
    if missing >= MANY_MISSING * count:
        yield f"{missing} of {count} values are missing ({missing / count:.0%})."
    for split in ("val", "test"):
        if present is not None and not bool(present[rows[split].to(present.device)].any()):
            yield f"no {split} row has a value."
    if info.name in table.values:
        train = rows["train"]
        known = train if present is None else train[present.cpu()[train]]
        if _constant(table.blocks(info.name, known)):
            yield "all train rows have the same value."
        yield from KINDS[info.kind].findings(info, (block.cpu() for block in table.blocks(info.name, known)), count)


def _constant(blocks: Iterable[Tensor]) -> bool:
    first = None
    for block in blocks:
        first = block[:1] if first is None else first
        if not bool((block == first).all()):
            return False
    return True
