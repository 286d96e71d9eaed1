"""WebDataset shards: tar archives whose members of one name make a row."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import object_array
from jumpml.data.sources._blob import TarBlob
from jumpml.data.sources._data_file import DataFile
from jumpml.data.sources._listing import member_path
from jumpml.data.sources._source import Source, row_range

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

KEY = "__key__"
TEXT_EXTENSIONS = {"cls", "id", "json", "text", "txt"}


@final
class WebDatasetSource(Source):
    """Plain tar archives: members that stand together and differ only from the first dot of their names on are a row.

    The columns are what follows that dot: ``jpg``, ``cls``, ``seg.png``. What ends in ``cls``, ``id``, ``json``,
    ``text`` or ``txt`` is read as text, the rest is `Blob`. ``__key__`` is what stands before the dot. The archives'
    directories are read once; then every row can be reached on its own. Each archive is a shard.

    Args:
        paths: The archives, here or at addresses with ``://``.

    Raises:
        DataError: A file is no plain tar archive, or a row holds a column twice.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        rows: list[dict[str, Any]] = []
        shards = []
        for path in paths:
            found = [*_rows(DataFile(str(path)))]
            shards.append(range(len(rows), len(rows) + len(found)))
            rows += found
        if not rows:
            raise DataError(f"{', '.join(map(str, paths))}: there are no members; expected files such as '0001.jpg'.")
        names = list(dict.fromkeys(name for row in rows for name in row))
        self._shards = tuple(shards)
        self._columns = {name: object_array((row.get(name) for row in rows), len(rows)) for name in names}

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words."""
        return {name: "text" if name == KEY or _is_text(name) else "bytes" for name in self._columns}

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(self._columns[KEY])

    @property
    def shards(self) -> tuple[range, ...]:
        """The rows of each archive."""
        return self._shards

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        rows = row_range(self.length, start, stop)
        columns = {name: self._columns[name][rows.start : rows.stop] for name in names}
        return {name: self._read_texts(values, start) if _is_text(name) else values for name, values in columns.items()}

    def place(self, row: int) -> str:
        """The row's number and its member."""
        blob = next(values[row] for name, values in self._columns.items() if name != KEY and values[row] is not None)
        return f"row {row} ({blob.name})"

    def _read_texts(self, blobs: NDArray, start: int) -> NDArray:
        texts = np.full(len(blobs), None, dtype=object)
        for row, blob in enumerate(blobs):
            if blob is not None:
                try:
                    texts[row] = blob.read().decode().strip()
                except UnicodeDecodeError as error:
                    raise DataError(f"{self.place(start + row)}: {blob.name} is no UTF-8 text: {error}.") from None
        return texts


def _is_text(column: str) -> bool:
    return column.rpartition(".")[2].lower() in TEXT_EXTENSIONS


def _rows(file: DataFile) -> Iterator[dict[str, Any]]:
    row: dict[str, Any] = {}
    for name, member in _members(file):
        folder, slash, last = name.rpartition("/")
        stem, dot, column = last.partition(".")
        if not stem or not dot:  # hidden, or without a name of a column
            raise DataError(f"{file.path}: the member {name!r} has no name such as '0001.jpg', which makes a column.")
        key = f"{folder}{slash}{stem}"
        if row and row[KEY] != key:
            yield row
            row = {}
        if column in row:
            raise DataError(f"{file.path}: the row {key!r} holds {column!r} twice.")
        row[KEY] = key
        row[column] = TarBlob(file, name, member.offset_data, member.size)
    if row:
        yield row


def _members(file: DataFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    try:
        with file.open() as content, tarfile.open(fileobj=content, mode="r:") as archive:
            for member in archive:
                name = member_path(member.name, file)
                if member.offset_data + member.size > file.stamp[0]:
                    raise DataError(f"{file.path}: the archive ends in the middle of the member {name!r}.")
                if not member.isdir() and not member.isreg():
                    raise DataError(f"{file.path}: the member {name!r} is a link or a device; expected a file.")
                if member.isreg():
                    yield name, member
    except tarfile.TarError as error:
        fix = "A compressed one has to be unpacked, as its rows cannot be reached otherwise."
        raise DataError(f"{file.path}: this is no whole, plain tar archive: {error}. {fix}") from None
