"""What is told of rows that stand in two splits, or nearly do."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.data._disk import gather, lies_on_disk
from jumpml.data.splits._duplicates import row_keys, shared_rows
from jumpml.data.splits._near import near_numbers, near_pictures, near_texts, near_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.core import FieldInfo

PAIRS_SHOWN = 3
LOOKED_AT = 100_000  # rows of a split; of more, as many in even steps
ROOM = 1 << 29  # bytes of a split's values of one field, likewise
WORK = 10**11  # multiplications for one field of two splits: a few seconds
FEW = 4  # known numbers; fewer do not tell rows apart, so that many are near by chance
NARROW = 8  # elements of a tensor, likewise


def overlap_findings(
    fields: Mapping[str, FieldInfo], values: Mapping[str, Tensor], splits: Mapping[str, Tensor]
) -> Iterator[str]:
    """A sentence for each two splits that share rows, and for each field whose values are nearly equal in two splits.

    Args:
        fields: What the fields are.
        values: Their decoded values, ``[all rows, ...]``; fields whose values stay in files are not among them.
        splits: Row numbers by split, train first.
    """
    if not values:
        return
    keys = {split: row_keys(values.values(), rows) for split, rows in splits.items()}
    # Rows whose files are not looked at may differ in them.
    for later, earlier, pairs in shared_rows(keys) if values.keys() == fields.keys() else ():
        told = _told(pairs, splits[later], splits[earlier], earlier)
        yield f"{later} rows that also stand in {earlier}: {len(pairs)}, such as {told}."
    for earlier, later in combinations(splits, 2):
        for what, width, search in _searches(fields, values):
            most = min(LOOKED_AT, max(1, ROOM // values[what][:1].nbytes)) if what in values else LOOKED_AT
            seen = _evenly(len(splits[earlier]), most)
            looked = _evenly(len(splits[later]), min(most, max(1, WORK // (width * len(seen)))))
            pairs = search(splits[later][looked], splits[earlier][seen])
            pairs = np.stack([looked[pairs[:, 0]], seen[pairs[:, 1]]], axis=1)
            pairs = pairs[keys[later][pairs[:, 0]] != keys[earlier][pairs[:, 1]]]
            if len(pairs):
                told = _told(pairs, splits[later], splits[earlier], earlier)
                among = ""
                if len(looked) < len(splits[later]) or len(seen) < len(splits[earlier]):
                    among = f" ({len(looked)} were compared with {len(seen)})"
                yield f"{what}: {later} rows that nearly equal one of {earlier}: {len(pairs)}{among}, such as {told}."


def _searches(
    fields: Mapping[str, FieldInfo], values: Mapping[str, Tensor]
) -> Iterator[tuple[str, int, Callable[[Tensor, Tensor], NDArray[np.int64]]]]:
    """What is compared, its multiplications a pair of rows, and a search by row numbers."""
    numbers, codes = [], []
    for field, column in values.items():
        width = int(np.prod(column.shape[1:]))
        kind = fields[field].kind
        if kind == "image":
            yield field, 64, _by_rows(near_pictures, column)
        elif kind == "text":
            yield field, 1, _by_rows(near_texts, column)
        elif kind == "tensor" and width >= NARROW:
            yield field, width, _by_rows(near_vectors, column)
        elif kind in {"number", "date", "table", "tensor"}:
            numbers.append(column)
        elif kind in {"category", "multilabel"}:
            codes.append(column)
    if sum(column[:1].numel() for column in numbers) >= FEW:

        def search(later: Tensor, earlier: Tensor) -> NDArray[np.int64]:
            looked, seen = _side_by_side(numbers, later), _side_by_side(numbers, earlier)
            pairs = near_numbers((looked, _side_by_side(codes, later)), (seen, _side_by_side(codes, earlier)))
            return pairs[(looked.isfinite().sum(1) >= FEW).numpy()[pairs[:, 0]]]  # another data set may have none

        yield "numbers", 1, search


def _by_rows(
    near: Callable[[Tensor, Tensor], NDArray[np.int64]], column: Tensor
) -> Callable[[Tensor, Tensor], NDArray[np.int64]]:
    return lambda later, earlier: near(_some(column, later), _some(column, earlier))


def _some(column: Tensor, rows: Tensor) -> Tensor:
    """Some rows on the CPU; of what lies on disk no more is in memory than that."""
    return gather(column, rows) if lies_on_disk(column) else column[rows].cpu()


def _side_by_side(columns: list[Tensor], rows: Tensor) -> Tensor:
    parts = [_some(column, rows).reshape(len(rows), -1).double() for column in columns]
    return torch.cat([torch.empty(len(rows), 0, dtype=torch.float64), *parts], dim=1)


def _evenly(count: int, wanted: int) -> NDArray[np.int64]:
    """At most so many positions, in even steps."""
    return np.arange(count) if count <= wanted else np.linspace(0, count - 1, wanted).astype(np.int64)


def _told(pairs: NDArray[np.int64], later: Tensor, earlier: Tensor, name: str) -> str:
    shown = [(int(later[one]), int(earlier[other])) for one, other in pairs[:PAIRS_SHOWN]]
    return ", ".join(f"row {row} ({name} row {other})" for row, other in shown)
