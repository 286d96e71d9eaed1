"""Which rows a data file puts into which split, and whether that can be trained and measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jumpml.core import DataError, SpecError
from jumpml.data.kinds._decode import RawColumn, decode_category
from jumpml.data.splits._duplicates import row_groups, rows_in_both
from jumpml.data.splits._random import SPLITS, random_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from jumpml.core import DataSpec, Mistake
    from jumpml.data.kinds._column import Column

Rows = dict[str, "Tensor"]


def choose_rows(
    spec: DataSpec, columns: Mapping[str, Column], told: RawColumn | None, place: Callable[[int], str]
) -> Rows:
    """Row numbers by split.

    Args:
        spec: The file.
        columns: The decoded fields.
        told: The column that holds train, val or test; None where chance decides.
        place: Names a row for people.

    Raises:
        SpecError: A split is empty, a class too small, a field missing in all train rows, or a row in train and test.
        DataError: A value of ``told`` is no split.
    """
    rows = _by_chance(spec, columns) if told is None else _by_column(told)
    mistakes = [*_empty(spec, rows)] or [*_missing(spec, columns, rows), *_in_both(spec, columns, rows, place)]
    if mistakes:
        raise SpecError(spec.source, mistakes)
    return rows


def _by_column(raw: RawColumn) -> Rows:
    codes = decode_category(raw, SPLITS).values
    absent = (codes < 0).nonzero()
    if len(absent):
        raise raw.error(int(absent[0]), "expected train, val or test, got nothing.")
    return {name: (codes == code).nonzero().flatten() for code, name in enumerate(SPLITS)}


def _by_chance(spec: DataSpec, columns: Mapping[str, Column]) -> Rows:
    name, dataset = next(iter(spec.datasets.items()))
    split, strata = dataset.split, None
    if split.stratify is not None:
        column = columns[split.stratify]
        strata = np.array([*column.classes, "(missing)"])[column.values.numpy()]  # code -1 is the last
    groups = row_groups(column.values for column in columns.values()) if split.duplicates == "together" else None
    count = len(next(iter(columns.values())))
    shares = {"train": split.train, "val": split.val, "test": split.test}
    try:
        return random_split(count, **shares, seed=split.seed, strata=strata, groups=groups)
    except DataError as error:
        raise SpecError(spec.source, [spec.mistake(("datasets", name, "split"), str(error))]) from None


def _empty(spec: DataSpec, rows: Rows) -> Iterator[Mistake]:
    name = next(iter(spec.datasets))
    for split in SPLITS:
        if not len(rows[split]):
            yield spec.mistake(("datasets", name, "split", "column"), f"the {split} split is empty.")


def _missing(spec: DataSpec, columns: Mapping[str, Column], rows: Rows) -> Iterator[Mistake]:
    name = next(iter(spec.datasets))
    for field, column in columns.items():
        present = column.present()
        if present is not None and not bool(present[rows["train"]].any()):
            problem = f"the field is missing in all {len(rows['train'])} train rows."
            yield spec.mistake(("datasets", name, "fields", field), problem, "Leave it out, or mend its column.")


def _in_both(
    spec: DataSpec, columns: Mapping[str, Column], rows: Rows, place: Callable[[int], str]
) -> Iterator[Mistake]:
    name, dataset = next(iter(spec.datasets.items()))
    if dataset.split.duplicates != "refuse":
        return
    pairs = rows_in_both(row_groups(column.values for column in columns.values()), rows["train"], rows["test"])
    if pairs:
        train, test = (place(row) for row in pairs[0])
        problem = f"test rows that also stand in train: {len(pairs)}; the first is {test}, equal to {train} of train."
        fix = "Write `duplicates: together` to keep equal rows in one split, or `allow` to let them be."
        yield spec.mistake(("datasets", name, "split", "duplicates"), problem, fix)
