"""A table by its name's end: the source, and what a data file says of it."""

from __future__ import annotations

import csv
import re
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jumpml.core import DataError, did_you_mean
from jumpml.data.sources import ArrowSource, CsvSource, JsonSource, NpzSource, ParquetSource
from jumpml.data.sources._data_file import COMPRESSIONS, DataFile, is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jumpml.data.sources._source import Source

DELIMITERS = ",\t;|"
MISSING = ("", "NA", "NaN", "nan", "null", "?")  # as the key `missing` of a source of kind csv has it
HEAD = 1 << 18  # bytes that delimiter, quotes, encoding and header are told by
LINES = 200
TYPED: Mapping[str, tuple[str, Callable[[str], Source]]] = {
    **dict.fromkeys((".parquet", ".pq"), ("parquet", ParquetSource)),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), ("json", JsonSource)),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), ("arrow", ArrowSource)),
    ".npz": ("npz", NpzSource),
}
SUFFIXES = (".csv", ".tsv", *TYPED)


def open_table(path: str, header: Sequence[str] | None) -> tuple[Source, dict[str, Any], list[str]]:
    """Open a table.

    Args:
        path: The file.
        header: The names of a csv file's columns, where it has no line with them.

    Returns:
        The source; what a data file says of it, but for the path; and what was guessed of a csv file, with reasons.

    Raises:
        DataError: There is no such file, it is of no known type, or it is no such table.
    """
    _refuse_missing(path)
    suffix = _suffix(path)
    if suffix in TYPED:
        kind, make = TYPED[suffix]
        if header is not None:
            raise DataError(f"{path}: a {kind} file names its columns itself; `--header` is for csv and tsv files.")
        return make(path), {"kind": kind}, []
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise DataError(f"{path}: the name's end does not tell what it is; expected one of {known}, also with .gz.")
    return _open_csv(path, suffix, header)


def reopen_csv(path: str, told: Mapping[str, Any]) -> Source:
    """A csv file as a data file tells of it."""
    options = {key: told[key] for key in ("header", "quote", "encoding") if key in told}
    return CsvSource(path, told.get("delimiter", ","), told.get("missing", MISSING), **options)


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _open_csv(path: str, suffix: str, header: Sequence[str] | None) -> tuple[Source, dict[str, Any], list[str]]:
    text, encoding = _head(path)
    told: dict[str, Any] = {"kind": "csv"}
    notes = []
    delimiter = "\t" if suffix == ".tsv" else _delimiter(text)
    lines = text.splitlines()[:LINES]
    if delimiter != ",":
        told["delimiter"] = delimiter
        notes.append(f"values are separated by {delimiter!r}")
    if delimiter == "\t" and any(line.count('"') % 2 for line in lines):
        told["quote"] = None
        notes.append("a quote is a letter like others: some stand alone in a line")
    if encoding != "utf-8":
        told["encoding"] = encoding
        notes.append(f"the text is no UTF-8, so it is read as {encoding}")
    quoting: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if "quote" in told else {}
    first = [cell.strip() for cell in next(iter(csv.reader(lines, delimiter=delimiter, **quoting)), [])]
    if header is not None:
        told["header"] = [*header]
    elif any(is_number(cell) and cell not in MISSING for cell in first) or len(set(first)) < len(first):
        told["header"] = [f"column_{place}" for place in range(1, len(first) + 1)]
        why = "a number is among them" if any(map(is_number, first)) else "one stands there twice"
        notes.append(f"the first line holds values, not names ({why}); --header gives names")
    return reopen_csv(path, told), told, notes


def _refuse_missing(path: str) -> None:
    if is_remote(path) or Path(path).is_file():
        return
    folder = Path(path).parent
    if Path(path).is_dir():
        raise DataError(f"{path}: expected a file, got a folder.")
    beside = [other.name for other in folder.iterdir() if other.is_file()] if folder.is_dir() else []
    near = did_you_mean(Path(path).name, beside)
    raise DataError(f"{path}: there is no such file. {near if near.startswith('Did') else ''}".rstrip())


def _suffix(path: str) -> str:
    ends = [end.lower() for end in PurePosixPath(path).suffixes]
    return ends[-2] if len(ends) > 1 and ends[-1] in COMPRESSIONS else (ends[-1] if ends else "")


def _head(path: str) -> tuple[str, str]:
    """The text's first lines, and the encoding that it can be read in."""
    with DataFile(path).unpacked() as content:
        head = content.read(HEAD)
    whole = head if len(head) < HEAD else head[: head.rfind(b"\n") + 1]
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return whole.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    return whole.decode("latin-1"), "latin-1"


def _delimiter(text: str) -> str:
    """The character that stands equally often in all lines; of several, the most frequent."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text.splitlines()[:LINES] if line.strip()]
    even = partial(_evenness, lines)
    return max(DELIMITERS, key=even) if lines else ","


def _evenness(lines: Sequence[str], delimiter: str) -> tuple[float, int]:
    counts = [line.count(delimiter) for line in lines]
    if not counts[0]:
        return 0.0, 0
    return sum(count == counts[0] for count in counts) / len(counts), counts[0]
