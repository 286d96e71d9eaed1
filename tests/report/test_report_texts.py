"""Cards of tasks that decide at each token: labelled rows with marked tokens, continuations, the table of hard rows."""

from __future__ import annotations

from typing import Any

from jumpml.core import (
    Calibration,
    Continuation,
    DiagnosisRecord,
    EvaluationRecord,
    Figure,
    HardExample,
    LabelledText,
    TaskEvaluation,
)
from jumpml.report import report_card

HALF = Figure(value=0.5, low=0.4, high=0.6, n=10)
CALIBRATION = Calibration(error=0.2, null_low=0.01, null_high=0.05, confidence=(0.9,), accuracy=(0.7,), count=(1000,))
TEXT = LabelledText(
    row=7,
    tokens=("You", "see", "Rome", "today", "again", "."),
    true=(1, 0, 1, 0, 0, -1),
    decided=(1, 0, 0, 1, 0, 1),
    right=0.6,
)


def record(kind: str, **more: Any) -> EvaluationRecord:
    task = TaskEvaluation(
        kind=kind, target="t", rows=10, missing=0, positions=60, figures={"token_accuracy": HALF},
        higher_is_better={"token_accuracy": True}, **more
    )  # fmt: skip
    return EvaluationRecord(split="test", tasks={"case": task})


def test_the_truth_stands_beside_what_was_decided_and_each_label_and_mistake_is_told_in_words() -> None:
    card = report_card(record("token_labelling", classes=("lower", "title"), texts=(TEXT,), calibration=CALIBRATION))
    true = "| 7 | You[title] see Rome[title] today again . |"
    decided = " You[title] see Rome[lower] \N{MULTIPLICATION X} today[title] \N{MULTIPLICATION X} again . | 60% |"
    assert true + decided in card.markdown.replace("\\", "")
    assert "Labelled rows, the worst first; what is not marked is lower" in card.markdown
    assert card.html.count('<span class="token wrong"') == 2
    assert '<span class="token" style="--tag: var(--c2)">You<small>title</small></span>' in card.html
    assert "Every token's class is an answer here, as if those of one row were independent." in card.markdown
    assert "the model is overconfident" in card.markdown


def test_continuations_stand_beside_the_truth() -> None:
    told = Continuation(row=3, start="First Citi", true="zen:\nBefore", drawn="ng the <b>")
    card = report_card(record("language_modelling", continuations=(told,)))
    assert "| 3 | First Citi | zen: Before | ng the &lt;b&gt; |" in card.markdown
    assert '<td class="l">ng the &lt;b&gt;</td>' in card.html


def test_rows_with_an_answer_at_each_position_have_no_empty_columns() -> None:
    hard = (HardExample(task="case", row=4, target="60% lower, 40% title", margin=-0.5, loss=1.5),)
    card = report_card(record("token_labelling"), DiagnosisRecord(hard_examples=hard))
    assert "| row | target | margin | loss |" in card.markdown
    assert "1 hard row*" in card.markdown
    assert "doubtful" not in card.markdown
