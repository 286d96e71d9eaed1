"""Drawings in SVG, made of records alone: a model's graph, and lines and bars."""

from jumpml.drawing._areas import area_panel
from jumpml.drawing._canvas import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    RULE,
    STYLES,
    WARM,
    Canvas,
    colour_of,
    swatch,
    tick,
)
from jumpml.drawing._course import Cosines, course_panels, figures_of, mean_cosines
from jumpml.drawing._graph import draw_graph
from jumpml.drawing._history import draw_history
from jumpml.drawing._lines import Line, draw_line, few_ticks, plain
from jumpml.drawing._matrix import matrix_panel
from jumpml.drawing._panels import Panel, bar_panel, draw_panels, line_panel
from jumpml.drawing._points import draw_points
from jumpml.drawing._text import count

__all__ = [
    "draw_graph",
    "draw_history",
    "draw_points",
    "count",
    "Panel",
    "Line",
    "line_panel",
    "bar_panel",
    "area_panel",
    "matrix_panel",
    "course_panels",
    "figures_of",
    "mean_cosines",
    "Cosines",
    "draw_panels",
    "Canvas",
    "STYLES",
    "ACCENT",
    "INK",
    "MUTED",
    "PAPER",
    "RULE",
    "WARM",
    "draw_line",
    "few_ticks",
    "plain",
    "colour_of",
    "swatch",
    "tick",
]
