"""What a database's driver gives, as arrays of one type."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import object_array
from jumpml.data.sources._blob import BytesBlob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

WORDS = {"number": "float64", "text": "text", "bytes": "bytes", "timestamp": "timestamp", "nothing": "nothing"}
_KINDS = {
    "number": (bool, int, float, Decimal),
    "text": (str,),
    "bytes": (bytes, memoryview),
    "timestamp": (datetime.datetime, datetime.date),
}
_EXACT = 2**53  # whole numbers up to here are exact as float64


def kind_of(values: Iterable[Any]) -> str:
    """A column's kind, by the first of its values that is not missing."""
    first = next((value for value in values if value is not None), None)
    return next(
        (kind for kind, types in _KINDS.items() if isinstance(first, types)), "nothing" if first is None else "text"
    )


def array_of(values: NDArray, kind: str, place: Callable[[int], str]) -> NDArray:
    """A column as an array.

    Args:
        values: Objects as the driver gave them.
        kind: From `kind_of`.
        place: Names a row and the column for people.

    Raises:
        DataError: A value is of another kind.
    """
    kind = kind_of(values) if kind == "nothing" else kind
    missing = np.array([value is None for value in values], dtype=bool)
    for row in np.flatnonzero(~missing):
        if not isinstance(values[row], _KINDS.get(kind, (object,))):
            got = f"{values[row]!r}, which is a {type(values[row]).__name__}"
            raise DataError(f"{place(int(row))}: expected a {kind} as in the rows before, got {got}.")
    if kind == "number":
        return _numbers(values, missing)
    if kind == "timestamp":
        return np.array([None if value is None else _utc(value) for value in values], dtype="datetime64[us]")
    if kind == "bytes":
        told = (None if value is None else BytesBlob(bytes(value), place(row)) for row, value in enumerate(values))
        return object_array(told, len(values))
    return values


def _numbers(values: NDArray, missing: NDArray) -> NDArray:
    """Whole numbers as such where all are; as objects where float64 would lose some of their digits."""
    present = values[~missing]
    if all(isinstance(value, int) for value in present):
        if not missing.any() and len(present):
            return values.astype(np.int64)
        if any(abs(value) > _EXACT for value in present):
            return values
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = present.astype(np.float64)
    return numbers


def _utc(value: Any) -> Any:
    aware = isinstance(value, datetime.datetime) and value.tzinfo is not None
    return value.astimezone(datetime.UTC).replace(tzinfo=None) if aware else value
