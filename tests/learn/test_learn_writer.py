"""Checkpoints written beside the training: no step waits for the disk, nothing is lost, no failure is called done."""

from __future__ import annotations

import errno
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from jumpml.core import CheckpointError
from jumpml.learn import Checkpoints
from jumpml.learn.saving import _writer as writer_module
from jumpml.learn.saving._snapshot import Snapshot, new_memory
from jumpml.learn.saving._writer import Writer

if TYPE_CHECKING:
    from pathlib import Path


def state_of(step: int) -> dict[str, Any]:
    return {"model": {"weight": torch.full((5,), float(step))}, "step": step, "moments": [torch.full((2, 2), -step)]}


class Gate:
    """Holds every write back until it is opened, and notes which steps come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.steps: list[int] = []
        original = Checkpoints.write

        def held(checkpoints: Checkpoints, step: int, *rest: Any) -> Path:
            self.steps.append(step)
            self.begun.set()
            self.open.wait()
            return original(checkpoints, step, *rest)

        monkeypatch.setattr(Checkpoints, "write", held)


class Disk:
    """A disk on which nothing can be written while `trouble` says why."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trouble: int | None = errno.ENOSPC) -> None:
        self.trouble = trouble
        original = os.fsync

        def fsync(descriptor: int) -> None:
            if self.trouble is not None:
                raise OSError(self.trouble, os.strerror(self.trouble))
            original(descriptor)

        monkeypatch.setattr("os.fsync", fsync)


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed writes are tried again by `wait` alone."""
    monkeypatch.setattr(writer_module, "RETRY_AFTER", ())


def test_a_step_goes_on_while_its_state_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, checkpoints = Gate(monkeypatch), Checkpoints(tmp_path)
    writer, state = Writer(checkpoints), state_of(1)
    writer.submit(1, state)
    assert gate.begun.wait(60)
    state["model"]["weight"].fill_(7)  # the next step
    state["moments"][0].fill_(7)
    assert checkpoints.steps() == []
    gate.open.set()
    writer.wait()
    assert torch.equal(checkpoints.load(1)["model"]["weight"], torch.ones(5))
    assert torch.equal(checkpoints.load(1)["moments"][0], torch.full((2, 2), -1))


def test_on_a_slow_disk_small_states_wait_for_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, checkpoints = Gate(monkeypatch), Checkpoints(tmp_path, keep=9)
    writer = Writer(checkpoints)
    for step in range(1, 6):
        writer.submit(step, state_of(step))
        assert gate.begun.wait(60)
    gate.open.set()
    writer.wait()
    assert gate.steps == checkpoints.steps() == [1, 2, 3, 4, 5]


def test_where_memory_is_short_only_the_newest_and_the_best_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MOST_WAITING", 0)
    gate, checkpoints = Gate(monkeypatch), Checkpoints(tmp_path, keep=9)
    writer = Writer(checkpoints)
    writer.submit(1, state_of(1))
    assert gate.begun.wait(60)
    for step, best in ((2, None), (3, 3), (4, 3), (5, 5), (6, 5), (7, 5)):
        writer.submit(step, state_of(step), best)
    gate.open.set()
    writer.wait()
    assert gate.steps == [1, 5, 7]
    assert checkpoints.steps() == [1, 5, 7]
    assert all(checkpoints.load(step)["step"] == step for step in (1, 5, 7))


def test_one_step_saved_twice_is_written_as_the_second_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, checkpoints = Gate(monkeypatch), Checkpoints(tmp_path)
    writer = Writer(checkpoints)
    for value in (1, 2, 3):
        writer.submit(4, state_of(value), 4)
        assert gate.begun.wait(60)
    gate.open.set()
    writer.wait()
    assert checkpoints.steps() == [4]
    assert checkpoints.load(4)["step"] == 3


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EROFS, errno.ENOENT])
def test_a_failed_write_is_told_and_held_and_written_when_the_disk_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: int
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state_of(1))
    disk, writer = Disk(monkeypatch, trouble), Writer(checkpoints)
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        writer.submit(2, state_of(2))
        writer.wait()
    assert f"the checkpoint of step 2 could not be written to {tmp_path}: [Errno {trouble}]" in caplog.text
    assert "Those before it are untouched. It is tried again at the end; training goes on." in caplog.text
    assert checkpoints.steps() == [1]
    assert list(writer.unwritten) == [2]
    held = writer.held(2)
    assert held is not None
    assert torch.equal(held["model"]["weight"], torch.full((5,), 2.0))
    disk.trouble = None
    writer.wait()
    assert writer.unwritten == {}
    assert writer.held(2) is None
    assert checkpoints.load(2)["step"] == 2


def test_a_failed_write_is_tried_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_AFTER", (0.0, 0.0, 0.0))
    checkpoints, original, calls = Checkpoints(tmp_path), Checkpoints.write, []
    done = threading.Event()

    def flaky(self: Checkpoints, step: int, *rest: Any) -> Path:
        calls.append(step)
        if len(calls) < 4:
            raise CheckpointError("the checkpoint of step 1 could not be written.")
        path = original(self, step, *rest)
        done.set()
        return path

    monkeypatch.setattr(Checkpoints, "write", flaky)
    writer = Writer(checkpoints)
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        writer.submit(1, state_of(1))
        assert done.wait(60)
        writer.wait()
    assert calls == [1, 1, 1, 1]
    assert checkpoints.load(1)["step"] == 1
    assert caplog.text.count("It is tried again in 0 s; training goes on.") == 3


@pytest.mark.usefixtures("_patient")
def test_a_newer_state_takes_the_place_of_one_that_failed_but_the_best_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, state_of(1))
    disk, writer = Disk(monkeypatch), Writer(checkpoints)
    for step, best in ((2, 2), (3, 2), (4, 2)):
        writer.submit(step, state_of(step), best)
        writer.wait()
    assert sorted(writer.unwritten) == [2, 4]
    assert checkpoints.steps() == [1]  # it stays until its successor is there
    disk.trouble = None
    writer.wait()
    assert checkpoints.steps() == [2, 4]


@pytest.mark.usefixtures("_patient")
def test_what_was_the_best_stays_until_the_new_best_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, state_of(1), protect=1)
    original = Checkpoints.write

    def refuses_two(self: Checkpoints, step: int, *rest: Any) -> Path:
        if step == 2:
            raise CheckpointError("no")
        return original(self, step, *rest)

    monkeypatch.setattr(Checkpoints, "write", refuses_two)
    writer = Writer(checkpoints)
    for step in (2, 3):
        writer.submit(step, state_of(step), 2)
        writer.wait()
    assert checkpoints.steps() == [1, 3]


@pytest.mark.usefixtures("_patient")
def test_a_fault_of_the_thread_is_told_and_nobody_waits_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Path:
        raise MemoryError("none left")

    monkeypatch.setattr(Checkpoints, "write", broken)
    writer = Writer(Checkpoints(tmp_path))
    writer.submit(1, state_of(1))
    writer.wait()
    assert writer.unwritten == {1: "the checkpoint of step 1 could not be written: MemoryError('none left')."}
    assert "MemoryError('none left')" in caplog.text


def test_what_cannot_be_saved_is_told_at_once(tmp_path: Path) -> None:
    writer = Writer(Checkpoints(tmp_path))
    with pytest.raises(CheckpointError, match=r"'odd' cannot be saved: a safetensors file holds no tensor of .*128"):
        writer.submit(1, {"model": {"odd": torch.zeros(1, dtype=torch.complex128)}})
    with pytest.raises(CheckpointError, match=r"'odd' cannot be saved: .* no tensor of torch\.sparse_coo"):
        writer.submit(1, {"model": {"odd": torch.eye(2).to_sparse()}})


@pytest.mark.parametrize("more", [0, 1], ids=["as large", "larger each time"])
def test_memory_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    made: list[int] = []

    def counted(size: int) -> torch.Tensor:
        made.append(size)
        return new_memory(size)

    monkeypatch.setattr(writer_module, "new_memory", counted)
    writer = Writer(Checkpoints(tmp_path))
    for step in range(5):
        kept = [torch.zeros(1000), torch.zeros(step * more)]  # what is recorded of each epoch comes to the rest
        writer.submit(step, state_of(step) | {"kept": kept})
        writer.wait()
    assert len(made) == 1


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]


@settings(max_examples=30)
@given(
    shapes=st.lists(
        st.tuples(st.lists(st.integers(0, 3), max_size=3), st.sampled_from(DTYPES), st.booleans()), max_size=6
    )
)
def test_any_tensors_are_read_back_by_safetensors_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[list[int], torch.dtype, bool]]
) -> None:
    tensors = {}
    for number, (shape, dtype, turned) in enumerate(shapes):
        tensor = torch.randint(0, 2, shape).to(dtype)
        tensors[f"ü {number}"] = tensor.T if turned and tensor.dim() == 2 else tensor
    folder = tmp_path_factory.mktemp("any")
    checkpoints = Checkpoints(folder)
    checkpoints.save(1, {"model": tensors, "rest": list(tensors.values())})
    loaded = load_file(folder / "step-00000001" / "model.safetensors")
    state = checkpoints.load(1)
    assert loaded.keys() == tensors.keys()
    again = Snapshot.take({"model": tensors, "rest": list(tensors.values())}).state()
    for number, (name, tensor) in enumerate(tensors.items()):
        for copy in (loaded[name], state["rest"][number], again["model"][name], again["rest"][number]):
            assert copy.dtype == tensor.dtype
            assert torch.equal(copy, tensor)
