"""Statistics of train rows that more than one step learns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jumpml.core import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows

_ALIKE = {("image", 4): (0, 2, 3), ("audio", 3): (0, 2), ("audio", 4): (0, 3), ("series", 3): (0, 1)}


def missing_values(field: FieldInfo) -> int:
    """How many values of a field are missing, in any split; a table's cells count."""
    return field.missing + sum(column.missing for column in field.columns)


def pooled(kind: str, dims: int) -> tuple[int, ...]:
    """The dimensions over which values are alike: a picture's pixels, a recording's moments, a series' steps; rows.

    Args:
        kind: The field's kind.
        dims: Of the values, the rows among them; a step may have made something else of the field.
    """
    return _ALIKE.get((kind, dims), (0,))


def moments(train: TrainRows, field: FieldInfo, step: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of what is present, float64, shaped to broadcast against one row.

    Raises:
        DataError: There is an element that no train row has.
    """
    mean = _mean_of(train, field, lambda part: part)
    require(~mean.isnan(), field, step)
    return mean[0], _mean_of(train, field, lambda part: (part - mean).square()).sqrt()[0]


def quantiles(train: TrainRows, field: FieldInfo, levels: Sequence[float], step: str) -> Tensor:
    """Quantiles of a sample of what is present, linear between the order statistics.

    Args:
        train: What comes in.
        field: What the field is.
        levels: From 0 to 1.
        step: The name of the step that asks.

    Returns:
        Float64 ``[levels, *row]``, where the dimensions of ``row`` that are `pooled` are 1.

    Raises:
        DataError: There is an element that no train row has.
    """
    columns, row = alike_columns(train.sample(), field)
    columns = columns.sort(dim=0).values  # NaN comes last
    last = (~columns.isnan()).sum(dim=0) - 1
    require(last >= 0, field, step)
    places = torch.tensor(levels, dtype=torch.float64).unsqueeze(1) * last
    low, high = (columns.gather(0, place.long()).double() for place in (places.floor(), places.ceil()))
    return (low + (high - low) * (places - places.floor())).reshape(len(levels), *row)


def alike_columns(values: Tensor, field: FieldInfo) -> tuple[Tensor, list[int]]:
    """Values that are alike as columns ``[n, elements]``, and the shape that makes ``[elements]`` one row again."""
    dims = pooled(field.kind, values.dim())
    others = [dim for dim in range(values.dim()) if dim not in dims]
    row = [1 if dim in dims else size for dim, size in enumerate(values.shape)][1:]
    return values.permute(*dims, *others).reshape(-1, math.prod(row)), row


def positive(scale: Tensor, level: Tensor) -> Tensor:
    """A scale to divide by, float32: 1 where the values are constant but for rounding.

    Rounding leaves a constant a deviation of 1e-16 of its level; float32 values that differ have more than 1e-12.
    """
    varies = (scale > 1e-12 * level.abs()) & (scale >= torch.finfo(torch.float32).tiny)
    return scale.where(varies, 1.0).float()


def require(known: Tensor, field: FieldInfo, step: str) -> None:
    """See that each element of a field has a value in some train row.

    Raises:
        DataError: One has not.
    """
    if not bool(known.all()):
        lacking = int((~known).sum())
        which = "" if known.numel() == 1 else f" for {lacking} of {known.numel()} elements"
        fix = "Leave the field out, or put `impute: {strategy: constant}` before."
        raise DataError(f"field {field.name!r}: no train row has a value{which}, and {step} learns from them. {fix}")


def _mean_of(train: TrainRows, field: FieldInfo, of: Callable[[Tensor], Tensor]) -> Tensor:
    total = count = torch.zeros(())
    for block in train.blocks():
        dims = pooled(field.kind, block.dim())
        part = of(block.double())
        total = total + part.nansum(dims, keepdim=True)
        count = count + (~part.isnan()).sum(dims, keepdim=True)
    return total / count
