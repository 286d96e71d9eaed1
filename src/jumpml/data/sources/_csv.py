"""Tables in text files."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, final

from jumpml.core import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


def delimiter_problem(delimiter: str) -> str:
    """Why a character cannot separate values; empty where it can."""
    if delimiter.isascii() and (delimiter.isprintable() or delimiter == "\t") and delimiter != '"':
        return ""
    return f"expected one printable ASCII character or a tab, and no quote, got {delimiter!r}."


@final
class CsvSource:
    """A table in a text file with a header line; every value is text until a field decodes it.

    Args:
        path: The file, UTF-8.
        delimiter: What separates two values. Spaces around a value are no part of it.
        missing: The texts that stand for a missing value.

    Raises:
        DataError: The file is no such table.
    """

    def __init__(self, path: Path, delimiter: str = ",", missing: Collection[str] = ("",)) -> None:
        self._path, self._delimiter, self._missing = path, delimiter, list(missing)
        try:
            header = next(self._records(), (0, []))[1]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: this is no table of UTF-8 text: {error}.") from None
        if not header:
            raise DataError(f"{path}: the file is empty; its first line must name the columns.")
        self._header = [name.strip() for name in header]
        twice = sorted({name for name in self._header if self._header.count(name) > 1})
        if twice:
            raise DataError(f"{path}: the header names the column {twice[0]!r} more than once.")

    def columns(self) -> tuple[str, ...]:
        """The names in the header line."""
        return tuple(self._header)

    def read(self, names: Collection[str]) -> dict[str, NDArray]:
        """The columns as texts, None where missing."""
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv as pa_csv

        keys = [f"f{index}" for index in range(len(self._header))]
        wanted = {name: keys[self._header.index(name)] for name in names}
        try:
            table = pa_csv.read_csv(
                self._path,
                read_options=pa_csv.ReadOptions(autogenerate_column_names=True, skip_rows_after_names=1),
                parse_options=pa_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(keys, pa.string()), include_columns=list(wanted.values())
                ),
            )
        except pa.ArrowInvalid as error:
            raise DataError(self._damage() or f"{self._path}: {error}") from None
        absent = pc.SetLookupOptions(pa.array(self._missing, pa.string()))
        return {name: _trimmed(table[key], absent) for name, key in wanted.items()}

    def place(self, row: int) -> str:
        """The row's number, and its line in the file (which blank lines and quoted line ends make another)."""
        for index, (line, _) in enumerate(self._records()):
            if index == row + 1:
                return f"row {row} (line {line} of {self._path.name})"
        return f"row {row}"

    def _damage(self) -> str:
        """What pyarrow stumbled over, with its line, which pyarrow does not tell."""
        expected = len(self._header)
        try:
            for line, record in self._records():
                if len(record) != expected:
                    return f"{self._path}, line {line}: expected {expected} values as in the header, got {len(record)}."
        except (UnicodeDecodeError, csv.Error) as error:
            return f"{self._path}: this is no table of UTF-8 text: {error}."
        return ""

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            start = 1
            for record in reader:
                if record:
                    yield start, record
                start = reader.line_num + 1


def _trimmed(column: Any, absent: Any) -> NDArray:
    """Texts without the spaces around them, None where they stand for a missing value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.call_function("utf8_trim_whitespace", [column])
    missing = pc.call_function("is_in", [text], absent)
    return pc.call_function("if_else", [missing, pa.scalar(None, pa.string()), text]).to_numpy()
