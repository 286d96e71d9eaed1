"""A run whose curriculum is changed in the midst of an epoch: the epoch begins anew, with the batches now due."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import iris_data, iris_model, mlp

import jumpml
from jumpml.core import CheckpointError
from jumpml.learn import Hook, Learner

if TYPE_CHECKING:
    from pathlib import Path

BATCHES, STOP = 7, 3
TAUGHT: dict[str, Any] = {"teacher": {"kind": "exp3s", "eta": 0.5}, "arms": {"classes": "species"}, "reward": "loss"}
VIEWS = {"noisy": {"x": [{"noise": {"std": 0.1}}]}}
ROOT = {"kind": "root", "order": "random"}
CURRICULA: dict[str, dict[str, Any] | None] = {
    "none": None,
    "exp3s": TAUGHT,
    "eta": {**TAUGHT, "teacher": {"kind": "exp3s", "eta": 0.1}},
    "ppo": {**TAUGHT, "teacher": "ppo"},
    "drop": {**TAUGHT, "reward": "loss_drop"},
    "views": {**TAUGHT, "arms": {"views": ["plain", "noisy"]}},
    "root": {"pacing": ROOT},
    "taught and root": {**TAUGHT, "pacing": ROOT},
    "baby_step": {"pacing": {"kind": "baby_step", "buckets": 3}, "difficulty": "own"},
    "prioritized": {"examples": {"kind": "prioritized"}},
    "self_paced": {"examples": {"kind": "self_paced"}},
    "data_parameters": {"examples": {"kind": "data_parameters"}},
}


class Diary(Hook):
    """The rows of each batch."""

    name = "diary"
    positions = True

    def __init__(self) -> None:
        self.rows: list[torch.Tensor] = []

    def learned(self, step: Any) -> None:
        self.rows.append(step.batch["@position"])


def make(folder: Path, curriculum: Any, *hooks: Hook, allow: bool = False, batch_size: int = 16) -> Learner:
    loaders = jumpml.create_dataloader({**iris_data(views=VIEWS), "batch_size": batch_size})
    model = jumpml.load_model(iris_model({"body": mlp(8)}), loaders)
    options = {"phases": {"supervised": {"epochs": 3}}, "log": [], "curriculum": curriculum}
    return jumpml.create_learner(loaders, model, None, options, run=folder, allow_changes=allow, hooks=hooks)


def begun(folder: Path, curriculum: Any) -> None:
    """An epoch, and some of the next."""
    learner = make(folder, curriculum, Diary())
    learner.train_epoch()
    with learner.random:
        for batch in itertools.islice(learner.remaining(), STOP):
            learner.step(batch)
        learner.save()


PAIRS = [
    ("none", "exp3s"),
    ("exp3s", "none"),
    ("exp3s", "eta"),
    ("exp3s", "ppo"),
    ("exp3s", "drop"),
    ("exp3s", "views"),
    ("exp3s", "taught and root"),
    ("taught and root", "exp3s"),
    ("root", "baby_step"),
    ("baby_step", "root"),
    ("prioritized", "self_paced"),
    ("self_paced", "data_parameters"),
    ("data_parameters", "prioritized"),
]


@pytest.mark.parametrize(("was", "now"), PAIRS)
def test_the_open_epoch_begins_anew_and_is_whole(was: str, now: str, tmp_path: Path) -> None:
    begun(tmp_path, CURRICULA[was])
    diary = Diary()
    learner = make(tmp_path, CURRICULA[now], diary, allow=True)
    assert (learner.progress.step, learner.progress.batch) == (BATCHES + STOP, 0)
    learner.train_epoch()
    assert len(diary.rows) == BATCHES
    if "teacher" in (CURRICULA[now] or {}):
        assert torch.equal(learner.loaders.train.order(1), torch.cat(diary.rows))
    (_, record) = learner.history.epochs
    assert record.notes[0].startswith(f"resumed at step {BATCHES + STOP} with changes: learner.curriculum")
    learner.fit()
    assert learner.progress.step == STOP + 3 * BATCHES


def test_another_batch_size_makes_a_taught_epoch_anew(tmp_path: Path) -> None:
    begun(tmp_path, TAUGHT)
    diary = Diary()
    learner = make(tmp_path, TAUGHT, diary, allow=True, batch_size=35)
    learner.train_epoch()
    assert [len(rows) for rows in diary.rows] == [35, 35, 35]
    assert torch.equal(learner.loaders.train.order(1), torch.cat(diary.rows))


def test_what_is_not_allowed_is_told_by_its_key(tmp_path: Path) -> None:
    begun(tmp_path, TAUGHT)
    with pytest.raises(CheckpointError) as refused:
        make(tmp_path, CURRICULA["eta"], Diary())
    assert "\n  learner.curriculum.teacher.eta: 0.5 then, 0.1 now\n" in str(refused.value)
