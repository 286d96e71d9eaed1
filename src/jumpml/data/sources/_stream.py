"""Ranges of rows out of something that can only be read from its beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.data.sources._source import row_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

Block = dict[str, "NDArray"]


@final
class Stream:
    """Reads ranges; one that begins where the last ended, or later, goes on from there.

    Args:
        begin: Gives blocks of rows of some columns, from the first row on.

    Attributes:
        length: How many rows there are, once the end was reached.
    """

    def __init__(self, begin: Callable[[Sequence[str]], Iterator[Block]]) -> None:
        self.length: int | None = None
        self._begin = begin
        self._stop()

    def read(self, names: Sequence[str], start: int, stop: int | None) -> Block:
        """Some columns of some rows."""
        row_range(start, start, stop)  # refuses what is no range
        if self._blocks is None or list(names) != self._names or start < self._at:
            self._stop()
            self._names, self._blocks = list(names), self._begin(names)
        try:
            parts = [*self._parts(self._blocks, start, stop)]
        except BaseException:
            self._stop()
            raise
        return {
            name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0, dtype=object)
            for name in names
        }

    def __getstate__(self) -> dict[str, Any]:
        return {"length": self.length, "_begin": self._begin}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stop()

    def _stop(self) -> None:
        self._names: list[str] = []
        self._blocks: Iterator[Block] | None = None
        self._rest: Block | None = None  # of a block, the rows that were not asked for yet
        self._at = 0  # the number of the first row that is still to come

    def _parts(self, blocks: Iterator[Block], start: int, stop: int | None) -> Iterator[Block]:
        while stop is None or self._at < stop:
            block = self._rest if self._rest is not None else next(blocks, None)
            self._rest = None
            if block is None:
                self.length = self._at
                self._stop()
                return
            count = len(next(iter(block.values())))
            first = min(max(start - self._at, 0), count)
            last = count if stop is None else min(count, stop - self._at)
            if first < last:
                yield {name: values[first:last] for name, values in block.items()}
            if last < count:
                self._rest = {name: values[last:] for name, values in block.items()}
            self._at += last
