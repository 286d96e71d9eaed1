"""Checkpoints written beside the training: a step waits until its tensors are copied, and not for the disk."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from jumpml.core import CheckpointError
from jumpml.learn.saving._snapshot import Snapshot, new_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.learn.saving._checkpoints import Checkpoints

_LOG = logging.getLogger("jumpml")
RETRY_AFTER = (1.0, 5.0, 25.0)  # seconds after a write that failed; then it waits for `Writer.wait`
ROOM = 8  # of memory that is used again, this part is for states that are larger than the first
MOST_WAITING = 1 << 26  # bytes of states that wait, beyond the newest and the best


@dataclass(kw_only=True)
class _Job:
    step: int
    snapshot: Snapshot
    protect: int | None
    failures: int = 0
    due: float = 0.0
    error: str = ""


_ALL: WeakSet[Writer] = WeakSet()


class Writer:
    """Copies states at once and writes them in a thread, one at a time, the oldest first.

    A step never waits for the disk. Where states come faster than it takes them, they wait, and where more than 64 MiB
    would, the oldest are left out: beside the one that is being written always the newest waits, and the best.

    A write that fails is reported, and tried again after 1, 5 and 25 seconds unless a newer state has taken its place,
    and once more by `wait`. It stops nothing: whoever needs the checkpoint asks `unwritten`.

    Args:
        checkpoints: Where they are written.

    Example:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> from jumpml.learn import Checkpoints
        >>> weight, checkpoints = torch.ones(2), Checkpoints(Path(tempfile.mkdtemp()))
        >>> writer = Writer(checkpoints)
        >>> writer.submit(1, {"model": {"weight": weight}})
        >>> _ = weight.zero_()  # training goes on
        >>> writer.wait()
        >>> checkpoints.load(1)["model"]["weight"]
        tensor([1., 1.])
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._changed = threading.Condition()
        self._waiting: list[_Job] = []
        self._writing: _Job | None = None
        self._running = False  # set under the lock, unlike a thread's `is_alive`
        self._spare: list[Tensor] = []
        _ALL.add(self)

    def submit(self, step: int, state: Mapping[str, Any], protect: int | None = None) -> None:
        """Copy a state; a thread writes it.

        Args:
            step: The checkpoint's number.
            state: As `Checkpoints.save` takes it.
            protect: The step of the best checkpoint, which stays.

        Raises:
            CheckpointError: A tensor is of a type that cannot be saved.
        """
        job = _Job(step=step, snapshot=Snapshot.take(state, self._memory), protect=protect)
        with self._changed:
            for other in sorted(self._waiting, key=lambda other: other.step):
                replaced = other.step == step or (other.step != protect and (other.error or self._too_many(job)))
                if replaced:
                    self._waiting.remove(other)
                    self._free(other)
            self._waiting.append(job)
            self._wake()

    def wait_for_others(self) -> None:
        """Return when no other learner of this process writes to the same folder."""
        for other in [*_ALL]:
            if other is not self and other._checkpoints.folder.resolve() == self._checkpoints.folder.resolve():
                other.wait()

    def wait(self) -> None:
        """Return when nothing more is to be written; what has failed is tried once more."""
        with self._changed:
            failed_before = {job.step: job.failures for job in self._waiting}
            for job in self._waiting:
                job.due = 0.0
            if self._waiting:
                self._wake()
            try:
                while self._writing or any(job.failures == failed_before.get(job.step, 0) for job in self._waiting):
                    self._changed.wait()
            except BaseException:  # a second Ctrl-C: the file that is being written is finished, and no other begun
                for job in self._waiting:
                    job.due = float("inf")
                self._changed.notify_all()
                raise

    @property
    def unwritten(self) -> dict[int, str]:
        """By step, why a checkpoint that failed is not written; it is still in memory."""
        with self._changed:
            return {job.step: job.error for job in self._waiting if job.error}

    def held(self, step: int) -> dict[str, Any] | None:
        """The state of a checkpoint that waits to be written, if it does."""
        with self._changed:
            found = next((job for job in self._waiting if job.step == step), None)
            return found.snapshot.state() if found else None

    # --- the thread -----------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._running:
            self._running = True
            # Not a daemon: a program that ends waits for its last checkpoint.
            threading.Thread(target=self._work, name="jumpml-checkpoints").start()
        self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._checkpoints.write(job.step, job.snapshot, job.protect)
            except CheckpointError as error:
                self._failed(job, str(error))
            except BaseException as error:  # a bug, or no memory: nobody may wait for a thread that has died
                self._failed(job, f"the checkpoint of step {job.step} could not be written: {error!r}.")
            else:
                with self._changed:
                    self._writing = None
                    self._free(job)
                    self._changed.notify_all()

    def _next(self) -> _Job | None:
        """The next to write, when it is due; None where nothing is left to do."""
        with self._changed:
            while self._waiting:
                job = min(self._waiting, key=lambda job: (job.due, job.step))
                if job.due == float("inf"):
                    break
                remaining = job.due - time.monotonic()
                if remaining <= 0:
                    self._waiting.remove(job)
                    self._writing = job
                    return job
                self._changed.wait(remaining)
            self._running = False
            self._changed.notify_all()
            return None

    def _failed(self, job: _Job, error: str) -> None:
        after = RETRY_AFTER[job.failures] if job.failures < len(RETRY_AFTER) else float("inf")
        job.failures, job.error, job.due = job.failures + 1, error, time.monotonic() + after
        with self._changed:
            newer = [other for other in self._waiting if other.step >= job.step]
            same = any(other.step == job.step for other in newer)
            replaced = same or (bool(newer) and job.step not in (job.protect, newer[-1].protect))
            if replaced:
                self._free(job)
            else:
                self._waiting.append(job)
        again = f"It is tried again in {after:g} s" if after < float("inf") else "It is tried again at the end"
        again = f"That of step {newer[-1].step} takes its place" if replaced else again
        _LOG.warning("%s %s; training goes on.", error, again)
        with self._changed:
            self._writing = None
            self._changed.notify_all()

    # --- memory ---------------------------------------------------------------------------------------------------

    def _too_many(self, job: _Job) -> bool:
        return sum(len(waiting.snapshot.memory) for waiting in [*self._waiting, job]) > MOST_WAITING

    def _memory(self, size: int) -> Tensor:
        with self._changed:
            fitting = [memory for memory in self._spare if size <= len(memory) <= 2 * size]
            self._spare.clear()
        # A state grows from epoch to epoch by what is recorded. The system gives new memory page by page as it is first
        # written to, which takes twice as long as the copy itself.
        return fitting[0] if fitting else new_memory(size + size // ROOM)

    def _free(self, job: _Job) -> None:
        self._spare[:] = [job.snapshot.memory]  # one is enough: mostly one is written before the next comes
