"""Files that hold one array each: NumPy's ``.npy`` and the ``idx`` files of MNIST."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._data_file import COMPRESSIONS, UNPACKING_ERRORS, DataFile, is_remote
from jumpml.data.sources._npz import PICKLED, npy_header
from jumpml.data.sources._source import Source, row_range, type_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Header:
    """What an array's file begins with: the array's shape, type and order, and where its values are."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]
    offset: int


_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


class ArrayFilesSource(Source, ABC):
    """Columns that are files of one array each, with equally many rows; mapped into memory where that is possible.

    Args:
        columns: Each column's file, here or at an address with ``://``.

    Raises:
        DataError: A file holds no such array, or the files' rows differ in number.
    """

    def __init__(self, columns: Mapping[str, str | Path]) -> None:
        self._files = {name: DataFile(str(path)) for name, path in columns.items()}
        self._headers = {name: self._checked_header(file) for name, file in self._files.items()}
        self._mapped: dict[str, NDArray] = {}
        lengths = {name: header.shape[0] for name, header in self._headers.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise DataError(f"expected files with equally many rows, got {told}.")
        self._length = next(iter(lengths.values()))

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words."""
        return {name: type_words(header.dtype, header.shape[1:]) for name, header in self._headers.items()}

    @property
    def length(self) -> int:
        """How many rows there are."""
        return self._length

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        rows = row_range(self._length, start, stop)
        whole = len(rows) == self._length
        arrays = {name: self._array(name, keep=not whole)[rows.start : rows.stop] for name in names}
        return {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in arrays.items()}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": {}}

    @abstractmethod
    def _header(self, content: Any) -> Header:
        """What the file begins with; ValueError where it holds no such array."""

    def _checked_header(self, file: DataFile) -> Header:
        try:
            with file.unpacked() as content:
                header = self._header(content)
        except (ValueError, *UNPACKING_ERRORS) as error:
            raise DataError(f"{file.path}: {error}.") from None
        if not header.shape:
            raise DataError(f"{file.path}: the array is a single value and has no rows.")
        if header.dtype.hasobject:
            raise DataError(f"{file.path}: the array {PICKLED}.")
        return header

    def _array(self, name: str, keep: bool) -> NDArray:
        file, header = self._files[name], self._headers[name]
        file.check()
        if name in self._mapped:
            return self._mapped[name]
        packed = is_remote(file.path) or any(file.path.endswith(suffix) for suffix in COMPRESSIONS)
        values = _unpacked(file, header.offset) if packed else None
        got = file.stamp[0] - header.offset if values is None else len(values)
        expected = math.prod(header.shape) * header.dtype.itemsize
        if got != expected:
            told = f"{expected} bytes of values of shape {list(header.shape)}"
            raise DataError(f"{file.path}: expected {told}, got {got}.")
        if values is not None or not expected:
            array = np.frombuffer(values or b"", header.dtype).reshape(header.shape, order=header.order)
        else:
            mapped = np.memmap(file.path, header.dtype, "r", header.offset, header.shape, header.order)
            array = np.asarray(mapped)
        if keep or not packed:
            self._mapped[name] = array
        return array


def _unpacked(file: DataFile, offset: int) -> bytes:
    try:
        with file.unpacked() as content:
            content.seek(offset)
            return content.read()
    except UNPACKING_ERRORS as error:
        raise DataError(f"{file.path}: the file cannot be read: {error}.") from None


@final
class NpySource(ArrayFilesSource):
    """NumPy arrays in files of their own, a column each."""

    def _header(self, content: Any) -> Header:
        try:
            shape, fortran, dtype = npy_header(content)
        except ValueError as error:
            raise ValueError(f"this is no .npy file: {error}") from None
        return Header(shape, dtype, "F" if fortran else "C", content.tell())


@final
class IdxSource(ArrayFilesSource):
    """Arrays in the format of MNIST's files, a column each; they may be compressed (``.gz``)."""

    def _header(self, content: Any) -> Header:
        mark = content.read(4)
        if len(mark) < 4 or mark[:2] != b"\0\0" or mark[2] not in _IDX_TYPES:
            raise ValueError(f"this is no idx file: it begins with {mark!r}")
        sizes = content.read(4 * mark[3])
        if len(sizes) < 4 * mark[3]:
            raise ValueError("this is no whole idx file: it ends within the header")
        shape = tuple(np.frombuffer(sizes, ">i4").tolist())
        return Header(shape, np.dtype(_IDX_TYPES[mark[2]]), "C", content.tell())
