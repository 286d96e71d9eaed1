"""Texts in a file that the system maps into memory as they are read, for tables larger than memory."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from hashlib import blake2b
from itertools import islice, pairwise
from typing import TYPE_CHECKING, cast, final, overload
from weakref import finalize

import numpy as np
import torch

from jumpml.data._cache import cache_folder
from jumpml.data._disk import empty_on_disk, let_go, no_room

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

BLOCK_ROWS = 1 << 13  # of texts, that are in memory at a time
_NOTHING = b"\xff"  # what stands for None: no text is encoded so


@final
class StoredTexts(Sequence["str | None"]):
    """A text a row, or None; they lie in a file of the cache folder that has no name and goes with them.

    Args:
        count: How many there will be; all are written before the first is read.

    Raises:
        DataError: The disk has no room for them, or cannot be written.

    Example:
        >>> texts = StoredTexts(3)
        >>> texts.write(["one", None]), texts.write(["two"])
        (None, None)
        >>> texts[0], texts[1:]
        ('one', [None, 'two'])
    """

    def __init__(self, count: int) -> None:
        self._count, self._written, self._size, self._absent = count, 0, 0, None
        self._ends = empty_on_disk([count + 1], torch.int64)
        self._file = tempfile.TemporaryFile(dir=cache_folder())  # noqa: SIM115 (it is closed where all is written)
        finalize(self, self._file.close)
        self._content: mmap.mmap

    def write(self, texts: Iterable[str | None]) -> None:
        """The texts of the next rows."""
        encoded = [_NOTHING if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
        ends = torch.tensor([len(part) for part in encoded], dtype=torch.int64).cumsum(0) + self._size
        self._ends[self._written + 1 : self._written + 1 + len(encoded)] = ends
        self._written += len(encoded)
        self._size += sum(map(len, encoded))
        try:
            self._file.write(b"".join(encoded))
            if self._written == self._count:
                self._file.write(b"" if self._size else _NOTHING)  # an empty file cannot be mapped
                self._file.flush()
                self._content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
                self._file.close()
        except OSError as error:
            raise no_room(self._size, error) from None
        let_go(self._ends)

    def write_all(self, texts: Iterable[str | None]) -> None:
        """Any number of the next rows' texts, of which only some are in memory at a time."""
        coming = iter(texts)
        while block := list(islice(coming, BLOCK_ROWS)):
            self.write(block)

    def filled(self) -> Sequence[str]:
        """The same texts, empty in place of None."""
        same = copy(self)
        same._absent = ""
        return cast("Sequence[str]", same)

    def codes(self) -> Tensor:
        """Numbers the different texts by where they first stand, int64 ``[rows]``; -1 for None.

        Two that differ have equal numbers with a probability of 2**-64, since checksums of them are compared.
        """
        keys, absent = np.empty(self._count, dtype=np.int64), np.empty(self._count, dtype=bool)
        for start in range(0, self._count, BLOCK_ROWS):
            parts = self._parts(start, min(start + BLOCK_ROWS, self._count))
            hashed = [int.from_bytes(blake2b(part, digest_size=8).digest(), "little", signed=True) for part in parts]
            keys[start : start + len(parts)] = hashed
            absent[start : start + len(parts)] = [part == _NOTHING for part in parts]
        _, first, places = np.unique(keys[~absent], return_index=True, return_inverse=True)
        numbers = np.empty(len(first), dtype=np.int64)
        numbers[first.argsort()] = np.arange(len(first))
        codes = np.full(self._count, -1, dtype=np.int64)
        codes[~absent] = numbers[places]
        return torch.from_numpy(codes)

    def at(self, rows: NDArray[np.int64]) -> Iterator[str | None]:
        """The texts of some rows, int64 ``[n]``, which are quicker to read in the order in which they lie."""
        for start in range(0, len(rows), BLOCK_ROWS):
            yield from [self[row] for row in rows[start : start + BLOCK_ROWS].tolist()]
            self._let_go()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...
    def __getitem__(self, index: int | slice) -> str | list[str | None] | None:
        rows = range(self._count)[index]
        if isinstance(rows, int):
            start, end = self._ends[rows : rows + 2].tolist()
            return self._read(self._content[start:end])
        if rows.step != 1:
            return [self[row] for row in rows]
        return [self._read(part) for part in self._parts(rows.start, max(rows.start, rows.stop))]

    def __iter__(self) -> Iterator[str | None]:
        for start in range(0, self._count, BLOCK_ROWS):
            yield from self[start : start + BLOCK_ROWS]

    def _parts(self, start: int, stop: int) -> list[bytes]:
        """Some rows' texts as they are written."""
        ends = self._ends[start : stop + 1].tolist()
        content = self._content[ends[0] : ends[-1]]
        self._let_go()
        return [content[one - ends[0] : other - ends[0]] for one, other in pairwise(ends)]

    def _read(self, part: bytes) -> str | None:
        return self._absent if part == _NOTHING else part.decode("utf-8", "surrogatepass")

    def _let_go(self) -> None:
        let_go(self._ends)
        if hasattr(mmap, "MADV_DONTNEED"):  # Windows lacks it
            self._content.madvise(mmap.MADV_DONTNEED)
