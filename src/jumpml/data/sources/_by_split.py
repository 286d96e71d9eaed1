"""One source for each split, as one source whose rows know their split."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.data.sources._source import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

SPLIT_COLUMN = "(split)"
"""The column that holds ``train``, ``val`` or ``test``."""


@final
class SplitSource(Source):
    """A source whose rows are all of one split.

    Args:
        source: The rows.
        split: Their split.
        columns: Those of the source that are kept.
    """

    def __init__(self, source: Source, split: str, columns: Collection[str]) -> None:
        self._source, self._split, self._columns = source, split, set(columns)

    @property
    def findings(self) -> tuple[str, ...]:
        """The source's."""
        return tuple(f"{self._split} source: {finding}" for finding in self._source.findings)

    @property
    def damaged(self) -> Mapping[int, str]:
        """The source's."""
        return self._source.damaged

    @property
    def schema(self) -> Mapping[str, str]:
        """The columns that are kept, and the split."""
        kept = {name: words for name, words in self._source.schema.items() if name in self._columns}
        return {**kept, SPLIT_COLUMN: "text"}

    @property
    def length(self) -> int | None:
        """The source's."""
        return self._source.length

    @property
    def shards(self) -> tuple[range, ...]:
        """The source's."""
        return self._source.shards

    def read(self, names: Collection[str], start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Some columns of some rows."""
        self._refuse_unknown(names)
        inner = [name for name in names if name != SPLIT_COLUMN]
        arrays = self._source.read(inner or list(self._source.schema)[:1], start, stop)
        if SPLIT_COLUMN in names:
            rows = len(next(iter(arrays.values())))
            arrays[SPLIT_COLUMN] = np.full(rows, self._split, dtype=object)
        return {name: arrays[name] for name in names}

    def place(self, row: int) -> str:
        """Where the source has the row."""
        return self._source.place(row)
