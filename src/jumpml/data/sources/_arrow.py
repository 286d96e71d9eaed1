"""Arrow's own files, and tables in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import fields_of
from jumpml.data.sources._data_file import DataFile, is_remote
from jumpml.data.sources._groups import GroupedSource

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_FILE_MARK = b"ARROW1"  # without it, it is a stream


@final
class ArrowSource(GroupedSource):
    """An Arrow file, also called Feather, or an Arrow stream; mapped into memory where it is on this machine.

    Its record batches are the shards. Only the batches that are asked for are touched, and of a compressed file
    unpacked.

    Args:
        path: The file, here or at an address with ``://``.
        skip: Whether to go on where a batch is damaged.

    Raises:
        DataError: The file is no Arrow file.
    """

    def __init__(self, path: str | Path, *, skip: bool = False) -> None:
        self._file = DataFile(str(path))
        with self._file.open() as content:
            self._is_stream = content.read(len(_FILE_MARK)) != _FILE_MARK
        super().__init__(self._file, *self._scan(), skip=skip)

    def _scan(self) -> tuple[pa.Schema, list[int]]:
        """The schema, and each batch's rows, of which one column is enough to know."""
        import pyarrow as pa

        try:
            schema = self._reader(None).schema
            first = self._reader([0] if len(schema) else None)
            if self._is_stream:
                return schema, [batch.num_rows for batch in first]
            return schema, [first.get_batch(index).num_rows for index in range(first.num_record_batches)]
        except (pa.ArrowException, OSError, EOFError) as error:
            raise DataError(f"{self._file.path}: this is no whole Arrow file: {error}") from None

    def _load(self, group: int, names: tuple[str, ...]) -> pa.Table:
        import pyarrow as pa

        wanted = set(fields_of(self._schema, names))
        reader = self._reader([index for index, field in enumerate(self._schema) if field.name in wanted])
        try:
            if not self._is_stream:
                return pa.Table.from_batches([reader.get_batch(group)])
            return next(pa.Table.from_batches([batch]) for index, batch in enumerate(reader) if index == group)
        except (pa.ArrowException, OSError, EOFError) as error:
            rows = self.shards[group]
            problem = f"batch {group} (rows {rows.start} to {rows.stop - 1}) is damaged: {error}"
            raise DataError(f"{self._file.path}: {problem}") from None

    def _reader(self, fields: list[int] | None) -> Any:
        import pyarrow as pa

        begin = pa.ipc.open_stream if self._is_stream else pa.ipc.open_file
        content = self._file.open() if is_remote(self._file.path) else pa.memory_map(self._file.path)
        return begin(content, options=pa.ipc.IpcReadOptions(included_fields=fields))
