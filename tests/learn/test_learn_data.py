"""A phase that learns from some of the data sets."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import jumpml
from jumpml.core import CheckpointError, DataError, LearnerError, SpecError
from jumpml.data import Bucketed, Column, DataLoaders, Mixture, Order, Shuffled
from jumpml.learn import Learner, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROWS = {"first": 20, "second": 14, "third": 9}
LEARNER: dict[str, Any] = {
    "seed": 3,
    "optimizer": {"kind": "sgd", "lr": 0.05},
    "phases": {
        "one": {"epochs": 2, "data": "first"},
        "two": {"epochs": 1, "data": ["second", "third"], "schedule": {"kind": "cosine"}},
        "supervised": {"epochs": 0},
    },
    "checkpoint": {"every": {"steps": 1}, "keep": 30},
    "log": [],
}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    """Three files; x says which one a row is from."""
    generator = np.random.default_rng(0)
    datasets = {}
    for number, (name, rows) in enumerate(ROWS.items()):
        x = generator.normal(size=(rows + 8, 3)).astype("float32")
        x[:, 0] = number
        np.savez(tmp_path / f"{name}.npz", x=x, y=np.arange(rows + 8) % 2, part=["train"] * rows + ["val", "test"] * 4)
        datasets[name] = {
            "source": {"kind": "npz", "path": str(tmp_path / f"{name}.npz")},
            "fields": {"x": {"kind": "tensor", "shape": [3]}, "y": {"kind": "category"}},
            "split": {"column": "part", "values": {"val": ["val"], "test": ["test"]}},
        }
    return {"datasets": datasets, "features": {"x": []}, "batch_size": 8}


MODEL: dict[str, Any] = {
    "seed": 0,
    "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
    "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y", "objective": {"when": ["one", "two"]}}},
}


def make(data: Mapping[str, Any], folder: Path, **changes: Any) -> Learner:
    loaders = jumpml.create_dataloader(dict(data))
    spec = {**copy.deepcopy(LEARNER), **changes}
    return jumpml.create_learner(loaders, jumpml.load_model(MODEL, loaders), None, spec, run=folder)


def watch(learner: Learner) -> list[tuple[str, list[int]]]:
    """The phase of each step to come, and the data sets of its rows."""
    seen: list[tuple[str, list[int]]] = []
    original = learner.step

    def step(batch: Any) -> None:
        seen.append((learner.progress.phase or "", batch["x"][:, 0].int().tolist()))
        original(batch)

    learner.step = step  # type: ignore[method-assign]
    return seen


def test_each_phase_sees_its_own_data_sets(data: dict[str, Any], tmp_path: Path) -> None:
    learner = make(data, tmp_path / "run")
    seen = watch(learner)
    learner.fit()
    assert [phase for phase, _ in seen] == ["one"] * 6 + ["two"] * 3  # 20 rows in 3 batches, 14 + 9 in 3
    assert {row for phase, rows in seen for row in rows if phase == "one"} == {0}
    assert sorted(row for phase, rows in seen for row in rows if phase == "two") == [1] * 14 + [2] * 9
    assert [record.step for record in learner.history.epochs] == [3, 6, 9]
    losses = learner.history.examples["y"].loss  # a row that a phase does not see has no loss in it
    assert np.isfinite(losses).sum(1).tolist() == [20, 20, 23]


@pytest.mark.parametrize("step", [0, 2, 4, 6, 7, 8])
def test_a_run_that_stops_in_a_phase_ends_with_the_same_bits(data: dict[str, Any], tmp_path: Path, step: int) -> None:
    whole = make(data, tmp_path / "whole")
    whole.fit()
    first = make(data, tmp_path / "run")
    original = first.step

    def stop(batch: Any) -> None:
        if first.progress.step == step:
            raise KeyboardInterrupt
        original(batch)

    first.step = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    second = make(data, tmp_path / "run")
    seen = watch(second)
    second.fit()
    assert len(seen) == 9 - step
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])


def test_another_data_set_is_another_run(data: dict[str, Any], tmp_path: Path) -> None:
    make(data, tmp_path / "run").fit()
    phases = copy.deepcopy(LEARNER["phases"])
    phases["one"]["data"] = "second"
    with pytest.raises(CheckpointError, match=r'learner\.phases\.one\.data: "first" then, "second" now'):
        make(data, tmp_path / "run", phases=phases)


def test_a_data_set_that_is_not_there_is_refused_with_its_line(data: dict[str, Any], tmp_path: Path) -> None:
    phases = {**copy.deepcopy(LEARNER["phases"]), "one": {"epochs": 1, "data": "frist"}}
    with pytest.raises(SpecError) as caught:
        make(data, tmp_path / "run", phases=phases)
    text = str(caught.value)
    assert (
        "phases.one.data: there is no data set 'frist' whose train rows could be drawn. Did you mean 'first'?" in text
    )


def test_no_data_set_at_all_is_refused() -> None:
    with pytest.raises(SpecError, match=r"phases\.one\.data"):
        jumpml.core.load_spec(jumpml.core.LearnerSpec, {"phases": {"one": {"data": []}}})


def test_a_lone_row_is_found_by_phase(data: dict[str, Any], tmp_path: Path) -> None:
    model = copy.deepcopy(MODEL)
    model["nodes"] = {
        "norm": {"module": "torch.nn.BatchNorm1d", "inputs": "x", "args": {"num_features": 3}},
        "out": {"module": "jumpml.blocks.Head", "inputs": "norm"},
    }
    loaders = jumpml.create_dataloader(data)  # 43 rows in batches of 8 are well, and so are 20; 9 leave one
    phases = {"one": Phase(epochs=1, data=("first",)), "two": Phase(epochs=1, data=("third",))}
    built = jumpml.load_model(model, loaders)
    optimizer = torch.optim.SGD(built.parameters(), lr=0.1)
    with pytest.raises(LearnerError, match=r"9 train rows in batches of 8 leave a last batch of one row"):
        Learner(loaders, built, optimizer, phases=phases)
    Learner(loaders, built, optimizer, phases={**phases, "two": Phase(epochs=1, data=("second",))})


def test_shares_stay_as_they_are_of_each_other() -> None:
    pools = {name: Shuffled(torch.arange(start, start + 10)) for name, start in (("a", 0), ("b", 10), ("c", 20))}
    order = Mixture(pools, {"a": 1, "b": 3, "c": 4}).only(["a", "b"])
    served = order.epoch(0, 0, 5).positions
    assert order.datasets == ("a", "b")
    assert ((served < 10).sum().item(), ((served >= 10) & (served < 20)).sum().item()) == (5, 15)


def test_buckets_are_of_the_chosen_rows() -> None:
    pools = {"a": Shuffled(torch.arange(6)), "b": Shuffled(torch.arange(6, 12))}
    order = Bucketed(Mixture(pools), torch.arange(12) % 2)
    assert order.datasets == ("a", "b")
    assert sorted(order.only(["b"]).epoch(0, 0, 3).positions.tolist()) == [*range(6, 12)]
    assert order.only(["b"]).batches(3) == 2


def test_an_order_that_tells_no_data_sets_apart_says_so() -> None:
    class Whole(Order):
        def epoch(self, seed: int, epoch: int, batch_size: int) -> Any:
            return Mixture({"all": Shuffled(torch.arange(8))}).epoch(seed, epoch, batch_size)

        def batches(self, batch_size: int) -> int:
            return 8 // batch_size

    columns = {"x": Column(torch.rand(10, 1), "number")}
    rows = {"train": torch.arange(8), "val": torch.tensor([8]), "test": torch.tensor([9])}
    loaders = DataLoaders(columns, rows, batch_size=4, order=Whole())
    assert loaders.train.datasets == ()
    with pytest.raises(DataError, match=r"^this order \(Whole\) tells no data sets apart, so that none can be chosen"):
        loaders.train.serve(None, (), ["all"])
    with pytest.raises(DataError, match=r"there is no data set 'c' to draw from\. There is: a"):
        Mixture({"a": Shuffled(torch.arange(8))}).only(["c"])
