"""Rows from easy to hard, and rows that count by their losses, through files on digits: run, check, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from digits_files import DATA, shell, written

import jumpml
from jumpml import Project
from jumpml._stages import Stages
from jumpml.core import SpecError
from jumpml.learn import Teaching, difficulty_of_run

if TYPE_CHECKING:
    from pathlib import Path

HARD = DATA.replace("stratify: label}\n", "stratify: label}\n    difficulty: {column: target}\n")
LEARNER = """\
optimizer: {kind: adam, lr: 0.01}
phases: {supervised: {epochs: 3}}
log: [jsonl]
"""
PACED = "curriculum: {pacing: {kind: root, start: 0.2, over: 0.8}, examples: {kind: super_loss}}\n"


def project(folder: Path, curriculum: str = PACED, data: str = HARD) -> Path:
    return written(folder, LEARNER + curriculum, data)


def weights(run: Path) -> torch.Tensor:
    from safetensors.torch import load_file

    last = sorted((run / "checkpoints").glob("step-*"))[-1]
    return torch.cat([value.flatten().float() for _, value in sorted(load_file(last / "model.safetensors").items())])


def learned(files: Path, run: Path) -> Path:
    """A run that nobody evaluates."""
    project = Project.find(files)
    project.learn(run, project.begin(run), Stages())
    return run


def test_a_run_from_files_is_paced_and_weighed_and_another_is_a_reference(tmp_path: Path) -> None:
    result = shell("run", str(project(tmp_path / "paced")), "--out", str(tmp_path / "runs"))
    assert result.exit_code == 0, result.output
    (run,) = (tmp_path / "runs" / "digits").iterdir()
    assert '"pacing"' in (run / "steps.jsonl").read_text(encoding="utf-8")
    plain = learned(project(tmp_path / "plain", ""), tmp_path / "alone")
    assert not torch.equal(weights(run), weights(plain))
    by_run = "curriculum: {pacing: {kind: step}, difficulty: {run: ../../alone}}\n"
    after = learned(project(tmp_path / "after", by_run, DATA), tmp_path / "referred")
    assert '"pacing"' in (after / "steps.jsonl").read_text(encoding="utf-8")
    assert not torch.equal(weights(after), weights(plain))
    kept = Project.find(after / "specs")  # from where the reference lies elsewhere
    kept.learn(after, kept, Stages())


def test_arms_and_pacing_go_by_a_runs_losses_which_are_taken_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = learned(project(tmp_path / "plain", "", DATA), tmp_path / "alone")
    asked: list[torch.Tensor] = []

    def seen(*given: Any) -> torch.Tensor:
        asked.append(difficulty_of_run(*given))
        return asked[-1]

    monkeypatch.setattr("jumpml.learn.examples._build_examples.difficulty_of_run", seen)
    said = f"curriculum: {{teacher: uniform, arms: {{difficulty: 3}}, pacing: root, difficulty: {{run: {run}}}}}\n"
    files = project(tmp_path / "bins", said, DATA)
    loaders = jumpml.create_dataloader(files / "digits.data.yaml")
    model = jumpml.load_model(files / "digits.model.yaml", loaders)
    learner = jumpml.create_learner(loaders, model, None, files / "digits.learner.yaml", run=tmp_path / "run")
    (hard,) = asked
    (teaching,) = (hook for hook in learner.hooks if isinstance(hook, Teaching))
    rows = [arm.order.epoch(0, 0, 32).positions for arm in teaching.arms("supervised")]
    assert torch.cat(rows).sort().values.tolist() == [*range(len(hard))]
    assert hard[rows[0]].max() <= hard[rows[1]].min() and hard[rows[1]].max() <= hard[rows[2]].min()


@pytest.mark.parametrize(
    ("curriculum", "text"),
    [
        ("{pacing: {kind: root, start: 1.5}}", "curriculum.pacing.start: expected a number of at most 1, got 1.5."),
        ("{pacing: {kind: root, over: 0}}", "curriculum.pacing.over: expected a number above 0, got 0."),
        ("{pacing: {kind: rot}}", "curriculum.pacing"),
        ("{pacing: {kind: root}, when: [supervized]}", "there is no phase 'supervized'. Did you mean 'supervised'"),
        (
            "{difficulty: own}",
            "nothing asks how hard rows are: leave `difficulty` out, or say `pacing` or `arms: {diff",
        ),
        (
            "{pacing: {kind: root, order: random}, difficulty: own}",
            "nothing asks how hard rows are where they come in random order: leave `difficulty` out, or say another",
        ),
        (
            "{teacher: uniform, arms: [{difficulty: 2}, {classes: label}], difficulty: own}",
            "bins of difficulty are made before anything is learned, and `own` losses are not there yet: say",
        ),
        (
            "{teacher: uniform, arms: {difficulty: 2}, difficulty: {run: nowhere}}",
            "nowhere is no run: it has no specs/",
        ),
        ("{pacing: {kind: root}, difficulty: {run: nowhere}}", "nowhere is no run: it has no specs/*.model.yaml."),
        ("{examples: {kind: super_loss, of: [labl]}}", "there is no objective 'labl'. Did you mean 'label'?"),
        ("{examples: {kind: data_parameters, of: [labl]}}", "there is no task 'labl'. Did you mean 'label'?"),
    ],
)
def test_check_finds_what_is_wrong(tmp_path: Path, curriculum: str, text: str) -> None:
    folder = project(tmp_path, f"curriculum: {curriculum}\n")
    result = shell("check", str(folder))
    assert result.exit_code != 0
    assert text in " ".join(result.output.split()), result.output


def test_check_finds_difficulty_that_the_data_lack(tmp_path: Path) -> None:
    result = shell("check", str(project(tmp_path / "none", PACED, DATA)))
    assert "the data file says of no data set how hard rows are." in " ".join(result.output.split())
    wrong = HARD.replace("column: target}\nbatch", "column: targets}\nbatch")
    result = shell("check", str(project(tmp_path / "wrong", PACED, wrong)))
    assert "there is no field and no column 'targets'. Did you mean 'target'" in " ".join(result.output.split())


def test_the_files_error_names_the_line(tmp_path: Path) -> None:
    folder = project(tmp_path, "curriculum: {pacing: {kind: root, start: 1.5}}\n")
    loaders = jumpml.create_dataloader(folder / "digits.data.yaml")
    model = jumpml.load_model(folder / "digits.model.yaml", loaders)
    with pytest.raises(SpecError, match=r"digits\.learner\.yaml: 1 mistake\n  line 4"):
        jumpml.create_learner(loaders, model, None, folder / "digits.learner.yaml")
