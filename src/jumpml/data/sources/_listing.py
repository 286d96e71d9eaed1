"""The files in a folder or in a zip archive."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from jumpml.core import DataError
from jumpml.data.sources._blob import FileBlob, ZipBlob
from jumpml.data.sources._data_file import UNPACKING_ERRORS, DataFile, file_system, is_remote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jumpml.data.sources._blob import Blob

_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1


def files_in(path: str) -> dict[str, Blob]:
    """All files below a folder or in a ``.zip`` archive, by their paths with ``/``, sorted; hidden ones are none.

    Raises:
        DataError: There is no such folder, or the archive is damaged or holds a path that leads out of it.
    """
    if path.lower().endswith(".zip"):
        found = dict(_in_archive(DataFile(path)))
    else:
        found = dict(_in_far_folder(path) if is_remote(path) else _in_folder(path))
    return {name: found[name] for name in sorted(found) if not _is_hidden(name)}


def member_path(name: str, archive: DataFile) -> str:
    """A member's path, where it stays in the archive's folder.

    Raises:
        DataError: It leads out of it.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive:
        problem = f"the member {name!r} leads out of the archive's folder"
        raise DataError(f"{archive.path}: {problem}; the archive is refused.")
    return str(path)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _in_folder(path: str) -> Iterator[tuple[str, Blob]]:
    seen: set[str] = set()  # a link to a folder above would go round for ever
    for folder, inner, names in os.walk(path, followlinks=True, onerror=_refuse):
        inner[:] = [name for name in inner if not name.startswith(".")]
        real = os.path.realpath(folder)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        for name in names:
            found = Path(folder, name)
            if not name.startswith("."):
                told = found.relative_to(path).as_posix()
                yield told, FileBlob(DataFile(str(found)), told)


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: the folder cannot be read: {error}.") from None


def _in_far_folder(path: str) -> Iterator[tuple[str, Blob]]:
    system, inner = file_system(path)
    for found, info in system.find(inner, detail=True).items():
        told = found.removeprefix(inner).lstrip("/")
        yield told, FileBlob(DataFile(system.unstrip_protocol(found), (int(info["size"] or 0), "")), told)


def _in_archive(file: DataFile) -> Iterator[tuple[str, Blob]]:
    try:
        with file.open() as content, zipfile.ZipFile(content) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, *UNPACKING_ERRORS) as error:
        raise DataError(f"{file.path}: this is no whole zip archive: {error}.") from None
    for member in members:
        name = member_path(member.filename, file)
        if member.is_dir():
            continue
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _ZIP_METHODS:
            how = "encrypted" if member.flag_bits & _ENCRYPTED else f"packed by the method {member.compress_type}"
            raise DataError(f"{file.path}: the member {name!r} is {how}; pack it by deflate, or unpack the archive.")
        yield (
            name,
            ZipBlob(
                file,
                name,
                member.header_offset,
                member.compress_size,
                member.file_size,
                member.compress_type,
                member.CRC,
            ),
        )
