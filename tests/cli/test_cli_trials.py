"""The commands that learn for a while and leave no run behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

import jumpml
from jumpml.cli import app
from jumpml.core import DeploySpec, load_spec
from jumpml.learn import BatchSizes, LearningRates, StepProfile

if TYPE_CHECKING:
    from typer.testing import Result

DATA = """
datasets:
  digits:
    source: {kind: sklearn, name: digits}
    fields:
      image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
      label: {kind: category, column: target}
batch_size: 32
"""
MODEL = """
nodes:
  flat: {module: torch.nn.Flatten, inputs: image}
  encoder: {module: jumpml.blocks.MLP, inputs: flat, args: {widths: [16, 8]}}
  digit: {module: jumpml.blocks.Head, inputs: encoder}
tasks:
  digit: {kind: multiclass, output: digit, target: label}
objectives:
  first: {kind: cross_entropy, inputs: [digit, label], when: [warm]}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.01}
phases:
  warm: {epochs: 2, train: [encoder, digit]}
  supervised: {epochs: 2}
checkpoint: {best: {metric: val/digit/accuracy}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "digits"
    folder.mkdir()
    for kind, text in {"data": DATA, "model": MODEL, "learner": LEARNER}.items():
        (folder / f"digits.{kind}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return folder


def jumpml_(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="jumpml")


def test_find_lr_prints_the_argument_that_sets_it(project: Path, tmp_path: Path) -> None:
    result = jumpml_("find-lr", str(project), "--phase", "supervised", "--out", "looks")
    assert result.exit_code == 0, result.output
    record = LearningRates.model_validate_json((tmp_path / "looks" / "find-lr.json").read_text())
    assert record.suggestion is not None
    assert 1e-4 < record.suggestion < 1  # Adam on a small perceptron
    assert result.stdout.startswith(f"{record}\n\nwith it: --set learner.optimizer.lr={record.suggestion:.2g}\n")
    ElementTree.parse(tmp_path / "looks" / "find-lr.svg")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("schedule={kind: one_cycle, max_lr: 0.1}", "schedule.max_lr"),
        ("phases.warm.schedule={kind: one_cycle, max_lr: 0.1}", "phases.warm.schedule.max_lr"),
        ("phases.warm.lr=0.001", "phases.warm.lr"),
        ("optimizer.groups=[{nodes: digit, kind: sgd, lr: 0.1}]", "phases.warm.lr"),
        ("optimizer.layer_decay=0.5", "optimizer.lr"),
    ],
)
def test_find_lr_names_the_key_from_which_the_phase_has_its_rate(project: Path, said: str, key: str) -> None:
    result = jumpml_("find-lr", str(project), "--steps", "30", "--set", f"learner.{said}")
    assert result.exit_code == 0, result.output
    argument = next(line for line in result.stdout.splitlines() if line.startswith("with it: ")).split()[-1]
    assert argument.startswith(f"learner.{key}=")
    checked = jumpml_("check", str(project), "--set", f"learner.{said}", "--set", argument)
    assert checked.exit_code == 0, checked.output


def test_find_lr_tells_the_files_rate_where_another_group_comes_first(project: Path, tmp_path: Path) -> None:
    groups = "learner.optimizer.groups=[{nodes: encoder, lr: 0.1}, {nodes: [flat, digit], lr: 0.2}]"
    result = jumpml_("find-lr", str(project), "--steps", "30", "--out", "looks", "--set", groups)
    record = LearningRates.model_validate_json((tmp_path / "looks" / "find-lr.json").read_text())
    assert record.suggestion is not None
    assert f"learner.phases.warm.lr={record.suggestion * 0.01 / 0.1:.2g}\n" in result.stdout


def test_profile_prints_a_table_and_what_to_look_at(project: Path, tmp_path: Path) -> None:
    result = jumpml_("profile", str(project), "--steps", "2", "--out", "looks")
    assert result.exit_code == 0, result.output
    record = StepProfile.model_validate_json((tmp_path / "looks" / "profile.json").read_text())
    assert [part.name for part in record.parts if part.kind == "node"] == ["flat", "encoder", "digit"]
    assert record.phase == "warm"
    assert record.bottleneck in result.stdout
    ElementTree.parse(tmp_path / "looks" / "profile.svg")


def test_profile_by_batch_size_says_what_fits(project: Path, tmp_path: Path) -> None:
    result = jumpml_("profile", str(project), "--batch-sizes", "--memory", "1MB", "--out", "looks")
    assert result.exit_code == 0, result.output
    record = BatchSizes.model_validate_json((tmp_path / "looks" / "batch-sizes.json").read_text())
    assert [each.rows for each in record.sizes] == [8, 16, 32, 64, 128]
    assert re.search(r"\d+ rows fit into 1 MB", result.stdout)
    alone = jumpml_("profile", str(project), "--memory", "1MB")
    assert alone.exit_code == 2
    assert "'--memory': it says nothing without --batch-sizes." in alone.stderr


def test_check_can_let_a_batch_be_learned_by_heart(project: Path) -> None:
    result = jumpml_("check", str(project), "--overfit", "120")
    assert result.exit_code == 0, result.output
    for phase in ("warm", "supervised"):
        assert f"one batch of 32 rows, 120 steps of the phase '{phase}'; dropout off" in result.stdout
    assert re.findall(r"^(\w+) .* learned$", result.stdout, flags=re.MULTILINE) == ["first", "digit"]


def test_a_dry_run_does_everything_and_keeps_nothing(project: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = jumpml_("run", str(project), "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout == "digits: the dry run came to its end; nothing was kept\n"
    for stage in ("learn", "evaluate", "diagnose", "deploy", "report"):
        assert f"{stage}  " in result.stderr
    assert re.search(r"^reached  digit/accuracy 0[.\d]* \(\S+ to \S+\) on \d+ test rows$", result.stderr, re.MULTILINE)
    assert "\nbundled  float32\n" in result.stderr
    assert "report  card.html, README.md and card.json\n" in result.stderr  # no place: it is gone
    assert "warm 1/1" in result.stderr
    assert "supervised 1/1" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_finds_what_a_check_does_not(project: Path) -> None:
    (project / "digits.deploy.yaml").write_text("bundle: run.json\n")  # where the run's own record lies
    assert jumpml_("check", str(project)).exit_code == 0
    result = jumpml_("run", str(project), "--dry-run")
    assert result.exit_code == 1
    assert "run.json" in result.stderr


def test_a_dry_run_tells_no_service_of_itself(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jumpml._dry_run import shortened

    read = jumpml.Project.find(project, {"learner.log": ["jsonl", "mlflow", "wandb", "csv"]})
    _, model = read.build()
    short = shortened(read.learner, model)
    assert short.log == ("jsonl", "csv")
    assert {name: phase.epochs for name, phase in short.phases.items()} == {"warm": 1, "supervised": 1}


def test_a_dry_run_trains_variants_for_one_epoch() -> None:
    from jumpml._dry_run import shortened_deploy

    file = Path(__file__).parents[2] / "examples" / "digits" / "digits.deploy.yaml"
    spec = load_spec(DeploySpec, file)
    short = shortened_deploy(spec)
    trained = [each for v in short.variants.values() for each in (v.distill, v.fine_tune) if each is not None]
    assert len(trained) == 2
    assert {each.epochs for each in trained} == {1}
    assert (short.folder, list(short.variants)) == (spec.folder, list(spec.variants))


def test_make_learner_saves_and_logs_nothing(project: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    learner = jumpml.Project.find(project).make_learner()
    learner.fit()
    assert len(learner.history.table()) == 4
    assert json.dumps(learner.history.table()[0]["phase"]) == '"warm"'
    assert sorted(tmp_path.rglob("*")) == before
