"""Numbers by their rank among the train rows."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, final

import torch
from torch import Tensor

from jumpml.data.features._feature import Feature
from jumpml.data.features._statistics import quantiles

if TYPE_CHECKING:
    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class Quantile(Feature):
    """Map numbers through the train rows' own distribution to a uniform one on [0, 1] or to a standard normal one.

    Between the quantiles of the train rows the map is linear; beyond the smallest and the largest it is flat. What is
    missing becomes the middle: 0.5, or 0. One map a channel of an image, a recording or a series, else one an element.

    Args:
        to: ``uniform`` or ``normal``.
        quantiles: How many quantiles are kept, at least 2.

    Attributes:
        grid: ``[quantiles, *row]``, the quantiles, ascending.
        levels: ``[quantiles]``, what they become.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> pay, step = Column(torch.tensor([[1.0], [2.0], [3.0], [4.0], [999.0]]), "number"), Quantile()
        >>> step.fit(TrainRows(pay.values), pay.info("pay"))
        >>> step(torch.tensor([[0.0], [2.5], [999.0]])).flatten()
        tensor([0.0000, 0.3750, 1.0000])
    """

    name = "quantile"
    reads = ("numbers",)
    learns = ("grid", "levels")
    fills = True
    grid: Tensor
    levels: Tensor

    def __init__(self, to: Literal["uniform", "normal"] = "uniform", quantiles: int = 1000) -> None:
        super().__init__()
        self.to_normal, self.quantiles = to == "normal", quantiles

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Take the quantiles of a sample of what is present.

        Raises:
            DataError: There is an element that no train row has.
        """
        shares = [index / (self.quantiles - 1) for index in range(self.quantiles)]
        grid = quantiles(train, field, shares, self.name).float()
        if self.to_normal:  # the middle of each share: the ends of a normal distribution are infinite
            shares = [NormalDist().inv_cdf((index + 0.5) / self.quantiles) for index in range(self.quantiles)]
        self.learn(grid=grid, levels=torch.tensor(shares))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape."""
        levels = self.levels.view(-1, *[1] * (self.grid.dim() - 1)).expand_as(self.grid)
        out = interpolate(values, self.grid, levels)
        return torch.where(torch.isnan(values), (levels[0] + levels[-1]) / 2, out)

    def inverse(self, values: Tensor) -> Tensor:
        """The raw numbers; those beyond the train rows' ends come back as the ends."""
        levels = self.levels.view(-1, *[1] * (self.grid.dim() - 1)).expand_as(self.grid)
        return interpolate(values, levels, self.grid)


def interpolate(values: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """The piecewise linear map through some points, flat beyond them; the middle where points stand above each other.

    A binary search by gathers, which any runtime can do, and in the memory of a few copies of the values.

    Args:
        values: ``[batch, *row]``.
        xs: ``[points, *row]``, ascending; sizes of 1 broadcast.
        ys: Of the same shape.
    """
    points, row = xs.shape[0], xs.shape[1:]
    flat_x, flat_y = (torch.movedim(side, 0, -1).reshape(-1) for side in (xs, ys))
    base = torch.arange(math.prod(row), device=values.device).view(row) * points
    below = base + torch.zeros_like(values, dtype=torch.int64)  # the last point that is not above the value
    above = below + points - 1  # the first that is not below it
    first, last = below, above
    for step in (1 << power for power in reversed(range((points - 1).bit_length()))):
        ahead, back = torch.minimum(below + step, last), torch.maximum(above - step, first)
        below = torch.where(flat_x[ahead] <= values, ahead, below)
        above = torch.where(flat_x[back] >= values, back, above)
    x0, x1, y0, y1 = flat_x[below], flat_x[above], flat_y[below], flat_y[above]
    share = torch.where(x1 > x0, (values - x0) / torch.where(x1 > x0, x1 - x0, 1.0), 0.5)
    return y0 + (y1 - y0) * share.clamp(0, 1)
