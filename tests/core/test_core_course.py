"""The course of figures over updates: a bounded number of points, whose means are those of what was told."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import Course, CoursePoint

if TYPE_CHECKING:
    from collections.abc import Sequence

READINGS = st.lists(
    st.tuples(st.integers(1, 60), st.lists(st.floats(0, 1), min_size=3, max_size=3)), min_size=1, max_size=900
)


def course_of(readings: Sequence[tuple[int, Sequence[float]]], phase: str = "supervised") -> Course:
    """Three arms, whose shares are counts over the updates of a reading."""
    course, step = Course(), 0
    for updates, values in readings:
        step += updates
        course.add(phase, step, updates, {f"share/{arm}": value for arm, value in zip("abc", values, strict=True)})
    return course


def mean(points: Sequence[CoursePoint], name: str) -> float:
    return sum(point.figures[name] * point.updates for point in points) / sum(point.updates for point in points)


@given(READINGS)
def test_however_many_readings_there_are_a_few_points_hold_their_means(
    readings: list[tuple[int, list[float]]],
) -> None:
    points = course_of(readings).points
    total = sum(updates for updates, _ in readings)
    assert len(points) == min(len(points), 200)
    assert len(points) > 100 or len(points) == len(readings)
    assert sum(point.updates for point in points) == total == points[-1].step
    assert sum(point.readings for point in points) == len(readings)
    for place, arm in enumerate("abc"):
        told = sum(updates * values[place] for updates, values in readings) / total
        assert mean(points, f"share/{arm}") == pytest.approx(told, abs=1e-9)


@given(READINGS, st.integers(0, 899))
def test_a_course_that_goes_on_from_its_state_is_the_same(readings: list[tuple[int, list[float]]], stop: int) -> None:
    stop = min(stop, len(readings))
    half, step = course_of(readings[:stop]), sum(updates for updates, _ in readings[:stop])
    again = Course()
    again.load_state_dict(json.loads(json.dumps(half.state_dict())))
    for updates, values in readings[stop:]:
        step += updates
        again.add("supervised", step, updates, {f"share/{a}": v for a, v in zip("abc", values, strict=True)})
    whole = course_of(readings)
    assert again.points == whole.points
    if 0 < stop < len(readings):  # without its state it is another
        assert course_of(readings[stop:]).points != whole.points


def test_points_are_evenly_wide_however_late_they_come() -> None:
    points = course_of([(50, [1.0, 0.0, 0.0])] * 1_000).points
    assert {point.updates for point in points[:-1]} == {400}
    assert len(points) == 125


def test_phases_are_not_joined_with_each_other() -> None:
    course = Course()
    for step in range(1, 301):
        course.add("first" if step <= 150 else "second", step, 1, {"balance/digit": float(step)})
    assert [point.phase for point in course.points] == ["first"] * 75 + ["second"] * 75
    assert course.points[74].figures["balance/digit"] == 149.5


def test_a_reward_counts_by_the_updates_that_had_it() -> None:
    course = Course()
    for step in range(1, 202):  # one more than is kept
        rare = step % 2 == 0
        figures = {"share/a": 0.1 if rare else 0.9, "reward/a": 1.0 if rare else 0.0}
        course.add("supervised", 10 * step, 10, figures)
    assert course.points[0].figures == {"share/a": pytest.approx(0.5), "reward/a": pytest.approx(0.1)}


def test_an_arm_that_a_reading_does_not_tell_had_no_share_and_no_reward() -> None:
    course = Course()
    for step in range(1, 202):
        course.add("supervised", step, 1, {"share/a": 1.0, "reward/a": 0.4} if step % 2 else {"share/b": 1.0})
    assert course.points[0].figures == {"share/a": 0.5, "reward/a": 0.4, "share/b": 0.5}


def test_updates_without_a_figure_belong_to_the_next_reading_of_their_phase() -> None:
    course = Course()
    course.add("first", 50, 50, {})
    course.add("second", 60, 10, {"gradient/encoder": 1.0})  # not of a kind that is drawn
    course.add("second", 70, 10, {"balance/digit": math.nan})
    course.add("second", 80, 10, {"balance/digit": 2.0, "cosine/digit/size": math.inf})
    expected = CoursePoint(phase="second", step=80, updates=30, figures={"balance/digit": 2.0})
    assert course.points == (expected,)
