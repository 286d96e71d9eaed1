"""The section on the rows that stayed hard."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from jumpml.core import TASK_KINDS
from jumpml.report import _pixels as pixels
from jumpml.report import _words as words
from jumpml.report._blocks import Block, Cell, Gallery, Heading, Image, Mark, Section, Table, Text, Tile
from jumpml.report._record import decides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import HardExample
    from jumpml.report._record import CardRecord

_SHOWN = 24  # hard examples of one task
_CLASSES = (
    "Train rows with the lowest margin: the score of the row's label less the best other one, averaged over the "
    "epochs. Below zero the model mostly preferred another answer; where it did so to the end, the label itself is "
    "doubtful and worth a look."
)
_LABELS = (
    "Train rows with the lowest margin: how far the score of the row's worst label is on its right side, averaged over "
    "the epochs. Below zero the model mostly gave a label too many or too few; where it did so to the end with a label "
    "that it otherwise knows, that label is doubtful and worth a look."
)
_POSITIONS = (
    "Train rows with the lowest margin: at a position the score of its class less the best other one, averaged over "
    "the row's positions and the epochs. Below zero the model mostly preferred other answers."
)
_NUMBERS = "Train rows with the lowest margin: minus the absolute error, averaged over the epochs."


def struggles_section(record: CardRecord) -> Section:
    """Hard train rows, the doubtful labels among them marked."""
    key, title = "struggles", "Where it struggles"
    if record.diagnosis is None:
        text = "Not diagnosed: jumpml.diagnose(dataloader, model, learner.history) finds the rows that stayed hard."
        return Section(key, title, (Text(text, "note"),))
    if not record.diagnosis.hard_examples:
        text = "No hard examples: they come from what the learner remembers of each row (record_examples in its file)."
        return Section(key, title, (Text(text, "note"),))
    blocks: list[Block] = []
    for task, group in groupby(record.diagnosis.hard_examples, key=lambda example: example.task):
        told = _told(record, task)
        one_answer = told in {_CLASSES, _LABELS}  # that the model may prefer another to, and that may be doubted
        blocks += [Heading(f"Task {words.name(task)}"), Text(told), *_task(list(group), one_answer=one_answer)]
    return Section(key, title, tuple(blocks))


def _told(record: CardRecord, task: str) -> str:
    """What a margin of the task's is."""
    evaluated = record.evaluation.tasks.get(task)
    kind = TASK_KINDS.get(evaluated.kind) if evaluated else None
    if kind and kind.at != "row":
        return _POSITIONS
    return {"numbers": _NUMBERS, "labels": _LABELS}.get(decides(evaluated), _CLASSES)


def _task(examples: Sequence[HardExample], *, one_answer: bool) -> list[Block]:
    doubtful = sum(example.suspicious for example in examples)
    caption = words.plural(len(examples), "hard row")
    caption += f", {words.count(doubtful)} with a doubtful label" if one_answer else ""
    if len(examples) > _SHOWN:
        caption += f"; the hardest {_SHOWN} are shown"
    shown = examples[:_SHOWN]
    if all(example.picture for example in shown):
        return [Gallery(caption, tuple(map(_tile, shown)))]
    return [_table(caption, shown, one_answer=one_answer)]


def _tile(example: HardExample) -> Tile:
    image = Image(pixels.gray(example.picture or ()), f"Row {example.row}")
    lines: list[Cell] = [f"labelled {words.name(example.target, 24)}", f"margin {words.signed(example.margin)}"]
    if example.suggestion:
        lines.append(f"rather {words.name(example.suggestion, 24)}")
    if example.suspicious:
        lines.append(Mark("doubtful label", "unsure"))
    return Tile((image,), f"Row {example.row}", tuple(lines))


def _table(caption: str, examples: Sequence[HardExample], *, one_answer: bool) -> Table:
    rows = tuple(
        (
            str(example.row),
            words.name(example.target),
            *((words.name(example.suggestion) if example.suggestion else "\N{EN DASH}",) if one_answer else ()),
            words.signed(example.margin),
            words.number(example.loss, 3),
            *((Mark("doubtful", "unsure") if example.suspicious else "",) if one_answer else ()),
        )
        for example in examples
    )
    if not one_answer:
        return Table(caption, ("row", "target", "margin", "loss"), rows, "llrr")
    return Table(caption, ("row", "label", "model prefers", "margin", "loss", "the label"), rows, "lllrrl")
