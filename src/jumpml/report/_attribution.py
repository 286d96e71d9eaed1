"""The section on why the model answers as it does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from jumpml.report import _pixels as pixels
from jumpml.report import _words as words
from jumpml.report._blocks import Block, Cell, Chart, Charts, Gallery, Heading, Image, Mark, Section, Text, Tile
from jumpml.report._charts import bar_chart
from jumpml.report._faithfulness import faithfulness
from jumpml.report._record import decides

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jumpml.core import AttributedExample, Attribution
    from jumpml.report._record import CardRecord

    Grid = tuple[tuple[float, ...], ...]

_BARS = 24  # a chart with more bars is not read to its end
_ROW_BARS = 8  # of one row
_EXAMPLES = 11  # pictures of one field, beside the average
_ROWS = 4  # rows whose fields are weighed against each other


def attribution_section(record: CardRecord) -> Section:
    """What in the input the answers rest on, and whether that ranking beats a random one."""
    key, title = "why", "Why it answers as it does"
    if record.diagnosis is None:
        text = "Not diagnosed: jumpml.diagnose(dataloader, model) says on what the answers rest."
        return Section(key, title, (Text(text, "note"),))
    if not record.diagnosis.attributions:
        return Section(key, title, (Text("No attribution was computed.", "note"),))
    blocks: list[Block] = [
        Text(
            "Integrated gradients share out each answer among the elements of the input. Whether the shares mean "
            "something is checked: with the most important elements put first into an average input, the row's own "
            "answer should appear sooner than in a random order (insertion); with them taken away first, it should "
            "vanish sooner (deletion)."
        )
    ]
    for task, group in groupby(record.diagnosis.attributions, key=lambda attribution: attribution.task):
        blocks += [Heading(f"Task {words.name(task)}"), *_Answers(record, task, list(group)).blocks()]
    return Section(key, title, tuple(blocks))


@dataclass(frozen=True)
class _Answers:
    """One task's attributions."""

    record: CardRecord
    task: str
    attributions: list[Attribution]

    def blocks(self) -> list[Block]:
        blocks: list[Block] = []
        if len(self.attributions) > 1:
            blocks.append(Charts((self._by_field(),)))
        if rows := self._weighed_rows():
            blocks.append(Charts(rows))
        for attribution in self.attributions:
            blocks.extend(self._field(attribution))
        return [*blocks, *faithfulness(self.attributions)]

    @property
    def _numbers(self) -> bool:
        """Whether the answers are numbers, which are never right or wrong."""
        return decides(self.record.evaluation.tasks.get(self.task)) == "numbers"

    def _weighed_rows(self) -> tuple[Chart, ...]:
        """For fields of one element, such as a table's columns: a chart a row, in which they stand side by side."""
        by_row: dict[int, list[tuple[str, AttributedExample]]] = {}
        for attribution in self.attributions:
            if len(attribution.mean_absolute) == len(attribution.mean_absolute[0]) == 1:
                for example in attribution.examples:
                    by_row.setdefault(example.row, []).append((attribution.field, example))
        charts = []
        for fields in list(by_row.values())[:_ROWS]:
            bars = [
                (f"{words.name(field, 24)} = {self._value(field, e.value[0][0])}", e.attribution[0][0])
                for field, e in fields
            ]
            charts.append(self._row(fields[0][1], bars))
        return tuple(charts)

    def _value(self, field: str, value: float) -> str:
        """A number, or the class that it is the code of."""
        classes = self.record.data.get("fields", {}).get(field, {}).get("classes") or ()
        known = value.is_integer() and 0 <= value < len(classes)
        return words.name(classes[int(value)], 16) if known else words.number(value)

    def _row(self, example: AttributedExample, bars: Sequence[tuple[str, float]]) -> Chart:
        shown = sorted(bars, key=lambda bar: -abs(bar[1]))[:_ROW_BARS]
        title = f"Row {example.row}: is {words.name(example.target, 24)}, answered {words.name(example.predicted, 24)}"
        x_label = "lowers or raises the number" if self._numbers else "speaks against or for the answer"
        alt = f"{title}; of the task {words.name(self.task)}. {shown[0][0]} weighs most."
        return bar_chart(title, *zip(*shown, strict=True), alt=alt, x_label=x_label, signed=True)

    def _field(self, attribution: Attribution) -> list[Block]:
        height, width = len(attribution.mean_absolute), len(attribution.mean_absolute[0])
        if attribution.kind == "image" or height > 1:
            return [self._pictures(attribution)]
        if width == 1:
            return []
        rows = [
            self._row(
                example,
                [
                    (f"[{i}] = {words.number(x, 3)}", y)
                    for i, (x, y) in enumerate(zip(example.value[0], example.attribution[0], strict=True))
                ],
            )
            for example in attribution.examples[:_ROWS]
        ]
        return [Charts((self._elements(attribution), *rows))]

    def _by_field(self) -> Chart:
        totals = [(words.name(a.field, 28), sum(map(sum, a.mean_absolute))) for a in self.attributions]
        return self._ranked("What the answers rest on, by field", totals)

    def _elements(self, attribution: Attribution) -> Chart:
        field, shares = words.name(attribution.field, 20), attribution.mean_absolute[0]
        return self._ranked(f"Elements of {field}", [(f"{field}[{i}]", share) for i, share in enumerate(shares)])

    def _ranked(self, title: str, bars: Sequence[tuple[str, float]]) -> Chart:
        shown = sorted(bars, key=lambda bar: -bar[1] if math.isfinite(bar[1]) else 0.0)[:_BARS]
        cut = f", the {_BARS} largest of {len(bars)}" if len(bars) > _BARS else ""
        first = words.listing([label for label, _ in shown], 5)
        alt = f"{title}, of the task {words.name(self.task)}, most important first: {first}."
        x_label = "mean absolute attribution"
        return bar_chart(f"{title}{cut}", *zip(*shown, strict=True), alt=alt, x_label=x_label)

    def _pictures(self, attribution: Attribution) -> Gallery:
        field, examples = words.name(attribution.field), attribution.examples[:_EXAMPLES]
        scale = _scale(example.attribution for example in examples)
        average = Image(pixels.intensity(attribution.mean_absolute), f"Mean absolute attribution of {field}")
        tiles = [
            Tile((average,), "On average", ("over many rows",)),
            *(self._pair(example, scale) for example in examples),
        ]
        effect = ("raises the number", "lowers it") if self._numbers else ("speaks for the answer", "speaks against it")
        reading = f"The input, and in orange what {effect[0]}, in blue what {effect[1]}"
        return Gallery(f"Rows by their {field}", tuple(tiles), reading)

    def _pair(self, example: AttributedExample, scale: float) -> Tile:
        images = (
            Image(pixels.gray(example.value), f"Row {example.row}"),
            Image(pixels.heat(example.value, example.attribution, scale=scale), f"Attribution of row {example.row}"),
        )
        answer: Cell = f"answered {words.name(example.predicted, 24)}"
        if not self._numbers:
            answer = Mark(answer, "good" if example.target == example.predicted else "bad")
        return Tile(images, f"Row {example.row}", (f"is {words.name(example.target, 24)}", answer))


def _scale(grids: Iterable[Grid]) -> float:
    """What gets the full colour in every picture: nearly the largest share, so that one pixel does not dim the rest."""
    shares = sorted(abs(x) for grid in grids for line in grid for x in line if math.isfinite(x))
    return shares[int(0.995 * (len(shares) - 1))] if shares else 1.0
