"""Numbers kept within bounds, or with their tails drawn in."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from jumpml.core import DataError
from jumpml.data.features._feature import Feature
from jumpml.data.features._statistics import quantiles

if TYPE_CHECKING:
    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class Clip(Feature):
    """Numbers outside of two bounds become the nearer bound; what is missing stays missing.

    Args:
        low: The least that passes; None for no such bound.
        high: The most that passes; None for no such bound.
        quantiles: Two levels from 0 to 1 instead: the bounds are these quantiles of the train rows, one pair a channel
            of an image, a recording or a series, else one an element.

    Attributes:
        lower, upper: Broadcast against one row.

    Raises:
        DataError: There are no bounds, bounds of both sorts, or a lower one that is not below the upper.

    Example:
        >>> Clip(-3, 3)(torch.tensor([[-7.0], [1.0], [7.0]])).flatten()
        tensor([-3.,  1.,  3.])
    """

    name = "clip"
    reads = ("numbers",)
    learns = ("lower", "upper")
    lower: Tensor
    upper: Tensor

    def __init__(
        self, low: float | None = None, high: float | None = None, *, quantiles: tuple[float, float] | None = None
    ) -> None:
        super().__init__()
        self.quantiles = quantiles
        fixed = low is not None or high is not None
        if fixed == (quantiles is not None):
            raise DataError(f"clip: expected low, high or both, or else quantiles; got {'both' if fixed else 'none'}.")
        ends = quantiles or (-torch.inf if low is None else low, torch.inf if high is None else high)
        if ends[0] >= ends[1]:
            raise DataError(f"clip: expected the lower bound first, got {ends[0]:g} and {ends[1]:g}.")
        if fixed:
            self.learn(lower=torch.tensor(float(ends[0])), upper=torch.tensor(float(ends[1])))

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Take the quantiles, where they are asked for.

        Raises:
            DataError: There is an element that no train row has.
        """
        if self.quantiles is not None:
            lower, upper = quantiles(train, field, self.quantiles, self.name)
            self.learn(lower=lower.float(), upper=upper.float())

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape."""
        # Comparisons, since ONNX Runtime's own clip need not keep NaN.
        values = torch.where(values < self.lower, self.lower, values)
        return torch.where(values > self.upper, self.upper, values)

    def inverse(self, values: Tensor) -> Tensor:
        """The numbers as they are: what was cut off is not known."""
        return values


@final
class Log(Feature):
    """The logarithm of numbers that span orders of magnitude; what is missing stays missing.

    Without an offset ``sign(x) * log(1 + |x|)``, which takes any number. With one ``log(x + offset)``, where a number
    below all of the train rows counts as their smallest, so that the logarithm exists.

    Args:
        offset: What is added; the smallest train number plus it must be above 0.

    Attributes:
        lowest: The smallest number of the train rows; minus infinity without an offset.

    Example:
        >>> Log()(torch.tensor([[-9.0], [0.0], [9.0]])).flatten()
        tensor([-2.3026,  0.0000,  2.3026])
    """

    name = "log"
    reads = ("numbers",)
    learns = ("lowest",)
    lowest: Tensor

    def __init__(self, offset: float | None = None) -> None:
        super().__init__()
        self.offset = offset
        if offset is None:
            self.learn(lowest=torch.tensor(-torch.inf))

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Note the smallest number, where there is an offset.

        Raises:
            DataError: Its logarithm does not exist.
        """
        if self.offset is None:
            return
        lowest = min(float(block.nan_to_num(nan=torch.inf).amin()) for block in train.blocks())
        if float(torch.tensor(lowest) + self.offset) <= 0:  # as float32, in which `forward` adds them
            fix = f"Take an offset above {-lowest:g}, or none: then the logarithm keeps the sign."
            raise DataError(
                f"field {field.name!r}: log with offset {self.offset:g} of {lowest:g} does not exist. {fix}"
            )
        self.learn(lowest=torch.tensor(lowest))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape."""
        if self.offset is None:
            return torch.sign(values) * torch.log1p(values.abs())
        return torch.log(torch.where(values < self.lowest, self.lowest, values) + self.offset)

    def inverse(self, values: Tensor) -> Tensor:
        """The raw numbers."""
        if self.offset is None:
            return torch.sign(values) * torch.expm1(values.abs())
        return values.exp() - self.offset
