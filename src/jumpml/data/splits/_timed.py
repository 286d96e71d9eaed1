"""Rows split by time: the earliest to train on, the latest to measure on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jumpml.core import DataError
from jumpml.data.splits._splits import SPLITS, Splits, shares_problem, sizes_of, splits_of, unusable_rows, usable_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GAP = "lie in the gap between two splits"
WINDOW = "have a window that looks into another split"


def time_split(
    times: NDArray,
    *,
    train: float = 0.7,
    val: float = 0.15,
    test: float = 0.15,
    gap: float = 0.0,
    reach: tuple[int, int] = (0, 0),
    usable: NDArray[np.bool_] | None = None,
) -> Splits:
    """Cut rows by time: the earliest for train, then val, then test.

    Rows of equal time stay together, so that a cut moves to the nearest change of time.

    Args:
        times: ``[rows]``, numbers or datetime64 in any order, none missing.
        train: Share of the rows; the three shares sum to 1.
        val: Likewise.
        test: Likewise.
        gap: A split begins more than this after the end of the one before, in the unit of ``times`` (seconds for
            datetime64); rows between are left out.
        reach: How many rows before and after its own, in the order of the data set, a row's window holds. Rows whose
            windows hold a row of another split are left out.
        usable: bool ``[rows]``; the other rows are in no split.

    Returns:
        int64 row numbers by split, ascending; and what was left out.

    Raises:
        DataError: A time is missing, there are fewer than three different ones, or a split is empty.

    Example:
        >>> splits = time_split(np.arange(20), train=0.5, val=0.25, test=0.25, gap=1)
        >>> splits["train"].tolist()[-1], splits["val"].tolist(), splits["test"].tolist()[0]
        (9, [11, 12, 13, 14], 16)
    """
    problem = shares_problem(train, val, test)
    if problem:
        raise DataError(problem)
    rows = usable_rows(len(times), usable)
    seconds = _as_numbers(times)
    missing = rows[np.isnan(seconds[rows])] if seconds.dtype.kind == "f" else rows[:0]
    if len(missing):
        raise DataError(f"the time of {len(missing)} rows is missing, such as row {missing[0]}.")
    order = rows[np.argsort(seconds[rows], kind="stable")]
    cuts = _cuts(seconds[order], sizes_of(len(rows), (train, val, test), SPLITS))
    parts = np.full(len(times), -1)
    left_out = {**unusable_rows(usable), GAP: _fill(parts, seconds, np.split(order, cuts), gap)}
    left_out[WINDOW] = border_rows(parts, reach)
    parts[left_out[WINDOW]] = -1
    for part, name in enumerate(SPLITS):
        if not (parts == part).any():
            raise DataError(f"the {name} split is empty: the gap and the windows leave out all of its rows.")
    return splits_of(parts, left_out)


def border_rows(parts: NDArray, reach: tuple[int, int]) -> NDArray[np.int64]:
    """The rows whose windows hold a row of another part.

    Args:
        parts: int ``[rows]``: each row's part, -1 for none.
        reach: How many rows before and after its own a row's window holds.
    """
    rows = np.flatnonzero(parts >= 0)
    if not len(rows) or not any(reach):
        return rows[:0]
    begins = np.flatnonzero(np.diff(parts[rows])) + 1  # of each run of one part but the first
    lengths = np.diff(begins, prepend=0, append=len(rows))
    before = np.repeat(np.concatenate([[-1], rows[begins - 1]]), lengths)  # the last row of the run before
    after = np.repeat(np.concatenate([rows[begins], [-1]]), lengths)
    looks = ((before >= 0) & (rows - before <= reach[0])) | ((after >= 0) & (after - rows <= reach[1]))
    return rows[looks]


def _as_numbers(times: NDArray) -> NDArray:
    """Times that can be subtracted; datetimes in seconds, exact to a microsecond, NaN where missing."""
    if times.dtype.kind not in "buifM":
        raise DataError(f"expected times as numbers or datetime64, got {times.dtype}.")
    if times.dtype.kind != "M":
        return times
    seconds = times.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(times), np.nan, seconds)


def _cuts(times: NDArray, sizes: Sequence[int]) -> list[int]:
    """Where val and test begin: the changes of time that are nearest to the sizes asked for."""
    changes = np.flatnonzero(np.diff(times)) + 1
    if len(changes) < 2:
        raise DataError(f"three splits need at least three different times, got {len(changes) + 1}.")
    first = int(np.abs(changes[:-1] - sizes[0]).argmin())
    later = changes[first + 1 :]
    return [int(changes[first]), int(later[np.abs(later - (sizes[0] + sizes[1])).argmin()])]


def _fill(parts: NDArray, times: NDArray, by_split: Sequence[NDArray], gap: float) -> NDArray[np.int64]:
    """Write the parts of rows by split; those in the gaps are returned instead."""
    left_out = [by_split[0][:0]]
    end = -np.inf
    for part, rows in enumerate(by_split):
        inside = times[rows] - end > gap if gap else np.ones(len(rows), dtype=bool)
        parts[rows[inside]] = part
        left_out.append(rows[~inside])
        end = times[rows].max()
    return np.sort(np.concatenate(left_out))
