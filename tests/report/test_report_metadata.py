"""The README as a model card of Hugging Face; huggingface_hub reads it without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData, metadata_load
from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index, model_index_to_eval_results

from jumpml.core import DeploymentRecord, EvaluationRecord, Figure, RunRecord
from jumpml.report import report_card

if TYPE_CHECKING:
    from pathlib import Path


def front(markdown: str) -> dict[str, Any]:
    return yaml.safe_load(markdown.split("---\n")[1])


def results(data: ModelCardData) -> list[EvalResult]:
    """The results of a card that was read."""
    assert data.eval_results is not None
    return data.eval_results


def test_results_can_fail() -> None:
    with pytest.raises(AssertionError):
        results(ModelCardData())


def test_hugging_face_reads_it(
    evaluation: EvaluationRecord, deployment: DeploymentRecord, run: RunRecord, tmp_path: Path
) -> None:
    report_card(evaluation, deployment=deployment, run=run).save(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    data = card.data
    assert isinstance(data, ModelCardData)
    assert (data.license, data.library_name, data.pipeline_tag) == ("apache-2.0", "jumpml", "image-classification")
    assert data.tags == ["jumpml", "pytorch", "onnx"]
    assert data.model_name == "digits"
    figures = evaluation.tasks["digit"].figures
    assert {result.metric_name: result.metric_value for result in results(data)} == {
        "accuracy": figures["accuracy"].value,
        "macro F1": 0.8821,
        "AUROC": 0.9874,
        "log loss": 0.4213,
        "mean distance": 0.41,
    }
    first = results(data)[0]
    assert (first.task_type, first.dataset_name, first.dataset_type) == ("image-classification", "digits", "digits")
    assert (first.dataset_split, first.metric_type) == ("test", "accuracy")
    assert card.text.lstrip().startswith("# digits")


def test_the_index_is_theirs_to_the_key(evaluation: EvaluationRecord, run: RunRecord) -> None:
    index = front(report_card(evaluation, run=run).markdown)["model-index"]
    assert eval_results_to_model_index(*model_index_to_eval_results(index)) == index


def test_metadata_load_reads_the_file(evaluation: EvaluationRecord, run: RunRecord, tmp_path: Path) -> None:
    card = report_card(evaluation, run=run)
    card.save(tmp_path)
    assert metadata_load(tmp_path / "README.md") == front(card.markdown)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("cc-by-4.0", {"license": "cc-by-4.0"}),
        ("Our own: ask Ada", {"license": "other", "license_name": "our-own-ask-ada"}),
        ("\u00a9", {"license": "other", "license_name": "custom"}),
        ("", {}),
    ],
)
def test_license(given: str, expected: dict[str, str], evaluation: EvaluationRecord) -> None:
    run = RunRecord(name="m", created="", specs={"model": {"about": {"license": given}}}, environment={})
    data = front(report_card(evaluation, run=run).markdown)
    assert {key: data[key] for key in data if key.startswith("license")} == expected


@pytest.mark.parametrize(
    ("kind", "field", "task_type", "tag"),
    [
        ("multiclass", "image", "image-classification", "image-classification"),
        ("binary", "number", "tabular-classification", "tabular-classification"),
        ("multilabel", "text", "text-classification", "text-classification"),
        ("multiclass", "audio", "audio-classification", "audio-classification"),
        ("regression", "tensor", "tabular-regression", "tabular-regression"),
        ("regression", "image", "image-regression", None),  # the hub has no such pipeline
    ],
)
def test_task_type(kind: str, field: str, task_type: str, tag: str | None, evaluation: EvaluationRecord) -> None:
    task = evaluation.tasks["digit"].model_copy(update={"kind": kind})
    fields: Any = {"x": {"kind": field}, "label": {"kind": "image" if kind == "x" else "category"}}
    run = RunRecord(name="m", created="", specs={"data": {"datasets": {"my data": {"fields": fields}}}}, environment={})
    data = front(report_card(EvaluationRecord(split="test", tasks={"t": task}), run=run).markdown)
    result = data["model-index"][0]["results"][0]
    assert (result["task"]["type"], data.get("pipeline_tag")) == (task_type, tag)
    assert result["dataset"] == {"name": "my data", "type": "my-data", "split": "test"}


def test_what_is_no_number_is_left_out(evaluation: EvaluationRecord) -> None:
    nothing = Figure(value=float("nan"), low=float("nan"), high=float("nan"), n=0)
    task = evaluation.tasks["digit"].model_copy(update={"figures": {"auroc": nothing}})
    card = report_card(EvaluationRecord(split="test", tasks={"digit": task}))
    assert "model-index" not in front(card.markdown)
    assert "| AUROC | not defined | not defined to not defined |" in card.markdown
    assert ModelCardData(**front(card.markdown)).library_name == "jumpml"
