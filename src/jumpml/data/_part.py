"""One data set of a file, read: decoded columns and splits, ready to be put beside those of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby, islice
from math import prod
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from jumpml.core import DataError, NumberField
from jumpml.data._difficulty import difficulty_column
from jumpml.data._disk import column_on_disk, on_disk
from jumpml.data._files import FileColumn
from jumpml.data._texts import BLOCK_ROWS as TEXT_ROWS
from jumpml.data._texts import StoredTexts
from jumpml.data.kinds import KINDS, Column, RawColumn, columns_read, decode
from jumpml.data.kinds._encoded import EncodedKind
from jumpml.data.splits._choose import choose_rows
from jumpml.data.splits._rules import split_columns
from jumpml.data.splits._splits import Splits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.core import DataSpec
    from jumpml.data.sources._source import Source

ROWS_SHOWN = 5  # of those that were skipped
BLOCK_ROWS, BLOCK_BYTES = 1 << 16, 1 << 28  # at most so many are decoded at a time, where they are not to be held


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """One data set.

    Attributes:
        columns: Its decoded fields.
        raws: By field that is decoded once the train rows are known, what the source gave.
        splits: Its rows by split.
        count: Its rows, those in no split too.
        shards: Its rows as they lie together in the source.
        difficulty: What a column that is no field says of how hard rows are, float32 ``[rows]``.
    """

    columns: Mapping[str, Column | FileColumn]
    raws: Mapping[str, Sequence[RawColumn]]
    splits: Splits
    count: int
    shards: tuple[range, ...]
    difficulty: Tensor | None = None


def read_part(spec: DataSpec, name: str, source: Source) -> Part:
    """Read, decode and split a data set.

    Args:
        spec: The file.
        name: The data set.
        source: Its source, with all the columns that it needs.

    Raises:
        SpecError: Its rows cannot be split as the file says.
        DataError: It has no rows, or a value cannot be decoded.
    """
    reader = _Reader(spec, name, source)
    columns, undecided = reader.fields()
    named, difficulty = reader.split_columns(), reader.difficulty()
    reader.note_damage()
    rejected = dict(sorted(reader.rejected.items()))
    if len(rejected) == reader.count:
        raise DataError(f"no row can be decoded; {next(_complaints(rejected, source))[1]}")
    splits = choose_rows(
        spec,
        name,
        columns,
        named | {field: several[0] for field, several in undecided.items()},
        source.place,
        usable=_usable(columns, rejected, reader.count),
        reach=_reach(columns),
    )
    splits = Splits(splits, splits.left_out, [*source.findings, *splits.findings, *_skipped(rejected, source)])
    shards = source.shards or (range(reader.count),)
    return Part(
        columns=columns, raws=undecided, splits=splits, count=reader.count, shards=shards, difficulty=difficulty
    )


@final
class _Reader:
    """Reads and decodes the columns of one data set.

    Attributes:
        count: Its rows.
        rejected: By row that could not be decoded, what it was read for and the first complaint about it.
    """

    def __init__(self, spec: DataSpec, name: str, source: Source) -> None:
        self._spec, self._name, self._source = spec, name, source
        self._dataset = spec.datasets[name]
        self.rejected: dict[int, tuple[str, str]] = {}
        fields, on_disk = self._dataset.fields, spec.storage == "disk"
        self._reads = columns_read(fields, source.schema, self._named)
        self._by_blocks = [field for field, told in fields.items() if on_disk and KINDS[told.kind].by_blocks(told)]
        self._texts = [field for field, told in fields.items() if on_disk and KINDS[told.kind].learns]
        on_their_way = {*self._by_blocks, *self._texts}
        at_once = [column for field in fields if field not in on_their_way for column in self._reads[field]]
        self._arrays = source.read({*at_once, *self._named, *(() if source.length else self._any_column)})
        self.count = source.length or len(next(iter(self._arrays.values())))
        if not self.count:
            raise DataError(f"data set {name!r}: the source has no rows.")

    def fields(self) -> tuple[dict[str, Column | FileColumn], dict[str, list[RawColumn]]]:
        """The decoded fields, and what the source gives for those that learn from the train rows."""
        columns: dict[str, Column | FileColumn] = {}
        undecided: dict[str, list[RawColumn]] = {}
        stored = {field: StoredTexts(self.count) for field in self._texts}
        if self._by_blocks or stored:
            columns |= on_disk(self._blocks(stored), self.count)
        for field, told in self._dataset.fields.items():
            if field in self._by_blocks:
                continue
            if field in stored:
                raw = self._raws(field, {name: np.empty(0, dtype=object) for name in self._reads[field]})[0]
                undecided[field] = [replace(raw, stored=stored[field])]
            elif KINDS[told.kind].learns:
                undecided[field] = KINDS[told.kind].examined(self._raws(field, self._arrays))
                self._note(undecided[field])
            elif self._spec.storage == "disk":
                columns[field] = column_on_disk(self._decoded(field, self._arrays))
            else:
                columns[field] = self._in_files(field) or self._decoded(field, self._arrays)
        return {field: columns[field] for field in self._dataset.fields if field in columns}, undecided

    def split_columns(self) -> dict[str, RawColumn]:
        """The columns that the split names and no field decodes."""
        return {name: self._raw(name, f"split column {name!r}", self._arrays) for name in self._split_names}

    def difficulty(self) -> Tensor | None:
        """How hard rows are, as a column says that no field reads, float32 ``[rows]``."""
        if (name := difficulty_column(self._dataset)) is None:
            return None
        raw = self._raw(name, "difficulty", self._arrays)
        column = decode([raw], NumberField(kind="number"))
        self._note([raw])
        return column.values[:, 0]

    def note_damage(self) -> None:
        """Remember the rows that the source could not read."""
        for row, problem in self._source.damaged.items():
            self.rejected[row] = (f"data set {self._name!r}", problem)

    @property
    def _split_names(self) -> list[str]:
        return split_columns(self._dataset)

    @property
    def _named(self) -> list[str]:
        """The columns that are read beside those of the fields."""
        difficulty = difficulty_column(self._dataset)
        return [*self._split_names, *([] if difficulty is None else [difficulty])]

    @property
    def _any_column(self) -> Sequence[str]:
        """One column, which tells how many rows there are."""
        return list(self._source.schema)[:1]

    def _blocks(self, stored: Mapping[str, StoredTexts]) -> Iterator[dict[str, Column]]:
        """Decoded fields, some rows at a time; texts, which are decoded last, are put aside on the way."""
        names = {column for field in (*self._by_blocks, *stored) for column in self._reads[field]}
        size = min(self._block_rows(self._by_blocks), TEXT_ROWS if stored else BLOCK_ROWS)
        for start in range(0, self.count, size):
            arrays = self._source.read(names, start, start + size)
            for field, texts in stored.items():
                raws = self._raws(field, arrays, start)
                examined = KINDS[self._dataset.fields[field].kind].examined(raws)
                self._note(raws, start)
                texts.write(value if isinstance(value, str) else None for value in examined[0].values.tolist())
            yield {field: self._decoded(field, arrays, start) for field in self._by_blocks}

    def _block_rows(self, fields: Collection[str]) -> int:
        """How many rows of some fields are decoded at a time."""
        told = [self._dataset.fields[field] for field in fields]
        numbers = sum(prod(KINDS[how.kind].expected(how).shape) for how in told)  # of at most 8 bytes each
        return max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, 8 * numbers)))

    def _in_files(self, field: str) -> FileColumn | None:
        """A field whose values stay in their files; None for any other."""
        told = self._dataset.fields[field]
        kind, raws = KINDS[told.kind], self._raws(field, self._arrays)
        if self._spec.storage != "source" or not isinstance(kind, EncodedKind):
            return None
        blobs = kind.blobs(raws[0], told)
        if blobs is None:
            return None
        if raws[0].skip:  # what is to be left out must be known before the rows are split
            size = self._block_rows([field])
            for start in range(0, self.count, size):
                some = {name: self._arrays[name][start : start + size] for name in self._reads[field]}
                self._decoded(field, some, start)
        head = decode([replace(raws[0], values=raws[0].values[:1])], told)  # as all of them are
        return FileColumn(
            blobs=blobs,
            decode=kind.decoder(told),
            where=raws[0].where,
            kind=told.kind,
            shape=tuple(head.values.shape[1:]),
            range=head.range,
            options=head.options,
        )

    def _decoded(self, field: str, arrays: Mapping[str, NDArray], start: int = 0) -> Column:
        raws = self._raws(field, arrays, start)
        column = decode(raws, self._dataset.fields[field])
        self._note(raws, start)
        return column

    def _note(self, raws: Sequence[RawColumn], start: int = 0) -> None:
        """Remember the rows that could not be decoded."""
        for raw in raws:
            for row, problem in raw.rejected.items():
                self.rejected.setdefault(start + row, (raw.where, problem))

    def _raws(self, field: str, arrays: Mapping[str, NDArray], start: int = 0) -> list[RawColumn]:
        return [self._raw(name, f"field {field!r}", arrays, start) for name in self._reads[field]]

    def _raw(self, column: str, what: str, arrays: Mapping[str, NDArray], start: int = 0) -> RawColumn:
        return RawColumn(
            column=column,
            values=arrays[column],
            where=f"data set {self._name!r}, {what}",
            place=lambda row: self._source.place(start + row),
            folder=self._spec.folder,
            skip=self._dataset.on_error == "skip",
        )


def _usable(
    columns: Mapping[str, Column | FileColumn], rejected: Collection[int], count: int
) -> NDArray[np.bool_] | None:
    """Which rows may be in a split; None where all may."""
    usable = np.ones(count, dtype=bool)
    usable[list(rejected)] = False
    for column in columns.values():
        if isinstance(column, Column) and column.usable is not None:
            usable &= column.usable.numpy()
    return None if usable.all() else usable


def _reach(columns: Mapping[str, Column | FileColumn]) -> tuple[int, int]:
    """How many rows before and after its own a row's values are made of."""
    ends = [column.reach for column in columns.values() if isinstance(column, Column)]
    return max((before for before, _ in ends), default=0), max((after for _, after in ends), default=0)


def _skipped(rejected: Mapping[int, tuple[str, str]], source: Source) -> Iterator[str]:
    if rejected:
        yield f"{len(rejected)} rows cannot be decoded and are skipped (on_error: skip)."
        told = 0
        for rows, complaint in islice(_complaints(rejected, source), ROWS_SHOWN):
            told += rows
            yield complaint
        if len(rejected) > told:
            yield f"... and {len(rejected) - told} more."


def _complaints(rejected: Mapping[int, tuple[str, str]], source: Source) -> Iterator[tuple[int, str]]:
    """A sentence a row or a run of rows with one complaint, and how many rows. Finding their place may be dear."""
    runs = groupby(enumerate(rejected.items()), key=lambda entry: (entry[1][0] - entry[0], entry[1][1]))
    for (_, (where, problem)), run in runs:
        rows = [row for _, (row, _) in run]
        to = f" to row {rows[-1]}" if len(rows) > 1 else ""
        yield len(rows), f"{where}, {source.place(rows[0])}{to}: {problem}"


def join_splits(parts: Mapping[str, Part]) -> Splits:
    """The splits of all data sets, with row numbers that go on from one to the next."""
    starts = dict(zip(parts, np.cumsum([0, *(part.count for part in parts.values())]).tolist(), strict=False))
    rows = {
        split: torch.cat([part.splits[split] + starts[name] for name, part in parts.items()])
        for split in next(iter(parts.values())).splits
    }
    left_out = {
        reason if len(parts) == 1 else f"{name}: {reason}": out + starts[name]
        for name, part in parts.items()
        for reason, out in part.splits.left_out.items()
    }
    findings = [
        finding if len(parts) == 1 else f"{name}: {finding}"
        for name, part in parts.items()
        for finding in part.splits.findings
    ]
    return Splits(rows, left_out, findings)
