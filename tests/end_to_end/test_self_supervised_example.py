"""The example of few labels: from the shell to its card, and what the digits without a label are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import jumpml
from jumpml.cli import app

FOLDER = Path(__file__).parents[2] / "examples" / "self_supervised"
SHORT = {"self_supervised": 10, "supervised": 4}


@pytest.fixture(autouse=True)
def _source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def test_a_run_measures_the_embeddings_and_maps_them(tmp_path: Path) -> None:
    arguments = ["run", str(FOLDER), "--trust", "few_labels", "--out", str(tmp_path)]
    for name, epochs in SHORT.items():
        arguments += ["--set", f"learner.phases.{name}.epochs={epochs}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (run,) = (tmp_path / "few").iterdir()
    epochs = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    measured = [(epoch["phase"], epoch["epoch"]) for epoch in epochs if "embedding/encoder/knn" in epoch["val"]]
    assert measured == [("self_supervised", 10), ("supervised", 4)]
    (drawn,) = json.loads((run / "diagnosis.json").read_text())["maps"]
    assert (drawn["node"], drawn["label"], len(drawn["x"])) == ("encoder", "label", 462)
    card = (run / "card.html").read_text()
    assert "Map of 462 test rows of 10 classes at the node encoder." in card
    assert "embedding/encoder: linear probe" in card


def accuracy(where: Path, **changes: Any) -> float:
    quiet = {"learner.log": [], "learner.record_examples": False}
    project = jumpml.Project.find(FOLDER, quiet | changes, trust=["few_labels"])
    run = project.run(out=where)
    return json.loads((run / "evaluation.json").read_text())["tasks"]["digit"]["figures"]["accuracy"]["value"]


@pytest.mark.slow
def test_digits_without_a_label_are_worth_something(tmp_path: Path) -> None:
    alone = accuracy(tmp_path, **{"learner.phases.self_supervised.epochs": 0})
    assert accuracy(tmp_path) >= alone + 0.02
