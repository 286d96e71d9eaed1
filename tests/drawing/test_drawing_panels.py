"""Pictures of lines and bars, for whatever numbers and names come."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import EpochRecord, History
from jumpml.drawing import Line, bar_panel, draw_history, draw_panels, line_panel

SVG = "{http://www.w3.org/2000/svg}"
floats = st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(max_size=60)


def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def epoch(number: int, phase: str = "supervised", **changes: object) -> EpochRecord:
    return EpochRecord.model_validate(
        {
            "phase": phase,
            "epoch": number,
            "step": number,
            "losses": {"total": 1.0},
            "lr": 0.1,
            "seconds": 1.0,
            **changes,
        }
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.tuples(floats, floats), max_size=5), max_size=3), texts, st.booleans())
def test_any_numbers_and_names_can_be_drawn(lines: list[list[tuple[float, float]]], text: str, log: bool) -> None:
    drawn = [Line([x for x, _ in line], [y for _, y in line], place, text) for place, line in enumerate(lines)]
    frame = line_panel(text, drawn, alt=text, x_label="x", log_x=log, falls=True, marks={"here": 0.5})
    bars = bar_panel(text, [text] * len(lines), {"first": [len(line) for line in lines]}, alt="bars", x_label="x")
    root = ElementTree.fromstring(draw_panels(text, [frame, bars]))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f"{SVG}svg")) == 2


def test_a_picture_refers_to_nothing_outside_and_escapes_what_it_says() -> None:
    hostile = '<script>alert("x")</script>'
    frame = line_panel(hostile, [Line([1, 2], [3, 4], label=hostile)], alt=hostile, x_label=hostile)
    svg = draw_panels(hostile, [frame])
    assert "<script" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert hostile in texts_of(svg)


def test_the_frames_of_a_picture_do_not_overlap() -> None:
    frames = [line_panel(str(i), [Line([1, 2], [3, 4], i, "a" * 30)], alt="a", x_label="x") for i in range(5)]
    root = ElementTree.fromstring(draw_panels("t", frames, columns=2))
    boxes = [tuple(float(e.get(k, "0")) for k in ("x", "y", "width", "height")) for e in root.findall(f"{SVG}svg")]
    width, height = (float(root.get(key, "0")) for key in ("width", "height"))
    for place, (x, y, w, h) in enumerate(boxes):
        assert x + w <= width
        assert y + h <= height
        for left, top, wide, high in boxes[place + 1 :]:
            assert x + w <= left or left + wide <= x or y + h <= top or top + high <= y


def test_a_bar_ends_where_its_parts_sum_to() -> None:
    frame = bar_panel("t", ["a", "b"], {"forward": [1.0, 2.0], "backward": [0.5, 1.25]}, alt="t", x_label="ms")
    assert {"1.5", "3.25"} <= set(texts_of(frame.svg))
    assert frame.legend == (("forward", 0), ("backward", 1))


def test_a_history_draws_a_frame_a_figure_and_tells_the_phases_apart() -> None:
    epochs = [epoch(1, "first"), epoch(1, losses={"total": 2.0, "digit": 2.0}, val={"digit/accuracy": 0.5})]
    svg = draw_history(epochs)
    shown = texts_of(svg)
    for title in ("loss", "loss/digit", "val/digit/accuracy", "learning rate", "first", "supervised"):
        assert title in shown
    assert 'aria-label="val/digit/accuracy: supervised from 0.5 to 0.5 over 1 epochs."' in svg
    assert "There is no epoch yet." in texts_of(draw_history([]))


def test_learning_rates_by_group_have_a_frame_and_a_column_each() -> None:
    epochs = [epoch(1), epoch(2, rates={"rest": 0.1, "head": 0.25})]
    svg = draw_history(epochs)
    assert {"learning rate", "learning rate/rest", "learning rate/head"} <= {*texts_of(svg)}
    assert 'aria-label="learning rate/head: from 0.25 to 0.25 over 1 epochs."' in svg
    first, second = History(epochs=epochs).table()
    assert [*first] == [*second]
    assert first["lr/head"] != first["lr/head"] and second["lr/head"] == 0.25  # NaN: the first epoch has no such group


def test_a_history_is_a_table_with_every_column_in_every_row() -> None:
    history = History(epochs=[epoch(1, "first"), epoch(2, val={"loss": 0.25}, losses={"a": 0.5, "total": 1.5})])
    first, second = history.table()
    assert list(first) == ["phase", "epoch", "step", "lr", "seconds", "loss", "loss/a", "val/loss"]
    assert first["val/loss"] != first["val/loss"]  # NaN: the first epoch has no such figure
    assert (second["loss"], second["loss/a"], second["val/loss"]) == (1.5, 0.5, 0.25)
    assert str(history).splitlines() == [
        "phase       epoch  step   lr  seconds  loss  loss/a  val/loss",
        "first           1     1  0.1        1     1",
        "supervised      2     2  0.1        1   1.5     0.5      0.25",
    ]
    assert str(History()) == "no epoch yet"


@pytest.mark.parametrize("align", ["l", "lrr"])
def test_a_table_whose_columns_do_not_fit_is_refused(align: str) -> None:
    from jumpml.core import text_table

    with pytest.raises(ValueError, match="zip"):
        text_table(["a", "b"], [["1", "2"]], align)
