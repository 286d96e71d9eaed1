"""Texts with a mask, in batches of similar length, from the files to the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch

import jumpml
from jumpml.core import LearnerError, SpecError
from jumpml.data import Column, DataLoaders, DropTokens, random_split
from jumpml.diagnose import diagnose

if TYPE_CHECKING:
    from pathlib import Path

ROWS, LENGTH, WORDS = 200, 32, 20
EMBEDDING = {
    "module": "torch.nn.Embedding",
    "inputs": "message",
    "args": {"num_embeddings": WORDS, "embedding_dim": 8},
}
TASKS = {"label": {"kind": "multiclass", "output": "out", "target": "label"}}
MASKED: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "vectors": EMBEDDING,
        "mean": {"module": "jumpml.blocks.Pool", "inputs": ["vectors", "message.mask"]},
        "out": {"module": "jumpml.blocks.Head", "inputs": "mean"},
    },
    "tasks": TASKS,
    "objectives": {
        "agree": {"kind": "vicreg", "inputs": "mean", "views": "short", "projector": [8], "when": ["self_supervised"]}
    },
}
FLAT: dict[str, Any] = {
    "nodes": {
        "vectors": EMBEDDING,
        "flat": {"module": "torch.nn.Flatten", "inputs": "vectors"},
        "out": {"module": "jumpml.blocks.Head", "inputs": "flat"},
    },
    "tasks": TASKS,
}
OPTIONS: dict[str, Any] = {
    "optimizer": {"kind": "adam", "lr": 0.05},
    "phases": {"self_supervised": {"epochs": 1}, "supervised": {"epochs": 6}},
    "log": [],
}
SUPERVISED: dict[str, Any] = {"phases": {"supervised": {"epochs": 1}}, "log": []}


def loaders_of(**options: Any) -> DataLoaders:
    """Texts of 1 to 20 tokens; the label is whether there are more of token 5 than of token 6."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 21, (ROWS, 1), generator=generator)
    ids = torch.randint(2, WORDS, (ROWS, LENGTH), generator=generator)
    ids = torch.where(ids > 12, ids % 2 + 5, ids).masked_fill(torch.arange(LENGTH) >= lengths, 0)
    columns = {
        "message": Column(ids, "text"),
        "label": Column(((ids == 5).sum(1) > (ids == 6).sum(1)).long(), "category", classes=("no", "yes")),
        "price": Column(torch.rand(ROWS, 1, generator=generator), "number"),
    }
    views = {"short": {"message": [DropTokens(0.2)]}}
    return DataLoaders(columns, random_split(ROWS), views=views, batch_size=16, **options)


def test_from_training_to_a_file_that_takes_tokens_alone(tmp_path: Path) -> None:
    loaders = loaders_of(bucket="message")
    model = jumpml.load_model(MASKED, loaders)
    learner = jumpml.create_learner(loaders, model, options=OPTIONS, run=tmp_path / "run")
    learner.fit()
    results = jumpml.eval_model(loaders, model)
    assert results["label/accuracy"].value > 0.8
    assert diagnose(loaders, model, learner.history).record.hard_examples
    jumpml.deploy_model(results, model, {"variants": {}, "bundle": "b"}, folder=tmp_path)
    (file,) = (tmp_path / "b").rglob("*.onnx")
    session = onnxruntime.InferenceSession(file)
    assert [value.name for value in session.get_inputs()] == ["message"]
    tokens = loaders.test.decoded("message")
    model.eval()
    batch = {"message": tokens, "message.mask": tokens != 0}
    logits = session.run(["label.output"], {"message": tokens.numpy()})[0]
    assert np.allclose(np.asarray(logits), model(batch)["label"].detach(), atol=1e-5)


def test_a_batch_holds_the_mask_only_in_the_phase_that_reads_it(tmp_path: Path) -> None:
    nodes = {**MASKED["nodes"], "whole": {"module": "torch.nn.Flatten", "inputs": "vectors"}}
    nodes["out"] = {"module": "jumpml.blocks.Head", "inputs": "whole"}
    loaders = loaders_of()
    model = jumpml.load_model({**MASKED, "nodes": nodes}, loaders)
    options = {**OPTIONS, "record_examples": False}
    learner = jumpml.create_learner(loaders, model, options=options, run=tmp_path / "run")
    held = {}
    for phase in ("self_supervised", "supervised"):
        learner.try_batch(phase)
        held[phase] = set(next(iter(loaders.train)))
    views = {f"{name}@short.{draw}" for name in ("message", "message.mask") for draw in (0, 1)}
    assert held == {"self_supervised": views, "supervised": {"message", "label"}}


def test_a_model_that_needs_the_whole_length_is_refused_with_bucket_and_trains_without(tmp_path: Path) -> None:
    loaders = loaders_of(bucket="message")
    model = jumpml.load_model(FLAT, loaders, seed=0)
    with pytest.raises(LearnerError) as caught:
        jumpml.create_learner(loaders, model, options=SUPERVISED, run=tmp_path / "one")
    assert str(caught.value).startswith(
        "node 'out': it needs all 32 tokens of 'message', which `bucket` cuts to 8 or more: torch.nn.Linear fails on "
        "flat [batch, 64] float32. In a pass of 2 rows, RuntimeError: mat1 and mat2 shapes cannot be multiplied"
    )
    assert str(caught.value).endswith(
        "Pool over the tokens before, as jumpml.blocks.Pool does, or leave `bucket` out of the data file."
    )
    whole = loaders_of()
    learner = jumpml.create_learner(
        whole, jumpml.load_model(FLAT, whole, seed=0), options=SUPERVISED, run=tmp_path / "two"
    )
    assert learner.train_epoch().epoch == 1


DATA = """\
datasets:
  notes:
    source: {kind: csv, path: notes.csv}
    fields:
      note: {kind: text, length: 32, tokenizer: {kind: words}}
      label: {kind: category}
bucket: note
batch_size: 8
"""
MODEL = """\
nodes:
  vectors: {module: torch.nn.Embedding, inputs: note, args: {num_embeddings: 500, embedding_dim: 4}}
  flat: {module: torch.nn.Flatten, inputs: vectors}
  out: {module: jumpml.blocks.Head, inputs: flat}
tasks:
  label: {kind: binary, output: out, target: label}
"""


def test_check_names_the_line_of_the_node_that_needs_the_whole_length(tmp_path: Path) -> None:
    rows = [f"{' '.join(f'a{row}b{n}' for n in range(1 + row % 9))},{'yes' if row % 2 else 'no'}" for row in range(60)]
    (tmp_path / "notes.csv").write_text("\n".join(["note,label", *rows]))
    files = {"data": DATA, "model": MODEL, "learner": "phases: {supervised: {epochs: 1}}\n"}
    for name, text in files.items():
        (tmp_path / f"p.{name}.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        jumpml.Project.find(tmp_path).check()
    assert "p.model.yaml: 1 mistake\n  line 4, column 3: nodes.out: it needs all 32 tokens of 'note'" in str(
        caught.value
    )
