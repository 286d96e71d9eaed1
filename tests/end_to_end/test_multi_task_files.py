"""Several tasks through files: the example from the shell to its card, and the ways in which tasks and data meet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from typer.testing import CliRunner

from jumpml import Project
from jumpml.cli import app
from jumpml.core import RunRecord
from jumpml.learn import build_learner

if TYPE_CHECKING:
    from jumpml.learn import Learner

FOLDER = Path(__file__).parents[2] / "examples" / "multi_task"


def test_the_example_runs_from_the_shell_and_tells_how_each_task_fared(tmp_path: Path) -> None:
    metrics = [f"model.tasks.{task}.metrics=[accuracy]" for task in ("digit", "parity", "holes")]  # intervals take time
    values = [word for value in ("learner.phases.supervised.epochs=3", *metrics) for word in ("--set", value)]
    result = CliRunner().invoke(app, ["run", str(FOLDER), "--out", str(tmp_path), *values], prog_name="jumpml")
    assert result.exit_code == 0, result.output
    (run,) = (tmp_path / "multi_task").iterdir()
    told = result.stderr[result.stderr.index("tasks  over the run") :].splitlines()
    assert told[1].split()[:5] == ["task", "epochs", "rows", "loss:", "first"]
    assert [line.split()[0] for line in told[2:5]] == ["digit", "parity", "holes"]
    tasks = json.loads((run / "run.json").read_text(encoding="utf-8"))["tasks"]
    assert [(task["task"], task["rows"]) for task in tasks] == [
        (name, 3 * 1257) for name in ("digit", "parity", "holes")
    ]
    assert all(task["last"] < task["first"] for task in tasks)
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "rows are those that have its target, over all epochs" in card and card.count("3,771") == 3
    assert (run / "card.html").exists() and [*(run / "bundles").iterdir()]


def test_check_tells_of_cosines_that_a_teacher_of_tasks_leaves_no_pairs() -> None:
    taught = {"learner.curriculum": {"teacher": "exp3s", "arms": "tasks", "reward": "loss"}}
    told = (
        "phase 'supervised': each arm of the teacher has one of the objectives digit, parity, holes, so cosines tell "
    )
    assert Project.find(FOLDER, taught).check().findings == (
        f"{told}nothing. Leave it out, or choose from other arms.",
    )
    assert Project.find(FOLDER).check().findings == ()


# --- several tasks on one data set, with partial labels ---------------------------------------------------------------

PARTIAL = {
    "data": """
datasets:
  d:
    source: {kind: csv, path: rows.csv}
    fields:
      x: {kind: table, columns: {x0: number, x1: number}}
      sort: {kind: category}
      size: {kind: number}                           # empty in three rows of four
    split: {train: 0.6, val: 0.2, test: 0.2, seed: 0}
features:
  size: [{standardize: {fill: false}}]
batch_size: 10
""",
    "model": """
seed: 0
nodes:
  mix: {module: jumpml.blocks.MMoE, inputs: x, args: {tasks: [sort, size], widths: [8], count: 2}}
  sort_logits: {module: jumpml.blocks.Head, inputs: mix.sort}
  size_low: {module: jumpml.blocks.MLP, inputs: mix.size, args: {widths: [4]}}
  size_hat: {module: jumpml.blocks.Head, inputs: size_low}
tasks:
  sort: {kind: multiclass, output: sort_logits, target: sort}
  size: {kind: regression, output: size_hat, target: size}
""",
    "learner": """
optimizer:
  kind: adam
  lr: 0.02
  groups:
    - {nodes: {only: size}, lr: 0.005}
phases: {supervised: {epochs: 6}}
balance: {kind: sum, cosines: 3, at: mix}
early_stop:
  tasks:
    size: {metric: rmse, patience: 1, min_delta: 1000}
log: [jsonl]
checkpoint: null
""",
}


def written(folder: Path, files: dict[str, str]) -> Project:
    """A hundred rows that can be learned, in one file and in two, beside what is said of them."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(100, 2)).round(3)
    sort = np.where(x[:, 0] > 0, "high", "low")
    size = [f"{a + b:.3f}" if i % 4 == 0 else "" for i, (a, b) in enumerate(x)]
    rows = [f"{a},{b},{s},{z}" for (a, b), s, z in zip(x, sort, size, strict=True)]
    (folder / "rows.csv").write_text("\n".join(["x0,x1,sort,size", *rows]))
    (folder / "first.csv").write_text(
        "\n".join(["x0,x1,sort", *(f"{a},{b},{s}" for (a, b), s in zip(x, sort, strict=True))][:61])
    )
    np.savez(folder / "second.npz", y=x[60:] * 3, sort=sort[60:], size=x[60:].sum(1))
    for kind, text in files.items():
        (folder / f"p.{kind}.yaml").write_text(text)
    return Project.find(folder)


def learned(project: Project, folder: Path) -> Learner:
    loaders, model = project.build()
    learner = build_learner(project.learner, loaders, model, None, folder / "run")
    learner.fit()
    return learner


def test_partial_labels_rates_ends_and_cosines_by_task(tmp_path: Path) -> None:
    learner = learned(written(tmp_path, PARTIAL), tmp_path)
    sort, size = learner.history.by_task()
    in_train = int(learner.loaders.train.rows.remainder(4).eq(0).sum())  # of the 60, those that have the target
    assert (sort.epochs, sort.rows) == (6, 6 * 60)
    assert (size.epochs, size.rows) == (3, 3 * in_train)
    assert sort.last is not None and sort.first is not None and sort.last < sort.first
    assert learner.progress.stopped == {"supervised": ["size"]}
    assert "task 'size' is left out" in learner.history.epochs[2].notes[0]
    told = [set(point.figures) for point in learner.history.course]
    assert {"cosine/sort/size"} in told
    rates = [group["lr"] for group in learner.optimizer.param_groups]
    assert rates == [0.02, 0.005]


# --- one task on two data sets ----------------------------------------------------------------------------------------

TWO_FILES = """
datasets:
  first:
    source: {kind: csv, path: first.csv}
    fields:
      x: {kind: table, columns: {x0: number, x1: number}}
      sort: {kind: category}
    split: {train: 0.6, val: 0.2, test: 0.2, seed: 0}
  second:
    source: {kind: npz, path: second.npz}
    fields:
      y: {kind: tensor, shape: [2]}
      TARGET
    split: {train: 0.6, val: 0.2, test: 0.2, seed: 0}
features:
  y: []
batch_size: 10
"""

TWO_SETS = {
    "data": TWO_FILES.replace("TARGET", "sort: {kind: category}")
    + "mix: {by: uniform}",  # one as often as the other, though it has fewer rows
    "model": """
seed: 0
nodes:
  low_x: {module: torch.nn.LazyLinear, inputs: x, args: {out_features: 6}}
  low_y: {module: torch.nn.LazyLinear, inputs: y, args: {out_features: 6}}
  both: {module: jumpml.blocks.Concat, inputs: ["low_x?", "low_y?"]}
  trunk: {module: jumpml.blocks.MLP, inputs: both, args: {widths: [8, 8]}}
  sort_logits: {module: jumpml.blocks.Head, inputs: trunk}
tasks:
  sort: {kind: multiclass, output: sort_logits, target: sort}
""",
    "learner": "{optimizer: {kind: adam, lr: 0.02}, phases: {supervised: {epochs: 12}}, log: [], checkpoint: null}",
}


def test_one_task_on_two_data_sets(tmp_path: Path) -> None:
    learner = learned(written(tmp_path, TWO_SETS), tmp_path)
    (sort,) = learner.history.by_task()
    orders = [learner.loaders.train.order(epoch) for epoch in range(12)]
    assert sort.rows == sum(map(len, orders))  # every row has the target, whichever data set it is of
    second = learner.loaders.train.rows[orders[0]] >= 60
    assert abs(float(second.float().mean()) - 0.5) <= 0.02  # half, by the mix; of the rows they are 24 in 60
    assert sort.last is not None and sort.first is not None and sort.last < 0.7 * sort.first
    predicted = learner.predict()["sort"]
    rows = learner.loaders.test.rows
    right = predicted.output.argmax(1) == predicted.target
    for own in (rows < 60, rows >= 60):  # of the first data set, and of the second
        assert float(right[own].float().mean()) >= 0.75


# --- different data sets a task, and a trunk that they share ----------------------------------------------------------

APART = {
    "data": TWO_FILES.replace("TARGET", "size: {kind: number}"),
    "model": """
seed: 0
nodes:
  low_x: {module: torch.nn.LazyLinear, inputs: x, args: {out_features: 6}}
  low_y: {module: torch.nn.LazyLinear, inputs: y, args: {out_features: 6}}
  trunk: {module: jumpml.blocks.MLP, inputs: low_x, args: {widths: [8, 8]}}
  trunk_y: {shares: trunk, inputs: low_y}
  adapter: {module: jumpml.blocks.TaskAdapter, inputs: trunk, args: {tasks: [sort, size], width: 3}}
  adapter_y: {shares: adapter, inputs: trunk_y}
  sort_logits: {module: jumpml.blocks.Head, inputs: adapter.sort}
  size_hat: {module: jumpml.blocks.Head, inputs: adapter_y.size}
tasks:
  sort: {kind: multiclass, output: sort_logits, target: sort, metrics: [accuracy]}
  size: {kind: regression, output: size_hat, target: size, metrics: [rmse]}
""",
    "learner": """
optimizer: {kind: adam, lr: 0.02}
phases: {supervised: {epochs: 12}}
balance: {kind: sum, cosines: 4}
log: [jsonl]
""",
}


def test_different_data_sets_a_task_with_a_trunk_that_they_share(tmp_path: Path) -> None:
    project = written(tmp_path, APART)
    run = project.run(tmp_path / "runs")
    record = RunRecord.model_validate_json((run / "run.json").read_text(encoding="utf-8"))
    sort, size = record.tasks
    assert (sort.rows, size.rows) == (12 * 36, 12 * 24)  # each learns from its own data set alone
    assert all(t.last is not None and t.first is not None and t.last < 0.7 * t.first for t in (sort, size))
    steps = [json.loads(line) for line in (run / "steps.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any("cosine/sort/size" in step.get("figures", {}) for step in steps)  # on the trunk, where they meet
    assert (run / "card.html").exists() and [*(run / "bundles").iterdir()]
