"""What is refused before the first batch where several processes were started."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import jumpml
from jumpml.core import DataError, JumpMLError, LearnerError, LearnerSpec, load_spec
from jumpml.data import Epoch, Share
from jumpml.learn.misfits._wrong_processes import wrong_processes
from jumpml.learn.misfits._wrong_rows import _lone_row
from jumpml.learn.processes._devices import own_device

if TYPE_CHECKING:
    from pathlib import Path

DATA: dict[str, Any] = {
    "datasets": {
        "flowers": {
            "source": {"kind": "sklearn", "name": "iris"},
            "fields": {
                "x": {"kind": "tensor", "column": "data", "shape": [4]},
                "species": {"kind": "category", "column": "target"},
            },
            "split": {"stratify": "species", "duplicates": "together"},
        }
    },
}  # 105 of its 150 rows train
NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
    "tasks": {"species": {"kind": "multiclass", "output": "out", "target": "species"}},
}
NORMALIZED: dict[str, Any] = {
    **NET,
    "nodes": {
        "norm": {"module": "torch.nn.BatchNorm1d", "inputs": "x", "args": {"num_features": 4}},
        "out": {"module": "jumpml.blocks.Head", "inputs": "norm"},
    },
}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets a launcher have started so many processes on this machine, of which this is the first."""

    def start(count: int, **more: str) -> None:
        told = {"RANK": "0", "WORLD_SIZE": str(count), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": str(count), **more}
        for name, value in told.items():
            monkeypatch.setenv(name, value)

    return start


def refused(net: dict[str, Any] = NET, data: dict[str, Any] = DATA, **learner: Any) -> list[str]:
    """What a learner of such files says where it is made, a line a mistake."""
    loaders = jumpml.create_dataloader(data)
    model = jumpml.load_model(net, loaders)
    with pytest.raises(JumpMLError) as caught:
        jumpml.create_learner(loaders, model, None, {"checkpoint": None, "log": [], **learner})
    return [line.strip() for line in str(caught.value).splitlines() if not line.endswith("1 mistake")]


def test_several_that_were_not_told_to_learn_together_are_refused(started: Any) -> None:
    started(2)
    assert refused() == [
        "distribute: 2 processes were started, and each would learn the whole run by itself. Say `distribute: ddp`, "
        "and they share every batch; or start one, without torchrun."
    ]


def test_the_name_alone_stands_for_the_kind_and_none_is_the_default() -> None:
    assert load_spec(LearnerSpec, {}).distribute.kind == "none"
    assert load_spec(LearnerSpec, {"distribute": "ddp"}) == load_spec(LearnerSpec, {"distribute": {"kind": "ddp"}})
    assert load_spec(LearnerSpec, {"distribute": "none"}) == LearnerSpec()


def test_in_python_another_word_is_refused() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    with pytest.raises(LearnerError) as caught:
        jumpml.Learner(loaders, model, torch.optim.SGD(model.parameters()), distribute="dpd")  # type: ignore[arg-type]
    assert str(caught.value) == "distribute: expected none or ddp, got 'dpd'. Did you mean 'ddp'?"


def test_one_process_learns_as_without(tmp_path: Path) -> None:
    weights = []
    for distribute in ("none", "ddp"):
        loaders = jumpml.create_dataloader(DATA)
        model = jumpml.load_model(NET, loaders)
        options = {"distribute": distribute, "phases": {"supervised": {"epochs": 2}}, "log": []}
        learner = jumpml.create_learner(loaders, model, None, options, run=tmp_path / distribute)
        assert learner.processes.alone
        learner.fit()
        weights.append(model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_run_goes_on_with_the_key_where_one_process_learns_in_any_case(tmp_path: Path) -> None:
    steps = []
    for distribute, epochs in (("none", 1), ("ddp", 1)):
        loaders = jumpml.create_dataloader(DATA)
        model = jumpml.load_model(NET, loaders)
        options = {"distribute": distribute, "phases": {"supervised": {"epochs": epochs}}, "log": []}
        learner = jumpml.create_learner(loaders, model, None, options, run=tmp_path)
        steps.append(learner.progress.step)
        learner.fit()
    assert steps == [0, 2]  # of 105 rows in batches of 64


@pytest.mark.parametrize(
    ("net", "count", "batch_size", "told"),
    [
        (NET, 2, 1, "every batch has one row, too few for 2 processes. Take another batch_size, such as 3"),
        (
            NET,
            3,
            103,
            "105 train rows in batches of 103 leave a last batch of 2 rows, too few for 3 processes. Take another "
            "batch_size, such as 102",
        ),
        (
            NORMALIZED,
            2,
            3,
            "every batch has 3 rows, so that a process has one, and batch normalization in node 'norm' needs two. Take "
            "another batch_size, such as 5",
        ),
        (
            NORMALIZED,
            2,
            34,
            "105 train rows in batches of 34 leave a last batch of 3 rows, so that a process has one, and batch "
            "normalization in node 'norm' needs two. Take another batch_size, such as 33",
        ),
        (NET, 200, 64, "every batch has 64 rows, too few for 200 processes. Give the train split more rows"),
    ],
)
def test_batches_that_cannot_be_shared_out(
    started: Any, net: dict[str, Any], count: int, batch_size: int, told: str
) -> None:
    started(count)
    data = {**DATA, "batch_size": batch_size}
    assert refused(net, data, distribute="ddp") == [f"batch_size: {told}, or start fewer processes."]


def test_arms_whose_batches_cannot_be_shared_out(started: Any) -> None:
    flowers = DATA["datasets"]["flowers"]
    few = {**flowers, "split": {"train": 0.02, "val": 0.49, "test": 0.49, "duplicates": "allow"}}
    started(4)
    told = refused(
        NET,
        {"datasets": {"flowers": flowers, "few": few}, "mix": {"by": "uniform"}, "batch_size": 32},
        distribute="ddp",
        curriculum={"teacher": "uniform", "arms": "datasets"},
    )
    assert told == [
        "curriculum.arms: arm 'few' has a batch of 2 rows, too few for 4 processes. Give it more rows, take another "
        "batch_size, or choose from other arms."
    ]


@given(rows=st.integers(1, 60), size=st.integers(1, 70), count=st.integers(1, 6), normalized=st.booleans())
def test_what_is_not_refused_can_be_shared_out_and_what_is_named_instead_too(
    rows: int, size: int, count: int, normalized: bool
) -> None:
    """Whatever is refused would fail, and what is not gives each process of each batch as many rows as it needs."""

    def shares(batch_size: int) -> list[int]:
        sizes = [min(batch_size, rows - first) for first in range(0, rows, batch_size)]
        return [
            size for rank in range(count) for size in Share(rank, count).of(Epoch(torch.arange(rows), (*sizes,))).sizes
        ]

    def works(batch_size: int) -> bool:
        try:
            return min(shares(batch_size)) >= 1 + normalized
        except DataError:
            return False

    problems = _lone_row(rows, size, ["it"] if normalized else [], count)
    assert works(size) == (not problems)
    if problems:
        named = re.search(r"such as (\d+)", problems[0].fix)
        assert works(int(named[1])) if named else not any(map(works, range(1, 2 * rows + size)))


def test_each_process_takes_a_gpu_of_its_own(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_device(torch.device("cuda")) == torch.device("cuda")
    with monkeypatch.context() as joined:  # by a program that has said by `torch.cuda.set_device` which is whose
        joined.setattr(torch.distributed, "is_initialized", lambda: True)
        joined.setattr(torch.distributed, "get_world_size", lambda: 2)
        assert own_device(torch.device("cuda")) == torch.device("cuda")
    started(2, LOCAL_RANK="1")
    assert own_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert own_device(torch.device("cuda", 0)) == torch.device("cuda", 0)
    assert own_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without a GPU is told so")
def test_gpus_that_there_are_not(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started(2)
    (told,) = refused(distribute="ddp", device="cuda")
    assert told.startswith("device: this machine has no device 'cuda': ")
    assert told.endswith(". Say `device: cpu`, or `auto`.")


@pytest.mark.parametrize("place", ["0", "1"])  # each says so, also the one that there is a GPU for
def test_fewer_gpus_than_processes(started: Any, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    started(2, RANK=place, LOCAL_RANK=place)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    (few,) = wrong_processes("auto", together=True)
    assert few.path == ("device",)
    assert few.text == "2 processes of this machine need a GPU each, and it has 1."
    assert few.fix == "Start as many as there are, or say `device: cpu`."
    assert [*wrong_processes("cpu", together=True)] == []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [*wrong_processes("cuda", together=True)] == []


def test_devices_that_processes_cannot_learn_on_together(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started(2)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)  # whatever devices this machine has
    (several,) = wrong_processes("cuda:1", together=True)
    assert several.path == ("device",)
    assert several.text == "2 processes of this machine would share 'cuda:1'."
    assert several.fix == "Say `device: cuda`: each takes a GPU of its own."
    (other,) = wrong_processes("mps", together=True)
    assert other.text == "2 processes cannot add up their gradients on 'mps'."
    assert other.fix == "Say `device: cpu`, or start one process."
    started(2, LOCAL_WORLD_SIZE="1")  # one on each of two machines
    assert [*wrong_processes("cuda:1", together=True)] == []
    started(1)
    assert [*wrong_processes("mps", together=True)] == []


def test_a_number_of_processes_that_is_none_is_one(started: Any) -> None:
    started(1, WORLD_SIZE="many", LOCAL_WORLD_SIZE="some")
    assert [*wrong_processes("cpu", together=False)] == []
