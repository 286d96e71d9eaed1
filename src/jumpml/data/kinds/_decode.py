"""A source's column to a decoded one; every complaint names the data set, the field and the row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from jumpml.core import DataError, did_you_mean
from jumpml.data.kinds._column import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

ROWS_AT_A_TIME = 4096  # float64 intermediates of a whole column of pictures could be eight times the column


@final
@dataclass(frozen=True, kw_only=True)
class RawColumn:
    """A column as its source gave it.

    Attributes:
        values: ``[rows, ...]``; a missing text is None in an array of objects.
        where: What to call it in errors, such as ``data set 'digits', field 'image'``.
        place: Names a row for people.
    """

    values: NDArray
    where: str
    place: Callable[[int], str]

    def error(self, row: int, problem: str) -> DataError:
        """A complaint about one row."""
        return DataError(f"{self.where}, {self.place(row)}: {problem}")


def decode_number(raw: RawColumn) -> Column:
    """One number a row; None and NaN are missing.

    Raises:
        DataError: A value is no finite number, or a row holds several.
    """
    values = _reshaped(raw, (1,)).astype(np.float64)
    with np.errstate(over="ignore"):
        decoded = values.astype(np.float32)
    bad = np.flatnonzero(np.isinf(decoded))
    if len(bad):
        raise raw.error(int(bad[0]), f"expected a number within float32's range, got {values[bad[0], 0]:g}.")
    return Column(torch.from_numpy(decoded), "number")


def decode_category(raw: RawColumn, classes: Sequence[str] | None = None) -> Column:
    """One name a row; None and NaN are missing.

    Args:
        raw: Texts, booleans or numbers; a whole number is written as one (``3``, not ``3.0``).
        classes: The names in the order of their codes; from the data where None, numbers in their order, else sorted.

    Raises:
        DataError: A value is none of ``classes``, or a row holds several values.
    """
    if raw.values.ndim != 1:
        shape = list(raw.values.shape[1:])
        raise DataError(f"{raw.where}: expected one value a row for a category, got rows of shape {shape}.")
    names, codes, present = _names(raw)
    known = tuple(classes) if classes is not None else tuple(sorted(names, key=_class_order))
    index = {name: code for code, name in enumerate(known)}
    lookup = np.array([index.get(name, -1) for name in names], dtype=np.int64)
    decoded = np.full(len(raw.values), -1, dtype=np.int64)
    decoded[present] = lookup[codes]
    bad = np.flatnonzero(present & (decoded < 0))
    if len(bad):
        name = names[codes[np.count_nonzero(present[: bad[0]])]]
        near = did_you_mean(name, known)
        raise raw.error(int(bad[0]), f"expected one of the {len(known)} classes, got {name!r}. {near}".rstrip())
    return Column(torch.from_numpy(decoded), "category", classes=known)


def decode_image(raw: RawColumn, shape: tuple[int, int, int], value_range: tuple[float, float]) -> Column:
    """One picture a row.

    Args:
        raw: Rows of ``shape``, of ``shape`` without its single channel, or flat.
        shape: Channels, height, width.
        value_range: The raw values that become 0 and 1.

    Raises:
        DataError: The shape is another, or a value is missing, no number, or outside the range.
    """
    return Column(_scaled(raw, shape, value_range), "image", range=value_range)


def decode_tensor(raw: RawColumn, shape: tuple[int, ...]) -> Column:
    """One array of numbers a row.

    Raises:
        DataError: The shape is another, or a value is missing, not finite or no number.
    """
    return Column(_scaled(raw, shape, None), "tensor")


def _scaled(raw: RawColumn, shape: tuple[int, ...], value_range: tuple[float, float] | None) -> torch.Tensor:
    values = _reshaped(raw, shape)
    decoded = np.empty(values.shape, dtype=np.float32)
    low, high = value_range or (-math.inf, math.inf)
    for start in range(0, len(values), ROWS_AT_A_TIME):
        block = values[start : start + ROWS_AT_A_TIME].astype(np.float64)
        # A comparison with NaN is false, so that "not inside" finds NaN too.
        inside = (block >= low) & (block <= high) & (np.abs(block) <= np.finfo(np.float32).max)
        if not inside.all():
            row = int(np.flatnonzero(~inside.reshape(len(block), -1).all(axis=1))[0])
            raise raw.error(start + row, _outside(float(block[row][~inside[row]][0]), value_range))
        decoded[start : start + ROWS_AT_A_TIME] = block if value_range is None else (block - low) / (high - low)
    return torch.from_numpy(decoded)


def _outside(value: float, value_range: tuple[float, float] | None) -> str:
    if not math.isfinite(value) or value_range is None:
        return f"expected finite numbers, got {value:g}; only a number or a category may be missing."
    return f"expected values in the field's range [{value_range[0]:g}, {value_range[1]:g}], got {value:g}."


def _reshaped(raw: RawColumn, shape: tuple[int, ...]) -> NDArray:
    """The column as numbers ``[rows, *shape]``; a flat row is taken, as is a picture without its single channel."""
    values = _numbers(raw)
    got = values.shape[1:]
    squeezed = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape
    if got in {shape, squeezed, (math.prod(shape),)} or (got == () and math.prod(shape) == 1):
        return values.reshape(len(values), *shape)
    problem = f"expected rows of shape {list(shape)}, got {list(got)}."
    if len(shape) == 3 and got == (*shape[1:], shape[0]):
        problem += " The channels come last in the source; put them first."
    raise DataError(f"{raw.where}: {problem}")


def _numbers(raw: RawColumn) -> NDArray:
    kind = raw.values.dtype.kind
    if kind in "buif":
        return raw.values
    if kind not in "OU":
        raise DataError(f"{raw.where}: expected numbers, got {raw.values.dtype}.")
    texts = raw.values.reshape(-1)
    numbers = np.full(len(texts), np.nan)
    present = np.array([text is not None for text in texts], dtype=bool)
    try:
        numbers[present] = texts[present].astype(np.float64)
    except ValueError:
        bad = next(index for index, text in enumerate(texts) if text is not None and not _is_number(text))
    else:
        bad = next(iter(np.flatnonzero(present & np.isnan(numbers))), None)
    if bad is not None:
        fix = "If it stands for a missing value, list it under the source's `missing`."
        row = int(bad) // max(1, math.prod(raw.values.shape[1:]))
        raise raw.error(row, f"expected a number, got {str(texts[bad])!r}. {fix}")
    return numbers.reshape(raw.values.shape)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names(raw: RawColumn) -> tuple[list[str], NDArray, NDArray]:
    """The different values as text, each present row's index into them, and which rows are present."""
    values = raw.values
    if values.dtype.kind == "O":
        present = np.array([value is not None for value in values], dtype=bool)
    elif values.dtype.kind == "f":
        present = ~np.isnan(values)
    elif values.dtype.kind in "biuU":
        present = np.ones(len(values), dtype=bool)
    else:
        raise DataError(f"{raw.where}: expected texts or numbers for a category, got {values.dtype}.")
    distinct, codes = np.unique(values[present], return_inverse=True)
    return [_name(value) for value in distinct], codes, present


def _name(value: object) -> str:
    return str(int(value)) if isinstance(value, np.floating) and value.is_integer() else str(value)


def _class_order(name: str) -> tuple[int, float, str]:
    """Numbers by their value before texts by their letters: ``9`` stands before ``10``."""
    return (0, float(name), name) if _is_number(name) and math.isfinite(float(name)) else (1, 0.0, name)
