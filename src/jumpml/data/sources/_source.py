"""Where rows come from: named columns as NumPy arrays, read by ranges of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from jumpml.core import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import DTypeLike, NDArray


class Source(ABC):
    """Something with rows and named columns.

    A source may be told to go on where a part of it is damaged, as ``on_error: skip`` asks for: what is no row at all,
    such as a line with too many values, is then left out and told of in `findings`, and rows that are there and cannot
    be read stand in `damaged`.
    """

    _findings: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        """What people should know of what was read so far, such as files that were left out."""
        return self._findings

    @property
    def damaged(self) -> Mapping[int, str]:
        """Rows that could not be read so far, and why; `read` gives nothing in their place."""
        return {}

    @property
    @abstractmethod
    def schema(self) -> Mapping[str, str]:
        """Each column's type in words: ``text``, ``float64``, ``int64 [8, 8]``, ``bytes``, ``timestamp``."""

    @property
    @abstractmethod
    def length(self) -> int | None:
        """How many rows there are; None where only reading to the end tells."""

    @property
    def shards(self) -> tuple[range, ...]:
        """Rows that lie together and are cheap to read together, in order; none where the length is unknown."""
        return () if self.length is None else (range(self.length),)

    @abstractmethod
    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows.

        Args:
            names: Of the columns.
            start: The first row.
            stop: The row after the last; all that there are where None or beyond the end.

        Returns:
            By column, an array whose first axis is the rows. What is missing is None in an array of objects, such as
            texts, NaN among floats and NaT among times; files and encoded content are objects of `Blob`.

        Raises:
            DataError: There is no such column, or the source is damaged.
        """

    def place(self, row: int) -> str:
        """Where a row stands, for people: ``row 17``, with the line or the file where the source has such."""
        return f"row {row}"

    def _refuse_unknown(self, names: Collection[str]) -> None:
        schema = self.schema
        for name in names:
            if name not in schema:
                raise DataError(f"the source has no column {name!r}. {did_you_mean(name, schema)}".rstrip())


def row_range(length: int, start: int, stop: int | None) -> range:
    """The rows that a read asks for, cut at the end as slices are."""
    if start < 0 or (stop is not None and stop < start):
        raise DataError(f"expected rows from a start of 0 or more to a stop not before it, got {start} to {stop}.")
    return range(min(start, length), length if stop is None else min(stop, length))


def type_words(dtype: DTypeLike, shape: Sequence[int] = ()) -> str:
    """A NumPy type in words.

    Args:
        dtype: Of the values; texts are objects or of NumPy's own text types.
        shape: Of one row.

    Example:
        >>> type_words("int64", (8, 8)), type_words("<U3"), type_words("<M8[s]")
        ('int64 [8, 8]', 'text', 'timestamp')
    """
    import numpy as np

    kind = np.dtype(dtype)
    word = {"O": "text", "U": "text", "T": "text", "S": "bytes", "M": "timestamp"}.get(kind.kind, kind.name)
    return f"{word} {list(shape)}" if shape else word
