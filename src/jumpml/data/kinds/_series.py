"""A stretch of steps a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import DataError, ValueInfo
from jumpml.data.kinds._kind import Decoded, Kind, is_missing, rows_without_nan, shape_problem
from jumpml.data.kinds._number import decode_number
from jumpml.data.kinds._numbers import nulls_for_nan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn

ROWS_AT_A_TIME = 1024  # a view of overlapping windows may be hundreds of times its memory


@final
class SeriesKind(Kind):
    """Steps of one channel or more a row: float32 ``[rows, steps, channels]``, NaN where missing."""

    name = "series"
    gives = "numbers"
    form = "[rows, steps, channels]"

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """Windows around each row, or the lists that a column holds."""
        if told.window is None:
            return decode_lists(raws[0])
        group = None if told.group is None else raws[-1]
        return decode_windows(raws[: len(told.columns)], told.window, group)

    def expected(self, told: Any) -> ValueInfo:
        """As long as the window; 0 by 0 where the lists decide."""
        if told.window is None:
            return ValueInfo(shape=(0, 0))
        return ValueInfo(shape=(told.window[1] - told.window[0], len(told.columns or ())))

    def by_blocks(self, told: Any) -> bool:
        """Lists alone: a window holds values of other rows."""
        return told.window is None

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Neither windows nor lists, or half of each."""
        if (told.columns is None) != (told.window is None):
            key = "window" if told.window is None else "columns"
            yield (key,), "this key is missing.", "Windows need `columns` and `window`, a column of lists neither."
        elif told.columns is not None and told.column is not None:
            yield ("column",), "windows are made of `columns`, so that this key would change nothing.", "Leave it out."
        elif told.columns is None and told.group is not None:
            yield ("group",), "only windows have a group, so that this key would change nothing.", "Leave it out."

    def problem(self, values: Tensor, column: Column) -> str:
        """Three dimensions, no infinity."""
        if values.ndim != 3:
            return shape_problem(self.form, column.values)
        if bool(values.isinf().any()):
            return "expected finite values (NaN where missing), got infinity."
        return ""

    def present(self, values: Tensor) -> Tensor:
        """Where there is no NaN."""
        if torch.compiler.is_exporting():  # an exported model takes any number of rows
            return rows_without_nan(values)
        return torch.cat([rows_without_nan(part) for part in values.split(ROWS_AT_A_TIME)])

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """Lists of steps, each a list of numbers, null where missing."""
        return nulls_for_nan(values)


def decode_windows(raws: Sequence[RawColumn], window: tuple[int, int], group: RawColumn | None) -> Decoded:
    """The steps around each row as a view of one tensor, so that overlapping windows cost no copy.

    Args:
        raws: The channels: one number a row, each row one step after the one before it.
        window: The first step and the one behind the last, counted from the row.
        group: Where its value changes, another series begins.

    Raises:
        DataError: A value is no number, or no row has a whole window.
    """
    steps = torch.cat([decode_number(raw).values for raw in raws], dim=1)
    first, end = window
    before, after = max(0, -first), max(0, end - 1)
    padded = torch.nn.functional.pad(steps, (0, 0, before, after))
    view = padded.unfold(0, end - first, 1).transpose(1, 2).narrow(0, first + before, len(steps))
    usable = _whole(len(steps), before, after, None if group is None else group.values)
    count = int((~usable).sum())
    if count == len(steps):
        leaves = "leaves the table" if group is None else "leaves the table or its group"
        raise DataError(f"{raws[0].where}: the window [{first}, {end}] of every one of the {count} rows {leaves}.")
    return Decoded(
        values=view,
        usable=usable if count else None,
        options={"channels": [raw.column for raw in raws], "window": [first, end]},
        notes=(f"{count} of {len(steps)} rows have no whole window and are in no split.",) if count else (),
    )


def decode_lists(raw: RawColumn) -> Decoded:
    """The steps that a column holds: ``[rows, steps]``, ``[rows, steps, channels]``, or a list a row.

    Raises:
        DataError: A list is longer or shorter than the others, or holds something else than numbers.
    """
    if raw.values.dtype.kind in "buif" and raw.values.ndim in {2, 3}:
        values = raw.values.reshape(*raw.values.shape[:2], -1)
    elif raw.values.dtype.kind == "O" and raw.values.ndim == 1:
        values = _stacked(raw)
    else:
        told = f"{raw.values.dtype} of shape {list(raw.values.shape[1:])}"
        raise DataError(f"{raw.where}: expected a list of numbers a row, or of lists of numbers, got {told}.")
    with np.errstate(over="ignore"):
        decoded = values.astype(np.float32)
    for row in np.flatnonzero(np.isinf(decoded).any(axis=(1, 2))):
        raw.reject(int(row), "expected numbers within float32's range, got infinity.")
        decoded[row] = np.nan
    return Decoded(values=torch.from_numpy(decoded))


def _stacked(raw: RawColumn) -> NDArray[np.float64]:
    rows = [None if is_missing(value) else _steps(raw, row, value) for row, value in enumerate(raw.values)]
    shape = next((steps.shape for steps in rows if steps is not None), None)
    if shape is None:
        raise DataError(f"{raw.where}: the field is missing in all {len(rows)} rows.")
    values = np.full((len(rows), *shape), np.nan)
    for row, steps in enumerate(rows):
        if steps is not None and steps.shape != shape:
            told = (
                f"expected {shape[0]} steps of {shape[1]} as in the first row, got {steps.shape[0]} of {steps.shape[1]}"
            )
            raw.reject(row, f"{told}; series of one field are equally long.")
        elif steps is not None:
            values[row] = steps
    return values


def _steps(raw: RawColumn, row: int, value: Any) -> NDArray[np.float64] | None:
    try:
        steps = np.array(value.tolist() if isinstance(value, np.ndarray) else value, dtype=np.float64)
    except (ValueError, TypeError):
        steps = np.empty(())
    if steps.ndim not in {1, 2} or not steps.size:
        raw.reject(row, f"expected a list of numbers, or of equally long lists of numbers, got {str(value)[:60]}.")
        return None
    return steps.reshape(len(steps), -1)


def _whole(count: int, before: int, after: int, group: NDArray | None) -> Tensor:
    """Which rows' windows stay in the table and in one group."""
    rows = np.arange(count)
    low, high = rows - before, rows + after
    whole = (low >= 0) & (high < count)
    if group is not None:
        changes = np.concatenate([[0], np.cumsum(group[1:] != group[:-1])])
        whole &= changes[low.clip(0)] == changes[high.clip(max=count - 1)]
    return torch.from_numpy(whole)
