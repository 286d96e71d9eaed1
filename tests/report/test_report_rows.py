"""Cards of reconstructions, named outputs and forecasts."""

from __future__ import annotations

import pytest

from jumpml.core import (
    Curve,
    DiagnosisRecord,
    EvaluationRecord,
    Figure,
    HardExample,
    Reconstruction,
    TaskEvaluation,
)
from jumpml.report import report_card

FIGURE = Figure(value=0.5, low=0.4, high=0.6, n=40)
GRID = ((0.0, 1.0), (0.5, 0.25))


def task_of(kind: str, metric: str, **options: object) -> TaskEvaluation:
    return TaskEvaluation.model_validate(
        {
            "kind": kind,
            "target": "<b>image</b>",
            "rows": 40,
            "missing": 0,
            "figures": {metric: FIGURE},
            "higher_is_better": {metric: False},
            **options,
        }
    )


def test_pictures_stand_beside_their_reconstructions() -> None:
    pairs = tuple(Reconstruction(row=row, original=GRID, reconstruction=GRID, error=0.1 / row) for row in (7, 11))
    card = report_card(
        EvaluationRecord(split="test", tasks={"again": task_of("reconstruction", "psnr", reconstructions=pairs)})
    )
    assert "Pictures and their reconstructions, the worst first" in card.html
    assert card.html.count("Row 7 as it is reconstructed") == 1
    assert "mean squared error 0.0143" in card.html  # 0.1 / 7
    assert card.html.count("data:image/png") == 4
    assert "PSNR" in card.html
    assert "<b>image</b>" not in card.html


def test_a_named_outputs_figure_is_called_by_both_names() -> None:
    card = report_card(EvaluationRecord(split="test", tasks={"body": task_of("regression", "mae.body_mass_g")}))
    assert "MAE of body_mass_g" in card.html


def test_a_forecasts_windows_are_drawn_and_its_pipeline_named() -> None:
    lines = tuple(
        Curve(x=(1.0, 2.0), y=(3.0, 4.0), x_label="step", y_label="OT", label=n) for n in ("true", "forecast")
    )
    task = task_of("forecasting", "mase", curves={"forecast 1": lines, "error by step": lines})
    card = report_card(EvaluationRecord(split="test", tasks={"oil": task}))
    assert "forecast 1 of the task oil: OT against step, one line each for true, forecast." in card.html
    assert "MASE" in card.html
    assert "pipeline_tag: time-series-forecasting" in card.markdown


def test_an_embedding_has_a_pipeline_of_its_own() -> None:
    card = report_card(EvaluationRecord(split="test", tasks={"alike": task_of("retrieval", "recall_at_1")}))
    assert "pipeline_tag: feature-extraction" in card.markdown


@pytest.mark.parametrize(("kind", "told"), [("token_labelling", True), ("multiclass", False)])
def test_a_margin_of_positions_is_said_to_be_a_mean_of_theirs(kind: str, told: bool) -> None:
    hard = HardExample(task="tag", row=3, target="50% N", margin=-0.5, loss=1.0)
    diagnosis = DiagnosisRecord(hard_examples=(hard,))
    evaluation = EvaluationRecord(split="test", tasks={"tag": task_of(kind, "log_loss")})
    card = report_card(evaluation, diagnosis=diagnosis)
    assert ("the row&#39;s positions and the epochs" in card.html) == told
    assert ("A token labelling task on the field" in card.html) == told
