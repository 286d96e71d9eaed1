"""Several self-supervised phases in order, and self-supervision beside supervision in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from iris_files import iris_data, iris_model, mlp

import jumpml
from jumpml.core import LearnerError, SpecError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from jumpml.learn import Learner

DATA = iris_data(views={"noisy": {"x": [{"noise": {"std": 0.1}}]}})
MODEL = iris_model(
    {"low": mlp(8), "high": mlp(8, reads="low")},
    objectives={
        "early": {"kind": "vicreg", "inputs": "low", "views": "noisy", "projector": [8], "when": ["first"]},
        "late": {"kind": "vicreg", "inputs": "high", "views": "noisy", "projector": [8], "when": ["second"]},
    },
)
PHASES: dict[str, Any] = {
    "first": {"epochs": 2, "train": "low"},
    "second": {"epochs": 1, "freeze": ["low"], "lr": 0.001},
    "supervised": {"epochs": 1},
}


def make(folder: Path | None = None, phases: dict[str, Any] = PHASES, objectives: Any = None) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(
        {**MODEL, "objectives": MODEL["objectives"] if objectives is None else objectives}, loaders
    )
    checkpoint = {"every": {"steps": 3}} if folder else None
    options = {"optimizer": {"kind": "adam", "lr": 0.01}, "phases": phases, "log": [], "checkpoint": checkpoint}
    return jumpml.create_learner(loaders, model, options=options, run=folder)


def weights(learner: Learner) -> bytes:
    return b"".join(value.numpy().tobytes() for value in learner.model.state_dict().values())


def test_they_run_in_the_order_of_the_file_each_with_its_own() -> None:
    learner = make()
    nodes = {name: learner.model.node(name).state_dict() for name in ("low", "high", "out")}
    before = {name: {key: value.clone() for key, value in state.items()} for name, state in nodes.items()}

    def moved(name: str) -> bool:
        return any(not value.equal(before[name][key]) for key, value in learner.model.node(name).state_dict().items())

    records = learner.ss_learn()
    assert [(record.phase, record.epoch) for record in records] == [("first", 1), ("first", 2), ("second", 1)]
    assert [{*record.losses} - {"total"} for record in records] == [{"early"}, {"early"}, {"late"}]
    assert [record.lr for record in records] == [0.01, 0.01, 0.001]
    assert (moved("low"), moved("high"), moved("out")) == (True, True, False)
    assert learner.ss_learn() == []  # nothing is left of them
    assert [record.phase for record in learner.fit().epochs] == ["first", "first", "second", "supervised"]


def test_a_phase_trains_the_nodes_that_it_names() -> None:
    learner = make()
    high = {key: value.clone() for key, value in learner.model.node("high").state_dict().items()}
    learner._run.phase("first")
    assert all(value.equal(high[key]) for key, value in learner.model.node("high").state_dict().items())
    low = {key: value.clone() for key, value in learner.model.node("low").state_dict().items()}
    learner._run.phase("second")
    assert all(value.equal(low[key]) for key, value in learner.model.node("low").state_dict().items())
    assert not all(value.equal(high[key]) for key, value in learner.model.node("high").state_dict().items())


def test_a_file_that_names_other_phases_alone_runs_these() -> None:
    tasks = {"species": {**MODEL["tasks"]["species"], "objective": {"when": ["one", "two"]}}}
    loaders = jumpml.create_dataloader(DATA)
    options = {"phases": {"one": {"epochs": 1}, "two": {"epochs": 2}}, "log": [], "checkpoint": None}
    model = jumpml.load_model({**MODEL, "tasks": tasks, "objectives": {}}, loaders)
    learner = jumpml.create_learner(loaders, model, options=options)
    assert [record.phase for record in learner.fit().epochs] == ["one", "two", "two"]
    with pytest.raises(SpecError, match=r"phases\.supervised: no objective is active in this phase"):
        named = {**options["phases"], "supervised": {"epochs": 1}}
        jumpml.create_learner(loaders, model, options={**options, "phases": named})
    tasks = {"species": {**MODEL["tasks"]["species"], "objective": None}}
    nothing = jumpml.load_model({**MODEL, "tasks": tasks, "objectives": {}}, loaders)
    with pytest.raises(SpecError, match=r"phases\.supervised: no objective is active in this phase"):
        jumpml.create_learner(loaders, nothing, options=options)


def test_stopped_in_the_second_it_goes_on_there(tmp_path: Path) -> None:
    whole = make()
    whole.ss_learn()
    whole.train_epoch()
    half = make(tmp_path)
    half._run.phase("first")
    half._loop.enter("second")
    for _, batch in zip(range(2), half.remaining(), strict=False):
        half.step(batch)
    half.save()
    again = make(tmp_path)
    assert again.resume()
    assert [record.phase for record in again.ss_learn()] == ["second"]
    again.train_epoch()
    assert weights(again) == weights(whole)
    other = make()  # the negative control: without the first phase the weights are others
    other._run.phase("second")
    other.train_epoch()
    assert weights(other) != weights(whole)


def test_phases_of_tasks_are_no_self_supervision() -> None:
    """Phases before `supervised` in which a task is learned, as of tasks in a row, wait for `fit`."""
    phases = {"warm_up": {"epochs": 1}, "self_supervised": {"epochs": 1}, **PHASES}
    objectives = {
        **MODEL["objectives"],
        "wide": {"kind": "vicreg", "inputs": "low", "views": "noisy", "projector": [8], "when": ["self_supervised"]},
    }
    loaders = jumpml.create_dataloader(DATA)
    tasks = {"species": {**MODEL["tasks"]["species"], "objective": {"when": ["warm_up", "supervised"]}}}
    model = jumpml.load_model({**MODEL, "tasks": tasks, "objectives": objectives}, loaders)
    options = {"phases": phases, "log": [], "checkpoint": None}
    learner = jumpml.create_learner(loaders, model, options=options)
    assert [record.phase for record in learner.ss_learn()] == ["self_supervised", "first", "first", "second"]


def test_self_supervision_behind_supervision_is_refused() -> None:
    """As where `--set learner.phases.self_supervised.epochs=1` puts it, and the file names the other phase alone."""
    objectives = {"agree": {"kind": "vicreg", "inputs": "low", "views": "noisy", "when": ["self_supervised"]}}
    with pytest.raises(SpecError) as caught:
        make(phases={"supervised": {"epochs": 1}, "self_supervised": {"epochs": 1}}, objectives=objectives)
    assert str(caught.value) == (
        "the learner spec: 1 mistake\n  phases.self_supervised: it would run after `supervised`, since phases follow "
        "each other as they are written. Write it above `supervised`, or give it another name."
    )


def test_without_any_it_is_told_where_to_put_one() -> None:
    learner = make(phases={"supervised": {"epochs": 1}}, objectives={})
    with pytest.raises(LearnerError) as caught:
        learner.ss_learn()
    assert str(caught.value) == (
        "phase 'self_supervised': no objective is active in this phase. Give an objective `when: [self_supervised]`, "
        "or leave the phase out (`epochs: 0`)."
    )


@pytest.mark.parametrize("when", [["supervised"], "all"])
def test_online_each_view_passes_the_model_once(when: Any) -> None:
    """Beside a task: the rows as they are, and each of the two draws, whatever reads them."""
    options = {"views": "noisy", "projector": [8], "when": when}
    learner = make(
        phases={"supervised": {"epochs": 1}},
        objectives={
            "agree": {"kind": "vicreg", "inputs": "high", **options},
            "again": {"kind": "vicreg", "inputs": "low", **options},
        },
    )
    calls: list[torch.Tensor] = []
    learner.model.node("low").register_forward_hook(lambda module, given, value: calls.append(given[0]))
    batch = next(learner.remaining())
    learner.step(batch)
    assert len(calls) == 3
    assert [call is batch[key] for call, key in zip(calls, ("x", "x@noisy.0", "x@noisy.1"), strict=True)] == [True] * 3
    losses = learner.train_epoch().losses
    assert losses.keys() == {"species", "agree", "again", "total"}
