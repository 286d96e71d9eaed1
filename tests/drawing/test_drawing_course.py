"""The course of a run as pictures: shares that lie on each other, lines, and a square of cosines."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import CoursePoint, EpochRecord
from jumpml.drawing import area_panel, course_panels, draw_history, draw_panels, figures_of, matrix_panel, mean_cosines

SVG = "{http://www.w3.org/2000/svg}"
floats = st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(max_size=60)


def point(step: int, phase: str = "supervised", **figures: float) -> CoursePoint:
    """A point of ten updates; `share_a` stands for `share/a`."""
    named = {name.replace("_", "/"): value for name, value in figures.items()}
    return CoursePoint(phase=phase, step=step, updates=10, figures=named)


def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(texts, texts, floats, floats), min_size=1, max_size=6))
def test_any_course_can_be_drawn(told: list[tuple[str, str, float, float]]) -> None:
    kinds = ("share", "reward", "balance", "cosine")
    points = [
        CoursePoint(
            phase=one,
            step=place,
            updates=place,
            figures={f"{kind}/{one}/{other}": value for kind in kinds} | {f"share/{other}": second, "pacing": value},
        )
        for place, (one, other, value, second) in enumerate(told)
    ]
    panels = course_panels(points)
    assert [panel.title for panel in panels] == [
        "Rows that might come",
        "Share of updates",
        "Mean reward",
        "What objectives count",
        "Cosine of gradients",
        "Mean cosine of gradients",
    ]
    root = ElementTree.fromstring(draw_panels("t", panels))
    assert len(root.findall(f"{SVG}svg")) == len(panels)


def test_only_what_was_told_is_drawn() -> None:
    assert course_panels([]) == []
    assert [panel.title for panel in course_panels([point(10, balance_a=1.0)])] == ["What objectives count"]


def test_areas_lie_on_each_other_up_to_the_whole() -> None:
    panel = area_panel("t", [0, 1], {"a": [0.25, 0.5], "b": [0.75, math.nan]}, alt="t", x_label="update")
    tops = [re.findall(r"[\d.]+ ([\d.]+)", line) for line in re.findall(r'd="(M [^"z]*)" clip-path', panel.svg)]
    heights = [[float(y) for y in top] for top in tops if len(top) == 2]
    a, b = heights[-2:]
    whole = min(b)  # of an SVG the top is 0
    ground = a[0] + (a[0] - whole) / 3  # a quarter is as high as a third of the rest
    assert a[1] == pytest.approx((ground + whole) / 2, abs=0.1)
    assert b[1] == pytest.approx(a[1], abs=0.01), "a share that is not known is none"
    assert panel.legend == (("a", 0), ("b", 1))


def test_of_many_arms_the_largest_are_drawn_and_the_rest_is_one() -> None:
    points = [CoursePoint(phase="p", step=1, updates=1, figures={f"share/{arm}": (arm + 1) / 120 for arm in range(15)})]
    (panel,) = course_panels(points)
    assert [name for name, _ in panel.legend] == [*map(str, range(4, 15)), "4 others"]
    assert "4 others from 8% to 8%" in panel.alt


def test_arms_that_are_shown_alike_are_told_apart() -> None:
    (panel,) = course_panels([point(10, share_one=0.25, share_two=0.75)], lambda _: "arm")
    assert [name for name, _ in panel.legend] == ["arm", "arm (2)"]


def test_phases_are_marked_where_there_are_several() -> None:
    points = [point(10, "warm up", share_a=1.0), point(20, "supervised", share_a=1.0)]
    (panel,) = course_panels(points)
    assert {"warm up", "supervised"} <= {*texts_of(panel.svg)}
    (alone,) = course_panels(points[:1])
    assert "warm up" not in texts_of(alone.svg)


def test_mean_cosines_are_by_pair_and_by_updates() -> None:
    short = CoursePoint(phase="p", step=30, updates=30, figures={"cosine/a/b": -0.5})
    cosines = mean_cosines([point(10, cosine_a_b=0.5, cosine_a_c=0.1), short])
    assert cosines.names == ("a", "b", "c")
    assert cosines.means == {("a", "b"): pytest.approx(-0.25), ("a", "c"): pytest.approx(0.1)}


def test_a_matrix_has_both_halves_and_no_diagonal() -> None:
    panel = matrix_panel("t", ["a", "b"], {("a", "b"): -0.25}, alt="t")
    assert texts_of(panel.svg).count("\N{MINUS SIGN}0.25") == 2
    assert sorted(text.strip() for text in texts_of(panel.svg)) == ["a", "a", "b", "b", *["\N{MINUS SIGN}0.25"] * 2]


def test_of_many_pairs_the_lowest_are_lines_and_the_title_says_so() -> None:
    pairs = {f"cosine/a/{name}": place / 10 for place, name in enumerate("bcdefghi")}
    lines, matrix = course_panels([CoursePoint(phase="p", step=1, updates=1, figures=pairs)])
    assert lines.title == "Cosine of gradients, the 6 lowest of 8 pairs"
    assert [name for name, _ in lines.legend] == [f"a and {name}" for name in "bcdefg"]
    assert "a and i 0.70" in matrix.alt


def test_figures_are_named_in_the_order_in_which_they_come() -> None:
    points = [point(1, share_b=1.0), point(2, share_a=1.0, reward_a=0.0)]
    assert figures_of(points, "share") == ["b", "a"]
    assert figures_of(points, "reward") == ["a"]


def test_a_history_draws_the_course_below_the_epochs() -> None:
    epoch = EpochRecord(phase="p", epoch=1, step=10, losses={"total": 1.0}, lr=0.1, seconds=1.0)
    drawn = draw_history([epoch], course=[point(10, share_a=1.0)])
    titles = [text for text in texts_of(drawn) if text in {"loss", "learning rate", "Share of updates"}]
    assert titles == ["loss", "learning rate", "Share of updates"]
    heights = [float(element.get("y", "0")) for element in ElementTree.fromstring(drawn).findall(f"{SVG}svg")]
    assert all(above <= below for above, below in pairwise(heights))
