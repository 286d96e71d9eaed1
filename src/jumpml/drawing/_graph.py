"""A model's graph as an SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from jumpml.drawing._boxes import BETWEEN, HOOK, LINE, PAD, SMALL, Box, Tag, boxes_of, notes_of
from jumpml.drawing._layers import Layout, Point, arrange
from jumpml.drawing._text import clean, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jumpml.core import GraphRecord

_MARGIN = 16.0
_PORT = 18.0  # between arrows that end at one box
# A page that shows the drawing may set these variables; elsewhere the drawing follows the reader's light or dark.
_STYLE = """
.jumpml-graph { --g-paper: var(--paper, #fff); --g-ink: var(--ink, #1c2128); --g-muted: var(--muted, #59636e);
  --g-line: #8b949e; --g-node: #f3f6fa; --g-task: #dff3e4; --g-task-line: #2c8a4b; --g-objective: #fdeeda;
  --g-objective-line: #b3661a; }
@media screen and (prefers-color-scheme: dark) { .jumpml-graph { --g-paper: var(--paper, #14181d);
  --g-ink: var(--ink, #e6e9ed); --g-muted: var(--muted, #a3acb6); --g-line: #6b7580; --g-node: #222a33;
  --g-task: #15331f; --g-task-line: #5fc07f; --g-objective: #3a2912; --g-objective-line: #e0a35a; } }
.jumpml-graph text { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-size: 11px; fill: var(--g-muted); }
.jumpml-graph .title { font-size: 13px; font-weight: 600; fill: var(--g-ink); }
.jumpml-graph .paper { fill: var(--g-paper); }
.jumpml-graph .node { fill: var(--g-node); stroke: var(--g-line); }
.jumpml-graph .field { fill: var(--g-paper); stroke: var(--g-line); stroke-dasharray: 4 3; }
.jumpml-graph .task { fill: var(--g-task); stroke: var(--g-task-line); }
.jumpml-graph .objective { fill: var(--g-objective); stroke: var(--g-objective-line); }
.jumpml-graph .arrow { fill: none; stroke: var(--g-line); stroke-width: 1.4; }
.jumpml-graph .optional { stroke-dasharray: 5 4; }
.jumpml-graph .head { fill: var(--g-line); }
.jumpml-graph .hook { stroke: var(--g-line); stroke-dasharray: 2 2; }
.jumpml-graph .part { paint-order: stroke; stroke: var(--g-paper); stroke-width: 4px; }
"""


def draw_graph(graph: GraphRecord) -> str:
    """Draw a graph: fields at the top, nodes below what they read, tasks and objectives as tags on what they read.

    An arrow is dashed where a node can do without what it comes from.

    Args:
        graph: The graph.

    Returns:
        An ``svg`` element that refers to nothing outside itself; every text of the graph is escaped.

    Example:
        >>> from jumpml.core import GraphRecord
        >>> row = {"node": "body", "module": "torch.nn.Linear", "inputs": ["x"], "shape": "[batch, 8] float32"}
        >>> draw_graph(GraphRecord(inputs={"x": "[batch, 4] float32"}, nodes=(row,)))[:4]
        '<svg'
    """
    boxes = boxes_of(graph)
    edges = _edges(graph, boxes)
    layout = arrange(
        {name: [edge.source for edge in edges.get(name, ())] for name in boxes},
        {name: box.size for name, box in boxes.items()},
    )
    notes = notes_of(graph)
    width = max([layout.width, *(width_of(note, SMALL) for note in notes)]) + 2 * _MARGIN
    height = layout.height + 2 * _MARGIN + (LINE * len(notes) + PAD if notes else 0.0)
    root = _root(graph, width, height)
    at = SubElement(root, "g", transform=f"translate({_MARGIN:g} {_MARGIN:g})")
    for name, read in edges.items():
        _arrows(at, name, read, boxes, layout)
    for name, box in boxes.items():
        _box(at, box, layout.places[name])
    for place, note in enumerate(notes):
        _text(at, note, (0.0, layout.height + PAD + LINE * (place + 1)))
    return ElementTree.tostring(root, encoding="unicode")


class _Edge(NamedTuple):
    """An arrow: the box that it comes from, the part of its output, and whether a node can do without it."""

    source: str
    part: str
    optional: bool


def _edges(graph: GraphRecord, boxes: Iterable[str]) -> dict[str, list[_Edge]]:
    """By node, what it reads, in the order of its arguments.

    What leads to no box above it is left out: a record from elsewhere may say anything, and is drawn all the same.
    """
    edges: dict[str, list[_Edge]] = {}
    order = {name: place for place, name in enumerate(boxes)}
    for row in graph.nodes:
        inputs, name, told = row["inputs"], str(row["node"]), row.get("optional")
        optional = {str(reference) for reference in told} if isinstance(told, list) else set[str]()
        edges[name] = []
        for reference in map(str, inputs if isinstance(inputs, list) else ()):
            box = graph.sources.get(reference, reference)
            if order.get(box, len(order)) < order[name]:
                part = reference.removeprefix(f"{box}.") if reference != box else ""
                edges[name].append(_Edge(box, part, reference in optional))
    return edges


def _root(graph: GraphRecord, width: float, height: float) -> Element:
    words = clean(f"The graph of a model: {', '.join(str(row['node']) for row in graph.nodes)}")
    size = {"width": f"{width:.0f}", "height": f"{height:.0f}", "viewBox": f"0 0 {width:.0f} {height:.0f}"}
    root = Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "class": "jumpml-graph", "role": "img", "aria-label": words, **size},
    )
    SubElement(root, "style").text = _STYLE
    SubElement(root, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    return root


def _arrows(at: Element, name: str, reads: list[_Edge], boxes: dict[str, Box], layout: Layout) -> None:
    """The arrows into a node; they end side by side, in the order in which they come."""
    (x, top), layer = layout.places[name], layout.layers[name]

    def comes_from(entry: tuple[int, _Edge]) -> tuple[float, int]:
        number, edge = entry
        lane = layout.lanes.get((edge.source, layer - 1))
        return (lane[1] if lane else layout.places[edge.source])[0], number

    step = min(_PORT, (boxes[name].width - 2 * PAD) / max(1, len(reads)))
    for place, (_, (source, part, optional)) in enumerate(sorted(enumerate(reads), key=comes_from)):
        end = (x + step * (place - (len(reads) - 1) / 2), top)
        kind = "arrow optional" if optional else "arrow"
        SubElement(at, "path", {"class": kind, "d": _way(source, end, layer, boxes, layout)})
        SubElement(at, "path", {"class": "head", "d": f"M{end[0]:.1f} {top:.1f}l-3.5 -7h7z"})
        if part:
            side = -1 if place < (len(reads) - 1) / 2 else 1
            _text(at, clean(part), (end[0] + 6 * side, top - 9), "part", "end" if side < 0 else "start")


def _way(source: str, end: Point, layer: int, boxes: dict[str, Box], layout: Layout) -> str:
    x, top = layout.places[source]
    first = layout.layers[source]
    way = f"M{x:.1f} {top + boxes[source].height:.1f}V{layout.bottoms[first]:.1f}"
    here: Point = (x, layout.bottoms[first])
    for between in range(first + 1, layer):
        upper, lower = layout.lanes[source, between]
        way += f"{_curve(here, upper)}V{lower[1]:.1f}"
        here = lower
    return way + _curve(here, (end[0], end[1] - 6)) + f"V{end[1] - 6:.1f}"


def _curve(here: Point, there: Point) -> str:
    middle = (here[1] + there[1]) / 2
    return f"C{here[0]:.1f} {middle:.1f} {there[0]:.1f} {middle:.1f} {there[0]:.1f} {there[1]:.1f}"


def _box(at: Element, box: Box, place: Point) -> None:
    x, y = place[0] - box.width / 2, place[1]
    group = SubElement(at, "g")
    SubElement(group, "title").text = box.about
    shape = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{box.width:.1f}", "height": f"{box.height:.1f}", "rx": "6"}
    SubElement(group, "rect", {"class": box.kind, **shape})
    for number, line in enumerate(box.lines):
        _text(group, line, (place[0], y + PAD / 2 + LINE * (number + 0.75)), "" if number else "title", "middle")
    right, top = x + box.width, y
    for tag in box.tags:
        middle = min(top + tag.height / 2, y + box.height - 6)
        _hook(group, (right, middle), (right + HOOK, top + tag.height / 2))
        _tag(group, tag, right + HOOK, top)
        top += tag.height + BETWEEN


def _hook(at: Element, start: Point, end: Point) -> None:
    ends = {"x1": f"{start[0]:.1f}", "y1": f"{start[1]:.1f}", "x2": f"{end[0]:.1f}", "y2": f"{end[1]:.1f}"}
    SubElement(at, "line", {"class": "hook", **ends})


def _tag(at: Element, tag: Tag, x: float, y: float) -> None:
    """A task is a flag, an objective has round ends."""
    width, height = tag.width, tag.height
    if tag.kind == "task":
        outline = (
            f"M{x:.1f} {y:.1f}h{width - PAD:.1f}l{PAD:g} {height / 2:.1f}l-{PAD:g} {height / 2:.1f}h-{width - PAD:.1f}z"
        )
        SubElement(at, "path", {"class": tag.kind, "d": outline})
    else:
        shape = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}", "rx": "13"}
        SubElement(at, "rect", {"class": tag.kind, **shape})
    for number, line in enumerate(tag.lines):
        _text(at, line, (x + PAD, y + PAD / 2 + LINE * (number + 0.75)), "" if number else "title")


def _text(at: Element, text: str, place: Point, style: str = "", anchor: str = "start") -> None:
    where = {"x": f"{place[0]:.1f}", "y": f"{place[1]:.1f}"}
    kind = {"class": style} if style else {}
    SubElement(at, "text", {**where, **kind, "text-anchor": anchor}).text = text
