"""A file, here or far away, that notices when it changes under a run."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import os
import stat
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, final

from jumpml.core import DataError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMPRESSIONS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_REMOTE_STAMPS = ("mtime", "LastModified", "last_modified", "updated", "created", "ETag", "etag")
UNPACKING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
LINES_SHOWN = 10
_BLOCK = 1 << 20  # bytes of text that are looked at together


@final
@dataclass(frozen=True, slots=True)
class DataFile:
    """A file as it was when it was first looked at: opening it later, when it has changed, is an error.

    Args:
        path: On this machine, or an address with ``://`` that fsspec knows.

    Attributes:
        stamp: Its size in bytes, and when it was last changed, empty where that is not known.

    Raises:
        DataError: There is no such file, or it cannot be reached.
    """

    path: str
    stamp: tuple[int, str] = field(default=(-1, ""), compare=False)

    def __post_init__(self) -> None:
        if self.stamp == (-1, ""):
            object.__setattr__(self, "stamp", _stamp(self.path))

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name if is_remote(self.path) else Path(self.path).name

    def check(self) -> None:
        """Refuse a file that is another now.

        Raises:
            DataError: Its size or time of change differs, or it is gone.
        """
        self._refuse_another(_stamp(self.path))

    def _refuse_another(self, now: tuple[int, str]) -> None:
        if now[0] != self.stamp[0] or self.stamp[1] not in {"", now[1]}:
            sizes = f"{self.stamp[0]} bytes then, {now[0]} now" if now[0] != self.stamp[0] else f"{now[0]} bytes"
            fix = "Start again, so that all rows come from one state of it."
            raise DataError(f"{self.path}: the file has changed since it was opened ({sizes}). {fix}")

    def open(self) -> IO[bytes]:
        """The bytes as they are stored; seekable.

        Raises:
            DataError: The file has changed, or cannot be opened.
        """
        try:
            if is_remote(self.path):
                self.check()
                system, inner = file_system(self.path)
                return system.open(inner, "rb")
            content = open(self.path, "rb")  # noqa: PTH123, SIM115 (a file a row: twice as quick as by a Path)
        except (OSError, ValueError) as error:
            self.check()  # it may know better
            raise DataError(f"{self.path}: the file cannot be opened: {error}.") from None
        try:
            self._refuse_another(_of_status(os.fstat(content.fileno())))
        except DataError:
            content.close()
            raise
        return content

    @contextmanager
    def unpacked(self) -> Iterator[IO[bytes]]:
        """The bytes, without the compression that the name's end tells of (``.gz``, ``.bz2``, ``.xz``)."""
        unpack = COMPRESSIONS.get(PurePosixPath(self.name).suffix)
        with self.open() as stored:
            if unpack is None:
                yield stored
            else:
                with unpack(stored, "rb") as content:
                    yield content


def is_remote(path: str) -> bool:
    """Whether a path is an address that fsspec opens."""
    return "://" in path


def file_system(path: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it.

    Raises:
        MissingExtraError: fsspec, or what it needs for this address, is not installed.
        DataError: No file system is known by that name.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError("fsspec", "hub", f"reading {path}") from None
    try:
        return fsspec.core.url_to_fs(path)
    except (ImportError, ValueError, OSError) as error:
        raise DataError(f"{path}: this address cannot be reached: {error}") from None


def is_utf8(encoding: str) -> bool:
    """Whether an encoding is UTF-8, in which a byte order mark at the beginning is no part of the text."""
    return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}


def lines_left_out(file: DataFile, lines: Sequence[int], why: str) -> str:
    """What is said of lines that are no rows."""
    shown = ", ".join(map(str, lines[:LINES_SHOWN])) + (", ..." if len(lines) > LINES_SHOWN else "")
    return f"{len(lines)} lines of {file.name} {why} and are left out (on_error: skip): {shown}."


def bad_text(file: DataFile, encoding: str) -> tuple[int, str]:
    """The first line of a file that is no text in an encoding, and what is wrong with it."""
    decode, line = codecs.getincrementaldecoder(encoding)().decode, 1
    with file.unpacked() as content:
        while True:
            block = content.read(_BLOCK)
            try:
                line += decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].decode(encoding, "ignore").count("\n")
                byte = error.object[error.start]
                return line, f"{error.encoding!r} codec can't decode byte 0x{byte:02x}: {error.reason}"
            except UnicodeError as error:  # such as UTF-16 without the mark that it begins with
                return line, str(error)
            if not block:
                return line, "it ends in the middle of a letter"


def _stamp(path: str) -> tuple[int, str]:
    try:
        if is_remote(path):
            system, inner = file_system(path)
            told = system.info(inner)
            changed = next((told[key] for key in _REMOTE_STAMPS if told.get(key) is not None), "")
            is_folder, found = told.get("type") == "directory", (int(told.get("size") or 0), str(changed))
        else:
            status = Path(path).stat()
            is_folder, found = stat.S_ISDIR(status.st_mode), _of_status(status)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the file cannot be read: {error}.") from None
    if is_folder:
        raise DataError(f"{path}: expected a file, got a folder.")
    return found


def _of_status(status: os.stat_result) -> tuple[int, str]:
    return status.st_size, str(status.st_mtime_ns)
