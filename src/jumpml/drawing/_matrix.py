"""Numbers between -1 and 1 for each pair of names, as a square of cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jumpml.drawing._canvas import ACCENT, INK, PAPER, WARM, Canvas
from jumpml.drawing._lines import plain
from jumpml.drawing._panels import Panel
from jumpml.drawing._text import clean, shortened, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CELL = 46
_WIDEST_LABEL = 150.0


def matrix_panel(title: str, names: Sequence[str], values: Mapping[tuple[str, str], float], *, alt: str) -> Panel:
    """A cell for each pair, in one colour above 0 and in another below.

    Args:
        title: What it shows.
        names: From the left and from the top down.
        values: By pair of names, in either order; a pair that is not there has an empty cell.
        alt: For who does not see it.
    """
    from matplotlib.patches import Rectangle

    shown = [shortened(clean(name), 11, _WIDEST_LABEL) for name in names]
    longest = max([width_of(name, 11) for name in shown], default=0.0) * 1.06
    left, bottom = longest + 14, 0.71 * longest + 22
    count = max(1, len(names))
    size = (max(160, round(left + _CELL * count + 12)), max(90, round(bottom + _CELL * count + 10)))
    with Canvas(*size, left=left, right=size[0] - left - _CELL * count, top=10, bottom=bottom) as canvas:
        axes = canvas.axes
        axes.grid(visible=False)
        for row, one in enumerate(names):
            for column, other in enumerate(names):
                value = plain(values.get((one, other), values.get((other, one), math.nan)))
                if row == column or math.isnan(value):
                    continue
                strength = 0.08 + 0.87 * min(1.0, abs(value))
                colour, ink = (WARM if value < 0 else ACCENT), (PAPER if strength > 0.62 else INK)
                place = (column + 0.03, row + 0.03)
                axes.add_patch(Rectangle(place, 0.94, 0.94, facecolor=colour, alpha=strength, linewidth=0))
                told = f"{value:.2f}".replace("-", "\u2212")
                axes.text(column + 0.5, row + 0.53, told, ha="center", va="center", fontsize=11, color=ink)
        axes.set(xlim=(0, count), ylim=(count, 0))
        centres = [place + 0.5 for place in range(len(names))]
        axes.set_xticks(centres, shown, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(centres, shown)
        axes.tick_params(length=0, labelcolor=INK)
        axes.spines["bottom"].set_visible(False)
        svg = canvas.svg(clean(alt))
    return Panel(title, svg, size, (), clean(alt))
