"""The kinds of drawing that a card has; the texts that they are given are fit to be shown (`_words.name`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jumpml.drawing import ACCENT, INK, MUTED, PAPER, RULE, WARM, Canvas, Line, draw_line, few_ticks, plain, tick
from jumpml.report._blocks import Chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from jumpml.core import Calibration

_LETTER = 6.6  # pixels that a letter of a label takes
_LOG_FROM = 50.0  # a positive line that falls so many times is drawn on a logarithmic axis
_UNIT = (-0.03, 1.03)


def progress_chart(title: str, lines: Sequence[Line], *, alt: str, epochs: int, log: bool, note: str) -> Chart:
    """A small drawing of lines over the epochs; all of a run have the same horizontal axis.

    Args:
        title: What it shows.
        lines: One a phase.
        alt: For who does not see it.
        epochs: Where the horizontal axis ends.
        log: Whether a positive line that falls far may be drawn on a logarithmic axis.
        note: What to make of it; may be empty.
    """
    width, height = 260, 180
    with Canvas(width, height, left=48) as canvas:
        axes = canvas.axes
        for line in lines:
            draw_line(axes, line)
        values = [y for y in map(plain, (y for line in lines for y in line.y)) if not math.isnan(y)]
        if log and values and min(values) > 0 and max(values) / min(values) > _LOG_FROM:
            axes.set_yscale("log")
            axes.minorticks_off()
        axes.set(xlim=(1 - 0.02 * epochs, epochs * 1.02), xlabel="epoch")
        few_ticks(axes, whole=True)
        svg = canvas.svg(alt)
    return Chart(title=title, svg=svg, alt=alt, width=width, note=note)


def curve_chart(title: str, lines: Sequence[Line], *, alt: str, x_label: str, y_label: str) -> Chart:
    """Lines in one frame; points where a line's x goes to and fro, as predicted against true values do."""
    width, height = 400, 300
    with Canvas(width, height, left=60) as canvas:
        for line in lines:
            draw_line(canvas.axes, line)
        if all(0 <= value <= 1 for line in lines for value in (*line.x, *line.y)):
            canvas.axes.set(xlim=_UNIT, ylim=_UNIT)  # shares and probabilities: a cut axis would exaggerate
        few_ticks(canvas.axes)
        canvas.axes.set(xlabel=x_label, ylabel=y_label)
        svg = canvas.svg(alt)
    legend = tuple((line.label, line.style) for line in lines if line.label and line.style is not None)
    return Chart(title=title, svg=svg, alt=alt, width=width, legend=legend)


def confusion_chart(
    title: str, counts: Sequence[Sequence[int]], classes: Sequence[str], *, alt: str, reading: str
) -> Chart:
    """Rows by true class, columns by predicted class; right answers in one colour, wrong ones in another."""
    number, longest = len(classes), max(map(len, classes))
    cell = 34 if number <= 12 else 24
    margin = _LETTER * longest + 34
    wide = longest > 3
    below = (min(margin, 130) if wide else 24) + 22
    width, height = round(margin + cell * number + 8), round(below + cell * number + 8)
    with Canvas(width, height, left=margin, right=8, top=8, bottom=below) as canvas:
        axes = canvas.axes
        axes.grid(visible=False)
        axes.set(xlim=(0, number), ylim=(number, 0), xlabel="predicted", ylabel="true")
        _shade(axes, counts, size=10 if number <= 12 else 8)
        axes.set_xticks(
            [i + 0.5 for i in range(number)], classes, rotation=45 if wide else 0, ha="right" if wide else "center"
        )
        axes.set_yticks([i + 0.5 for i in range(number)], classes)
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
        svg = canvas.svg(alt)
    return Chart(title=title, svg=svg, alt=alt, width=width, reading=reading)


def _shade(axes: Axes, counts: Sequence[Sequence[int]], *, size: int) -> None:
    from matplotlib.patches import Rectangle

    for row, line in enumerate(counts):
        total = sum(line) or 1
        for column, count in enumerate(line):
            # The square root lets a few mistakes among many rows be seen.
            strength = 0.05 + 0.9 * math.sqrt(count / total) if count else 0.03
            colour = (ACCENT if row == column else WARM) if count else MUTED
            box = Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, facecolor=colour, alpha=strength, linewidth=0)
            axes.add_patch(box)
            if count:
                ink = PAPER if strength > 0.62 else INK
                axes.text(column + 0.5, row + 0.53, tick(count), ha="center", va="center", fontsize=size, color=ink)


def reliability_chart(title: str, calibration: Calibration, *, alt: str, note: str, reading: str) -> Chart:
    """Share of right answers against stated confidence, by bin; the diagonal is a model that knows itself."""
    width, height = 400, 330
    most = max(calibration.count, default=1) or 1
    with Canvas(width, height, left=50) as canvas:
        axes = canvas.axes
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (3, 3)), linewidth=1.2)
        for confidence, accuracy in zip(calibration.confidence, calibration.accuracy, strict=True):
            axes.plot([confidence] * 2, [confidence, accuracy], color=WARM, linewidth=2, solid_capstyle="butt")
        sizes = [22 + 110 * count / most for count in calibration.count]
        axes.scatter(calibration.confidence, calibration.accuracy, s=sizes, color=ACCENT, linewidths=0, zorder=3)
        axes.set(xlim=_UNIT, ylim=_UNIT, xlabel="stated confidence", ylabel="share of right answers")
        few_ticks(axes)
        svg = canvas.svg(alt)
    return Chart(title=title, svg=svg, alt=alt, width=width, note=note, reading=reading)


def bar_chart(
    title: str, labels: Sequence[str], values: Sequence[float], *, alt: str, x_label: str, signed: bool = False
) -> Chart:
    """A bar a label from the top down; where some may be below zero, the colours are those of `_pixels.heat`.

    Args:
        title: What it shows.
        labels: From the top down.
        values: One a label.
        alt: For who does not see it.
        x_label: What is measured.
        signed: Whether values may be below zero.
    """
    margin = _LETTER * max(map(len, labels)) + 14
    width, height = round(margin) + 220, 20 * len(labels) + 58
    with Canvas(width, height, left=margin, top=6, bottom=46, right=16) as canvas:
        axes = canvas.axes
        axes.grid(visible=False)
        axes.grid(visible=True, axis="x")
        widths = [0.0 if math.isnan(value) else value for value in map(plain, values)]
        colours = [WARM if signed and value > 0 else ACCENT for value in widths]
        axes.barh(range(len(labels)), widths, height=0.62, color=colours)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set(ylim=(len(labels) - 0.4, -0.6), xlabel=x_label)
        _few_x_ticks(axes)
        svg = canvas.svg(alt)
    return Chart(title=title, svg=svg, alt=alt, width=width)


def _few_x_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(tick)


def interval_chart(
    title: str,
    labels: Sequence[str],
    spans: Sequence[tuple[float, float, float]],
    *,
    limit: float,
    alt: str,
    x_label: str,
    reading: str,
) -> Chart:
    """A dot with its interval a label, and a line at what is allowed.

    Args:
        title: What it shows.
        labels: From the top down.
        spans: Low end, value and high end, one a label.
        limit: Where the line stands.
        alt: For who does not see it.
        x_label: What is measured.
        reading: How to read it.
    """
    margin = _LETTER * max(map(len, labels)) + 14
    width, height = round(margin) + 300, 28 * len(labels) + 64
    with Canvas(width, height, left=margin, top=10, bottom=46, right=16) as canvas:
        axes = canvas.axes
        axes.grid(visible=False)
        axes.axvline(0, color=RULE, linewidth=1)
        axes.axvline(limit, color=WARM, linewidth=1.5, linestyle=(0, (4, 2)))
        for position, (low, value, high) in enumerate(tuple(map(plain, span)) for span in spans):
            axes.plot([low, high], [position] * 2, color=ACCENT, linewidth=2.5, solid_capstyle="round")
            axes.plot([value], [position], color=ACCENT, marker="o", markersize=7)
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set(ylim=(len(labels) - 0.4, -0.6), xlabel=x_label)
        axes.margins(x=0.08)
        _few_x_ticks(axes)
        svg = canvas.svg(alt)
    return Chart(title=title, svg=svg, alt=alt, width=width, reading=reading)
