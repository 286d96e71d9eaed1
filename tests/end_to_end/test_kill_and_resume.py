"""A run that is killed with SIGKILL at any moment and resumed in a new process ends with the same bits."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

import jumpml
from jumpml.learn import Checkpoints, Hook, Learner
from jumpml.learn.saving import _states

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jumpml.learn import Step
    from jumpml.learn._loop import Loop
    from jumpml.learn._stage import Stage
    from jumpml.learn.saving._identity import Changes

DIGITS = {
    "source": {"kind": "sklearn", "name": "digits"},
    "fields": {
        "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
        "label": {"kind": "category", "column": "target"},
    },
    "split": {"train": 0.06, "val": 0.04, "test": 0.9, "stratify": "label"},  # 104 rows: 7 batches, the last ragged
}
DATA: dict[str, Any] = {
    "datasets": {"digits": DIGITS},
    "features": {"image": [{"standardize": {}}]},
    "augment": {"image": [{"shift": {"pixels": 1}}, {"rotate": {"degrees": 10}}, {"erase": {"area": 0.2}}]},
    "views": {"strong": {"image": [{"noise": {"std": 0.1}}]}},
    "batch_size": 16,
}
MODEL: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [24, 16], "dropout": 0.3}},
        "norm": {"module": "torch.nn.BatchNorm1d", "inputs": "encoder", "args": {"num_features": 16}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "norm"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
}
LEARNER: dict[str, Any] = {
    "optimizer": {"kind": "adam", "lr": 0.003},
    "phases": {"supervised": {"epochs": 4}},
    "checkpoint": {"every": {"steps": 5}, "best": {"metric": "val/digit/accuracy"}},
    "log": ["jsonl"],
}
TIMES = 10  # the slow study's epochs are so many times the short form's

Key = tuple[str | int, ...]
Ranks = tuple[int, ...] | None


@dataclass(frozen=True)
class Configuration:
    """A run with some of the states that there are.

    Attributes:
        withhold: A key of the state without which a resumed run must end with other bits: the negative control.
        value: What stands there instead; None for what a learner has before it learns.
        data, model, learner: Keys over those above.
    """

    withhold: Key
    value: Any = None
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    learner: Mapping[str, Any] = field(default_factory=dict)


TWICE = {"agree": {"kind": "vicreg", "inputs": "encoder", "views": "strong", "projector": [8], "when": ["first"]}}
KEEP = {
    "keep": {"kind": "ewc", "weight": 0.1, "when": ["second"]},
    "small": {"kind": "l2", "inputs": "digit", "weight": 0.01, "when": ["second"]},
}
CONFIGURATIONS = {
    "shuffling, dropout, augmentation, batch normalization": Configuration(("random", "torch")),
    "self-supervision with views, an average, a one-cycle schedule, clipping": Configuration(
        ("hooks", "ema", "updates"),
        0,
        model={"objectives": TWICE},
        learner={
            "ema": {"decay": 0.95},
            "clip_norm": 1.0,
            "phases": {
                "first": {"epochs": 2, "train": [{"upto": "encoder"}]},
                "supervised": {"epochs": 2, "schedule": {"kind": "one_cycle", "max_lr": 0.01}},
            },
        },
    ),
    "files that workers decode": Configuration(
        ("progress", "batch"),
        0,
        data={
            "datasets": {
                "digits": {
                    "source": {"kind": "images", "path": "pictures"},
                    "fields": {"image": {"kind": "image", "shape": [1, 8, 8]}, "label": {"kind": "category"}},
                    "split": {"train": 0.8, "val": 0.1, "test": 0.1},
                }
            },
            "storage": "source",
            "workers": 2,
        },
    ),
    "two data sets, balanced classes": Configuration(
        ("optimizer", "state"),
        data={
            "datasets": {
                "digits": {**DIGITS, "sample": {"balance": "label"}},
                "few": {**DIGITS, "split": {"train": 0.02, "val": 0.02, "test": 0.96}},
            },
            "mix": {"by": "temperature", "temperature": 2},
        },
    ),
    "FixMatch and a mean teacher": Configuration(
        ("model", "objective_slow.encoder.node_digit"),
        data={"views": {"weak": {"image": [{"shift": {"pixels": 1}}]}, "strong": {"image": [{"noise": {"std": 0.1}}]}}},
        model={
            "objectives": {
                "sure": {"kind": "fixmatch", "inputs": "digit", "views": ["weak", "strong"], "threshold": 0.2},
                "slow": {"kind": "mean_teacher", "inputs": "digit", "views": ["strong", "weak"], "momentum": 0.9},
            }
        },
    ),
    "what a view hid, and how it turned": Configuration(
        ("model", "objective_hid.decoder"),
        data={
            "views": {
                "masked": {"image": [{"noise": {"std": 0.1}}, {"hide": {"share": 0.5, "patch": 2, "fill": "noise"}}]},
                "turned": {"image": [{"quarter_turn": {}}]},
            }
        },
        model={
            "objectives": {
                "hid": {"kind": "masked", "inputs": ["encoder", "image"], "views": "masked", "decoder": [8]},
                "turn": {"kind": "pretext", "inputs": ["encoder", "image"], "views": "turned"},
            }
        },
    ),
    "EWC between phases": Configuration(
        ("model", "objective_keep"),
        model={"objectives": KEEP},
        learner={"phases": {"supervised": {"epochs": 2, "consolidate": True}, "second": {"epochs": 2}}},
    ),
    "several optimizers, a chain of schedules, a plateau": Configuration(
        ("stage", "rates", "cuts", "factor"),
        1.0,
        learner={
            "optimizer": {"kind": "adamw", "lr": 0.003, "groups": [{"nodes": "digit", "kind": "sgd", "momentum": 0.9}]},
            "schedule": [
                {"kind": "cosine", "epochs": 1, "warmup": 0.5},
                {"kind": "plateau", "patience": 0, "min_delta": 1.0, "factor": 0.5},
            ],
        },
    ),
    "accumulation, float16 with a scaler": Configuration(
        ("update", "scale"),
        8.0,
        learner={"accumulate": 3, "precision": "float16", "phases": {"supervised": {"epochs": 8}}},
    ),
    "bfloat16, the mean of the last epochs' weights, statistics": Configuration(
        ("hooks", "swa", "count"),
        learner={
            "precision": "bfloat16",
            "swa": {"start": 0.25, "lr": 0.01},
            "statistics": True,
            "checkpoint": {"every": {"steps": 5}},
        },
    ),
    "growth of the net, of its average and of what EWC holds": Configuration(
        ("optimizer", "state"),
        model={"objectives": KEEP},
        learner={
            "ema": {"decay": 0.9},
            "grow": [
                {"trigger": {"epoch": 1}, "node": "encoder", "widen": 1.5},
                {"trigger": {"epoch": 1, "phase": "second"}, "node": "encoder", "shrink": 0.5},
            ],
            "phases": {"supervised": {"epochs": 2, "consolidate": True}, "second": {"epochs": 2}},
        },
    ),
    "rows of before again (DER++), SI, an early stop": Configuration(
        ("hooks", "replay", "generator"),
        model={"objectives": {"held": {"kind": "si", "weight": 0.1}}},
        learner={
            "replay": {"kind": "der++", "rows": 40, "batch": 8},
            "early_stop": {"patience": 1, "min_delta": 0.05},
            "phases": {"supervised": {"epochs": 6}},
        },
    ),
    "a checkpoint at every step": Configuration(
        ("optimizer", "state"), learner={"checkpoint": {"every": {"steps": 1}, "keep": 1}, "ema": {"decay": 0.9}}
    ),
}

# In several processes alone: an epoch's rows are drawn in all alike, dropout and augmentation in each for itself.
SEVERAL = "two processes, accumulation, an average, a one-cycle schedule"
OF_SEVERAL = Configuration(
    ("random", "processes", 1, "torch"),
    learner={
        "distribute": "ddp",
        "accumulate": 2,
        "ema": {"decay": 0.9},
        "phases": {"supervised": {"epochs": 6, "schedule": {"kind": "one_cycle", "max_lr": 0.01}}},
    },
)
PROCESSES = 2
SOON = 60  # seconds, until what is left of several processes has noticed that one is gone; a hang takes half an hour

# Only the learning is killed here; what follows it holds no state. `kill` is a place in which the process kills itself.
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
import torch
import jumpml
from jumpml.learn import Hook
from jumpml.learn.saving import _checkpoints, _states
from jumpml.learn.saving._states import States

torch.set_num_threads(1)
files, run, kill, (key, value) = *map(json.loads, sys.argv[1:4]), json.loads(sys.argv[4]) or (None, None)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Killer(Hook):
    name = "killer"
    def differentiated(self, stage):
        if kill == ["update", learner.progress.step]:
            die()
    def closed(self, record):
        if kill == ["epoch", sum(learner.progress.epochs.values())]:
            die()

def die_after(count, function):
    calls = []
    def counted(*arguments):
        calls.append(0)
        if len(calls) > count:
            die()
        return function(*arguments)
    return counted

def save_unless_over(states):
    phase = learner.progress.phase
    if kill == ["phase", phase] and learner.progress.over(phase, learner.phases[phase].epochs):
        die()
    save(states)

if kill[:1] == ["phase"]:
    save, States.save = States.save, save_unless_over
if kill[:1] == ["file"]:
    _checkpoints.write_packed = die_after(kill[1], _checkpoints.write_packed)
if kill[:1] == ["name"]:
    Path.rename = die_after(kill[1], Path.rename)
if key:
    load = _states.load_state
    _states.load_state = lambda loop, state, changes: load(
        loop, withhold(state, _states.state_of(loop), key, value), changes
    )

{withhold}
loaders = jumpml.create_dataloader(files["data"])
model = jumpml.load_model(files["model"], loaders)
learner = jumpml.create_learner(loaders, model, None, files["learner"], run=Path(run), hooks=[Killer()])
print("begun", flush=True)
learner.fit()
"""
WITHHOLD = '''
def withhold(state, own, key, value):
    """The state, with what a new run has at a key; its last name may be the beginning of several."""
    *path, last = key
    place = state
    for name in path:
        place, own = place[name], own[name] if own else None
    for name in [name for name in place if str(name).startswith(str(last))]:
        place[name] = own[name] if value is None else value
    return state
'''


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 digits as PNG files, a folder a class."""
    folder = tmp_path_factory.mktemp("pictures")
    digits: Any = load_digits()
    for row in range(120):
        path = folder / str(digits.target[row]) / f"{row:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((digits.images[row] * 15).astype(np.uint8)).save(path)
    return folder


def files_of(configuration: Configuration, pictures: Path, times: int = 1) -> dict[str, Any]:
    data = {**DATA, **configuration.data}
    for name, dataset in data["datasets"].items():
        if dataset["source"]["kind"] == "images":
            data["datasets"] = {name: {**dataset, "source": {"kind": "images", "path": str(pictures)}}}
    learner = {**LEARNER, **configuration.learner}
    phases = learner["phases"].items()
    learner["phases"] = {name: {**phase, "epochs": phase["epochs"] * times} for name, phase in phases}
    return {"data": data, "model": {**MODEL, **configuration.model}, "learner": learner}


def end_of(run: Path) -> dict[str, Any]:
    """All that the last checkpoint of a run holds, by name, and what its logs say; without what clocks said."""
    checkpoints = Checkpoints(run / "checkpoints")
    state = checkpoints.load(checkpoints.steps()[-1])
    for record in state["records"]:
        record["seconds"] = 0.0
    epochs = [json.loads(line) | {"seconds": 0.0} for line in (run / "history.jsonl").read_text().splitlines()]
    return dict(_leaves({"state": state, "steps": (run / "steps.jsonl").read_text(), "epochs": epochs}, ""))


def _leaves(value: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, inner in pairs for leaf in _leaves(inner, f"{name}/{key}")]
    return [(name, value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value))]


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Names that only one has, or whose values are not the same bytes; refuses to compare nothing."""
    if not any("/model/" in name for name in first):
        raise AssertionError("nothing to compare")
    return [name for name in {**first, **second} if first.get(name) != second.get(name)]


def moves_weights(differences: list[str]) -> bool:
    """Whether weights, or their averages, are among what differs."""
    return any("/model/" in name or "/average/" in name for name in differences)


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError, match="nothing to compare"):
        differing({}, {})
    zeros = [dict(_leaves({"model": {"a": torch.tensor(value)}}, "")) for value in ([0.0, 0.0], [0.0, -0.0])]
    assert differing(*zeros) == ["/model/a"]
    assert differing(zeros[0], zeros[0] | {"/b": "1"}) == ["/b"]


# --- in one process: quick, and at any step ---------------------------------------------------------------------------


class Killed(BaseException):
    """What stands in for a killed process."""


class Killer(Hook):
    name = "killer"

    def __init__(self, step: int | None = None, *, updated: bool = False) -> None:
        self.step, self.after = step, updated

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def differentiated(self, stage: Stage) -> None:
        if not self.after and self.learner.progress.step == self.step:
            raise Killed

    def updated(self, step: Step) -> None:
        if self.after and step.number == self.step:
            raise Killed


def learn(files: Mapping[str, Any], run: Path, killer: Killer | None = None) -> Learner:
    """Go on with a run, up to a step or to its end."""
    torch.rand(7)  # another process stands elsewhere in its global stream
    loaders = jumpml.create_dataloader({**files["data"], "workers": 0})  # those of a killed learner would linger
    model = jumpml.load_model(files["model"], loaders)
    learner = jumpml.create_learner(loaders, model, None, files["learner"], run=run, hooks=[killer or Killer()])
    if killer is None:
        learner.fit()
        return learner
    with pytest.raises(Killed):
        learner.fit()
    return learner


class Runs(dict[str, tuple[dict[str, Any], int]]):
    def __repr__(self) -> str:  # hypothesis prints the arguments of what fails
        return ", ".join(self)


@pytest.fixture(scope="module")
def whole_runs() -> Runs:
    """The ends of uninterrupted runs and their steps, by configuration; filled as they are asked for."""
    return Runs()


def whole_of(runs: Runs, name: str, files: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], int]:
    if name not in runs:
        learner = learn(files, folder)
        runs[name] = end_of(folder), learner.progress.step
    return runs[name]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_stopped_run_ends_with_the_same_bits_and_without_one_state_with_others(
    tmp_path: Path,
    pictures: Path,
    whole_runs: Runs,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configuration = CONFIGURATIONS[name]
    files = files_of(configuration, pictures)
    whole, steps = whole_of(whole_runs, name, files, tmp_path / "whole")
    learn(files, tmp_path / "run", Killer(steps // 3))
    learn(files, tmp_path / "run", Killer(2 * steps // 3 + 1, updated=True))
    learn(files, tmp_path / "run")
    assert differing(whole, end_of(tmp_path / "run")) == []

    learn(files, tmp_path / "without", Killer(3 * steps // 4 + 2))
    withhold: dict[str, Any] = {}
    exec(WITHHOLD, withhold)  # the program's own
    load = _states.load_state

    def load_without(loop: Loop, state: Mapping[str, Any], changes: Changes) -> None:
        own = _states.state_of(loop)
        load(loop, withhold["withhold"](state, own, configuration.withhold, configuration.value), changes)

    monkeypatch.setattr(_states, "load_state", load_without)
    learn(files, tmp_path / "without")
    assert moves_weights(differing(whole, end_of(tmp_path / "without")))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(CONFIGURATIONS)),
    stop=st.tuples(st.floats(0, 1, exclude_max=True), st.booleans()),
)
def test_any_configuration_stopped_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
    pictures: Path,
    whole_runs: Runs,
    name: str,
    stop: tuple[float, bool],
) -> None:
    place, updated = stop
    folder = tmp_path_factory.mktemp("any")
    files = files_of(CONFIGURATIONS[name], pictures)
    whole, steps = whole_of(whole_runs, name, files, folder / "whole")
    learn(files, folder / "run", Killer(int(place * steps) + updated, updated=updated))
    learn(files, folder / "run")
    assert differing(whole, end_of(folder / "run")) == []


# --- in new processes, with SIGKILL -----------------------------------------------------------------------------------


def start(
    files: Mapping[str, Any], run: Path, kill: list[Any] | None = None, without: Any = None, whom: Any = None
) -> list[Any]:
    """Start the processes of a run; `whom`, all where None, have the place in which they kill themselves."""
    count = PROCESSES if files["learner"].get("distribute") == "ddp" else 1
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if count > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = []
    for rank in range(count):
        place = kill if kill and (whom is None or rank in whom) else []
        texts = [json.dumps(value) for value in (files, str(run), place, without)]
        command = [sys.executable, "-c", PROGRAM.replace("{withhold}", WITHHOLD), *texts]
        own = environment | ({"RANK": str(rank)} if count > 1 else {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=own, **pipes))
    return processes


def finish(files: Mapping[str, Any], run: Path, without: Any = None) -> float:
    """Run to the end; the seconds that learning took."""
    processes = start(files, run, without=without)
    assert processes[0].stdout.readline() == "begun\n"
    begun = time.perf_counter()
    assert not was_killed(processes)
    return time.perf_counter() - begun


def was_killed(processes: list[Any]) -> bool:
    """Whether any was; then the others end soon, and say why, but for those that had come to their end."""
    while all(process.poll() is None for process in processes):
        time.sleep(0.005)
    said = [process.communicate(timeout=SOON)[1] for process in processes]
    codes = [process.returncode for process in processes]
    if -signal.SIGKILL not in codes:
        assert not any(codes), said
        return False
    assert all("distribute: another process ended" in text for code, text in zip(codes, said, strict=True) if code > 0)
    return True


def kill_within(files: Mapping[str, Any], run: Path, seconds: float, whom: Ranks = None) -> bool:
    """Start, wait for so long after learning began, and kill; whether it was still running."""
    processes = start(files, run)
    processes[0].stdout.readline()
    time.sleep(seconds)
    for rank, process in enumerate(processes):
        if whom is None or rank in whom:
            process.send_signal(signal.SIGKILL)
    return was_killed(processes)


def kill_at(files: Mapping[str, Any], run: Path, place: list[Any], whom: Ranks = None) -> bool:
    """Start, and let it kill itself in a place; whether it came there."""
    return was_killed(start(files, run, place, whom=whom))


def study(files: dict[str, Any], folder: Path, *, kills: int, seed: int, places: int = 6) -> int:
    """Kill a run at random moments and in chosen places; its end must be that of one without a stop.

    Returns:
        How often it was killed.
    """
    seconds = finish(files, folder / "whole")
    whole = end_of(folder / "whole")
    steps = int(next(text for key, text in whole.items() if key == "/state/progress/step"))
    phases = files["learner"]["phases"]
    # those that were closed: an early stop leaves some out
    an_epoch = steps // sum(int(text) for key, text in whole.items() if key.startswith("/state/progress/epochs/"))
    generator, run = random.Random(seed), folder / "killed"

    def place(number: int) -> list[Any]:
        done = max([0, *Checkpoints(run / "checkpoints").steps()])
        update, epoch = done + generator.randrange(1, an_epoch), done // an_epoch + 1
        files_and_names = [["file", generator.randrange(1, 6)], ["name", generator.randrange(1, 4)]]
        known = [*files_and_names, ["update", update], ["epoch", epoch]]
        return [*known, ["phase", min(phases)], ["phase", [*phases][-1]]][number]

    def whom() -> Ranks:
        return generator.choice([None, (0,), (1,)]) if "distribute" in files["learner"] else None

    # only the first of several writes, and all of them close a phase
    killed = sum(kill_at(files, run, place(number), whom() if number > 1 else None) for number in range(min(places, 5)))
    killed += sum(kill_within(files, run, generator.random() * seconds / kills, whom()) for _ in range(kills))
    killed += sum(kill_at(files, run, place(number)) for number in range(5, places))
    finish(files, run)
    assert differing(whole, end_of(run)) == []
    return killed


def test_a_killed_process(tmp_path: Path, pictures: Path) -> None:
    files = files_of(CONFIGURATIONS["files that workers decode"], pictures)
    assert study(files, tmp_path, kills=1, seed=0, places=1) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CONFIGURATIONS, SEVERAL])
def test_killed_at_random_moments_and_in_chosen_places(tmp_path: Path, pictures: Path, name: str) -> None:
    configuration = {**CONFIGURATIONS, SEVERAL: OF_SEVERAL}[name]
    files = files_of(configuration, pictures, TIMES)
    killed = study(files, tmp_path, kills=4, seed=len(name))
    print(f"{name}: killed {killed} times")
    assert killed >= 7
    steps = len((tmp_path / "whole" / "steps.jsonl").read_text().splitlines())
    assert kill_at(files, tmp_path / "without", ["update", 3 * steps // 4 + 2])
    finish(files, tmp_path / "without", [configuration.withhold, configuration.value])
    assert moves_weights(differing(end_of(tmp_path / "whole"), end_of(tmp_path / "without")))
