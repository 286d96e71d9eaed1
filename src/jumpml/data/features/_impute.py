"""Something in the place of what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final

import torch
from torch import Tensor

from jumpml.data.features._feature import Feature
from jumpml.data.features._statistics import alike_columns, moments, quantiles, require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class Impute(Feature):
    """Fill what is missing with a number of the train rows, or with a constant.

    One number a channel of an image, a recording or a series, else one an element.

    Args:
        strategy: ``mean``, ``median``, ``most_frequent`` (of a sample where there are many rows; the smallest of
            those that are as frequent) or ``constant``.
        value: The constant.
        indicator: Whether each element is followed, after all elements, by 1 where it was missing and else 0:
            ``[batch, width]`` becomes ``[batch, 2 * width]``.

    Attributes:
        fill: Broadcasts against one row.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> ages, step = Column(torch.tensor([[20.0], [float("nan")], [60.0]]), "number"), Impute(indicator=True)
        >>> step.fit(TrainRows(ages.values), ages.info("age"))
        >>> step(ages.values)
        tensor([[20.,  0.],
                [40.,  1.],
                [60.,  0.]])
    """

    name = "impute"
    reads = ("numbers",)
    learns = ("fill",)
    fills = True
    fill: Tensor

    def __init__(
        self,
        strategy: Literal["mean", "median", "most_frequent", "constant"] = "mean",
        *,
        value: float = 0.0,
        indicator: bool = False,
    ) -> None:
        super().__init__()
        self.strategy, self.value, self.indicator = strategy, value, indicator

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """An indicator needs elements in a line."""
        if self.indicator and len(field.value.shape) != 1:
            return f"impute has an indicator for values [batch, width]; a field of kind {field.kind} has {field.value}."
        return ""

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Find the number.

        Raises:
            DataError: There is an element that no train row has.
        """
        if self.strategy == "constant":
            fill = torch.tensor(self.value)
        elif self.strategy == "mean":
            fill = moments(train, field, self.name)[0]
        elif self.strategy == "median":
            fill = quantiles(train, field, (0.5,), self.name)[0]
        else:
            fill = _most_frequent(train, field)
        self.learn(fill=fill.float())

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape, or with the indicators."""
        missing = torch.isnan(values)
        filled = torch.where(missing, self.fill, values)
        return torch.cat([filled, missing.to(values.dtype)], dim=1) if self.indicator else filled

    def inverse(self, values: Tensor) -> Tensor:
        """The numbers as they are, without indicators; what was filled is not known."""
        return values[:, : values.shape[1] // 2] if self.indicator else values


def _most_frequent(train: TrainRows, field: FieldInfo) -> Tensor:
    columns, row = alike_columns(train.sample(), field)
    found = []
    for column in columns.T:
        distinct, counts = column[~column.isnan()].unique(return_counts=True)
        require(torch.tensor(len(distinct) > 0), field, "impute")
        found.append(distinct[counts.argmax()])
    return torch.stack(found).reshape(row)
