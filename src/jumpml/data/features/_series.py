"""Windows of a series: with what came before, without its level, on their own scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from jumpml.core import DataError
from jumpml.data.features._feature import Feature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import FieldInfo


@final
class Lags(Feature):
    """Each step beside earlier ones, as further channels; the first steps, which lack some, go.

    Args:
        lags: How many steps earlier, each at least 1.

    Example:
        >>> Lags([1, 2])(torch.arange(4.0).view(1, 4, 1))
        tensor([[[2., 1., 0.],
                 [3., 2., 1.]]])
    """

    name = "lags"
    reads = ("numbers",)

    def __init__(self, lags: Sequence[int]) -> None:
        super().__init__()
        self.lags = tuple(lags)

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs a series."""
        return _only_series(self.name, field)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, steps - longest lag, channels * (1 + lags)]`` of ``[batch, steps, channels]``.

        Raises:
            DataError: What comes in is no series, or no longer than the longest lag.
        """
        longest = max(self.lags)
        steps = _steps(self.name, values, longest)
        return torch.cat([values[:, longest - lag : steps - lag] for lag in (0, *self.lags)], dim=2)


@final
class Difference(Feature):
    """Each step less an earlier one; the first steps, which have none, go.

    Args:
        lag: How many steps earlier: 1 for changes, the season's length for changes against the last season.
        order: How often.

    Example:
        >>> Difference(order=2)(torch.tensor([0.0, 1, 4, 9]).view(1, 4, 1)).flatten()
        tensor([2., 2.])
    """

    name = "difference"
    reads = ("numbers",)

    def __init__(self, lag: int = 1, order: int = 1) -> None:
        super().__init__()
        self.lag, self.order = lag, order

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs a series."""
        return _only_series(self.name, field)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, steps - order * lag, channels]`` of ``[batch, steps, channels]``.

        Raises:
            DataError: What comes in is no series, or too short.
        """
        _steps(self.name, values, self.order * self.lag)
        for _ in range(self.order):
            values = values[:, self.lag :] - values[:, : -self.lag]
        return values


@final
class ZNorm(Feature):
    """Each window on its own scale: mean 0 and deviation 1 over its steps, channel by channel.

    What is missing becomes 0, and so does a channel that stays the same.

    Example:
        >>> ZNorm()(torch.tensor([1.0, 3.0]).view(1, 2, 1)).flatten()
        tensor([-1.,  1.])
    """

    name = "z_norm"
    reads = ("numbers",)
    fills = True

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs a series."""
        return _only_series(self.name, field)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape ``[batch, steps, channels]``.

        Raises:
            DataError: What comes in is no series.
        """
        _steps(self.name, values, 0)
        present = ~torch.isnan(values)
        count = present.sum(dim=1, keepdim=True).clamp(min=1)
        mean = torch.where(present, values, 0.0).sum(dim=1, keepdim=True) / count
        centred = torch.where(present, values - mean, 0.0)
        deviation = (centred.square().sum(dim=1, keepdim=True) / count).sqrt()
        # A constant's rounding errors, at most a millionth of its level, are no pattern.
        varies = deviation > 1e-6 * mean.abs()
        return torch.where(varies, centred / torch.where(varies, deviation, 1.0), 0.0)


def _only_series(step: str, field: FieldInfo) -> str:
    return "" if field.kind == "series" else f"{step} is for series; this field is a {field.kind}."


def _steps(step: str, values: Tensor, used: int) -> int:
    if values.dim() != 3:
        raise DataError(f"{step}: expected [batch, steps, channels], got {list(values.shape)}.")
    if values.shape[1] <= used:
        raise DataError(f"{step}: expected more than {used} steps, got {values.shape[1]}.")
    return values.shape[1]
