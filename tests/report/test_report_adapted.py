"""The card's section on an adapting copy: both side by side, and what was undone, in words."""

from __future__ import annotations

from typing import Any

from jumpml.core import AdaptedEvaluation, AdaptedTask, EvaluationRecord, Figure, TaskEvaluation
from jumpml.report import report_card

BEFORE = {
    "accuracy": Figure(value=0.6, low=0.56, high=0.64, n=500),
    "log_loss": Figure(value=1.2, low=1.1, high=1.3, n=500),
}
AFTER = {
    "accuracy": Figure(value=0.9, low=0.87, high=0.92, n=500),
    "log_loss": Figure(value=0.3, low=0.2, high=0.4, n=500),
}
TITLE = "Adapted to the rows that it predicts"


def card_of(**changes: Any) -> str:
    task = TaskEvaluation(
        kind="multiclass", target="t", rows=500, missing=0, figures=BEFORE, higher_is_better={"accuracy": True}
    )
    change = Figure(value=0.3, low=0.26, high=0.34, n=500)
    adapted = AdaptedEvaluation(
        **{
            "method": "statistics",
            "episodic": False,
            "moved": 1024,
            "batches": 8,
            "checked": True,
            "tasks": {"digit": AdaptedTask(figures=AFTER, headline="accuracy", change=change)},
            **changes,
        }
    )
    return report_card(EvaluationRecord(split="test", tasks={"digit": task}, adapted=adapted)).markdown


def test_both_stand_side_by_side_with_the_change_of_the_first_figure() -> None:
    card = card_of()
    assert f"## {TITLE}" in card
    assert "means and variances of the rows that come; what was adapted stays. 1,024 numbers of a copy" in card
    assert "on 8 batches of the rows above, without their labels." in card
    assert "| accuracy | 0.600 (0.560 to 0.640) | 0.900 (0.870 to 0.920) | 0.300 (0.260 to 0.340) |" in card
    assert "| log loss | 1.20 (1.10 to 1.30) | 0.30 (0.20 to 0.40) |  |" in card
    assert "The probe found nothing that had become worse, and nothing was undone." in card


def test_what_was_undone_is_told_with_its_reasons() -> None:
    undone = ("batch 1: decisions collapse", "batch 2: <b>", "batch 5: decisions collapse")
    card = card_of(undone=undone, episodic=True, method="entropy")
    assert "so that answers become more certain; each batch begins with the model as it is." in card
    assert "For 3 of 8 batches it was undone, and the model as it is predicted them. The reasons:" in card
    assert "- decisions collapse: 2" in card
    assert "<b>" not in card


def test_without_a_probe_it_says_so_and_a_method_of_the_users_own_has_its_name() -> None:
    card = card_of(checked=False, method="mine")
    assert "The method is mine; what was adapted stays." in card
    assert "Nothing would have been undone: it had no probe." in card


def test_nothing_is_said_where_nothing_was_asked() -> None:
    assert TITLE not in report_card(EvaluationRecord(split="test", tasks={})).markdown
