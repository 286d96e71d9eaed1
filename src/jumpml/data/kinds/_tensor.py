"""An array of numbers a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import ValueInfo
from jumpml.data.kinds._kind import Decoded, Kind, known_whole, shape_problem
from jumpml.data.kinds._numbers import scaled, shortest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn


@final
class TensorKind(Kind):
    """An array of numbers a row: float32 ``[rows, *shape]``, NaN where missing."""

    name = "tensor"
    gives = "numbers"
    form = "[rows, *shape]"

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """Arrays of the field's shape, or flat."""
        return Decoded(values=torch.from_numpy(scaled(raws[0], told.shape, None)))

    def expected(self, told: Any) -> ValueInfo:
        """As the file says."""
        return ValueInfo(shape=told.shape)

    def problem(self, values: Tensor, column: Column) -> str:
        """Two dimensions or more, finite values or a row of NaN."""
        if not 2 <= values.ndim <= 8:
            return shape_problem(self.form, column.values)
        return known_whole(values)

    def present(self, values: Tensor) -> Tensor:
        """Where there is no NaN; an array is missing as a whole or not at all."""
        return ~values.flatten(1)[:, 0].isnan()

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """The shortest decimals; null where missing."""
        present = ~np.isnan(values.reshape(len(values), -1)[:, 0])
        rows = shortest(values[present]).tolist()
        return [rows.pop(0) if known else None for known in present]
