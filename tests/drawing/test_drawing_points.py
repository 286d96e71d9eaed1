"""Points by class: each stands there in its own style with its name, whatever the names are."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.drawing import draw_points
from jumpml.drawing._points import MOST_CLASSES, OTHERS, UNKNOWN

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()).strip() for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def points(svg: str) -> int:
    return len(list(ElementTree.fromstring(svg).iter(f"{SVG}use")))


def test_every_class_is_named_beside_the_frame_and_at_its_middle() -> None:
    svg, width = draw_points([0, 1, 2, 3], [0, 1, 2, 3], [0, 0, 1, -1], ["cat", "_dog"], alt="Pets.")
    assert sorted(texts(svg)) == sorted(["cat", "cat", "_dog", "_dog", UNKNOWN])
    assert points(svg) == 4 + 3  # and a line of the legend each
    assert 460 < width < 700
    assert ElementTree.fromstring(svg).get("aria-label") == "Pets."


def test_points_of_no_class_need_no_legend() -> None:
    svg, _ = draw_points([0, 1], [0, 1], [-1, -1], [], alt="Rows.")
    assert texts(svg) == []
    assert points(svg) == 2


def test_classes_beyond_what_can_be_told_apart_share_a_colour() -> None:
    count = MOST_CLASSES + 3
    codes = [code for code in range(count) for _ in range(2 if code >= 3 else 1)]
    names = [f"class {code}" for code in range(count)]
    told = texts(draw_points(range(len(codes)), range(len(codes)), codes, names, alt="Many.")[0])
    assert OTHERS in told
    assert not {"class 0", "class 1", "class 2"} & {*told}
    assert told.count("class 3") == 2


def test_what_is_not_finite_is_left_out() -> None:
    svg, _ = draw_points([0, math.nan, math.inf, 1e200], [0, 1, 2, 3], [0, 0, 0, 0], ["a"], alt="One.")
    assert points(svg) == 1 + 1
    assert points(draw_points([], [], [], [], alt="None.")[0]) == 0


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$x$", "a & b", "\u202eabc", "", "x" * 500])
def test_a_name_is_a_text_and_nothing_else(name: str) -> None:
    svg, _ = draw_points([0, 1], [0, 1], [0, 1], [name, "b"], alt=name)
    assert "<script" not in svg
    assert not re.search("[\u202a-\u202e]", svg)
    assert all(len(text) < 60 for text in texts(svg))


@settings(deadline=None, max_examples=20)
@given(
    x=st.lists(st.floats(), max_size=20),
    names=st.lists(st.text(max_size=8), max_size=4),
    code=st.integers(-3, 9),
)
def test_whatever_comes_is_drawn(x: list[float], names: list[str], code: int) -> None:
    svg, _ = draw_points(x, x[::-1], [code + place % 3 for place in range(len(x))], names, alt="Any.")
    ElementTree.fromstring(svg)
