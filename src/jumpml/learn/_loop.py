"""The loop: a batch, its losses, their gradients, an update; and all that has a state in it."""

from __future__ import annotations

import warnings
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import LearnerError, Loss, derive_seed, did_you_mean
from jumpml.data import Share
from jumpml.learn._hook import Hooks, Step
from jumpml.learn._progress import Progress
from jumpml.learn._random import RandomState
from jumpml.learn._stage import Stage, left_out_with
from jumpml.learn.hooks._balancing import Balancing
from jumpml.learn.hooks._carry import carry_optimizer
from jumpml.learn.hooks._cosines import Cosines
from jumpml.learn.optimizers._group_names import group_names
from jumpml.learn.optimizers._joint import names_of
from jumpml.learn.processes._processes import ALONE
from jumpml.learn.saving._snapshot import Snapshot
from jumpml.learn.schedules._rates import without_parameters
from jumpml.learn.schedules._schedules import TorchSchedule, schedules_of
from jumpml.learn.steps._descent import NONE, Descent, check_weights
from jumpml.learn.steps._execution import laid_out_alike
from jumpml.learn.steps._meter import NONE_MOVES, Meter
from jumpml.learn.steps._relived import look_at
from jumpml.learn.steps._window import Window, miscount, rows_of
from jumpml.learn.teaching._taught import TaughtOrder
from jumpml.learn.teaching._teaching import Teaching

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from jumpml.data import DataLoaders
    from jumpml.graph import Growth, Model
    from jumpml.learn._hook import Hook
    from jumpml.learn._phase import Phase
    from jumpml.learn.logs._logs import StepRecord
    from jumpml.learn.processes._processes import Processes
    from jumpml.learn.saving._identity import Changes
    from jumpml.learn.steps._descent import Descends
    from jumpml.learn.steps._execution import Execution
    from jumpml.learn.steps._relived import RelivedStep
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
        self._update, self._execution = update, execution
        self._miscounted: list[dict[str, Tensor]] = []
        self._initial = [without_parameters(group) for group in optimizer.param_groups]
        self._weights = {name: objective.weight for name, objective in model.objectives.items()}
        schedules = {name: objective.schedule for name, objective in model.objectives.items()}
        self._schedules = {name: schedule for name, schedule in schedules.items() if schedule is not None}
        self._plain = self._descent()
        self._balancing = next((hook for hook in self.hooks if isinstance(hook, (Balancing, Cosines))), None)
        if self._balancing and execution.compile is not None:
            self._balancing.check_compiled()
        self._teaching = next((hook for hook in self.hooks if isinstance(hook, Teaching)), None)
        self._descend: Descends = self._plain
        self._meter = Meter(self._weights, processes)
        self._groups: Sequence[str] = ()  # whose learning rates are told one by one

    def enter(self, name: str) -> Stage:
        """Set up what depends on the phase; how far it has come is `Progress`'s.

        Raises:
            LearnerError: There is no such phase, no objective is active in it, or nothing trains.
        """
        if name not in self.phases:
            raise LearnerError(f"there is no phase {name!r}. {did_you_mean(name, self.phases)}")
        self.stage = self._stage(name, trained=self.stage.trained if self.stage else ())
        self.progress.phase = name
        self._groups = self._told_apart()
        for enter in self.hooks.enter:
            enter(self.stage)
        return self.stage

    def _stage(self, name: str, trained: Collection[nn.Parameter]) -> Stage:
        """A phase, with what a teacher and a balancer put in the place of parts of it."""
        self.loaders.seed = self.seed  # a teacher's arms are drawn by it
        stage = Stage(
            name,
            self.phases[name],
            model=self.model,
            loaders=self.loaders,
            optimizer=self.optimizer,
            initial=self._initial,
            execution=self._execution,
            accumulate=self.accumulate,
            positions=self.hooks.positions,
            trained=trained,
            stopped=self.progress.stopped.get(name, ()),
        )
        stage.untold = stage.untold and self.processes.first
        if self._teaching:
            self._teaching.on(stage, accumulate=self.accumulate)
        if not self.processes.alone:
            self._plain = self._descent(stage.trained)
        self._descend = self._balancing.on(stage, self._plain) if self._balancing else self._plain
        return stage

    def _descent(self, trained: Sequence[nn.Parameter] = ()) -> Descent:
        weights, scale = self._weights, self._update.scale
        return Descent(weights, self._schedules, scale, trained=trained, processes=self.processes)

    def _told_apart(self) -> Sequence[str]:
        """The optimizer's groups by name, where they have, or may come to have, learning rates of their own."""
        schedules = schedules_of(self.phases[self.progress.phase].schedule) if self.progress.phase else ()
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
        moved = self._move_weights(stage) if self._schedules else NONE_MOVES
        rates = [group["lr"] for group in self.optimizer.param_groups]
        alone = len(batches) == 1 and self.processes.alone
        steps, losses, rows = (self._learn_one if alone else self._learn_all)(stage, batches)
        for join in self.hooks.join:
            if (joining := join(stage)) is not None:
                self._plain.join(joining)
        self._descend.finish(losses, rows)
        self._update.unscale()
        for differentiated in self.hooks.differentiated:
            differentiated(stage)
        self._update.move(stage.trained)
        if stage.untold:
            stage.tell_of_idle(self.model)
        stage.advance()
        self.progress.step += 1
        self.progress.batch += len(batches)
        self._meter.add(self.progress.step, rates, losses, rows, moved)
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
        window = Window(stage.plan, batches, self.processes)
        steps = [self._learn(stage, batch, window) for batch in batches]
        self._miscounted.append(window.miscounted())
        return steps, window.losses(steps), window.rows

    def look_at(self, stage: Stage, batches: Sequence[Mapping[str, Tensor]]) -> tuple[RelivedStep, Snapshot]:
        """The coming step's losses and gradients, without an update; and what it takes to see them again."""
        if self._schedules:
            self._move_weights(stage)
        served = [dict(batch) for batch in batches]
        state = {
            "step": self.progress.step + 1,
            "phase": stage.name,
            "stopped": [*self.progress.stopped.get(stage.name, ())],
            "lineage": [*self.model.lineage],
            "net": self.model.state_dict(),
            "weights": dict(self._weights),
            "random": self.random.state_dict(),
            "batches": served,
        }
        kept = Snapshot.take({"model": {}, **state})
        return look_at(self.model, stage, served, self._weights, state["step"]), kept

    def relive(self, state: Mapping[str, Any]) -> RelivedStep:
        """The same of a step that was kept; the model stands before it then."""
        self.regrow(state["lineage"])
        self.model.load_state_dict(state["net"])
        self.progress.stopped[state["phase"]] = [*state["stopped"]]
        stage = self.enter(state["phase"])
        self._weights.update(state["weights"])
        self.model.train()
        with self.random:
            self.random.load_state_dict(state["random"])
            device = self.loaders.device
            batches = [{name: value.to(device) for name, value in batch.items()} for batch in state["batches"]]
            return look_at(self.model, stage, batches, self._weights, state["step"])

    def grew(self, growth: Growth) -> None:
        """Go on with a model that has grown, where the phase stands."""
        groups = self._options()
        carry_optimizer(self.optimizer, growth)
        came = {n: o.weight for n, o in self.model.objectives.items() if n not in self._weights}
        self._weights.update(came)
        self._meter.take_in(came)
        self.loaders.bind([name for name in self.model.inputs if name in self.loaders.readable])
        self.hooks.grew(growth)
        if self.stage is not None:
            self._set_up_again(self.stage, groups)

    def stop_task(self, task: str) -> None:
        """Leave a task out of what remains of the phase; see `Learner.stop_task`."""
        stage = self.stage
        if stage is None or task not in self.model.tasks or task not in stage.active:
            learning = [name for name in self.model.tasks if stage is not None and name in stage.active]
            near = did_you_mean(task, learning) if learning else "No task learns now."
            raise LearnerError(f"task {task!r} cannot be left out: it does not learn. {near}")
        stopped = [*self.progress.stopped.get(stage.name, ()), task]
        left_out, _ = left_out_with(stopped, stage.name, self.model)
        if not {*self.model.active(stage.name)} - left_out:
            raise LearnerError(f"task {task!r} cannot be left out: nothing else learns in phase {stage.name!r}.")
        self.progress.stopped[stage.name] = stopped
        self._set_up_again(stage, self._options())

    def _options(self) -> list[dict[str, Any]]:
        """By group of the optimizer, all but its parameters."""
        return [{key: value for key, value in g.items() if key != "params"} for g in self.optimizer.param_groups]

    def _set_up_again(self, stage: Stage, groups: Sequence[Mapping[str, Any]]) -> None:
        """Go on where the phase stands, with another model or other objectives."""
        held = {id(p) for g in self.optimizer.param_groups for p in g["params"]}
        state, order = stage.state_dict(), stage.order
        self.stage = self._stage(stage.name, trained=[p for p in self.model.parameters() if id(p) in held])
        for group, before in zip(self.optimizer.param_groups, groups, strict=True):
            group.update(before)
        self.stage.load_state_dict(state)
        if self.stage.order is None and not isinstance(order, TaughtOrder):
            self.stage.order, self.stage.ways = order, stage.ways
        else:
            for way in stage.ways:
                self.stage.rearrange(way)
        self._groups = self._told_apart()

    def regrow(self, lineage: Sequence[Mapping[str, Any]]) -> None:
        """Bring the model, and what stands beside it, into the shape of a lineage; weights are to be loaded then."""
        for growth in self.model.regrow(lineage):
            self.grew(growth)
        self.model.let_go()

    def close_epoch(self, name: str) -> tuple[dict[str, float], dict[str, int]]:
        """The open epoch is over: the next batch is of the next one. All steps must have been read.

        Returns:
            Means over the epoch's rows, by objective, and how many rows counted.
        """
        self.progress.epochs[name] = self.progress.closed(name) + 1
        self.progress.batch = 0
        return self._meter.end_epoch()

    def validated(self, val: Mapping[str, float]) -> None:
        """An epoch's figures are there, which a schedule may follow."""
        if self.stage is not None:
            self.stage.closed(val)

    @property
    def weights(self) -> Mapping[str, float]:
        """By objective, what its mean is multiplied by in the step that is under way, or was last."""
        return self._weights

    @property
    def compiled(self) -> bool:
        """Whether losses are computed by code that `torch.compile` makes."""
        return self._execution.compile is not None

    @property
    def skips_updates(self) -> bool:
        """Whether an update whose gradients are not finite is left out."""
        return self._update.skips

    @property
    def unread(self) -> int:
        """Steps whose losses are still on the device."""
        return len(self._meter)

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
        records = self._meter.read(self.progress.phase or "", self._groups)
        if self._teaching:
            self._teaching.check()
        return records

    def identity(self) -> dict[str, str]:
        """What must be the same for a resumed run to be the same run."""
        return {
            "seed": str(self.seed),
            "train rows": str(len(self.loaders.train.rows)),
            "batch size": str(self.loaders.batch_size),
            "how rows are drawn": self.loaders.train.fingerprint(),
            "optimizer": names_of(self.optimizer),
            **self._update.identity(),
            "accumulate": str(self.accumulate),
            "execution": str(self._execution),
            **({} if self.processes.alone else {"processes": str(self.processes.count)}),
            **self.hooks.identity(),
            **{f"phase {name}": str(phase) for name, phase in self.phases.items()},
        }

    def state_dict(self) -> dict[str, Any]:
        """All of it. The steps must have been read."""
        return {
            "lineage": [*self.model.lineage],
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "update": self._update.state_dict(),
            "stage": self.stage.state_dict() if self.stage else None,
            "random": self._random(),
            "meter": self._meter.state_dict(),
            "progress": vars(self.progress),
            "hooks": self.hooks.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], changes: Changes) -> None:
        """Go on from a state.

        Args:
            state: Of this loop, or of one that was another.
            changes: What was another.

        Raises:
            CheckpointError: A part of the state does not fit what was changed.
        """
        self.progress.load(state["progress"])
        self._meter.load_state_dict(state["meter"])
        phase, told = self.phases.get(self.progress.phase or ""), state["stage"] or {}
        moved = phase is not None and told.get("data", [*phase.data]) != [*phase.data]
        anew = (changes.orders or moved) and self.progress.batch > 0
        if anew:  # the open epoch has other batches now
            self.progress.batch = 0
            self._meter.end_epoch()
        with changes.fitting("the model's weights"):
            self.regrow(state["lineage"])
            self.model.load_state_dict(state["model"])
        stage = self.enter(self.progress.phase) if self.progress.phase else None
        fresh = [{key: group[key] for key in group if key != "params"} for group in self.optimizer.param_groups]
        with changes.fitting("the optimizer"):
            if "optimizer" not in changes.by_key:  # another one's moments mean nothing to it
                self.optimizer.load_state_dict(state["optimizer"])
                if self._execution.channels_last:
                    laid_out_alike(self.optimizer)
            self._update.load_state_dict(state["update"])
            if stage and not changes.rates:
                stage.load_state_dict(state["stage"])
        if stage and changes.rates:
            self._move_rates(stage, fresh)
        with changes.fitting("what joins the loop"):
            self.hooks.load_state_dict(state["hooks"])
        if anew and self._teaching:
            self._teaching.begin_anew()
        random = state["random"]
        every = random.get("processes", [random])
        if len(every) == self.processes.count:  # another number of them draws anew
            self.random.load_state_dict(every[self.processes.rank])

    def _random(self) -> dict[str, Any]:
        """The generators' states: where several processes learn, each has its own."""
        states = self.processes.gather(self.random.state_dict())
        return states[0] if self.processes.alone else {"processes": states}

    def _move_rates(self, stage: Stage, fresh: Sequence[Mapping[str, Any]]) -> None:
        """Let the rates stand where they would, had they moved so since the phase began; a plateau begins afresh."""
        for group, options in zip(self.optimizer.param_groups, fresh, strict=True):
            group.update(options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch misses the updates, which were another process's
            an_epoch = -(-len(self.loaders.train) // self.accumulate)
            done = -(-self.progress.batch // self.accumulate)
            for _ in range(self.progress.closed(stage.name) * an_epoch + done):
                stage.advance()

    def _move_weights(self, stage: Stage) -> dict[str, float]:
        """The weights of the coming step of those that move: a function of how far the phase is, and so of no state."""
        phase = stage.name
        epoch = self.progress.closed(phase) + self.progress.batch / len(self.loaders.train)
        moved = {name: way.at(epoch, self.phases[phase].epochs) for name, way in self._schedules.items()}
        self._weights.update(moved)
        return {name: weight for name, weight in moved.items() if name in stage.active}
