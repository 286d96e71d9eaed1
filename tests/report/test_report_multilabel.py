"""Cards of a task of several labels: headline, a table by label, pooled calibration, doubtful rows."""

from __future__ import annotations

from typing import Any

import pytest

from jumpml.core import (
    Calibration,
    Curve,
    DiagnosisRecord,
    EvaluationRecord,
    Figure,
    HardExample,
    LabelCounts,
    TaskEvaluation,
)
from jumpml.report import Card, report_card

COUNTS = {
    "joy": LabelCounts(right=30, missed=10, wrong=20),
    "anger": LabelCounts(right=45, missed=15, wrong=5),
    "<b>pride</b>": LabelCounts(right=0, missed=2, wrong=0),
    "relief": LabelCounts(right=0, missed=0, wrong=3),
}


def record(counts: dict[str, LabelCounts]) -> EvaluationRecord:
    figures = {
        "micro_f1": Figure(value=0.7317, low=0.6841, high=0.7752, n=120),
        "subset_accuracy": Figure(value=0.5, low=0.412, high=0.588, n=120),
        "hamming_loss": Figure(value=0.1146, low=0.0958, high=0.1333, n=120),
    }
    task = TaskEvaluation(
        kind="multilabel",
        target="emotions",
        rows=120,
        missing=3,
        classes=tuple(counts),
        figures=figures,
        higher_is_better={"micro_f1": True, "subset_accuracy": True, "hamming_loss": False},
        labels=tuple(counts.values()),
        calibration=Calibration(
            error=0.02, null_low=0.012, null_high=0.051, confidence=(0.7, 0.97), accuracy=(0.68, 0.98), count=(80, 400)
        ),
        curves={"ROC": (Curve(x=(0, 0.1, 1), y=(0, 0.9, 1), x_label="a", y_label="b", label="mean over labels"),)},
    )
    return EvaluationRecord(split="test", tasks={"feeling": task})


@pytest.fixture(scope="module")
def card() -> Card:
    hard = (
        HardExample(
            task="feeling", row=7, target="joy, anger", suggestion="joy", margin=-2.5, loss=0.9, suspicious=True
        ),
        HardExample(task="feeling", row=9, target="no label", margin=0.1, loss=0.3),
    )
    return report_card(record(COUNTS), DiagnosisRecord(hard_examples=hard))


@pytest.mark.parametrize(
    "told",
    [
        "A multilabel task on the field emotions of 4 labels, over 120 rows. 3 rows without a target left out.",
        "Micro F1 0.732 On 120 rows; 95% interval 0.684 to 0.775.",
        "subset accuracy 0.50 0.41 to 0.59 120 higher",
        "Hamming loss 0.115 0.096 to 0.133 120 lower",
        # 45 of 60 and of 50; 2 * 45 / (60 + 50)
        "label rows with it rows given it found right F1 anger 60 50 0.75 0.9 0.818 joy 40 50 0.75 0.6 0.667",
        "<b>pride</b> 2 0 0 \u2013 0 relief 0 3 \u2013 0 0",
        "Every label's yes or no is an answer here, as if those of one row were independent. Stated confidence and",
        "on so many answers, by chance alone: no miscalibration is shown.",
        "how far the score of the row's worst label is on its right side",
        "7 joy, anger joy \u22122.5 0.9 doubtful",
        "2 hard rows, 1 with a doubtful label",
    ],
)
def test_the_card_tells(card: Card, parse: Any, told: str) -> None:
    assert told in parse(card.html).text()


def test_there_is_no_confusion_and_no_mistaken_class(card: Card, parse: Any) -> None:
    text = parse(card.html).text()
    assert "Confusion" not in text
    assert "mistake" not in text


def test_labels_from_data_are_escaped_in_every_form(card: Card) -> None:
    assert "<b>pride" not in card.html
    assert "<b>pride" not in card.markdown


def test_many_labels_are_cut_to_the_most_frequent(parse: Any) -> None:
    counts = {f"label {i}": LabelCounts(right=i, missed=1, wrong=0) for i in range(60)}
    text = parse(report_card(record(counts)).html).text()
    assert "; 20 rarer ones are in card.json" in text
    assert "label 59 60 59" in text
    assert "label 19 20 19" not in text


def test_the_metadata_names_the_metrics_as_the_hub_does(card: Card) -> None:
    front = card.markdown.split("---")[1]
    assert "- type: f1\n" in front
    assert "tabular-classification" in front
