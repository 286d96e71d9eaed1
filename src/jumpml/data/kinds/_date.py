"""A moment a row."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import DataError, ValueInfo
from jumpml.data.kinds._kind import Decoded, Kind, is_missing, shape_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MISSING = torch.iinfo(torch.int64).min
FIRST, LAST = -62_135_596_800, 253_402_300_799  # the years 1 and 9999, which are all that Python's datetime knows


@final
class DateKind(Kind):
    """A moment a row: int64 ``[rows]``, seconds since 1970 in UTC; the smallest int64 where missing."""

    name = "date"
    gives = "dates"
    dtype = torch.int64
    form = "[rows]"
    absent = MISSING

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """The moments; fractions of a second are cut."""
        return decode_date(raws[0], told.format)

    def expected(self, told: Any) -> ValueInfo:
        """One number of seconds."""
        return ValueInfo(shape=(), dtype="int64")

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """A format that cannot be read."""
        if told.format is None:
            return
        try:
            datetime.strptime(EPOCH.strftime(told.format), told.format)
        except ValueError as error:
            yield ("format",), f"dates cannot be written and read by {told.format!r}: {error}.", ""

    def problem(self, values: Tensor, column: Column) -> str:
        """One moment of the years 1 to 9999 a row."""
        if values.ndim != 1:
            return shape_problem(self.form, column.values)
        outside = ((values < FIRST) | (values > LAST)) & (values != MISSING)
        if bool(outside.any()):
            return f"expected seconds of the years 1 to 9999, got {int(values[outside][0])}."
        return ""

    def present(self, values: Tensor) -> Tensor:
        """Where it is not the smallest int64."""
        return values != MISSING

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """Texts in the field's format, else ISO 8601; null where missing."""
        form = info.options.get("format")
        moments = [None if value == MISSING else EPOCH + value * SECOND for value in values.tolist()]
        if isinstance(form, str):
            return [moment and moment.strftime(form) for moment in moments]
        return [moment and moment.replace(tzinfo=None).isoformat() for moment in moments]


def decode_date(raw: RawColumn, form: str | None) -> Decoded:
    """One moment a row; None and NaT are missing.

    Args:
        raw: Texts in ISO 8601, dates and times of Python, or datetime64; without a time zone they are UTC.
        form: How the texts are written, in the codes of `datetime.datetime.strptime`.

    Raises:
        DataError: A value is no date.
    """
    options: dict[str, JsonValue] = {} if form is None else {"format": form}
    if raw.values.ndim != 1 or raw.values.dtype.kind not in "OUM":
        problem = "expected a text or a date a row"
        raise DataError(f"{raw.where}: {problem}, got {raw.values.dtype} of shape {list(raw.values.shape[1:])}.")
    if raw.values.dtype.kind == "M":
        if form is not None:
            raise DataError(
                f"{raw.where}: the column holds dates already, so that `format` says nothing: leave it out."
            )
        seconds = raw.values.astype("datetime64[s]").astype(np.int64)
    else:
        seconds = np.full(len(raw), MISSING, dtype=np.int64)
        for row, value in enumerate(raw.values.tolist()):
            if not is_missing(value):
                try:
                    seconds[row] = seconds_of(value, form)
                except ValueError as error:
                    raw.reject(row, f"{error}")
    return Decoded(values=torch.from_numpy(seconds), options=options)


def seconds_of(value: object, form: str | None) -> int:
    """Whole seconds since 1970 in UTC of a text, a date or a time.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, str):
        try:
            text = value.strip()
            value = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
        except ValueError:
            told = "in ISO 8601, such as 2007-11-11" if form is None else f"written as {form!r}"
            raise ValueError(f"expected a date {told}, got {value!r}.") from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError(f"expected a date, got {value!r}.")
    return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - EPOCH) // SECOND
