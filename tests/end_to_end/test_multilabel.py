"""GoEmotions from a table of texts to a bundle: several labels a row through every layer."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest

from jumpml._project import Project
from jumpml.core import DeploymentRecord, EvaluationRecord
from jumpml.deploy import Predictor

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 1200  # of 43,410, so that this takes seconds

FILES: dict[str, dict[str, Any]] = {
    "data": {
        "datasets": {
            "comments": {
                "source": {"kind": "csv", "path": "comments.tsv", "delimiter": "\t"},
                "fields": {
                    "text": {
                        "kind": "text",
                        "tokenizer": {"kind": "words", "lowercase": True, "size": 2000},
                        "length": 30,
                    },
                    "emotions": {"kind": "multilabel"},
                },
                "split": {"train": 0.7, "val": 0.1, "test": 0.2, "stratify": "emotions", "duplicates": "together"},
            }
        },
        "batch_size": 32,
    },
    "model": {
        "seed": 0,
        "nodes": {
            "words": {
                "module": "torch.nn.EmbeddingBag",
                "inputs": "text",
                "args": {"num_embeddings": 2000, "embedding_dim": 64, "padding_idx": 0},
            },
            "out": {"module": "jumpml.blocks.Head", "inputs": "words"},
        },
        "tasks": {
            "emotions": {
                "kind": "multilabel",
                "output": "out",
                "target": "emotions",
                "objective": {"positive_weight": 4},
            }
        },
    },
    "learner": {
        "optimizer": {"kind": "adam", "lr": 0.02},
        "phases": {"supervised": {"epochs": 5}},
        "checkpoint": {"best": {"metric": "val/emotions/micro_f1"}},
        "log": ["jsonl"],
    },
    "deploy": {
        "variants": {"int8": {"quantize": {"calibration_rows": 64}}},
        "gate": {"metric": "emotions/micro_f1", "max_drop": 0.5},
        "bundle": "bundles/comments",
    },
}


@pytest.fixture(scope="module")
def run(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over the first rows, with the emotions by name."""
    source = shared_data / "goemotions"
    if not source.is_dir():
        pytest.skip(f"no GoEmotions at {source}")
    folder = tmp_path_factory.mktemp("comments")
    names = (source / "labels.txt").read_text(encoding="utf-8").split()
    with (
        (source / "train.tsv").open(encoding="utf-8", newline="") as given,
        (folder / "comments.tsv").open("w", encoding="utf-8", newline="") as cut,
    ):
        rows = csv.DictReader(given, delimiter="\t", quoting=csv.QUOTE_NONE)
        table = csv.writer(cut, delimiter="\t")
        table.writerow(["text", "emotions"])
        for row, _ in zip(rows, range(ROWS), strict=False):
            table.writerow([row["text"], ",".join(names[int(code)] for code in row["label"].split(","))])
    for kind, content in FILES.items():
        (folder / f"comments.{kind}.json").write_text(json.dumps(content), encoding="utf-8")
    return Project.find(folder).run(folder / "runs")


def test_the_labels_are_found_more_often_than_their_share(run: Path) -> None:
    record = EvaluationRecord.model_validate_json((run / "evaluation.json").read_text(encoding="utf-8"))
    task = record.tasks["emotions"]
    assert len(task.classes) == 28
    assert task.rows == pytest.approx(0.2 * ROWS, rel=0.02)
    share = sum(n.right + n.missed for n in task.labels) / (28 * task.rows)
    # by chance the average precision is the labels' share, and giving every label gives this F1
    assert task.figures["average_precision"].low > 2 * share
    assert task.figures["micro_f1"].low > 2 * (2 * share / (1 + share))


def test_the_card_tells_of_each_label(run: Path) -> None:
    card = (run / "card.html").read_text(encoding="utf-8")
    for told in ("Micro F1", "Each label, the most frequent first", "neutral", "Where it struggles", "Reliability"):
        assert told in card
    assert "Confusion" not in card
    assert "pipeline_tag: text-classification" in (run / "README.md").read_text(encoding="utf-8")


def test_the_bundle_answers_texts_with_emotions(run: Path) -> None:
    record = DeploymentRecord.model_validate_json((run / "deployment.json").read_text(encoding="utf-8"))
    answer = record.variants["int8"].gate
    assert answer is not None
    assert answer.metric == "emotions/micro_f1"
    runtime = Predictor(run / "bundles" / "comments")
    runtime.check_golden()
    thanks, nothing = (said["emotions"] for said in runtime.predict([{"text": "Thank you so much!"}, {"text": ""}]))
    assert "gratitude" in thanks["prediction"]
    assert max(thanks["probability"], key=thanks["probability"].__getitem__) == "gratitude"
    assert len(nothing["probability"]) == 28
