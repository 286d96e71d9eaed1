"""The section on what was learned when: tasks, rows, a teacher's arms, what objectives counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jumpml.core import PACING
from jumpml.drawing import Line, course_panels, figures_of, line_panel, mean_cosines
from jumpml.report import _words as words
from jumpml.report._blocks import Chart, Charts, Heading, Items, Section, Table, Text
from jumpml.report._ways import ways_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.core import CoursePoint, EpochRecord
    from jumpml.drawing import Panel
    from jumpml.report._blocks import Block
    from jumpml.report._record import CardRecord
    from jumpml.report._ways import Way

_NONE = "\N{EN DASH}"
_ROWS = 30  # of a table of arms
_LOWEST = 6  # pairs of objectives that are told of
_SIZE = (400, 250)


def course_section(record: CardRecord) -> tuple[Section, ...]:
    """What was learned when; nothing of a run of one task that neither a teacher nor a balancer had a part in."""
    ways, course = ways_of(record.epochs, record.evaluation), record.course
    missing = [*_missing(record)]
    if len(ways) < 2 and not course and not missing and not record.notes:
        return ()
    panels = course_panels(course, words.name)
    blocks: list[Block] = [Text(note, "unsure") for note in words.sentences(record.notes)]
    blocks += [*_tasks(ways, record.epochs)]
    if any(PACING in point.figures for point in course):
        blocks += [Heading("Which rows might come"), _paced(course), _charts(panels, "Rows that")]
    if figures_of(course, "share"):
        blocks += [Heading("What the teacher chose"), *_arms(course), _charts(panels, "Share", "Mean reward")]
    if figures_of(course, "balance"):
        blocks += [Heading("What objectives counted"), _multipliers(course), _charts(panels, "What objectives")]
    if figures_of(course, "cosine"):
        blocks += [Heading("Who pulled against whom"), *_cosines(course), _charts(panels, "Cosine", "Mean cosine")]
    return (Section("course", "What was learned when", (*blocks, *missing)),)


def chart_of(panel: Panel) -> Chart:
    """A frame of a picture that stands alone, as one of the card's."""
    return Chart(title=panel.title, svg=panel.svg, alt=panel.alt, width=panel.size[0], legend=panel.legend)


def marks_of(epochs: Sequence[EpochRecord]) -> dict[str, float]:
    """After how many updates each phase began, where there are several."""
    begins: dict[str, float] = {}
    before = 0
    for epoch in epochs:
        begins.setdefault(words.name(epoch.phase), before)
        before = epoch.step
    return begins if len(begins) > 1 else {}


def _charts(panels: Sequence[Panel], *starts: str) -> Charts:
    """The frames whose titles begin so; a legend that they share stands once."""
    charts = [chart_of(panel) for panel in panels if panel.title.startswith(starts)]
    legend = charts[0].legend if len(charts) > 1 and len({chart.legend for chart in charts}) == 1 else ()
    return Charts(tuple(replace(chart, legend=()) if legend else chart for chart in charts), legend)


def _tasks(ways: Sequence[Way], epochs: Sequence[EpochRecord]) -> Iterator[Block]:
    if not ways:
        return
    ended = sorted((way.nearly.step, way.task) for way in ways if way.nearly)
    if len(ended) > 1:
        told = [f"{words.name(task)} (by update {words.count(step)})" for step, task in ended]
        yield Text(f"In the order in which they were learned for the most part: {words.listing(told)}.")
    head = ("task", "figure", "after its first epoch", "best", "last", "nine tenths by update", "train loss", "rows")
    rows = tuple(_row(way, epochs) for way in ways)
    on = "on validation rows, or its train loss," if any(not way.metric for way in ways) else "on validation rows"
    way = f"Each task's way, from its figure {on} after its first epoch to the best"
    caption = f"{way}; rows are those that have its target, over all epochs"
    yield Table(caption, head, rows, "llrrrrrr")
    if len(ways) > 1:
        panels = (_share_panel(ways, epochs), _loss_panel(ways, epochs))
        legend = tuple((words.name(way.task), style) for style, way in enumerate(ways))
        yield Charts(tuple(chart_of(panel) for panel in panels if panel), legend)


def _row(way: Way, epochs: Sequence[EpochRecord]) -> tuple[str, ...]:
    by = words.metric(way.metric) if way.metric else "train loss"
    nearly = way.nearly
    when = f"{words.count(nearly.step)} ({words.name(nearly.phase)} {nearly.epoch})" if nearly else _NONE
    losses = [epoch.losses[way.task] for epoch in epochs if way.task in epoch.losses]
    loss = f"{words.number(losses[0])} to {words.number(losses[-1])}" if losses else _NONE
    rows = [epoch.rows[way.task] for epoch in epochs if way.task in epoch.rows]
    counted = words.count(sum(rows)) if rows else _NONE  # a record of before does not say
    figures = map(words.number, (way.values[0], way.best, way.values[-1]))
    return (words.name(way.task), by, *figures, when, loss, counted)


def _share_panel(ways: Sequence[Way], epochs: Sequence[EpochRecord]) -> Panel | None:
    """All tasks' ways in one frame, whatever their figures' units are."""
    lines, told = [], []
    for style, way in enumerate(ways):
        if way.shares:
            lines.append(Line([epoch.step for epoch in way.epochs], way.shares, style))
            told.append(f"{words.name(way.task)} ends at {words.number(way.shares[-1], 2)}")
    if not lines:
        return None
    alt = f"Share of each task's way over the updates: {'; '.join(told)}."
    return line_panel(
        "Share of the way", lines, alt=alt, x_label="update", whole=True, marks=marks_of(epochs), size=_SIZE
    )


def _loss_panel(ways: Sequence[Way], epochs: Sequence[EpochRecord]) -> Panel | None:
    lines, told = [], []
    for style, way in enumerate(ways):
        having = [epoch for epoch in epochs if way.task in epoch.losses]
        first = having[0].losses[way.task] if having else 0.0
        if first > 0:
            values = [epoch.losses[way.task] / first for epoch in having]
            lines.append(Line([epoch.step for epoch in having], values, style))
            told.append(f"{words.name(way.task)} ends at {words.number(values[-1], 2)}")
    if not lines:
        return None
    title, marks = "Train loss, over the first epoch's", marks_of(epochs)
    alt = f"{title}, over the updates: {'; '.join(told)}."
    return line_panel(title, lines, alt=alt, x_label="update", whole=True, falls=True, marks=marks, size=_SIZE)


def _paced(course: Sequence[CoursePoint]) -> Text:
    having = [point for point in course if PACING in point.figures]
    whole = next((point for point in having if point.figures[PACING] >= 1), None)
    end = f"all of them by update {words.count(whole.step)}" if whole else f"at most {_share(max(having, key=_pacing))}"
    return Text(f"Of the rows {_share(having[0])} might come, and {end}.", "note")


def _pacing(point: CoursePoint) -> float:
    return point.figures[PACING]


def _share(point: CoursePoint) -> str:
    return f"{_percent(_pacing(point))} at update {words.count(point.step)}"


def _arms(course: Sequence[CoursePoint]) -> Iterator[Block]:
    points = [point for point in course if any(name.startswith("share/") for name in point.figures)]
    arms = figures_of(points, "share")
    first, last = _ends(points)
    shares = {arm: _mean(points, f"share/{arm}") for arm in arms}
    rows = []
    for arm in sorted(arms, key=lambda arm: -shares[arm])[:_ROWS]:
        key = f"share/{arm}"
        most = max(points, key=lambda point: point.figures.get(key, 0.0))
        told = (shares[arm], _mean(first, key), _mean(last, key))
        reward = _mean([p for p in points if f"reward/{arm}" in p.figures], f"reward/{arm}", by=key)
        seen = any(f"reward/{arm}" in point.figures for point in points)
        rows.append(
            (
                words.name(arm),
                *map(_percent, told),
                f"update {words.count(most.step)}" if most.figures.get(key) else _NONE,
                words.number(reward, 3) if seen else _NONE,
            )
        )
    yield Text(
        f"Uniform teaching would give each of {words.plural(len(arms), 'arm')} {_percent(1 / len(arms))}.", "note"
    )
    head = ("arm", "of all updates", "first quarter", "last quarter", "most at", "mean reward")
    more = f"; of {len(arms)} arms the {_ROWS} that were chosen most" if len(arms) > _ROWS else ""
    yield Table(f"How often each arm was chosen{more}", head, tuple(rows), "lrrrrr")


def _multipliers(course: Sequence[CoursePoint]) -> Table:
    rows = []
    for name in figures_of(course, "balance"):
        key = f"balance/{name}"
        having = [point for point in course if key in point.figures]
        told = (having[0].figures[key], _mean(having, key), having[-1].figures[key])
        rows.append((words.name(name), *(words.number(value, 3) for value in told)))
    head = ("objective", "at first", "on average", "at last")
    return Table("What each objective was multiplied by, beside its own weight", head, tuple(rows), "lrrr")


def _cosines(course: Sequence[CoursePoint]) -> Iterator[Block]:
    means = mean_cosines(course).means
    against = sorted((mean, pair) for pair, mean in means.items() if mean < 0)
    if not against:
        yield Text("On average the gradients of no two objectives pulled against each other.", "note")
        return
    items = []
    for mean, (one, other) in against[:_LOWEST]:
        key = f"cosine/{one}/{other}"
        having = [point for point in course if key in point.figures]
        total = sum(point.updates for point in having) or 1
        below = sum(point.updates for point in having if point.figures[key] < 0) / total
        told = f"{words.name(one)} and {words.name(other)}: mean cosine {words.number(mean, 2)}"
        items.append(f"{told}, below 0 over {_percent(below)} of the updates.")
    more = f" The {_LOWEST} lowest of {len(against)} pairs:" if len(against) > _LOWEST else ""
    yield Text(f"Gradients that point away from each other: what helps one objective hurts the other.{more}")
    yield Items(tuple(items))


def _missing(record: CardRecord) -> Iterator[Block]:
    """That a teacher or a balancer had a part, and nothing was told of it."""
    balance, curriculum = (record.spec("learner").get(key) for key in ("balance", "curriculum"))
    balanced = isinstance(balance, dict) and balance.get("kind") not in {"sum", None}
    taught = isinstance(curriculum, dict) and curriculum.get("teacher") is not None
    if not record.course and (balanced or taught):
        yield Text(
            "What a teacher or a balancer did comes from the learner's history: report_card(..., "
            "course=learner.history.course). Of a run's folder it comes from steps.jsonl, which log: [jsonl] writes.",
            "note",
        )


def _ends(points: Sequence[CoursePoint]) -> tuple[list[CoursePoint], list[CoursePoint]]:
    """The points of the first and of the last quarter of the updates; at least one each."""
    begin, end = points[0].step - points[0].updates, points[-1].step
    quarter = (end - begin) / 4
    first = [point for point in points if point.step <= begin + quarter] or [points[0]]
    last = [point for point in points if point.step - point.updates >= end - quarter] or [points[-1]]
    return first, last


def _mean(points: Sequence[CoursePoint], key: str, by: str = "") -> float:
    """A figure's mean by updates, or by the updates that an arm had; 0 where a point does not tell it."""
    weights = [point.updates * (point.figures.get(by, 1.0) if by else 1.0) for point in points]
    total = sum(weights)
    return sum(p.figures.get(key, 0.0) * w for p, w in zip(points, weights, strict=True)) / total if total else 0.0


def _percent(share: float) -> str:
    return f"{words.number(100 * share, 2 if share < 0.995 else 3)}%"
