"""The section on what parts of the learner file were worth: the run beside twins that learned without one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.drawing import Line, line_panel
from jumpml.report import _words as words
from jumpml.report._blocks import Charts, Details, Mark, Section, Table, Text
from jumpml.report._course import chart_of, marks_of
from jumpml.report._overview import first_metric
from jumpml.report._ways import Way, ways_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.core import AblationRecord, EpochRecord, EvaluationRecord, Figure
    from jumpml.report._blocks import Block, Cell, Chart
    from jumpml.report._record import CardRecord

_NONE = "\N{EN DASH}"
_SIZE = (400, 250)


def ablation_sections(record: CardRecord) -> tuple[Section, ...]:
    """What each part was worth; no section where there is no twin."""
    twins = record.ablations
    if not twins:
        return ()
    few = "its twin" if len(twins) == 1 else f"its {len(twins)} twins"
    told = "; ".join(f"{_without(twin)}{f', {words.prose(twin.instead)}' if twin.instead else ''}" for twin in twins)
    note = (
        "Run and twin have one seed each. The intervals are of the test rows alone: another seed moves both, so that a "
        "small difference is shown by several seeds only."
    )
    blocks: list[Block] = [
        Text(f"This run beside {few}, which learned from the same seed and files but for one part: {told}."),
        _figures(record.evaluation, twins, headline=True),
        Text(note, "note"),
    ]
    if (others := _figures(record.evaluation, twins, headline=False)).rows:
        blocks.append(Details("The other figures", (others,)))
    if (reached := _reached(record)).rows:
        blocks.append(reached)
    if charts := tuple(_charts(record)):
        legend = (("this run", 0), *((_without(twin), style) for style, twin in enumerate(twins, start=1)))
        blocks.append(Charts(charts, legend))
    return (Section("ablations", "What parts of it are worth", tuple(blocks)),)


def _figures(evaluation: EvaluationRecord, twins: Sequence[AblationRecord], *, headline: bool) -> Table:
    """Each task's first figure, or the others, a row for each twin."""
    rows: list[tuple[Cell, ...]] = []
    for task, measured in evaluation.tasks.items():
        first = first_metric(measured)
        for metric, figure in measured.figures.items():
            if (metric == first) is not headline:
                continue
            for twin in twins:
                other = twin.figures.get(task, {}).get(metric)
                change = twin.changes.get(task, {}).get(metric)
                rows.append(
                    (
                        f"{words.name(task)}: {words.metric(metric)}",
                        words.with_interval(figure),
                        _without(twin),
                        words.with_interval(other) if other else _NONE,
                        words.with_interval(change) if change else _NONE,
                        _verdict(change, measured.higher_is_better.get(metric)),
                    )
                )
    head = ("figure", "this run", "twin", "the twin's", "difference", "what it tells")
    caption = "On the same test rows, with 95% intervals; the difference's is of paired rows"
    return Table(caption, head, tuple(rows), "lrlrrl")


def _verdict(change: Figure | None, better: bool | None) -> Cell:
    if change is None or better is None:
        return _NONE
    low, high = (change.low, change.high) if better else (-change.high, -change.low)
    if low > 0:
        return Mark("better with it", "good")
    return Mark("worse with it", "bad") if high < 0 else "not told apart"


def _reached(record: CardRecord) -> Table:
    """After how many updates the run was where its twin ended."""
    rows: list[tuple[Cell, ...]] = []
    own = {way.task: way for way in ways_of(record.epochs, record.evaluation)}
    for twin in record.ablations:
        for way in ways_of(twin.epochs, record.evaluation):
            mine = own.get(way.task)
            if mine is None or mine.metric != way.metric:
                continue
            last = way.values[-1]
            theirs, ours = _first_at(way, last), _first_at(mine, last)
            part = f"{words.number(100 * ours / theirs, 3)}%" if theirs and ours else _NONE
            rows.append(
                (
                    f"{words.name(way.task)}: {_by(way)}",
                    _without(twin),
                    words.number(last),
                    words.count(theirs) if theirs else _NONE,
                    words.count(ours) if ours else "not reached",
                    part,
                )
            )
    head = ("figure", "twin", "where the twin ended", "the twin's updates", "this run's updates", "of the twin's")
    caption = "Updates until a figure first was where the twin ended, counted at the ends of epochs"
    return Table(caption, head, tuple(rows), "llrrrr")


def _first_at(way: Way, value: float) -> int | None:
    """The first update at which the way was as far as a value, if it ever was."""
    pairs = zip(way.epochs, way.values, strict=True)
    return next((epoch.step for epoch, own in pairs if (own >= value if way.rises else own <= value)), None)


def _charts(record: CardRecord) -> Iterator[Chart]:
    """A frame a task, with a line for the run and one for each twin."""
    by_run = [record.epochs, *(twin.epochs for twin in record.ablations)]
    names = ["this run", *map(_without, record.ablations)]
    ways = [{way.task: way for way in ways_of(epochs, record.evaluation)} for epochs in by_run]
    for task in record.evaluation.tasks:
        having = [(style, each[task]) for style, each in enumerate(ways) if task in each]
        if len(having) > 1:
            yield _chart(having, names, record.epochs)


def _chart(having: Sequence[tuple[int, Way]], names: Sequence[str], epochs: Sequence[EpochRecord]) -> Chart:
    lines = [Line([epoch.step for epoch in way.epochs], way.values, style) for style, way in having]
    told = [f"{names[style]} ends at {words.number(way.values[-1])}" for style, way in having]
    way = having[0][1]
    title = f"{words.name(way.task)}: {_by(way)}"
    alt, falls = f"{title} over the updates: {'; '.join(told)}.", not way.metric
    marks = marks_of(epochs)
    panel = line_panel(title, lines, alt=alt, x_label="update", whole=True, falls=falls, marks=marks, size=_SIZE)
    return chart_of(panel)


def _by(way: Way) -> str:
    return words.metric(way.metric) if way.metric else "train loss"


def _without(twin: AblationRecord) -> str:
    return f"without {words.name(twin.key)}"
