"""Every teacher in a run that is stopped: its state is in the checkpoint, and it is what makes the run the same."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from every_teacher import LEARNERS, TEACHERS, Make
from taught import make_learner, make_loaders, same, weights_of

from jumpml.learn import Learner, LossReward, Saving, Teaching

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.curriculum import Teacher

STOP = 13  # updates of an epoch of 29, in the midst of a horizon


def stopped(teacher: Teacher, folder: Path) -> None:
    first = learner_of(teacher, folder)
    with first.random:
        for batch in itertools.islice(first.remaining(), STOP):
            first.step(batch)
        first.save()


def learner_of(teacher: Teacher, folder: Path) -> Learner:
    hooks, loaders = [Teaching(teacher, "datasets", LossReward())], make_loaders(batch_size=2)
    return make_learner(hooks, loaders=loaders, epochs=1, saving=Saving(folder=folder))


@pytest.mark.parametrize("make", TEACHERS.values(), ids=TEACHERS)
def test_a_resumed_run_is_the_same_run(make: Make, tmp_path: Path) -> None:
    whole = learner_of(make(), tmp_path / "whole")
    whole.fit()
    stopped(make(), tmp_path / "parts")
    resumed = learner_of(make(), tmp_path / "parts")
    assert resumed.resume()
    resumed.fit()
    assert same(weights_of(whole), weights_of(resumed))
    assert [epoch.losses for epoch in whole.history.epochs] == [epoch.losses for epoch in resumed.history.epochs]


@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS)
def test_without_its_state_it_is_another(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learner_of(make(), tmp_path / "whole")
    whole.fit()
    stopped(make(), tmp_path / "parts")
    teacher = make()
    monkeypatch.setattr(teacher, "load_state_dict", lambda state: None)
    resumed = learner_of(teacher, tmp_path / "parts")
    assert resumed.resume()
    resumed.fit()
    assert not same(weights_of(whole), weights_of(resumed))
