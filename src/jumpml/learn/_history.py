"""What a learner remembers, to be read and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jumpml.core import History
from jumpml.drawing import draw_history


@final
@dataclass(frozen=True, kw_only=True)
class RunHistory(History):
    """The history of a learner: ``print`` shows it as a table, a notebook as a picture.

    Example:
        >>> print(RunHistory())
        no epoch yet
    """

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
