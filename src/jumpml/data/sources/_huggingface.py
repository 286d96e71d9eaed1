"""Data sets of Hugging Face's ``datasets``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import DataError, MissingExtraError, did_you_mean
from jumpml.data.sources._arrow_values import arrays_of, arrow_words, columns_in, fields_of, object_array
from jumpml.data.sources._source import Source, row_range

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@final
class HuggingFaceSource(Source):
    """A data set of Hugging Face's ``datasets``; its rows stay in its memory-mapped files.

    A ``ClassLabel`` is read as the names of its classes, a picture or a sound as `Blob`.

    Args:
        dataset: A ``datasets.Dataset``, which is one split: ``load_dataset(name, split="train")``.

    Raises:
        DataError: It is no such data set.
    """

    def __init__(self, dataset: Any) -> None:
        if not hasattr(dataset, "with_format") or not hasattr(dataset, "features") or isinstance(dataset, dict):
            kind = type(dataset).__name__
            raise DataError(f"expected a datasets.Dataset, got {kind}; of a DatasetDict choose one split.")
        self._rows = dataset.with_format("arrow")
        self._arrow_schema = dataset.features.arrow_schema
        self._columns = columns_in(self._arrow_schema, "the data set")
        self._classes = {name: found for name, told in dataset.features.items() if (found := _classes(told))}

    @classmethod
    def load(
        cls, name: str, *, config: str | None = None, split: str | None = None, revision: str | None = None
    ) -> HuggingFaceSource:
        """A data set of the hub, or what the hub's client has kept of it.

        Args:
            name: Such as ``google-research-datasets/go_emotions``; or a folder of data files.
            config: Which of its variants.
            split: Which of its splits.
            revision: Which of its versions: a tag or a commit.

        Raises:
            DataError: It cannot be loaded.
        """
        datasets = _library(f"the data set {name!r}")
        return cls(_chosen(lambda: datasets.load_dataset(name, config, revision=revision), name, split))

    @classmethod
    def from_disk(cls, path: str | Path, *, split: str | None = None) -> HuggingFaceSource:
        """What ``save_to_disk`` has written.

        Args:
            path: The folder.
            split: Which of its splits, where it has several.

        Raises:
            DataError: It cannot be loaded.
        """
        datasets = _library(f"the data set {str(path)!r}")
        return cls(_chosen(lambda: datasets.load_from_disk(str(path)), str(path), split))

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words."""
        words = {name: "text" if word == "int64" else "lists of text" for name, word in self._label_words().items()}
        return arrow_words(self._columns) | words

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        rows = row_range(self.length, start, stop)
        fields = fields_of(self._arrow_schema, names)
        table = self._rows.select_columns(fields)[rows.start : rows.stop] if rows else self._arrow_schema.empty_table()
        arrays = arrays_of(table, tuple(names), lambda row: self.place(start + row), "the data set")
        return {name: _named(values, self._classes.get(name)) for name, values in arrays.items()}

    def _label_words(self) -> dict[str, str]:
        return {name: arrow_words({name: self._columns[name]})[name] for name in self._classes}


def _library(purpose: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("datasets", "hub", purpose) from None
    return datasets


def _chosen(load: Callable[[], Any], name: str, split: str | None) -> Any:
    """The split of what is loaded; the library's own errors are of many types."""
    try:
        found = load()
    except Exception as error:
        raise DataError(f"{name}: the data set cannot be loaded: {type(error).__name__}: {error}") from None
    if not isinstance(found, dict):
        if split is not None:
            raise DataError(f"{name}: the data set has no splits, so that `split: {split}` chooses nothing.")
        return found
    if split is None:
        raise DataError(f"{name}: say which `split`. {did_you_mean('', found)}")
    if split not in found:
        raise DataError(f"{name}: there is no split {split!r}. {did_you_mean(split, found)}")
    return found[split]


def _classes(feature: Any) -> tuple[str, ...]:
    """The names behind a ClassLabel's codes, or behind those of a list of such."""
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return tuple(names or ())


def _named(values: NDArray, classes: tuple[str, ...] | None) -> NDArray:
    """Names for codes; -1 stands for a missing one."""
    if not classes:
        return values
    if values.dtype == object:
        rows = (None if row is None else [classes[int(code)] for code in row] for row in values)
        return object_array(rows, len(values))
    names = np.array([*classes, None], dtype=object)
    codes = np.where(np.isnan(values), -1, values).astype(np.int64)
    return names[np.where(codes < 0, len(classes), codes)]
