"""How a run learned, as a picture."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from jumpml.drawing._course import course_panels
from jumpml.drawing._lines import Line
from jumpml.drawing._panels import Panel, draw_panels, line_panel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import CoursePoint, EpochRecord


def draw_history(
    epochs: Sequence[EpochRecord], title: str = "How it learned", *, course: Sequence[CoursePoint] = ()
) -> str:
    """Draw a run's curves by epoch, a frame a figure and a line a phase; then what hooks told over the updates.

    Args:
        epochs: The epochs, in their order.
        title: What stands above.
        course: The learner's ``history.course``: a teacher's shares and rewards, a balancer's multipliers, cosines.

    Returns:
        An ``svg`` element that refers to nothing outside itself.

    Example:
        >>> from jumpml.core import EpochRecord
        >>> first = EpochRecord(phase="supervised", epoch=1, step=9, losses={"total": 2.0}, lr=0.1, seconds=1.0)
        >>> draw_history([first])[:4]
        '<svg'
    """
    rows = [{**epoch.figures(), **_rates(epoch)} for epoch in epochs]
    phases = [epoch.phase for epoch in epochs]
    panels = [_panel(name, phases, rows) for name in dict.fromkeys(name for row in rows for name in row)]
    panels += course_panels(course)
    return draw_panels(title, panels, columns=3, note="" if epochs else "There is no epoch yet.")


def _rates(epoch: EpochRecord) -> dict[str, float]:
    return {f"learning rate{name.removeprefix('lr')}": rate for name, rate in epoch.learning_rates().items()}


def _panel(name: str, phases: Sequence[str], rows: Sequence[Mapping[str, float]]) -> Panel:
    styles = {phase: style for style, phase in enumerate(dict.fromkeys(phases))}
    lines = []
    for phase, group in groupby(range(len(rows)), key=lambda place: phases[place]):
        points = [(place + 1, rows[place][name]) for place in group if name in rows[place]]
        if points:
            x, y = zip(*points, strict=True)
            lines.append(Line(x, y, styles[phase], phase if len(styles) > 1 else ""))
    alt = f"{name}: {'; '.join(_told(line) for line in lines)}."
    falls = name.startswith("loss")
    range_ = (1.0, float(max(2, len(rows))))
    return line_panel(name, lines, alt=alt, x_label="epoch", whole=True, falls=falls, x_range=range_, size=(300, 200))


def _told(line: Line) -> str:
    finite = [value for value in line.y if math.isfinite(value)]
    span = f"from {finite[0]:.4g} to {finite[-1]:.4g}" if finite else "no finite value"
    return f"{line.label} {span} over {len(line.y)} epochs".strip()
