"""Named arrays in NumPy's archives."""

from __future__ import annotations

import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._data_file import DataFile
from jumpml.data.sources._source import Source, row_range, type_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

PICKLED = "holds pickled objects, which could run code; save it as numbers or as fixed-width text"


@final
class NpzSource(Source):
    """Arrays in a NumPy archive; pickled objects in it are refused, as they could run code.

    An array stays in memory once a part of it was read, as its rows cannot be reached otherwise.

    Args:
        path: The ``.npz`` file, here or at an address with ``://``.

    Raises:
        DataError: The file is no ``.npz``.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = DataFile(str(path))
        self._arrays: dict[str, NDArray] = {}
        self._headers: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        try:
            with self._file.open() as content, zipfile.ZipFile(content) as archive:
                for member in archive.namelist():
                    with archive.open(member) as file:
                        shape, _, dtype = npy_header(file)
                        self._headers[member.removesuffix(".npy")] = (shape, dtype)
        except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: {self._problem(error)}") from None

    @property
    def schema(self) -> Mapping[str, str]:
        """Each array's type in words."""
        return {name: type_words(dtype, shape[1:]) for name, (shape, dtype) in self._headers.items()}

    @property
    def length(self) -> int | None:
        """How many rows all arrays have; None where they differ."""
        lengths = {shape[0] if shape else 0 for shape, _ in self._headers.values()}
        return lengths.pop() if len(lengths) == 1 else None

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some arrays' rows; the arrays must have equally many."""
        self._refuse_unknown(names)
        self._file.check()
        whole = start == 0 and stop is None
        arrays = {name: self._load(name) if whole else self._kept(name) for name in names}
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise DataError(f"{self._file.path}: expected arrays with equally many rows, got {told}.")
        rows = row_range(min(lengths.values(), default=0), start, stop)
        return {name: array[rows.start : rows.stop] for name, array in arrays.items()}

    def _problem(self, error: Exception) -> str:
        with self._file.open() as file:
            if file.read(6) == b"\x93NUMPY":
                return "expected an .npz file of named arrays, got a single array (.npy); say `kind: npy`."
        return f"this is no .npz file of arrays: {error}."

    def _kept(self, name: str) -> NDArray:
        if name not in self._arrays:
            self._arrays[name] = self._load(name)
        return self._arrays[name]

    def _load(self, name: str) -> NDArray:
        shape, dtype = self._headers[name]
        if not shape:
            raise DataError(f"{self._file.path}: the array {name!r} is a single value and has no rows.")
        if dtype.hasobject:
            raise DataError(f"{self._file.path}: the array {name!r} {PICKLED}.")
        try:
            with self._file.open() as content, zipfile.ZipFile(content) as archive, archive.open(f"{name}.npy") as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self._file.path}: the array {name!r} cannot be read: {error}.") from None


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """An array's shape, whether it is in Fortran order, and its type, from the beginning of its file.

    Raises:
        ValueError: This is no NumPy array.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)
