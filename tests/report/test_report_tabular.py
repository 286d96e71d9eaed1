"""Cards of a table with thirty columns: bars instead of pictures, a binary task beside a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from jumpml.core import (
    AttributedExample,
    Attribution,
    Calibration,
    Curve,
    DiagnosisRecord,
    EvaluationRecord,
    Figure,
    HardExample,
    RunRecord,
    TaskEvaluation,
)
from jumpml.report import Card, report_card

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def tabular() -> dict[str, Any]:
    """Arguments of `report_card` for two tasks on a table of 30 columns: a diagnosis and a number."""
    from sklearn.datasets import load_breast_cancer

    table: Any = load_breast_cancer()
    x, y, columns = table.data, table.target, table.feature_names
    names = [str(column).replace(" ", "_") for column in columns]
    strength = np.abs((x[y == 1].mean(0) - x[y == 0].mean(0)) / x.std(0))
    good, fair = Figure(value=0.9, low=0.87, high=0.92, n=64), Figure(value=0.88, low=0.85, high=0.91, n=64)
    attributions = []
    for task in ("malignant", "area"):
        kind = {"target": "M", "predicted": "B"} if task == "malignant" else {"target": "654.9", "predicted": "702.1"}
        for i, name in enumerate(names):
            shares = {row: float(strength[i] * (x[row, i] - x[:, i].mean()) / x[:, i].std()) for row in (3, 17, 40)}
            examples = tuple(
                AttributedExample(row=row, value=((float(x[row, i]),),), attribution=((share,),), **kind)
                for row, share in shares.items()
            )
            attributions.append(
                Attribution(
                    task=task,
                    field=name,
                    kind="number",
                    mean_absolute=((float(strength[i]),),),
                    examples=examples,
                    insertion=good,
                    random_insertion=fair,
                    deletion=Figure(value=0.31, low=0.28, high=0.34, n=64),
                    random_deletion=Figure(value=0.55, low=0.5, high=0.6, n=64),
                    convergence=0.002,
                )
            )
    rng = np.random.default_rng(0)
    true = x[:120, 3]
    scatter = Curve(
        x=tuple(map(float, true)),
        y=tuple(map(float, true + rng.normal(0, 60, 120))),
        x_label="true",
        y_label="predicted",
    )
    binary = TaskEvaluation(
        kind="binary",
        target="diagnosis",
        rows=112,
        missing=2,
        classes=("B", "M"),
        figures={"accuracy": Figure(value=0.9643, low=0.9118, high=0.986, n=112)},
        higher_is_better={"accuracy": True},
        confusion=((70, 1), (3, 38)),
        calibration=Calibration(
            error=0.02, null_low=0.012, null_high=0.051, confidence=(0.7, 0.97), accuracy=(0.68, 0.98), count=(12, 100)
        ),
        curves={
            "ROC": (Curve(x=(0, 0.02, 1), y=(0, 0.93, 1), x_label="false positive rate", y_label="true positive rate"),)
        },
    )
    number = TaskEvaluation(
        kind="regression",
        target="mean_area",
        rows=114,
        missing=0,
        figures={
            "rmse": Figure(value=58.31, low=49.92, high=66.4, n=114),
            "r2": Figure(value=0.971, low=0.958, high=0.98, n=114),
        },
        higher_is_better={"rmse": False, "r2": True},
        curves={"predicted and true": (scatter,)},
    )
    hard = [
        HardExample(task="malignant", row=73, target="B", suggestion="M", margin=-3.1, loss=3.2, suspicious=True),
        HardExample(task="malignant", row=12, target="M", suggestion="B", margin=-0.4, loss=1.1),
        HardExample(task="area", row=461, target="2501", margin=-312.0, loss=97344.0),
    ]
    return {
        "evaluation": EvaluationRecord(
            split="test",
            tasks={"malignant": binary, "area": number},
            notes=("An average of the weights exists; these are the raw ones",),
        ),
        "diagnosis": DiagnosisRecord(attributions=tuple(attributions), hard_examples=tuple(hard)),
    }


@pytest.fixture(scope="module")
def card(tabular: dict[str, Any]) -> Card:
    return report_card(**tabular)


@pytest.fixture(scope="module")
def page(card: Card, parse: Any) -> Any:
    return parse(card.html)


def test_the_page_is_sound(card: Card, faults: Callable[[str], list[str]]) -> None:
    assert faults(card.html) == []


def test_two_headlines_with_their_tasks(page: Any) -> None:
    told = page.text("p")
    assert "malignant: accuracy 0.964 Right on 108 of 112 rows; 95% interval 0.912 to 0.986." in told
    assert "area: RMSE 58 On 114 rows; 95% interval 50 to 66." in told
    assert "An average of the weights exists; these are the raw ones." in told


def test_fields_of_one_number_stand_in_one_drawing(page: Any) -> None:
    captions = [text for tag, text in page.texts if tag == "figcaption"]
    assert captions.count("What the answers rest on, by field, the 24 largest of 30") == 2
    assert "Row 17: is M, answered B" in captions
    assert "Row 17: is 654.9, answered 702.1" in captions
    drawn = [text.strip() for tag, text in page.texts if tag == "text"]
    assert "worst_radius = 20.96" in drawn  # scikit-learn's value of row 17
    assert page.of("img") == []


def test_fields_that_were_ranked_together_are_judged_together(page: Any) -> None:
    told = page.text("p")
    assert told.count("The ranking of mean_radius, mean_texture") == 2  # once a task
    assert "mean_compactness and 24 more beats a random one on deletion only." in told


def test_numbers_are_neither_right_nor_wrong(page: Any) -> None:
    drawn = [text.strip() for tag, text in page.texts if tag == "text"]
    assert "lowers or raises the number" in drawn
    assert "speaks against or for the answer" in drawn
    assert "minus the absolute error, averaged over the epochs" in page.text("p")


def test_hard_rows_without_pictures_are_a_table(page: Any) -> None:
    assert "73 B M \u22123.1 3.2 doubtful" in page.text("td", "th", "span")


def test_rows_without_a_target_are_told(page: Any) -> None:
    assert "over 112 rows. 2 rows without a target left out." in page.text("p")


def test_points_are_no_line(page: Any) -> None:
    labels = [svg.get("aria-label") for svg in page.of("svg")]
    assert "predicted and true of the task area: predicted against true." in labels
    assert len(page.of("use")) > 120  # a point is a use of one mark; ticks are too


def test_a_code_is_told_as_its_class(tabular: dict[str, Any], parse: Any) -> None:
    diagnosis = tabular["diagnosis"]
    first = diagnosis.attributions[0]
    shown = AttributedExample(row=3, target="M", predicted="M", value=((1.0,),), attribution=((0.5,),))
    sex = first.model_copy(update={"field": "sex", "kind": "category", "examples": (shown,)})
    data: Any = {"fields": {"sex": {"kind": "category", "classes": ["female", "male"]}}}
    run = RunRecord(name="t", created="", specs={}, environment={}, data=data)
    told = parse(report_card(tabular["evaluation"], DiagnosisRecord(attributions=(sex,)), run=run).html)
    assert "sex = male" in [text.strip() for tag, text in told.texts if tag == "text"]


@pytest.mark.parametrize(
    ("inserted", "deleted", "told"),
    [
        ((0.7, 0.8), (0.2, 0.3), "beats a random one."),
        ((0.7, 0.8), (0.4, 0.5), "beats a random one on insertion only."),
        ((0.4, 0.5), (0.2, 0.3), "beats a random one on deletion only."),
        ((0.4, 0.5), (0.4, 0.5), "is no better than a random one: do not trust these pictures."),
    ],
)
def test_verdict(
    inserted: tuple[float, float], deleted: tuple[float, float], told: str, tabular: dict[str, Any]
) -> None:
    def figure(low: float, high: float) -> Figure:
        return Figure(value=(low + high) / 2, low=low, high=high, n=64)

    update = {
        "insertion": figure(*inserted),
        "random_insertion": figure(0.45, 0.6),
        "deletion": figure(*deleted),
        "random_deletion": figure(0.35, 0.55),
    }
    diagnosis = DiagnosisRecord(attributions=(tabular["diagnosis"].attributions[0].model_copy(update=update),))
    assert f"The ranking of mean_radius {told}" in report_card(tabular["evaluation"], diagnosis).html


@pytest.mark.parametrize(
    ("error", "confidence", "told"),
    [
        (0.05, 0.97, "on so many answers, by chance alone: no miscalibration is shown."),
        (0.2, 0.97, "on so many answers, by chance alone: the model is overconfident."),
        (0.2, 0.5, "on so many answers, by chance alone: the model is underconfident."),
    ],
)
def test_calibration_is_judged_by_its_null_band(
    error: float, confidence: float, told: str, tabular: dict[str, Any]
) -> None:
    record = Calibration(
        error=error, null_low=0.01, null_high=0.05, confidence=(confidence,), accuracy=(0.7,), count=(10,)
    )
    task = tabular["evaluation"].tasks["malignant"].model_copy(update={"calibration": record})
    html = report_card(EvaluationRecord(split="test", tasks={"malignant": task})).html
    assert "95% would show between 0.01 and 0.05" in html
    assert told in html
