"""What a learner remembers, to be read and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jumpml.core import History, TaskTable
from jumpml.drawing import draw_history
from jumpml.learn._by_task import by_task


@final
@dataclass(frozen=True, kw_only=True)
class RunHistory(History):
    """The history of a learner: ``print`` shows it as a table, a notebook as a picture.

    Attributes:
        tasks: The model's tasks.

    Example:
        >>> print(RunHistory())
        no epoch yet
    """

    tasks: tuple[str, ...] = ()

    def by_task(self) -> TaskTable:
        """How each task fared: its train loss, its validation figures, and the rows that counted for it.

        Returns:
            A row a task; ``print`` shows it, ``table()`` is fit for a data frame.

        Example:
            >>> print(RunHistory(tasks=("digit",)).by_task())
            task   epochs  rows  loss: first  last  best  epoch
            digit       0     0
        """
        return by_task(self.epochs, self.tasks)

    def draw(self) -> str:
        """The curves by epoch: every loss, every validation figure and the learning rate, a line a phase.

        Below stands what hooks told over the updates: a teacher's shares and rewards, a balancer's multipliers, and the
        cosines of gradients.

        Returns:
            An ``svg`` element that refers to nothing outside itself.
        """
        return draw_history(self.epochs, course=self.course)

    def _repr_svg_(self) -> str:
        return self.draw()
