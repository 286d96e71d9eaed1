"""The head of the card: what the model is, what it is for, and its first figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import TASK_KINDS
from jumpml.report import _words as words
from jumpml.report._blocks import Block, Facts, Headline, Headlines, Text

if TYPE_CHECKING:
    from jumpml.core import TaskEvaluation
    from jumpml.report._record import CardRecord


def title(record: CardRecord) -> str:
    """The model's name."""
    return words.name(record.run.name) if record.run else "A model without a name"


def overview(record: CardRecord) -> tuple[Block, ...]:
    """What stands above the first section."""
    tasks = record.evaluation.tasks
    headlines = tuple(_headline(name, task, several=len(tasks) > 1) for name, task in tasks.items() if task.figures)
    blocks: list[Block] = [Headlines(headlines)] if headlines else []
    blocks.append(Text(_measured_on(record), "note"))
    blocks.extend(Text(note, "unsure") for note in words.sentences(record.evaluation.notes))
    facts = _facts(record)
    if facts:
        blocks.append(Facts(facts))
    if not record.run:
        blocks.append(
            Text("Name, purpose and limits come from the run's record: report_card(..., run=record).", "note")
        )
    return tuple(blocks)


def first_metric(task: TaskEvaluation) -> str:
    """The metric to show large: the kind's own first one where it was measured."""
    kind = TASK_KINDS.get(task.kind)
    return next((key for key in (kind.metrics if kind else ()) if key in task.figures), next(iter(task.figures), ""))


def _headline(name: str, task: TaskEvaluation, *, several: bool) -> Headline:
    key = first_metric(task)
    figure = task.figures[key]
    text = f"95% interval {words.interval(figure)}."
    if key == "accuracy":
        right = words.count(round(figure.value * figure.n))
        text = f"Right on {right} of {words.plural(figure.n, 'row')}; {text}"
    else:
        text = f"On {words.plural(figure.n, 'row')}; {text}"
    metric = words.metric(key)
    label = f"{words.name(name, 40)}: {metric}" if several else metric[0].upper() + metric[1:]
    return Headline(label, words.figure(figure), text)


def _measured_on(record: CardRecord) -> str:
    text = f"Measured on the {words.name(record.evaluation.split)} rows"
    if record.evaluation.split == "test":
        text += ", which took no part in training"
    weights = ", with weights averaged over the steps of training" if record.evaluation.averaged_weights else ""
    return f"{text}{weights}."


def _facts(record: CardRecord) -> tuple[tuple[str, str], ...]:
    said = (
        ("For", words.prose(record.about("model", "intended_use"))),
        ("Limits", words.prose(record.about("model", "limits"))),
        ("Owner", words.prose(record.about("model", "owner"))),
        ("Licence", words.prose(record.about("model", "license"))),
        ("Run on", words.moment(record.run.created) if record.run else ""),
    )
    return tuple(pair for pair in said if pair[1])
