"""Points in a plane, by class."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

from jumpml.drawing._canvas import INK, LINES, MUTED, PAPER, Canvas
from jumpml.drawing._lines import plain
from jumpml.drawing._text import clean, shortened, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

MARKERS = ("o", "^", "s", "D")
MOST_CLASSES = len(LINES) * len(MARKERS)  # more than these nobody can tell apart
OTHERS = "all other classes"
UNKNOWN = "no class known"
_WIDTH, _HEIGHT, _TEXT, _ROW = 460, 440, 11, 19
_FEW = 800  # points that may be drawn large
_WIDEST = 170.0


def draw_points(
    x: Sequence[float], y: Sequence[float], codes: Sequence[int], classes: Sequence[str], *, alt: str
) -> tuple[str, int]:
    """Points in the colours and shapes of their classes, each class's name where its middle is.

    Args:
        x: Where, from the left.
        y: Where, from below; one that is not finite leaves its point out.
        codes: Each point's class, a place in ``classes``; any other where that is not known.
        classes: Their names. Those with the fewest points share a colour where there are more than 24.
        alt: For who does not see it.

    Returns:
        An ``svg`` element, every text of which is escaped, and its natural width in pixels.

    Example:
        >>> draw_points([0.0, 1.0], [0.0, 1.0], [0, 1], ["a", "b"], alt="Two points.")[0][:4]
        '<svg'
    """
    groups = _groups(x, y, codes, classes)
    shown = [shortened(clean(name), _TEXT, _WIDEST) for name, _, _ in groups]
    legend = round(max((width_of(text, _TEXT) for text in shown), default=0.0) * 1.08) + 34 if any(shown) else 0
    width, height = _WIDTH + legend, max(_HEIGHT, _ROW * len(groups) + 20)
    with Canvas(width, height, left=10, right=legend + 10, top=10, bottom=10) as canvas:
        axes = canvas.axes
        axes.grid(visible=False)
        axes.set(xticks=[], yticks=[])
        axes.spines["bottom"].set_visible(False)
        axes.margins(0.04)
        for _, style, points in groups:
            _scatter(axes, points, style, size=6.5 if len(x) < _FEW else 4.5)
        for row, ((_, style, points), text) in enumerate(zip(groups, shown, strict=True)):
            if text:
                _tell(axes, row, text, style, height - 20)
            if text and style is not None and len(groups) > 1:
                _name(axes, text, points)
        svg = canvas.svg(clean(alt))
    return svg, width


def _groups(
    x: Sequence[float], y: Sequence[float], codes: Sequence[int], classes: Sequence[str]
) -> list[tuple[str, int | None, list[tuple[float, float]]]]:
    """Of each class that has points its name, style and points, in the classes' order; those that are unclear first."""
    own = [code for code, _ in Counter(code for code in codes if 0 <= code < len(classes)).most_common(MOST_CLASSES)]
    points: dict[int, list[tuple[float, float]]] = {}
    for across, up, code in zip(map(plain, x), map(plain, y), codes, strict=True):
        if not math.isnan(across + up):
            place = code if code in own else -1 if 0 <= code < len(classes) else -2
            points.setdefault(place, []).append((across, up))
    styles = {code: style for style, code in enumerate(sorted(own))}
    vague = [(name, None, points[place]) for place, name in ((-2, UNKNOWN), (-1, OTHERS)) if place in points]
    if not classes:
        return [("", 0, points[-2])] if points else []
    return [*vague, *((classes[code], styles[code], points[code]) for code in sorted(own) if code in points)]


def _scatter(axes: Axes, points: Sequence[tuple[float, float]], style: int | None, size: float, **options: Any) -> None:
    colour = MUTED if style is None else LINES[style % len(LINES)]
    marker = "o" if style is None else MARKERS[style // len(LINES) % len(MARKERS)]
    shade = 0.3 if style is None else 0.6
    x, y = zip(*points, strict=True)
    axes.plot(x, y, marker, color=colour, markersize=size, markeredgewidth=0, alpha=shade, **options)


def _tell(axes: Axes, row: int, text: str, style: int | None, height: int) -> None:
    """A line of the legend, beside the frame; matplotlib's own leaves out names that begin with an underscore."""
    beside, inner = axes.transAxes, _WIDTH - 20
    place = (1 + 12 / inner, 1 - (row + 0.6) * _ROW / height)
    _scatter(axes, [place], style, 6.5, transform=beside, clip_on=False, scalex=False, scaley=False)
    x, y = place
    axes.text(x + 9 / inner, y, text, ha="left", va="center_baseline", fontsize=_TEXT, color=MUTED, transform=beside)


def _name(axes: Axes, text: str, points: Sequence[tuple[float, float]]) -> None:
    """A class's name at its middle, on paper so that it can be read among the points."""
    middle = (median(x for x, _ in points), median(y for _, y in points))
    paper = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "boxstyle": "round,pad=0.22"}
    axes.text(*middle, text, ha="center", va="center", fontsize=_TEXT, color=INK, bbox=paper, zorder=5)
