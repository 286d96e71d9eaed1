"""What is logged: every objective and data set by its name, means over rows, steps that are updates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import IRIS

import jumpml
from jumpml.learn import Hook, JointOptimizer, Learner, Phase

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.learn import Step

WINE = {
    "source": {"kind": "sklearn", "name": "wine"},
    "fields": {
        "y": {"kind": "tensor", "column": "data", "shape": [13]},
        "sort": {"kind": "category", "column": "target"},
    },
    "split": {"stratify": "sort"},
}
DATA: dict[str, Any] = {
    "datasets": {"iris": IRIS, "wine": WINE},
    "batch_size": 32,
    "features": {"y": [{"standardize": {}}]},
}
MODEL: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "flower": {"module": "jumpml.blocks.Head", "inputs": "x"},
        "bottle": {"module": "jumpml.blocks.Head", "inputs": "y"},
    },
    "tasks": {
        "species": {"kind": "multiclass", "output": "flower", "target": "species"},
        "sort": {"kind": "multiclass", "output": "bottle", "target": "sort"},
    },
    "objectives": {"small": {"kind": "l2", "inputs": "flower", "weight": 0.25}},
}


def make(folder: Path, **changes: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    options = {"phases": {"supervised": {"epochs": 2}}, "log": ["jsonl"], **changes}
    return jumpml.create_learner(loaders, jumpml.load_model(MODEL, loaders), None, options, run=folder)


class Means(Hook):
    """The losses of every row that has one, by hand."""

    name = "means"

    def __init__(self) -> None:
        self.values: dict[str, list[torch.Tensor]] = {}

    def updated(self, step: Step) -> None:
        for name, (value, present) in step.losses.items():
            self.values.setdefault(name, []).append(value if present is None else value[present])


def test_an_epochs_mean_is_that_of_all_rows_also_with_a_ragged_batch_and_rows_of_another_data_set() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model, means = jumpml.load_model(MODEL, loaders), Means()
    rows = len(loaders.train.rows)
    assert rows % 32
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    record = Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=1)}, hooks=[means]).train_epoch()
    counts = {name: sum(len(value) for value in values) for name, values in means.values.items()}
    assert counts["species"] + counts["sort"] == rows
    assert 0 < counts["sort"] < rows
    for name, values in means.values.items():
        assert record.losses[name] == pytest.approx(float(torch.cat(values).mean()), rel=1e-6)


def test_a_rate_of_zero_logs_the_mean_of_the_whole_data(tmp_path: Path) -> None:
    """With weights that do not move, an epoch's mean is what one batch of all rows gives."""
    loaders = jumpml.create_dataloader({**DATA, "batch_size": 10_000})
    model = jumpml.load_model(MODEL, loaders)
    whole = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.0)).train_epoch()
    parts_of = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(MODEL, parts_of)
    parts = Learner(parts_of, model, torch.optim.SGD(model.parameters(), lr=0.0)).train_epoch()
    for name in ("species", "sort", "small"):
        assert parts.losses[name] == pytest.approx(whole.losses[name], rel=1e-6)


def test_every_objective_is_logged_by_its_name_in_every_log(tmp_path: Path) -> None:
    make(tmp_path).fit()
    names = {"species", "sort", "small", "total"}
    for file in ("steps.jsonl", "history.jsonl"):
        lines = [json.loads(line) for line in (tmp_path / file).read_text().splitlines()]
        assert lines
        assert all(set(line["losses"]) == names for line in lines)
        for line in lines if file == "steps.jsonl" else ():
            losses = line["losses"]
            assert losses["total"] == pytest.approx(
                losses["species"] + losses["sort"] + 0.25 * losses["small"], rel=1e-5
            )


def test_every_validation_figure_bears_its_tasks_name_so_that_each_data_set_has_its_own(tmp_path: Path) -> None:
    best = {"every": {"epochs": 1}, "best": {"metric": "val/sort/accuracy"}}
    stop = {"metric": "val/species/accuracy", "patience": 9}
    learner = make(tmp_path, checkpoint=best, early_stop=stop)
    learner.fit()
    assert all({"sort/accuracy", "species/accuracy"} <= set(record.val) for record in learner.history.epochs)


def test_the_steps_are_the_updates_however_many_optimizers_there_are(tmp_path: Path) -> None:
    groups = [{"nodes": "bottle", "kind": "sgd"}]
    one, two = make(tmp_path / "one"), make(tmp_path / "two", optimizer={"kind": "adam", "groups": groups})
    for learner in (one, two):
        learner.fit()
    updates = 2 * len(one.loaders.train)
    assert isinstance(two.optimizer, JointOptimizer)
    assert one.progress.step == two.progress.step == updates
    for folder in ("one", "two"):
        lines = (tmp_path / folder / "steps.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(1, updates + 1))


def test_generators_stand_at_the_resumed_batch_as_they_stood_there(tmp_path: Path) -> None:
    """Nothing draws from the global generators between a resume and the first batch."""

    class Seen(Hook):
        name = "seen"

        def __init__(self, stop: int | None = None) -> None:
            self.states: dict[int, torch.Tensor] = {}
            self.stop = stop

        def attach(self, learner: Learner) -> None:
            self.learner = learner

        def differentiated(self, stage: Any) -> None:
            self.states.setdefault(self.learner.progress.step, torch.get_rng_state())

        def updated(self, step: Step) -> None:
            torch.rand(step.number)  # as dropout does, so that no two batches find the same
            if step.number == self.stop:
                raise ValueError("stopped")

    def run(seen: Seen, folder: Path) -> None:
        loaders = jumpml.create_dataloader(DATA)
        options = {"phases": {"supervised": {"epochs": 2}}, "checkpoint": {"every": {"steps": 3}}, "log": []}
        learner = jumpml.create_learner(
            loaders, jumpml.load_model(MODEL, loaders), None, options, run=folder, hooks=[seen]
        )
        torch.rand(3)  # the program's own
        learner.fit()

    whole, resumed = Seen(), Seen()
    run(whole, tmp_path / "whole")
    with pytest.raises(ValueError, match="stopped"):
        run(Seen(stop=8), tmp_path / "run")
    run(resumed, tmp_path / "run")
    assert min(resumed.states) == 6  # the last checkpoint's step, in the middle of an epoch
    assert all(torch.equal(state, whole.states[step]) for step, state in resumed.states.items())
    assert not torch.equal(whole.states[6], whole.states[5])
