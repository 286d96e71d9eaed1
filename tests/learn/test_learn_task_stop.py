"""A task that no longer gets better is left out while others go on: what stops, what goes on, and on resume."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import torch
from three_tasks import NAMES, NET, STOP, learner, loaders, weights

import jumpml
from jumpml.core import JumpMLError, LearnerError
from jumpml.learn import EarlyStop, Learner, Phase, Replay, TaskStop
from jumpml.learn._stage import Stage
from jumpml.learn.steps._meter import NonFinite
from jumpml.learn.steps._reliving import look_ahead, relive

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The nodes of which anything is another."""
    return {name.split(".")[0].removeprefix("node_") for name in before if not torch.equal(before[name], after[name])}


# --- what stops and what goes on --------------------------------------------------------------------------------------


def test_a_task_is_left_out_with_all_that_is_its_own_and_the_others_go_on(tmp_path: Path) -> None:
    made = learner(tmp_path, early_stop={"tasks": {"one": STOP}})
    made.train_epoch()
    before = weights(made)
    second = made.train_epoch()
    assert moved(before, weights(made)) == {"body", "one_own", "one_out", "two_out", "three_out"}
    assert second.notes[0].startswith("task 'one' is left out: val/one/rmse has not been better than ")
    before = weights(made)
    third = made.train_epoch()
    assert moved(before, weights(made)) == {"body", "two_out", "three_out"}  # weight decay and statistics rest too
    assert {*second.losses} == {"one", "two", "three", "small", "own", "near", "total"}
    assert {*third.losses} == {"two", "three", "small", "total"}
    assert third.rows == {"two": 32, "three": 32, "small": 32}
    assert {"one/rmse", "loss"} == {*third.val}  # it is measured on, since the trunk that it reads goes on
    assert made.progress.stopped == {"supervised": ["one"]}
    one, two, _ = made.history.by_task()
    assert (one.epochs, two.epochs) == (2, 3)


def test_a_copy_takes_nothing_of_the_phase_as_it_was_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = learner(tmp_path)
    made.train_epoch()
    made.stop_task("one", "enough")

    def refuse(self: Stage, memo: Any) -> None:
        raise AssertionError("its plans hold the modules of the learner's own model")

    monkeypatch.setattr(Stage, "__deepcopy__", refuse, raising=False)
    assert len(made.find_lr(steps=10).rates) == 10


def test_what_a_block_holds_for_the_task_stays_as_it_is_and_nobody_is_warned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mix = {"module": "jumpml.blocks.PLE", "inputs": "x", "args": {"tasks": [*NAMES], "widths": [4], "layers": 1}}
    heads = {f"{n}_out": {"module": "jumpml.blocks.Head", "inputs": f"mix.{n}"} for n in NAMES}
    net = {**NET, "nodes": {"mix": mix, **heads}, "objectives": {}}
    made = learner(tmp_path, net, early_stop={"tasks": {"one": STOP}})
    made.train_epoch()
    made.train_epoch()
    before = weights(made)
    made.train_epoch()
    still = {name for name, value in weights(made).items() if torch.equal(value, before[name])}
    own = {"node_mix.layers.0.gates.0.weight", *(name for name in before if ".own.0." in name or "one_out" in name)}
    assert still == own
    assert not caplog.records


def test_what_two_tasks_alone_read_is_frozen_with_the_second_of_them(tmp_path: Path) -> None:
    net = {**NET, "nodes": {**NET["nodes"], "two_out": {"module": "jumpml.blocks.Head", "inputs": "one_own"}}}
    net["objectives"] = {"small": NET["objectives"]["small"]}
    made = learner(tmp_path, net, early_stop={"tasks": {"one": STOP, "two": {**STOP, "patience": 1}}})
    made.train_epoch()
    made.train_epoch()
    before = weights(made)
    made.train_epoch()
    assert moved(before, weights(made)) == {"body", "one_own", "two_out", "three_out"}
    before = weights(made)
    made.train_epoch()
    assert moved(before, weights(made)) == {"body", "three_out"}  # also by the penalty, which goes on


def test_the_loss_on_validation_rows_stays_that_of_all(tmp_path: Path) -> None:
    made = learner(tmp_path, early_stop={"metric": "val/loss", "tasks": {"one": STOP}})
    made.train_epoch()
    made.train_epoch()
    record = made.train_epoch()
    model = made.model
    model.eval()
    with torch.no_grad():
        losses = [float(value.mean()) for n, value in model.losses(next(iter(made.loaders.val))).items() if n in NAMES]
    assert record.val["loss"] >= sum(losses)


def test_where_all_are_left_out_the_phase_is_over(tmp_path: Path) -> None:
    made = learner(tmp_path, early_stop={"tasks": dict.fromkeys(NAMES, STOP)})
    made.fit()
    assert len(made.history.epochs) == 2
    assert "val/one/rmse has not been better" in made.progress.ended["supervised"]
    assert made.progress.ended["supervised"].count(";") == 2
    assert not made.progress.stopped


def test_each_phase_begins_with_all_tasks(tmp_path: Path) -> None:
    net = {**NET, "tasks": {n: {**task, "objective": {"when": "all"}} for n, task in NET["tasks"].items()}}
    phases = {"self_supervised": {"epochs": 0}, "first": {"epochs": 3}, "supervised": {"epochs": 2}}
    made = learner(tmp_path, net, early_stop={"tasks": {"one": STOP}}, phases=phases)
    made.fit()
    told = [(epoch.phase, "one" in epoch.losses) for epoch in made.history.epochs]
    assert told == [("first", True), ("first", True), ("first", False), ("supervised", True), ("supervised", True)]


@pytest.mark.parametrize(
    "options",
    [
        {"balance": {"kind": "upgrad"}},
        {"balance": {"kind": "uncertainty"}},
        {"balance": {"kind": "sum", "cosines": 1}},
        {"accumulate": 2},
        {"ema": {"decay": 0.9}},
        {"statistics": True, "log": ["jsonl"]},
        {"curriculum": {"teacher": "uniform", "arms": "tasks"}},
        {"curriculum": {"examples": {"kind": "super_loss"}}},
    ],
)
def test_it_goes_with_what_else_a_learner_does(options: dict[str, Any], tmp_path: Path) -> None:
    made = learner(tmp_path, early_stop={"tasks": {"one": STOP}}, **options)
    made.fit()
    assert "one" not in made.history.epochs[-1].losses and len(made.history.epochs) == 4
    assert all(value.isfinite().all() for value in weights(made).values())


def test_by_hand_in_python(tmp_path: Path) -> None:
    made = learner(tmp_path)
    with pytest.raises(LearnerError, match=r"task 'one' cannot be left out: it does not learn\. No task learns now"):
        made.stop_task("one", "enough")
    made.train_epoch()
    made.stop_task("two", "enough")
    assert made.train_epoch().notes == ("enough",)
    with pytest.raises(LearnerError, match=r"'two' cannot be left out: it does not learn\. There is: one, three"):
        made.stop_task("two", "enough")


def test_from_python_without_files() -> None:
    data = loaders()
    model = jumpml.load_model(NET, data)
    stop = TaskStop({"one": EarlyStop("val/one/rmse", patience=0, min_delta=1e6)})
    made = Learner(
        data, model, torch.optim.Adam(model.parameters()), phases={"supervised": Phase(epochs=3)}, hooks=[stop]
    )
    made.fit()
    assert made.progress.stopped == {"supervised": ["one"]}


# --- exactness --------------------------------------------------------------------------------------------------------


def resumed(
    folder: Path, epochs: int, batches: int, *, forget: bool = False, **options: Any
) -> tuple[Learner, Learner]:
    """A run that was never stopped, and one that was stopped after some epochs and batches and goes on."""
    said: dict[str, Any] = {
        "early_stop": {"tasks": {"one": {**STOP, "patience": 1}, "two": {**STOP, "patience": 2}}},
        "checkpoint": {"every": {"epochs": 1}},
        "phases": {"supervised": {"epochs": 6}},
    } | options
    whole = learner(folder / "whole", **said)
    whole.fit()
    first = learner(folder / "stopped", **said)
    for _ in range(epochs):
        first.train_epoch()
    with first._run.at_work():
        for batch in islice(first.remaining(), batches):
            first.step(batch)
    first.save()
    second = learner(folder / "stopped", **said)
    if forget:
        hook = next(hook for hook in second._loop.hooks if isinstance(hook, TaskStop))
        hook.load_state_dict = lambda state: None  # type: ignore[method-assign]
    assert second.resume()
    second.fit()
    return whole, second


@pytest.mark.parametrize("epochs", [1, 2, 3, 4])
def test_a_run_that_was_stopped_ends_with_the_same_bits(epochs: int, tmp_path: Path) -> None:
    whole, second = resumed(tmp_path, epochs, 2)
    assert whole.progress.stopped == second.progress.stopped == {"supervised": ["one", "two"]}
    assert not moved(weights(whole), weights(second))
    assert [e.losses for e in whole.history.epochs] == [e.losses for e in second.history.epochs]


@pytest.mark.parametrize("epochs", [2, 4])
def test_so_does_one_with_a_teacher_whose_arms_are_the_tasks(epochs: int, tmp_path: Path) -> None:
    whole, second = resumed(tmp_path, epochs, 2, curriculum={"teacher": "exp3s", "arms": "tasks"})
    assert whole.progress.stopped == second.progress.stopped == {"supervised": ["one", "two"]}
    assert not moved(weights(whole), weights(second))


def test_without_its_state_the_bits_differ(tmp_path: Path) -> None:
    whole, second = resumed(tmp_path, 2, 2, forget=True)
    assert moved(weights(whole), weights(second))


def test_a_step_that_is_shown_again_has_the_tasks_that_it_had(tmp_path: Path) -> None:
    made = learner(tmp_path, early_stop={"tasks": {"one": STOP}})
    made.train_epoch()
    made.train_epoch()
    batch = next(iter(made.remaining()))
    assert made.stage is not None
    seen, kept = look_ahead(made._loop, made.stage, [batch])
    assert kept.state()["stopped"] == ["one"]
    again = relive(learner(tmp_path, early_stop={"tasks": {"one": STOP}})._loop, kept.state())
    assert again.losses.keys() == seen.losses.keys() and "one" not in again.losses


def test_a_loss_that_is_not_finite_is_found_where_a_task_was_left_out(tmp_path: Path) -> None:
    made = learner(tmp_path, early_stop={"tasks": {"one": STOP}})
    made.train_epoch()
    made.train_epoch()
    with torch.no_grad():
        next(made.model.node("two_out").parameters()).fill_(torch.nan)
    with pytest.raises((NonFinite, JumpMLError)):
        made.train_epoch()


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"tasks": {"on": STOP}}, "early_stop.tasks.on: there is no task 'on'. Did you mean 'one'?"),
        (
            {"tasks": {"one": {"metric": "accuracy"}}},
            "early_stop.tasks.one.metric: the validation has no figure 'val/one/accuracy'.",
        ),
        ({"tasks": {"one": {}}}, "early_stop.tasks.one.metric: this key is missing."),
    ],
)
def test_what_a_file_says_wrongly_is_told(said: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(JumpMLError) as error:
        learner(tmp_path, early_stop=said)
    assert told in str(error.value)


def test_rows_that_are_replayed_have_all_targets(tmp_path: Path) -> None:
    with pytest.raises(JumpMLError) as error:
        learner(tmp_path, early_stop={"tasks": {"one": STOP}}, replay={"kind": "reservoir", "rows": 8, "batch": 4})
    told = "early_stop.tasks: rows that are replayed have the targets of all tasks, and none can be left out. Leave one"
    assert told in str(error.value)
    data = loaders()
    model = jumpml.load_model(NET, data)
    hooks = [Replay(8, batch=4), TaskStop({"one": EarlyStop("val/one/rmse")})]
    with pytest.raises(LearnerError) as error:
        Learner(data, model, torch.optim.Adam(model.parameters()), hooks=hooks)
    assert told in str(error.value)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_so_have_they_where_a_task_is_left_out_by_hand(alpha: float, tmp_path: Path) -> None:
    tasks = {name: {**task, "target": "one"} for name, task in NET["tasks"].items()}  # the same fields without one
    made = learner(tmp_path, {**NET, "tasks": tasks})
    again = Learner(
        made.loaders, made.model, torch.optim.Adam(made.model.parameters()), hooks=[Replay(8, batch=4, alpha=alpha)]
    )
    again.train_epoch()
    again.stop_task("one", "enough")
    before = weights(again)
    told = "replay: rows that are replayed have the targets of all tasks, and 'one' is left out of phase 'supervised'."
    with pytest.raises(LearnerError) as error:
        again.train_epoch()
    assert str(error.value) == f"{told} Name with `when` phases that learn all of them."
    assert moved(before, weights(again)) <= {"one_own"}


def test_what_python_says_wrongly_is_told() -> None:
    with pytest.raises(LearnerError, match="task_stop: expected a task or more, got none"):
        TaskStop({})
    data = loaders()
    model = jumpml.load_model(NET, data)
    with pytest.raises(LearnerError, match=r"there is no task 'ones'\. Did you mean 'one'\?"):
        Learner(data, model, torch.optim.Adam(model.parameters()), hooks=[TaskStop({"ones": EarlyStop()})])


def test_the_last_objective_cannot_be_left_out(tmp_path: Path) -> None:
    net = {**NET, "tasks": {"one": NET["tasks"]["one"]}, "objectives": {}}
    net["nodes"] = {name: node for name, node in NET["nodes"].items() if name in {"body", "one_own", "one_out"}}
    made = learner(tmp_path, net)
    made.train_epoch()
    with pytest.raises(LearnerError, match="'one' cannot be left out: nothing else learns in phase 'supervised'"):
        made.stop_task("one", "enough")
