"""The section on how the model learned."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from jumpml.drawing import Line
from jumpml.report import _words as words
from jumpml.report._blocks import Chart, Charts, Heading, Items, Section, Table, Text
from jumpml.report._charts import progress_chart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jumpml.core import EpochRecord
    from jumpml.report._blocks import Block


def learning_section(epochs: Sequence[EpochRecord]) -> Section:
    """Phases, losses by objective, validation figures, and the learning rate."""
    key, title = "learning", "How it learned"
    if not epochs:
        text = "The epochs come from the learner's history: report_card(..., epochs=learner.history.epochs)."
        return Section(key, title, (Text(text, "note"),))
    progress = _Progress(epochs)
    losses = [
        progress.chart(_loss_title(name), lambda epoch, name=name: epoch.losses.get(name), log=True)
        for name in _names(epoch.losses for epoch in epochs)
    ]
    figures = [
        progress.chart(_figure_title(name), lambda epoch, name=name: epoch.val.get(name))
        for name in _names(epoch.val for epoch in epochs)
    ]
    rates = [
        progress.chart(_rate_title(name), lambda epoch, name=name: epoch.learning_rates().get(name))
        for name in dict.fromkeys(name for epoch in epochs for name in epoch.learning_rates())
    ]
    blocks = (
        Text(_sentence(epochs)),
        _phases(progress),
        *_notes(epochs),
        Heading("Losses by objective"),
        Charts(tuple(losses), progress.legend),
        Heading("Validation rows and learning rate" if figures else "Learning rate"),
        Charts((*figures, *rates), progress.legend),
    )
    return Section(key, title, blocks)


class _Progress:
    """The epochs, cut where a phase ends.

    Args:
        epochs: In their order.
    """

    def __init__(self, epochs: Sequence[EpochRecord]) -> None:
        self.stretches = [(phase, list(group)) for phase, group in groupby(epochs, key=lambda epoch: epoch.phase)]
        self._styles = {phase: style for style, phase in enumerate(dict.fromkeys(phase for phase, _ in self.stretches))}
        self._count = len(epochs)

    @property
    def legend(self) -> tuple[tuple[str, int], ...]:
        """The phases' names and styles; empty where there is one only."""
        return (
            tuple((words.name(phase), style) for phase, style in self._styles.items()) if len(self._styles) > 1 else ()
        )

    def chart(self, title: str, read: Callable[[EpochRecord], float | None], *, log: bool = False) -> Chart:
        """What `read` finds in each epoch, a line a phase."""
        lines, start = [], 0
        for phase, group in self.stretches:
            points = [
                (start + i, value) for i, epoch in enumerate(group, start=1) if (value := read(epoch)) is not None
            ]
            start += len(group)
            if points:
                x, y = zip(*points, strict=True)
                lines.append(Line(x, y, self._styles[phase], words.name(phase)))
        broken = sum(not math.isfinite(value) for line in lines for value in line.y)
        note = f"Not a finite number in {words.plural(broken, 'epoch')}." if broken else ""
        return progress_chart(title, lines, alt=self._alt(title, lines), epochs=self._count, log=log, note=note)

    def _alt(self, title: str, lines: Sequence[Line]) -> str:
        parts = []
        for line in lines:
            where = f"{line.label} " if self.legend else ""
            finite = [value for value in line.y if math.isfinite(value)]
            span = f"from {words.number(finite[0])} to {words.number(finite[-1])}" if finite else "no finite value"
            parts.append(f"{where}{span} over {words.plural(len(line.y), 'epoch')}")
        return f"{title}: {'; '.join(parts)}."


def _names(figures: Iterable[Mapping[str, float]]) -> list[str]:
    """Every name once, the sum first."""
    return sorted(
        dict.fromkeys(name for epoch in figures for name in epoch), key=lambda name: name not in {"total", "loss"}
    )


def _loss_title(name: str) -> str:
    return "Weighted sum of all" if name == "total" else words.name(name)


def _figure_title(name: str) -> str:
    task, slash, metric = name.rpartition("/")
    return f"{words.name(task)}: {words.metric(metric)}" if slash else f"Validation {words.name(name)}"


def _rate_title(name: str) -> str:
    _, apart, group = name.partition("/")
    return f"Learning rate: {words.name(group)}" if apart else "Learning rate"


def _sentence(epochs: Sequence[EpochRecord]) -> str:
    took = words.seconds(sum(epoch.seconds for epoch in epochs))
    return (
        f"{words.plural(len(epochs), 'epoch')} and {words.plural(epochs[-1].step, 'step')} of the optimizer, in {took}."
    )


def _notes(epochs: Sequence[EpochRecord]) -> Iterator[Block]:
    """What happened at the ends of epochs: that the model grew, that a phase was over early."""
    told = [f"{words.name(e.phase)}, epoch {e.epoch}: {note}" for e in epochs for note in e.notes]
    if told:
        yield Items(tuple(told))


def _phases(progress: _Progress) -> Table:
    rows = []
    for phase, group in progress.stretches:
        first, last = (epoch.losses.get("total", math.nan) for epoch in (group[0], group[-1]))
        took = words.seconds(sum(epoch.seconds for epoch in group))
        rows.append((words.name(phase), words.count(len(group)), words.number(first), words.number(last), took))
    head = ("phase", "epochs", "first loss", "last loss", "time")
    return Table("Phases in their order; the loss is the weighted sum of all objectives", head, tuple(rows), "lrrrr")
