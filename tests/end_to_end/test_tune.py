"""A search over keys of the files: what it may choose from, what it finds, and that it goes on exactly."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

import jumpml
from jumpml import Project, resume_tuning, tune
from jumpml._search import Choices, Range, parse_search, parse_search_texts
from jumpml._tune_record import TrialRecord, TuningRecord
from jumpml.cli import app
from jumpml.core import JumpMLError, MissingExtraError, RunError, SpecError
from jumpml.learn import Learner

DATA = """
datasets:
  iris:
    source: {kind: sklearn, name: iris}
    fields:
      size: {kind: tensor, column: data, shape: [4]}
      species: {kind: category, column: target}
    split: {stratify: species, duplicates: together}
batch_size: 16
"""
MODEL = """
nodes:
  encoder: {module: jumpml.blocks.MLP, inputs: size, args: {widths: [8]}}
  out: {module: jumpml.blocks.Head, inputs: encoder}
tasks:
  species: {kind: multiclass, output: out, target: species}
"""
LEARNER = """
optimizer: {kind: sgd, lr: 0.01}
phases: {supervised: {epochs: 3}}
checkpoint: {best: {metric: val/loss}}
log: [progress, jsonl]
"""
SEARCH = {"learner.optimizer.lr": "log:1e-4..1", "model.nodes.encoder.args.widths": "[4],[8],[8, 8]"}


BY = "val/species/accuracy"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("work") / "iris"
    path.mkdir()
    for kind, text in {"data": DATA, "model": MODEL, "learner": LEARNER}.items():
        (path / f"iris.{kind}.yaml").write_text(text)
    return path


@pytest.fixture(scope="module")
def whole(folder: Path) -> TuningRecord:
    return tune(Project.find(folder), SEARCH, trials=6, by=BY, out=folder.parent / "whole")


def found_by(record: TuningRecord) -> list[dict[str, Any]]:
    return [trial.model_dump() for trial in record.trials]


# --- what a search may choose from --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "space"),
    [
        ("log:1e-4..1e-1", Range(low=1e-4, high=0.1, log=True)),
        ("0.0..0.5", Range(low=0, high=0.5)),
        ("16..64", Range(low=16, high=64, whole=True)),
        ("log:16 .. 256", Range(low=16, high=256, log=True, whole=True)),
        ("-1..1", Range(low=-1, high=1, whole=True)),
        ("16,32", Choices(values=(16, 32))),
        ("null, relu, true", Choices(values=(None, "relu", True))),
        ("[16], [16, 32]", Choices(values=([16], [16, 32]))),
    ],
)
def test_ranges_and_choices(said: str, space: Range | Choices) -> None:
    assert parse_search(f"learner.x={said}") == ("learner.x", space)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "learner.optimizer.lr",
            "expected a key that begins with data., model. or learner., and log:1e-4..1e-1",
        ),
        ("lerner.seed=1,2", "Did you mean 'learner'?"),
        ("learner.seed=", "got 'learner.seed='"),
        ("learner.seed=3", "learner.seed: one value alone is no choice; expected log:1e-4..1e-1, 0.0..0.5, 16..64, or"),
        ("learner.seed=[1, 2]", "one value alone is no choice"),
        ("learner.optimizer.lr=1..0.1", "learner.optimizer.lr: expected a range that rises, got '1..0.1'."),
        ("learner.optimizer.lr=log:0..1", "expected a logarithmic range above zero, got 'log:0..1'."),
        ("learner.optimizer.lr=lin:0..1", "expected log:1e-4..1e-1, 0.0..0.5, 16..64, or 16,32,64; got 'lin:0..1'."),
        ("learner.optimizer.lr=[1, 2", "this is not YAML"),
    ],
)
def test_what_is_no_search_is_told(text: str, told: str) -> None:
    with pytest.raises(SpecError, match=re.escape(told)):
        parse_search(text)


def test_a_key_that_is_searched_twice_is_told() -> None:
    with pytest.raises(SpecError, match=re.escape("learner.seed: it is searched twice, as '1,2' and as '3,4'.")):
        parse_search_texts(["learner.seed=1,2", "learner.seed=3,4"])


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"learner.optimiser.lr": "1e-4..1"}, "Did you mean 'optimizer'?"),
        ({"learner.optimizer.lr": "-1..1"}, "optimizer.lr"),
        (
            {"model.nodes.encoder.args.widths": "[8],[9]", "lr": "1..2"},
            "begins with data., model. or learner., got 'lr'.",
        ),
        *(
            (
                {"learner.optimizer.lr": "1e-4..1", key: "16,32"},
                f"{key}: no trial reads it. A trial learns, and is measured on the validation rows by one figure "
                "(`--by`): it reads the data, model and learner files, but for learner.adapt and "
                "learner.checkpoint.best.",
            )
            for key in ("deploy.opset", "learner.adapt", "learner.adapt.prior", "learner.checkpoint.best.metric")
        ),
        ({}, "expected at least one key to search and one trial, got 0 and 20."),
    ],
)
def test_keys_and_values_are_checked_before_anything_is_made(
    search: dict[str, str], told: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=re.escape(told)):
        tune(Project.find(folder), search, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("search", "told"),
    [
        (
            {"learner.optimizer.momentom": "0.5..0.9"},
            "optimizer.momentom: SGD takes no such argument. Did you mean 'momentum'",
        ),
        ({"model.nodes.encoder.args.withs": "[8],[16]"}, "withs"),
        ({"model.nodes.encoder.args.widths": "[0],[-1]"}, "widths"),
        (
            {"data.batch_size": "1000..2000", "learner.optimizer.betas": "[0.8, 0.9],[0.9, 0.99]"},
            "optimizer.betas: SGD takes no",
        ),
    ],
)
def test_a_key_that_no_value_makes_right_is_told_before_the_first_trial(
    search: dict[str, str], told: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=re.escape(told)):
        tune(Project.find(folder), search, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "search",
    [
        {"learner.optimizer.kind": "sgd,adam", "learner.optimizer.betas": "[0.8, 0.9],[0.9, 0.99]"},
        {"model.nodes.encoder.args.widths": "[0],[8]"},
    ],
    ids=["beside another key's", "one of two"],
)
def test_a_key_that_some_value_makes_right_is_searched(search: dict[str, str], folder: Path, tmp_path: Path) -> None:
    record = tune(Project.find(folder), search, trials=4, out=tmp_path / "runs")
    assert {trial.state for trial in record.trials} >= {"complete", "failed"}


def test_a_figure_that_there_is_not_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(JumpMLError, match=r"the validation has no figure 'val/species/acuracy'\. Did you mean"):
        tune(Project.find(folder), SEARCH, by="val/species/acuracy", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_optuna_that_is_missing_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    told = "a search over keys needs the package 'optuna', which is not installed: pip install 'jumpml[tune]'"
    with pytest.raises(MissingExtraError, match=re.escape(told)):
        tune(Project.find(folder), SEARCH)


# --- what it finds --------------------------------------------------------------------------------------------------


def test_trials_are_runs_that_no_test_row_has_seen(whole: TuningRecord, folder: Path) -> None:
    place = Path(whole.folder)
    assert place.parent == folder.parent / "whole" / "iris" / "tune"
    assert [trial.folder for trial in whole.trials] == [f"trial-00{n}" for n in range(6)]
    as_it_is = {"learner.optimizer.lr": 0.01, "model.nodes.encoder.args.widths": [8]}
    assert whole.trials[0].values == as_it_is
    assert not list(place.rglob("evaluation.json"))
    for trial in whole.trials:
        there = {path.name for path in (place / trial.folder).iterdir()}
        assert there >= {"specs", "run.json", "history.jsonl", "checkpoints"}
    best = whole.best
    assert best is not None
    assert best.figure is not None
    assert best.figure == max(t.figure for t in whole.trials if t.state == "complete" and t.figure is not None)
    assert best.figure > 0.5  # three species
    assert TuningRecord.model_validate_json((place / "tune.json").read_text()) == whole
    ElementTree.parse(place / "tune.svg")
    assert [key for key in SEARCH if f"--set={key}=" in whole.arguments] == list(SEARCH)


def test_a_trial_can_be_finished_as_any_run(whole: TuningRecord) -> None:
    assert whole.best is not None
    finished = jumpml.resume(Path(whole.folder) / whole.best.folder)
    assert (finished / "evaluation.json").is_file()
    (finished / "evaluation.json").unlink()


def test_the_same_seed_finds_the_same_and_another_does_not(whole: TuningRecord, folder: Path, tmp_path: Path) -> None:
    again, other = (tune(Project.find(folder), SEARCH, trials=3, by=BY, seed=n, out=tmp_path) for n in (0, 1))
    assert found_by(again) == found_by(whole)[:3]
    assert found_by(other)[1:] != found_by(whole)[1:3]


class Killed(BaseException):
    """What stands in for a killed process."""


def weights(record: TuningRecord) -> list[bytes]:
    """Of the last checkpoint of every trial."""
    folders = [Path(record.folder) / trial.folder / "checkpoints" for trial in record.trials]
    return [max(folder.glob("*/model.safetensors")).read_bytes() for folder in folders]


@pytest.mark.parametrize("steps", [8, 33])
def test_a_search_that_was_stopped_ends_like_one_that_was_not(
    steps: int, whole: TuningRecord, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [steps]
    original = Learner.step

    def step(self: Learner, *batches: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        original(self, *batches)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Learner, "step", step)
        tune(Project.find(folder), SEARCH, trials=6, by=BY, out=tmp_path)
    (stopped,) = (tmp_path / "iris" / "tune").iterdir()
    again = resume_tuning(stopped)
    assert found_by(again) == found_by(whole)
    assert len(weights(again)) == 6
    assert weights(again) == weights(whole)


def test_a_search_goes_on_to_more_trials(whole: TuningRecord, tmp_path: Path) -> None:
    copied = shutil.copytree(whole.folder, tmp_path / "iris" / "tune" / Path(whole.folder).name)
    more = resume_tuning(copied, trials=8)
    assert found_by(more)[:6] == found_by(whole)
    assert len(more.trials) == 8


def test_trials_that_others_have_left_behind_end_early(folder: Path, tmp_path: Path) -> None:
    search = {"learner.optimizer.lr": "1e-6,0.3,0.25,0.2,0.15,1e-7"}
    project = Project.find(folder, {"learner.phases.supervised.epochs": 4})
    pruned = tune(project, search, trials=10, out=tmp_path)
    assert "pruned" in {trial.state for trial in pruned.trials}
    cut = next(trial for trial in pruned.trials if trial.state == "pruned")
    assert 1 < cut.epochs < 4
    assert f"pruned after {cut.epochs}" in str(pruned)
    assert {trial.state for trial in tune(project, search, trials=7, prune=False, out=tmp_path).trials} == {"complete"}


def test_a_trial_that_fails_is_told_and_the_search_goes_on(folder: Path, tmp_path: Path) -> None:
    found = tune(Project.find(folder), {"model.nodes.encoder.args.widths": "[8],[0]"}, trials=6, out=tmp_path)
    states = {str(trial.values["model.nodes.encoder.args.widths"]): trial for trial in found.trials}
    assert states["[8]"].state == "complete"
    assert states["[0]"].state == "failed"
    assert states["[0]"].error
    broken = Project.find(folder, {"model.nodes.encoder.args.widths": [8]})
    with pytest.raises(JumpMLError, match="came to its end; the first one failed: "):
        tune(broken, {"learner.optimizer.lr": "1e30,1e31"}, trials=2, out=tmp_path)


def test_which_way_is_better_is_as_the_best_checkpoint_has_it(folder: Path, tmp_path: Path) -> None:
    least = {"checkpoint.best": {"metric": BY, "mode": "min"}}
    project = Project.find(folder, {f"learner.{key}": value for key, value in least.items()})
    record = tune(project, SEARCH, trials=3, prune=False, out=tmp_path)
    figures = [trial.figure for trial in record.trials if trial.figure is not None]
    assert not record.higher_is_better
    assert record.best is not None and record.best.figure == min(figures) < max(figures)


def test_what_is_no_search_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"is no search's folder: it has no study\.json\. A search is made by `jumpml tune`"
    ):
        resume_tuning(tmp_path)


# --- what it says ---------------------------------------------------------------------------------------------------


def _record(*, higher: bool = True, importance: dict[str, float] | None = None) -> TuningRecord:
    trials = [
        TrialRecord.model_validate(
            {"number": n, "folder": f"trial-{n:03d}", "values": {"a.b": n / 4, "c.d": word}, "state": state}
            | {"figure": figure, "epochs": 2}
        )
        for n, (word, state, figure) in enumerate(
            [("x", "complete", 0.5), ("y", "complete", 0.75), ("x", "pruned", 0.9), ("z", "failed", None)]
        )
    ]
    return TuningRecord(
        name="iris",
        folder="runs/iris/tune/1",
        metric="val/species/accuracy",
        higher_is_better=higher,
        search={"a.b": "0.0..1.0", "c.d": "x,y,z"},
        trials=tuple(trials),
        importance=importance or {},
    )


def test_the_best_is_complete_and_by_the_metrics_direction() -> None:
    up, down = _record().best, _record(higher=False).best
    assert up is not None
    assert down is not None
    assert (up.number, down.number) == (1, 0)
    assert _record().arguments == "--set=a.b=0.25 '--set=c.d=\"y\"'"


def test_the_table_ranks_and_the_picture_shows_every_key() -> None:
    record = _record(importance={"a.b": 0.8, "c.d": 0.2})
    lines = str(record).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["trial", "trial-001", "trial-000", "trial-002"]
    assert "importance: a.b 80%, c.d 20%" in lines
    shown = [e.text for e in ElementTree.fromstring(record.draw()).iter("{http://www.w3.org/2000/svg}text")]
    assert {"val/species/accuracy", "Importance", "a.b", "c.d", "the best so far"} <= set(shown)
    nothing = record.model_copy(update={"trials": record.trials[3:]})
    assert "no trial came to its end" in str(nothing)
    ElementTree.fromstring(nothing.draw())


def test_importance_is_told_of_ten_complete_trials(folder: Path, tmp_path: Path) -> None:
    search = {"learner.optimizer.lr": "log:1e-5..1", "learner.seed": "1,2"}
    project = Project.find(folder, {"learner.phases.supervised.epochs": 1})
    few, enough = (tune(project, search, trials=n, prune=False, out=tmp_path) for n in (2, 12))
    assert few.importance == {}
    assert sum(enough.importance.values()) == pytest.approx(1)
    assert enough.importance["learner.optimizer.lr"] > enough.importance["learner.seed"]


def test_the_commands(folder: Path, tmp_path: Path) -> None:
    arguments = ["tune", str(folder), *(f"--search={key}={said}" for key, said in SEARCH.items())]
    result = CliRunner().invoke(
        app, [*arguments, "--trials", "2", "--by", BY, "--out", str(tmp_path)], prog_name="jumpml"
    )
    assert result.exit_code == 0, result.output
    assert "trial 2/2  val/species/accuracy" in result.stderr
    assert "the best, with the figure on the validation rows: --set=learner.optimizer.lr=" in result.stdout
    place = result.stdout.splitlines()[-1].removeprefix("wrote ").partition("/tune.svg")[0]
    again = CliRunner().invoke(app, ["resume", place], prog_name="jumpml")
    assert again.stdout == result.stdout
    refused = CliRunner().invoke(app, ["resume", place, "--allow-changes"], prog_name="jumpml")
    assert refused.exit_code == 2
    assert "a search goes on as it was begun." in refused.stderr
    none = CliRunner().invoke(app, ["tune", str(folder)], prog_name="jumpml")
    assert none.exit_code == 2
    assert "Missing option '--search'" in none.stderr
