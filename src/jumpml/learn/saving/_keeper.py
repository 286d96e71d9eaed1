"""Where a learner's state goes, and where it comes back from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from jumpml.core import CheckpointError
from jumpml.learn.processes._processes import ALONE
from jumpml.learn.saving._checkpoints import Checkpoints
from jumpml.learn.saving._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jumpml.learn._progress import Progress, Saving
    from jumpml.learn.processes._processes import Processes

_LOG = logging.getLogger("jumpml")


class Keeper:
    """A learner's checkpoints: those on the disk, and those on their way there.

    Args:
        saving: Where they go, and which stay.
        processes: Those that learn together: the first one writes and reads, and gives the others what it read.
    """

    def __init__(self, saving: Saving, processes: Processes = ALONE) -> None:
        self.saving, self._processes = saving, processes
        self._checkpoints = Checkpoints(saving.folder, saving.keep)
        self._writer = Writer(self._checkpoints)

    def submit(self, progress: Progress, state: Mapping[str, Any]) -> None:
        """Copy a state; it is written beside the training."""
        if not self._processes.first:
            return
        self._writer.submit(progress.step, state, progress.best[1] if progress.best else None)

    def save(self, progress: Progress, state: Mapping[str, Any]) -> Path:
        """Copy a state and wait until it is written.

        Raises:
            CheckpointError: It cannot be written.
        """
        self.submit(progress, state)
        return self._processes.from_first(lambda: self._written(progress.step))

    def settle(self) -> None:
        """Wait until everything is written; what could not be is told."""
        self._writer.wait()
        if self.unsaved:
            _LOG.error("%s", self.unsaved)

    def kept(self) -> str:
        """Wait until everything is written; what one can go on from, in words that follow "stopped after step 9"."""
        return self._processes.from_first(self._told)

    @property
    def unsaved(self) -> str:
        """In words, what could not be written up to now, and which checkpoint is good; empty where all is well."""
        unwritten = self._writer.unwritten
        if not unwritten:
            return ""
        written = self._checkpoints.steps()
        good = f"The last good checkpoint is of step {written[-1]}." if written else "There is no good checkpoint."
        return " ".join([*unwritten.values(), good])

    def newest(self) -> dict[str, Any] | None:
        """The newest state: one that could not be written, or that of the newest whole checkpoint.

        Raises:
            CheckpointError: There are checkpoints, and all are damaged.
        """
        return self._processes.from_first(self._newest)

    def forget_after(self, step: int) -> None:
        """Remove the checkpoints after a step: they belong to a future that will be lived again."""
        if self._processes.first:
            self._checkpoints.forget_after(step)

    def has(self, step: int) -> bool:
        """Whether there is a checkpoint of a step, written or on its way."""
        return self._processes.from_first(
            lambda: self._writer.held(step) is not None or step in self._checkpoints.steps()
        )

    def load(self, step: int) -> dict[str, Any]:
        """The state of one checkpoint, written or not.

        Raises:
            CheckpointError: It is missing or damaged.
        """
        return self._processes.from_first(lambda: self._read(step))

    def _told(self) -> str:
        self._writer.wait()
        if self.unsaved:
            return f", but {self.unsaved}"
        return f". Its checkpoint is in {self.saving.folder}."

    def _newest(self) -> dict[str, Any] | None:
        self._writer.wait_for_others()
        self._writer.wait()
        unwritten = self._writer.unwritten
        held = self._writer.held(max(unwritten)) if unwritten else None
        return held or self._checkpoints.latest()

    def _read(self, step: int) -> dict[str, Any]:
        self._writer.wait()
        return self._writer.held(step) or self._checkpoints.load(step)

    def _written(self, step: int) -> Path:
        self._writer.wait()
        if step in self._writer.unwritten:
            raise CheckpointError(self._writer.unwritten[step])
        return self._checkpoints.path(step)
