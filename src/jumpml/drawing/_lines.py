"""Lines in a frame, whatever numbers come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jumpml.drawing._canvas import ACCENT, STYLES, tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_ENORMOUS = 1e100
_STEPS = [1, 2, 2.5, 5, 10]  # between ticks
_CROWD = 200  # points more than this are drawn small


@dataclass(frozen=True)
class Line:
    """A line to draw.

    Attributes:
        x: Where.
        y: What; a value that is not finite leaves a gap.
        style: An index of `STYLES`; None for one of a crowd.
        label: Its name in the legend, or empty.
        dots: Whether it is points without a line; so is what goes to and fro.
    """

    x: Sequence[float]
    y: Sequence[float]
    style: int | None = 0
    label: str = ""
    dots: bool = False


def draw_line(axes: Axes, line: Line) -> None:
    """Draw one line; nothing where it has no point."""
    points = [(x, y) for x, y in zip(map(plain, line.x), map(plain, line.y), strict=True) if not math.isnan(x)]
    if not points:
        return
    x, y = zip(*points, strict=True)
    colour, dash = STYLES[line.style % len(STYLES)] if line.style is not None else (ACCENT, "-")
    if line.dots or not _one_way(x):
        axes.scatter(x, y, s=6 if len(x) > _CROWD else 14, color=colour, alpha=0.55, linewidths=0)
    elif sum(map(math.isfinite, y)) == 1:
        axes.plot(x, y, color=colour, marker="o", markersize=5)
    else:
        thin = line.style is None
        axes.plot(x, y, color=colour, linestyle=dash, alpha=0.35 if thin else 1.0, linewidth=1.0 if thin else 1.8)


def plain(value: float) -> float:
    """The number where it can be drawn: NaN for the infinite and the enormous, on which matplotlib's ticks fail."""
    if not abs(value) < _ENORMOUS:
        return math.nan
    return value if abs(value) > 1 / _ENORMOUS else 0.0


def few_ticks(axes: Axes, *, whole: bool = False) -> None:
    """At most five ticks a linear axis, written plainly.

    Args:
        axes: The axes.
        whole: Whether only whole numbers make sense at the bottom.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=whole, steps=_STEPS))
    else:
        axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(tick)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_formatter(tick)


def _one_way(x: Sequence[float]) -> bool:
    steps = [after - before for before, after in pairwise(x)]
    return all(step >= 0 for step in steps) or all(step <= 0 for step in steps)
