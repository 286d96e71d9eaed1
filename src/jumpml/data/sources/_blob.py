"""Encoded content, such as a picture or a sound, that is read when it is needed."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jumpml.core import DataError
from jumpml.data.sources._data_file import DataFile

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

_ZIP_HEADER = 30  # bytes before a member's name in its own header
_DEFLATED = 8
_LARGEST = 1 << 30  # bytes of a row's content in an archive


class Blob(ABC):
    """Some bytes somewhere; small, picklable, and equal where the place is."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For people: the file's path from the source's folder, or the like."""

    @abstractmethod
    def read(self) -> bytes:
        """The bytes.

        Raises:
            DataError: They cannot be read, or the file has changed since it was listed.
        """


@final
@dataclass(frozen=True, slots=True)
class BytesBlob(Blob):
    """Bytes in memory, such as a cell of a parquet file.

    Attributes:
        content: The bytes.
        told: The name for people.

    Example:
        >>> BytesBlob(b"GIF89a", "row 3").read()
        b'GIF89a'
    """

    content: bytes
    told: str

    @property
    def name(self) -> str:
        """For people."""
        return self.told

    def read(self) -> bytes:
        """The bytes."""
        return self.content


@final
@dataclass(frozen=True, slots=True)
class FileBlob(Blob):
    """A whole file.

    Attributes:
        file: The file.
        told: Its path from the source's folder.
    """

    file: DataFile
    told: str

    @property
    def name(self) -> str:
        """The path from the source's folder."""
        return self.told

    def read(self) -> bytes:
        """The file's bytes."""
        with self.file.open() as content:
            return content.read()


@final
@dataclass(frozen=True, slots=True)
class TarBlob(Blob):
    """A member of a plain tar archive.

    Attributes:
        file: The archive.
        member: The member's path in it.
        offset: Where its bytes begin.
        size: How many there are.
    """

    file: DataFile
    member: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """The member's path and the archive."""
        return f"{self.member} in {self.file.name}"

    def read(self) -> bytes:
        """The member's bytes."""
        with self.file.open() as content:
            content.seek(self.offset)
            return _whole(content, self.size, self)


@final
@dataclass(frozen=True, slots=True)
class ZipBlob(Blob):
    """A member of a zip archive; the archive is opened for each reading, so that processes share nothing.

    Attributes:
        file: The archive.
        member: The member's path in it.
        offset: Where the member's header begins.
        packed: How many bytes it takes in the archive.
        size: How many it has unpacked.
        method: 0 where it is stored as it is, 8 where it is deflated.
        crc: The checksum of its content.
    """

    file: DataFile
    member: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int

    @property
    def name(self) -> str:
        """The member's path and the archive."""
        return f"{self.member} in {self.file.name}"

    def read(self) -> bytes:
        """The member's bytes, unpacked and checked."""
        if self.size > _LARGEST:
            raise DataError(
                f"{self.name}: the member unpacks to {self.size / 1e9:.1f} GB; unpack the archive yourself."
            )
        with self.file.open() as content:
            content.seek(self.offset)
            header = _whole(content, _ZIP_HEADER, self)
            # The two lengths, of the name and of the extra field, may differ from those in the archive's directory.
            content.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
            stored = _whole(content, self.packed, self)
        try:
            # Never more than was told, whatever a few bytes may unpack to.
            unpack = zlib.decompressobj(-zlib.MAX_WBITS)
            unpacked = unpack.decompress(stored, self.size + 1) if self.method == _DEFLATED else stored
        except zlib.error as error:
            raise DataError(f"{self.name}: the member is damaged: {error}.") from None
        if zlib.crc32(unpacked) != self.crc:
            raise DataError(f"{self.name}: the member is damaged: its checksum is wrong.")
        return unpacked


def file_blob(folder: Path, text: str) -> FileBlob:
    """The file that a text in a table names.

    Args:
        folder: Where relative paths start; the file must lie in it.
        text: The path.

    Raises:
        DataError: There is no such file, or it lies outside the folder.

    Example:
        >>> from pathlib import Path
        >>> file_blob(Path("/pictures"), "../secret.png")
        Traceback (most recent call last):
        jumpml.core._errors.DataError: the path '../secret.png' leads out of the folder '/pictures'.
    """
    try:
        inside = (folder / text).resolve().is_relative_to(folder.resolve())
    except ValueError:  # a null character
        inside = False
    if not inside:
        raise DataError(f"the path {text!r} leads out of the folder {str(folder)!r}.")
    return FileBlob(DataFile(str(folder / text)), text)


def _whole(content: IO[bytes], size: int, blob: Blob) -> bytes:
    got = content.read(size)
    if len(got) < size:
        raise DataError(f"{blob.name}: the archive ends in the middle of this member.")
    return got
