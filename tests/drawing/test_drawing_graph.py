"""A graph as an SVG: what stands in it, that it is sound XML whatever it is told, and that it refers to nothing."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import GraphRecord, ObjectiveNote, TaskNote
from jumpml.drawing import count, draw_graph
from jumpml.drawing._text import shortened, width_of

SVG = "{http://www.w3.org/2000/svg}"


def row(name: str, *inputs: str, **rest: Any) -> dict[str, Any]:
    usual = {"module": "torch.nn.Linear", "shape": "[batch, 8] float32", "parameters": 18_816, "flops": 1_204_224}
    return {"node": name, "inputs": list(inputs), **usual, **rest}


DIGITS = GraphRecord(
    inputs={"image": "[batch, 1, 8, 8] float32"},
    nodes=(
        row("encoder", "image", module="jumpml.blocks.ConvEncoder"),
        row("lstm", "image", shape="0: [batch, 5, 8] float32; 1: [batch, 8] float32"),
        row("digit", "encoder", "lstm.0", parameters=0, flops=None, shares="encoder"),
    ),
    tasks={"digit": TaskNote(kind="multiclass", output="digit", target="label")},
    objectives={
        "digit": ObjectiveNote(kind="CrossEntropy", inputs=("digit", "label"), when=("supervised",)),
        "agree": ObjectiveNote(kind="VICReg", inputs=("encoder",), views=("strong",), when=("self_supervised",)),
        "alike": ObjectiveNote(kind="CKA", inputs=("encoder", "lstm.0"), weight="0.5", when=("supervised", "warm")),
        "keep": ObjectiveNote(kind="EWC", parameters=("all",), weight="100", when=("supervised",)),
    },
    sources={"lstm.0": "lstm"},
)


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in read(svg).iter(f"{SVG}text")]


def classes(svg: str, name: str) -> int:
    return sum(element.get("class") == name for element in read(svg).iter())


def test_fields_nodes_tasks_and_objectives_are_drawn():
    svg = draw_graph(DIGITS)
    assert {name: classes(svg, name) for name in ("field", "node", "task", "objective", "arrow")} == {
        "field": 1,
        "node": 3,
        "task": 1,
        "objective": 3,  # `alike` on both nodes that it reads
        "arrow": 4,
    }
    said = texts(svg)
    for text in (
        "image", "[batch, 1, 8, 8]", "encoder", "ConvEncoder", "18.8k parameters, 1.2M FLOPs", "0: [batch, 5, 8]",
        "multiclass → label", "CrossEntropy", "when: supervised", "VICReg", "views: strong", "when: self_supervised",
        "CKA, weight 0.5", "with lstm.0", "with encoder", "on lstm.0", "when: supervised, warm",
        "Linear, shared with encoder", "0",
        "keep: EWC, weight 100, on the parameters of all, when: supervised",
    ):  # fmt: skip
        assert text in said, text


def test_what_a_node_can_do_without_comes_by_a_dashed_arrow():
    nodes = (row("body", "image", "depth", optional=["depth"]), row("out", "body", optional="of an old record"))
    svg = draw_graph(GraphRecord(inputs={"image": "", "depth": ""}, nodes=nodes))
    assert (classes(svg, "arrow"), classes(svg, "arrow optional")) == (2, 1)
    assert ".optional { stroke-dasharray" in svg


def test_it_is_one_picture_with_a_name_that_refers_to_nothing():
    svg = draw_graph(DIGITS)
    root = read(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "The graph of a model: encoder, lstm, digit"
    assert svg.count("http") == 1  # the namespace
    assert not {"href", "src", "onload"} & {key for element in root.iter() for key in element.attrib}
    assert "url(" not in svg


def test_nothing_reaches_beyond_the_drawing():
    root = read(draw_graph(DIGITS))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for box in root.iter(f"{SVG}rect"):
        if box.get("class") != "paper":
            assert float(box.get("x", -1)) + float(box.get("width", 0)) + 16 <= width
            assert float(box.get("y", -1)) + float(box.get("height", 0)) + 16 <= height


@given(st.lists(st.text(max_size=20), min_size=5, max_size=5))
def test_any_text_is_escaped(words):
    a, b, c, d, e = words
    graph = GraphRecord(
        inputs={a: b},
        nodes=(row(c, a, d, module=e, shape=b), row(d, c, e)),
        tasks={e: TaskNote(kind=a, output=c, target=d)},
        objectives={b: ObjectiveNote(kind=c, inputs=(d, a), views=(e,), when=(b,), parameters=(a,))},
    )
    root = read(draw_graph(graph))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "style", "rect", "g", "path", "title", "text", "line"
    }  # fmt: skip


def test_markup_in_a_name_stays_text():
    evil = "</text><script>alert(1)</script>"
    svg = draw_graph(GraphRecord(inputs={evil: evil}, nodes=(row(evil + "2", evil),)))
    assert "<script" not in svg
    assert evil in texts(svg)


def test_long_names_are_cut_and_whole_where_one_points():
    name = "a_very_long_name_" * 6
    svg = draw_graph(GraphRecord(inputs={"x": "[batch, 4]"}, nodes=(row(name, "x"),)))
    assert max(map(len, texts(svg))) <= 48
    assert any(name in (title.text or "") for title in read(svg).iter(f"{SVG}title"))


def test_it_follows_light_and_dark():
    svg = draw_graph(DIGITS)
    assert "@media screen and (prefers-color-scheme: dark)" in svg
    # no colour stands outside the style
    assert not any({"fill", "stroke", "style"} & element.attrib.keys() for element in read(svg).iter())


@given(st.integers(0, 10**16))
def test_numbers_have_a_few_figures(number):
    text = count(number)
    assert len(text) <= 6
    unit = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1], 1.0)
    value = float(text.rstrip("kMGT")) * unit
    assert abs(value - number) <= 0.006 * number


@given(st.text(max_size=80), st.floats(20, 300))
def test_what_is_shortened_is_as_wide_as_allowed(text, most):
    cut = shortened(text, 11, most)
    assert width_of(cut, 11) <= most or cut == "…"
    assert cut == text or cut.endswith("…")
