"""A learner's phases, epoch by epoch."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from jumpml.core import EpochRecord, derive_seed
from jumpml.learn._reshaping import follow, leave_out
from jumpml.learn._undo import Undo
from jumpml.learn._validation import improves, validate
from jumpml.learn.continual._consolidation import consolidate
from jumpml.learn.hooks._averaging import EMA
from jumpml.learn.hooks._grow import check_classes, with_fields
from jumpml.learn.hooks._swa import SWA
from jumpml.learn.logs._journal import Journal
from jumpml.learn.misfits._wrong_phases import refuse_idle
from jumpml.learn.optimizers._group_names import rates_of
from jumpml.learn.saving._states import States
from jumpml.learn.saving._stopper import Stopper
from jumpml.learn.schedules._schedules import plateaus_of
from jumpml.learn.steps._meter import NonFinite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.graph import Growth, Surgery
    from jumpml.learn._learner import Learner
    from jumpml.learn._loop import Loop
    from jumpml.learn._progress import Saving
    from jumpml.learn._stage import Stage
    from jumpml.learn.logs._logs import Log

LOG_EVERY = 50  # steps between two readings of the device
UNREAD_AT_MOST = 1000  # steps by hand


class Run:
    """Runs a loop through its phases: validates each epoch, tells it, and keeps what was learned.

    Args:
        learner: Whose `step` makes the steps: a class of one's own may have another.
        loop: What moves the weights.
        saving: When and where checkpoints are written; none where None.
        logs: Where figures go.
        average: The average of the weights, if there is one.

    Attributes:
        loop: The same.
        journal: What is told of it.
        states: What is kept of it.
        average: The average.
    """

    def __init__(
        self, learner: Learner, loop: Loop, *, saving: Saving | None, logs: Sequence[Log], average: EMA | SWA | None
    ) -> None:
        self._learner = learner
        self.loop, self.average = loop, average
        self.journal = Journal(logs)
        self.states = States(loop, self.journal, saving, average)
        self._grew = False  # in the open epoch
        self._stopper = Stopper(loop.processes, loop.loaders.device)

    def phase(self, name: str) -> list[EpochRecord]:
        """What remains of a phase.

        Raises:
            LearnerError: No objective is active in it.
        """
        refuse_idle(name, self.loop.model)
        first = len(self.journal.records)
        with self.at_work():
            while not self.over(name):
                self.epoch(name)
            self.states.settle()
        return self.journal.records[first:]

    def over(self, name: str) -> bool:
        """Whether nothing remains of a phase."""
        return self.loop.progress.over(name, self.loop.phases[name].epochs)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Inside, the global generators and Ctrl-C are the learner's, and logs may hold the terminal; later no more."""
        with self.loop.random, self._stopper if self.states.keeper else nullcontext():
            try:
                yield
                if self.states.keeper and self._stopper.agreed():
                    self._stop()
            except BaseException:
                if not self._stopper.asked:  # or all is written, or a second Ctrl-C wants no waiting
                    self.states.settle()
                raise
            finally:
                self.journal.pause()
                self.loop.loaders.train.share = None  # what a program reads by itself are whole batches

    def epoch(self, name: str) -> EpochRecord:
        """One epoch of a phase, or what remains of the open one; inside `at_work`."""
        loop = self.loop
        try:
            if loop.stage is None or loop.stage.name != name:
                self.enter(name)
                self.states.save()
            updates = -(-len(loop.loaders.train) // loop.accumulate)
            self.journal.begin(name, loop.phases[name].epochs, loop.progress.closed(name), updates)
            return self._epoch(name)
        except NonFinite as signal:
            raise self.states.explained(signal) from None

    def enter(self, name: str) -> Stage:
        """Set up a phase."""
        self.states.read()  # steps by hand in another phase had other objectives
        stage = self.loop.enter(name)
        self.states.hold()
        return stage

    def step(self, batches: Sequence[Mapping[str, Tensor]]) -> None:
        """One update of the weights; in a loop of the user's own nobody else reads."""
        self.loop.step(self.loop.stage or self.enter("supervised"), batches)
        if self.loop.unread >= UNREAD_AT_MOST:
            try:
                self.states.read()
            except NonFinite as signal:
                raise self.states.explained(signal) from None

    def consolidate(self) -> None:
        """Let every objective that keeps what was learned take the model as it is now; see `Learner.consolidate`."""
        seed = derive_seed(self.loop.seed, "consolidate", self.loop.progress.step)
        average = self.average if isinstance(self.average, EMA) else None
        self.states.settle_buffers()
        consolidate(self.loop.model, self.loop.loaders, seed, average=average.model if average else None)
        if average:
            average.pair()

    def stop_task(self, task: str) -> None:
        """Leave a task out; see `Learner.stop_task`."""
        self.states.read()
        leave_out(self.loop, task)
        self.states.hold()

    def grow(self, surgery: Surgery) -> Growth:
        """Do a surgery to the model, and go on; see `Learner.grow`."""
        loop = self.loop
        check_classes(surgery, loop.loaders)
        self.states.read()
        if isinstance(self.average, SWA):
            self.average.check_growth()
        undo = Undo(loop)
        growth = loop.model.grow(with_fields(surgery, loop.model, loop.loaders), seed=loop.seed)
        try:
            follow(loop, growth)
        except BaseException:
            undo.back()
            raise
        self.states.hold()
        for model in (loop.model, *([self.average.model] if isinstance(self.average, EMA) else [])):
            model.let_go()
        if not surgery.preserves:  # what was measured is not what there is now
            loop.progress.best = None
        self.journal.note(growth.text)
        self._grew = True
        return growth

    def _epoch(self, name: str) -> EpochRecord:
        start, loop, saving = time.perf_counter(), self.loop, self.states.saving
        for batches in loop.windows():
            self._learner.step(*batches)
            if loop.unread >= LOG_EVERY:
                self.states.read()
            if saving and self._stopper.after_step():
                self._stop()
            if saving and saving.after_step(loop.progress.step):
                self.states.save()
        self.states.read()
        return self._close(name, start)

    def _close(self, name: str, start: float) -> EpochRecord:
        loop, saving = self.loop, self.states.saving
        losses, rows = loop.close_epoch(name)
        val = self._validate(name)
        improved = improves(saving, loop.progress, val)
        record = EpochRecord(
            phase=name,
            epoch=loop.progress.closed(name),
            step=loop.progress.step,
            losses=losses,
            val=val,
            rows=rows,
            lr=loop.optimizer.param_groups[0]["lr"],
            rates=rates_of(loop.optimizer, loop.groups),
            seconds=time.perf_counter() - start,
        )
        loop.validated(val)
        for closed in loop.hooks.closed:
            closed(record)
        record = self.journal.epoch(record)
        over = record.epoch == loop.phases[name].epochs or name in loop.progress.ended
        if over and loop.phases[name].consolidate:
            self.consolidate()
        grew, self._grew = self._grew, False  # a growth is lived again from a checkpoint that has it
        if saving and (over or improved or grew or saving.after_epoch(record.epoch)):
            self.states.save()
        return record

    def _validate(self, name: str) -> dict[str, float]:
        loop, best = self.loop, self.states.saving.best if self.states.saving else None
        figures = {*([best] if best else ()), *(figure for hook in loop.hooks for figure in hook.figures)}
        figures |= {plateau.metric for plateau in plateaus_of(loop.phases[name].schedule)}
        figures -= {f"val/{figure}" for hook in loop.hooks for figure in hook.measures(loop.model)}
        averaged = self.average.model if self.average else None
        self.states.settle_buffers()
        val = validate(sorted(figures), loop.loaders, averaged or loop.model, name)
        for validated in loop.hooks.validated:
            val |= validated(name, loop.progress.closed(name))
        return loop.processes.from_first(lambda: val)  # by whose last bits all decide

    def _stop(self) -> None:
        """Save what was learned, and do what Ctrl-C or SIGTERM asked for."""
        try:
            self.states.save()
        except NonFinite as signal:
            raise self.states.explained(signal) from None
        kept = self.states.keeper.kept() if self.states.keeper else ""
        raise self._stopper.stopped(f"after step {self.loop.progress.step}{kept}")
