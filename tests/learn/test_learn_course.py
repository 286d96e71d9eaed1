"""What hooks tell of updates stays in the learner's history, with logs and without, and through a stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import jumpml
from jumpml.core import Course, Task
from jumpml.data import Column, DataLoaders, random_split
from jumpml.learn import Hook, JsonlLog, Learner, Phase, Saving
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pytest

    from jumpml.learn import Log


class Shares(Hook):
    """Tells how many updates there were, as a teacher tells its arms' shares."""

    name = "shares"

    def __init__(self) -> None:
        self.count = 0

    def updated(self, step: Any) -> None:
        self.count += 1

    def read(self) -> Mapping[str, float]:
        return {"share/all": float(self.count), "gradient/out": 1.0}

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]


def make(folder: Path, log: Sequence[Log] = ()) -> Learner:
    """Five epochs of ten steps."""
    torch.manual_seed(0)
    x = torch.randn(100, 4)
    columns = {"x": Column(x, "tensor"), "y": Column((x[:, 0] > 0).long(), "category", classes=("no", "yes"))}
    loaders = DataLoaders(columns, random_split(100, train=0.5, val=0.25, test=0.25), batch_size=5)
    model = jumpml.Model(
        inputs={"x": loaders.info("x")},
        nodes={"out": jumpml.Node(nn.Linear(4, 2), "x")},
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
        objectives={"y": CrossEntropy(("out", "y"))},
        fields=loaders.fields,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    saving = Saving(folder=folder / "checkpoints", epochs=None, steps=7)
    phases = {"supervised": Phase(epochs=5)}
    return Learner(loaders, model, optimizer, phases=phases, saving=saving, log=log, hooks=[Shares()])


def test_the_history_has_the_course_without_a_log_too(tmp_path: Path) -> None:
    silent, told = make(tmp_path / "silent"), make(tmp_path / "told", [JsonlLog(tmp_path / "told")])
    silent.fit()
    told.fit()
    course = silent.history.course
    assert [(point.step, point.updates) for point in course][:4] == [(7, 7), (10, 3), (14, 4), (20, 6)]
    assert course[-1].figures == {"share/all": 50.0}
    assert told.history.course == course


def test_a_resumed_run_has_the_same_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(tmp_path / "whole")
    whole.fit()
    stopped = make(tmp_path / "stopped")
    stopped.train_epoch()
    stopped.save()
    again = make(tmp_path / "stopped")
    assert again.resume()
    again.fit()
    assert again.history.course == whole.history.course
    assert again.history.course[0].step < 10, "what was told before the stop is there"
    withheld = make(tmp_path / "stopped")
    monkeypatch.setattr(Course, "load_state_dict", lambda *_: None)
    assert withheld.resume()
    assert withheld.history.course != whole.history.course


def test_a_trial_begins_a_course_of_its_own(tmp_path: Path) -> None:
    learner = make(tmp_path)
    learner.train_epoch()
    tried = learner.dry_run(2).course
    assert [point.updates for point in tried] == [2]
