"""Hooks: told of the loop's moments in their order, and exact on resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from jumpml import load_model
from jumpml.core import LearnerError
from jumpml.data import Column, DataLoaders
from jumpml.graph import Deepen
from jumpml.learn import Hook, Learner, Log, Phase, Saving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from jumpml.core import EpochRecord, Loss
    from jumpml.graph import Growth, Model
    from jumpml.learn import Step, StepRecord
    from jumpml.learn._stage import Stage


class Diary(Hook):
    """Notes every moment."""

    name = "diary"
    figures = ("val/loss",)

    def __init__(self) -> None:
        self.lines: list[str] = []

    def attach(self, learner: Learner) -> None:
        self.lines.append(f"attach {sorted(learner.phases)}")

    def enter(self, stage: Stage) -> None:
        self.lines.append(f"enter {stage.name}")

    def measures(self, model: Model) -> list[str]:
        return ["lines"]

    def arrived(self, batch: Mapping[str, Tensor]) -> None:
        self.lines.append(f"arrived {len(batch['y'])}")

    def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> None:
        self.lines.append(f"weigh {sorted(losses)} {len(batch['y'])}")

    def join(self, stage: Stage) -> None:
        self.lines.append(f"join {all(p.grad is not None for p in stage.trained)}")

    def learned(self, step: Step) -> None:
        self.lines.append(f"learned {step.rows}")

    def read(self) -> dict[str, float]:
        self.lines.append("read")
        return {}

    def validated(self, phase: str, epoch: int) -> dict[str, float]:
        self.lines.append(f"validated {phase} {epoch}")
        return {"lines": len(self.lines)}

    def grew(self, growth: Growth) -> None:
        self.lines.append("grew")

    def differentiated(self, stage: Stage) -> None:
        self.lines.append(f"differentiated {all(p.grad is not None for p in stage.trained)}")

    def updated(self, step: Step) -> None:
        self.lines.append(f"updated {step.number} {sorted(step.losses)} {step.rows}")

    def closed(self, record: EpochRecord) -> None:
        self.lines.append(f"closed {record.epoch} {sorted(record.val)}")


class Shake(Hook):
    """Moves each gradient by a number that depends on how many there were."""

    name = "shake"

    def __init__(self, forgetful: bool = False) -> None:
        self.forgetful, self.count = forgetful, 0

    def differentiated(self, stage: Stage) -> None:
        self.count += 1
        for parameter in stage.trained:
            if parameter.grad is not None:
                parameter.grad += 0.01 * self.count

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = 0 if self.forgetful else state["count"]


class Until(Hook):
    """Ends the phase after an epoch."""

    name = "until"

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def closed(self, record: EpochRecord) -> None:
        if record.phase == "supervised" and record.epoch == self.epoch:
            self.learner.end_phase("seen enough")


class Quiet(Log):
    """Is told, and tells nobody."""

    def steps(self, records: Sequence[StepRecord]) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        pass


def learner(hooks: Sequence[Hook], folder: Path | None = None, log: Sequence[Log] = (), **phases: Phase) -> Learner:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(12, 2, generator=generator)
    columns = {"x": Column(x, "tensor"), "y": Column(x.sum(1, keepdim=True), "number")}
    splits = {"train": torch.arange(8), "val": torch.arange(8, 10), "test": torch.arange(10, 12)}
    loaders = DataLoaders(columns, splits, batch_size=5)
    nodes = {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}}
    tasks = {"y": {"kind": "regression", "output": "out", "target": "y", "objective": {"when": ["all"]}}}
    model = load_model({"seed": 0, "nodes": nodes, "tasks": tasks}, loaders)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    saving = Saving(folder=folder) if folder else None
    made = phases or {"supervised": Phase(epochs=2)}
    return Learner(loaders, model, optimizer, phases=made, saving=saving, log=log, hooks=hooks)


def weights(of: Learner) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in of.model.parameters()])


def test_a_hook_is_told_of_every_moment_in_order() -> None:
    diary = Diary()
    told = learner([diary], first=Phase(epochs=1), supervised=Phase(epochs=1), log=[Quiet()])
    told.fit()
    told.grow(Deepen("out"))
    step = ["join True", "differentiated True"]
    first = ["arrived 5", "weigh ['y'] 5", *step, "learned 5"]
    last = ["arrived 3", "weigh ['y'] 3", *step, "learned 3"]
    assert diary.lines == [
        "attach ['first', 'supervised']",
        *("enter first", *first, "updated 1 ['y'] 5", *last, "updated 2 ['y'] 3", "read"),
        *("validated first 1", "closed 1 ['lines', 'loss']"),
        *("enter supervised", *first, "updated 3 ['y'] 5", *last, "updated 4 ['y'] 3", "read"),
        *("validated supervised 1", "closed 1 ['lines', 'loss']"),
        "grew",
    ]
    moments = {name for name in vars(Hook) if not name.startswith("_")} - {"figures", "name", "positions"}
    assert moments - {"state_dict", "load_state_dict", "identity"} <= vars(Diary).keys()


def test_the_state_of_a_hook_stands_in_the_checkpoint(tmp_path: Path) -> None:
    def run(name: str, *, forgetful: bool = False, stopped: bool = False) -> Tensor:
        made = learner([Shake(forgetful)], tmp_path / name)
        if stopped:
            made.train_epoch()
            made = learner([Shake(forgetful)], tmp_path / name)
            assert made.resume()
        made.fit()
        return weights(made)

    whole = run("whole")
    assert torch.equal(whole, run("stopped", stopped=True))
    assert not torch.equal(whole, run("forgetful", forgetful=True, stopped=True))


def test_a_phase_that_a_hook_ended_is_over_also_on_resume(tmp_path: Path) -> None:
    made = learner([Until(2)], tmp_path, supervised=Phase(epochs=5))
    records = made.fit().epochs
    assert [record.epoch for record in records] == [1, 2]
    assert records[-1].notes == ("seen enough",)
    again = learner([Until(2)], tmp_path, supervised=Phase(epochs=5))
    assert again.resume()
    assert again.progress.ended == {"supervised": "seen enough"}
    assert [*again.epochs()] == []
    assert again.fit().epochs == records


def test_two_hooks_of_one_name_are_refused() -> None:
    with pytest.raises(LearnerError, match="two hooks have the name 'shake': give one of them another"):
        learner([Shake(), Shake()])


def test_a_run_with_other_hooks_is_another_run(tmp_path: Path) -> None:
    learner([Shake()], tmp_path).train_epoch()
    with pytest.raises(Exception, match="shake: on then, none now"):
        learner([], tmp_path).resume()


def test_an_epoch_of_a_loop_of_one_s_own_is_closed_before_the_next(tmp_path: Path) -> None:
    made = learner([], tmp_path)
    for _ in range(2):
        for batch in made.loaders.train:
            made.step(batch)
    with pytest.raises(LearnerError, match=r"4 batches were learned by hand in an epoch of 2: close each epoch with"):
        made.fit()
    made = learner([], tmp_path / "closed")
    for _ in range(2):
        for batch in made.remaining():
            made.step(batch)
        made.train_epoch()
    assert [record.step for record in made.history.epochs] == [2, 4]
