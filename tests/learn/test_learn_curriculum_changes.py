"""A run whose curriculum is changed in the midst of an epoch: the epoch begins anew, with the batches now due."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import iris_data, iris_model, mlp

import jumpml
from jumpml.core import CheckpointError
from jumpml.curriculum import RootPacing, Uniform
from jumpml.learn import Difficulty, Hook, Learner, Pace, Teaching

if TYPE_CHECKING:
    from collections.abc import Callable
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
    "super_loss": {"examples": {"kind": "super_loss"}},
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
    ("data_parameters", "prioritized"),
]
COUNTS = [("none", "super_loss"), ("super_loss", "self_paced"), ("self_paced", "data_parameters")]


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


@pytest.mark.parametrize(("was", "now"), COUNTS)
def test_where_rows_only_count_otherwise_the_open_epoch_goes_on(was: str, now: str, tmp_path: Path) -> None:
    begun(tmp_path, CURRICULA[was])
    diary = Diary()
    learner = make(tmp_path, CURRICULA[now], diary, allow=True)
    assert (learner.progress.step, learner.progress.batch) == (BATCHES + STOP, STOP)
    learner.train_epoch()
    expected = learner.loaders.train.order(1).split(16)[STOP:]
    assert len(diary.rows) == BATCHES - STOP and all(map(torch.equal, diary.rows, expected))


def test_other_data_sets_of_the_phase_make_the_epoch_anew(tmp_path: Path) -> None:
    def made(data: list[str], allow: bool = False) -> tuple[Learner, Diary]:
        said, diary = iris_data(), Diary()
        both = {**said, "datasets": {"one": said["datasets"]["iris"], "two": said["datasets"]["iris"]}}
        loaders = jumpml.create_dataloader(both)
        model = jumpml.load_model(iris_model({"body": mlp(8)}), loaders)
        options = {"phases": {"supervised": {"epochs": 3, "data": data}}, "log": []}
        more: dict[str, Any] = {"run": tmp_path, "allow_changes": allow, "hooks": [diary]}
        return jumpml.create_learner(loaders, model, None, options, **more), diary

    learner, _ = made(["one"])
    with learner.random:
        for batch in itertools.islice(learner.remaining(), STOP):
            learner.step(batch)
        learner.save()
    learner, diary = made(["two"], allow=True)
    assert (learner.progress.step, learner.progress.batch) == (STOP, 0)
    learner.train_epoch()
    rows = torch.cat(diary.rows)
    assert len(diary.rows) == BATCHES and int(rows.min()) >= len(rows) == 105  # the second data set's, all of them


@pytest.mark.parametrize(
    ("by", "told"),
    [
        (lambda hard: Pace(RootPacing(), hard), r"pacing: root.*, by given [0-9a-f]{12}, .* then, root.* now"),
        (
            lambda hard: Teaching(Uniform(), Difficulty(2, hard)),
            r"curriculum: uniform, arms 2 bins of difficulty [0-9a-f]{12}, .* then, uniform.* now",
        ),
    ],
    ids=["pacing", "arms"],
)
def test_other_difficulties_are_another_run_and_make_the_epoch_anew(
    by: Callable[[torch.Tensor], Hook], told: str, tmp_path: Path
) -> None:
    def made(difficulty: torch.Tensor, allow: bool = False) -> Learner:
        loaders = jumpml.create_dataloader({**iris_data(), "batch_size": 16})
        model = jumpml.load_model(iris_model({"body": mlp(8)}), loaders)
        options = {"phases": {"supervised": {"epochs": 3}}, "log": []}
        more: dict[str, Any] = {"run": tmp_path, "allow_changes": allow, "hooks": [by(difficulty)]}
        return jumpml.create_learner(loaders, model, None, options, **more)

    learner, hard = made(torch.arange(105.0)), torch.arange(105.0)
    with learner.random:
        for batch in itertools.islice(learner.remaining(), STOP):
            learner.step(batch)
        learner.save()
    assert made(2 * hard).progress.batch == STOP  # which ranks rows alike
    with pytest.raises(CheckpointError, match=told):
        made(-hard)
    assert made(-hard, allow=True).progress.batch == 0


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
