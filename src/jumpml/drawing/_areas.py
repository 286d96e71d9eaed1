"""Shares of a whole over time, as areas that lie on each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jumpml.drawing._canvas import STYLES, Canvas, is_dashed
from jumpml.drawing._lines import few_ticks, plain
from jumpml.drawing._panels import Panel, draw_marks
from jumpml.drawing._text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def area_panel(
    title: str,
    x: Sequence[float],
    parts: Mapping[str, Sequence[float]],
    *,
    alt: str,
    x_label: str,
    y_label: str = "",
    marks: Mapping[str, float] | None = None,
    size: tuple[int, int] = (380, 250),
) -> Panel:
    """Parts of a whole, an area each, the first one at the bottom.

    Args:
        title: What it shows.
        x: What goes from left to right, rising.
        parts: By name, a share at each `x`; one that is not finite counts as 0.
        alt: For who does not see it.
        x_label: What goes from left to right.
        y_label: What goes upwards.
        marks: By name, where a vertical line stands.
        size: Width and height in pixels.
    """
    with Canvas(*size, left=58) as canvas:
        axes = canvas.axes
        places = _known(x)
        bottom = [0.0] * len(places)
        for style, values in enumerate(parts.values()):
            top = [low + max(0.0, share) for low, share in zip(bottom, _known(values), strict=True)]
            colour, dash = STYLES[style % len(STYLES)]
            # The edge is what the legend shows; a dashed one has the lighter area.
            axes.fill_between(places, bottom, top, color=colour, alpha=0.3 if is_dashed(style) else 0.6, linewidth=0)
            axes.plot(places, top, color=colour, linestyle=dash, linewidth=1.2)
            bottom = top
        draw_marks(axes, marks or {})
        axes.margins(x=0.01)
        axes.set_ylim(0, max(1.0, max(bottom, default=1.0)) * 1.02)
        few_ticks(axes, whole=True)
        axes.set(xlabel=clean(x_label), ylabel=clean(y_label))
        svg = canvas.svg(clean(alt))
    legend = tuple((name, style) for style, name in enumerate(parts))
    return Panel(title, svg, size, legend, clean(alt))


def _known(values: Sequence[float]) -> list[float]:
    return [0.0 if math.isnan(value) else value for value in map(plain, values)]
