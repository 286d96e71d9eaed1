"""Raw columns as arrays of numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from jumpml.core import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydantic import JsonValue

    from jumpml.data.kinds._raw_column import RawColumn

ROWS_AT_A_TIME = 4096  # float64 intermediates of a whole column of pictures could be eight times the column


def numbers_of(raw: RawColumn) -> NDArray:
    """A column's values as numbers, NaN where a text is missing.

    Raises:
        DataError: A text is no number, or the values are neither texts nor numbers.
    """
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
        bad = np.array([index for index in np.flatnonzero(present & np.isnan(numbers)) if _is_text(texts[index])])
    except (ValueError, TypeError):
        bad = np.array([index for index in np.flatnonzero(present) if number_in(texts[index]) is None])
        good = np.setdiff1d(np.flatnonzero(present), bad)
        numbers[good] = texts[good].astype(np.float64)
    for index in bad:
        fix = "If it stands for a missing value, list it under the source's `missing`."
        row = int(index) // max(1, math.prod(raw.values.shape[1:]))
        raw.reject(row, f"expected a number, got {str(texts[index])!r}. {fix}")
        numbers[index] = np.nan
    return numbers.reshape(raw.values.shape)


def reshaped(raw: RawColumn, values: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Numbers ``[rows, *shape]``; a flat row is taken, as is a picture without its single channel.

    Raises:
        DataError: The rows' shape is another.
    """
    got = values.shape[1:]
    if got in _forms(shape):
        return values.reshape(len(values), *shape)
    problem = f"expected rows of shape {list(shape)}, got {list(got)}."
    if len(shape) == 3 and got == (*shape[1:], shape[0]):
        problem += " The channels come last in the source; put them first."
    raise DataError(f"{raw.where}: {problem}")


def rows_of_numbers(raw: RawColumn, shape: tuple[int, ...]) -> NDArray:
    """Numbers ``[rows, *shape]``, from an array or from a list a row; NaN where a row is missing.

    Raises:
        DataError: A row is of another shape, or holds something else than numbers.
    """
    objects = raw.values if raw.values.dtype.kind == "O" and raw.values.ndim == 1 else ()
    lists = any(isinstance(value, (list, tuple, np.ndarray)) for value in objects)
    if not lists and not (len(objects) and all(value is None for value in objects)):
        return reshaped(raw, numbers_of(raw), shape)
    values = np.full((len(raw), *shape), np.nan)
    for row, value in enumerate(objects):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        try:
            array = np.array(value.tolist() if isinstance(value, np.ndarray) else value, dtype=np.float64)
        except (ValueError, TypeError):
            raw.reject(row, f"expected numbers of shape {list(shape)}, got {str(value)[:60]}.")
            continue
        if array.shape in _forms(shape):
            values[row] = array.reshape(shape)
        else:
            raw.reject(row, f"expected numbers of shape {list(shape)}, got shape {list(array.shape)}.")
    return values


def scaled(raw: RawColumn, shape: tuple[int, ...], value_range: tuple[float, float] | None) -> NDArray[np.float32]:
    """Rows of numbers with a range that becomes 0 to 1; a row of NaN is missing.

    Args:
        raw: Rows of ``shape``, of ``shape`` without its single channel, or flat.
        shape: One row's.
        value_range: The raw values that become 0 and 1; None leaves the numbers as they are.

    Raises:
        DataError: The shape is another, or a value is no number, not finite or outside the range.
    """
    values = rows_of_numbers(raw, shape)
    decoded = np.empty(values.shape, dtype=np.float32)
    low, high = value_range or (-math.inf, math.inf)
    for start in range(0, len(values), ROWS_AT_A_TIME):
        block = values[start : start + ROWS_AT_A_TIME].astype(np.float64)
        with np.errstate(over="ignore"):
            inside = np.isfinite(block.astype(np.float32)) & (block >= low) & (block <= high)
        missing = np.isnan(block.reshape(len(block), -1)).all(axis=1)
        for row in np.flatnonzero(~inside.reshape(len(block), -1).all(axis=1) & ~missing):
            raw.reject(start + int(row), outside(float(block[row][~inside[row]][0]), value_range))
            block[row] = np.nan
        decoded[start : start + ROWS_AT_A_TIME] = block if value_range is None else (block - low) / (high - low)
    return decoded


def outside(value: float, value_range: tuple[float, float] | None) -> str:
    """The complaint about a value that is not finite, or not in the range."""
    if not math.isfinite(value) or value_range is None:
        return f"expected finite numbers, or none at all where the row is missing, got {value:g}."
    return f"expected values in the field's range [{value_range[0]:g}, {value_range[1]:g}], got {value:g}."


def _forms(shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    """The shapes in which a row may come: a picture without its single channel, flat, a single number alone."""
    squeezed = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape
    return {shape, squeezed, (math.prod(shape),)} | ({()} if math.prod(shape) == 1 else set())


def number_in(value: object) -> float | None:
    """The number that a text or a number stands for; None where it stands for none, or for NaN in words."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    return None if math.isnan(number) and _is_text(value) else number


def shortest(values: NDArray) -> NDArray:
    """Float64 of the shortest decimals that read back as the same float32: 39.1 and not 39.099998."""
    return values.astype(np.float32).astype(str).astype(np.float64)


def nulls_for_nan(values: NDArray) -> list[JsonValue]:
    """Nested lists of the shortest decimals, null in place of NaN."""
    known = shortest(np.nan_to_num(values)).astype(object)
    known[np.isnan(values)] = None
    return known.tolist()


def _is_text(value: object) -> bool:
    return isinstance(value, str)
