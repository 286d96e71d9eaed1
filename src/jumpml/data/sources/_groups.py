"""Files whose rows are stored in groups, of which any can be loaded on its own as an Arrow table."""

from __future__ import annotations

from abc import abstractmethod
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import arrays_of, arrow_words, columns_in, fields_of
from jumpml.data.sources._source import Source, row_range

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from jumpml.data.sources._data_file import DataFile


class GroupedSource(Source):
    """Reads ranges of rows out of groups, its shards; the last group stays, as the next range often begins in it.

    Args:
        file: The file.
        schema: Of its rows.
        lengths: Rows of each group.
        skip: Whether to go on where a group is damaged.
    """

    def __init__(self, file: DataFile, schema: pa.Schema, lengths: Sequence[int], *, skip: bool = False) -> None:
        self._file, self._schema, self._skip = file, schema, skip
        self._damage_by_group: dict[int, str] = {}
        self._columns = columns_in(schema, file.path)
        starts = [0, *accumulate(lengths)]
        self._ranges = tuple(range(start, stop) for start, stop in pairwise(starts))
        self._length = starts[-1]
        self._last: tuple[int, tuple[str, ...], pa.Table] | None = None

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words; a nested value's columns are ``outer.inner``."""
        return arrow_words(self._columns)

    @property
    def length(self) -> int:
        """How many rows there are."""
        return self._length

    @property
    def shards(self) -> tuple[range, ...]:
        """The groups."""
        return self._ranges

    @property
    def damaged(self) -> Mapping[int, str]:
        """The rows of damaged groups."""
        return {row: problem for group, problem in self._damage_by_group.items() for row in self._ranges[group]}

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        self._file.check()
        table = self._table(tuple(names), start, stop)
        path = self._file.path
        return arrays_of(table, tuple(names), lambda row: self.place(start + row), path, Path(path).parent)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}

    @abstractmethod
    def _load(self, group: int, names: tuple[str, ...]) -> pa.Table:
        """Some columns of a group."""

    def _table(self, names: tuple[str, ...], start: int, stop: int | None) -> pa.Table:
        import pyarrow as pa

        rows = row_range(self._length, start, stop)
        parts = []
        for group, told in enumerate(self._ranges):
            first, last = max(rows.start, told.start), min(rows.stop, told.stop)
            if first < last:
                part = self._group(group, names).slice(first - told.start, last - first)
                parts.append(part.select(parts[0].column_names) if parts else part)
                if last == told.stop:
                    self._last = None  # the next range does not begin in it
        return pa.concat_tables(parts) if parts else self._schema.empty_table()

    def _group(self, group: int, names: tuple[str, ...]) -> pa.Table:
        if self._last is None or self._last[:2] != (group, names):
            self._last = None  # before the next is loaded, so that there is only one
            self._last = (group, names, self._loaded(group, names))
        return self._last[2]

    def _loaded(self, group: int, names: tuple[str, ...]) -> pa.Table:
        """A group; nothing in all its rows where it is damaged and may be."""
        try:
            return self._load(group, names)
        except DataError as error:
            if not self._skip:
                raise
            self._damage_by_group[group] = str(error)
        import pyarrow as pa

        fields = [self._schema.field(name) for name in fields_of(self._schema, names)]
        return pa.table({field.name: pa.nulls(len(self._ranges[group]), field.type) for field in fields})
