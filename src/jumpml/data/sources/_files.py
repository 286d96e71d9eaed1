"""Encoded files as rows: pictures and sounds in folders and archives."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, final

from jumpml.core import DataError
from jumpml.data.sources._arrow_values import object_array
from jumpml.data.sources._listing import files_in
from jumpml.data.sources._source import Source, row_range

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from jumpml.data.sources._pattern import PathPattern

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
AUDIO_SUFFIXES = (".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
OWN_COLUMNS = ("label", "path", "name")


@final
class FilesSource(Source):
    """The files of a folder or a zip archive, a row each, in the order of their paths.

    Columns: the content, as `Blob`; ``label``, the name of the folder that a file lies in; ``path``, from the folder or
    in the archive; ``name``, the path's last part without its suffix; and those of the pattern.

    Args:
        path: The folder or the ``.zip`` archive, here or at an address with ``://``.
        content: What to call the column of contents: ``image`` or ``audio``.
        suffixes: What the names of the files end in; others are left out, and told of in ``findings``.
        pattern: Makes columns of parts of the path; every file has to fit.

    Raises:
        DataError: There is no such file, or one does not fit the pattern.
    """

    def __init__(
        self, path: str | Path, *, content: str, suffixes: tuple[str, ...], pattern: PathPattern | None = None
    ) -> None:
        problem = "" if pattern is None else pattern_problem(pattern, content)
        if problem:
            raise DataError(problem)
        found = files_in(str(path))
        files = {name: blob for name, blob in found.items() if name.lower().endswith(suffixes)}
        if not files:
            held = f"none of the {len(found)} files there does" if found else "it holds no files"
            raise DataError(f"{path}: expected files that end in {', '.join(suffixes)}; {held}.")
        self._findings = tuple(left_out(str(path), sorted(set(found) - set(files))))
        paths = [PurePosixPath(name) for name in files]
        self._columns: dict[str, NDArray] = {
            content: object_array(files.values(), len(files)),
            "label": object_array((told.parent.name or None for told in paths), len(files)),
            "path": object_array(map(str, paths), len(files)),
            "name": object_array((told.stem for told in paths), len(files)),
        }
        if pattern is not None:
            self._columns |= _parts(pattern, list(files), str(path))

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words."""
        content, *others = self._columns
        return {content: "bytes", **dict.fromkeys(others, "text")}

    @property
    def length(self) -> int:
        """How many files there are."""
        return len(self._columns["path"])

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        rows = row_range(self.length, start, stop)
        return {name: self._columns[name][rows.start : rows.stop] for name in names}

    def place(self, row: int) -> str:
        """The row's number and its file."""
        return f"row {row} ({next(iter(self._columns.values()))[row].name})"


def pattern_problem(pattern: PathPattern, content: str) -> str:
    """Why a pattern cannot be used here; empty where it can."""
    taken = next((name for name in pattern.names if name in {content, *OWN_COLUMNS}), None)
    return "" if taken is None else f"the pattern makes the column {taken!r}, which is there already; use another name."


def _parts(pattern: PathPattern, paths: list[str], where: str) -> dict[str, NDArray]:
    rows = [pattern.match(path) for path in paths]
    bad = next((path for path, row in zip(paths, rows, strict=True) if row is None), None)
    if bad is not None:
        raise DataError(f"{where}: the file {bad!r} does not fit the pattern {pattern.text!r}.")
    return {name: object_array((row[name] for row in rows if row), len(rows)) for name in pattern.names}


def left_out(where: str, names: list[str]) -> list[str]:
    """A sentence on the files that are no rows, where there are some."""
    if not names:
        return []
    told = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return [f"{where}: files not read, as their names end otherwise: {len(names)} ({told})"]
