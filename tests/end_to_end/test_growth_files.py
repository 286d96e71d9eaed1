"""A model that grows in a run of files: evaluated, deployed and resumed in its last shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

import jumpml
from jumpml.cli import app

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "p.data.yaml": """\
datasets:
  flowers:
    source: {kind: sklearn, name: iris}
    fields:
      x: {kind: tensor, column: data, shape: [4]}
      species: {kind: category, column: target}
    split: {stratify: species, duplicates: together}
batch_size: 32
""",
    "p.model.yaml": """\
seed: 0
nodes:
  body: {module: jumpml.blocks.MLP, inputs: x, args: {widths: [3]}}
  out: {module: jumpml.blocks.Head, inputs: body}
tasks:
  species: {kind: multiclass, output: out, target: species}
""",
    "p.learner.yaml": """\
optimizer: {kind: adam, lr: 0.02}
phases: {supervised: {epochs: 5}}
ema: {decay: 0.8}
grow:
  - {trigger: {epoch: 1}, node: body, widen: 2}
  - {trigger: {epoch: 2}, node: body, deepen: 1}
  - {trigger: {epoch: 3}, node: body, branch: {name: beside, module: torch.nn.Linear, inputs: x,
     args: {in_features: 4, out_features: 6}}}
  - {trigger: {epoch: 4}, node: body, low_rank: 1}
""",
}
DONE = (
    "grew body.layers.1 3 -> 6",
    "deepened body by 1 layer",
    "added beside, which reads x, to body",
    "gave body.inner.layers.1, body.inner.layers.2.inward, body.inner.layers.2.outward a branch of rank 1",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grown")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(folder), "--out", str(folder / "runs")])
    assert result.exit_code == 0, result.output
    (found,) = (folder / "runs" / "p").iterdir()
    return found


def test_the_records_tell_what_was_done(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert tuple(record["growth"]) == DONE
    assert {node["node"] for node in record["graph"]["nodes"]} == {"body", "beside", "out"}
    notes = [json.loads(line)["notes"] for line in (run / "history.jsonl").read_text().splitlines()]
    assert notes == [[text] for text in DONE] + [[]]
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "supervised, epoch 1: grew body.layers.1 3" in card


def test_the_bundle_answers_as_the_model_of_its_last_shape(run: Path, tmp_path: Path) -> None:
    record = json.loads((run / "deployment.json").read_text())
    assert record["variants"]["float32"]["max_difference"] < 1e-4
    rows = [{"x": [5.1, 3.5, 1.4, 0.2]}, {"x": [6.5, 3.0, 5.5, 1.8]}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    result = CliRunner().invoke(app, ["predict", str(run / record["bundle"]), str(tmp_path / "rows.json")])
    assert result.exit_code == 0, result.output


def test_a_finished_run_is_gone_on_with_and_ends_as_it_was(run: Path) -> None:
    before = json.loads((run / "evaluation.json").read_text())
    jumpml.resume(run)
    after = json.loads((run / "evaluation.json").read_text())
    assert before == after
    figure = after["tasks"]["species"]["figures"]["accuracy"]["value"]
    assert np.isfinite(figure) and figure > 0.5
