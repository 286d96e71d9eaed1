"""From files: texts and series without a target are learned from first, or beside a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from jumpml import Project
from jumpml.core import LearnerError, SpecError

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = """
datasets:
  unlabelled:
    source: {kind: csv, path: unlabelled.csv}
    fields: {message: {kind: text, length: 12, tokenizer: {kind: characters}}}
    split: {duplicates: together}
  labelled:
    source: {kind: csv, path: labelled.csv}
    fields:
      message: {kind: text, length: 12, tokenizer: {kind: characters}}
      sort: {kind: category}
    split: {duplicates: together}
batch_size: 16
"""
READER = """
seed: 0
nodes:
  letters: {module: jumpml.blocks.Embedding, inputs: message, args: {width: 16}}
  past: {module: jumpml.blocks.CausalDecoder, inputs: letters, args: {depth: 1, heads: 2}}
  mean: {module: jumpml.blocks.Pool, inputs: [past, message.mask]}
  out: {module: jumpml.blocks.Head, inputs: mean}
tasks:
  sort: {kind: multiclass, output: out, target: sort}
objectives:
  coming: {kind: next_token, inputs: [past, message], when: [read]}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.01}
phases:
  read: {epochs: 4, data: unlabelled}
  supervised: {epochs: 3, data: labelled}
log: [jsonl]
"""


def words(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts that run through the alphabet upwards, or downwards."""
    rng = np.random.default_rng(seed)
    letters = "abcdefghijklmnop"
    rows = []
    for _ in range(count):
        start, up = int(rng.integers(16)), bool(rng.integers(2))
        steps = [(start + (k if up else -k)) % 16 for k in range(int(rng.integers(6, 12)))]
        rows.append(("".join(letters[step] for step in steps), "up" if up else "down"))
    return rows


def write(folder: Path, **files: str) -> Path:
    for kind, text in files.items():
        (folder / f"p.{kind}.yaml").write_text(text)
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "unlabelled.csv").write_text("\n".join(["message", *(text for text, _ in words(200, 0))]))
    (tmp_path / "labelled.csv").write_text("\n".join(["message,sort", *(f"{t},{s}" for t, s in words(60, 1))]))
    return write(tmp_path, data=TEXTS, model=READER, learner=LEARNER)


def test_texts_without_a_label_are_read_first(texts: Path) -> None:
    learner = Project.find(texts).make_learner()
    records = learner.ss_learn()
    assert [(record.phase, record.epoch) for record in records] == [("read", epoch) for epoch in (1, 2, 3, 4)]
    read = [record.losses["coming"] for record in records]
    # each letter but the first two tells the next one, so that far less is left than ln 16
    assert read[-1] < 0.6 * read[0]
    assert learner.fit().epochs[-1].losses.keys() == {"sort", "total"}
    coming: Any = learner.model.objectives["coming"]
    assert coming.predictor[0].out_features == learner.loaders.info("message").classes


def test_a_reader_of_both_sides_is_refused_with_its_line(texts: Path) -> None:
    write(texts, model=READER.replace("CausalDecoder", "TransformerEncoder"))
    with pytest.raises(SpecError) as caught:
        Project.find(texts).make_learner()
    told = str(caught.value)
    assert "'past' reads ahead: its output at step 1 of 12 changes when the last step of 'message' does" in told
    assert "p.model.yaml: 1 mistake\n  line 11, column 3: objectives.coming: NextToken:" in told


SERIES = """
datasets:
  load:
    source: {kind: csv, path: load.csv}
    fields:
      history: {kind: series, columns: [load], window: [-24, 0]}
      coming: {kind: series, columns: [load], window: [0, 4]}
    split: {time: hour}
views:
  hidden: {history: [{mask_steps: {share: 0.3}}, {scale: {std: 0.1}}]}
  cut: {history: [{crop_steps: {scale: [0.5, 1]}}]}
batch_size: 32
"""
FORECASTER = """
seed: 0
nodes:
  steps: {module: jumpml.blocks.TCN, inputs: history, args: {widths: [8, 8]}}
  last: {module: jumpml.blocks.Pool, inputs: steps, args: {kind: last}}
  out: {module: jumpml.blocks.Head, inputs: last}
tasks:
  load: {kind: forecasting, output: out, target: coming, history: history}
objectives:
  agree: {kind: ts2vec, inputs: steps, views: hidden, weight: 0.1}
  next: {kind: next_value, inputs: [steps, history], horizon: 2}
  told_apart: {kind: cpc, inputs: steps, ahead: 3, weight: 0.1}
"""


@pytest.fixture
def series(tmp_path: Path) -> Path:
    time = np.arange(400)
    values = np.sin(time / 4) + 0.1 * np.random.default_rng(0).normal(size=400)
    (tmp_path / "load.csv").write_text(
        "\n".join(["hour,load", *(f"{hour},{value:.4f}" for hour, value in enumerate(values))])
    )
    learner = "optimizer: {kind: adam, lr: 0.01}\nphases: {supervised: {epochs: 3}}\nlog: [jsonl]\n"
    return write(tmp_path, data=SERIES, model=FORECASTER, learner=learner)


def test_series_are_learned_from_beside_a_task(series: Path) -> None:
    """The rows as they are serve the task, the next values and the contrast; each draw of the view passes once."""
    learner = Project.find(series).make_learner()
    calls: list[int] = []
    learner.model.node("steps").register_forward_hook(lambda module, given, value: calls.append(1))
    batch = next(learner.remaining())
    learner.step(batch)
    assert len(calls) == 3
    losses = [epoch.losses for epoch in learner.fit().epochs]
    assert losses[0].keys() == {"load", "agree", "next", "told_apart", "total"}
    assert losses[-1]["next"] < losses[0]["next"]
    assert losses[-1]["told_apart"] < losses[0]["told_apart"]


def test_what_foretells_is_not_deployed(series: Path) -> None:
    learner = Project.find(series).make_learner()
    whole = {name for name, _ in learner.model.named_parameters()}
    deployed = {name for name, _ in learner.model.until("out").named_parameters()}
    own = {name.split(".")[0] for name in whole - deployed}
    assert own == {"objective_next", "objective_told_apart"}
    assert {name for name in learner.model.state_dict() if name.startswith("objective_next")} == {
        "objective_next.predictor.0.weight",
        "objective_next.predictor.0.bias",
    }


def test_a_view_that_moves_steps_is_refused(series: Path) -> None:
    write(series, model=FORECASTER.replace("views: hidden", "views: cut"))
    with pytest.raises(LearnerError) as caught:
        Project.find(series).make_learner()
    assert (
        "the view 'cut' moves the steps of 'history', and each is compared with the same step. Let it hide stretches, "
        "scale or add noise: mask_steps, scale, noise."
    ) in str(caught.value)


def test_the_predictors_learn(series: Path) -> None:
    learner = Project.find(series).make_learner()
    before = {name: p.detach().clone() for name, p in learner.model.named_parameters() if "predictor" in name}
    assert len(before) == 2 + 3
    learner.step(next(learner.remaining()))
    assert all(not torch.equal(learner.model.get_parameter(name), value) for name, value in before.items())
