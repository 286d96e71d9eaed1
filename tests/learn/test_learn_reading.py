"""No step reads the device, whatever is asked of it; what was read too late costs no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

import jumpml
from jumpml.core import NonFiniteLossError
from jumpml.graph import Model, Node
from jumpml.learn import Hook, Learner, Phase
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from readings import Readings

    from jumpml.learn import Step


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool(x.sum() > 0),
        lambda x: float(x.sum()),
        lambda x: x.numpy(),
        lambda x: x.cpu(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.equal(x, x),
        lambda x: x.sum() if x.sum() > 0 else x,
    ],
)
def test_the_counter_sees_every_way_of_reading(read: Any, readings: Readings) -> None:
    with readings:
        read(torch.ones(3))
    assert readings.found


DIGITS: dict[str, Any] = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"train": 0.08, "val": 0.1, "test": 0.82, "stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
    "views": {"noisy": {"image": [{"noise": {"std": 0.1}}]}},
    "batch_size": 16,
}
NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "conv": {
            "layers": [
                {"module": "torch.nn.Conv2d", "args": {"in_channels": 1, "out_channels": 4, "kernel_size": 3}},
                {"module": "torch.nn.BatchNorm2d", "args": {"num_features": 4}},
            ],
            "inputs": "image",
        },
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "conv", "args": {"widths": [16, 8], "dropout": 0.2}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "encoder"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
    "objectives": {
        "small": {"kind": "l2", "inputs": "encoder", "weight": {"start": 0.0, "end": 0.1}},
        "keep": {"kind": "ewc", "weight": 0.1},
        "agree": {"kind": "vicreg", "inputs": "encoder", "views": "noisy", "projector": [4], "weight": 0.1},
    },
}
GROUPS = [{"nodes": "encoder", "lr": 0.001}, {"nodes": "digit", "kind": "sgd", "lr": 0.1, "momentum": 0.9}]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"record_examples": False},
        {"clip_norm": 0.1},
        {"clip_value": 0.1},
        {"accumulate": 3},
        {"ema": {"decay": 0.9}},
        {"swa": {"start": 0.0, "lr": 0.01}},
        {"statistics": True, "log": ["jsonl"]},
        {"early_stop": {}},
        {"schedule": {"kind": "one_cycle", "max_lr": 0.1}},
        {"schedule": {"kind": "plateau", "warmup": 0.2}},
        {"schedule": {"kind": "torch", "name": "OneCycleLR", "args": {"max_lr": 0.1, "total_steps": 99}}},
        {"optimizer": {"kind": "adamw", "groups": GROUPS, "layer_decay": 0.9, "no_decay": ["norms", "biases"]}},
        {"precision": "bfloat16", "clip_norm": 1.0, "accumulate": 2, "ema": {}},
        {"channels_last": True, "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9}},
        {"compile": {"backend": "eager"}, "record_examples": False},
        {"balance": {"kind": "sum", "cosines": 1}},
        {"balance": {"kind": "sum", "cosines": 1, "at": "encoder"}, "accumulate": 2},
        {"balance": {"kind": "uncertainty"}},
        {"balance": {"kind": "dwa"}, "accumulate": 2},
        {"balance": {"kind": "famo"}},
        {"balance": {"kind": "famo"}, "accumulate": 2},
        {"balance": {"kind": "gradnorm", "at": "encoder"}, "accumulate": 2},
    ],
    ids=str,
)
def test_a_step_reads_nothing(options: dict[str, Any], readings: Readings, tmp_path: Path) -> None:
    loaders = jumpml.create_dataloader(DIGITS)
    said = {"phases": {"supervised": {"epochs": 2}}, "log": [], "checkpoint": None, **options}
    learner = jumpml.create_learner(loaders, jumpml.load_model(NET, loaders), None, said, run=tmp_path)
    learner._run.enter("supervised")
    windows = [*learner.windows()]
    learner.step(*windows[0])  # what is set up at a phase's start may ask
    readings.found.clear()
    with readings:
        for window in windows[1:-1]:  # SWA looks at a number of the host's own, at the end of an epoch
            learner.step(*window)
    assert not readings.found


@pytest.mark.parametrize("accumulate", [1, 2])
def test_missing_targets_are_counted_without_a_reading(accumulate: int, readings: Readings, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(
        "a,y,c\n" + "".join(f"{i},{i / 7 if i % 3 else ''},{'uv'[i % 2] if i % 5 else ''}\n" for i in range(90))
    )
    loaders = jumpml.create_dataloader(
        {
            "datasets": {
                "d": {
                    "source": {"kind": "csv", "path": str(tmp_path / "table.csv")},
                    "fields": {"a": {"kind": "number"}, "y": {"kind": "number"}, "c": {"kind": "category"}},
                }
            },
            "batch_size": 16,
        }
    )
    net = {
        "nodes": {
            "body": {"module": "jumpml.blocks.MLP", "inputs": "a", "args": {"widths": [8, 8]}},
            "amount": {"module": "jumpml.blocks.Head", "inputs": "body"},
            "kind": {"module": "jumpml.blocks.Head", "inputs": "body"},
        },
        "tasks": {
            "y": {"kind": "regression", "output": "amount", "target": "y"},
            "c": {"kind": "multiclass", "output": "kind", "target": "c"},
        },
    }
    said = {"accumulate": accumulate, "phases": {"supervised": {"epochs": 1}}, "log": [], "checkpoint": None}
    learner = jumpml.create_learner(loaders, jumpml.load_model(net, loaders), None, said, run=tmp_path)
    learner._run.enter("supervised")
    first, *rest = learner.windows()
    learner.step(*first)
    readings.found.clear()
    with readings:
        for window in rest:
            learner.step(*window)
    assert not readings.found


# --- what was read too late -------------------------------------------------------------------------------------------


class Spoil(Hook):
    """A gradient that is not finite, though every loss up to it is."""

    name = "spoil"

    def __init__(self, at: int) -> None:
        self.at, self.made = at, 0

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def differentiated(self, stage: Any) -> None:
        self.made += 1
        if self.made == self.at:
            for parameter in stage.trained:
                parameter.grad.fill_(float("nan"))


class Copies(Hook):
    """The weights after every step."""

    name = "copies"

    def __init__(self) -> None:
        self.seen: list[dict[str, Tensor]] = []

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def updated(self, step: Step) -> None:
        self.seen.append({name: value.clone() for name, value in self.learner.model.state_dict().items()})


def learner_of(at: int, ema: float | None = None) -> tuple[Learner, Copies]:
    torch.manual_seed(0)
    loaders = jumpml.create_dataloader({**DIGITS, "batch_size": 2, "views": {}})
    nodes = {"out": Node(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "image")}
    objectives = {"digit": CrossEntropy(("out", "label"))}
    model = Model(inputs={"image": loaders.info("image")}, nodes=nodes, objectives=objectives, fields=loaders.fields)
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9)
    copies = Copies()
    phases = {"supervised": Phase(epochs=3)}
    return Learner(loaders, model, optimizer, phases=phases, ema=ema, hooks=[Spoil(at), copies]), copies


@pytest.mark.parametrize(("at", "kept"), [(60, 50), (101, 50), (144, 122)])
def test_without_checkpoints_the_weights_survive(at: int, kept: int) -> None:
    learner, copies = learner_of(at, ema=0.9)
    assert len(learner.loaders.train) == 72  # read after 50 steps, and at an epoch's end; copied after 50, 122
    with pytest.raises(NonFiniteLossError, match=f"The weights are those after step {kept}, and the optimizer begins"):
        learner.fit()
    for name, value in learner.model.state_dict().items():
        assert torch.equal(value, copies.seen[kept - 1][name])
    assert learner.ema_model is not None
    assert all(bool(value.isfinite().all()) for value in learner.ema_model.state_dict().values())
    assert not learner.optimizer.state
    learner.train_epoch()  # and goes on


def test_before_anything_was_read_there_is_nothing_to_go_back_to() -> None:
    learner, _ = learner_of(3)
    assert learner.restore_last_good() is None
    with pytest.raises(NonFiniteLossError, match=r"became non-finite at step 4\. Lower the learning rate"):
        learner.fit()


def test_a_loop_of_ones_own_is_read_too_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.learn._run.UNREAD_AT_MOST", 5)
    monkeypatch.setattr("jumpml.learn.saving._last_good.EVERY", 5)
    learner, _ = learner_of(7)
    batches = [*learner.loaders.train]
    for batch in batches[:9]:
        learner.step(batch)
    with pytest.raises(NonFiniteLossError, match=r"non-finite at step 8\. The weights are those after step 5"):
        learner.step(batches[9])
