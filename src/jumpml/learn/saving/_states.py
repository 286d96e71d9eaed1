"""What a run keeps of itself, and what it goes back to."""

from __future__ import annotations

import json
import logging
from itertools import chain
from typing import TYPE_CHECKING, Any

from jumpml.core import LearnerError, NonFiniteLossError
from jumpml.learn._loop_state import identity_of, load_state, state_of
from jumpml.learn._reshaping import regrow
from jumpml.learn._told import as_now
from jumpml.learn.hooks._averaging import EMA
from jumpml.learn.saving._agreement import Agreement
from jumpml.learn.saving._identity import Changes
from jumpml.learn.saving._keeper import Keeper
from jumpml.learn.saving._last_good import LastGood
from jumpml.learn.steps._culprit import all_finite, explain
from jumpml.learn.steps._meter import NonFinite
from jumpml.learn.steps._relived import REPLAY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jumpml.learn._loop import Loop
    from jumpml.learn._progress import Saving
    from jumpml.learn.hooks._swa import SWA
    from jumpml.learn.logs._journal import Journal

_LOG = logging.getLogger("jumpml")


class States:
    """Reads a loop's losses, and keeps its state where all is well: in checkpoints, or one copy of the weights.

    Args:
        loop: The loop.
        journal: What is told of it, which is part of the state.
        saving: When and where checkpoints are written; none where None.
        average: The average of the weights, if there is one.

    Attributes:
        saving: The same.
        keeper: The checkpoints; None where none are written.
        files: What the run was made from, by kind, as JSON has it.
    """

    def __init__(self, loop: Loop, journal: Journal, saving: Saving | None, average: EMA | SWA | None) -> None:
        self.files: Mapping[str, Any] = {}
        self._loop, self._journal, self._average = loop, journal, average
        self._last_good = LastGood(loop.processes)
        self._agreement = Agreement(loop.processes)
        self._allow_changes = False
        self._goes_on: tuple[int, str] | None = None  # from which step, with what changes
        self.keep(saving)

    def keep(self, saving: Saving | None) -> None:
        """Say when and where checkpoints are written."""
        self.saving = saving
        self.keeper = None if saving is None else Keeper(saving, self._loop.processes)

    def hold(self) -> None:
        """Note which weights there are to keep, where no checkpoint keeps them."""
        if self.keeper is None:
            model = self._loop.model
            average = self._average.model if isinstance(self._average, EMA) else None
            self._last_good.hold([model] if average is None else [model, average])

    def read(self) -> None:
        """Read the losses of the steps since the last reading, and tell them.

        Raises:
            NonFinite: A loss is NaN or infinite.
            LearnerError: Another process has other weights, and no checkpoint would tell.
        """
        loop = self._loop
        new, unread = loop.unread, loop.read()
        if new and self.keeper is None:
            if not self._last_good.take(loop.progress.step):
                raise NonFinite(loop.progress.step + 1)
            if not loop.processes.alone:
                self._agreement.check(loop.progress.step, {"model": dict(loop.model.named_parameters())})
        if new:
            figures = {name: value for read in loop.hooks.read for name, value in read().items()}
            self._journal.steps(loop.progress, new, unread, figures)

    def save(self) -> None:
        """Copy the state, which is written beside the training.

        Raises:
            NonFinite: It is not worth keeping.
        """
        if self.keeper:
            self.keeper.submit(self._loop.progress, self._good())

    def save_now(self) -> Path:
        """Write a checkpoint and wait for it; see `Learner.save`."""
        if self.keeper is None:
            raise LearnerError("there is no place for checkpoints: give the learner saving=Saving(folder=...).")
        try:
            return self.keeper.save(self._loop.progress, self._good())
        except NonFinite as signal:
            raise self.explained(signal) from None

    def settle(self) -> None:
        """Wait until everything is written."""
        if self.keeper:
            self.keeper.settle()

    def settle_buffers(self) -> None:
        """Where several processes learn: let all have the first one's running means and the like."""
        self._loop.processes.give(chain(self._loop.model.buffers(), self._average.buffers() if self._average else ()))

    def resume(self, *, allow_changes: bool = False) -> bool:
        """Go on from the newest whole checkpoint; see `Learner.resume`."""
        self._allow_changes = self._allow_changes or allow_changes
        state, progress = self.keeper.newest() if self.keeper else None, self._loop.progress
        if state is None:
            if not progress.step:  # a start from nothing: what lies there is another's
                self._journal.rewind(0)
            return False
        changes = self._load(state)
        if self.keeper:
            self.keeper.forget_after(progress.step)
            self._seek_best(self.keeper)
        if changes and self._over():  # no epoch comes whose record could tell, and no checkpoint
            self._journal.amend()
            self.save()
        self._journal.rewind(progress.step)
        return True

    def restore_best(self) -> bool:
        """Take the weights of the best checkpoint; see `Learner.restore_best`."""
        best = self._loop.progress.best
        if self.keeper is None or best is None:
            return False
        state = self.keeper.load(best[1])
        regrow(self._loop, state["lineage"])
        self._loop.model.load_state_dict(state["model"])
        if self._average:
            self._average.load_state_dict(state["hooks"][self._average.name])
        return True

    def restore_last_good(self) -> int | None:
        """Take the weights as they were when all was last well; see `Learner.restore_last_good`."""
        return self._last_good.restore(self._loop.optimizer)

    def explained(self, signal: NonFinite) -> NonFiniteLossError:
        """The error for a loss that is not finite, with where it began; the run stands at its last good state."""
        return explain(self, self._loop, signal, self.saving.folder / REPLAY if self.saving else None)

    def _good(self) -> dict[str, Any]:
        """The state, if it is worth keeping.

        Raises:
            NonFinite: It is not.
            LearnerError: Another process has another state.
        """
        self.read()
        if not all_finite(self._loop.model.parameters()):  # a finite loss may still have had a gradient that is not
            raise NonFinite(self._loop.progress.step + 1)
        self.settle_buffers()
        told = {"identity": identity_of(self._loop), "files": json.dumps(self.files), **self._journal.state_dict()}
        state = state_of(self._loop)
        self._agreement.check(self._loop.progress.step, state)
        return {**told, **state}

    def _over(self) -> bool:
        """Whether no phase has anything left to do."""
        loop = self._loop
        phases = {name: phase.epochs for name, phase in loop.phases.items() if loop.model.active(name)}
        return all(loop.progress.over(name, epochs) for name, epochs in phases.items())

    def _load(self, state: dict[str, Any]) -> Changes:
        """Go on from a state; what was changed since."""
        step = state["progress"]["step"]
        changes = Changes(state["identity"], identity_of(self._loop), as_now(json.loads(state["files"])), self.files)
        if changes and not self._allow_changes:
            folder = self.saving.folder.parent if self.saving else None
            changes.refuse(step, folder if folder and (folder / "specs").is_dir() else None)
        load_state(self._loop, state, changes)
        self._journal.load_state_dict(state)
        self._agreement.good = step
        if changes:
            if self._goes_on != (told := (step, str(changes))):  # where a culprit is sought, it goes on again and again
                self._warn("The run goes on from step %d with changes:\n%s", *told)
            self._goes_on = told
            self._journal.note(f"resumed at step {step} with changes: {changes.in_a_line}")
        return changes

    def _seek_best(self, keeper: Keeper) -> None:
        """Where the best checkpoint is not there, what comes next is the best: it was never written, or was removed."""
        best = self._loop.progress.best
        if best and not keeper.has(best[1]):
            self._warn("The best checkpoint, of step %d, is not there; the best is sought anew from here.", best[1])
            self._loop.progress.best = None

    def _warn(self, text: str, *values: Any) -> None:
        if self._loop.processes.first:
            _LOG.warning(text, *values)
