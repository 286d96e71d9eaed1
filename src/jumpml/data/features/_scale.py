"""Numbers on a common scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from jumpml.data.features._feature import Feature
from jumpml.data.features._statistics import moments, positive, quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class Standardize(Feature):
    """Subtract the mean and divide by the standard deviation of the train rows; what is missing becomes 0, the mean.

    One mean and deviation a channel of an image, a recording or a series, else one an element.

    Args:
        fill: Whether what is missing becomes 0. A target's missing numbers must stay missing, so that nothing is
            learned of them.

    Attributes:
        mean: Broadcasts against one row.
        std: Of the same shape; 1 where the train rows are constant.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> ages, step = Column(torch.tensor([[20.0], [60.0], [float("nan")]]), "number"), Standardize()
        >>> step.fit(TrainRows(ages.values), ages.info("age"))
        >>> step(ages.values).flatten()
        tensor([-1.,  1.,  0.])
    """

    name = "standardize"
    reads = ("numbers", "table")
    learns = ("mean", "std")
    mean: Tensor
    std: Tensor

    def __init__(self, *, fill: bool = True) -> None:
        super().__init__()
        self.fills = fill

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """A table with categories, which have no mean."""
        names = [column.name for column in field.columns if column.kind != "number"]
        if not names:
            return ""
        return f"standardize is for tables of numbers alone, and {', '.join(names)} is none. Take encode."

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Take the mean and the deviation of what is present.

        Raises:
            DataError: There is an element that no train row has.
        """
        mean, std = moments(train, field, self.name)
        self.learn(mean=mean.float(), std=positive(std, mean))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape."""
        scaled = (values - self.mean) / self.std
        return _filled(scaled) if self.fills else scaled

    def inverse(self, values: Tensor) -> Tensor:
        """The raw numbers."""
        return values * self.std + self.mean


@final
class RobustScale(Feature):
    """Subtract the median and divide by the distance of two quantiles of the train rows, which outliers do not move.

    What is missing becomes 0, the median. One median and distance a channel of an image, a recording or a series, else
    one an element.

    Args:
        low: The level of the lower quantile.
        high: The level of the higher one.

    Attributes:
        median: Broadcasts against one row.
        distance: Of the same shape; 1 where the two quantiles are equal.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> pay, step = Column(torch.tensor([[1.0], [2.0], [3.0], [4.0], [999.0]]), "number"), RobustScale()
        >>> step.fit(TrainRows(pay.values), pay.info("pay"))
        >>> step(pay.values).flatten()
        tensor([ -1.0000,  -0.5000,   0.0000,   0.5000, 498.0000])
    """

    name = "robust_scale"
    reads = ("numbers",)
    learns = ("median", "distance")
    fills = True
    median: Tensor
    distance: Tensor

    def __init__(self, low: float = 0.25, high: float = 0.75) -> None:
        super().__init__()
        self.low, self.high = low, high

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Take the median and the quantiles of what is present.

        Raises:
            DataError: There is an element that no train row has.
        """
        low, median, high = quantiles(train, field, (self.low, 0.5, self.high), self.name)
        self.learn(median=median.float(), distance=positive(high - low, median))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape."""
        return _filled((values - self.median) / self.distance)

    def inverse(self, values: Tensor) -> Tensor:
        """The raw numbers."""
        return values * self.distance + self.median


def _filled(scaled: Tensor) -> Tensor:
    return torch.where(torch.isnan(scaled), 0.0, scaled)
