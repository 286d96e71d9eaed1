"""Few rows with a label and many without, in two data sets of one file: each view passes the model once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import jumpml
from jumpml import Project
from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = """
datasets:
  labelled:
    source: {kind: npz, path: labelled.npz}
    fields:
      image: {kind: image, column: image, shape: [1, 8, 8], range: [0, 16]}
      label: {kind: category}
    split: {train: 0.5, val: 0.25, test: 0.25, stratify: label}
  unlabelled:
    source: {kind: npz, path: unlabelled.npz}
    fields:
      image: {kind: image, column: image, shape: [1, 8, 8], range: [0, 16]}
    split: {train: 0.9, val: 0.05, test: 0.05}
features: {image: [{standardize: {}}]}
views:
  weak: {image: [{shift: {pixels: 1}}]}
  strong: {image: [{shift: {pixels: 1}}, {rotate: {degrees: 20}}, {noise: {std: 0.2}}]}
batch_size: 24
"""
MODEL = """
seed: 0
nodes:
  encoder: {module: jumpml.blocks.MLP, inputs: flat, args: {widths: [32]}}
  flat: {module: torch.nn.Flatten, inputs: image}
  digit: {module: jumpml.blocks.Head, inputs: encoder}
tasks:
  digit: {kind: multiclass, output: digit, target: label}
objectives:
  agree: {kind: fixmatch, inputs: digit, views: [weak, strong], threshold: 0.6}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.01}
phases: {supervised: {epochs: 4}}
log: [jsonl]
"""
OTHERS = {
    "pseudo_label": "{kind: pseudo_label, inputs: [digit, label], threshold: 0.6}",
    "mean_teacher": "{kind: mean_teacher, inputs: digit, views: strong, momentum: {start: 0.5, end: 0.99}, weight: 5}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """80 digits with a label, 120 without."""
    digits: Any = load_digits()
    np.savez(tmp_path / "labelled.npz", image=digits.images[:80], label=digits.target[:80])
    np.savez(tmp_path / "unlabelled.npz", image=digits.images[80:200])
    for kind, text in (("data", DATA), ("model", MODEL), ("learner", LEARNER)):
        (tmp_path / f"p.{kind}.yaml").write_text(text)
    return tmp_path


def other(folder: Path, kind: str) -> None:
    before, _, _ = MODEL.rpartition("  agree:")
    (folder / "p.model.yaml").write_text(f"{before}  agree: {OTHERS[kind]}\n")


def told(run: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, (run / "steps.jsonl").read_text().splitlines())


def test_each_view_passes_the_model_once(folder: Path) -> None:
    """The rows as they are for the labels, and a pass for each view: three a step, none more."""
    learner = Project.find(folder).make_learner()
    calls: list[int] = []
    learner.model.node("encoder").register_forward_hook(lambda module, given, value: calls.append(len(value)))
    batch = next(learner.remaining())
    learner.step(batch)
    assert calls == [24, 24, 24]
    assert sorted(learner.stage.plan.nodes) == ["digit", "encoder", "flat"]  # type: ignore[union-attr]


def test_labels_count_where_they_are_and_views_everywhere(folder: Path) -> None:
    learner = Project.find(folder).make_learner()
    batch = next(learner.remaining())
    there = batch["label.present"]
    assert 0 < int(there.sum()) < 24
    losses, values = learner._loop.enter("supervised").plan(batch)
    assert losses["digit"].present is not None
    assert losses["digit"].present.equal(there)
    assert losses["agree"].present is None
    weak, strong = values["digit@weak.0"].detach(), values["digit@strong.0"]
    sure = weak.softmax(1).amax(1) >= 0.6
    expected = torch.nn.functional.cross_entropy(strong, weak.argmax(1), reduction="none") * sure
    torch.testing.assert_close(losses["agree"].value, expected)


@pytest.mark.parametrize("kind", ["fixmatch", "pseudo_label", "mean_teacher"])
def test_it_learns_from_files_and_tells_how_much_is_sure(folder: Path, kind: str) -> None:
    if kind != "fixmatch":
        other(folder, kind)
    loaders, model = Project.find(folder).build()
    run = folder / "run"
    learner = jumpml.create_learner(loaders, model, options=folder / "p.learner.yaml", run=run)
    losses = [epoch.losses for epoch in learner.fit().epochs]
    assert losses[-1]["digit"] < losses[0]["digit"]
    assert all(np.isfinite(list(epoch.values())).all() for epoch in losses)
    shares = [step["figures"]["confident/agree"] for step in told(run) if "confident/agree" in step.get("figures", ())]
    assert bool(shares) == (kind != "mean_teacher")
    assert all(0 <= share <= 1 for share in shares)
    assert not shares or shares[-1] > shares[0]  # it grows sure as it learns


def test_an_update_of_two_batches_is_one_of_both(folder: Path) -> None:
    """Rows without a label are counted before anything runs, so that a mean over two batches is one of all rows."""
    other(folder, "pseudo_label")
    first, second = ([*Project.find(folder).make_learner().remaining()][:2] for _ in range(2))
    both = {key: torch.cat([batch[key] for batch in first]) for key in first[0]}
    weights = []
    for batches in (second, [both]):
        learner = Project.find(folder).make_learner()
        learner.step(*batches)
        weights.append(learner.model.node("encoder").state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-4, atol=1e-6)


def test_where_every_row_has_a_label_there_is_nothing_to_learn(folder: Path) -> None:
    other(folder, "pseudo_label")
    data = (folder / "p.data.yaml").read_text()
    (folder / "p.data.yaml").write_text(data[: data.index("  unlabelled:")] + data[data.index("features:") :])
    with pytest.raises(LearnerError) as caught:
        Project.find(folder).make_learner()
    assert (
        "it learns from rows without 'label', and every row has a value of it. Leave 'label' out of its inputs to "
        "learn from all rows, or mix in a data set without it."
    ) in str(caught.value)
