"""Plain text: a row a file, a line, a paragraph, or so many letters."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import object_array
from jumpml.data.sources._data_file import UNPACKING_ERRORS, DataFile, file_system, is_remote, is_utf8
from jumpml.data.sources._files import left_out
from jumpml.data.sources._listing import files_in
from jumpml.data.sources._source import Source, row_range

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

FILES_SHOWN = 5  # of those that cannot be read
TEXT_SUFFIXES = (".md", ".text", ".txt")
Unit = Literal["file", "line", "paragraph"] | int
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_PARAGRAPH = re.compile(r"[^\n]*\S[^\n]*(?:\n[^\n]*\S[^\n]*)*")


@final
class TextSource(Source):
    """Plain text in one file, or in the files of a folder or zip archive; it is held in memory.

    Columns: ``text``; ``position``, how many letters stand before it in its file; and of a folder or an archive also
    ``label``, the name of the folder that a file lies in, ``path``, and ``name``, the path's last part without its
    suffix.

    Args:
        path: A file, which may be compressed, a folder, or a ``.zip`` archive; here or at an address with ``://``.
        unit: What a row is: ``file``; ``line``, where lines without a letter are none; ``paragraph``, lines up to an
            empty one; or so many letters, one row after the other, of which a file's last may be shorter.
        encoding: Of the text.
        skip: Whether files of a folder or an archive that cannot be read are left out.

    Raises:
        DataError: A file is no text in the encoding, or there is no text at all.
    """

    def __init__(self, path: str | Path, unit: Unit, encoding: str = "utf-8", *, skip: bool = False) -> None:
        self._path = str(path)
        if _is_file(self._path):
            texts = {"": _decoded(self._path, self._single(), encoding)}
        else:
            texts = self._folder(encoding, skip=skip)
        self._texts, self._files = list(texts.values()), list(texts)
        starts, stops, files = [], [], []
        for index, text in enumerate(self._texts):
            for start, stop in _spans(text, unit):
                starts.append(start)
                stops.append(stop)
                files.append(index)
        if not starts:
            raise DataError(f"{path}: the file is empty; expected some text.")
        self._spans = np.array([files, starts, stops], dtype=np.int64)

    @property
    def schema(self) -> Mapping[str, str]:
        """The columns; all but the position are text."""
        several = () if self._files == [""] else ("label", "path", "name")
        return {"text": "text", "position": "int64"} | dict.fromkeys(several, "text")

    @property
    def length(self) -> int:
        """How many rows there are."""
        return self._spans.shape[1]

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        rows = row_range(self.length, start, stop)
        spans = self._spans[:, rows.start : rows.stop].T.tolist()
        columns = {}
        for name in names:
            if name == "position":
                columns[name] = self._spans[1, rows.start : rows.stop]
            else:
                columns[name] = object_array((self._value(name, *span) for span in spans), len(rows))
        return columns

    def place(self, row: int) -> str:
        """The row's number, and its line."""
        if not 0 <= row < self.length:
            return f"row {row}"
        file, start, _ = self._spans[:, row].tolist()
        line = self._texts[file].count("\n", 0, start) + 1
        return f"row {row} (line {line} of {self._files[file] or PurePosixPath(self._path).name})"

    def _value(self, name: str, file: int, start: int, stop: int) -> str | None:
        path = PurePosixPath(self._files[file])
        if name == "text":
            return self._texts[file][start:stop]
        return {"label": path.parent.name or None, "path": str(path), "name": path.stem}[name]

    def _single(self) -> bytes:
        file = DataFile(self._path)
        try:
            with file.unpacked() as content:
                return content.read()
        except UNPACKING_ERRORS as error:
            raise DataError(f"{self._path}: the file cannot be read: {error}.") from None

    def _folder(self, encoding: str, *, skip: bool) -> dict[str, str]:
        found = files_in(self._path)
        blobs = {name: blob for name, blob in found.items() if name.lower().endswith(TEXT_SUFFIXES)}
        texts: dict[str, str] = {}
        problems: list[str] = []
        for name, blob in blobs.items():
            try:
                texts[name] = _decoded(name, blob.read(), encoding)
            except DataError as error:
                if not skip:
                    raise
                problems.append(str(error))
        told = [f"{len(problems)} files cannot be read and are left out (on_error: skip)."] if problems else []
        more = [f"... and {len(problems) - FILES_SHOWN} more."] if len(problems) > FILES_SHOWN else []
        others = left_out(self._path, sorted(set(found) - set(blobs)))
        self._findings = (*others, *told, *problems[:FILES_SHOWN], *more)
        return texts


def _is_file(path: str) -> bool:
    if path.lower().endswith(".zip"):
        return False
    if not is_remote(path):
        return not Path(path).is_dir()
    system, inner = file_system(path)
    return bool(system.isfile(inner))


def _decoded(name: str, content: bytes, encoding: str) -> str:
    try:
        text = content.decode("utf-8-sig" if is_utf8(encoding) else encoding)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].decode(encoding, "ignore").count("\n") + 1
        problem = f"{error.encoding!r} codec can't decode byte 0x{error.object[error.start]:02x}: {error.reason}"
        fix = "If it is in another encoding, say so, such as `encoding: latin-1`."
        raise DataError(f"{name}, line {line}: this is no text in {encoding}: {problem}. {fix}") from None
    return text.replace("\r\n", "\n")


def _spans(text: str, unit: Unit) -> Iterator[tuple[int, int]]:
    if unit == "file":
        yield 0, len(text)
    elif isinstance(unit, int):
        for start in range(0, len(text), unit):
            yield start, min(start + unit, len(text))
    else:
        for found in (_LINE if unit == "line" else _PARAGRAPH).finditer(text):
            yield found.span()
