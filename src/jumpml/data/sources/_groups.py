"""Rows that are stored in groups, of which any can be loaded on its own."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, final

from jumpml.data.sources._source import row_range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa


@final
class Groups:
    """Reads ranges of rows out of groups; the last group stays, as the next range often begins in it.

    Args:
        lengths: Rows of each group.
        load: Gives some columns of a group.

    Attributes:
        ranges: Each group's rows.
    """

    def __init__(self, lengths: Sequence[int], load: Callable[[int, tuple[str, ...]], pa.Table]) -> None:
        starts = [0, *accumulate(lengths)]
        self.ranges = tuple(range(start, stop) for start, stop in pairwise(starts))
        self.length = starts[-1]
        self._load = load
        self._last: tuple[int, tuple[str, ...], pa.Table] | None = None

    def read(self, names: tuple[str, ...], start: int, stop: int | None) -> pa.Table | None:
        """Some columns of some rows; None where that is no row."""
        import pyarrow as pa

        rows = row_range(self.length, start, stop)
        parts = []
        for group, told in enumerate(self.ranges):
            first, last = max(rows.start, told.start), min(rows.stop, told.stop)
            if first < last:
                parts.append(self._group(group, names).slice(first - told.start, last - first))
                if last == told.stop:
                    self._last = None  # the next range does not begin in it
        return pa.concat_tables(parts) if parts else None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}

    def _group(self, group: int, names: tuple[str, ...]) -> pa.Table:
        if self._last is None or self._last[:2] != (group, names):
            self._last = None  # before the next is loaded, so that there is only one
            self._last = (group, names, self._load(group, names))
        return self._last[2]
