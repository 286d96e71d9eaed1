"""Several files of one form as one source."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._source import Source, row_range

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray


def unlike(one: str, other: str) -> bool:
    """Whether two types, in words, cannot be one column: texts and something else; of nothing, all is missing."""
    return "nothing" not in {one, other} and ("text" in one) != ("text" in other)


@final
class ConcatSource(Source):
    """The rows of several sources, one source after the other.

    Args:
        parts: The sources by their names, in order; they must have the same columns.

    Raises:
        DataError: A part lacks a column that another has.
    """

    def __init__(self, parts: Mapping[str, Source]) -> None:
        self._names, self._parts = list(parts), list(parts.values())
        first = self._parts[0].schema
        for name, part in parts.items():
            for column in sorted(set(first) ^ set(part.schema)):
                lacks, has = (self._names[0], name) if column in part.schema else (name, self._names[0])
                raise DataError(f"{lacks}: the file has no column {column!r}, which {has} has.")

    @property
    def findings(self) -> tuple[str, ...]:
        """Those of the parts."""
        return tuple(finding for part in self._parts for finding in part.findings)

    @property
    def damaged(self) -> Mapping[int, str]:
        """Those of the parts."""
        parts = zip(self._starts(), self._parts, strict=False)
        return {start + row: problem for start, part in parts for row, problem in part.damaged.items()}

    @property
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words; where the parts differ, all of them."""
        schemas = [part.schema for part in self._parts]
        return {name: " or ".join(dict.fromkeys(schema[name] for schema in schemas)) for name in schemas[0]}

    @property
    def length(self) -> int | None:
        """How many rows there are; None where a part does not know."""
        lengths = [part.length for part in self._parts]
        return None if None in lengths else sum(length for length in lengths if length is not None)

    @property
    def shards(self) -> tuple[range, ...]:
        """The parts' shards."""
        if self.length is None:
            return ()
        told = zip(self._starts(), self._parts, strict=False)
        return tuple(range(s + rows.start, s + rows.stop) for s, part in told for rows in part.shards)

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        self._refuse_unlike(names)
        row_range(start, start, stop)  # refuses what is no range
        blocks = [*self._blocks(names, start, stop)]
        return {name: np.concatenate([block[name] for block in blocks]) for name in names}

    def place(self, row: int) -> str:
        """The row's number, and where it is in its file."""
        starts = self._starts()
        index = min(bisect_right(starts, row) - 1, len(self._parts) - 1)
        inner = self._parts[index].place(row - starts[index])
        where = inner.partition(" (")[2].removesuffix(")") or f"{inner} of {self._names[index]}"
        return f"row {row} ({where})"

    def _refuse_unlike(self, names: Collection[str]) -> None:
        """Refuse texts together with what is none, which a part that lacks all values has neither of."""
        schemas = [part.schema for part in self._parts]
        for column in names:
            for part, schema in zip(self._names, schemas, strict=True):
                one, other = schemas[0][column], schema[column]
                if unlike(one, other):
                    raise DataError(f"{part}: the column {column!r} is {other} here and {one} in {self._names[0]}.")

    def _starts(self) -> Sequence[int]:
        """The first row of each part, as far as the lengths are known."""
        known: list[int] = []
        for part in self._parts[:-1]:
            if part.length is None:
                break
            known.append(part.length)
        return [0, *accumulate(known)]

    def _blocks(self, names: Collection[str], start: int, stop: int | None) -> Iterator[dict[str, NDArray]]:
        """What each part has of the rows; an empty block where there is nothing, so that types stay."""
        at = 0
        for part in self._parts:
            if part.length is not None and start - at >= part.length:
                yield part.read(names, 0, 0)
                at += part.length
                continue
            if stop is not None and stop <= at:
                yield part.read(names, 0, 0)
                return
            first = max(start - at, 0)
            block = part.read(names, first, None if stop is None else stop - at)
            yield block
            at += first + len(next(iter(block.values()))) if part.length is None else part.length
