"""Tasks one after the other: every way to keep what was learned, exact on resume."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import jumpml
from jumpml.core import LearnerError, SpecError
from jumpml.graph import Deepen, Widen
from jumpml.learn import Checkpoints, Learner, Phase, Replay, Saving

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from jumpml.objectives import EWC, L2SP, SI

PHASES = ["first", "second", "third"]
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ewc": ({"kind": "ewc", "weight": 50.0, "rows": 12}, {}),
    "ewc_sampled": ({"kind": "ewc", "weight": 50.0, "fisher": "sampled"}, {}),
    "ewc_batched": ({"kind": "ewc", "weight": 5000.0, "fisher": "batched"}, {}),
    "ewc_online": ({"kind": "ewc", "weight": 50.0, "gamma": 0.5}, {}),
    "si": ({"kind": "si", "weight": 5.0}, {}),
    "l2_sp": ({"kind": "l2_sp", "weight": 0.5}, {}),
    "l2_sp_consolidated": ({"kind": "l2_sp", "weight": 0.5, "anchor": "consolidated"}, {}),
    "lwf": ({"kind": "lwf", "inputs": "out", "weight": 5.0}, {}),
    "reservoir": ({}, {"kind": "reservoir", "rows": 9, "batch": 4}),
    "der++": ({}, {"kind": "der++", "rows": 9, "batch": 4}),
}
HELD_BY_MODEL = {
    "ewc": "fisher_",
    "ewc_sampled": "fisher_",
    "ewc_batched": "fisher_",
    "ewc_online": "anchor_",
    "si": "path_",
    "l2_sp": "anchor_",
    "l2_sp_consolidated": "anchor_",
    "lwf": "before.",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three data sets, whose classes lie in three directions."""
    folder, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    datasets = {}
    for number, name in enumerate(PHASES):
        x = generator.normal(size=(30, 4)).astype("float32")
        y, part = (x[:, number] > 0).astype(int), ["train"] * 22 + ["val", "test"] * 4
        np.savez(folder / f"{name}.npz", x=x, y=y, n=x[:, 0], part=part)
        datasets[name] = {
            "source": {"kind": "npz", "path": str(folder / f"{name}.npz")},
            "fields": {"x": {"kind": "tensor", "shape": [4]}, "y": {"kind": "category"}},
            "split": {"column": "part", "values": {"val": ["val"], "test": ["test"]}},
        }
    return {"datasets": datasets, "features": {"x": []}, "batch_size": 8}


def make(data: dict[str, Any], folder: Path, way: str, **changes: Any) -> Learner:
    objective, replay = WAYS[way]
    model = {
        "seed": 0,
        "nodes": {
            "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [6], "dropout": 0.2}},
            "norm": {"module": "torch.nn.BatchNorm1d", "inputs": "body", "args": {"num_features": 6}},
            "out": {"module": "jumpml.blocks.Head", "inputs": "norm"},
        },
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y", "objective": {"when": PHASES}}},
        "objectives": {"keep": {"when": PHASES, **objective}} if objective else {},
    }
    spec: dict[str, Any] = {
        "seed": 1,
        "optimizer": {"kind": "adam", "lr": 0.02},
        "ema": {"decay": 0.8},
        "phases": {
            "self_supervised": {"epochs": 0},
            **{name: {"epochs": 1, "data": name, "consolidate": bool(objective)} for name in PHASES},
            "supervised": {"epochs": 0},
        },
        "checkpoint": {"every": {"steps": 1}, "keep": 30, "best": {"metric": "val/y/accuracy"}},
        "log": [],
        **({"replay": replay} if replay else {}),
        **changes,
    }
    if WAYS[way][0].get("anchor", "start") == "start" and WAYS[way][0].get("kind") == "l2_sp":
        for name in PHASES:  # a start is not consolidated
            spec["phases"][name]["consolidate"] = False
    loaders = jumpml.create_dataloader(data)
    return jumpml.create_learner(loaders, jumpml.load_model(model, loaders), None, spec, run=folder)


def state_of(learner: Learner) -> dict[str, Tensor]:
    """Every tensor that training moves."""
    if learner.ema_model is None:
        raise AssertionError("nothing to compare")
    state = {f"model/{name}": value for name, value in learner.model.state_dict().items()}
    state |= {f"ema/{name}": value for name, value in learner.ema_model.state_dict().items()}
    for hook in learner._loop.hooks:
        if isinstance(hook, Replay):
            state |= {f"replay/{name}": value for name, value in hook.state_dict()["rows"].items()}
    return state


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    if not first or first.keys() != second.keys():
        raise AssertionError(f"nothing to compare, or other names: {sorted(first.keys() ^ second.keys())}")
    return [name for name, value in first.items() if not torch.equal(value, second[name])]


def stop_at(learner: Learner, step: int) -> None:
    original = learner.step

    def step_or_stop(batch: Any) -> None:
        if learner.progress.step == step:
            raise KeyboardInterrupt
        original(batch)

    learner.step = step_or_stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        learner.fit()


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_stops_ends_with_the_same_bits(data: dict[str, Any], tmp_path: Path, way: str) -> None:
    whole = make(data, tmp_path / "whole", way)
    whole.fit()
    assert whole.progress.step == 9  # three phases of 22 rows in batches of 8
    for step in (3, 5, 8):  # between two phases, and in the second and third
        folder = tmp_path / str(step)
        stop_at(make(data, folder, way), step)
        torch.rand(3)
        again = make(data, folder, way)
        assert again.progress.step == step
        again.fit()
        assert differing(state_of(whole), state_of(again)) == []
        assert [record.val for record in again.history.epochs] == [record.val for record in whole.history.epochs]


@pytest.mark.parametrize("way", WAYS)
def test_withholding_what_is_kept_shows_in_the_bits(
    data: dict[str, Any], tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(data, tmp_path / "whole", way)
    whole.fit()
    stop_at(make(data, tmp_path / "run", way), 5)
    original = Checkpoints.load

    def forgetful(self: Checkpoints, step: int) -> dict[str, Any]:
        state = original(self, step)
        if way in HELD_BY_MODEL:
            kept = [name for name in state["model"] if HELD_BY_MODEL[way] in name]
            assert kept
            state["model"] = {n: torch.zeros_like(v) if n in kept else v for n, v in state["model"].items()}
        else:
            state["hooks"]["replay"]["generator"] = torch.Generator().manual_seed(77).get_state()
        return state

    monkeypatch.setattr(Checkpoints, "load", forgetful)
    again = make(data, tmp_path / "run", way)
    again.fit()
    differ = differing(state_of(whole), state_of(again))
    assert any(name.startswith("model/node_") for name in differ)


@pytest.mark.parametrize("way", ["reservoir", "der++"])
def test_rows_that_are_withheld_show_too(
    data: dict[str, Any], tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(data, tmp_path / "whole", way)
    whole.fit()
    stop_at(make(data, tmp_path / "run", way), 5)
    original = Checkpoints.load

    def forgetful(self: Checkpoints, step: int) -> dict[str, Any]:
        state = original(self, step)
        rows = state["hooks"]["replay"]["rows"]
        rows["field/x"] = torch.zeros_like(rows["field/x"])
        return state

    monkeypatch.setattr(Checkpoints, "load", forgetful)
    again = make(data, tmp_path / "run", way)
    again.fit()
    assert any(name.startswith("model/node_") for name in differing(state_of(whole), state_of(again)))


def test_one_call_consolidates_whatever_keeps(data: dict[str, Any]) -> None:
    loaders = jumpml.create_dataloader(data)
    spec = {
        "seed": 0,
        "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        "objectives": {
            "ewc": {"kind": "ewc"},
            "online": {"kind": "ewc", "gamma": 0.9, "fisher": "batched"},
            "si": {"kind": "si"},
            "start": {"kind": "l2_sp"},
            "last": {"kind": "l2_sp", "anchor": "consolidated"},
            "lwf": {"kind": "lwf", "inputs": "out"},
        },
    }
    model = jumpml.load_model(spec, loaders)
    learner = Learner(
        loaders, model, torch.optim.SGD(model.parameters(), lr=0.5), phases={"supervised": Phase(epochs=1)}
    )
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    batch = next(iter(loaders.train.plain()))

    def losses() -> dict[str, float]:
        return {name: value.mean().item() for name, value in model.eval().losses(batch).items()}

    assert {name for name, value in losses().items() if value == 0} == {*spec["objectives"]}
    learner.fit()
    assert {name for name, value in losses().items() if value > 0} == {"y", "start"}  # it alone holds already
    learner.consolidate()
    assert {name for name, value in losses().items() if value > 1e-6} == {"y", "start"}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3)
    assert all(value > 0 for value in losses().values())
    kept = cast("L2SP", model.objectives["start"]).of_each("anchor")
    assert all(torch.equal(anchor, start[name]) for anchor, name in zip(kept, start, strict=True))


def test_a_failed_consolidation_changes_nothing(data: dict[str, Any]) -> None:
    loaders = jumpml.create_dataloader(data)
    spec = {
        "seed": 0,
        "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        "objectives": {"last": {"kind": "l2_sp", "anchor": "consolidated"}, "ewc": {"kind": "ewc"}},
    }
    model = jumpml.load_model(spec, loaders)
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.5))
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(jumpml.core.ObjectiveError, match="negative or not finite somewhere"):
        learner.consolidate()
    assert cast("L2SP", model.objectives["last"]).get_buffer("active") == 0


def test_a_learner_a_task_goes_on_with_what_the_model_and_the_hook_keep(data: dict[str, Any]) -> None:
    loaders = jumpml.create_dataloader(data)
    spec = {
        "seed": 0,
        "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        "objectives": {"si": {"kind": "si"}, "ewc": {"kind": "ewc", "gamma": 1.0}},
    }
    model, replay = jumpml.load_model(spec, loaders), Replay(rows=20, batch=16)
    importance, fisher = [], []
    for name in PHASES:
        alone = jumpml.create_dataloader({**data, "datasets": {name: data["datasets"][name]}})
        learner = Learner(
            alone,
            model,
            torch.optim.Adam(model.parameters(), lr=0.05),
            phases={"supervised": Phase(epochs=2, consolidate=True)},
            hooks=[replay],
        )
        learner.fit()
        importance.append(cast("SI", model.objectives["si"]).of_each("importance")[0].sum().item())
        fisher.append(cast("EWC", model.objectives["ewc"]).of_each("fisher")[0].sum().item())
    assert importance == sorted(importance)
    assert fisher == sorted(fisher)
    assert len({*importance}) == len({*fisher}) == 3
    assert replay.state_dict()["seen"] == 3 * 2 * 22


def test_a_program_with_a_learner_a_task_that_stops_ends_with_the_same_bits(
    data: dict[str, Any], tmp_path: Path
) -> None:
    spec = {
        "seed": 0,
        "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        "objectives": {
            "si": {"kind": "si"},
            "ewc": {"kind": "ewc", "fisher": "sampled"},
            "lwf": {"kind": "lwf", "inputs": "out"},
        },
    }

    def program(folder: Path, stop: tuple[str, int] | None = None) -> dict[str, Tensor]:
        model = jumpml.load_model(spec, jumpml.create_dataloader(data))
        replay = Replay(rows=12, batch=4, alpha=0.5)
        for name in PHASES:
            learner = Learner(
                jumpml.create_dataloader({**data, "datasets": {name: data["datasets"][name]}}),
                model,
                torch.optim.Adam(model.parameters(), lr=0.05),
                phases={"supervised": Phase(epochs=2)},
                saving=Saving(folder=folder / name, steps=1, epochs=None, keep=20),
                hooks=[replay],
            )
            learner.resume()
            if stop and stop[0] == name:
                stop_at(learner, stop[1])
                return {}
            learner.fit()
            learner.consolidate()
        return {**model.state_dict(), **replay.state_dict()["rows"]}

    whole = program(tmp_path / "whole")
    assert program(tmp_path / "run", ("second", 4)) == {}
    torch.rand(5)
    assert differing(whole, program(tmp_path / "run")) == []


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (
            {"kind": "l2_sp"},
            "to consolidate, the model needs an objective that keeps what was learned: of kind ewc, si,",
        ),
        ({"kind": "l2", "parameters": "all"}, "or l2_sp with `anchor: consolidated`."),
        (
            {"kind": "ewc", "fisher": "sampled"},
            "task 'n' is regression, with MeanAbsoluteError. Take fisher: observed.",
        ),
    ],
)
def test_what_cannot_consolidate_is_told_so_before_the_first_batch(
    data: dict[str, Any], tmp_path: Path, objective: dict[str, Any], text: str
) -> None:
    spec = {
        "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        "objectives": {"keep": objective},
    }
    told = copy.deepcopy(data)
    if objective["kind"] == "ewc":
        spec["tasks"] = {"n": {"kind": "regression", "output": "out", "target": "n", "objective": {"kind": "mae"}}}
        for dataset in told["datasets"].values():
            dataset["fields"]["n"] = {"kind": "number"}
    loaders = jumpml.create_dataloader(told)
    phases = {"phases": {"supervised": {"consolidate": True}}}
    with pytest.raises(SpecError) as caught:
        jumpml.create_learner(loaders, jumpml.load_model(spec, loaders), None, phases, run=tmp_path)
    assert "phases.supervised.consolidate: " in str(caught.value)
    assert text in str(caught.value)


def test_ewc_without_a_task_says_what_is_missing(data: dict[str, Any]) -> None:
    loaders = jumpml.create_dataloader(data)
    spec = {
        "nodes": {"body": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 2}}},
        "objectives": {"calm": {"kind": "l2", "inputs": "body"}, "keep": {"kind": "ewc"}},
    }
    model = jumpml.load_model(spec, loaders)
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(LearnerError, match=r"^the Fisher information is made of gradients of the tasks' losses, row"):
        learner.consolidate()


def test_what_is_held_grows_with_the_model(data: dict[str, Any]) -> None:
    loaders = jumpml.create_dataloader(data)
    spec = {
        "seed": 0,
        "nodes": {
            "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [6, 5]}},
            "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
        },
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        "objectives": {
            "ewc": {"kind": "ewc"},
            "si": {"kind": "si"},
            "l2_sp": {"kind": "l2_sp"},
            "lwf": {"kind": "lwf", "inputs": "out"},
        },
    }
    model = jumpml.load_model(spec, loaders)
    learner = Learner(
        loaders, model, torch.optim.Adam(model.parameters(), lr=0.05), phases={"supervised": Phase(epochs=1)}
    )
    learner.fit()
    learner.consolidate()
    learner.train_epoch()
    batch = next(iter(loaders.train.plain()))
    before = {name: value.detach().clone() for name, value in model.eval().losses(batch).items()}
    assert all(value.mean() > 0 for value in before.values())
    model.grow(Widen("body", 2.0))
    after = model.eval().losses(batch)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-5, rtol=1e-4)
    si = cast("SI", model.objectives["si"])
    shapes = [[*parameter.shape] for parameter in si.held.values()]
    assert all([[*kept.shape] for kept in si.of_each(kind)] == shapes for kind in ("anchor", "importance", "path"))


class Readings(TorchDispatchMode):
    """Counts what makes the host wait for a value of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_no_step_reads_the_device(data: dict[str, Any]) -> None:
    loaders = jumpml.create_dataloader(data)
    spec = {
        "seed": 0,
        "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        "objectives": {
            "ewc": {"kind": "ewc"},
            "si": {"kind": "si"},
            "l2_sp": {"kind": "l2_sp"},
            "lwf": {"kind": "lwf", "inputs": "out"},
        },
    }
    model = jumpml.load_model(spec, loaders)
    hooks = [Replay(rows=9, batch=4, alpha=1.0)]
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1), hooks=hooks)
    batches = [*learner.remaining()][:3]
    learner.step(batches[0])
    learner.consolidate()
    with Readings() as readings:
        for batch in batches[1:]:
            learner.step(batch)
        assert readings.count == 0
        float(batches[0]["x"].sum())
        assert readings.count == 1


@pytest.mark.parametrize("surgery", [Widen("body", 2.0), Deepen("body")], ids=["wider", "deeper"])
def test_a_copy_of_a_grown_model_comes_back(data: dict[str, Any], tmp_path: Path, surgery: Any) -> None:
    def fresh() -> Learner:
        loaders = jumpml.create_dataloader(data)
        spec = {
            "seed": 0,
            "nodes": {
                "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [6, 5]}},
                "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
            },
            "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
            "objectives": {"lwf": {"kind": "lwf", "inputs": "out"}},
        }
        model = jumpml.load_model(spec, loaders)
        adam = torch.optim.Adam(model.parameters(), lr=0.05)
        phases = {"supervised": Phase(epochs=2)}
        return Learner(loaders, model, adam, phases=phases, ema=0.9, saving=Saving(folder=tmp_path))

    learner = fresh()
    learner.train_epoch()
    learner.grow(surgery)
    learner.consolidate()
    learner.save()
    learner.train_epoch()
    again = fresh()
    again.resume()
    assert again.progress.step == learner.progress.step
    assert differing(state_of(learner), state_of(again)) == []
    copied = {n.partition("before.")[2]: v.shape for n, v in again.model.state_dict().items() if "before." in n}
    assert copied == {n: v.shape for n, v in again.model.state_dict().items() if n.startswith("node_")}
