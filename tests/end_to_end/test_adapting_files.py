"""The key `adapt` of the learner file: what a run tells, and what is refused before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import jumpml
from jumpml import Project
from jumpml.core import EvaluationRecord, SpecError

if TYPE_CHECKING:
    from pathlib import Path

DATA = """
datasets:
  digits:
    source: {kind: sklearn, name: digits}
    fields:
      image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
      label: {kind: category, column: target}
    split: {train: 0.5, val: 0.25, test: 0.25, stratify: label}
features: {image: [standardize: {}]}
views:
  strong: {image: [rotate: {degrees: 15}, noise: {std: 0.1}]}
batch_size: 100
"""
MODEL = """
seed: 0
nodes:
  flat: {module: torch.nn.Flatten, inputs: image}
  encoder:
    layers: [{module: torch.nn.LazyLinear, args: {out_features: 32}}, torch.nn.LazyBatchNorm1d, torch.nn.ReLU]
    inputs: flat
  digit: {module: jumpml.blocks.Head, inputs: encoder}
tasks:
  digit: {kind: multiclass, output: digit, target: label}
objectives:
  agree: {kind: vicreg, inputs: encoder, views: strong, projector: [8], weight: 0.01, when: [supervised, test_time]}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.01}
phases: {supervised: {epochs: 2}}
log: [jsonl]
"""
ADAPT = {
    "statistics": "{kind: statistics, prior: 16}",
    "entropy": "{kind: entropy, lr: 0.01}",
    "ttt": "{kind: ttt, lr: 0.001, episodic: true, probe: null}",
    "memo": "{kind: memo, view: strong, copies: 4}",
}


def folder_of(folder: Path, adapt: str = "", model: str = MODEL) -> Path:
    for kind, text in (("data", DATA), ("model", model), ("learner", f"{LEARNER}{adapt}")):
        (folder / f"digits.{kind}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("kind", ADAPT)
def test_a_run_tells_both_side_by_side(tmp_path: Path, kind: str) -> None:
    project = Project.find(folder_of(tmp_path, f"adapt: {ADAPT[kind]}"))
    run = project.run(tmp_path / "runs")
    record = EvaluationRecord.model_validate_json((run / "evaluation.json").read_text())
    adapted = record.adapted
    assert adapted is not None
    assert (adapted.method, adapted.episodic, adapted.batches) == (kind, kind in {"ttt", "memo"}, 5)
    assert adapted.checked is (kind != "ttt")
    before, after = record.tasks["digit"].figures, adapted.tasks["digit"]
    assert after.figures.keys() == before.keys()
    change = after.figures["accuracy"].value - before["accuracy"].value
    assert after.headline == "accuracy"
    assert after.change.value == pytest.approx(change)
    assert after.change.low < change < after.change.high

    card = (run / "card.html").read_text()
    assert "Adapted to the rows that it predicts" in card
    assert "as it is" in (run / "README.md").read_text()

    # the same by hand, from the run's own files
    loaders, model = project.build()
    weights = sorted((run / "checkpoints").glob("step-*"))[-1]
    learner = jumpml.create_learner(loaders, model, None, {**learner_of(project), "checkpoint": None, "log": []})
    model.load_nodes(weights)
    predicted = learner.evaluate(adapt=learner.adapt())
    assert predicted["digit/accuracy"] == after.figures["accuracy"]


def learner_of(project: Project) -> dict[str, Any]:
    return project.learner.model_dump(mode="json", exclude_unset=True)


def test_a_run_without_the_key_says_nothing_of_it(tmp_path: Path) -> None:
    run = Project.find(folder_of(tmp_path)).run(tmp_path / "runs")
    assert EvaluationRecord.model_validate_json((run / "evaluation.json").read_text()).adapted is None
    assert "Adapted to the rows" not in (run / "card.html").read_text()


@pytest.mark.parametrize("adapt", ["", f"adapt: {ADAPT['memo']}"], ids=["no key", "another way"])
def test_an_objective_that_nothing_runs_at_test_time_is_told(tmp_path: Path, adapt: str) -> None:
    told = (
        "objective 'agree': only `adapt: {kind: ttt}` runs its phase test_time. Give the learner file that key, or "
        "leave test_time out of the objective's `when`."
    )
    assert Project.find(folder_of(tmp_path, adapt)).check().findings == (told,)
    assert Project.find(folder_of(tmp_path, f"adapt: {ADAPT['ttt']}")).check().findings == ()


def test_the_key_may_change_after_training(tmp_path: Path) -> None:
    run = Project.find(folder_of(tmp_path)).run(tmp_path / "runs")
    jumpml.resume(run, overrides={"learner.adapt": {"kind": "statistics"}})
    assert EvaluationRecord.model_validate_json((run / "evaluation.json").read_text()).adapted is not None


PLAIN = MODEL.replace("torch.nn.LazyBatchNorm1d, ", "").replace(", test_time", "")
NUMBERS = MODEL.replace("{kind: multiclass", "{kind: reconstruction").replace("target: label", "target: image")
PICTURE = "{module: torch.nn.Unflatten, args: {dim: 1, unflattened_size: [1, 8, 8]}}"
NUMBERS = NUMBERS.replace(
    "{module: jumpml.blocks.Head, inputs: encoder}",
    f"{{layers: [{{module: torch.nn.LazyLinear, args: {{out_features: 64}}}}, {PICTURE}], inputs: encoder}}",
)
LAYER = PLAIN.replace("torch.nn.ReLU", "{module: torch.nn.LayerNorm, args: {normalized_shape: 32}}")


@pytest.mark.parametrize(
    ("adapt", "model", "told"),
    [
        ("{kind: statistics}", PLAIN, "adapt: the model has no batch normalization, whose statistics these are."),
        ("{kind: entropy}", PLAIN, "adapt: the model has no normalization layer with a scale and a shift to move."),
        ("{kind: ttt}", PLAIN, "adapt: no objective is active at test time. Give one without targets `when"),
        ("{kind: memo, view: weak}", MODEL, "adapt.view: the data has no view 'weak'. There is: strong."),
        (
            "{kind: entropy}",
            NUMBERS,
            "adapt: it makes classes more certain, and no task of the model decides classes of rows; there is 'digit'",
        ),
        ("{kind: entropy, nodes: decoder}", MODEL, "adapt.nodes: the pattern 'decoder' names no node. Did you"),
        (
            "{kind: entropy, guarded: false, reliable: 0.2}",
            MODEL,
            "adapt.reliable: without guards every row is learned from. Leave one of the two out.",
        ),
        ("{kind: entropy, prior: null, memory: 9}", MODEL, "adapt.memory: without prior no statistics are taken."),
        ("{kind: statistics, episodic: true, memory: 9}", MODEL, "adapt.memory: each batch begins anew and remembers"),
        ("{kind: entropy, prior: 4}", LAYER, "adapt.prior: the model has no batch normalization."),
        ("{kind: memo}", MODEL, "adapt.view: this key is missing."),
        ("{kind: tent}", MODEL, "adapt.kind: expected one of statistics, entropy, ttt, memo, got 'tent'."),
    ],
)
def test_what_would_not_adapt_is_refused_before_training(tmp_path: Path, adapt: str, model: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        Project.find(folder_of(tmp_path, f"adapt: {adapt}", model)).run(tmp_path / "runs")
    assert told in str(caught.value)
    assert "digits.learner.yaml" in str(caught.value)
    assert not (tmp_path / "runs").exists()
