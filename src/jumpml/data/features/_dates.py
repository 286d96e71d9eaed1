"""Dates as numbers: where they stand in a day, a week, a year, and how far they lie apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, final

import torch
from torch import Tensor

from jumpml.data.features._feature import Feature
from jumpml.data.features._statistics import positive, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows

MISSING = torch.iinfo(torch.int64).min
_DAY = 86_400
_FIRST_DAY = 719_468  # from 1 March of the year 0, where 400-year eras begin, to 1970
Part = Literal["hour", "weekday", "day_of_year", "month"]


@final
class Cycles(Feature):
    """A date as sines and cosines of where it stands in a day, a week and a year; all zeros where it is missing.

    Args:
        parts: Which: ``hour`` (with minutes and seconds), ``weekday``, ``day_of_year``, ``month``.

    Example:
        >>> noon = torch.tensor([12 * 3600])  # of 1 January 1970, a Thursday, in seconds
        >>> Cycles(["hour", "month"])(noon).round(decimals=4) + 0.0
        tensor([[ 0., -1.,  0.,  1.]])
    """

    name = "cycles"
    reads = ("dates",)
    fills = True

    def __init__(self, parts: Sequence[Part] = ("hour", "weekday", "day_of_year", "month")) -> None:
        super().__init__()
        self.parts = tuple(parts)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, 2 * parts]``, sine and cosine of each part, of seconds since 1970 UTC ``[batch]``."""
        missing = values == MISSING
        seconds = torch.where(missing, 0, values) + _FIRST_DAY * _DAY
        # Whole numbers and `//`: torch.div(rounding_mode=...) goes through float32 in an exported model.
        days, second = seconds // _DAY, seconds.remainder(_DAY)
        turns = torch.stack([_PARTS[part](days, second) for part in self.parts], dim=1)
        angles = 2 * math.pi * turns
        waves = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
        return torch.where(missing.unsqueeze(1), 0.0, waves)


@final
class Elapsed(Feature):
    """A date as a standardized number: 0 is the mean of the train rows, 1 a standard deviation later.

    What is missing becomes 0.

    Attributes:
        origin: int64, the mean in seconds since 1970 UTC.
        scale: float32, the deviation in seconds; 1 where the train rows are constant.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> sold, step = Column(torch.tensor([0, 172_800]), "date"), Elapsed()
        >>> step.fit(TrainRows(sold.values), sold.info("sold"))
        >>> step(torch.tensor([259_200])), step.inverse(torch.tensor([[2.0]]))
        (tensor([[2.]]), tensor([259200]))
    """

    name = "elapsed"
    reads = ("dates",)
    learns = ("origin", "scale")
    fills = True
    origin: Tensor
    scale: Tensor

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Take mean and deviation of the dates that are present.

        Raises:
            DataError: No train row has a date.
        """
        count, total = 0, torch.zeros((), dtype=torch.float64)
        for dates in self._present(train):
            count, total = count + len(dates), total + dates.sum()
        require(torch.tensor(count > 0), field, self.name)
        origin = (total / count).round()
        squares = torch.zeros((), dtype=torch.float64)
        for dates in self._present(train):
            squares += (dates - origin).square().sum()
        variance = squares / count
        self.learn(origin=origin.long(), scale=positive(variance.sqrt(), torch.zeros(())))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, 1]`` of seconds since 1970 UTC ``[batch]``."""
        missing = values == MISSING
        # The difference of whole numbers first: seconds since 1970 have steps of two minutes in float32.
        elapsed = torch.where(missing, 0, values - self.origin).to(torch.float32) / self.scale
        return elapsed.unsqueeze(1)

    def inverse(self, values: Tensor) -> Tensor:
        """The date, ``[batch]``, as exact as float32 tells it."""
        return (values[:, 0] * self.scale).round().long() + self.origin

    @staticmethod
    def _present(train: TrainRows) -> Iterator[Tensor]:
        return (block[block != MISSING].double() for block in train.blocks())


def _year(days: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Year, days since its 1 January, and its length, by Howard Hinnant's ``civil_from_days``."""
    day = days.remainder(146_097)  # of an era of 400 years
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    since_march = day - (365 * year + year // 4 - year // 100)
    late = since_march >= 306  # January and February belong to the next year
    year = year + torch.where(late, 1, 0)
    leap = (year.remainder(4) == 0) & ((year.remainder(100) != 0) | (year.remainder(400) == 0))
    leap = torch.where(leap, 1, 0)
    return since_march, torch.where(late, since_march - 306, since_march + 59 + leap), 365 + leap


def _day_of_year(days: Tensor, second: Tensor) -> Tensor:
    _, day, length = _year(days)
    return day.to(torch.float32) / length.to(torch.float32)


def _month(days: Tensor, second: Tensor) -> Tensor:
    since_march = _year(days)[0]
    return ((5 * since_march + 2) // 153 + 2).remainder(12).to(torch.float32) / 12


_PARTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "hour": lambda days, second: second.to(torch.float32) / _DAY,
    "weekday": lambda days, second: (days + 2).remainder(7).to(torch.float32) / 7,  # Monday is 0
    "day_of_year": _day_of_year,
    "month": _month,
}
