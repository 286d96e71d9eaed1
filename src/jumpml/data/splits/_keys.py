"""What decides about a row - its split, group, time or key - from a column of the source or a decoded field."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from jumpml.core import did_you_mean
from jumpml.data.kinds import KINDS, Column, RawColumn, decode_category
from jumpml.data.splits._splits import SPLITS, usable_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

DECIDES = ("category", "number", "date")
"""The kinds of field that can say what a row's group, time or key is."""


def undecoded(column: Column, field: str, where: str, place: Callable[[int], str]) -> RawColumn:
    """A category, a number or a date as a column of names or numbers, with None or NaN where it is missing."""
    values = column.values.reshape(len(column)).numpy()
    if column.classes:
        values = np.array([*column.classes, None], dtype=object)[values]  # code -1 is the last
    else:
        present = KINDS[column.kind].present(column.values).numpy()
        values = np.where(present, values.astype(np.float64), np.nan)
    return RawColumn(values=values, column=field, where=where, place=place)


def parts_of(raw: RawColumn, values: Mapping[str, Sequence[str]]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Each row's split, as a code into `SPLITS` or -1 where it has no value, and the values that rows have.

    Args:
        raw: What the rows have.
        values: By split, the values of its rows; a split that is not there has those with any other value.

    Raises:
        DataError: A row has a value of no split.
    """
    found = decode_category(raw)
    split_of = {value: SPLITS.index(split) for split in values for value in values[split]}
    rest = next((code for code, split in enumerate(SPLITS) if split not in values), None)
    codes = [split_of.get(name, rest) for name in found.classes]
    for code, name in enumerate(found.classes):
        if codes[code] is None:
            row = int((found.values == code).nonzero()[0])
            problem = f"expected one of the {len(split_of)} values that the file gives to a split, got {name!r}."
            raise raw.error(row, f"{problem} {did_you_mean(name, split_of)}".rstrip())
    return np.array([*codes, -1], dtype=np.int64)[found.values.numpy()], found.classes


def codes_of(values: NDArray) -> NDArray[np.int64]:
    """Numbers the different values ``[rows]``; -1 for what is missing."""
    if values.dtype.kind == "O":
        seen: dict[object, int] = {}
        numbered = (-1 if _absent(value) else seen.setdefault(value, len(seen)) for value in values)
        return np.fromiter(numbered, np.int64, len(values))
    return np.where(_missing(values), -1, np.unique(values, return_inverse=True)[1].reshape(-1))


def times_of(raw: RawColumn, usable: NDArray[np.bool_] | None = None) -> NDArray:
    """Numbers or datetimes as they are; texts as numbers, or as seconds since 1970, in UTC where no zone is told.

    Args:
        raw: The values, one a row.
        usable: bool ``[rows]``; what the other rows have does not matter.

    Raises:
        DataError: A text is neither, or a value is missing.
    """
    refuse_missing(raw, "time", usable)
    if raw.values.dtype.kind in "buifM":
        return raw.values
    seconds, read, expected = np.full(len(raw), np.nan), _number_or_none, "a number"
    rows = usable_rows(len(raw), usable).tolist()
    if rows and read(str(raw.values[rows[0]])) is None:
        read, expected = _seconds_or_none, "a time such as 2024-05-31 or 2024-05-31T12:00:00"
    for row in rows:
        value = raw.values[row]
        time = read(str(value))
        if time is None:
            raise raw.error(row, f"expected {expected}, got {str(value)!r}.")
        seconds[row] = time
    return seconds


def refuse_missing(raw: RawColumn, what: str, usable: NDArray[np.bool_] | None = None) -> None:
    """Say which row has no value, where values decide about rows.

    Args:
        raw: The values, one a row.
        what: What they are: ``group``, ``time`` or ``key``.
        usable: bool ``[rows]``; the other rows need none.

    Raises:
        DataError: A row has none, or values are no single ones.
    """
    if raw.values.ndim != 1:
        raise raw.error(0, f"expected one value a row for its {what}, got {list(raw.values.shape[1:])} of them.")
    rows = usable_rows(len(raw), usable)
    missing = rows[_missing(raw.values[rows])]
    if len(missing):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise raw.error(int(missing[0]), f"the row has no {what}{more}, so that it is for no split.")


def _missing(values: NDArray) -> NDArray[np.bool_]:
    if values.dtype.kind == "O":
        return np.fromiter((_absent(value) for value in values), bool, len(values))
    if values.dtype.kind == "M":
        return np.isnat(values)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number_or_none(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seconds_or_none(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
