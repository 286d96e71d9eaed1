"""Early stopping, and what is told of gradients and activations."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from iris_files import iris_data, iris_model, mlp
from torch import nn
from torch.optim import SGD

import jumpml
from jumpml.core import LearnerError, SpecError
from jumpml.learn import EarlyStop, Statistics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jumpml.learn import Learner

DATA = iris_data()
NET = iris_model({"encoder": mlp(8, 6)})


def learner_of(folder: Path, **options: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    said = {"optimizer": {"lr": 0.01}, "phases": {"supervised": {"epochs": 9}}, "log": ["jsonl"], **options}
    return jumpml.create_learner(loaders, jumpml.load_model(NET, loaders), None, said, run=folder)


@given(figures=st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=30), patience=st.integers(0, 4))
def test_it_stops_when_the_last_better_one_is_more_than_patience_ago(figures: list[float], patience: int) -> None:
    stop = EarlyStop("val/loss", patience=patience)
    best, since = math.inf, 0
    for figure in figures:
        best, since = (figure, 0) if figure < best else (best, since + 1)
        assert stop.take(figure) is (since > patience)


def test_a_phase_ends_and_the_next_one_begins_with_a_best_of_its_own(tmp_path: Path) -> None:
    net = {**NET, "tasks": {"species": {**NET["tasks"]["species"], "objective": {"when": ["supervised", "second"]}}}}
    loaders = jumpml.create_dataloader(DATA)
    options = {
        "phases": {"supervised": {"epochs": 9}, "second": {"epochs": 9}},
        "early_stop": {"metric": "val/species/accuracy", "patience": 1, "min_delta": 2.0},
        "log": [],
    }
    learner = jumpml.create_learner(loaders, jumpml.load_model(net, loaders), None, options, run=tmp_path)
    learner.fit()
    assert [(record.phase, record.epoch) for record in learner.history.epochs] == [
        *[("supervised", epoch) for epoch in (1, 2, 3)],
        *[("second", epoch) for epoch in (1, 2, 3)],
    ]
    (note,) = learner.history.epochs[2].notes
    assert note.startswith("early stop: val/species/accuracy has not been better than ")
    assert note.endswith(" for 2 epochs")


@pytest.mark.parametrize("withheld", [False, True])
def test_what_it_remembers_stands_in_the_checkpoint(withheld: bool, tmp_path: Path) -> None:
    options = {"early_stop": {"patience": 2, "min_delta": 9.0}, "log": []}
    first = learner_of(tmp_path, **options)
    first.train_epoch()
    first.train_epoch()
    again = learner_of(tmp_path, **options)
    if withheld:
        (stop,) = (hook for hook in again._loop.hooks if isinstance(hook, EarlyStop))
        stop.load_state_dict({"best": None, "waited": 0})
    again.fit()
    assert len(again.history.epochs) == (6 if withheld else 4)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            {"early_stop": {"metric": "val/species/auro"}},
            r"early_stop\.metric: the validation has no figure 'val/species/auro'\. Did you mean 'val/species/auroc'",
        ),
        ({"early_stop": {"patience": -1}}, r"early_stop\.patience: expected a number of at least 0, got -1"),
        ({"statistics": True, "log": []}, r"statistics: nothing is logged\. Name a log, or leave them out"),
    ],
)
def test_what_a_file_says_wrongly(said: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=text):
        learner_of(tmp_path, **said)


FOLLOWS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "early_stop.metric": lambda figure: {"early_stop": figure},
    "checkpoint.best.metric": lambda figure: {"checkpoint": {"best": figure}},
    "schedule.metric": lambda figure: {"schedule": {"kind": "plateau", **figure}},
    "grow[0].trigger.plateau.metric": lambda figure: {
        "grow": [{"trigger": {"plateau": figure}, "node": "encoder", "widen": 2.0}]
    },
}


@pytest.mark.parametrize("key", FOLLOWS)
def test_which_way_a_coverage_is_better_has_to_be_said(key: str, tmp_path: Path) -> None:
    def learner(**mode: str) -> Learner:
        loaders = jumpml.create_dataloader(DATA)
        task = {"kind": "regression", "output": "out", "target": "x", "quantiles": [0.1, 0.5, 0.9]}
        model = jumpml.load_model({**NET, "tasks": {"span": task}}, loaders)
        follows = FOLLOWS[key]({"metric": "val/span/coverage", **mode})
        said = {"optimizer": {"lr": 0.01}, "phases": {"supervised": {"epochs": 1}}, "log": [], **follows}
        return jumpml.create_learner(loaders, model, None, said, run=tmp_path)

    text = "whether more of 'val/span/coverage' is better is not known: say mode max or min beside it"
    with pytest.raises(SpecError, match=text) as caught:
        learner()
    assert key in str(caught.value)
    assert learner(mode="max").fit().epochs


def test_a_figure_of_ones_own_needs_a_direction() -> None:
    assert not EarlyStop("mine", mode="max").take(0.5)
    with pytest.raises(LearnerError, match="whether more of 'mine' is better is not known: say mode max or min"):
        EarlyStop("mine").take(0.5)


def test_what_a_program_says_wrongly() -> None:
    with pytest.raises(LearnerError, match="early stopping: expected 0 or more, got patience -1, min_delta 0"):
        EarlyStop(patience=-1)


# --- statistics -------------------------------------------------------------------------------------------------------


def test_the_figures_are_what_they_say() -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(3, 4), nn.Linear(4, 2)
    with torch.no_grad():
        first.bias.copy_(torch.tensor([0.0, -1e3, 0.0, -1e3]))  # two units that a ReLU never lets through
    optimizer = SGD([*first.parameters(), *last.parameters()], lr=0.5)
    last(first(torch.rand(8, 3)).relu()).square().mean().backward()
    gradients = [p.grad.clone() for p in first.parameters() if p.grad is not None]
    before = [p.detach().clone() for p in first.parameters()]
    statistics = Statistics()
    statistics.before({"first": [*first.parameters()], "last": [*last.parameters()], "none": []})
    optimizer.step()
    statistics.after()
    figures = statistics.read()
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(first.parameters(), before, strict=True)]).norm()
    size = torch.cat([p.detach().flatten() for p in first.parameters()]).norm()
    assert figures["gradient/first"] == pytest.approx(float(norm), rel=1e-5)
    assert figures["update/first"] == pytest.approx(float(moved / size), rel=1e-5)
    assert 0.5 <= figures["idle/first"] <= 0.75
    assert figures["idle/last"] == 0
    assert not any("none" in name for name in figures)
    assert statistics.read() == {}
    statistics.before({"first": [nn.Parameter(torch.zeros(1))]})  # no gradient, no figures
    assert statistics.read() == {}


def test_they_are_logged_with_the_last_step_of_those_that_are_read_together(tmp_path: Path) -> None:
    learner = learner_of(tmp_path, statistics=True, checkpoint={"every": {"steps": 3}}, log=["jsonl", "csv"])
    learner.train_epoch()
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    told = {line["step"]: line["figures"] for line in lines if "figures" in line}
    assert [*told] == [3, 6, 7]
    names = {f"{kind}/{node}" for kind in ("gradient", "update", "idle", "activation") for node in ("encoder", "out")}
    assert all(set(figures) == names for figures in told.values())
    assert all(math.isfinite(value) for figures in told.values() for value in figures.values())
    assert "gradient/encoder" in (tmp_path / "steps.csv").read_text().splitlines()[0]


def test_they_change_nothing_in_what_is_learned(tmp_path: Path) -> None:
    with_them = learner_of(tmp_path / "a", statistics=True)
    without = learner_of(tmp_path / "b")
    with_them.fit()
    without.fit()
    other = without.model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in with_them.model.state_dict().items())
