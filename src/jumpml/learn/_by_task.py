"""How each task fared, out of the epochs' records."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jumpml.core import LearnerError, TaskCourse, TaskTable, ValidationCourse
from jumpml.learn._validation import rises

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from jumpml.core import EpochRecord


def by_task(epochs: Sequence[EpochRecord], tasks: Collection[str]) -> TaskTable:
    """A row a task.

    Args:
        epochs: Of all phases, in their order.
        tasks: The tasks' names.
    """
    return TaskTable(_course(task, epochs) for task in tasks)


def _course(task: str, epochs: Sequence[EpochRecord]) -> TaskCourse:
    learned = [(place, epoch) for place, epoch in enumerate(epochs, start=1) if epoch.losses.get(task) is not None]
    # an epoch in which no row had its target has a mean of nothing
    counted = [(place, epoch.losses[task]) for place, epoch in learned if epoch.rows.get(task, 1)]
    course = TaskCourse(
        task=task, epochs=len(learned), rows=sum(e.rows.get(task, 0) for _, e in learned), val=_figures(task, epochs)
    )
    if not counted:
        return course
    place, best = min(counted, key=lambda one: (not math.isfinite(one[1]), one[1]))
    told = {"first": counted[0][1], "last": counted[-1][1], "best": best, "epoch": place}
    return course.model_copy(update=told)


def _figures(task: str, epochs: Sequence[EpochRecord]) -> tuple[ValidationCourse, ...]:
    names = dict.fromkeys(name for epoch in epochs for name in epoch.val if name.rpartition("/")[0] == task)
    return tuple(
        _figure(name, [(place, e.val[name]) for place, e in enumerate(epochs, start=1) if name in e.val])
        for name in names
    )


def _figure(name: str, values: Iterable[tuple[int, float]]) -> ValidationCourse:
    values = [*values]
    metric, last = name.rpartition("/")[2], values[-1][1]
    finite = [(place, value) for place, value in values if math.isfinite(value)]
    try:
        upward = rises(f"val/{name}")
    except LearnerError:
        return ValidationCourse(metric=metric, last=last)
    if not finite:
        return ValidationCourse(metric=metric, last=last)
    place, best = max(finite, key=lambda one: one[1] if upward else -one[1])
    return ValidationCourse(metric=metric, last=last, best=best, epoch=place)
