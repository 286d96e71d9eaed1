"""A run that is resumed with other files: what was changed is told, refused, and where it is allowed, followed."""

from __future__ import annotations

import json
import logging
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from iris_files import iris_data, iris_model, mlp

import jumpml
from jumpml.core import CheckpointError, NonFiniteLossError
from jumpml.learn import Hook, Learner
from jumpml.learn.hooks._examples import ExampleRecorder
from jumpml.learn.logs._journal import Journal
from jumpml.learn.saving._identity import Changes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

DATA = iris_data()
MODEL = iris_model({"body": mlp(8)})
OPTIONS: dict[str, Any] = {
    "optimizer": {"kind": "adam", "lr": 0.01},
    "phases": {"supervised": {"epochs": 2, "schedule": {"kind": "cosine"}}},
    "log": ["jsonl"],
}
BATCHES = 7  # of 105 rows


def make(
    folder: Path, *, data: Any = DATA, model: Any = MODEL, options: Any = OPTIONS, allow: bool = False, **more: Any
) -> Learner:
    loaders = jumpml.create_dataloader(data)
    return jumpml.create_learner(
        loaders, jumpml.load_model(model, loaders), None, options, run=folder, allow_changes=allow, **more
    )


def made_with(folder: Path, kind: str, path: Sequence[str], value: Any) -> Learner:
    """With one key of one file changed."""
    files = {"data": DATA, "model": MODEL, "options": OPTIONS}
    files[kind] = changed(files[kind], path, value)
    return make(folder, data=files["data"], model=files["model"], options=files["options"])


def changed(base: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**base, first: changed(base.get(first, {}), rest, value) if rest else value}


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    learner = make(tmp_path)
    learner.train_epoch()
    learner.save()
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "path", "value", "told"),
    [
        ("options", ["phases", "supervised", "epochs"], 3, "learner.phases.supervised.epochs: 2 then, 3 now"),
        ("options", ["optimizer", "lr"], 0.1, "learner.optimizer.lr: 0.01 then, 0.1 now"),
        ("options", ["optimizer", "amsgrad"], True, "learner.optimizer.amsgrad: not there then, true now"),
        ("options", ["clip_norm"], 1.0, "learner.clip_norm: null then, 1.0 now"),
        ("model", ["nodes", "body", "args", "widths"], [9], "model.nodes.body.args.widths: [8] then, [9] now"),
        ("data", ["batch_size"], 15, "data.batch_size: 16 then, 15 now"),
        (
            "data",
            ["augment"],
            {"x": [{"noise": {"std": 0.1}}]},
            r'data.augment.x: not there then, [{"noise": {"std": 0.1, "relative": false}}] now',
        ),
    ],
)
def test_a_change_is_told_by_its_key_and_refused(
    begun: Path, kind: str, path: list[str], value: Any, told: str
) -> None:
    with pytest.raises(CheckpointError) as refused:
        made_with(begun, kind, path, value)
    assert str(refused.value) == (
        f"the checkpoint of step 7 belongs to another run:\n  {told}\n"
        "Undo the changes, or start a new run; or go on with them: "
        "learner.resume(allow_changes=True)."
    )


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("options", ["log"], []),
        ("options", ["device"], "cpu"),
        ("options", ["checkpoint"], {"every": {"steps": 2}, "keep": 7}),
        ("data", ["storage"], "disk"),
    ],
)
def test_what_changes_no_weight_may_be_changed(begun: Path, kind: str, path: list[str], value: Any) -> None:
    assert made_with(begun, kind, path, value).progress.step == BATCHES


def test_an_allowed_change_is_followed_and_stands_in_the_history(begun: Path, caplog: pytest.LogCaptureFixture) -> None:
    longer = changed(changed(OPTIONS, ["phases", "supervised", "epochs"], 4), ["optimizer", "lr"], 0.2)
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        learner = make(begun, options=longer, allow=True)
    told = "learner.optimizer.lr: 0.01 then, 0.2 now"
    assert f"The run goes on from step 7 with changes:\n  {told}\n" in caplog.text
    whole = make(begun / "other", options=longer)
    whole.train_epoch()
    assert learner.optimizer.param_groups[0]["lr"] == whole.optimizer.param_groups[0]["lr"]  # a quarter of the way
    learner.fit()
    assert len(learner.history.epochs) == 4
    assert learner.history.epochs[1].notes == (
        f"resumed at step 7 with changes: {told}; learner.phases.supervised.epochs: 2 then, 4 now",
    )
    assert learner.optimizer.param_groups[0]["lr"] < 0.002
    assert make(begun, options=longer).progress.step == 4 * BATCHES  # from now on these are its files


def test_what_is_changed_once_all_is_over_stands_in_the_history_too(tmp_path: Path) -> None:
    make(tmp_path).fit()
    slower = changed(OPTIONS, ["optimizer", "lr"], 0.2)
    learner = make(tmp_path, options=slower, allow=True)
    told = "resumed at step 14 with changes: learner.optimizer.lr: 0.01 then, 0.2 now"
    assert learner.history.epochs[-1].notes == (told,)
    assert len(learner.fit().epochs) == 2
    *_, last = (tmp_path / "history.jsonl").read_text().splitlines()
    assert json.loads(last)["notes"] == [told]
    again = make(tmp_path, options=slower)  # from now on these are its files
    assert again.history.epochs[-1].notes == (told,)


def test_another_batch_size_begins_the_open_epoch_anew(begun: Path) -> None:
    learner = make(begun)
    for batch, _ in zip(learner.remaining(), range(3), strict=False):
        learner.step(batch)
    learner.save()
    again = make(begun, data=changed(DATA, ["batch_size"], 35), allow=True)
    assert (again.progress.step, again.progress.batch) == (BATCHES + 3, 0)
    again.train_epoch()
    assert again.progress.step == BATCHES + 3 + 3


def test_a_model_that_the_weights_do_not_fit_is_told(begun: Path) -> None:
    wider = changed(MODEL, ["nodes", "body", "args", "widths"], [9])
    with pytest.raises(CheckpointError) as refused:
        make(begun, model=wider, allow=True)
    told = str(refused.value).splitlines()
    assert told[0] == "the checkpoint does not fit the model's weights: Error(s) in loading state_dict for Model:"
    assert "size mismatch for node_body" in told[1]
    assert "changed was:\n  model.nodes.body.args.widths: [8] then, [9] now\nUndo the changes" in str(refused.value)


def test_of_many_weights_that_do_not_fit_the_first_are_told(begun: Path) -> None:
    deeper = changed(MODEL, ["nodes", "body", "args", "widths"], [9, 9, 9])
    with pytest.raises(CheckpointError, match=r"for Model:\n(  .+\n){3}  and \d more; changed was:\n"):
        make(begun, model=deeper, allow=True)


def test_what_was_changed_is_told_once_where_a_culprit_is_sought(begun: Path, caplog: pytest.LogCaptureFixture) -> None:
    wild = changed(changed(OPTIONS, ["optimizer"], {"kind": "sgd", "lr": 1e30}), ["phases", "supervised", "epochs"], 4)
    learner = make(begun, options=wild, allow=True)
    with pytest.raises(NonFiniteLossError, match=f"The checkpoint of step {BATCHES} is good"):
        learner.fit()
    assert [record.message.startswith("The run goes on from") for record in caplog.records].count(True) == 1


def test_another_optimizer_is_told_or_begins_afresh(begun: Path) -> None:
    other = changed(OPTIONS, ["optimizer"], {"kind": "sgd", "lr": 0.01, "momentum": 0.9})
    with pytest.raises(CheckpointError, match=r'learner\.optimizer\.kind: "adam" then, "sgd" now'):
        make(begun, options=other)
    learner = make(begun, options=other, allow=True)
    learner.fit()
    assert all(state.keys() == {"momentum_buffer"} for state in learner.optimizer.state.values())


def test_a_hook_that_comes_later_begins_afresh(begun: Path) -> None:
    class Count(Hook):
        name = "count"
        seen = 0

        def updated(self, step: Any) -> None:
            self.seen += 1

    count = Count()
    with pytest.raises(CheckpointError, match=r"\n  count: none then, on now\n"):
        make(begun, hooks=[count])
    make(begun, hooks=[count], allow=True).fit()
    assert count.seen == BATCHES


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(was=values, now=values)
def test_whatever_differs_is_told_and_nothing_else(was: Any, now: Any) -> None:
    changes = Changes({}, {}, {"learner": {"x": was}}, {"learner": {"x": now}})
    assert bool(changes) == (was != now)
    if isinstance(was, dict) and isinstance(now, dict):
        tops = {key for key in {**was, **now} if was.get(key, st) != now.get(key, st)}
        assert {key.split(".")[2] for key in changes.by_key} == tops


def test_a_long_value_is_cut() -> None:
    changes = Changes({}, {}, {"model": {"x": "a" * 200}}, {"model": {"x": "b"}})
    assert str(changes) == f'  model.x: "{"a" * 55} ... then, "b" now'


def test_files_of_which_only_one_side_knows_are_no_change() -> None:
    assert not Changes({}, {}, {}, {"data": {"batch_size": 2}})


@pytest.mark.parametrize("more", [0, 3])
def test_a_checkpoint_of_an_earlier_version_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    whole = make(tmp_path / "whole")
    whole.fit()
    learner = make(tmp_path / "run")
    learner.files = files = json.loads(json.dumps(learner.files))
    del files["learner"]["curriculum"], files["data"]["datasets"]["iris"]["difficulty"]
    learner.train_epoch()
    for batch in islice(learner.loaders.train, more):
        learner.step(batch)
    with monkeypatch.context() as patch:
        for kind, names in ((Journal, {"course"}), (ExampleRecorder, {"places", "rows"})):
            patch.setattr(kind, "state_dict", lambda self, told=kind.state_dict, new=names: without(told(self), new))
        learner.save()
    resumed = make(tmp_path / "run")
    assert resumed.progress.step == BATCHES + more
    resumed.fit()
    assert all(map(torch.equal, resumed.model.parameters(), whole.model.parameters()))
    own, told = (one.history.examples["species"].loss for one in (resumed, whole))
    known = ~np.isnan(own[1])  # of the epoch that was open, what came after
    assert (own[0] == told[0]).all() and known.sum() == 105 - 16 * more and (own[1] == told[1])[known].all()


def without(state: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: part for name, part in state.items() if name not in names}
