"""How far each task had come, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.core import EpochRecord, EvaluationRecord

NEARLY = 0.9  # of its way: what comes after it is fine tuning


@dataclass(frozen=True)
class Way:
    """One figure of a task over the epochs that have it.

    Attributes:
        task: The task.
        metric: The metric on validation rows; empty where the way is that of the train loss.
        epochs: The epochs, in their order.
        values: Of each, a finite number.
        rises: Whether more is better.
    """

    task: str
    metric: str
    epochs: tuple[EpochRecord, ...]
    values: tuple[float, ...]
    rises: bool

    @property
    def best(self) -> float:
        """The best value of all."""
        return max(self.values) if self.rises else min(self.values)

    @property
    def shares(self) -> tuple[float, ...]:
        """How much of the way from the first epoch's value to the best each epoch has behind it; none where it is 0."""
        length = self.best - self.values[0]
        return tuple((value - self.values[0]) / length for value in self.values) if length else ()

    @property
    def nearly(self) -> EpochRecord | None:
        """The first epoch with nine tenths of the way behind it; None where the first value is the best."""
        pairs = zip(self.epochs, self.shares, strict=False)
        return next((epoch for epoch, share in pairs if share >= NEARLY), None)


def ways_of(epochs: Sequence[EpochRecord], evaluation: EvaluationRecord) -> list[Way]:
    """Each task's way, by its first figure on the validation rows, or by its train loss where none was measured.

    Args:
        epochs: How the model learned.
        evaluation: Its tasks, and which of their metrics rise.
    """
    return [way for task in evaluation.tasks if (way := _way(task, epochs, evaluation)) is not None]


def _way(task: str, epochs: Sequence[EpochRecord], evaluation: EvaluationRecord) -> Way | None:
    metric = next((name.rpartition("/")[2] for epoch in epochs for name in epoch.val if _task_of(name) == task), "")
    told = [*_told(task, metric, epochs)]
    if not told:
        return None
    having, values = zip(*told, strict=True)
    known = evaluation.tasks[task].higher_is_better.get(metric) if metric else False
    return Way(task, metric, having, values, values[-1] > values[0] if known is None else known)


def _told(task: str, metric: str, epochs: Sequence[EpochRecord]) -> Iterator[tuple[EpochRecord, float]]:
    for epoch in epochs:
        value = epoch.val.get(f"{task}/{metric}") if metric else epoch.losses.get(task)
        if value is not None and math.isfinite(value):
            yield epoch, value


def _task_of(name: str) -> str:
    return name.rpartition("/")[0]
