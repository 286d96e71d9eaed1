"""JSON lines: an object a line."""

from __future__ import annotations

import io
import json
from typing import IO, TYPE_CHECKING, Any, final

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import fields_of
from jumpml.data.sources._data_file import UNPACKING_ERRORS, DataFile, bad_text
from jumpml.data.sources._groups import GroupedSource

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

BLOCK_SIZE = 8 << 20  # bytes that are parsed at a time, which bounds the memory of a read by ranges
_WORDS = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


@final
class JsonSource(GroupedSource):
    """A file with a JSON object a line; its blocks of some megabytes are the shards.

    The file is parsed once when it is opened, which tells the columns, their types and the number of rows. A key that
    a line lacks is missing there, as is null. A date stays a text.

    Args:
        path: The file, UTF-8, here or at an address with ``://``; it may be compressed (``.gz``, ``.bz2``, ``.xz``).

    Raises:
        DataError: A line is no object, or a key holds values of different types.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = DataFile(str(path))
        self._offsets: list[int] = []
        schemas, lengths = [], []
        for offset, block in self._blocks():
            schema, length = self._inferred(block)
            schemas.append(schema)
            lengths.append(length)
            self._offsets.append(offset)
        if not sum(lengths):
            raise DataError(f"{path}: the file is empty; expected a JSON object a line.")
        self._reader: Generator[bytes, int, None] | None = None
        super().__init__(self._file, self._unified(schemas), lengths)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_reader": None}

    def place(self, row: int) -> str:
        """The row's number, and its line in the file (which blank lines make another)."""
        for index, (line, _) in enumerate(self._lines()):
            if index == row:
                return f"row {row} (line {line} of {self._file.name})"
        return f"row {row}"

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Whole lines, some megabytes at a time, each with its place in the file."""
        offset = 0
        try:
            with self._file.unpacked() as content:
                while block := _whole_lines(content):
                    yield offset, block
                    offset += len(block)
        except UNPACKING_ERRORS as error:
            raise DataError(f"{self._file.path}: the file cannot be read: {error}.") from None

    def _inferred(self, block: bytes) -> tuple[pa.Schema, int]:
        import pyarrow as pa

        if not block.strip():
            return pa.schema([]), 0
        try:
            block.decode()
            table = _parsed(block)
        except UnicodeDecodeError:
            line, problem = bad_text(self._file, "utf-8")
            raise DataError(f"{self._file.path}, line {line}: this is no UTF-8 text: {problem}.") from None
        except pa.ArrowInvalid as error:
            raise DataError(self._damage() or f"{self._file.path}: {error}") from None
        return pa.schema([field.with_type(_without_times(field.type)) for field in table.schema]), table.num_rows

    def _unified(self, schemas: list[pa.Schema]) -> pa.Schema:
        import pyarrow as pa

        try:
            return pa.unify_schemas(schemas, promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            raise DataError(self._damage() or f"{self._file.path}: {error}") from None

    def _load(self, group: int, names: tuple[str, ...]) -> pa.Table:
        import pyarrow as pa

        block = self._block(group)
        return _parsed(block, pa.schema([self._schema.field(name) for name in fields_of(self._schema, names)]))

    def _block(self, group: int) -> bytes:
        """A group's lines.

        The file stays open up to the last group: so what is compressed is unpacked once for all groups in a row, and
        not from its beginning for each.
        """
        if self._reader is None:
            self._reader = self._reading()
            next(self._reader)
        try:
            block = self._reader.send(self._offsets[group])
        except UNPACKING_ERRORS as error:
            self._reader = None
            raise DataError(f"{self._file.path}: the file cannot be read: {error}.") from None
        if group == len(self._offsets) - 1:
            self._reader = None
        return block

    def _reading(self) -> Generator[bytes, int, None]:
        """Takes places in the file, and gives the lines there."""
        block = b""
        with self._file.unpacked() as content:
            while True:
                content.seek((yield block))
                block = _whole_lines(content)

    def _damage(self) -> str:
        """The first line that does not fit, which pyarrow does not tell."""
        types: dict[str, tuple[str, int]] = {}
        for line, text in self._lines():
            where = f"{self._file.path}, line {line}"
            try:
                row = json.loads(text)
            except ValueError as error:
                return f"{where}: this is no JSON object: {error}."
            if not isinstance(row, dict):
                return f"{where}: expected a JSON object, got {_WORDS.get(type(row), 'null')}."
            for key, word in _types_in(row, ""):
                known, first = types.setdefault(key, (word, line))
                if word != known:
                    return f"{where}: {key!r} is {word} here, and {known} in line {first}."
        return ""

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self._file.unpacked() as content:
            for line, text in enumerate(content, start=1):
                if text.strip():
                    yield line, text


def _whole_lines(content: IO[bytes]) -> bytes:
    block = content.read(BLOCK_SIZE)
    return block if block.endswith(b"\n") else block + content.readline()


def _parsed(block: bytes, schema: pa.Schema | None = None) -> pa.Table:
    from pyarrow import json as pa_json

    return pa_json.read_json(
        io.BytesIO(block),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=pa_json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
        ),
    )


def _without_times(kind: Any) -> Any:
    """The type with texts where pyarrow takes every text for a time: the next block may hold another text."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_times(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_times(field.type)) for field in kind])
    return kind


def _types_in(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Each key's type in words, also of what lies in objects and lists."""
    if value is None:
        return
    if key:
        yield key, _WORDS[type(value)]
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else (("[]", item) for item in value)
    for name, item in inner:
        yield from _types_in(item, f"{key}.{name}" if key else name)
