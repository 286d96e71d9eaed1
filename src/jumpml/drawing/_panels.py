"""Pictures that stand alone: frames side by side under a title, as one SVG in the reader's light or dark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from jumpml.drawing._canvas import INK, LINES, MUTED, SVG, WARM, Canvas, colour_of, is_dashed, tick
from jumpml.drawing._lines import Line, draw_line, few_ticks, plain
from jumpml.drawing._text import clean, shortened, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_FALLS = 50.0  # a positive line that falls so many times is drawn on a logarithmic axis

_MARGIN, _GAP, _TITLE, _HEAD, _ROW = 18.0, 22.0, 30.0, 22.0, 18.0
_WIDEST_LABEL = 190.0
# The card's colours; a page that has these variables of its own is not asked.
_STYLE = """
.jumpml-picture { --paper: #fcfbf8; --ink: #1c2024; --muted: #5d646c; --rule: #dfdbd1; --warm: #c2500a;
  --c1: #0b63a5; --c2: #c2500a; --c3: #00795a; --c4: #8f3f7b; --c5: #8a6a00; --c6: #4a5560; }
@media screen and (prefers-color-scheme: dark) { .jumpml-picture { --paper: #15181b; --ink: #e6e4df; --muted: #a2a8ae;
  --rule: #343a40; --warm: #f0935a; --c1: #6cb4ee; --c2: #f0935a; --c3: #55c79d; --c4: #d898c6; --c5: #dcbb52;
  --c6: #b0b9c2; } }
.jumpml-picture text { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.jumpml-picture .title { font-size: 16px; font-weight: 600; fill: var(--ink); }
.jumpml-picture .head { font-size: 12px; font-weight: 600; fill: var(--ink); }
.jumpml-picture .quiet { font-size: 11px; fill: var(--muted); }
"""


@dataclass(frozen=True)
class Panel:
    """One frame of a picture.

    Attributes:
        title: What it shows, in a few words.
        svg: What `Canvas.svg` gave.
        size: Its width and height in pixels.
        legend: The lines' names, each with its style: an index of `STYLES`.
        alt: What a reader who does not see it should know.
    """

    title: str
    svg: str
    size: tuple[int, int]
    legend: tuple[tuple[str, int], ...] = ()
    alt: str = ""


def line_panel(
    title: str,
    lines: Sequence[Line],
    *,
    alt: str,
    x_label: str,
    y_label: str = "",
    log_x: bool = False,
    whole: bool = False,
    falls: bool = False,
    marks: Mapping[str, float] | None = None,
    x_range: tuple[float, float] | None = None,
    names: Sequence[str] = (),
    size: tuple[int, int] = (380, 250),
) -> Panel:
    """Lines in one frame.

    Args:
        title: What it shows.
        lines: The lines; those with a label stand in the legend.
        alt: For who does not see it.
        x_label: What goes from left to right.
        y_label: What goes upwards.
        log_x: Whether the horizontal axis is logarithmic, where every value is above zero.
        whole: Whether only whole numbers make sense on it.
        falls: Whether positive lines that fall far are drawn on a logarithmic axis.
        marks: By name, where a vertical line stands.
        x_range: Where the horizontal axis begins and ends; as the lines need it where None.
        names: What 0, 1, 2, ... stand for at the bottom, where they are no numbers.
        size: Width and height in pixels.
    """
    with Canvas(*size, left=58) as canvas:
        axes = canvas.axes
        if log_x and all(plain(x) > 0 for line in lines for x in line.x) and any(line.x for line in lines):
            axes.set_xscale("log")
            axes.minorticks_off()
        for line in lines:
            draw_line(axes, line)
        values = [y for y in map(plain, (y for line in lines for y in line.y)) if not math.isnan(y)]
        if falls and values and min(values) > 0 and max(values) / min(values) > _FALLS:
            axes.set_yscale("log")
            axes.minorticks_off()
        draw_marks(axes, marks or {})
        if x_range is not None:
            edge = 0.02 * max(x_range[1] - x_range[0], 1.0)
            axes.set_xlim(x_range[0] - edge, x_range[1] + edge)
        few_ticks(axes, whole=whole)
        if names:
            room = (size[0] - 70) / len(names)
            axes.set_xticks(range(len(names)), [shortened(clean(name), 11, room) for name in names])
            axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set(xlabel=clean(x_label), ylabel=clean(y_label))
        svg = canvas.svg(clean(alt))
    legend = tuple((line.label, line.style) for line in lines if line.label and line.style is not None)
    return Panel(title, svg, size, tuple(dict.fromkeys(legend)), clean(alt))


def draw_marks(axes: Axes, marks: Mapping[str, float]) -> None:
    """Vertical lines with their names, each name lower than the one before."""
    for place, (name, x) in enumerate(marks.items()):
        axes.axvline(x, color=WARM, linewidth=1.4, linestyle=(0, (4, 2)))
        where: Any = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
        axes.annotate(clean(name), (x, 0.97 - 0.08 * place), (4, 0), color=INK, fontsize=10, va="top", **where)


def bar_panel(
    title: str, labels: Sequence[str], parts: Mapping[str, Sequence[float]], *, alt: str, x_label: str
) -> Panel:
    """A bar a label from the top down, made of parts one behind the other.

    Args:
        title: What it shows.
        labels: From the top down.
        parts: By name, a value a label.
        alt: For who does not see it.
        x_label: What is measured.
    """
    shown = [shortened(clean(label), 11, _WIDEST_LABEL) for label in labels]
    margin = max([width_of(label, 11) for label in shown], default=0.0) * 1.06 + 16
    size = (round(margin) + 330, 20 * max(1, len(labels)) + 56)
    with Canvas(*size, left=margin, top=6, bottom=46, right=44) as canvas:
        axes = canvas.axes
        axes.grid(visible=False)
        axes.grid(visible=True, axis="x")
        ends = [0.0] * len(labels)
        for style, values in enumerate(parts.values()):
            widths = [0.0 if math.isnan(value) else value for value in map(plain, values)]
            axes.barh(range(len(labels)), widths, left=ends, height=0.62, color=LINES[style % len(LINES)])
            ends = [end + width for end, width in zip(ends, widths, strict=True)]
        for place, end in enumerate(ends):
            told, where = tick(float(f"{end:.3g}")), (end, place)
            axes.annotate(told, where, (4, 0), fontsize=9, color=MUTED, va="center", textcoords="offset points")
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set_yticks(range(len(labels)), shown)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set(ylim=(max(1, len(labels)) - 0.4, -0.6), xlabel=clean(x_label))
        axes.xaxis.set_major_formatter(tick)
        svg = canvas.svg(clean(alt))
    legend = tuple((name, style) for style, name in enumerate(parts)) if len(parts) > 1 else ()
    return Panel(title, svg, size, legend, clean(alt))


def draw_panels(title: str, panels: Sequence[Panel], *, columns: int = 2, note: str = "") -> str:
    """Join frames to a picture.

    Args:
        title: What the picture shows.
        panels: The frames, from the left and downwards.
        columns: How many stand side by side.
        note: A line below the title; may be empty.

    Returns:
        An ``svg`` element that refers to nothing outside itself; every text of it is escaped.

    Example:
        >>> panel = line_panel("loss", [Line([1, 2], [0.9, 0.5])], alt="The loss falls.", x_label="epoch")
        >>> draw_panels("A run", [panel])[:4]
        '<svg'
    """
    rows = [list(panels[start : start + columns]) for start in range(0, len(panels), columns)]
    wide = max([sum(panel.size[0] for panel in row) + _GAP * (len(row) - 1) for row in rows], default=0.0)
    width = max(wide, width_of(title, 16), width_of(note, 11)) + 2 * _MARGIN
    root = _root(title, width)
    y = _MARGIN + 14
    _text(root, title, (_MARGIN, y), "title")
    if note:
        y += _ROW
        _text(root, note, (_MARGIN, y), "quiet")
    y += _TITLE - 14
    for row in rows:
        top, x = _HEAD + _ROW * max(map(_lines_of, row)), _MARGIN
        for panel in row:
            _place(root, panel, x, y, top)
            x += panel.size[0] + _GAP
        y += top + max(panel.size[1] for panel in row) + _GAP / 2
    root.set("height", f"{y:.0f}")
    root.set("viewBox", f"0 0 {width:.0f} {y:.0f}")
    ElementTree.register_namespace("", SVG.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode")


def _root(title: str, width: float) -> Element:
    root = Element(
        f"{SVG}svg",
        {
            "class": "jumpml-picture",
            "role": "img",
            "aria-label": clean(title),
            "width": f"{width:.0f}",
        },
    )
    SubElement(root, f"{SVG}style").text = _STYLE
    SubElement(root, f"{SVG}rect", {"style": "fill: var(--paper)", "width": "100%", "height": "100%"})
    return root


def _place(root: Element, panel: Panel, x: float, y: float, top: float) -> None:
    """Set a frame with its title and legend; the frames of a row begin at the same height."""
    _text(root, panel.title, (x, y + 12), "head")
    for name, style, left, line in _flow(panel):
        colour, dash = colour_of(style), is_dashed(style)
        height = y + _HEAD + _ROW * line + 6
        mark = {"x1": f"{x + left:g}", "x2": f"{x + left + 18:g}", "y1": f"{height - 4:g}", "y2": f"{height - 4:g}"}
        dashes = {"stroke-dasharray": "6 3"} if dash else {}
        SubElement(root, f"{SVG}line", {**mark, "style": f"stroke: {colour}; stroke-width: 2.4", **dashes})
        _text(root, name, (x + left + 23, height), "quiet")
    inner = ElementTree.fromstring(panel.svg)
    inner.attrib |= {"x": f"{x:g}", "y": f"{y + top:g}", "width": str(panel.size[0]), "height": str(panel.size[1])}
    root.append(inner)


def _flow(panel: Panel) -> list[tuple[str, int, float, int]]:
    """The legend's names, each cut to what fits, with its style, its left end and its line."""
    placed, left, line = [], 0.0, 0
    for name, style in panel.legend:
        shown = shortened(clean(name), 11, panel.size[0] - 40.0)
        needed = width_of(shown, 11) + 38
        if left and left + needed > panel.size[0]:
            left, line = 0.0, line + 1
        placed.append((shown, style, left, line))
        left += needed
    return placed


def _lines_of(panel: Panel) -> int:
    flow = _flow(panel)
    return flow[-1][3] + 1 if flow else 0


def _text(root: Element, text: str, place: tuple[float, float], kind: str) -> None:
    x, y = place
    SubElement(root, f"{SVG}text", {"x": f"{x:g}", "y": f"{y:g}", "class": kind}).text = clean(text)
