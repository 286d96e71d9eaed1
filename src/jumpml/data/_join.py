"""The columns of several data sets, one below the other: a field that stands in several is one field."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.core import DataError
from jumpml.data._disk import empty_on_disk
from jumpml.data._files import FileColumn
from jumpml.data._texts import StoredTexts
from jumpml.data.kinds import KINDS, Column, RawColumn, in_order, is_alphabetical

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

Counts = dict[str, int]


def join_columns(
    name: str, pieces: Mapping[str, Column | FileColumn], counts: Counts, *, on_disk: bool = False
) -> Column | FileColumn:
    """One field of all data sets.

    Args:
        name: The field.
        pieces: By data set that has it.
        counts: Rows by data set, of all of them in order. The rows of a data set without the field miss it.
        on_disk: Whether the values are to lie on disk.

    Raises:
        DataError: Two data sets disagree about what the field is.

    Example:
        >>> yes, no = (Column(torch.tensor([0]), "category", classes=(name,)) for name in ("yes", "no"))
        >>> joined = join_columns("answer", {"a": yes, "c": no}, {"a": 1, "b": 2, "c": 1})
        >>> joined.values.tolist(), joined.classes
        ([1, -1, -1, 0], ('no', 'yes'))
    """
    if len(counts) == 1:
        return next(iter(pieces.values()))
    first, *others = pieces
    for other in others:
        _refuse_difference(name, (first, pieces[first]), (other, pieces[other]))
    head = pieces[first]
    if isinstance(head, FileColumn):
        return _join_files(pieces, counts)
    classes = head.classes
    columns = {key: column for key, column in pieces.items() if isinstance(column, Column)}
    if head.kind == "category":
        classes = in_order(name for column in columns.values() for name in column.classes)
        classes = head.classes if set(classes) == set(head.classes) else classes
    values = (
        _recoded(columns[key], classes) if key in columns else _missing(head, count) for key, count in counts.items()
    )
    shape = (sum(counts.values()), *head.values.shape[1:])
    joined = empty_on_disk(shape, head.values.dtype) if on_disk else torch.empty(shape, dtype=head.values.dtype)
    for part, rows in zip(joined.split([*counts.values()]), values, strict=True):
        part.copy_(rows)
    notes = tuple(note for column in columns.values() for note in column.notes)
    alphabetical = head.alphabetical if classes == head.classes else is_alphabetical(classes)
    return Column(joined, head.kind, classes, head.range, head.columns, head.options, notes, alphabetical=alphabetical)


def covered_rows(has: Collection[str], counts: Counts) -> torch.Tensor | None:
    """The rows whose data set has a field, bool ``[rows]``; None where all have it.

    Args:
        has: The data sets that have it.
        counts: Rows by data set, of all of them in order.
    """
    if all(name in has for name in counts):
        return None
    return torch.cat([torch.full((count,), name in has) for name, count in counts.items()])


def join_raws(pieces: Mapping[str, Sequence[RawColumn]], counts: Counts) -> list[RawColumn]:
    """What the sources of all data sets gave for one field; None where a data set lacks it."""
    if len(counts) == 1:
        return list(next(iter(pieces.values())))
    joined = []
    for several in zip(*pieces.values(), strict=True):
        by_set = dict(zip(pieces, several, strict=True))
        stored = None
        if any(raw.stored is not None for raw in several):
            stored, values = _join_texts(by_set, counts), [np.empty(0, dtype=object)]
        else:
            values = [by_set[key].values if key in by_set else np.full(n, None) for key, n in counts.items()]
        whole = np.concatenate([part.astype(object) for part in values])
        field = several[0].where.rpartition(", ")[2]
        head = several[0]
        place = _place(by_set, counts)
        skip = any(raw.skip for raw in several)  # what cannot be decoded has been noted, data set by data set
        joined.append(
            RawColumn(
                column=head.column, values=whole, where=field, place=place, folder=head.folder, skip=skip, stored=stored
            )
        )
    return joined


def _join_texts(raws: Mapping[str, RawColumn], counts: Counts) -> StoredTexts:
    joined = StoredTexts(sum(counts.values()))
    for key, count in counts.items():
        texts = raws[key].stored if key in raws else None
        joined.write_all(repeat(None, count) if texts is None else texts)
    return joined


def _place(raws: Mapping[str, RawColumn], counts: Counts) -> Callable[[int], str]:
    def place(row: int) -> str:
        for key, count in counts.items():
            if row < count:
                return f"data set {key!r}, {raws[key].place(row)}"
            row -= count
        raise IndexError(row)

    return place


def _refuse_difference(name: str, one: tuple[str, Column | FileColumn], other: tuple[str, Column | FileColumn]) -> None:
    if isinstance(one[1], FileColumn) != isinstance(other[1], FileColumn):
        raise DataError(
            f"field {name!r} is not the same in the data sets {one[0]!r} and {other[0]!r}: with `storage: source` one "
            "would leave it in its files, and the other has no files. Write another `storage`, or give the fields "
            "different names."
        )
    none = torch.arange(0)  # rows: how many values are missing is no difference
    first, second = one[1].info(name, none), other[1].info(name, none)
    sides = [
        (what, getattr(first, what), getattr(second, what)) for what in ("kind", "range", "columns", "options")
    ] + [("shape", first.value.shape, second.value.shape)]
    if first.kind != "category":
        sides.append(("classes", first.classes, second.classes))
    for what, left, right in sides:
        if left != right:
            told = f": {left} and {right}" if len(str((left, right))) < 80 else ""
            raise DataError(
                f"field {name!r} is not the same in the data sets {one[0]!r} and {other[0]!r}: its {what} differs"
                f"{told}. Make them equal, or give the fields different names."
            )


def _recoded(column: Column, classes: tuple[str, ...]) -> torch.Tensor:
    if column.classes == classes:
        return column.values
    codes = torch.tensor([*(classes.index(name) for name in column.classes), -1])  # the last is what -1 finds
    return codes[column.values]


def _missing(like: Column, count: int) -> torch.Tensor:
    values = like.values
    return torch.tensor(KINDS[like.kind].absent, dtype=values.dtype).expand(count, *values.shape[1:])


def _join_files(pieces: Mapping[str, Column | FileColumn], counts: Counts) -> FileColumn:
    columns = {key: column for key, column in pieces.items() if isinstance(column, FileColumn)}
    blobs = [blob for key, n in counts.items() for blob in (columns[key].blobs if key in columns else [None] * n)]
    head = next(iter(columns.values()))
    return FileColumn(
        blobs=blobs,
        decode=head.decode,
        where=head.where.rpartition(", ")[2],
        kind=head.kind,
        shape=head.shape,
        range=head.range,
        options=head.options,
    )
