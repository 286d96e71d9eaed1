"""The loop: a batch, its losses, their gradients, an update."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError, Loss, derive_seed, did_you_mean
from jumpml.data import Share
from jumpml.learn._hook import Hooks, Step
from jumpml.learn._progress import Progress
from jumpml.learn._random import RandomState
from jumpml.learn._stage import Stage
from jumpml.learn.hooks._balancing import Balancing
from jumpml.learn.hooks._cosines import Cosines
from jumpml.learn.optimizers._group_names import group_names
from jumpml.learn.processes._processes import ALONE
from jumpml.learn.schedules._rates import without_parameters
from jumpml.learn.schedules._schedules import TorchSchedule, schedules_of
from jumpml.learn.steps._descent import NONE, Descent, check_weights
from jumpml.learn.steps._meter import NONE_MOVES, Meter
from jumpml.learn.steps._moving_weights import MovingWeights
from jumpml.learn.steps._window import Window, miscount, rows_of
from jumpml.learn.teaching._teaching import Teaching

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._hook import Hook
    from jumpml.learn._phase import Phase
    from jumpml.learn.logs._logs import StepRecord
    from jumpml.learn.processes._processes import Processes
    from jumpml.learn.steps._descent import Descends
    from jumpml.learn.steps._execution import Execution
    from jumpml.learn.steps._update import Update


class Loop:
    """Moves a model's weights batch by batch, in the phase that was entered.

    Args:
        loaders: The data.
        model: The model.
        optimizer: Over its parameters.
        phases: By name.
        seed: Of orders, augmentations and dropout masks.
        update: What moves the weights.
        execution: How losses are computed.
        accumulate: Batches of an update.
        hooks: What joins.
        processes: Those that learn together.

    Attributes:
        progress: How far it has come.
        stage: The phase that is set up; none at first.
        weights: What each objective's mean is multiplied by.
        meter: The losses since the log was last written.
        groups: The optimizer's by name, where learning rates are told one by one.
        teaching: The hook of a teacher, where there is one.
    """

    def __init__(
        self,
        loaders: DataLoaders,
        model: Model,
        optimizer: Optimizer,
        *,
        phases: Mapping[str, Phase],
        seed: int,
        update: Update,
        execution: Execution,
        accumulate: int,
        hooks: Iterable[Hook],
        processes: Processes = ALONE,
    ) -> None:
        self.loaders, self.model, self.optimizer = loaders, model, optimizer
        self.phases = phases
        self.hooks = Hooks(hooks)
        self.progress = Progress()
        self.processes = processes
        self.random = RandomState(derive_seed(seed, "process", processes.rank) if processes.rank else seed)
        self.stage: Stage | None = None
        self.seed = seed
        self.accumulate = accumulate
        self.update, self.execution = update, execution
        self.weights = MovingWeights(model.objectives)
        self.meter = Meter(self.weights.now, processes)
        self.groups: Sequence[str] = ()
        self.teaching = next((hook for hook in self.hooks if isinstance(hook, Teaching)), None)
        self._miscounted: list[dict[str, Tensor]] = []
        self._initial = [without_parameters(group) for group in optimizer.param_groups]
        self._plain = self._descent()
        self._balancing = next((hook for hook in self.hooks if isinstance(hook, (Balancing, Cosines))), None)
        if self._balancing and execution.compile is not None:
            self._balancing.check_compiled()
        self._descend: Descends = self._plain

    def enter(self, name: str) -> Stage:
        """Set up what depends on the phase; how far it has come is `Progress`'s.

        Raises:
            LearnerError: There is no such phase, no objective is active in it, or nothing trains.
        """
        if name not in self.phases:
            raise LearnerError(f"there is no phase {name!r}. {did_you_mean(name, self.phases)}")
        stage = self.set_up(name, trained=self.stage.trained if self.stage else ())
        self.progress.phase = name
        for enter in self.hooks.enter:
            enter(stage)
        return stage

    def set_up(self, name: str, trained: Collection[nn.Parameter]) -> Stage:
        """A phase, with what a teacher and a balancer put in the place of parts of it; hooks are not told.

        Args:
            name: The phase.
            trained: The parameters that trained before, whose state stays.
        """
        self.loaders.seed = self.seed  # a teacher's arms are drawn by it
        stage = Stage(
            name,
            self.phases[name],
            model=self.model,
            loaders=self.loaders,
            optimizer=self.optimizer,
            initial=self._initial,
            execution=self.execution,
            accumulate=self.accumulate,
            positions=self.hooks.positions,
            trained=trained,
            stopped=self.progress.stopped.get(name, ()),
        )
        stage.untold = stage.untold and self.processes.first
        if self.teaching:
            self.teaching.on(stage, accumulate=self.accumulate)
        if not self.processes.alone:
            self._plain = self._descent(stage.trained)
        self._descend = self._balancing.on(stage, self._plain) if self._balancing else self._plain
        self.stage, self.groups = stage, self._told_apart(name)
        return stage

    def _descent(self, trained: Sequence[nn.Parameter] = ()) -> Descent:
        weights, scale = self.weights, self.update.scale
        return Descent(weights.now, weights.moving, scale, trained=trained, processes=self.processes)

    def _told_apart(self, name: str) -> Sequence[str]:
        """The optimizer's groups by name, where they have, or may come to have, learning rates of their own."""
        schedules = schedules_of(self.phases[name].schedule)
        rates = {group["lr"] for group in self._initial}
        apart = len(rates) > 1 or any(isinstance(schedule, TorchSchedule) for schedule in schedules)
        return group_names(self.optimizer, self.model) if apart and len(self._initial) > 1 else ()

    def remaining(self) -> Iterator[dict[str, Tensor]]:
        """What is left of the open epoch, in training mode."""
        self.loaders.seed = self.seed  # another learner may have used the loaders meanwhile
        if self.stage is not None:
            self.loaders.train.serve(*self.stage.served, self.stage.order)
        if self.progress.batch > (count := len(self.loaders.train)):
            raise LearnerError(
                f"{self.progress.batch} batches were learned by hand in an epoch of {count}: close each epoch with "
                "learner.train_epoch() once its batches are done, before the next one's first step."
            )
        processes = self.processes
        self.loaders.train.share = None if processes.alone else Share(processes.rank, processes.count)
        self.loaders.train.load_state_dict({"epoch": self.progress.epoch, "batch": self.progress.batch})
        if not self.model.training:  # walking through all modules costs as much as a step's bookkeeping
            self.model.train()
        return iter(self.loaders.train)

    def windows(self) -> Iterator[list[dict[str, Tensor]]]:
        """What is left of the open epoch, as many batches at a time as one update takes; the last may have fewer."""
        batches = self.remaining()
        while window := list(islice(batches, self.accumulate)):
            yield window

    def step(self, stage: Stage, batches: Sequence[Mapping[str, Tensor]]) -> None:
        """One update of the weights, on one batch or on several as if they were one."""
        for parameter in stage.trained:  # no other has a gradient: `zero_grad` would look at them all
            parameter.grad = None
        moved = self.move_weights(stage) if self.weights.moving else NONE_MOVES
        rates = [group["lr"] for group in self.optimizer.param_groups]
        alone = len(batches) == 1 and self.processes.alone
        steps, losses, rows = (self._learn_one if alone else self._learn_all)(stage, batches)
        for join in self.hooks.join:
            if (joining := join(stage)) is not None:
                self._plain.join(joining)
        self._descend.finish(losses, rows)
        self.update.unscale()
        for differentiated in self.hooks.differentiated:
            differentiated(stage)
        self.update.move(stage.trained)
        if stage.untold:
            stage.tell_of_idle(self.model)
        stage.advance()
        self.progress.step += 1
        self.progress.batch += len(batches)
        self.meter.add(self.progress.step, rates, losses, rows, moved)
        for learned in self.hooks.learned:
            for step in steps:
                learned(step)
        for updated in self.hooks.updated:
            updated(steps[-1])

    def _learn(self, stage: Stage, batch: Mapping[str, Tensor], window: Window | None = None) -> Step:
        """A batch's gradients, and what is told of it."""
        for arrived in self.hooks.arrived:
            arrived(batch)
        losses, values = stage.plan(batch)
        rows = rows_of(batch)
        kept = {name: Loss(value.detach(), present) for name, (value, present) in losses.items()}
        counts = self._counts(kept, batch) if self.hooks.weigh else NONE
        starts = self._plain.starts(losses, window, rows, counts)
        step = Step(self.progress.step + 1, self.optimizer.param_groups[0]["lr"], kept, values, batch, rows)
        self._descend(starts, step, alone=window is None or window.single)
        return step

    def _counts(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By objective, what each row's gradient is multiplied by, as the hooks say."""
        counts: dict[str, Tensor] = {}
        for weigh in self.hooks.weigh:
            for name, weights in (weigh(losses, batch) or {}).items():
                check_weights(name, weights, losses)
                counts[name] = counts[name] * weights if name in counts else weights
        return counts

    def _learn_one(
        self, stage: Stage, batches: Sequence[Mapping[str, Tensor]]
    ) -> tuple[list[Step], Mapping[str, Loss], int]:
        """The gradients of one batch; what is told of it, its losses and its rows."""
        (batch,) = batches
        step = self._learn(stage, batch)
        return [step], step.losses, step.rows

    def _learn_all(
        self, stage: Stage, batches: Sequence[Mapping[str, Tensor]]
    ) -> tuple[list[Step], Mapping[str, Loss], int]:
        """The gradients of several batches as of one; what is told of each, and the losses and rows of all."""
        if not batches:
            raise LearnerError("an update needs a batch: step() was given none.")
        divisor = None if self._descend.early else self.accumulate * self.loaders.batch_size
        window = Window(stage.plan, batches, self.processes, divisor)
        self._plain.share = window.share
        steps = [self._learn(stage, batch, window) for batch in batches]
        self._miscounted.append(window.miscounted())
        return steps, window.losses(steps), window.rows

    def move_weights(self, stage: Stage) -> dict[str, float]:
        """Let objectives have their weights of the coming step; those of the phase that move."""
        phase = stage.name
        epoch = self.progress.closed(phase) + self.progress.batch / len(self.loaders.train)
        return self.weights.move(epoch, self.phases[phase].epochs, stage.active)

    def close_epoch(self, name: str) -> tuple[dict[str, float], dict[str, int]]:
        """The open epoch is over: the next batch is of the next one. All steps must have been read.

        Returns:
            Means over the epoch's rows, by objective, and how many rows counted.
        """
        self.progress.epochs[name] = self.progress.closed(name) + 1
        self.progress.batch = 0
        return self.meter.end_epoch()

    def validated(self, val: Mapping[str, float]) -> None:
        """An epoch's figures are there, which a schedule may follow."""
        if self.stage is not None:
            self.stage.closed(val)

    @property
    def unread(self) -> int:
        """Steps whose losses are still on the device."""
        return len(self.meter)

    def read(self) -> Iterator[StepRecord]:
        """Read the losses of the steps since the last reading, all at once.

        Raises:
            NonFinite: A loss is NaN or infinite.
            LearnerError: An objective counted other rows than it had told before, or a reward is not finite.
        """
        flags, self._miscounted = self._miscounted, []
        for name in dict.fromkeys(name for flag in flags for name in flag):
            if torch.stack([flag[name] for flag in flags if name in flag]).any():
                raise miscount(name)
        records = self.meter.read(self.progress.phase or "", self.groups)
        if self.teaching:
            self.teaching.check()
        return records
