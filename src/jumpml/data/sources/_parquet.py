"""Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from jumpml.core import DataError
from jumpml.data.sources._data_file import DataFile, is_remote
from jumpml.data.sources._groups import GroupedSource

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


@final
class ParquetSource(GroupedSource):
    """A parquet file; its row groups are the shards, and at most one of them more than was asked for is in memory.

    Args:
        path: The file, here or at an address with ``://``.
        skip: Whether to go on where a row group is damaged.

    Raises:
        DataError: The file is no parquet file.
    """

    def __init__(self, path: str | Path, *, skip: bool = False) -> None:
        self._file = DataFile(str(path))
        self._opened: Any = None
        metadata = self._parquet().metadata
        lengths = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        super().__init__(self._file, self._parquet().schema_arrow, lengths, skip=skip)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_opened": None}

    def _parquet(self) -> Any:
        import pyarrow as pa
        from pyarrow import parquet as pq

        if self._opened is None:
            try:
                told = self._file.open() if is_remote(self._file.path) else self._file.path
                self._opened = pq.ParquetFile(told, page_checksum_verification=True)
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(f"{self._file.path}: this is no parquet file: {error}") from None
        return self._opened

    def _load(self, group: int, names: tuple[str, ...]) -> pa.Table:
        import pyarrow as pa

        try:
            # One thread, as those of a parent would be missing in a forked worker.
            return self._parquet().read_row_group(group, columns=list(names), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            rows = self.shards[group]
            problem = f"row group {group} (rows {rows.start} to {rows.stop - 1}) is damaged: {error}"
            raise DataError(f"{self._file.path}: {problem}") from None
