"""The splits that a data file asks for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import DataError, SpecError, did_you_mean
from jumpml.data.kinds import Column, decode_category
from jumpml.data.splits._duplicates import comparable, row_keys
from jumpml.data.splits._groups import merged
from jumpml.data.splits._keys import codes_of, parts_of, refuse_missing, times_of, undecoded
from jumpml.data.splits._random import cut_val, fold_split, random_split
from jumpml.data.splits._review import Review
from jumpml.data.splits._rules import deciding_column, stratified, way_of
from jumpml.data.splits._splits import SPLITS, Splits, splits_of, unusable_rows, usable_rows
from jumpml.data.splits._stable import stable_split
from jumpml.data.splits._strata import strata_of
from jumpml.data.splits._timed import WINDOW, border_rows, time_split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from jumpml.core import DataSpec
    from jumpml.data._files import FileColumn
    from jumpml.data.kinds import RawColumn


def choose_rows(
    spec: DataSpec,
    name: str,
    columns: Mapping[str, Column | FileColumn],
    raws: Mapping[str, RawColumn],
    place: Callable[[int], str],
    *,
    usable: NDArray[np.bool_] | None = None,
    reach: tuple[int, int] = (0, 0),
) -> Splits:
    """Row numbers by split.

    Args:
        spec: The file.
        name: The data set.
        columns: The decoded fields.
        raws: The source's columns that `split_columns` names, and by field what is not decoded yet.
        place: Names a row for people.
        usable: bool ``[rows]``; the other rows are in no split.
        reach: How many rows before and after its own a row's windows hold.

    Raises:
        SpecError: A split is empty, a class too small, a field missing in all train rows, or a row in two splits.
        DataError: A value that decides about its row is missing, or cannot decide.
    """
    chooser = _Chooser(spec, name, columns, raws, place, usable=usable)
    rows = chooser.deal(reach)
    review = Review(spec, name, rows, place)
    mistakes = [*review.empty()] or [
        *review.missing(columns),
        *review.unseen(columns),
        *review.shared(chooser.compared),
    ]
    if mistakes:
        raise SpecError(spec.source, mistakes)
    return review.with_findings(reach)


@final
class _Chooser:
    """The arguments are those of `choose_rows`.

    Attributes:
        compared: What rows are compared by, a tensor a field.
    """

    def __init__(
        self,
        spec: DataSpec,
        name: str,
        columns: Mapping[str, Column | FileColumn],
        raws: Mapping[str, RawColumn],
        place: Callable[[int], str],
        *,
        usable: NDArray[np.bool_] | None,
    ) -> None:
        self._spec, self._name, self._columns, self._raws, self._place = spec, name, columns, raws, place
        self._usable = usable
        self._dataset = spec.datasets[name]
        self._split, fields = self._dataset.split, self._dataset.fields
        self.compared = [comparable(column) for field, column in {**raws, **columns}.items() if field in fields]

    def deal(self, reach: tuple[int, int]) -> Splits:
        """Read what decides about the rows, then deal them."""
        split, way, usable = self._split, way_of(self._dataset), self._usable
        shares = {"train": split.train, "val": split.val, "test": split.test, "usable": usable}
        if way in {"column", "sources", "train sources"}:
            deal = partial(self._by_column, *self._told_parts(), reach)
        elif way == "time":
            deal = partial(time_split, times_of(self._told("time"), usable), gap=split.gap, reach=reach, **shares)
        elif way == "stable":
            deal = partial(stable_split, self._told("stable").values, seed=split.seed, **shares)
        elif split.fold is not None:
            fold = {"of": split.fold.of, "use": split.fold.use, "val": split.val, "usable": usable}
            deal = partial(fold_split, len(self.compared[0]), **fold, **self._chance())
        else:
            deal = partial(random_split, len(self.compared[0]), **shares, **self._chance())
        try:
            return deal()
        except DataError as error:
            raise SpecError(self._spec.source, [self._spec.mistake(self._path, str(error))]) from None

    @property
    def _path(self) -> tuple[str, ...]:
        return ("datasets", self._name, "split")

    def _told_parts(self) -> tuple[NDArray[np.int64], dict[str, Any] | None]:
        """Each row's part as a column or its source tells, and what to respect where val is still to be cut."""
        raw = replace(self._raws[str(deciding_column(self._dataset))], skip=False)  # a row without a split is refused
        parts = self._parts(raw)
        rows = usable_rows(len(parts), self._usable)
        absent = rows[parts[rows] < 0]
        if len(absent):
            expected = "train, val or test" if self._split.values is None else "a value that says its split"
            raise raw.error(int(absent[0]), f"expected {expected}, got nothing.")
        return parts, self._chance() if way_of(self._dataset) == "train sources" else None

    def _parts(self, raw: RawColumn) -> NDArray[np.int64]:
        if self._split.values is None:
            return decode_category(raw, SPLITS).values.numpy()
        values = self._split.values.told()
        parts, held = parts_of(raw, values)
        mistakes = [
            self._spec.mistake(
                (*self._path, "values", split, place), f"no row has {value!r}.", did_you_mean(value, held)
            )
            for split, told in values.items()
            for place, value in enumerate(told)
            if value not in held
        ]
        if mistakes:
            raise SpecError(self._spec.source, mistakes)
        return parts

    def _by_column(
        self,
        parts: NDArray[np.int64],
        chance: dict[str, Any] | None,
        reach: tuple[int, int],
    ) -> Splits:
        parts = parts.copy() if self._usable is None else np.where(self._usable, parts, -1)
        border = border_rows(parts, reach)
        parts[border] = -1
        if chance is not None:
            parts = cut_val(parts, val=self._split.val, **chance)
        return splits_of(parts, unusable_rows(self._usable) | {WINDOW: border})

    def _chance(self) -> dict[str, Any]:
        """What chance has to respect."""
        split, strata, names = self._split, None, None
        if stratified(split):
            columns = [column for name in stratified(split) if isinstance(column := self._columns[name], Column)]
            strata, names = strata_of(columns, split.bins)
        groups = None if split.group is None else codes_of(self._told("group").values)
        if groups is not None:
            groups = np.where(groups < 0, groups.max() + 1, groups)  # only rows that are in no split miss theirs
        if split.duplicates == "together":
            equal = np.unique(row_keys(self.compared), return_inverse=True)[1]
            groups = equal if groups is None else merged(groups, equal)
        return {"strata": strata, "names": names, "groups": groups, "seed": split.seed}

    def _told(self, key: str) -> RawColumn:
        """What a key names, a field or else a column of the source; every row that may be in a split has a value."""
        value = getattr(self._split, key)
        column = self._columns.get(value)
        if isinstance(column, Column):
            told = undecoded(column, value, f"data set {self._name!r}, field {value!r}", self._place)
        else:
            told = self._raws[value]
        refuse_missing(told, {"stable": "key"}.get(key, key), self._usable)
        return told
