"""Rows of before: which are kept, and what they add to a step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import jumpml
from jumpml.core import LearnerError, SpecError
from jumpml.data import Column, DataLoaders
from jumpml.graph import Branch, Classes, Deepen
from jumpml.learn import Hook, Learner, Phase, Replay, Reservoir, Saving

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.graph import Model
    from jumpml.learn._stage import Stage

# --- the reservoir ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_what_is_kept_are_rows_of_the_stream_each_once(size: int, batches: list[int]) -> None:
    reservoir, start = Reservoir(size), 0
    for count in batches:
        rows = torch.arange(start, start + count)
        reservoir.add({"x": rows, "twice": torch.stack([rows, 2 * rows], 1)})
        start += count
    kept = reservoir.state_dict()["rows"]
    numbers = kept["x"][: len(reservoir)]
    assert (reservoir.seen, len(reservoir)) == (start, min(start, size))
    assert len({*numbers.tolist()}) == len(reservoir)
    assert max(numbers.tolist()) < start
    assert torch.equal(kept["twice"][: len(reservoir), 1], 2 * numbers)  # a row's values stay together
    if start <= size:
        assert numbers.tolist() == [*range(start)]


@pytest.mark.parametrize("batch", [1, 7, 30])
def test_each_row_is_as_likely_as_any_other(batch: int) -> None:
    kept = torch.zeros(30)
    for seed in range(1500):
        reservoir = Reservoir(6, seed)
        for rows in torch.arange(30).split(batch):
            reservoir.add({"x": rows})
        kept[reservoir.state_dict()["rows"]["x"]] += 1
    # 1500 draws at a chance of 1/5: four standard deviations of a binomial
    assert (kept / 1500 - 0.2).abs().max() < 4 * (0.2 * 0.8 / 1500) ** 0.5


def test_a_reservoir_goes_on_from_its_state() -> None:
    whole, first, second, forgetful = (Reservoir(5, 3), Reservoir(5, 3), Reservoir(5, 9), Reservoir(5, 9))
    stream = torch.arange(40).split(8)
    for rows in stream[:2]:
        whole.add({"x": rows})
        first.add({"x": rows})
    second.load_state_dict(first.state_dict())
    forgetful.load_state_dict({**first.state_dict(), "generator": torch.Generator().manual_seed(1).get_state()})
    for reservoir in (whole, second, forgetful):
        for rows in stream[2:]:
            reservoir.add({"x": rows})
    drawn = [reservoir.draw(20)["x"].tolist() for reservoir in (whole, second, forgetful)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_does_not_fit_a_reservoir_is_refused() -> None:
    with pytest.raises(LearnerError, match=r"^a reservoir keeps one row or more, got 0\.$"):
        Reservoir(0)
    reservoir = Reservoir(2)
    assert reservoir.draw(3) == {}
    reservoir.add({"x": torch.zeros(2, 3)})
    for other in ({"x": torch.zeros(2, 4)}, {"x": torch.zeros(2, 3), "y": torch.zeros(2)}):
        with pytest.raises(LearnerError, match=r"^the rows that are kept are of .*, and those that came are of .*\.$"):
            reservoir.add(other)


# --- the hook ---------------------------------------------------------------------------------------------------------

NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "body": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 5}},
        "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
    },
    "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y", "objective": {"weight": 2.0}}},
    "objectives": {"small": {"kind": "l2", "parameters": "all", "weight": 0.01}},
}


def loaders(**more: Column) -> DataLoaders:
    generator = torch.Generator().manual_seed(0)
    columns = {
        "x": Column(torch.randn(36, 3, generator=generator), "tensor"),
        "y": Column(torch.arange(36) % 3, "category", classes=("a", "b", "c")),
        **more,
    }
    splits = {"train": torch.arange(32), "val": torch.arange(32, 34), "test": torch.arange(34, 36)}
    return DataLoaders(columns, splits, features={"x": [], **{name: [] for name in more}}, batch_size=8)


def learner_with(replay: Replay | None, **options: Any) -> Learner:
    data = loaders()
    net = jumpml.load_model(NET, data)
    hooks = [*options.pop("hooks", ()), *([] if replay is None else [replay])]
    options.setdefault("phases", {"supervised": Phase(epochs=2)})
    return Learner(data, net, torch.optim.SGD(net.parameters(), lr=0.1), hooks=hooks, **options)


def gradients(net: Model) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.7), (0.3, 0.0), (0.3, 0.7)])
def test_a_step_adds_the_gradients_of_the_kept_rows(alpha: float, beta: float) -> None:
    replay = Replay(rows=16, batch=6, alpha=alpha, beta=beta, seed=4)
    learner = learner_with(replay)
    batches = [*learner.remaining()]
    for batch in batches[:2]:
        learner.step(batch)
    shadow = Reservoir(16)
    shadow.load_state_dict(replay.state_dict())
    net = learner.model
    twin = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}

    def outputs(x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(net, twin, ({"x": x},))["y"]

    penalty = torch.cat([p.flatten() for name, p in twin.items()]).square().mean()
    total = 2.0 * F.cross_entropy(outputs(batches[2]["x"]), batches[2]["y"]) + 0.01 * penalty
    if beta:
        drawn = shadow.draw(6)
        total = total + beta * 2.0 * F.cross_entropy(outputs(drawn["field/x"]), drawn["field/y"])
    if alpha:
        drawn = shadow.draw(6)
        total = total + alpha * F.mse_loss(outputs(drawn["field/x"]), drawn["output/y"])
    total.backward()
    learner.step(batches[2])
    for name, gradient in gradients(net).items():
        torch.testing.assert_close(gradient, twin[name].grad)


def test_outputs_are_kept_as_they_were_when_the_rows_came_by() -> None:
    replay = Replay(rows=8, batch=6, alpha=1.0)
    learner = learner_with(replay)
    batch = next(learner.remaining())
    with torch.no_grad():
        before = learner.model(batch)["y"].clone()
    learner.step(batch)
    kept = replay.state_dict()["rows"]
    assert torch.equal(kept["field/x"], batch["x"])
    torch.testing.assert_close(kept["output/y"], before)
    assert not kept["output/y"].requires_grad
    assert not torch.equal(learner.model(batch)["y"], before)


def test_figures_and_records_are_of_the_rows_of_now() -> None:
    plain, replayed = learner_with(None), learner_with(Replay(rows=16, batch=4))
    for learner in (plain, replayed):
        learner.fit()
    first, second = (learner.history.examples["y"].loss for learner in (plain, replayed))
    assert first.shape == second.shape
    assert (first[1] != second[1]).any()  # it does learn something else
    mean = torch.from_numpy(second[1]).mean().item()
    assert replayed.history.epochs[1].losses["y"] == pytest.approx(mean, rel=1e-5)


def test_batches_that_accumulate_are_all_kept_and_replayed_once_an_update() -> None:
    replay = Replay(rows=64, batch=4)
    learner = learner_with(replay, accumulate=2)
    drawn: list[int] = []
    original = replay._reservoir.draw

    def draw(count: int) -> dict[str, torch.Tensor]:
        drawn.append(count)
        return original(count)

    replay._reservoir.draw = draw  # type: ignore[method-assign]
    learner.fit()
    assert replay.state_dict()["seen"] == 64  # two epochs of 32 rows
    assert drawn == [4, 4, 4]  # four updates, of which the first found nothing kept


def test_outputs_of_half_precision_are_kept_and_compared() -> None:
    replay = Replay(rows=16, batch=4, alpha=1.0)
    learner = learner_with(replay, precision="bfloat16")
    before = [p.detach().clone() for p in learner.model.parameters()]
    learner.fit()
    assert replay.state_dict()["rows"]["output/y"].dtype == torch.bfloat16
    after = [*learner.model.parameters()]
    assert all(bool(p.isfinite().all()) and not torch.equal(p, old) for p, old in zip(after, before, strict=True))


class Alone(Hook):
    """Forgets the gradients of the batch, so that those of the kept rows stand alone, and keeps these."""

    name = "alone"

    def __init__(self) -> None:
        self.gradients: list[torch.Tensor] = []

    def join(self, stage: Stage) -> None:
        for parameter in stage.trained:
            if parameter.grad is not None:
                parameter.grad.zero_()

    def differentiated(self, stage: Stage) -> None:
        self.gradients = [p.grad.clone() for p in stage.trained if p.grad is not None]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_gradients_of_kept_rows_are_scaled_in_half_precision_as_those_of_the_batch(precision: Any) -> None:
    beta = 1e-6  # of a mean over rows, which float16 has no number for; its least one is 6e-8
    alone = Alone()
    learner = learner_with(None, hooks=[alone, Replay(rows=16, batch=16, beta=beta)], precision=precision)
    batch = next(learner.remaining())
    learner.step(batch)
    learner.step(batch)
    assert len(alone.gradients) == 4
    largest = [float(gradient.abs().max()) / beta for gradient in alone.gradients]
    assert min(largest) > 1e-2
    again = Alone()
    plain = learner_with(None, hooks=[again, Replay(rows=16, batch=16, beta=1.0)])
    plain.step(batch)
    plain.step(batch)
    wanted = [float(gradient.abs().max()) for gradient in again.gradients]
    assert largest == pytest.approx(wanted, rel=0.02)


def labelled(names: tuple[str, ...]) -> DataLoaders:
    """Other rows, of as many classes as there are names."""
    generator = torch.Generator().manual_seed(1)
    columns = {
        "x": Column(torch.randn(36, 3, generator=generator), "tensor"),
        "y": Column(torch.arange(36) % len(names), "category", classes=names),
    }
    splits = {"train": torch.arange(32), "val": torch.arange(32, 34), "test": torch.arange(34, 36)}
    return DataLoaders(columns, splits, features={"x": []}, batch_size=8)


@pytest.mark.parametrize("names", [("a", "b", "c", "d"), ("a", "aa", "b", "c")], ids=["last", "between"])
def test_rows_of_before_new_classes_came_are_compared_on_those_that_there_were(names: tuple[str, ...]) -> None:
    replay = Replay(rows=32, batch=32, alpha=0.5, beta=1.0, seed=1)
    first = learner_with(replay)
    first.fit()
    kept = {name: value.clone() for name, value in replay.state_dict()["rows"].items()}
    model = first.model
    model.grow(Classes("y", names))
    data = labelled(names)
    alone = Alone()
    second = Learner(data, model, torch.optim.SGD(model.parameters(), lr=0.1), hooks=[alone, replay])
    places = [names.index(label) for label in "abc"]
    rows = replay.state_dict()["rows"]
    assert torch.equal(rows["field/y"], torch.tensor(places)[kept["field/y"]])
    assert torch.equal(rows["output/y"][:, places], kept["output/y"])
    assert int(rows["output/y"].isnan().sum()) == len(rows["output/y"])  # of the class that there was not
    shadow = Reservoir(32)
    shadow.load_state_dict(replay.state_dict())
    twin = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    drawn, apart = shadow.draw(32), shadow.draw(32)
    now = torch.func.functional_call(model, twin, ({"x": drawn["field/x"]},))["y"]
    total = 2.0 * F.cross_entropy(now, drawn["field/y"])
    now = torch.func.functional_call(model, twin, ({"x": apart["field/x"]},))["y"]
    total = total + 0.5 * F.mse_loss(now[:, places], apart["output/y"][:, places])
    total.backward()
    second.step(next(second.remaining()))
    wanted = [twin[name].grad for name, _ in model.named_parameters()]
    for gradient, other in zip(alone.gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, other)
    second.fit()


def test_new_classes_come_while_rows_are_replayed_and_a_resume_ends_in_the_same_bits(tmp_path: Path) -> None:
    def made(name: str) -> tuple[Learner, Replay]:
        replay = Replay(rows=32, batch=8, alpha=0.5, beta=1.0, seed=1)
        first = learner_with(replay, phases={"supervised": Phase(epochs=1)})
        first.fit()
        first.model.grow(Classes("y", names))
        saving, sgd = Saving(folder=tmp_path / name, steps=1), torch.optim.SGD(first.model.parameters(), lr=0.1)
        data, phases = labelled(names), {"supervised": Phase(epochs=3)}
        return Learner(data, first.model, sgd, phases=phases, hooks=[replay], saving=saving), replay

    names = ("a", "aa", "b", "c")
    whole, kept = made("whole")
    whole.fit()
    parted, _ = made("parted")
    parted.save()  # no step has met the new classes yet
    again, same = made("parted")
    assert again.resume()
    again.train_epoch()  # and now one has
    again, same = made("parted")
    assert again.resume()
    again.fit()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
    rows, others = kept.state_dict()["rows"], same.state_dict()["rows"]
    assert rows["output/y"].shape == (32, 4)
    assert all(torch.equal(value.nan_to_num(9.0), others[name].nan_to_num(9.0)) for name, value in rows.items())


def test_only_the_phases_that_are_named_keep_and_replay() -> None:
    phases = {"one": Phase(epochs=1), "two": Phase(epochs=1), "supervised": Phase(epochs=0)}
    net = {**NET, "tasks": {"y": {**NET["tasks"]["y"], "objective": {"when": ["one", "two"]}}}, "objectives": {}}
    data = loaders()
    model = jumpml.load_model(net, data)
    replay = Replay(rows=64, batch=6, when="two")
    learner = Learner(data, model, torch.optim.SGD(model.parameters(), lr=0.1), phases=phases, hooks=[replay])
    learner.fit()
    assert replay.state_dict()["seen"] == 32


def test_the_next_learner_goes_on_with_what_was_kept() -> None:
    replay = Replay(rows=16, batch=6)
    learner_with(replay).fit()
    kept = {name: value.clone() for name, value in replay.state_dict()["rows"].items()}
    assert replay.state_dict()["seen"] == 64
    other = learner_with(replay)
    assert all(torch.equal(value, kept[name]) for name, value in replay.state_dict()["rows"].items())
    other.fit()
    assert replay.state_dict()["seen"] == 128


def test_a_phase_that_learns_from_other_fields_is_told_to_be_left_out() -> None:
    phases = {"one": Phase(epochs=1), "two": Phase(epochs=1)}
    net = {
        **NET,
        "tasks": {"y": {**NET["tasks"]["y"], "objective": {"when": ["one"]}}},
        "objectives": {"calm": {"kind": "l2", "inputs": "out", "when": ["two"]}},
    }
    data = loaders()
    model = jumpml.load_model(net, data)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    learner = Learner(data, model, optimizer, phases=phases, hooks=[Replay(rows=16, batch=6)])
    with pytest.raises(LearnerError) as caught:
        learner.fit()
    assert str(caught.value) == (
        "replay: the rows that were kept and phase 'two' do not learn from the same: 'y' is only in one of them. Name "
        "with `when` the phases that do."
    )


def test_kept_rows_lack_a_field_that_a_growth_has_brought() -> None:
    data = loaders(z=Column(torch.randn(36, 4), "tensor"))
    model = jumpml.load_model(NET, data)
    learner = Learner(data, model, torch.optim.SGD(model.parameters(), lr=0.1), hooks=[Replay(rows=16, batch=6)])
    learner.train_epoch()
    learner.grow(Deepen("out"))  # which reads nothing new: they are replayed on
    learner.train_epoch()
    learner.grow(Branch("body", "ear", "torch.nn.LazyLinear", "z", {"out_features": 5}))
    with pytest.raises(LearnerError, match=r"do not learn from the same: 'z' is only in one of them"):
        learner.train_epoch()


def test_numbers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match=r"^replay: expected a batch of one row or more, got 0\.$"):
        Replay(8, batch=0)
    with pytest.raises(LearnerError, match=r"^replay: expected alpha and beta from 0, and not both 0; got 0 and 0\.$"):
        Replay(8, batch=6, alpha=0, beta=0)
    with pytest.raises(LearnerError, match=r"^replay: there is no phase 'twice'\. There is: supervised\.$"):
        learner_with(Replay(8, batch=6, when="twice"))
    told = "expected a batch of at most the rows that are kept, got 32 a step of 8. Lower batch, or keep more."
    with pytest.raises(LearnerError, match=f"^replay: {re.escape(told)}$"):
        Replay(8)
    data = loaders()
    few = tmp_path / "few.learner.yaml"
    few.write_text("replay:\n  kind: der++\n  rows: 8\n  batch: 32\n")
    with pytest.raises(SpecError, match=rf"line 4, column 3: replay\.batch: {re.escape(told)}"):
        jumpml.create_learner(data, jumpml.load_model(NET, data), None, few, run=tmp_path)
    spec = {"replay": {"kind": "reservoir", "when": ["suprevised"]}}
    with pytest.raises(SpecError, match=r"replay\.when: there is no phase 'suprevised'\. Did you mean 'supervised' or"):
        jumpml.create_learner(data, jumpml.load_model(NET, data), None, spec, run=tmp_path)


def test_what_cannot_be_kept_is_refused() -> None:
    data = loaders()
    nodes = {"body": NET["nodes"]["body"]}
    net = {"nodes": nodes, "objectives": {"calm": {"kind": "l2", "inputs": "body"}}}
    model = jumpml.load_model(net, data)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(LearnerError, match=r"^replay with alpha keeps the tasks' outputs, and the model has no task"):
        Learner(data, model, optimizer, hooks=[Replay(8, batch=6, alpha=1)])
    texts = Column(
        torch.randint(1, 9, (36, 16)), "text", options={"tokenizer": {"padding": 0, "vocabulary": ["-", *"abcdefgh"]}}
    )
    splits = {"train": torch.arange(32), "val": torch.arange(32, 34), "test": torch.arange(34, 36)}
    cut = DataLoaders({"t": texts}, splits, bucket="t")
    nodes = {"code": {"module": "torch.nn.Embedding", "inputs": "t", "args": {"num_embeddings": 9, "embedding_dim": 2}}}
    model = jumpml.load_model({"nodes": nodes, "objectives": {"calm": {"kind": "l2", "inputs": "code"}}}, cut)
    with pytest.raises(LearnerError, match=r"^replay keeps rows of one shape, and `bucket` cuts texts to the longest"):
        Learner(cut, model, torch.optim.SGD(model.parameters(), lr=0.1), hooks=[Replay(8, batch=6)])
