"""How each task fared over a run: a row a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.core._record import Record
from jumpml.core._text_table import text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class ValidationCourse(Record):
    """A task's figure on the validation rows, over a run."""

    metric: str
    """Its name."""
    last: float
    """After the last epoch that measured it."""
    best: float | None = None
    """None where nobody knows which way is better."""
    epoch: int | None = None
    """The epoch of the best, counted over all phases."""


class TaskCourse(Record):
    """How one task fared over a run."""

    task: str
    epochs: int
    """In how many its own objective ran."""
    rows: int
    """Rows that counted for it, over all of these epochs: those that have its target."""
    first: float | None = None
    """Its train loss, the mean over the first of these epochs; None where it has no loss of its own."""
    last: float | None = None
    """Over the last."""
    best: float | None = None
    """The lowest."""
    epoch: int | None = None
    """The epoch of the lowest, counted over all phases."""
    val: tuple[ValidationCourse, ...] = ()
    """Its figures on the validation rows, of those that something reads while learning."""


@final
class TaskTable(tuple[TaskCourse, ...]):
    """The tasks of a run; ``print`` shows a row a task, and one more for each further validation figure.

    Example:
        >>> course = TaskCourse(task="digit", epochs=2, rows=80, first=2.0, last=0.5, best=0.5, epoch=2)
        >>> print(TaskTable([course]))
        task   epochs  rows  loss: first  last  best  epoch
        digit       2    80            2   0.5   0.5      2
    """

    def __str__(self) -> str:
        """A row a task, for people."""
        if not self:
            return "no task"
        head = ["task", "epochs", "rows", "loss: first", "last", "best", "epoch"]
        if any(task.val for task in self):
            head += ["val", "last", "best", "epoch"]
        rows = [row for task in self for row in _rows(task, len(head))]
        align = "lrrrrrr" + "lrrr"
        return text_table(head, rows, align[: len(head)])

    def table(self) -> list[dict[str, str | int | float | None]]:
        """The same as rows, fit for a data frame; figures of validation as ``val/<metric>``, ``best/<metric>``.

        Example:
            >>> course = TaskCourse(task="digit", epochs=2, rows=80, first=2.0, last=0.5, best=0.5, epoch=2)
            >>> TaskTable([course]).table()[0]["rows"]
            80
        """
        return [
            {
                **task.model_dump(exclude={"val"}),
                **{f"val/{one.metric}": one.last for one in task.val},
                **{f"best/{one.metric}": one.best for one in task.val},
                **{f"epoch/{one.metric}": one.epoch for one in task.val},
            }
            for task in self
        ]


def _rows(task: TaskCourse, width: int) -> Iterator[Sequence[str]]:
    """A task's line, and one for each of its further figures."""
    cells = [task.task, *map(_told, (task.epochs, task.rows, task.first, task.last, task.best, task.epoch))]
    figures = [[one.metric, *map(_told, (one.last, one.best, one.epoch))] for one in task.val] or [[""] * 4]
    for place, figure in enumerate(figures):
        line = [*(cells if place == 0 else [""] * len(cells)), *figure]
        yield line[:width]


def _told(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.4g}"
