"""Arrays that are in memory already."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import object_array
from jumpml.data.sources._blob import Blob, BytesBlob
from jumpml.data.sources._source import Source, row_range, type_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray


@final
class ArraySource(Source):
    """Columns in memory: arrays, tensors, or lists of texts, numbers, bytes and None.

    Args:
        columns: By name, all with equally many rows.

    Raises:
        DataError: The columns' rows differ in number, or one has none.

    Example:
        >>> source = ArraySource({"x": np.zeros((3, 2)), "y": ["a", None, "b"]})
        >>> source.schema, source.read(["y"], 1)["y"].tolist()
        (mappingproxy({'x': 'float64 [2]', 'y': 'text'}), [None, 'b'])
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = {name: _array(name, values) for name, values in columns.items()}
        lengths = {name: len(values) for name, values in self._columns.items()}
        if len(set(lengths.values())) != 1:
            told = ", ".join(f"{name}: {length}" for name, length in lengths.items()) or "no column"
            raise DataError(f"expected columns with equally many rows, got {told}.")
        self._length = next(iter(lengths.values()))
        self._words = {name: _words(values) for name, values in self._columns.items()}

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> ArraySource:
        """Columns out of rows.

        Args:
            rows: What a row holds, by column; what a row lacks is missing there.
        """
        held = list(rows)
        for row, values in enumerate(held):
            if not isinstance(values, dict):
                raise DataError(f"row {row}: expected a dict of values by column, got {type(values).__name__}.")
        names = list(dict.fromkeys(name for values in held for name in values))
        if not names:
            raise DataError("expected rows as dicts of values by column, got none.")
        return cls({name: [values.get(name) for values in held] for name in names})

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words."""
        return MappingProxyType(self._words)

    @property
    def length(self) -> int:
        """How many rows there are."""
        return self._length

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        rows = row_range(self._length, start, stop)
        return {name: self._columns[name][rows.start : rows.stop] for name in names}


def _words(values: NDArray) -> str:
    if values.dtype == object and any(isinstance(value, Blob) for value in values):
        return "bytes"
    return type_words(values.dtype, values.shape[1:])


def _array(name: str, values: Any) -> NDArray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray):
        array = values
    elif all(isinstance(value, (int, float, bool, np.number, np.bool_)) for value in values):
        array = np.asarray(values)
    else:
        array = _objects(values)
    if array.ndim == 0:
        raise DataError(f"the column {name!r} is a single value and has no rows.")
    return array


def _objects(values: Collection[Any]) -> NDArray:
    """One object a row; arrays of one shape, and numbers of which some are missing, as one array."""
    rows = [value.detach().cpu().numpy() if hasattr(value, "detach") else value for value in values]
    if all(isinstance(row, np.ndarray) for row in rows) and len({(row.shape, row.dtype) for row in rows}) == 1:
        return np.stack(rows)
    if all(row is None or (isinstance(row, (int, float)) and not isinstance(row, bool)) for row in rows):
        return np.array([np.nan if row is None else row for row in rows], dtype=np.float64)
    blobs = (BytesBlob(row, f"row {index}") if isinstance(row, bytes) else row for index, row in enumerate(rows))
    return object_array(blobs, len(rows))
