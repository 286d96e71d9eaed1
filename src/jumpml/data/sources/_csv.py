"""Tables in text files."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, final

from jumpml.core import DataError
from jumpml.data.sources._data_file import UNPACKING_ERRORS, DataFile, bad_text, is_utf8, lines_left_out
from jumpml.data.sources._source import Source
from jumpml.data.sources._stream import Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BLOCK_SIZE = 8 << 20  # bytes that are parsed at a time, which bounds the memory of a read by ranges


def delimiter_problem(delimiter: str) -> str:
    """Why a character cannot separate values; empty where it can."""
    if delimiter.isascii() and (delimiter.isprintable() or delimiter == "\t") and delimiter != '"':
        return ""
    return f"expected one printable ASCII character or a tab, and no quote, got {delimiter!r}."


@final
class CsvSource(Source):
    """A table in a text file; every value is text until a field decodes it.

    The file is read from its beginning; a range that follows the last one goes on from there, so that reading range
    after range costs no more than reading at once.

    Args:
        path: The file, here or at an address with ``://``; it may be compressed (``.gz``, ``.bz2``, ``.xz``).
        delimiter: What separates two values. Spaces around a value are no part of it.
        missing: The texts that stand for a missing value.
        header: The columns' names where the file has no header line; from its first line where None.
        quote: What a value that holds a delimiter or a line's end stands between; None where a quote is a letter.
        encoding: Of the text.
        skip: Whether lines with more or fewer values than the header are left out.

    Raises:
        DataError: The file is no such table.
    """

    def __init__(
        self,
        path: str | Path,
        delimiter: str = ",",
        missing: Collection[str] = ("",),
        *,
        header: Sequence[str] | None = None,
        quote: str | None = '"',
        encoding: str = "utf-8",
        skip: bool = False,
    ) -> None:
        self._file = DataFile(str(path))
        self._delimiter, self._missing, self._quote = delimiter, list(missing), quote
        self._encoding = "utf-8-sig" if is_utf8(encoding) else encoding
        self._told_header = header is not None
        self._header = self._read_header(header)
        self._skip, self._left_out = skip, False
        self._stream = Stream(self._batches)

    @property
    def schema(self) -> Mapping[str, str]:
        """All columns; each is text."""
        return dict.fromkeys(self._header, "text")

    @property
    def length(self) -> int | None:
        """Unknown before the end was reached."""
        return self._stream.length

    @property
    def findings(self) -> tuple[str, ...]:
        """The lines that were left out."""
        if not self._left_out:
            return ()
        lines = [line for line, record in self._records() if len(record) != len(self._header)]
        return (lines_left_out(self._file, lines, f"do not have {len(self._header)} values as the header has"),)

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """The columns as texts, None where missing."""
        import pyarrow as pa

        self._refuse_unknown(names)
        self._file.check()
        try:
            return self._stream.read(tuple(names), start, stop)
        except (pa.ArrowInvalid, UnicodeError, *UNPACKING_ERRORS) as error:
            raise DataError(self._damage() or f"{self._file.path}: {error}") from None

    def place(self, row: int) -> str:
        """The row's number, and its line in the file (which blank lines and quoted line ends make another)."""
        with suppress(UnicodeError, csv.Error, *UNPACKING_ERRORS):  # it is asked for on the way to another error
            rows = ((line, values) for line, values in self._records() if not self._is_left_out(values))
            for index, (line, _) in enumerate(rows):
                if index == row + (not self._told_header):
                    return f"row {row} (line {line} of {self._file.name})"
        return f"row {row}"

    def _read_header(self, told: Sequence[str] | None) -> list[str]:
        path = self._file.path
        try:
            first = next(self._records(), (0, []))[1]
        except UnicodeError:
            raise DataError(self._bad_text()) from None
        except (*UNPACKING_ERRORS, csv.Error) as error:
            raise DataError(f"{path}: this is no table of {self._text}: {error}.") from None
        if not first:
            lacks = "it has no rows." if told is not None else "its first line must name the columns."
            raise DataError(f"{path}: the file is empty; {lacks}")
        if told is not None and len(told) != len(first):
            raise DataError(f"{path}: expected {len(told)} values a line as in `header`, got {len(first)} in line 1.")
        header = [name.strip() for name in (first if told is None else told)]
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise DataError(f"{path}: the header names the column {twice[0]!r} more than once.")
        return header

    def _batches(self, names: Sequence[str]) -> Iterator[dict[str, NDArray]]:
        import pyarrow as pa

        wanted = {name: f"f{self._header.index(name)}" for name in names}
        absent = pa.array(self._missing, pa.string())
        header = 0 if self._told_header else 1
        with self._file.unpacked() as content:
            for batch in self._reader(content, list(wanted.values())):
                rows = batch.slice(header)
                header = 0
                if len(rows):
                    yield {name: _texts(rows.column(key), absent) for name, key in wanted.items()}

    def _reader(self, content: IO[bytes], wanted: list[str]) -> Any:
        import pyarrow as pa
        from pyarrow import csv as pa_csv

        keys = [f"f{index}" for index in range(len(self._header))]
        return pa_csv.open_csv(
            content,
            # One thread: others would go on reading from a file that was closed in the middle.
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                column_names=keys,
                block_size=BLOCK_SIZE,
                encoding=self._encoding.removesuffix("-sig"),
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter,
                quote_char=self._quote or False,
                newlines_in_values=self._quote is not None,
                invalid_row_handler=self._leave_out if self._skip else None,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.string()), include_columns=wanted
            ),
        )

    def _leave_out(self, _: Any) -> str:
        self._left_out = True
        return "skip"

    def _is_left_out(self, values: list[str]) -> bool:
        return self._skip and len(values) != len(self._header)

    def _damage(self) -> str:
        """What pyarrow stumbled over, with its line, which pyarrow does not tell."""
        path, expected = self._file.path, len(self._header)
        try:
            for line, record in self._records():
                if len(record) != expected:
                    told = "`header`" if self._told_header else "the header"
                    return f"{path}, line {line}: expected {expected} values as in {told}, got {len(record)}."
        except UnicodeError:
            return self._bad_text()
        except (*UNPACKING_ERRORS, csv.Error) as error:
            return f"{path}: this is no table of {self._text}: {error}."
        return ""

    @property
    def _text(self) -> str:
        name = self._encoding.removesuffix("-sig")
        return f"{name.upper()} text" if name.startswith("utf") else f"text in {name}"

    def _bad_text(self) -> str:
        line, problem = bad_text(self._file, self._encoding)
        fix = "If it is in another encoding, say so, such as `encoding: latin-1`."
        return f"{self._file.path}, line {line}: this is no table of {self._text}: {problem}. {fix}"

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        quoting = csv.QUOTE_MINIMAL if self._quote else csv.QUOTE_NONE
        with (
            self._file.unpacked() as content,
            io.TextIOWrapper(content, encoding=self._encoding, newline="") as text,  # type: ignore[arg-type]
        ):
            reader = csv.reader(text, delimiter=self._delimiter, quotechar=self._quote, quoting=quoting)
            start = 1
            for record in reader:
                if record:
                    yield start, record
                start = reader.line_num + 1


def _texts(column: Any, absent: Any) -> NDArray:
    """Texts without the spaces around them, None where they stand for a missing value; equal texts are one object."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = column.dictionary_encode()
    text = pc.call_function("utf8_trim_whitespace", [encoded.dictionary])
    missing = pc.call_function("is_in", [text], pc.SetLookupOptions(absent))
    words = pc.call_function("if_else", [missing, pa.scalar(None, pa.string()), text])
    return words.to_numpy(zero_copy_only=False)[encoded.indices.to_numpy()]
