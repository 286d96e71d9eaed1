"""JSON lines: an object a line."""

from __future__ import annotations

import io
import json
import re
from codecs import BOM_UTF8
from collections import Counter, defaultdict
from typing import IO, TYPE_CHECKING, Any, final

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import fields_of
from jumpml.data.sources._data_file import UNPACKING_ERRORS, DataFile, bad_text, lines_left_out
from jumpml.data.sources._groups import GroupedSource

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

BLOCK_SIZE = 8 << 20  # bytes that are parsed at a time, which bounds the memory of a read by ranges
_NO_OBJECT = re.compile(rb"^[ \t]*[^{\s]", re.MULTILINE)
_WORDS = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


@final
class JsonSource(GroupedSource):
    """A file with a JSON object a line; its blocks of some megabytes are the shards.

    The file is parsed once when it is opened, which tells the columns, their types and the number of rows. A key that
    a line lacks is missing there, as is null. A date stays a text.

    Args:
        path: The file, UTF-8, here or at an address with ``://``; it may be compressed (``.gz``, ``.bz2``, ``.xz``).
        skip: Whether lines that are no such object, or hold values of other types than most, are left out.

    Raises:
        DataError: A line is no object, or a key holds values of different types.
    """

    def __init__(self, path: str | Path, *, skip: bool = False) -> None:
        self._file = DataFile(str(path))
        self._left_out: dict[int, str] = {}
        try:
            schema, lengths = self._scanned()
        except DataError:
            self._left_out = self._misfits() if skip else {}
            if not self._left_out:
                raise
            schema, lengths = self._scanned()
        self._reader: Generator[bytes, int, None] | None = None
        super().__init__(self._file, schema, lengths)

    @property
    def findings(self) -> tuple[str, ...]:
        """The lines that were left out."""
        if not self._left_out:
            return ()
        first, problem = next(iter(self._left_out.items()))
        told = lines_left_out(self._file, [*self._left_out], "do not fit the others")
        return (f"{told.removesuffix('.')}; line {first}: {problem}",)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_reader": None}

    def place(self, row: int) -> str:
        """The row's number, and its line in the file (which blank lines make another)."""
        lines = (line for line, _ in self._lines() if line not in self._left_out)
        for index, line in enumerate(lines):
            if index == row:
                return f"row {row} (line {line} of {self._file.name})"
        return f"row {row}"

    def _scanned(self) -> tuple[pa.Schema, list[int]]:
        """The columns, and the rows of each block."""
        self._offsets: list[int] = []
        self._first_lines: list[int] = []
        schemas, lengths, line = [], [], 1
        for offset, block in self._blocks():
            self._offsets.append(offset)
            self._first_lines.append(line)
            schema, length = self._inferred(self._kept(block, line))
            schemas.append(schema)
            lengths.append(length)
            line += block.count(b"\n")
        if not sum(lengths):
            raise DataError(f"{self._file.path}: the file is empty; expected a JSON object a line.")
        return self._unified(schemas), lengths

    def _kept(self, block: bytes, first: int) -> bytes:
        """A block without the lines that are left out."""
        lines = block.splitlines(keepends=True) if self._left_out else ()
        kept = b"".join(text for line, text in enumerate(lines, first) if line not in self._left_out)
        return kept if self._left_out else block

    def _misfits(self) -> dict[int, str]:
        """By line what does not fit, where the others do: a value is of the type that most of its column are of."""
        types: dict[str, Counter[str]] = defaultdict(Counter)
        found, rows = {}, {}
        for line, text in self._lines():
            row, problem = _object_in(text)
            if problem:
                found[line] = problem
                continue
            rows[line] = [*_types_in(row, "")]
            for key, word in rows[line]:
                types[key][word] += 1
        usual = {key: counts.most_common(1)[0][0] for key, counts in types.items()}
        for line, told in rows.items():
            other = next(((key, word) for key, word in told if word != usual[key]), None)
            if other is not None:
                found[line] = f"{other[0]!r} is {other[1]} here, and {usual[other[0]]} in most lines."
        return dict(sorted(found.items()))

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
        if _NO_OBJECT.search(block.removeprefix(BOM_UTF8)):  # pyarrow would not survive a first line that is null
            raise DataError(self._damage() or f"{self._file.path}: expected a JSON object a line.")
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

        block = self._kept(self._block(group), self._first_lines[group])
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
            row, problem = _object_in(text)
            if problem:
                return f"{where}: {problem}"
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


def _object_in(text: bytes) -> tuple[Any, str]:
    """A line's object, and what is wrong where there is none."""
    try:
        row = json.loads(text)
    except ValueError as error:  # letters that are no UTF-8, too
        return None, f"this is no JSON object: {error}."
    return row, "" if isinstance(row, dict) else f"expected a JSON object, got {_WORDS.get(type(row), 'null')}."


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
