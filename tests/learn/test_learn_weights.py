"""Weights that move: the way, the gradient, the logs, and exact resume."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from iris_files import iris_data, iris_model

import jumpml
from jumpml.core import ObjectiveError, SpecError, WeightSchedule
from jumpml.learn import Learner, Phase
from jumpml.objectives import L2, CrossEntropy, reduce

if TYPE_CHECKING:
    from pathlib import Path

DATA = iris_data(batch_size=32)
WARM = {"start": 0.0, "end": 0.8, "after": 0.5, "over": 1.0, "shape": "cosine"}


def parts(weight: Any) -> Any:
    data = jumpml.create_dataloader(DATA)
    code = {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 6}}
    small = {"kind": "l2", "inputs": "code", "weight": weight}
    spec = iris_model({"code": code}, objectives={"small": small})
    return data, jumpml.load_model(spec, data)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (WeightSchedule(start=1, end=3, over=2), {0: 1, 0.5: 1.5, 1: 2, 2: 3, 9: 3}),
        (WeightSchedule(start=1, end=3, over=2, shape="cosine"), {0: 1, 1: 2, 2: 3, 0.5: 2 - 2**-0.5}),
        (WeightSchedule(start=5, end=1, after=3, over=0), {0: 5, 2.9: 5, 3: 1, 4: 1}),  # a step
        (WeightSchedule(start=0, end=4, after=2), {1: 0, 2: 0, 6: 2, 10: 4, 11: 4}),  # until the end of ten epochs
        (WeightSchedule(start=0, end=4, after=12), {11: 0, 12: 4}),
    ],
)
def test_the_way_of_a_weight(schedule: WeightSchedule, expected: dict[float, float]) -> None:
    assert {epoch: schedule.at(epoch, 10) for epoch in expected} == pytest.approx(expected)


@given(
    start=st.floats(0, 10),
    end=st.floats(0, 10),
    after=st.floats(0, 5),
    over=st.none() | st.floats(0, 5),
    shape=st.sampled_from(["linear", "cosine"]),
)
def test_a_weight_moves_one_way_between_its_ends(start: float, end: float, after: float, over: Any, shape: Any) -> None:
    schedule = WeightSchedule(start=start, end=end, after=after, over=over, shape=shape)
    way = [schedule.at(epoch / 4, 6) for epoch in range(60)]
    low, high = sorted((start, end))
    assert all(low - 1e-9 <= weight <= high + 1e-9 for weight in way)
    assert all((later - earlier) * (end - start) >= -1e-9 for earlier, later in pairwise(way))
    assert way[-1] == end


def test_learning_is_that_of_a_loop_that_moves_the_weight_itself() -> None:
    data, model = parts(WARM)
    reference = parts(WARM)[1]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Learner(data, model, optimizer, phases={"supervised": Phase(epochs=2)}).fit()
    theirs = torch.optim.SGD(reference.parameters(), lr=0.1)
    loaders = jumpml.create_dataloader(DATA)
    loaders.bind(["x"])
    way, steps = WeightSchedule(**WARM), len(loaders.train)
    for epoch in range(2):
        for step, batch in enumerate(loaders.train):
            theirs.zero_grad()
            code = reference(batch, outputs=["code", "out"])
            loss = reduce(CrossEntropy(("out", "species"))(code["out"], batch["species"]))
            loss = loss + way.at(epoch + step / steps, 2) * reduce(L2("code")(code["code"]))
            loss.backward()
            theirs.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name])


def test_the_logs_tell_weights_that_move_and_the_total_counts_them(tmp_path: Path) -> None:
    data, model = parts({"start": 0.0, "end": 1.0, "over": 1.0})
    options = {"phases": {"supervised": {"epochs": 2}}, "log": ["jsonl"], "checkpoint": None}
    jumpml.create_learner(data, model, None, options, run=tmp_path).fit()
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    steps = len(data.train)
    for place, line in enumerate(lines):
        weight = min(1.0, place / steps)
        assert line["weights"] == pytest.approx({"small": weight})
        losses = line["losses"]
        assert losses["total"] == pytest.approx(losses["species"] + weight * losses["small"], rel=1e-5)


def test_a_weight_that_stays_leaves_the_logs_as_they_were(tmp_path: Path) -> None:
    data, model = parts(0.5)
    options = {"phases": {"supervised": {"epochs": 1}}, "log": ["jsonl"], "checkpoint": None}
    jumpml.create_learner(data, model, None, options, run=tmp_path).fit()
    assert all("weights" not in json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines())


def test_a_killed_run_goes_on_with_the_weight_where_it_was(tmp_path: Path) -> None:
    options = {"phases": {"supervised": {"epochs": 2}}, "log": ["jsonl"], "checkpoint": {"every": {"steps": 2}}}

    def learner(folder: str) -> Any:
        data, model = parts(WARM)
        return jumpml.create_learner(data, model, None, options, run=tmp_path / folder), model

    whole, straight = learner("whole")
    whole.fit()
    killed, _ = learner("killed")
    killed.train_epoch()
    second, resumed = learner("killed")
    assert second.progress.step == len(second.loaders.train)
    second.fit()
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert (tmp_path / "whole" / "steps.jsonl").read_text() == (tmp_path / "killed" / "steps.jsonl").read_text()


def test_validation_counts_the_last_weight_and_the_model_tells_the_way() -> None:
    _, model = parts(WARM)
    assert model.objectives["small"].weight == 0.8
    assert "objective small: L2 of code, weight 0 to 0.8, when supervised" in str(model)
    batch = next(iter(jumpml.create_dataloader(DATA).train.plain()))
    torch.testing.assert_close(model.losses(batch)["small"], parts(1.0)[1].losses(batch)["small"])  # unweighted


def test_a_tasks_own_objective_may_have_one_too() -> None:
    data = jumpml.create_dataloader(DATA)
    task = {"kind": "multiclass", "output": "out", "target": "species", "objective": {"weight": WARM}}
    nodes = {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}}
    model = jumpml.load_model({"nodes": nodes, "tasks": {"species": task}}, data)
    assert model.objectives["species"].schedule == WeightSchedule(**WARM)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        ({"start": 0}, "weight.end: this key is missing"),
        ({"start": 0, "end": -1}, "weight.end: expected a number of at least 0, got -1"),
        ({"start": 0, "end": 1, "shape": "square"}, "weight.shape: expected one of linear, cosine, got 'square'"),
        ({"start": 0, "end": 1, "epochs": 3}, "weight.epochs: this key is unknown"),
    ],
)
def test_wrong_ways_are_refused(weight: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parts(weight)
    assert f"objectives.small.{text}" in str(caught.value)


def test_wrong_ways_are_refused_in_python_too() -> None:
    with pytest.raises(ValueError, match=r"a weight's over: expected 0 or more, got -1"):
        WeightSchedule(start=0, end=1, over=-1)
    with pytest.raises(ValueError, match="a weight's shape: expected 'linear' or 'cosine', got 'step'"):
        WeightSchedule(start=0, end=1, shape="step")  # type: ignore[arg-type]
    with pytest.raises(ObjectiveError, match="L2: expected a weight of 0 or more, got inf"):
        L2("code", weight=float("inf"))
