"""What was told of the updates while learning, thinned to as many points as a drawing can show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

from jumpml.core._record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PACING = "pacing"  # the share of the rows that may come
DRAWN = (PACING, "share/", "reward/", "balance/", "cosine/")  # what figures begin with of which the course is kept
_MOST = 200  # points that are kept; more cannot be told apart in a drawing


class CoursePoint(Record):
    """What hooks told of some updates of one phase: the means of what was read in them."""

    phase: str
    """The phase."""
    step: int
    """The last of the updates, counted since the start of the run."""
    updates: int
    """How many they are."""
    readings: int = 1
    """How often the figures were read in them."""
    figures: dict[str, float]
    """By name: `pacing`, `share/<arm>`, `reward/<arm>`, `balance/<objective>`, `cosine/<objective>/<objective>`."""


@final
class Course:
    """The course that figures take over the updates of a run, however many there are.

    Where there are more points than that, neighbours of one phase become one: its figures are their means, weighted by
    updates, and those of rewards by the updates that had them.

    Args:
        most: How many points are kept.

    Example:
        >>> course = Course()
        >>> course.add("supervised", 50, 50, {"share/digit": 1.0})
        >>> course.add("supervised", 100, 50, {"share/digit": 0.5, "share/size": 0.5})
        >>> [point.figures["share/digit"] for point in course.points]
        [1.0, 0.5]
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._points: list[CoursePoint] = []
        self._stride = 1  # readings that a point holds when it is full
        self._waiting = ("", 0)  # the phase, and its updates of which nothing was told yet

    @property
    def points(self) -> tuple[CoursePoint, ...]:
        """The points, in their order."""
        return tuple(self._points)

    def add(self, phase: str, step: int, updates: int, figures: Mapping[str, float]) -> None:
        """Take in a reading; one without a figure of the kinds that are drawn waits for the next one of its phase.

        Args:
            phase: The phase.
            step: The last update that it is of.
            updates: How many updates there were since the reading before.
            figures: What was told, by name.
        """
        before, waiting = self._waiting
        updates += waiting if phase == before else 0
        drawn = {name: value for name, value in figures.items() if name.startswith(DRAWN) and math.isfinite(value)}
        if not drawn:
            self._waiting = (phase, updates)
            return
        self._waiting = ("", 0)
        self.append(CoursePoint(phase=phase, step=step, updates=updates, figures=drawn))

    def append(self, point: CoursePoint) -> None:
        """Take in a point of another course."""
        self._take(point)
        while len(self._points) > self._most and self._stride < sum(point.readings for point in self._points):
            self._stride *= 2
            points, self._points = self._points, []
            for kept in points:
                self._take(kept)

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        points = [point.model_dump() for point in self._points]
        return {"points": points, "stride": self._stride, "waiting": [*self._waiting]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._points = [CoursePoint.model_validate(point) for point in state["points"]]
        self._stride, self._waiting = state["stride"], (state["waiting"][0], state["waiting"][1])

    def _take(self, point: CoursePoint) -> None:
        last = self._points[-1] if self._points else None
        if last and last.phase == point.phase and last.readings + point.readings <= self._stride:
            self._points[-1] = _joined(last, point)
        else:
            self._points.append(point)


def _joined(one: CoursePoint, other: CoursePoint) -> CoursePoint:
    names = dict.fromkeys([*one.figures, *other.figures])
    return CoursePoint(
        phase=other.phase,
        step=other.step,
        updates=one.updates + other.updates,
        readings=one.readings + other.readings,
        figures={name: _mean(name, one, other) for name in names},
    )


def _mean(name: str, *points: CoursePoint) -> float:
    """A figure's mean over points, weighted; an arm that a point does not tell had no share in it."""
    kind, _, arm = name.partition("/")
    if kind == "share" and (total := sum(point.updates for point in points)):
        return sum(point.figures.get(name, 0.0) * point.updates for point in points) / total
    having = [point for point in points if name in point.figures]
    weights = [
        point.updates * (point.figures.get(f"share/{arm}", 1.0) if kind == "reward" else 1.0) for point in having
    ]
    total = sum(weights)
    if not total:
        return having[-1].figures[name]
    return sum(point.figures[name] * weight for point, weight in zip(having, weights, strict=True)) / total


def thinned(points: Iterable[CoursePoint], most: int) -> tuple[CoursePoint, ...]:
    """Points of a course, joined to fewer ones.

    Args:
        points: In their order.
        most: How many there are then, where no more phases follow each other.
    """
    course = Course(most)
    for point in points:
        course.append(point)
    return course.points
