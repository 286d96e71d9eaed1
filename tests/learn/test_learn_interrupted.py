"""Ctrl-C, SIGTERM and disks that refuse: what was learned is saved or still held, and what is said is true."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import iris_data, iris_model, mlp

import jumpml
from jumpml.core import CheckpointError, Terminated
from jumpml.learn import Checkpoints, Hook, JsonlLog, Learner
from jumpml.learn.saving import _writer as writer_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jumpml.learn import Step

DATA = iris_data()
MODEL = iris_model({"body": mlp(8, dropout=0.2)})
OPTIONS: dict[str, Any] = {
    "optimizer": {"kind": "adam", "lr": 0.01},
    "ema": {"decay": 0.9},
    "phases": {"supervised": {"epochs": 3}},
    "checkpoint": {"every": {"epochs": 1}, "keep": 2},
    "log": ["jsonl"],
}
BATCHES = 7  # of 105 rows


class At(Hook):
    """Does something once, in the update of one step."""

    name = "at"

    def __init__(self, step: int, act: Callable[[], object]) -> None:
        self.step, self.act = step, act

    def updated(self, step: Step) -> None:
        if step.number == self.step:
            self.act()


def make(folder: Path, hook: Hook | None = None, **changes: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(MODEL, loaders)
    return jumpml.create_learner(
        loaders, model, None, {**OPTIONS, **changes}, run=folder, hooks=[hook or At(0, lambda: None)]
    )


def weights(learner: Learner) -> bytes:
    return b"".join(value.numpy().tobytes() for value in learner.model.state_dict().values())


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    learner = make(tmp_path_factory.mktemp("whole"))
    learner.fit()
    assert learner.progress.step == 3 * BATCHES
    return weights(learner)


@pytest.mark.parametrize(("kind", "name"), [(KeyboardInterrupt, "Ctrl-C"), (Terminated, "SIGTERM")])
@pytest.mark.parametrize("step", [1, 5, BATCHES, 3 * BATCHES])
def test_a_signal_lets_the_step_end_and_saves_it(
    tmp_path: Path, whole: bytes, kind: type[BaseException], name: str, step: int
) -> None:
    number = signal.SIGINT if name == "Ctrl-C" else signal.SIGTERM
    before = signal.getsignal(number)
    learner = make(tmp_path, At(step, send(number)))
    with pytest.raises(kind) as stop:
        learner.fit()
    assert str(stop.value) == (f"stopped by {name} after step {step}. Its checkpoint is in {tmp_path / 'checkpoints'}.")
    assert stop.value.__notes__ == ["Go on with: learner.resume()"]
    assert signal.getsignal(number) is before
    assert Checkpoints(tmp_path / "checkpoints").steps()[-1] == step
    torch.rand(3)  # another process would stand elsewhere in its global stream
    again = make(tmp_path)
    assert again.progress.step == step
    again.fit()
    assert weights(again) == whole


def test_the_learner_itself_can_go_on_after_a_stop(tmp_path: Path, whole: bytes) -> None:
    learner = make(tmp_path, At(4, send(signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        learner.fit()
    learner.fit()
    assert weights(learner) == whole


def test_an_epoch_by_hand_is_stopped_likewise(tmp_path: Path) -> None:
    learner = make(tmp_path, At(BATCHES, send(signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt, match="after step 7"):
        learner.train_epoch()
    assert Checkpoints(tmp_path / "checkpoints").steps()[-1] == BATCHES


def test_the_exit_code_of_sigterm_is_the_shells(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learner = make(tmp_path, At(2, send(signal.SIGTERM)))
    with caplog.at_level(logging.WARNING, logger="jumpml"), pytest.raises(SystemExit) as stop:
        learner.fit()
    assert stop.value.code == 143
    assert "stopped by SIGTERM after step 2. Its checkpoint is in" in caplog.text
    assert "Go on with: learner.resume()" in caplog.text


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    learner = make(tmp_path, At(3, twice))
    with pytest.raises(KeyboardInterrupt) as stop:
        learner.fit()
    assert str(stop.value) == ""
    learner.resume()  # waits for what was under way
    assert learner.progress.step == 0


def test_without_a_place_for_checkpoints_ctrl_c_is_what_it_always_is(tmp_path: Path) -> None:
    learner = make(tmp_path, At(3, send(signal.SIGINT)), checkpoint=None)
    with pytest.raises(KeyboardInterrupt) as stop:
        learner.fit()
    assert str(stop.value) == ""


def test_handlers_of_the_program_stay(tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        learner = make(tmp_path, At(3, send(signal.SIGINT)))
        learner.fit()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
    assert learner.progress.step == 3 * BATCHES


def test_in_another_thread_no_handler_is_touched(tmp_path: Path) -> None:
    learner = make(tmp_path)
    seen: list[object] = []
    learner.step, step = lambda batch: (seen.append(signal.getsignal(signal.SIGINT)), step(batch)), learner.step  # type: ignore[method-assign]
    thread = threading.Thread(target=learner.fit)
    before = signal.getsignal(signal.SIGINT)
    thread.start()
    thread.join()
    assert set(seen) == {before}
    assert learner.progress.step == 3 * BATCHES


# --- disks that refuse ------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """`trouble` says why nothing can be written; failed writes are tried again at the end alone."""
    monkeypatch.setattr(writer_module, "RETRY_AFTER", ())
    state: dict[str, int | None] = {"trouble": errno.ENOSPC}
    original = os.fsync

    def fsync(descriptor: int) -> None:
        if state["trouble"] is not None:
            raise OSError(state["trouble"], os.strerror(state["trouble"]))
        original(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    return state


def wait_for(folder: Path, step: int) -> None:
    while step not in Checkpoints(folder / "checkpoints").steps():
        time.sleep(0.01)


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_stops_nothing_and_is_told(
    tmp_path: Path, disk: dict[str, int | None], whole: bytes, caplog: pytest.LogCaptureFixture, trouble: int
) -> None:
    disk["trouble"] = None
    learner = make(tmp_path, At(BATCHES + 2, lambda: (wait_for(tmp_path, BATCHES), disk.update(trouble=trouble))))
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        learner.fit()
    assert weights(learner) == whole
    folder = tmp_path / "checkpoints"
    told = (
        f"the checkpoint of step 21 could not be written to {folder}: [Errno {trouble}] {os.strerror(trouble)}. "
        "Those before it are untouched. The last good checkpoint is of step 7."
    )
    assert learner.unsaved == told
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [told]
    assert Checkpoints(folder).steps() == [0, 7]
    with pytest.raises(CheckpointError, match="the checkpoint of step 21 could not be written"):
        learner.save()
    disk["trouble"] = None
    assert learner.save() == folder / "step-00000021"
    assert learner.unsaved == ""
    again = make(tmp_path)
    assert weights(again) == whole


def test_a_log_that_cannot_be_written_stops_nothing_and_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original, state = JsonlLog._append, {"full": False}

    def append(self: JsonlLog, path: Path, lines: list[str]) -> None:
        if state["full"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(self, path, lines)

    monkeypatch.setattr(JsonlLog, "_append", append)
    learner = make(tmp_path, At(2, lambda: state.update(full=True)))
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        learner.train_epoch()
        learner.train_epoch()
    assert [record.getMessage() for record in caplog.records] == [
        "JsonlLog cannot write: [Errno 28] No space left on device. Its figures are kept and written when it can; "
        "training goes on."
    ]
    state["full"] = False
    learner.train_epoch()
    steps = [json.loads(line)["step"] for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 3 * BATCHES + 1))
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 3


def test_lines_of_which_a_full_disk_took_some_come_again_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, path = JsonlLog(tmp_path), tmp_path / "steps.jsonl"
    path.write_text("{}\n")

    def torn() -> Iterator[str]:
        yield "first"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        log._append(path, torn())  # type: ignore[arg-type]
    assert path.read_text() == "{}\n"


def test_a_run_whose_last_checkpoint_is_not_written_ends_with_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Checkpoints.write

    def write(self: Checkpoints, step: int, *rest: Any) -> Path:
        if step == 3 * BATCHES:
            raise CheckpointError(f"the checkpoint of step {step} could not be written.")
        return original(self, step, *rest)

    monkeypatch.setattr(Checkpoints, "write", write)
    monkeypatch.setattr(writer_module, "RETRY_AFTER", ())
    monkeypatch.setattr("jumpml._project.Project._report", lambda *_: None)
    project = jumpml.Project(
        name="p",
        data=jumpml.DataSpec.model_validate(DATA),
        model=jumpml.ModelSpec.model_validate(MODEL),
        learner=jumpml.LearnerSpec.model_validate(OPTIONS),
        deploy=jumpml.DeploySpec(),
    )
    with pytest.raises(CheckpointError) as told:
        project.run(tmp_path)
    (run,) = (tmp_path / "p").iterdir()
    assert str(told.value) == (
        f"the run is done and {run / 'card.html'} is written, but the checkpoint of step 21 could not be written. The "
        "last good checkpoint is of step 14."
    )


def test_without_any_good_checkpoint_that_is_said(tmp_path: Path, disk: dict[str, int | None]) -> None:
    learner = make(tmp_path)
    learner.fit()
    assert learner.unsaved.endswith("There is no good checkpoint.")
    disk["trouble"] = None


def test_a_stop_that_cannot_save_says_so(tmp_path: Path, disk: dict[str, int | None]) -> None:
    disk["trouble"] = None

    def stop() -> None:
        wait_for(tmp_path, BATCHES)
        disk["trouble"] = errno.ENOSPC
        os.kill(os.getpid(), signal.SIGINT)

    learner = make(tmp_path, At(BATCHES + 2, stop))
    with pytest.raises(KeyboardInterrupt) as stopped:
        learner.fit()
    assert str(stopped.value).startswith("stopped by Ctrl-C after step 9, but the checkpoint of step 9 could")
    assert str(stopped.value).endswith(
        "No space left on device. Those before it are untouched. The last good checkpoint is of step 7."
    )


def test_the_best_that_could_not_be_written_is_held(tmp_path: Path, disk: dict[str, int | None]) -> None:
    learner = make(tmp_path, checkpoint={**OPTIONS["checkpoint"], "best": {"metric": "val/loss"}})
    learner.fit()
    best = learner.progress.best
    assert best is not None
    assert Checkpoints(tmp_path / "checkpoints").steps() == []
    learner.model.requires_grad_(False)
    for parameter in learner.model.parameters():
        parameter.zero_()
    assert learner.restore_best()
    assert any(bool(parameter.any()) for parameter in learner.model.parameters())
    disk["trouble"] = None


def test_a_best_that_is_gone_is_told_and_sought_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    best = {**OPTIONS["checkpoint"], "best": {"metric": "val/loss"}}
    learner = make(tmp_path, checkpoint=best)
    learner.train_epoch()
    assert learner.progress.best is not None
    learner.progress.best = (0.0, 5)  # of a checkpoint that a full disk never took
    learner.train_epoch()
    learner.save()
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        again = make(tmp_path, checkpoint=best)
    assert "The best checkpoint, of step 5, is not there; the best is sought anew from here." in caplog.text
    assert again.progress.best is None
