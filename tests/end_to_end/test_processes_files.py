"""A project in two processes that `torchrun` starts: learned, stopped, gone on with, and reported by one of them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import digits_files
import pytest

import jumpml
from jumpml.core import LearnerSpec, load_spec

if TYPE_CHECKING:
    from pathlib import Path

DATA = digits_files.DATA.replace("batch_size: 32", "batch_size: 65")
LEARNER = """\
optimizer: {kind: adam, lr: 0.01}
phases: {supervised: {epochs: 2}}
ema: {decay: 0.9}
checkpoint: {best: {metric: val/label/accuracy}}
log: [progress, jsonl]
"""
LEFT = {
    *("card.html", "README.md", "card.json", "run.json", "evaluation.json", "diagnosis.json", "deployment.json"),
    *("history.jsonl", "steps.jsonl", "specs", "checkpoints", "bundles"),
}


def launched(*arguments: str, cwd: Path, first_late: float = 0) -> subprocess.CompletedProcess[str]:
    """A command in two processes, of which the first may begin so many seconds later."""
    late = f"[ $RANK = 1 ] || sleep {first_late}; exec {shlex.join([sys.executable, '-m', 'jumpml', *arguments])}"
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    started = ["-m", "jumpml", *arguments] if not first_late else ["--no-python", "sh", "-c", late]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*start, *started], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def history(run: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{**record["losses"], **record["val"]} for record in records]


def of_one_process(folder: Path) -> list[dict[str, float]]:
    """What one process learns by the same files."""
    data = jumpml.create_dataloader(folder / "digits.data.yaml")
    model = jumpml.load_model(folder / "digits.model.yaml", data, seed=0)
    options = load_spec(LearnerSpec, folder / "digits.learner.yaml", {"log": []})
    learner = jumpml.create_learner(data, model, None, options, run=folder / "alone")
    learner.fit()
    return [{**epoch.losses, **epoch.val} for epoch in learner.history.epochs]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with the files, in which two processes have made a run."""
    folder = digits_files.written(tmp_path_factory.mktemp("both"), LEARNER, DATA)
    return folder, launched("run", ".", "--set", "learner.distribute=ddp", cwd=folder)


def test_one_of_two_makes_the_run_and_tells(both: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, ended = both
    assert ended.returncode == 0, ended.stderr
    (run,) = (folder / "runs" / "digits").iterdir()
    assert ended.stdout == f"{run.relative_to(folder)}\n"
    assert {path.name for path in run.iterdir()} == LEFT
    said = [line.partition("  ")[0] for line in ended.stderr.splitlines()]
    assert said == [
        *("data", "processes", "learn", "supervised 1/2", "supervised 2/2"),
        *("evaluate", "reached", "diagnose", "deploy", "bundled", "report"),
    ]
    assert "processes  2 learn as one, each from its share of every batch\n" in ended.stderr
    assert history(run) == [pytest.approx(epoch, rel=1e-3) for epoch in of_one_process(folder)]
    record = json.loads((run / "run.json").read_text())
    assert record["command"] == """torchrun --nproc-per-node 2 -m jumpml run . '--set=learner.distribute="ddp"'"""


def test_a_mistake_is_told_once_also_where_the_first_is_the_last_to_find_it(tmp_path: Path) -> None:
    """`torchrun` stops the others as soon as one has ended."""
    ended = launched("compare", ".", cwd=tmp_path, first_late=2)
    assert ended.returncode == 1
    assert ended.stderr.count("runs in one process, and 2 were started") == 1
    assert "\nerror: `jumpml compare` runs" in f"\n{ended.stderr}"


@pytest.mark.slow
def test_it_goes_on_to_the_figures_of_one_process(
    both: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = both
    (run,) = (folder / "runs" / "digits").iterdir()
    ended = launched(
        *("resume", str(run), "--set", "learner.phases.supervised.epochs=3", "--allow-changes"), cwd=folder
    )
    assert ended.returncode == 0, ended.stderr
    monkeypatch.chdir(digits_files.written(tmp_path, LEARNER, DATA))
    alone = digits_files.shell(
        *("run", ".", "--set", "learner.distribute=ddp", "--set", "learner.phases.supervised.epochs=3")
    )
    assert alone.exit_code == 0
    told = (
        "processes  one; several learn as one with `distribute: ddp` where `torchrun --nproc-per-node 2 -m jumpml run"
    )
    assert alone.stderr.count(told) == 1
    (other,) = (tmp_path / "runs" / "digits").iterdir()
    several, one = history(run), history(other)
    assert len(several) == len(one) == 3
    for epoch, same in zip(several, one, strict=True):
        assert epoch == pytest.approx(same, rel=1e-3)
    figures = [json.loads((place / "evaluation.json").read_text())["tasks"]["digit"] for place in (run, other)]
    assert figures[0]["figures"]["log_loss"]["value"] == pytest.approx(
        figures[1]["figures"]["log_loss"]["value"], rel=1e-3
    )
