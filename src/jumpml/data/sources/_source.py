"""Where rows come from: named columns as NumPy arrays."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Protocol, final

import numpy as np

from jumpml.core import DataError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray


class Source(Protocol):
    """Something with rows and named columns."""

    def columns(self) -> tuple[str, ...]:
        """The names of all columns."""
        ...

    def read(self, names: Collection[str]) -> dict[str, NDArray]:
        """Some columns as arrays whose first axis is the rows; a missing text is None in an array of objects.

        Raises:
            DataError: The source is damaged, or the columns' lengths differ.
        """
        ...

    def place(self, row: int) -> str:
        """Where a row stands, for people: ``row 17``, with the line where the source has lines."""
        ...


@final
class SklearnSource:
    """A data set that scikit-learn ships.

    Args:
        name: ``breast_cancer``, ``diabetes``, ``digits``, ``iris`` or ``wine``.
    """

    def __init__(self, name: str) -> None:
        import sklearn.datasets

        self._bunch = getattr(sklearn.datasets, f"load_{name}")()

    def columns(self) -> tuple[str, ...]:
        """Each feature by its name, ``data``, ``target``, and ``images`` for the digits."""
        features = (str(name) for name in self._bunch.feature_names)
        return (*features, "data", "target", *(["images"] if "images" in self._bunch else []))

    def read(self, names: Collection[str]) -> dict[str, NDArray]:
        """The columns, a target as class names where the data set has them."""
        return {name: self._column(name) for name in names}

    def place(self, row: int) -> str:
        """The row's number."""
        return f"row {row}"

    def _column(self, name: str) -> NDArray:
        if name == "target" and "target_names" in self._bunch:
            return np.asarray(self._bunch.target_names)[self._bunch.target]
        if name in {"data", "target", "images"}:
            return self._bunch[name]
        return self._bunch.data[:, list(self._bunch.feature_names).index(name)]


@final
class NpzSource:
    """Arrays in a NumPy file; pickled objects in it are refused, as they could run code.

    Args:
        path: The ``.npz`` file.

    Raises:
        DataError: The file is no ``.npz``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            file = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: this is no .npz file of arrays: {error}.") from None
        if isinstance(file, np.ndarray):
            raise DataError(f"{path}: expected an .npz file of named arrays, got a single array (.npy).")
        self._file = file

    def columns(self) -> tuple[str, ...]:
        """The arrays' names."""
        return tuple(self._file.files)

    def read(self, names: Collection[str]) -> dict[str, NDArray]:
        """The arrays, which must have equally many rows."""
        arrays = {name: self._array(name) for name in names}
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise DataError(f"{self._path}: expected arrays with equally many rows, got {told}.")
        return arrays

    def place(self, row: int) -> str:
        """The row's number."""
        return f"row {row}"

    def _array(self, name: str) -> NDArray:
        try:
            array = self._file[name]
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            if "allow_pickle" in str(error):
                problem = "holds pickled objects, which could run code; save it as numbers or as fixed-width text"
                raise DataError(f"{self._path}: the array {name!r} {problem}.") from None
            raise DataError(f"{self._path}: the array {name!r} cannot be read: {error}.") from None
        if array.ndim == 0:
            raise DataError(f"{self._path}: the array {name!r} is a single value and has no rows.")
        return array
