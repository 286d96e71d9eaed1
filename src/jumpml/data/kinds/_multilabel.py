"""Any number of a few names a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import DataError, ValueInfo
from jumpml.data.kinds._category import in_order, misnamed, name_of, renaming, twice_named, unknown_class, unseen
from jumpml.data.kinds._kind import Decoded, Kind, is_missing, known_whole, rows_without_nan, shape_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn


@final
class MultilabelKind(Kind):
    """Any number of a few names a row: float32 ``[rows, classes]`` of 0 and 1, NaN where nothing is known."""

    name = "multilabel"
    gives = "numbers"
    form = "[rows, classes]"

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """A 1 for each name that a row has."""
        raw = raws[0]
        if raw.values.ndim == 2 and raw.values.dtype.kind in "buif":
            return _of_flags(raw, told)
        return _of_names(raw, told)

    def expected(self, told: Any) -> ValueInfo:
        """As many places as classes."""
        return ValueInfo(shape=(len(told.classes or ()),))

    def by_blocks(self, told: Any) -> bool:
        """Where the file names the classes."""
        return told.classes is not None

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Two classes of one name; a new name that is no class, or that is renamed itself."""
        yield from twice_named(told.classes or ())
        yield from misnamed(told.rename, told.classes)

    def problem(self, values: Tensor, column: Column) -> str:
        """0 or 1 for each class, or NaN for all."""
        classes = column.classes
        if values.ndim != 2 or values.shape[1] != len(classes):
            return shape_problem(f"[rows, {len(classes)}], a place for each class", column.values)
        if len(set(classes)) != len(classes):
            return f"expected different names of classes, got {', '.join(classes)}."
        absent = values.isnan()
        if not bool(((values == 0) | (values == 1) | absent).all()):
            return "expected 0 and 1, or NaN where nothing is known."
        return known_whole(values)

    def present(self, values: Tensor) -> Tensor:
        """Where there is no NaN."""
        return rows_without_nan(values)

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """Lists of names; null where nothing is known."""
        return [
            None if np.isnan(row).any() else [info.classes[place] for place in np.flatnonzero(row)] for row in values
        ]

    def findings(self, info: FieldInfo, train: Iterable[Tensor], count: int) -> Iterator[str]:
        """Classes that no train row has."""
        yield from unseen(info.classes, sum((block.sum(0) for block in train), torch.zeros(len(info.classes))).tolist())


def labels_in(value: object, separator: str) -> list[str]:
    """The names that a row lists: a list's entries, or the parts of a text without the spaces around them."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(separator) if part.strip()]
    if isinstance(value, (list, tuple, np.ndarray)):
        return [name_of(entry) for entry in value]
    return [name_of(value)]


def _of_names(raw: RawColumn, told: Any) -> Decoded:
    if raw.values.ndim != 1:
        shape = list(raw.values.shape[1:])
        raise DataError(f"{raw.where}: expected a list of names or a text a row, got rows of shape {shape}.")
    rows = [None if is_missing(value) else labels_in(value, told.separator) for value in raw.values.tolist()]
    new = told.rename
    known = told.classes or in_order(new.get(name, name) for row in rows for name in row or ())
    if not known:
        raise DataError(f"{raw.where}: no row names any class.")
    index = {name: place for place, name in enumerate(known)}
    values = np.zeros((len(rows), len(known)), dtype=np.float32)
    for row, names in enumerate(rows):
        if names is None:
            values[row] = np.nan
            continue
        unknown = next((name for name in names if new.get(name, name) not in index), None)
        if unknown is not None:
            raw.reject(row, unknown_class(unknown, known, new))
            continue
        values[row, [index[new.get(name, name)] for name in names]] = 1
    return Decoded(values=torch.from_numpy(values), classes=known, options=_options(told))


def _options(told: Any) -> dict[str, JsonValue]:
    return {"separator": told.separator, **renaming(told.rename)}


def _of_flags(raw: RawColumn, told: Any) -> Decoded:
    values, width, classes = raw.values.astype(np.float32), raw.values.shape[1], told.classes
    if classes is None or len(classes) != width:
        told = "no classes are named" if classes is None else f"{len(classes)} classes are named"
        raise DataError(f"{raw.where}: expected a name for each of the {width} places of a row, but {told}.")
    absent = np.isnan(values)
    good = np.isin(values, (0, 1)).all(axis=1) | absent.all(axis=1)
    for row in np.flatnonzero(~good):
        raw.reject(int(row), f"expected 0 or 1 for each class, got {raw.values[row].tolist()}.")
        values[row] = np.nan
    return Decoded(values=torch.from_numpy(values), classes=classes, options=_options(told))
