"""Tasks by row from files to a bundle, on real data: wines by grade and quantiles, digits again and by likeness."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from jumpml._project import Project
from jumpml.core import DeploymentRecord, DiagnosisRecord, EvaluationRecord, TaskEvaluation
from jumpml.deploy import Predictor

if TYPE_CHECKING:
    from pathlib import Path

HEADER = [
    *("fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides", "free sulfur dioxide"),
    *("total sulfur dioxide", "density", "pH", "sulphates", "alcohol", "quality"),
]
CHEMISTRY = [name for name in HEADER if name not in {"quality", "alcohol"} and "sulfur" not in name]
LEVELS = [0.1, 0.5, 0.9]
WINE: dict[str, dict[str, Any]] = {
    "data": {
        "datasets": {
            "red": {
                "source": {"kind": "csv", "path": "winequality-red.csv", "header": HEADER},
                "fields": {
                    "chemistry": {"kind": "table", "columns": dict.fromkeys(CHEMISTRY, "number")},
                    "quality": {"kind": "category"},
                    "alcohol": {"kind": "number"},
                    "sulfur": {
                        "kind": "table",
                        "columns": {"free sulfur dioxide": "number", "total sulfur dioxide": "number"},
                    },
                },
                "split": {"train": 0.6, "val": 0.1, "test": 0.3, "duplicates": "together"},
            }
        },
        "features": {"alcohol": [{"standardize": {}}], "sulfur": [{"standardize": {"fill": False}}]},
        "batch_size": 32,
    },
    "model": {
        "seed": 0,
        "nodes": {
            "body": {"module": "jumpml.blocks.MLP", "inputs": "chemistry", "args": {"widths": [32, 32]}},
            "grading": {"module": "jumpml.blocks.Head", "inputs": "body"},
            "spread": {"module": "jumpml.blocks.Head", "inputs": "body"},
            "smell": {"module": "jumpml.blocks.Head", "inputs": "body"},
        },
        "tasks": {
            "grade": {"kind": "ordinal", "output": "grading", "target": "quality"},
            "strength": {"kind": "regression", "output": "spread", "target": "alcohol", "quantiles": LEVELS},
            "dioxide": {"kind": "regression", "output": "smell", "target": "sulfur"},
        },
    },
    "learner": {
        "optimizer": {"kind": "adam", "lr": 0.01},
        "phases": {"supervised": {"epochs": 8}},
        "checkpoint": {"best": {"metric": "val/grade/mae"}},
        "log": ["jsonl"],
    },
    "deploy": {
        "variants": {"int8": {"quantize": {"calibration_rows": 64}}},
        "gate": {"metric": "dioxide/mae.free sulfur dioxide", "max_drop": 5},
        "bundle": "bundles/wine",
    },
}
DIGITS: dict[str, dict[str, Any]] = {
    "data": {
        "datasets": {
            "digits": {
                "source": {"kind": "sklearn", "name": "digits"},
                "fields": {
                    "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                    "label": {"kind": "category", "column": "target"},
                },
                "split": {"train": 0.6, "val": 0.2, "test": 0.2, "stratify": "label"},
            }
        },
        "features": {"image": [{"standardize": {}}]},
        "batch_size": 32,
    },
    "model": {
        "seed": 0,
        "nodes": {
            "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
            "code": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [48, 16]}},
            "wide": {"module": "jumpml.blocks.MLP", "inputs": "code", "args": {"widths": [48]}},
            "drawn": {"module": "jumpml.blocks.Head", "inputs": "wide"},
        },
        "tasks": {
            "again": {"kind": "reconstruction", "output": "drawn", "target": "image"},
            "alike": {"kind": "retrieval", "output": "code", "target": "label", "objective": {"temperature": 0.2}},
        },
    },
    "learner": {
        "optimizer": {"kind": "adam", "lr": 0.005},
        "phases": {"supervised": {"epochs": 12}},
        "log": ["jsonl"],
    },
    "deploy": {
        "bundle": "bundles/digits",
        "gate": {"metric": "alike/recall_at_1", "max_drop": 0.1},
        "variants": {"int8": {"quantize": {}}},
    },
}


def run_of(name: str, files: dict[str, dict[str, Any]], folder: Path) -> Path:
    for kind, content in files.items():
        (folder / f"{name}.{kind}.json").write_text(json.dumps(content), encoding="utf-8")
    return Project.find(folder).run(folder / "runs")


def tasks_of(run: Path) -> dict[str, TaskEvaluation]:
    return EvaluationRecord.model_validate_json((run / "evaluation.json").read_text(encoding="utf-8")).tasks


# --- wines ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wine(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = shared_data / "wine_quality"
    if not source.is_dir():
        pytest.skip(f"no wines at {source}")
    root = {**WINE["data"], "root": str(source.resolve())}
    return run_of("wine", {**WINE, "data": root}, tmp_path_factory.mktemp("wine"))


def test_grades_are_nearer_than_the_most_frequent_one(wine: Path) -> None:
    grade = tasks_of(wine)["grade"]
    assert grade.classes == tuple("345678")
    counts = np.array(grade.confusion)
    grades, true = np.arange(6), counts.sum(1)
    always = min(np.abs(grades - code) @ true / true.sum() for code in grades)
    assert grade.figures["mae"].high < always
    assert grade.figures["quadratic_kappa"].low > 0.2
    assert grade.calibration is not None


def test_quantiles_hold_the_share_that_they_say(wine: Path) -> None:
    strength = tasks_of(wine)["strength"]
    coverage = strength.figures["coverage"]
    assert coverage.low - 0.1 < 0.8 < coverage.high + 0.1
    assert 0 < strength.figures["width"].value < 4  # the wines have 8.4 to 14.9% alcohol
    assert "quantiles" in strength.curves


def test_each_output_of_a_table_has_its_figures(wine: Path) -> None:
    dioxide = tasks_of(wine)["dioxide"]
    assert dioxide.figures["r2.total sulfur dioxide"].low > 0
    assert dioxide.figures["rmse.free sulfur dioxide"].value < dioxide.figures["rmse.total sulfur dioxide"].value
    answer = DeploymentRecord.model_validate_json((wine / "deployment.json").read_text()).variants["int8"].gate
    assert answer is not None
    assert answer.answer == "pass"


def test_the_card_and_the_diagnosis_tell_of_them(wine: Path) -> None:
    card = (wine / "card.html").read_text(encoding="utf-8")
    for told in (
        "An ordinal task",
        "quadratic kappa",
        "MAE of free sulfur dioxide",
        "coverage",
        "level of the quantile",
    ):
        assert told in card
    found = DiagnosisRecord.model_validate_json((wine / "diagnosis.json").read_text(encoding="utf-8"))
    assert {attribution.task for attribution in found.attributions} == {"grade", "strength", "dioxide"}
    assert {example.task for example in found.hard_examples} == {"grade", "strength", "dioxide"}


def test_the_bundle_answers_a_grade_an_interval_and_numbers_by_name(wine: Path) -> None:
    predictor = Predictor(wine / "bundles" / "wine")
    predictor.check_golden()
    row = dict(zip(HEADER, [7.4, 0.7, 0, 1.9, 0.076, 11, 34, 0.9978, 3.51, 0.56, 9.4, 5], strict=True))
    (answer,) = predictor.predict([row])
    assert answer["grade"]["prediction"] in "456"
    assert sum(answer["grade"]["probability"].values()) == pytest.approx(1)
    strength = answer["strength"]
    assert strength["low"] < strength["prediction"] < strength["high"]
    assert set(answer["dioxide"]["prediction"]) == {"free sulfur dioxide", "total sulfur dioxide"}
    text = (wine / "bundles" / "wine" / "README.md").read_text(encoding="utf-8")
    assert "a number (the median; `low` and `high` are the quantiles 0.1 and 0.9), for the field `alcohol`" in text
    assert "the numbers `free sulfur dioxide`, `total sulfur dioxide`, for the field `sulfur`" in text


# --- digits -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of("digits", DIGITS, tmp_path_factory.mktemp("digits"))


def test_pictures_are_reconstructed_better_than_by_their_mean(digits: Path) -> None:
    again = tasks_of(digits)["again"]
    images = load_digits(return_X_y=True)[0].reshape(-1, 8, 8) / 16
    assert again.figures["mse"].high < 0.5 * np.square(images - images.mean(0)).mean()
    errors = [pair.error for pair in again.reconstructions]
    assert errors == sorted(errors, reverse=True)
    assert len(errors) == 8
    assert "Pictures and their reconstructions" in (digits / "card.html").read_text(encoding="utf-8")


def test_the_bundle_answers_a_picture_in_its_own_range(digits: Path) -> None:
    predictor = Predictor(digits / "bundles" / "digits")
    predictor.check_golden()
    picture = load_digits(return_X_y=True)[0].reshape(-1, 8, 8)[3]
    (answer,) = predictor.predict([{"image": picture.tolist()}])
    drawn = np.array(answer["again"]["prediction"])
    assert drawn.shape == (1, 8, 8)
    assert np.abs(drawn[0] - picture).mean() < np.abs(picture - picture.mean()).mean() / 2


def test_the_nearest_digits_are_of_the_same_class(digits: Path) -> None:
    alike = tasks_of(digits)["alike"]
    assert list(alike.figures) == ["recall_at_1", "recall_at_5", "mean_average_precision"]
    assert alike.figures["recall_at_1"].low > 0.9
    assert alike.figures["mean_average_precision"].low > 0.8
    assert alike.calibration is None
    assert alike.confusion is None
    assert "recall at 1" in (digits / "card.html").read_text(encoding="utf-8")
    found = DiagnosisRecord.model_validate_json((digits / "diagnosis.json").read_text(encoding="utf-8"))
    assert "alike: an embedding decides nothing by itself, so that there is nothing to attribute." in found.notes
    assert {example.task for example in found.hard_examples} == {"again"}


def test_the_bundle_answers_an_embedding_of_length_one(digits: Path) -> None:
    predictor = Predictor(digits / "bundles" / "digits")
    images, labels = load_digits(return_X_y=True)
    answers = predictor.predict([{"image": image.reshape(8, 8).tolist()} for image in images[:200]])
    codes = np.array([answer["alike"]["prediction"] for answer in answers])
    assert codes.shape == (200, 16)
    np.testing.assert_allclose(np.square(codes).sum(1), 1, rtol=1e-5)
    likeness = codes @ codes.T - 2 * np.eye(200)
    nearest = np.asarray(labels)[likeness.argmax(1)]
    assert np.mean(nearest == np.asarray(labels)[:200]) > 0.9
    text = (digits / "bundles" / "digits" / "README.md").read_text(encoding="utf-8")
    assert "`alike`: a vector of length 1; of rows of one class of `label` the scalar product is large" in text
