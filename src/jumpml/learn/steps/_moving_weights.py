"""What each objective's mean is multiplied by, as a phase goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from jumpml.core import Objective


class MovingWeights:
    """The weights of objectives; those that move are a function of how far their phase is, and so of no state.

    Args:
        objectives: By name.

    Attributes:
        now: By objective, what its mean is multiplied by in the step that is under way, or was last.
        moving: The names of those that move.
    """

    def __init__(self, objectives: Mapping[str, Objective]) -> None:
        self.now = {name: objective.weight for name, objective in objectives.items()}
        schedules = {name: objective.schedule for name, objective in objectives.items()}
        self._schedules = {name: schedule for name, schedule in schedules.items() if schedule is not None}
        self.moving = frozenset(self._schedules)

    def take_in(self, objectives: Mapping[str, Objective]) -> dict[str, float]:
        """Know of objectives that have come; their weights."""
        came = {name: objective.weight for name, objective in objectives.items() if name not in self.now}
        self.now.update(came)
        return came

    def move(self, epoch: float, epochs: int, active: Container[str]) -> dict[str, float]:
        """Those of the coming step.

        Args:
            epoch: How many of the phase are behind it; the open one is a fraction.
            epochs: How many it has.
            active: The objectives that it has.

        Returns:
            Of those that move.
        """
        moved = {name: way.at(epoch, epochs) for name, way in self._schedules.items()}
        self.now.update(moved)
        return {name: weight for name, weight in moved.items() if name in active}
