"""Whether columns, splits and steps fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import DataError, did_you_mean
from jumpml.data.augment._group import group_problems, names_of, telling_problems
from jumpml.data.features._feature_map import steps_problem
from jumpml.data.splits._splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._files import FileColumn
    from jumpml.data.augment._augmentation import Change
    from jumpml.data.features._feature import Feature
    from jumpml.data.kinds import Column


def validate_rows(columns: Mapping[str, Column | FileColumn], splits: Mapping[str, Tensor]) -> None:
    """Refuse columns of different lengths, and rows that are not there or stand twice.

    Raises:
        DataError: One of those, or an empty split.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if not lengths or len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items()) or "no column"
        raise DataError(f"expected columns with equally many rows, got {told}.")
    if set(splits) != set(SPLITS):
        raise DataError(f"expected the splits train, val and test, got {', '.join(splits) or 'none'}.")
    for name in SPLITS:
        if not isinstance(splits[name], torch.Tensor):
            raise DataError(f"the {name} split: expected a tensor of row numbers, got {type(splits[name]).__name__}.")
        if not len(splits[name]):
            raise DataError(f"the {name} split is empty.")
    count, chosen = next(iter(lengths.values())), [splits[name] for name in SPLITS]
    low, high = min(int(rows.amin()) for rows in chosen), max(int(rows.amax()) for rows in chosen)
    dtypes = {rows.dtype for rows in chosen}
    if dtypes != {torch.int64} or low < 0 or high >= count:
        told = ", ".join(map(str, dtypes))
        raise DataError(f"expected row numbers from 0 to {count - 1} as int64, got {low} to {high} as {told}.")
    stands = torch.zeros(count, dtype=torch.bool)
    for rows in chosen:
        stands[rows] = True
    if int(stands.sum()) < sum(map(len, chosen)):
        raise DataError("expected every row in one split, got a row that stands twice.")


def by_row(difficulty: Tensor, columns: Mapping[str, Column | FileColumn]) -> Tensor:
    """How hard rows are, as float64 ``[rows]``.

    Raises:
        DataError: It is not a number for each row of the columns.
    """
    (count,) = {len(column) for column in columns.values()}
    if tuple(difficulty.shape) != (count,):
        raise DataError(f"difficulty: expected a number for each of {count} rows, got the shape {[*difficulty.shape]}.")
    return difficulty.to("cpu", torch.float64)


def validate_steps(
    fields: Mapping[str, FieldInfo],
    features: Mapping[str, Sequence[Feature]],
    augment: Mapping[str, Sequence[Change]],
    views: Mapping[str, Mapping[str, Sequence[Change]]],
) -> None:
    """Refuse steps on fields that are not there, or that cannot do their work on them.

    Raises:
        DataError: One of those.
    """
    for field, steps in features.items():
        found = steps_problem(steps, _known(field, fields, "features"), fields)
        if found:
            raise DataError(f"features, {field!r}: {found[1]}")
    changes = {"augment": augment, **{f"view {view!r}": by_field for view, by_field in views.items()}}
    for where, by_field in changes.items():
        for key, steps in by_field.items():
            infos = [_known(name, fields, where) for name in names_of(key)]
            problem = next((problem for _, problem in group_problems(steps, infos, telling=where != "augment")), "")
            if problem:
                raise DataError(f"{where}, {key!r}: {problem}")
        for key, _, problem in telling_problems(by_field):
            raise DataError(f"{where}, {key!r}: {problem}")


def _known(field: str, fields: Mapping[str, FieldInfo], where: str) -> FieldInfo:
    if field not in fields:
        raise DataError(f"{where}: there is no field {field!r}. {did_you_mean(field, fields)}")
    return fields[field]
