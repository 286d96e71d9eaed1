"""A task that a program adds while a model learns: its average has it too, and a run goes on exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import jumpml
from jumpml.core import CheckpointError, GraphError, LearnerError, Task
from jumpml.data import Column, DataLoaders, random_split
from jumpml.graph import NewTask, Node, Widen
from jumpml.learn import AtEpoch, Grow, GrowthRule, Learner, Phase, Replay, Saving
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.graph import Model


def make(folder: Path, *widths: int, **options: Any) -> Learner:
    x = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
    columns = {
        "x": Column(x, "tensor"),
        "y": Column((x[:, 0] > 0).long(), "category", classes=("left", "right")),
        "z": Column((x[:, 1] > 0).long(), "category", classes=("low", "high")),
    }
    loaders = DataLoaders(columns, random_split(96), features={"x": []}, batch_size=16)
    nodes = {
        "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": widths or (8,), "dropout": 0.1}},
        "side": {"module": "jumpml.blocks.Head", "inputs": "body"},
    }
    tasks = {"y": {"kind": "multiclass", "output": "side", "target": "y"}}
    model = jumpml.load_model({"nodes": nodes, "tasks": tasks}, loaders, seed=0)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    saving = Saving(folder=folder, best="val/y/accuracy")
    return Learner(loaders, model, adam, phases={"supervised": Phase(epochs=4)}, ema=0.9, saving=saving, **options)


def weight_of(model: Model) -> torch.Tensor:
    return model.get_parameter("node_height.weight")


def one_more() -> NewTask:
    torch.manual_seed(1)
    task = Task(kind="multiclass", output="height", target="z")
    return NewTask(name="z", task=task, node=Node(nn.Linear(8, 2), "body"), objective=CrossEntropy(("height", "z")))


def test_a_task_that_comes_is_averaged_and_resumed_to_the_bit(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    whole.train_epoch()
    whole.grow(one_more())
    average = whole.ema_model
    assert average is not None and torch.equal(weight_of(average), weight_of(whole.model))
    assert average.node("height") is not whole.model.node("height")
    whole.grow(Widen("body", 2.0))
    record = whole.train_epoch()
    assert record.rows["z"] > 0 and weight_of(average).shape == (2, 16)
    assert not torch.equal(weight_of(average), weight_of(whole.model))

    lost = make(tmp_path / "whole")
    with pytest.raises(GraphError, match=r"by learner\.grow\(NewTask\(\.\.\.\)\) where a learner holds it"):
        lost.resume()

    resumed = make(tmp_path / "whole")
    resumed.grow(one_more())
    assert resumed.resume()
    for learner in (whole, resumed):
        learner.train_epoch()
    for model, other in ((whole.model, resumed.model), (average, resumed.ema_model)):
        assert other is not None
        pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
        assert all(torch.equal(one, two) for one, two in pairs)


def test_a_schedule_brings_it_and_a_run_goes_on_behind_it_to_the_bit(tmp_path: Path) -> None:
    def scheduled(folder: str) -> Learner:
        return make(tmp_path / folder, hooks=[Grow([GrowthRule(trigger=AtEpoch(epoch=2), surgery=one_more())])])

    whole = scheduled("whole")
    assert ["z" in epoch.rows for epoch in whole.fit().epochs] == [False, False, True, True]

    stopped = scheduled("stopped")
    for _ in range(3):
        stopped.train_epoch()
    stopped.save()
    resumed = scheduled("stopped")
    resumed.grow(one_more())
    assert resumed.resume() and resumed.progress.closed("supervised") == 3
    resumed.fit()
    assert len(resumed.model.lineage) == 1
    pairs = zip(whole.model.state_dict().items(), resumed.model.state_dict().items(), strict=True)
    assert all(name == other and torch.equal(one, two) for (name, one), (other, two) in pairs)


def test_rows_that_are_replayed_have_no_target_of_it(tmp_path: Path) -> None:
    learner = make(tmp_path, hooks=[Replay(rows=16, batch=4)])
    learner.train_epoch()
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    with pytest.raises(LearnerError, match=r"^replay: the rows that were kept have no target of the task 'z'"):
        learner.grow(one_more())
    after = learner.model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], value) for name, value in before.items())
    assert learner.train_epoch().rows.keys() == {"y"}


def test_a_folder_of_checkpoints_may_be_text(tmp_path: Path) -> None:
    learner = make(f"{tmp_path}/text")  # type: ignore[arg-type]
    learner.train_epoch()
    assert make(tmp_path / "text").resume()


def test_a_checkpoint_of_another_model_says_what_to_do(tmp_path: Path) -> None:
    make(tmp_path).train_epoch()
    with pytest.raises(CheckpointError, match=r"the checkpoint does not fit the model's weights") as refused:
        make(tmp_path, 9).resume()
    *_, last, fix = str(refused.value).splitlines()
    assert last.endswith("the shape in current model is torch.Size([2, 9]).")
    assert fix == "Build it as it was where the checkpoint was written, or save into another folder."
