"""Logs: what they are told, how they forget what a resumed run lives again, and what a terminal shows."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import jumpml
from jumpml.core import EpochRecord, MissingExtraError, Task
from jumpml.data import Column, DataLoaders, random_split
from jumpml.learn import CsvLog, JsonlLog, Learner, MLflowLog, Phase, ProgressLog, Saving, StepRecord, WandbLog
from jumpml.objectives import L2, CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jumpml.learn import Log

EPOCHS = {"first": Phase(epochs=2), "second": Phase(epochs=2)}


class Killed(BaseException):
    """What stands in for a killed process."""


def make(folder: Path, log: Log) -> Learner:
    """A learner of 10 steps an epoch, with other objectives in its second phase, that saves every 7 steps."""
    torch.manual_seed(0)
    x = torch.randn(100, 4)
    columns = {"x": Column(x, "tensor"), "y": Column((x[:, 0] > 0).long(), "category", classes=("no", "yes"))}
    loaders = DataLoaders(columns, random_split(100, train=0.5, val=0.25, test=0.25), batch_size=5)
    model = jumpml.Model(
        inputs={"x": loaders.info("x")},
        nodes={"out": jumpml.Node(nn.Linear(4, 2), "x")},
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
        objectives={
            "y": CrossEntropy(("out", "y"), when=("first", "second", "supervised")),
            "small": L2("out", weight=0.1, when=("second",)),
        },
        fields=loaders.fields,
    )
    saving = Saving(folder=folder / "checkpoints", epochs=None, steps=7, best="val/loss")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Learner(loaders, model, optimizer, phases=EPOCHS, saving=saving, log=[log])


def kill_at(learner: Learner, step: int) -> None:
    original = learner.step

    def step_or_die(batch: Any) -> None:
        if learner.progress.step == step:
            raise Killed
        original(batch)

    learner.step = step_or_die  # type: ignore[method-assign]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def run_whole_and_stopped(tmp_path: Path, log: Any) -> tuple[Path, Path]:
    """Two folders: of a run without a stop, and of one that was killed in the second phase and went on."""
    whole, stopped = tmp_path / "runs" / "whole", tmp_path / "runs" / "stopped"
    make(whole, log(whole)).fit()
    learner = make(stopped, log(stopped))
    kill_at(learner, 39)
    with pytest.raises(Killed):
        learner.fit()
    shutil.rmtree(stopped / "checkpoints" / "step-00000035")  # logs were told of these steps; the one before is of 30
    again = make(stopped, log(stopped))
    assert again.resume()
    assert again.progress.step == 30
    again.fit()
    return whole, stopped


# --- learning rates by group --------------------------------------------------------------------------------------


def grouped(folder: Path, optimizer: Any, kinds: Sequence[str] = ("jsonl", "csv", "mlflow")) -> Learner:
    """One epoch of four batches, of a model with nodes body and out."""
    columns = {
        "x": Column(torch.rand(12, 4), "tensor"),
        "y": Column(torch.arange(12) % 2, "category", classes=("a", "b")),
    }
    loaders = DataLoaders(columns, random_split(12, train=8 / 12, val=2 / 12, test=2 / 12), batch_size=2)
    model = jumpml.load_model(
        {
            "nodes": {
                "body": {"module": "torch.nn.Linear", "inputs": "x", "args": {"in_features": 4, "out_features": 3}},
                "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
            },
            "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        },
        loaders,
    )
    given: Any = optimizer(model) if callable(optimizer) else None
    told = {} if callable(optimizer) else {"optimizer": optimizer}
    phases = {"supervised": {"epochs": 1, "schedule": {"kind": "linear"}}}
    options = {"log": list(kinds), "checkpoint": None, "phases": phases, **told}
    return jumpml.create_learner(loaders, model, given, options, run=folder)


def sgd(model: jumpml.Model, *groups: dict[str, Any]) -> torch.optim.Optimizer:
    """A group a node, with what is told of each beside its parameters."""
    nodes = [{"params": list(model.node(name).parameters())} for name in ("body", "out")]
    return torch.optim.SGD([{**one, **told} for one, told in zip(nodes, groups, strict=True)], lr=0.1)


@pytest.mark.parametrize(
    ("optimizer", "first"),
    [
        ({"kind": "sgd", "lr": 0.1}, {"lr": 0.1}),
        ({"kind": "adamw", "lr": 0.1, "no_decay": ["biases"]}, {"lr": 0.1}),
        (
            {"kind": "sgd", "lr": 0.1, "groups": [{"nodes": "out", "lr": 0.2}]},
            {"lr": 0.1, "lr/rest": 0.1, "lr/out": 0.2},
        ),
        (
            {"kind": "sgd", "lr": 0.1, "groups": [{"nodes": ["out"], "kind": "adam", "lr": 0.2}]},
            {"lr": 0.1, "lr/rest": 0.1, "lr/out": 0.2},
        ),
        ({"kind": "sgd", "lr": 0.1, "layer_decay": 0.5}, {"lr": 0.1, "lr/rest": 0.1, "lr/rest*0.5": 0.05}),
        (
            {"kind": "adamw", "lr": 0.1, "layer_decay": 0.5, "no_decay": ["biases"]},
            {"lr": 0.1, "lr/rest": 0.1, "lr/rest*0.5": 0.05},
        ),
        (lambda model: sgd(model, {}, {}), {"lr": 0.1}),
        (lambda model: sgd(model, {}, {"lr": 0.2}), {"lr": 0.1, "lr/body": 0.1, "lr/out": 0.2}),
        (lambda model: sgd(model, {"name": "slow"}, {"lr": 0.2}), {"lr": 0.1, "lr/slow": 0.1, "lr/out": 0.2}),
        (
            lambda model: {
                "below": torch.optim.SGD(model.node("body").parameters(), 0.1),
                "above": torch.optim.SGD(model.node("out").parameters(), 0.2),
            },
            {"lr": 0.1, "lr/below": 0.1, "lr/above": 0.2},
        ),
        (
            lambda model: torch.optim.SGD([{"params": [p], "lr": 0.1 * (1 + p.ndim)} for p in model.parameters()]),
            {"lr": 0.3, "lr/body": 0.3, "lr/body 1": 0.2, "lr/out": 0.3, "lr/out 3": 0.2},
        ),
    ],
    ids=[
        "one",
        "equal",
        "node",
        "another kind",
        "depth",
        "depth and decay",
        "by hand",
        "nodes",
        "name",
        "named",
        "many",
    ],
)
def test_rates_are_told_by_group_where_they_differ(
    optimizer: Any, first: dict[str, float], tmp_path: Path, mlflow: FakeMLflow
) -> None:
    learner = grouped(tmp_path, optimizer)
    learner.fit()
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    told = [{key: value for key, value in line.items() if key.partition("/")[0] == "lr"} for line in lines]
    assert told[0] == pytest.approx(first)
    assert [*told[0]] == [*first]
    moved = told[-1]["lr"] / told[0]["lr"]  # the schedule moves all alike
    assert moved < 0.5
    assert told[-1] == pytest.approx({key: value * moved for key, value in first.items()})
    rows = rows_of(tmp_path / "steps.csv")
    assert {key: float(value) for key, value in rows[0].items() if key.startswith("lr")} == pytest.approx(first)
    (record,) = learner.history.epochs
    moved = record.lr / first["lr"]
    assert record.learning_rates() == pytest.approx({key: value * moved for key, value in first.items()})
    (row,) = rows_of(tmp_path / "history.csv")
    assert {key: float(value) for key, value in row.items() if key.startswith("lr")} == record.learning_rates()
    (run,) = mlflow.runs.values()
    metrics = {key.partition("/")[2] for key, *_ in run.metrics}
    as_mlflow = {key.replace("*", "_").replace("lr/", "lr ") for key in first}
    assert {key for key in metrics if key.startswith("lr")} == as_mlflow


def test_rates_by_group_are_curves_of_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    grouped(tmp_path, lambda model: sgd(model, {}, {"lr": 0.2}), ["tensorboard"]).fit()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    curves = {f"supervised/{key}" for key in ("lr", "lr/body", "lr/out")}
    assert curves <= {*events.Tags()["scalars"]}
    last = {name.rpartition("/")[2]: events.Scalars(name)[-1].value for name in curves}
    assert last["body"] == last["lr"] == pytest.approx(last["out"] / 2)


# --- csv ----------------------------------------------------------------------------------------------------------


def test_csv_has_a_line_a_step_and_an_epoch_with_all_columns(tmp_path: Path) -> None:
    learner = make(tmp_path, CsvLog(tmp_path))
    learner.fit()
    steps, epochs = rows_of(tmp_path / "steps.csv"), rows_of(tmp_path / "history.csv")
    assert list(steps[0]) == ["phase", "step", "lr", "loss/y", "loss", "loss/small"]
    assert [int(row["step"]) for row in steps] == list(range(1, 41))
    assert (steps[0]["loss/small"], steps[39]["phase"]) == ("", "second")  # no such objective in the first phase
    assert float(steps[39]["loss/small"]) > 0
    assert [float(row["val/loss"]) for row in epochs] == [record.val["loss"] for record in learner.history.epochs]


def test_csv_of_a_resumed_run_is_that_of_one_without_a_stop(tmp_path: Path) -> None:
    whole, stopped = run_whole_and_stopped(tmp_path, CsvLog)
    for name in ("steps.csv", "history.csv"):
        assert rows_of(whole / name) == rows_of(stopped / name)


def test_csv_without_rewinding_would_tell_steps_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CsvLog, "rewind", lambda *_: None)
    _, stopped = run_whole_and_stopped(tmp_path, CsvLog)
    assert len(rows_of(stopped / "steps.csv")) > 40


def test_csv_drops_a_line_that_a_crash_has_torn(tmp_path: Path) -> None:
    log = CsvLog(tmp_path)
    log.steps([StepRecord("p", step, {"total": 0.5}, 0.1) for step in (1, 2)])
    with (tmp_path / "steps.csv").open("a") as file:
        file.write("p,3,0.1,0.1")  # of 0.1234: a number, and not the right one
    again = CsvLog(tmp_path)
    again.rewind(5, [])
    assert [row["step"] for row in rows_of(tmp_path / "steps.csv")] == ["1", "2"]
    again.rewind(0, [])
    assert not (tmp_path / "steps.csv").exists()


# --- services of experiments ------------------------------------------------------------------------------------------


class FakeMLflow:
    """What of MLflow's client the log uses, on a dict that outlives a process."""

    def __init__(self) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.experiments: list[str] = []
        self.uris: list[str] = []

    def modules(self) -> dict[str, ModuleType]:
        mlflow, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
        vars(mlflow)["MlflowClient"] = self._client
        vars(entities)["Metric"] = lambda key, value, timestamp, step: (key, value, step)
        vars(entities)["Param"] = lambda key, value: (key, value)
        return {"mlflow": mlflow, "mlflow.entities": entities}

    def _client(self, tracking_uri: str) -> FakeMLflow:
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments.append(name)
        return name

    def create_run(self, experiment: str, run_name: str) -> SimpleNamespace:
        key = f"{experiment}/{run_name}/{len(self.runs)}"
        self.runs[key] = SimpleNamespace(metrics=[], params=[], status="RUNNING", deleted=False)
        return SimpleNamespace(info=SimpleNamespace(run_id=key))

    def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.runs[run].metrics += metrics
        self.runs[run].params += params

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[run].status = status

    update_run = set_terminated

    def delete_run(self, run: str) -> None:
        self.runs[run].deleted = True


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMLflow:
    fake = FakeMLflow()
    for name, module in fake.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return fake


def test_mlflow_of_a_resumed_run_tells_what_one_without_a_stop_does(tmp_path: Path, mlflow: FakeMLflow) -> None:
    run_whole_and_stopped(tmp_path, lambda folder: MLflowLog(folder, {"learner": {"seed": 0}}))
    whole, killed, resumed = mlflow.runs.values()
    assert [run.deleted for run in (whole, killed, resumed)] == [False, True, False]
    assert sorted(resumed.metrics) == sorted(whole.metrics)
    assert len(killed.metrics) < len(whole.metrics) == len(set(whole.metrics))
    assert ("learner.seed", "0") in resumed.params
    assert resumed.status == "FINISHED"
    assert mlflow.experiments == ["runs"]
    assert mlflow.uris[0] == f"sqlite:///{tmp_path / 'runs' / 'whole' / 'mlflow.db'}"


def test_mlflow_goes_where_the_environment_says(
    tmp_path: Path, mlflow: FakeMLflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    log = MLflowLog(tmp_path)
    log.epoch(EpochRecord(phase="p", epoch=1, step=3, losses={"total": 0.5, "a(b)": 1.0}, lr=0.1, seconds=1.0))
    assert mlflow.uris == ["sqlite:///mine.db"]
    (run,) = mlflow.runs.values()
    assert run.metrics == [("p/epoch/total", 0.5, 3), ("p/epoch/a_b_", 1.0, 3)]  # MLflow takes no brackets


class FakeWandb:
    """What of wandb the log uses; a run's folder holds what it was told, as an offline run's does."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []

    def module(self) -> ModuleType:
        module = ModuleType("wandb")
        vars(module).update(init=self._init, Settings=dict)
        return module

    def _init(self, **arguments: Any) -> SimpleNamespace:
        from pathlib import Path

        self.made.append(arguments)
        folder = Path(arguments["dir"]) / "wandb" / f"offline-run-{len(self.made)}"
        folder.mkdir(parents=True)
        told: list[Any] = []

        def log(figures: dict[str, float], step: int) -> None:
            assert not told or step >= told[-1][0], "wandb drops what goes back in time"
            told.append([step, figures])
            (folder / "told.json").write_text(json.dumps(told))

        return SimpleNamespace(log=log, finish=lambda: None)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake.module())
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return fake


def test_wandb_of_a_resumed_run_tells_what_one_without_a_stop_does(tmp_path: Path, wandb: FakeWandb) -> None:
    whole, stopped = run_whole_and_stopped(tmp_path, WandbLog)
    (one,), (other,) = (list((folder / "wandb").glob("*/told.json")) for folder in (whole, stopped))
    assert json.loads(one.read_text()) == json.loads(other.read_text())
    assert [made["mode"] for made in wandb.made] == ["offline"] * 3
    assert (wandb.made[0]["project"], wandb.made[0]["name"]) == ("runs", "whole")


@pytest.mark.parametrize(("kind", "package"), [("mlflow", "mlflow"), ("wandb", "wandb")])
def test_a_service_that_is_not_installed_is_told_before_training(
    kind: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    quiet = make(tmp_path, JsonlLog(tmp_path))
    told = f"the log '{kind}' needs the package '{package}', which is not installed: pip install 'jumpml[{kind}]'"
    with pytest.raises(MissingExtraError, match=re.escape(told)):
        jumpml.create_learner(
            quiet.loaders,
            quiet.model,
            quiet.optimizer,
            {"log": [kind], "phases": {"first": {}, "second": {}}},
            run=tmp_path,
        )


def test_files_choose_every_log(tmp_path: Path, mlflow: FakeMLflow, wandb: FakeWandb) -> None:
    quiet = make(tmp_path, JsonlLog(tmp_path))
    kinds = ["progress", "jsonl", "csv", "tensorboard", "mlflow", "wandb"]
    options = {"log": kinds, "phases": {"first": {"epochs": 1}, "second": {"epochs": 1}}}
    learner = jumpml.create_learner(quiet.loaders, quiet.model, None, options, run=tmp_path / "run")
    learner.fit()
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert made >= {"steps.jsonl", "steps.csv", "tensorboard", "mlflow.json", "wandb"}
    assert ("learner.phases.first.epochs", "1") in next(iter(mlflow.runs.values())).params


# --- progress -----------------------------------------------------------------------------------------------------


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def step(number: int, loss: float = 0.5) -> StepRecord:
    return StepRecord("supervised", number, {"total": loss}, 0.1)


def epoch(number: int, seconds: float) -> EpochRecord:
    return EpochRecord(
        phase="supervised", epoch=number, step=9, losses={"total": 0.25}, val={"loss": 0.75}, lr=0.1, seconds=seconds
    )


def test_plain_lines_have_rate_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    log = ProgressLog(clock=clock)
    log.begin("supervised", 3, 0, 4)
    log.steps([step(n) for n in range(4)])
    log.epoch(epoch(1, 2.0))
    log.steps([step(n) for n in range(2)])  # the rest of an epoch that was interrupted
    log.epoch(epoch(2, 4.0))
    log.steps([step(n) for n in range(4)])
    log.epoch(epoch(3, 0.001))
    assert capsys.readouterr().err.splitlines() == [
        "supervised 1/3  loss 0.25  val/loss 0.75  lr 0.1  2.00 s  2 steps/s  4 s left",
        "supervised 2/3  loss 0.25  val/loss 0.75  lr 0.1  4.00 s  2 s/step",
        "supervised 3/3  loss 0.25  val/loss 0.75  lr 0.1  0.00 s  4e+03 steps/s",
    ]


def test_a_line_has_one_figure_of_a_nodes_embeddings_and_those_that_are_watched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    val = {"digit/accuracy": 0.5}
    for node in ("encoder", "lstm.0"):
        val |= {f"embedding/{node}/{name}": 0.25 for name in ("linear_probe", "knn", "rank_me", "spread", "alignment")}
    log = ProgressLog(watched=["val/embedding/encoder/spread", "val/embedding/encoder/linear_probe"])
    log.begin("supervised", 3, 0, 4)
    log.epoch(epoch(1, 0.0).model_copy(update={"val": val}))
    assert capsys.readouterr().err.splitlines() == [
        "supervised 1/3  loss 0.25  val/digit/accuracy 0.5  encoder/linear_probe 0.25  encoder/spread 0.25  "
        "lstm.0/linear_probe 0.25  lr 0.1  0.00 s"
    ]


def test_a_long_epoch_gets_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    log = ProgressLog(clock=clock)
    log.begin("supervised", 2, 0, 1000)
    for _ in range(7):
        clock.now += 25
        log.steps([step(n) for n in range(50)])
    assert capsys.readouterr().err.splitlines() == [
        "supervised 1/2  150/1000 steps  loss 0.5  2 steps/s",
        "supervised 1/2  300/1000 steps  loss 0.5  2 steps/s",
    ]


def test_a_terminal_shows_a_bar_with_rate_time_and_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "150", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    clock = Clock()
    log = ProgressLog(clock=clock)
    log.begin("supervised", 2, 0, 4)
    for number in range(3):
        clock.now += 1
        log.steps([step(number, 0.125)])
        if number == 0:
            log.epoch(epoch(1, 1.0))
    log._bar.refresh()
    log.pause()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert re.search(r"supervised [━╺╸]+ 3/8 00:01 1 steps/s loss 0.125  val/loss 0.75", shown), shown
    assert "supervised 1/2  loss 0.25" in shown


def test_hours_minutes_and_seconds() -> None:
    from jumpml.learn.logs._progress_log import _duration

    assert [_duration(s) for s in (3.4, 134, 7260)] == ["3 s", "2 min 14 s", "2 h 1 min"]
