"""Words, drawings and small pictures, for whatever numbers and names come."""

from __future__ import annotations

import base64
import io
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import Figure
from jumpml.drawing import Line, tick
from jumpml.report import _charts as charts
from jumpml.report import _pixels as pixels
from jumpml.report import _words as words

floats = st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(max_size=80)


@given(texts)
def test_names_are_fit_for_every_page(text: str) -> None:
    shown = words.name(text, 30)
    assert 0 < len(shown) <= 32  # with the two marks of isolation
    assert words.prose(shown.strip("\u2068\u2069")) == shown.strip("\u2068\u2069")
    ElementTree.fromstring(f"<a>{shown.replace('&', '&amp;').replace('<', '&lt;')}</a>")  # valid in XML
    shown.encode()


def test_long_names_are_cut_in_the_middle() -> None:
    assert words.name("abcdefghijklmnopqrstuvwxyz", 10) == "abcdef\u2026xyz"
    assert words.name("abcdefghij", 10) == "abcdefghij"


@pytest.mark.parametrize(
    ("value", "low", "high", "told"),
    [
        (0.98333, 0.962, 0.9933, "0.983, 0.962 to 0.993"),
        (54.23, 48.21, 60.94, "54, 48 to 61"),
        (0.98, 0.98, 0.98, "0.98, 0.98 to 0.98"),
        (-0.0312, -0.05, 0.01, "\u22120.031, \u22120.050 to 0.010"),
        (12345.6, 10000.0, 15000.0, "12,346, 10,000 to 15,000"),
        (math.nan, math.nan, math.nan, "not defined, not defined to not defined"),
        (math.inf, 1.0, math.inf, "\u221e, 1 to \u221e"),
    ],
)
def test_figures_have_the_digits_that_their_interval_supports(value: float, low: float, high: float, told: str) -> None:
    figure = Figure(value=value, low=low, high=high, n=270)
    assert f"{words.figure(figure)}, {words.interval(figure)}" == told


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0, "0"), (1e-5, "1.000e\u221205"), (0.00012345, "0.0001234"), (12345.6, "12,346"), (-math.inf, "\u2212\u221e")],
)
def test_number(value: float, told: str) -> None:
    assert words.number(value) == told


@given(floats)
def test_every_number_has_words(value: float) -> None:
    figure = Figure(value=value, low=value, high=value, n=1)
    for told in (words.number(value), words.figure(figure), words.signed(value), words.seconds(abs(value))):
        assert told.strip()
        assert "-" not in told  # a true minus sign
    assert tick(value)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.tuples(floats, floats), max_size=5), max_size=3), texts)
def test_lines_of_any_numbers_can_be_drawn(lines: list[list[tuple[float, float]]], text: str) -> None:
    drawn = [Line([x for x, _ in line], [y for _, y in line], style) for style, line in enumerate(lines)]
    label = words.name(text)
    for chart in (
        charts.curve_chart("t", drawn, alt=label, x_label=label, y_label=label),
        charts.progress_chart("t", drawn, alt=label, epochs=5, log=True, note=""),
    ):
        root = ElementTree.fromstring(chart.svg)
        assert root.get("aria-label") == label


@pytest.mark.parametrize(("top", "first_tick"), [(1.0, "0"), (2.0, "0.5")])
def test_shares_have_whole_axes(top: float, first_tick: str) -> None:
    """A curve from 0.99 to 1 must not fill the frame; one that leaves [0, 1] has an axis of its own."""
    line = Line((0.0, 1.0), (0.5, top), 0)
    root = ElementTree.fromstring(charts.curve_chart("t", [line], alt="t", x_label="x", y_label="y").svg)
    drawn = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert drawn[drawn.index("x") + 1] == first_tick  # the vertical axis follows the horizontal one's label


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(texts, floats), min_size=1, max_size=5))
def test_bars_of_any_numbers_can_be_drawn(bars: list[tuple[str, float]]) -> None:
    labels = [words.name(label, 28) for label, _ in bars]
    values = [value for _, value in bars]
    ElementTree.fromstring(charts.bar_chart("t", labels, values, alt="t", x_label="x", signed=True).svg)


def rgb(uri: str) -> np.ndarray:
    """The picture's pixels, ``[height, width, 3]`` from 0 to 255."""
    from matplotlib.image import imread

    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.round(imread(io.BytesIO(content), format="png")[..., :3] * 255).astype(int)


def test_zero_is_black_and_one_is_white() -> None:
    assert rgb(pixels.gray(((0.0, 0.5, 1.0),)))[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]


def test_values_beyond_zero_and_one_are_squeezed() -> None:
    assert rgb(pixels.gray(((-1.0, 1.0, 3.0),)))[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]
    assert rgb(pixels.gray(((math.nan, math.inf),)))[0].tolist() == [[0] * 3, [255] * 3]


def test_heat_is_orange_for_and_blue_against() -> None:
    picture = rgb(pixels.heat(((0.0, 0.0, 0.0),), ((1.0, -1.0, 0.0),), scale=1.0))[0]
    (red, _, blue), (other_red, _, other_blue), nothing = picture.tolist()
    assert red > 200
    assert blue < 50
    assert other_blue > 200 > other_red
    assert nothing == [20] * 3  # 0.08 of white


def test_no_attribution_at_all_is_a_picture_too() -> None:
    assert rgb(pixels.heat(((0.0,),), ((0.0,),), scale=0.0)).shape == (1, 1, 3)
    assert rgb(pixels.intensity(((0.0, math.nan),))).shape == (1, 2, 3)
