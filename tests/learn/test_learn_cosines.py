"""The cosines between tasks' gradients under the plain sum: right, and without a trace in what is learned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

import jumpml
from jumpml.balance import UPGrad
from jumpml.core import JumpMLError, LearnerError, ValueInfo
from jumpml.data import Column, DataLoaders
from jumpml.graph import Model, Node
from jumpml.learn import Balancing, Cosines, Learner, Phase
from jumpml.objectives import L2, MeanSquaredError, reduce

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("up", "down", "size")


def loaders(batch_size: int = 8) -> DataLoaders:
    """Two numbers a row; `up` lacks each fourth row, `down` is its opposite, and `size` is neither's."""
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    up = x[:, :1] + x[:, 1:]
    targets = {"up": up.clone(), "down": -up, "size": x.square().sum(1, keepdim=True)}
    targets["up"][::4] = torch.nan
    columns = {"x": Column(x, "tensor"), **{name: Column(value, "number") for name, value in targets.items()}}
    splits = {"train": torch.arange(32), "val": torch.arange(32, 36), "test": torch.arange(36, 40)}
    return DataLoaders(columns, splits, features={"x": []}, batch_size=batch_size)


def model() -> Model:
    body = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.Dropout(0.3))
    heads = {f"{name}_head": Node(nn.LazyLinear(1), "body") for name in NAMES}
    objectives: dict[str, Any] = {name: MeanSquaredError((f"{name}_head", name)) for name in NAMES}
    objectives["up"] = MeanSquaredError(("up_head", "up"), weight=2.0)
    objectives["small"] = L2(parameters_of=("all",), weight=0.1)
    nodes = {"body": Node(body, "x"), **heads}
    return Model(inputs={"x": ValueInfo(shape=(2,))}, nodes=nodes, objectives=objectives, seed=0)


def learner(*hooks: Any, **options: Any) -> Learner:
    made, phases = model(), {"supervised": Phase(epochs=3)}
    options = {"phases": phases, "seed": 3, **options}
    return Learner(loaders(), made, SGD(made.parameters(), 0.05, momentum=0.9), hooks=hooks, **options)


def weights(made: Learner) -> list[Tensor]:
    return [value.clone() for value in made.model.state_dict().values()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) > 0 and all(map(torch.equal, first, second))


def by_hand(made: Learner, batch: Any, by: list[Tensor] | None = None) -> dict[str, float]:
    """The cosines between the gradients of the weighted means, on the body's parameters or by a value."""
    assert made.stage is not None
    losses, values = made.stage.plan(batch)
    on = [*made.model.node("body").parameters()] if by is None else [values["body"]]
    found = {}
    for name in NAMES:
        gradients = torch.autograd.grad(made.weights[name] * reduce(losses[name]), on, retain_graph=True)
        found[name] = torch.cat([gradient.flatten() for gradient in gradients])
    pairs = [("up", "down"), ("up", "size"), ("down", "size")]
    return {f"cosine/{a}/{b}": float(torch.cosine_similarity(found[a], found[b], dim=0)) for a, b in pairs}


# --- what is learned --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"accumulate": 3}, {"precision": "bfloat16"}, {"clip_norm": 0.1}])
@pytest.mark.parametrize("at", [None, "body"])
def test_it_leaves_no_trace_in_what_is_learned(options: dict[str, Any], at: str | None) -> None:
    plain, watched = learner(**options), learner(Cosines(2, at=at), **options)
    plain.fit()
    watched.fit()
    assert watched.history.course  # it did look
    assert same(weights(plain), weights(watched))
    assert [epoch.losses for epoch in plain.history.epochs] == [epoch.losses for epoch in watched.history.epochs]
    other = learner(Balancing(UPGrad()), **options)
    other.fit()
    assert not same(weights(plain), weights(other))  # what is compared can differ


# --- what is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [None, "body"])
def test_the_cosines_are_those_by_hand(at: str | None) -> None:
    hook = Cosines(1, at=at, over=NAMES)
    made = learner(hook)
    made._run.enter("supervised")
    expected, generator = [], torch.random.get_rng_state()
    for batch in [*made.remaining()][:3]:
        state = made._loop.random.state_dict()
        with made._loop.random:
            made._loop.random.load_state_dict(state)  # the same dropout for both
            expected.append(by_hand(made, batch, None if at is None else []))
            made._loop.random.load_state_dict(state)
            made._loop.step(made._loop.stage, [batch])  # type: ignore[arg-type]
    told = hook.read()
    assert told.keys() == expected[0].keys()
    for pair, value in told.items():
        assert value == pytest.approx(sum(one[pair] for one in expected) / 3, abs=1e-5)
    assert not hook.read()
    torch.random.set_rng_state(generator)


def test_batches_of_one_update_are_compared_together_on_parameters() -> None:
    whole, parts = Cosines(1), Cosines(1)
    one, several = learner(whole), learner(parts, accumulate=2)
    for made in (one, several):
        made._run.enter("supervised")
    batches = [*several.remaining()][:2]  # without dropout, which is drawn anew for each batch
    one.model.eval()
    several.model.eval()
    joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    one.step(joined)
    several.step(*batches)
    first, second = whole.read(), parts.read()
    assert first.keys() == second.keys()
    assert all(value == pytest.approx(second[pair], abs=1e-5) for pair, value in first.items())


def test_every_so_many_updates_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = Cosines(5)
    made = learner(hook)
    looked: list[int] = []
    due = hook._is_due
    monkeypatch.setattr(hook, "_is_due", lambda: due() and (looked.append(made.progress.step + 1) or True))
    made.fit()
    assert made.progress.step == 12
    assert looked == [5, 10]


def test_the_log_and_the_history_tell_who_pulls_against_whom(tmp_path: Path) -> None:
    made = jumpml.create_learner(
        loaders(),
        model(),
        None,
        {"balance": {"kind": "sum", "cosines": 2}, "log": ["jsonl"], "checkpoint": None},
        run=tmp_path,
    )
    made.fit()
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    told = [line["figures"] for line in lines if line.get("figures")]
    assert told and all(figures.keys() == {"cosine/up/down", "cosine/up/size", "cosine/down/size"} for figures in told)
    assert all(
        figures["cosine/up/down"] < figures["cosine/down/size"] for figures in told
    )  # one is the other's opposite
    assert made.history.course[0].figures == told[0]


def test_a_resumed_run_tells_the_same(tmp_path: Path) -> None:
    said = {"balance": {"kind": "sum", "cosines": 3}, "log": ["jsonl"], "phases": {"supervised": {"epochs": 3}}}
    said |= {"checkpoint": {"every": {"steps": 5}}}
    whole = jumpml.create_learner(loaders(), model(), None, said, run=tmp_path / "whole")
    whole.fit()
    stopped = jumpml.create_learner(loaders(), model(), None, said, run=tmp_path / "stopped")
    stopped.train_epoch()
    with stopped._run.at_work():
        for batch in [*stopped.remaining()][:2]:
            stopped.step(batch)
    stopped.save()
    resumed = jumpml.create_learner(loaders(), model(), None, said, run=tmp_path / "stopped")
    assert resumed.resume() and resumed.progress.batch == 2
    resumed.fit()
    assert same(weights(whole), weights(resumed))
    told = [{point.step: point.figures for point in made.history.course} for made in (whole, resumed)]
    assert told[0] and told[1][12] == told[0][12]  # the last reading is of the same updates in both


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"balance": {"kind": "sum", "at": "body"}}, "at: a sum compares no gradients. Say `cosines`, after how many"),
        ({"balance": {"kind": "sum", "over": ["up", "down"]}}, "over: a sum compares no gradients. Say `cosines`"),
        ({"balance": {"kind": "sum", "cosines": 0}}, "balance.cosines"),
        (
            {"balance": {"kind": "sum", "cosines": 5, "over": ["up", "don"]}},
            "balance.over: there is no objective 'don'. Did you mean 'down'?",
        ),
        (
            {"balance": {"kind": "sum", "cosines": 5, "at": "up_head"}},
            "balance.at: of the objectives that are compared 'up' depends on node 'up_head'.",
        ),
        (
            {
                "balance": {"kind": "sum", "cosines": 5, "over": ["up", "small"]},
                "phases": {"supervised": {"epochs": 0}},
            },
            "balance: the cosine between gradients needs two objectives or more that are active at once",
        ),
        (
            {"balance": {"kind": "sum", "cosines": 5}, "compile": {"backend": "eager"}},
            "compile: cosines need gradients objective by objective, which code that torch.compile makes does not",
        ),
    ],
)
def test_what_cannot_be_compared_is_told(said: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(JumpMLError) as error:
        jumpml.create_learner(loaders(), model(), None, {"log": [], "checkpoint": None} | said, run=tmp_path)
    assert told in str(error.value)


def test_in_python_too() -> None:
    with pytest.raises(LearnerError, match="cosines: expected every 1 update or more, got 0"):
        Cosines(0)
    with pytest.raises(LearnerError, match="expected `over` as two objectives' names or more, got 'up'"):
        Cosines(over="up")
    with pytest.raises(LearnerError, match="two hooks have the name 'balance'"):
        learner(Cosines(), Balancing(UPGrad()))
