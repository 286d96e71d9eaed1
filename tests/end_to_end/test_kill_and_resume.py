"""A run that is killed with SIGKILL at any moment and resumed in a new process ends with the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

if TYPE_CHECKING:
    from pathlib import Path

DATA = """
datasets:
  digits:
    source: {kind: sklearn, name: digits}
    fields:
      image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
      label: {kind: category, column: target}
    split: {stratify: label}
features:
  image: [{standardize: {}}]
augment:
  image: [{shift: {pixels: 1}}, {rotate: {degrees: 10}}, {erase: {area: 0.2}}]
views:
  strong: {image: [{noise: {std: 0.1}}]}
batch_size: 16
"""
MODEL = """
seed: 0
nodes:
  flat: {module: torch.nn.Flatten, inputs: image}
  encoder: {module: jumpml.blocks.MLP, inputs: flat, args: {widths: [64, 32], dropout: 0.3}}
  norm: {module: torch.nn.BatchNorm1d, inputs: encoder, args: {num_features: 32}}
  digit: {module: jumpml.blocks.Head, inputs: norm}
tasks:
  digit: {kind: multiclass, output: digit, target: label}
objectives:
  agree: {kind: vicreg, inputs: encoder, views: strong, projector: [16], when: [self_supervised]}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.003}
ema: {decay: 0.95}
clip_norm: 1.0
phases:
  self_supervised: {epochs: 3, train: [upto: encoder]}
  supervised: {epochs: 12, schedule: {kind: one_cycle, max_lr: 0.01}}
checkpoint: {every: {steps: 37}, best: {metric: val/digit/accuracy}}
log: [jsonl, tensorboard]
"""
STEPS = 15 * 79  # 15 epochs of 1,257 rows in batches of 16

# Only the learning is killed here; what follows it holds no state. `withhold` is the negative control.
PROGRAM = """
import sys, torch
from pathlib import Path
import jumpml
from jumpml.learn import Checkpoints

torch.set_num_threads(1)
folder, run, withhold = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
if withhold:
    load = Checkpoints.load
    def forgetful(self, step):
        state = load(self, step)
        state["random"]["torch"] = torch.Generator().manual_seed(1).get_state()
        return state
    Checkpoints.load = forgetful
project = jumpml.Project.find(folder)
loaders, model = project.build()
learner = jumpml.create_learner(loaders, model, None, project.learner, run=run)
learner.fit()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for kind, text in (("data", DATA), ("model", MODEL), ("learner", LEARNER)):
        (folder / f"p.{kind}.yaml").write_text(text)
    (folder / "program.py").write_text(PROGRAM)
    return folder


def start(project: Path, run: Path, *options: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(project / "program.py"), str(project), str(run), *options]
    return subprocess.Popen(command, env=environment)


def newest(run: Path) -> int:
    """The newest checkpoint's step; -1 before the first."""
    return max((int(p.name.removeprefix("step-")) for p in (run / "checkpoints").glob("step-*")), default=-1)


def kill_somewhere(project: Path, run: Path, after: int, delay: float) -> bool:
    """Start, wait for a checkpoint after a step and then some moments, and kill; whether it was still running."""
    process = start(project, run)
    while process.poll() is None and newest(run) < after:
        time.sleep(0.005)
    time.sleep(delay)
    running = process.poll() is None
    if running:
        process.send_signal(signal.SIGKILL)
    process.wait()
    return running


def finish(project: Path, run: Path, *options: str) -> dict[str, torch.Tensor]:
    """Run to the end; the last checkpoint's weights and everything else that training moves."""
    assert start(project, run, *options).wait() == 0
    assert newest(run) == STEPS
    last = run / "checkpoints" / f"step-{STEPS:08d}"
    state = {f"model/{name}": value for name, value in load_file(last / "model.safetensors").items()}
    return state | {f"state/{name}": value for name, value in load_file(last / "state.safetensors").items()}


def differing(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    """Names whose tensors are not the same bytes; refuses to compare nothing or other names."""
    if not first or first.keys() != second.keys():
        raise AssertionError("nothing to compare, or other names")
    return [n for n in first if first[n].numpy().tobytes() != second[n].numpy().tobytes()]


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError, match="nothing to compare"):
        differing({}, {})
    assert differing({"a": torch.zeros(2)}, {"a": torch.tensor([0.0, -0.0])}) == ["a"]


def study(project: Path, tmp_path: Path, kills: int, seed: int) -> None:
    whole = finish(project, tmp_path / "whole")
    generator = random.Random(seed)
    moments = sorted(generator.randrange(0, STEPS - 120) for _ in range(kills))
    run = tmp_path / "killed"
    killed = sum(kill_somewhere(project, run, moment, generator.random() * 0.3) for moment in moments)
    assert killed == kills
    assert differing(whole, finish(project, run)) == []


def test_two_kills(project: Path, tmp_path: Path) -> None:
    study(project, tmp_path, kills=2, seed=0)


@pytest.mark.slow
def test_ten_kills_at_random_moments(project: Path, tmp_path: Path) -> None:
    study(project, tmp_path, kills=10, seed=1)


@pytest.mark.slow
def test_withholding_one_generator_shows(project: Path, tmp_path: Path) -> None:
    whole = finish(project, tmp_path / "whole")
    run = tmp_path / "killed"
    assert kill_somewhere(project, run, 500, 0.1)
    assert any(name.startswith("model/") for name in differing(whole, finish(project, run, "withhold")))
