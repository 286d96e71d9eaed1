"""What learning left behind in memory: figures by epoch, and by example."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jumpml.core._text_table import text_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jumpml.core._course import CoursePoint
    from jumpml.core._records import EpochRecord


@dataclass(frozen=True, kw_only=True)
class ExampleHistory:
    """One task's record of every train row at every epoch, as it was seen in training (augmented, with dropout).

    Attributes:
        rows: int64 ``[rows]``, row numbers in the data set.
        loss: float32 ``[epochs, rows]``; NaN where the row had no target.
        margin: float32 ``[epochs, rows]``: the target's logit less the best other one (multiclass), the signed logit
            (binary), the lowest signed logit of all labels (multilabel), or minus the absolute error (regression); NaN
            likewise.
        predicted: int64 ``[epochs, rows]``, the decided class; for multilabel the label that is decided most wrongly,
            or -1 where all are right; -1 for regression and where positions are decided.
    """

    rows: NDArray[np.int64]
    loss: NDArray[np.float32]
    margin: NDArray[np.float32]
    predicted: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class History:
    """What a learner remembers.

    Attributes:
        epochs: One record an epoch, in order.
        course: What hooks told of the updates: shares and rewards of arms, multipliers, cosines; see `Course`.
        examples: By task, where examples were recorded.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    course: tuple[CoursePoint, ...] = ()
    examples: dict[str, ExampleHistory] = field(default_factory=dict)

    def table(self) -> list[dict[str, str | float]]:
        """The epochs as rows, fit for a data frame: every row has every column.

        Returns:
            By epoch ``phase``, ``epoch``, ``step``, ``lr``, ``lr/<group>``, ``seconds``, ``loss`` (the weighted
            sum), ``loss/<objective>`` and ``val/<figure>``; NaN where an epoch has no such figure.

        Example:
            >>> from jumpml.core import EpochRecord
            >>> first = EpochRecord(phase="supervised", epoch=1, step=9, losses={"digit": 2.0}, lr=0.1, seconds=1.0)
            >>> History(epochs=[first]).table()[0]["loss/digit"]
            2.0
        """
        rows = [epoch.figures() for epoch in self.epochs]
        names = [*dict.fromkeys(name for row in rows for name in row)]
        places = [epoch.place() for epoch in self.epochs]
        absent = dict.fromkeys((*dict.fromkeys(name for place in places for name in place), *names), math.nan)
        return [{**absent, **place, **row} for place, row in zip(places, rows, strict=True)]

    def __str__(self) -> str:
        """The same for people."""
        rows = self.table()
        if not rows:
            return "no epoch yet"
        names = list(rows[0])
        return text_table(names, [[_told(row[name]) for name in names] for row in rows], "l" + "r" * (len(names) - 1))


def _told(value: str | float) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
