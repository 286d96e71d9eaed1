"""Data sets that scikit-learn ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.data.sources._source import Source, row_range, type_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray


@final
class SklearnSource(Source):
    """A data set that scikit-learn ships.

    Each feature is a column by its name; ``data`` holds all of them, ``target`` class names where there are some, and
    ``images`` the digits' pictures.

    Args:
        name: ``breast_cancer``, ``diabetes``, ``digits``, ``iris`` or ``wine``.

    Example:
        >>> SklearnSource("iris").schema["data"], SklearnSource("iris").length
        ('float64 [4]', 150)
    """

    def __init__(self, name: str) -> None:
        import sklearn.datasets

        self._bunch = getattr(sklearn.datasets, f"load_{name}")()
        self._features = [str(feature) for feature in self._bunch.feature_names]

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words."""
        names = (*self._features, "data", "target", *(["images"] if "images" in self._bunch else []))
        columns = {name: self._column(name) for name in names}
        return {name: type_words(column.dtype, column.shape[1:]) for name, column in columns.items()}

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(self._bunch.data)

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        rows = row_range(self.length, start, stop)
        return {name: self._column(name)[rows.start : rows.stop] for name in names}

    def _column(self, name: str) -> NDArray:
        if name == "target" and "target_names" in self._bunch:
            return np.asarray(self._bunch.target_names)[self._bunch.target]
        if name in {"data", "target", "images"}:
            return self._bunch[name]
        return self._bunch.data[:, self._features.index(name)]
