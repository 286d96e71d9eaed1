"""Two data sets with different inputs and one trunk: each row runs through what its data set has, and counts there."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import jumpml
from jumpml import Project
from jumpml.core import DeploymentRecord, EvaluationRecord
from jumpml.deploy._export import export_onnx, verify_export
from jumpml.deploy._exportable import Exportable
from jumpml.deploy._rows import decoded_rows
from jumpml.evaluate import sample_positions
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from pathlib import Path

DATA = """
datasets:
  left:
    source: {kind: csv, path: left.csv}
    fields:
      a: {kind: table, columns: {a0: number, a1: number}}
      sort: {kind: category, column: kind}
    split: {train: 0.6, val: 0.2, test: 0.2}
  right:
    source: {kind: npz, path: right.npz}
    fields:
      b: {kind: tensor, shape: [3]}
      size: {kind: number}
    split: {train: 0.6, val: 0.2, test: 0.2}
batch_size: 10
"""
MODEL = """
seed: 0
nodes:
  low_a: {layers: [{module: torch.nn.LazyLinear, args: {out_features: 6}}, torch.nn.LazyBatchNorm1d], inputs: a}
  low_b: {layers: [{module: torch.nn.LazyLinear, args: {out_features: 6}}, torch.nn.LazyBatchNorm1d], inputs: b}
  trunk: {module: jumpml.blocks.MLP, inputs: low_a, args: {widths: [8, 6]}}
  trunk_b: {shares: trunk, inputs: low_b}
  sort_logits: {module: jumpml.blocks.Head, inputs: trunk}
  size_hat: {module: jumpml.blocks.Head, inputs: trunk_b}
tasks:
  sort: {kind: multiclass, output: sort_logits, target: sort}
  size: {kind: regression, output: size_hat, target: size}
objectives:
  small: {kind: l2, inputs: trunk_b, weight: 0.01}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.02}
phases: {supervised: {epochs: 12}}
log: [jsonl]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 rows of one data set, 40 of the other; both can be learned."""
    generator = np.random.default_rng(0)
    a = generator.normal(size=(60, 2)).round(3)
    rows = [f"{x},{y},{'high' if x + y > 0 else 'low'}" for x, y in a]
    (tmp_path / "left.csv").write_text("\n".join(["a0,a1,kind", *rows]))
    b = generator.normal(size=(40, 3))
    np.savez(tmp_path / "right.npz", b=b, size=b.sum(1))
    for kind, text in (("data", DATA), ("model", MODEL), ("learner", LEARNER)):
        (tmp_path / f"p.{kind}.yaml").write_text(text)
    return tmp_path


def load(folder: Path) -> tuple[Any, Any]:
    return Project.find(folder).build()


@pytest.mark.parametrize("mix", [{"by": "proportional"}, {"by": "round_robin"}], ids=lambda mix: mix["by"])
@pytest.mark.parametrize(
    "balance",
    [{"kind": kind} for kind in ("uncertainty", "dwa", "famo", "upgrad", "pcgrad", "cagrad", "mgda", "nash_mtl")]
    + [{"kind": kind, "at": "trunk"} for kind in ("gradnorm", "feature_norm", "imtl_g", "aligned_mtl")],
    ids=lambda balance: balance["kind"],
)
def test_every_balancer_at_their_trunk_whether_batches_are_of_one_data_set_or_both(
    folder: Path, balance: Any, mix: Any
) -> None:
    """Where data sets take turns, an update has one of the two objectives: the other one is left out."""
    said = {"data.mix": mix, "learner.balance": balance, "learner.phases.supervised.epochs": 3}
    project = Project.find(folder, said)
    loaders, model = project.build()
    before = {name: value.clone() for name, value in model.named_parameters()}
    learner = jumpml.create_learner(loaders, model, None, project.learner, run=folder / "run")
    learner.fit()
    assert all(value.isfinite().all() for value in model.parameters())
    assert not any(torch.equal(before[name], value) for name, value in model.named_parameters())
    assert all(math.isfinite(loss) for epoch in learner.history.epochs for loss in epoch.losses.values())


def mixed(loaders: Any) -> dict[str, torch.Tensor]:
    batch = next(batch for batch in loaders.train if 2 < int(batch["a.covered"].sum()) < 8)
    assert torch.equal(batch["a.covered"], ~batch["b.covered"])
    return batch


def test_what_a_data_set_lacks_reaches_nodes_as_zeros(folder: Path) -> None:
    loaders, model = load(folder)
    assert (loaders.fields["a"].lacking, loaders.fields["b"].lacking) == (40, 60)
    batch = mixed(loaders)
    assert not batch["b"][batch["a.covered"]].any()
    assert bool(batch["b"].isfinite().all())
    assert model.rows(["trunk_b"], batch).equal(batch["b.covered"])
    assert model.rows(["trunk_b", "size"], batch).equal(batch["b.covered"] & batch["size.present"])


def test_a_mixed_batch_is_as_two_batches_of_one_data_set_each(folder: Path) -> None:
    """Losses, gradients and running statistics are those of the rows that count, to the bit; the rest is not seen."""
    loaders, model = load(folder)
    batch = mixed(loaders)
    alone = copy.deepcopy(model)
    losses, totals = model.losses(batch), {}
    for field, task in (("a", "sort"), ("b", "size")):
        rows = batch[f"{field}.covered"]
        part = {key: value[rows] for key, value in batch.items()}
        own = alone.losses(part)[task]
        assert torch.equal(losses[task][rows], own)
        assert not losses[task][~rows].any()
        totals[task] = own.mean()
    plan = model.plan_losses("supervised", batch)
    tasks = [reduce(plan(batch)[0][task]) for task in ("sort", "size")]
    for total, reduced in zip(totals.values(), tasks, strict=True):
        torch.testing.assert_close(total, reduced)
    sum(tasks).backward()  # type: ignore[union-attr]
    sum(totals.values()).backward()  # type: ignore[union-attr]
    for (name, one), other in zip(model.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    fresh, again = load(folder)[1], load(folder)[1]
    fresh.losses(batch)
    again.losses({key: value[batch["a.covered"]] for key, value in batch.items()})
    for key, value in fresh.node("low_a").state_dict().items():
        assert torch.equal(value, again.node("low_a").state_dict()[key]), key


@pytest.mark.parametrize("lone", [0, 1])
def test_a_batch_with_no_row_or_one_row_of_a_data_set(folder: Path, lone: int) -> None:
    """Without a row nothing counts, and no statistic moves; a single row is normalized by the running averages."""
    loaders, model = load(folder)
    batch = mixed(loaders)
    kept = batch["a.covered"].clone()
    kept[(~kept).nonzero()[:lone]] = True
    part = {key: value[kept] for key, value in batch.items()}
    before = copy.deepcopy(model.node("low_b").state_dict())
    losses = model.losses(part)
    assert int((losses["size"] != 0).sum()) == lone
    for key, value in model.node("low_b").state_dict().items():
        assert torch.equal(value, before[key])
    assert bool(losses["sort"].isfinite().all())
    losses["size"].sum().backward()


def test_tasks_are_evaluated_on_rows_that_have_what_they_need(folder: Path) -> None:
    loaders, model = load(folder)
    results = jumpml.eval_model(loaders, model)
    assert (results["sort/accuracy"].n, results["size/mae"].n) == (12, 8)


def test_the_whole_run(folder: Path) -> None:
    """Both tasks are learned, and the run can be evaluated again from its folder."""
    run = Project.find(folder).run(folder / "runs")
    record = EvaluationRecord.model_validate_json((run / "evaluation.json").read_text())
    figures = {name: record.tasks[name].figures for name in ("sort", "size")}
    assert figures["sort"]["accuracy"].value >= 0.75
    assert figures["size"]["r2"].value > 0.5
    deployed = DeploymentRecord.model_validate_json((run / "deployment.json").read_text())
    assert deployed.variants["float32"].max_difference < 1e-4, "what is exported leaves the same rows out"
    assert jumpml.resume(run) == run


MERGED = """
seed: 0
nodes:
  low_a: {module: torch.nn.LazyLinear, inputs: a, args: {out_features: 6}}
  low_b: {module: torch.nn.LazyLinear, inputs: b, args: {out_features: 6}}
  both: {module: jumpml.blocks.Concat, inputs: ["low_a?", "low_b?"]}
  sort_logits: {module: jumpml.blocks.Head, inputs: both}
  size_hat: {module: jumpml.blocks.Head, inputs: both}
tasks:
  sort: {kind: multiclass, output: sort_logits, target: sort}
  size: {kind: regression, output: size_hat, target: size}
"""


def test_a_node_that_does_without_either_sees_all_rows(folder: Path) -> None:
    (folder / "p.model.yaml").write_text(MERGED)
    loaders, model = load(folder)
    batch = mixed(loaders)
    assert model.rows(["both"], batch) is None
    for mode in (True, False):
        both = model.train(mode)(batch, outputs=["both"])["both"]
        assert torch.equal(both[:, :6].any(1), batch["a.covered"])
        assert torch.equal(both[:, 6:].any(1), batch["b.covered"])


def test_what_is_exported_gives_zeros_where_a_branch_has_nothing_to_say(folder: Path) -> None:
    """Otherwise a merged node would see other numbers when deployed than those that it was trained on."""
    (folder / "p.model.yaml").write_text(MERGED)
    loaders, model = load(folder)
    exported = Exportable(model, loaders)
    whole = next(loaders.test.plain())
    outputs = exported(*(loaders.test.decoded(field)[: len(whole["a"])] for field in exported.fields))
    torch.testing.assert_close(outputs[0], model(whole)["sort"])
    assert exported.fields == ("a", "b")


def test_rows_that_have_nothing_to_explain_are_not_drawn(folder: Path) -> None:
    loaders, model = load(folder)
    assert model.needs("trunk_b") == {"b"}
    assert model.needs("b") == {"b"}
    generator = torch.Generator().manual_seed(0)
    drawn = sample_positions(loaders, "test", 100, generator, fields=model.needs("trunk_b"))
    covered = loaders.covered(["b"], "test")
    assert covered is not None
    assert drawn.sort().values.tolist() == covered.nonzero().flatten().tolist()
    assert len(sample_positions(loaders, "test", 100, generator)) == len(loaders.test.rows)


PICTURES = """
datasets:
  right:
    source: {kind: npz, path: right.npz}
    fields:
      b: {kind: tensor, shape: [3]}
      size: {kind: number}
  pictures:
    source: {kind: npz, path: pictures.npz}
    fields:
      image: {kind: image, shape: [1, 6, 6], range: [0, 1]}
      mask: {kind: mask, shape: [6, 6], classes: [dark, light]}
batch_size: 10
"""
PIXELS = """
seed: 0
nodes:
  pixels: {module: jumpml.blocks.PixelHead, inputs: image}
  size_hat: {module: jumpml.blocks.Head, inputs: b}
tasks:
  light: {kind: segmentation, output: pixels, target: mask}
  size: {kind: regression, output: size_hat, target: size}
"""


def test_pixels_of_one_data_set_beside_another(folder: Path) -> None:
    """Rows that lack a picture keep their place: a bundle is measured, and rows are chosen, by it."""
    images = np.random.default_rng(1).random((30, 1, 6, 6))
    np.savez(folder / "pictures.npz", image=images, mask=(images[:, 0] > 0.5).astype(int))
    (folder / "p.data.yaml").write_text(PICTURES)
    (folder / "p.model.yaml").write_text(PIXELS)
    run = Project.find(folder).run(folder / "runs")
    task = EvaluationRecord.model_validate_json((run / "evaluation.json").read_text()).tasks["light"]
    deployed = DeploymentRecord.model_validate_json((run / "deployment.json").read_text()).variants["float32"]
    loaders, _ = load(folder)
    covered = loaders.covered(["image"], "test")
    assert covered is not None
    assert (task.rows, task.missing) == (int(covered.sum()), int((~covered).sum()))
    assert deployed.figures["light/mean_iou"].value == pytest.approx(task.figures["mean_iou"].value, abs=0.02)
    assert deployed.max_difference < 1e-4


FORECAST = """
seed: 0
nodes:
  flat: {module: torch.nn.Flatten, inputs: past}
  ahead: {module: jumpml.blocks.Head, inputs: flat}
  size_hat: {module: jumpml.blocks.Head, inputs: b}
tasks:
  load: {kind: forecasting, output: ahead, target: future, history: past}
  size: {kind: regression, output: size_hat, target: size}
"""


def test_a_forecast_beside_another_data_set_is_exported_for_any_number_of_rows(folder: Path) -> None:
    (folder / "load.csv").write_text("\n".join(["t,load", *(f"{t},{t % 6}" for t in range(80))]))
    series = """
  loads:
    source: {kind: csv, path: load.csv}
    fields:
      past: {kind: series, columns: [load], window: [-6, 0]}
      future: {kind: series, columns: [load], window: [0, 3]}
    split: {time: t, duplicates: allow}
"""
    left = DATA[DATA.index("  left:") : DATA.index("  right:")]
    (folder / "p.data.yaml").write_text(DATA.replace(left, "").replace("batch_size", series + "batch_size"))
    (folder / "p.model.yaml").write_text(FORECAST)
    loaders, model = load(folder)
    exported = Exportable(model.eval(), loaders)
    rows = decoded_rows(loaders, "test", exported.fields)
    export_onnx(exported, rows, folder / "model.onnx")
    verify_export(exported, rows, folder / "model.onnx")
