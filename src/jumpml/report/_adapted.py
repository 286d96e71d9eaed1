"""The section on how well the model adapts to the rows that it predicts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from jumpml.report import _words as words
from jumpml.report._blocks import Block, Items, Section, Table, Text

if TYPE_CHECKING:
    from jumpml.core import AdaptedEvaluation, EvaluationRecord, TaskEvaluation

_METHODS = {
    "statistics": "Batch normalization goes by the means and variances of the rows that come",
    "entropy": "Scales and shifts of normalization layers move so that answers become more certain",
    "ttt": "What can be learned without labels is learned from each batch before it is predicted",
    "memo": "The model is brought to agree with itself on changed copies of each row",
}


def adapted_sections(evaluation: EvaluationRecord) -> tuple[Section, ...]:
    """What was adapted, each figure before and after, and what was undone; no section where nobody asked."""
    adapted = evaluation.adapted
    if adapted is None:
        return ()
    blocks: list[Block] = [Text(_how(adapted)), Text(_verdict(adapted))]
    reasons = Counter(text.partition(": ")[2] for text in adapted.undone)
    if reasons:
        blocks.append(Items(tuple(f"{words.prose(why)}: {words.count(n)}" for why, n in reasons.most_common())))
    blocks += [_table(name, task, adapted) for name, task in evaluation.tasks.items() if name in adapted.tasks]
    return (Section("adapted", "Adapted to the rows that it predicts", tuple(blocks)),)


def _how(adapted: AdaptedEvaluation) -> str:
    method = _METHODS.get(adapted.method, f"The method is {words.name(adapted.method)}")
    begins = "each batch begins with the model as it is" if adapted.episodic else "what was adapted stays"
    return (
        f"{method}; {begins}. {words.count(adapted.moved)} numbers of a copy of the model moved, on "
        f"{words.plural(adapted.batches, 'batch', 'batches')} of the rows above, without their labels."
    )


def _verdict(adapted: AdaptedEvaluation) -> str:
    if not adapted.checked:
        return "Nothing would have been undone: it had no probe."
    if not adapted.undone:
        return "The probe found nothing that had become worse, and nothing was undone."
    share = f"{words.count(len(adapted.undone))} of {words.plural(adapted.batches, 'batch', 'batches')}"
    return f"For {share} it was undone, and the model as it is predicted them. The reasons:"


def _table(name: str, task: TaskEvaluation, adapted: AdaptedEvaluation) -> Table:
    after = adapted.tasks[name]
    rows = tuple(
        (
            words.metric(key),
            words.with_interval(figure),
            words.with_interval(after.figures[key]),
            words.with_interval(after.change) if key == after.headline else "",
        )
        for key, figure in task.figures.items()
        if key in after.figures
    )
    caption = f"Task {words.name(name)}: figures with their 95% intervals; the change's is of paired rows"
    return Table(caption, ("metric", "as it is", "adapted", "change"), rows, "lrrr")
