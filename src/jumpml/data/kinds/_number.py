"""One number a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import FieldInfo, ValueInfo
from jumpml.data.kinds._kind import Decoded, Kind, shape_problem
from jumpml.data.kinds._numbers import numbers_of, reshaped, shortest

EXACT, EXACT_64 = 1 << 24, 1 << 53  # float32 and float64 hold every whole number up to here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn


@final
class NumberKind(Kind):
    """A number a row: float32 ``[rows, 1]``, NaN where missing."""

    name = "number"
    gives = "numbers"
    form = "[rows, 1]"

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """The numbers."""
        return decode_number(raws[0])

    def expected(self, told: Any) -> ValueInfo:
        """One number."""
        return ValueInfo(shape=(1,))

    def problem(self, values: Tensor, column: Column) -> str:
        """One finite number or NaN a row."""
        if values.ndim != 2 or values.shape[1] != 1:
            return shape_problem(self.form, column.values)
        if bool(torch.isinf(values).any()):
            return "expected finite values (NaN where missing), got infinity."
        return ""

    def present(self, values: Tensor) -> Tensor:
        """Where there is no NaN."""
        return ~torch.isnan(values[:, 0])

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """The shortest decimals; null where missing."""
        return [None if np.isnan(value) else value for value in shortest(values[:, 0]).tolist()]


def decode_number(raw: RawColumn) -> Decoded:
    """One number a row; None and NaN are missing.

    Raises:
        DataError: A value is no finite number, or a row holds several.
    """
    values = reshaped(raw, numbers_of(raw), (1,)).astype(np.float64)
    with np.errstate(over="ignore"):
        decoded = values.astype(np.float32)
    for row in np.flatnonzero(np.isinf(decoded)):
        raw.reject(int(row), f"expected a number within float32's range, got {values[row, 0]:g}.")
        decoded[row] = np.nan
    return Decoded(values=torch.from_numpy(decoded), notes=_rounded(values, decoded))


def _rounded(values: NDArray[np.float64], decoded: NDArray[np.float32]) -> tuple[str, ...]:
    """That whole numbers lost digits, where some did."""
    large = np.abs(values) > EXACT
    lost = large & (values == np.floor(values)) & ((values != decoded) | (np.abs(values) >= EXACT_64))
    if not lost.any():
        return ()
    count, first = int(lost.sum()), np.flatnonzero(lost.ravel())[0]
    told = f"{values.flat[first]:.0f} is read as {decoded.flat[first]:.0f}"
    what = "whole number is" if count == 1 else "whole numbers are"
    fix = "If they name things, make the field a category."
    return (f"{count} {what} above {EXACT:,}, where float32 has no room for the last digits: {told}. {fix}",)
