"""What objectives, balancers and the ends of phases are told where a task was left out."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from three_tasks import NAMES, NET, STOP, learner, weights

from jumpml.learn import Balancing, fisher_information
from jumpml.objectives import EWC, L1, SI

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.balance import Uncertainty
    from jumpml.learn import Learner

OVER = {"early_stop": {"tasks": {"one": STOP}}}
PHASES = ["supervised", "after"]


def held(folder: Path, keep: dict[str, Any], **said: Any) -> Learner:
    """A learner of two phases, of which the first consolidates; task `one` is over after two of its four epochs."""
    tasks = {name: {**task, "objective": {"when": PHASES}} for name, task in NET["tasks"].items()}
    net = {**NET, "tasks": tasks, "objectives": {"keep": {"weight": 50.0, "when": PHASES, **keep}}}
    phases = {"supervised": {"epochs": 4, "consolidate": True}, "after": {"epochs": 1}}
    return learner(folder, net, phases=phases, **OVER, **said)


# --- objectives -------------------------------------------------------------------------------------------------------


def test_an_objective_that_is_left_out_hears_of_no_update_and_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, int] = {"one_own": 0, "body": 0}

    def after_update(self: L1, epoch: float, epochs: float) -> None:
        told[self.inputs[0]] += 1

    monkeypatch.setattr(L1, "after_update", after_update)
    monkeypatch.setattr(L1, "figures", lambda _: {"seen": torch.ones(())})
    both = {name: {"kind": "l1", "inputs": name} for name in told}
    made = learner(tmp_path, {**NET, "objectives": both}, log=["jsonl"], **OVER)
    made.fit()
    assert told == {"one_own": 2 * 4, "body": 4 * 4}  # of four updates an epoch
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = {name: [line["step"] for line in lines if f"seen/{name}" in line.get("figures", {})] for name in told}
    assert asked == {"one_own": [4, 8], "body": [4, 8, 12, 16]}


@pytest.mark.parametrize("parameters", ["all", {"only": "one"}])
@pytest.mark.parametrize("fisher", ["observed", "batched"])
def test_what_the_task_alone_reads_is_held_as_what_others_read(parameters: Any, fisher: str, tmp_path: Path) -> None:
    made = held(tmp_path, {"kind": "ewc", "parameters": parameters, "fisher": fisher})
    for _ in range(4):
        made.train_epoch()
    keep = cast("EWC", made.model.objectives["keep"])
    frozen = [name for name, p in made.model.named_parameters() if not p.requires_grad and "one" in name]
    assert len(frozen) == 4
    found = dict(zip(keep._held, keep.of_each("fisher"), strict=True))
    assert all(found[name].any() for name in frozen)
    made.model.train_only(made.model.node_names)
    expected = fisher_information(made.model, made.loaders, fisher=keep.fisher)
    assert found.keys() <= expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])


def test_the_fisher_information_leaves_what_rests_at_rest(tmp_path: Path) -> None:
    made = held(tmp_path, {"kind": "ewc"})
    for _ in range(3):
        made.train_epoch()
    trains = {name: p.requires_grad for name, p in made.model.named_parameters()}
    modes = {name: module.training for name, module in made.model.named_modules()}
    assert len(fisher_information(made.model, made.loaders)) > sum(trains.values())
    assert {name: p.requires_grad for name, p in made.model.named_parameters()} == trains
    assert {name: module.training for name, module in made.model.named_modules()} == modes
    made.fit()  # each phase begins with all tasks
    assert all(p.requires_grad for p in made.model.parameters())


def test_the_way_to_where_the_task_was_over_counts_and_no_more(tmp_path: Path) -> None:
    made = held(tmp_path, {"kind": "si"})
    keep = cast("SI", made.model.objectives["keep"])
    for _ in range(2):
        made.train_epoch()
    before = {name: path.clone() for name, path in zip(keep._held, keep.of_each("path"), strict=True)}
    made.train_epoch()
    after = dict(zip(keep._held, keep.of_each("path"), strict=True))
    rests = {name for name in before if torch.equal(before[name], after[name])}
    assert rests == {name for name in before if "one" in name}
    made.train_epoch()
    importance = dict(zip(keep._held, keep.of_each("importance"), strict=True))
    assert all(importance[name].any() for name in rests)


@pytest.mark.parametrize("keep", [{"kind": "ewc"}, {"kind": "si"}, {"kind": "lwf", "inputs": "one_out"}])
def test_a_run_that_was_stopped_after_the_task_was_ends_with_the_same_bits(keep: Any, tmp_path: Path) -> None:
    saving = {"checkpoint": {"every": {"steps": 1}}}
    whole = held(tmp_path / "whole", keep, **saving)
    whole.fit()
    part = held(tmp_path / "part", keep, **saving)
    for _ in range(2):
        part.train_epoch()
    with part.random:
        for batch in islice(part.remaining(), 2):
            part.step(batch)
        part.save()
    again = held(tmp_path / "part", keep, **saving)
    assert again.resume()
    again.fit()
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(whole).items())


# --- balancers and patience -------------------------------------------------------------------------------------------


def balancer_of(made: Learner) -> Uncertainty:
    return next(cast("Uncertainty", hook.balancer) for hook in made._loop.hooks if isinstance(hook, Balancing))


@pytest.mark.parametrize(("over", "afresh"), [(NAMES, True), (("two", "three"), False)])
def test_a_balancer_begins_afresh_where_a_task_that_it_balances_goes(
    over: tuple[str, ...], afresh: bool, tmp_path: Path
) -> None:
    made = learner(tmp_path, balance={"kind": "uncertainty", "over": [*over]}, **OVER)
    fresh = learner(tmp_path, balance={"kind": "uncertainty", "over": ["two", "three"]})
    fresh.train_epoch()  # for the state's shape
    balancer_of(fresh).begin(("two", "three"), made.loaders.device)
    for _ in range(2):
        made.train_epoch()
    assert balancer_of(made).names == ("two", "three")
    assert (str(balancer_of(made).state_dict()) == str(balancer_of(fresh).state_dict())) is afresh


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_patience_counts_the_epochs_since_the_tasks_own_figure_was_best(patience: int, tmp_path: Path) -> None:
    made = learner(tmp_path, early_stop={"tasks": {"one": {**STOP, "patience": patience}, "two": {"metric": "rmse"}}})
    made.fit()
    learned = [epoch.epoch for epoch in made.history.epochs if "one" in epoch.losses]
    assert learned[-1] == min(4, 1 + patience + 1)  # the best is the first; it goes after one more than is put up with
    assert made.progress.stopped == {"supervised": ["one"]}
