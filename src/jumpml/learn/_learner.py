"""The learner: phases of a short, readable loop, exact on resume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from jumpml.core import EpochRecord, LearnerError
from jumpml.evaluate import evaluate, predict
from jumpml.learn._history import RunHistory
from jumpml.learn._loop import Loop
from jumpml.learn._phase import Phase, self_supervised
from jumpml.learn._run import Run
from jumpml.learn.adapting import adapt_to
from jumpml.learn.continual._paths import path_hooks
from jumpml.learn.hooks._averaging import EMA
from jumpml.learn.hooks._examples import ExampleRecorder
from jumpml.learn.hooks._objectives import TellObjectives
from jumpml.learn.hooks._swa import SWA
from jumpml.learn.misfits._misfits import check_fit
from jumpml.learn.misfits._wrong_data import check_lengths
from jumpml.learn.misfits._wrong_steps import check_steps
from jumpml.learn.optimizers._joint import joined
from jumpml.learn.processes._devices import own_device
from jumpml.learn.processes._processes import Processes
from jumpml.learn.processes._same import check_same_model, check_same_run
from jumpml.learn.steps._execution import Compile, Execution
from jumpml.learn.steps._means import count_of, of_all
from jumpml.learn.steps._relived import load_step
from jumpml.learn.steps._reliving import relive
from jumpml.learn.steps._update import Update
from jumpml.learn.steps._window import rows_of
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from jumpml.core import InitializationRecord
    from jumpml.data import DataLoaders
    from jumpml.evaluate import EvalResults
    from jumpml.graph import Growth, Model, Surgery
    from jumpml.learn._hook import Hook
    from jumpml.learn._progress import Progress, Saving
    from jumpml.learn._random import RandomState
    from jumpml.learn._stage import Stage
    from jumpml.learn.adapting import Adaptation, AdaptationMethod, Adapted
    from jumpml.learn.logs._logs import Log
    from jumpml.learn.steps._execution import Precision
    from jumpml.learn.steps._relived import RelivedStep
    from jumpml.learn.trials import BatchSizes, LearningRates, OverfitReport, StepProfile


class Learner:
    """Trains a model in phases.

    Everything that matters is in its checkpoints: weights, optimizer, schedule, average, random generators, the place
    in the data, what was recorded. A run that was killed and resumed ends with the same bits as one that was not.

    Attributes:
        initialized: By node, what of it was drawn before it learned; nothing where a run goes on.
        adaptation: How `adapt` adapts where it is not told.
        processes: Those that learn together; this one alone mostly.

    Args:
        loaders: The data.
        model: The model; it is moved to the device, as are the loaders.
        optimizer: Any of `torch.optim` over the model's parameters, or several, by name or in a list.
        phases: By name, in their order; see `Phase`.
        seed: Of orders, augmentations and dropout masks.
        device: Where to train.
        accumulate: Batches of an update: their rows together are as one batch.
        clip_norm: Scale the gradient down to this norm where it is longer.
        clip_value: Cut each element of the gradient off at this size.
        precision: What matrices are multiplied in: ``float32``, ``bfloat16``, ``float16``. Weights are float32.
        compile: Whether `torch.compile` makes code of a phase's forward pass and losses, or how.
        channels_last: Whether images and their weights lie in memory pixel by pixel.
        ema: The decay of an average of the weights; none where None.
        saving: When and where checkpoints are written; none where None.
        record_examples: Whether loss, margin and decision of every row are kept; never where augmentation mixes rows.
        log: Where figures go.
        hooks: What else joins the loop; see `Hook`.
        distribute: With ``ddp`` the processes that `torchrun` has started learn together, each from its share of every
            batch; only the first one's checkpoints and logs are written. What is asked of the learner all ask then,
            in the same order: a call by one alone waits for the others.

    Raises:
        LearnerError: The parts do not fit: an unknown phase, view or node, a batch too short for what needs two rows,
            an optimizer of other parameters, a node that needs all tokens of a text that batches cut.
            Or ``distribute`` is neither of the two; or, with ``ddp``, other processes have another model, other data or
            other options.
        GraphError: Model and data do not fit.

    Example:
        >>> import torch, jumpml
        >>> from jumpml.core import DataSpec, load_spec
        >>> loaders = jumpml.create_dataloader({"datasets": {"iris": {"source": {"kind": "sklearn", "name": "iris"},
        ...     "fields": {"x": {"kind": "tensor", "column": "data", "shape": [4]},
        ...                "species": {"kind": "category", "column": "target"}},
        ...     "split": {"stratify": "species", "duplicates": "together"}}}})
        >>> model = jumpml.load_model({"nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        ...     "tasks": {"species": {"kind": "multiclass", "output": "out", "target": "species"}}}, loaders)
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> learner = Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=2)})
        >>> learner.train_epoch().epoch
        1
    """

    def __init__(
        self,
        loaders: DataLoaders,
        model: Model,
        optimizer: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
        *,
        phases: Mapping[str, Phase] | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        precision: Precision = "float32",
        compile: bool | Compile = False,
        channels_last: bool = False,
        ema: float | None = None,
        saving: Saving | None = None,
        record_examples: bool = True,
        log: Sequence[Log] = (),
        hooks: Sequence[Hook] = (),
        distribute: Literal["none", "ddp"] = "none",
    ) -> None:
        self.phases = dict(phases or {"supervised": Phase()})
        self.processes = Processes.meant_by(distribute)
        device = torch.device(device) if distribute == "none" else own_device(torch.device(device))
        self.model = model.to(device)
        check_same_model(self.processes, model)
        self.processes.give((*model.parameters(), *model.buffers()))
        self.loaders = loaders.to(device)
        self.optimizer = joined(optimizer)
        measured = [figure for hook in hooks for figure in hook.measures(model)]
        check_fit(model, loaders, self.optimizer, self.phases, measured, count=self.processes.count)
        _bind(model, loaders)
        if channels_last:
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        average = _average_of(model, ema, hooks)
        # A loss of mixed rows is no row's own.
        self._recorder = ExampleRecorder(model.tasks) if record_examples and not loaders.mixes_rows else None
        own = [hook for hook in (average, self._recorder) if hook is not None and hook not in hooks]
        execution = Execution(
            precision=precision,
            compile=(Compile() if compile else None) if isinstance(compile, bool) else compile,
            channels_last=channels_last,
            dynamic=bool(loaders.shortest()),
        )
        scaled = loaders.device.type if precision == "float16" else None
        update = Update(self.optimizer, clip_norm=clip_norm, clip_value=clip_value, scaled=scaled)
        check_steps(execution, loaders.device, accumulate=accumulate, clips=(clip_norm, clip_value))
        self._loop = Loop(
            loaders,
            model,
            self.optimizer,
            phases=self.phases,
            seed=seed,
            update=update,
            execution=execution,
            accumulate=accumulate,
            hooks=[*own, *hooks, *path_hooks(model), TellObjectives()],
            processes=self.processes,
        )
        check_same_run(self._loop, saving)
        logs = log if self.processes.first else ()
        self._run = Run(self, self._loop, saving=saving, logs=logs, average=average)
        self.initialized: Mapping[str, InitializationRecord] = {}
        self.adaptation: Adaptation | None = None
        for hook in self._loop.hooks:
            hook.attach(self)

    # --- what users call ------------------------------------------------------------------------------------------

    def ss_learn(self) -> list[EpochRecord]:
        """Run what remains of self-supervision: of every phase before ``supervised`` in which no task is learned.

        In the order of the phases, each with its own objectives, nodes and rates. Where there is none but the phase
        ``self_supervised`` that is always there, it is that one.

        Returns:
            The epochs that were run, of all these phases.

        Raises:
            LearnerError: No objective is active in any.

        Example:
            With ``phases: {first: {epochs: 2}, second: {epochs: 4}, supervised: {epochs: 10}}`` and objectives that say
            ``when: [first]`` and ``when: [second]``, ``learner.ss_learn()`` runs two epochs of the first, and four of
            the second.
        """
        phases = self_supervised(self.phases, self.model) or ["self_supervised"]
        return [record for name in phases for record in self._run.phase(name)]

    ssLearn = ss_learn  # noqa: N815 (the article's name, kept for ever)

    def train_epoch(self) -> EpochRecord:
        """Run one epoch of the supervised phase, or the rest of one that was interrupted."""
        with self._run.at_work():
            record = self._run.epoch("supervised")
            if self._run.over("supervised"):
                self._run.states.settle()
            return record

    trainEpoch = train_epoch  # noqa: N815 (the article's name, kept for ever)

    def epochs(self) -> Iterator[int]:
        """The supervised epochs that remain, so that a program can be killed and started again.

        Example:
            ``for epoch in learner.epochs(): learner.train_epoch()``
        """
        while not self._run.over("supervised"):
            done = self.progress.closed("supervised")
            yield done + 1
            if self.progress.closed("supervised") == done:
                raise LearnerError("learner.epochs() was asked for the next epoch, but train_epoch() was not called.")

    def fit(self) -> RunHistory:
        """Run what remains of every phase, in order; a self-supervised one without objectives is passed over.

        With checkpoints, Ctrl-C and SIGTERM let the step that is under way end and save it; a second one stops at once.

        Raises:
            NonFiniteLossError: A loss became NaN or infinite.
            KeyboardInterrupt: Ctrl-C came; the text says what was saved.
            Terminated: SIGTERM came, likewise; the program exits with code 143.
        """
        for name, phase in self.phases.items():
            if phase.epochs and (name != "self_supervised" or self.model.active(name)):
                self._run.phase(name)
        return self.history

    def try_batch(self, phase: str) -> dict[str, Tensor]:
        """Put the first batch through a phase's objectives, forward only; finds what fits on paper and not in fact.

        Args:
            phase: The phase's name.

        Returns:
            Each objective's mean; over the whole batch where several processes share it.
        """
        if self.progress.step:
            raise LearnerError("try_batch() is for before training: it would set up the phase anew.")
        with self._loop.random, torch.no_grad():
            stage = self._run.enter(phase)
            batch = next(self.remaining())
            self.model.eval()
            losses, _ = stage.plan(batch)
            self._loop.stage = None
            means = {name: reduce(loss) for name, loss in losses.items()}
            if self.processes.alone:
                return means
            counts = torch.stack([count_of(loss, rows_of(batch)) for loss in losses.values()])
            whole = of_all(torch.stack([*means.values()]), counts, self.processes)[0]
            return dict(zip(means, whole.unbind(), strict=True))

    def consolidate(self) -> None:
        """Between two tasks: let every objective that keeps what was learned take the model as it is now.

        EWC takes the weights with their Fisher information on the rows of the phase that was last, SI what their way
        has done for the loss, L2-SP the weights, and LwF a copy of the model. A phase with `consolidate` ends so.

        Raises:
            LearnerError: There is no such objective, or an EWC has no task with one loss a row to take gradients of.
        """
        self._run.consolidate()

    def grow(self, surgery: Surgery) -> Growth:
        """Do a surgery to the model, and go on where training stands: the optimizer, the average and all else follow.

        Args:
            surgery: `jumpml.graph.Widen` and the like.

        Returns:
            What became of the parameters.

        Raises:
            GraphError: It cannot be done. Then, and also where a hook cannot follow, all is as it was.
            LearnerError: Likewise, since the weights are being averaged by SWA, or since the data has no row of classes
                that are to come.
        """
        return self._run.grow(surgery)

    def save(self) -> Path:
        """Write a checkpoint now, and wait until it is on the disk.

        Raises:
            LearnerError: The learner was made without a place for checkpoints.
            CheckpointError: It cannot be written.
        """
        return self._run.states.save_now()

    def resume(self, *, allow_changes: bool = False) -> bool:
        """Go on from the newest whole checkpoint.

        Args:
            allow_changes: Go on though the files, or what was made in code, are not those of the checkpoint. What the
                checkpoint has no state for begins afresh, and learning rates move as they are told now; the history
                says what was changed.

        Returns:
            Whether there was one.

        Raises:
            CheckpointError: There are checkpoints, and all are damaged; or the newest belongs to another run, and the
                text says what was changed; or its state does not fit what was changed.
        """
        return self._run.states.resume(allow_changes=allow_changes)

    def restore_best(self) -> bool:
        """Give the model, and its average, the weights of the best checkpoint.

        Returns:
            Whether there was one.
        """
        return self._run.states.restore_best()

    # --- what was learned, in use -------------------------------------------------------------------------------------

    def evaluate(
        self,
        metrics: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
        split: str = "test",
        *,
        adapt: Adapted | None = None,
    ) -> EvalResults:
        """Measure the model on a split: the averaged one where weights are averaged.

        Args:
            metrics: See `jumpml.eval_model`.
            split: ``train``, ``val`` or ``test``.
            adapt: What `adapt` gave: it adapts to the rows and predicts them in the model's place.

        Raises:
            EvaluationError: See `jumpml.evaluate.evaluate`.
        """
        model = self.ema_model or self.model
        averaged = self.ema_model is not None
        results = evaluate(self.loaders, model, metrics, split, averaged=averaged, predictor=adapt)
        if adapt:
            results.record = results.record.model_copy(update={"notes": (*results.record.notes, adapt.told)})
        return results

    def predict(self, split: str = "test", *, adapt: Adapted | None = None) -> dict[str, Any]:
        """Raw outputs and targets of a split's rows, in order; of the averaged model where weights are averaged.

        Args:
            split: ``train``, ``val`` or ``test``.
            adapt: See `evaluate`.

        Returns:
            By task `jumpml.evaluate.Predictions`, or `Positions` where a task decides at positions.

        Raises:
            EvaluationError: See `jumpml.evaluate.predict`.
        """
        return predict(self.loaders, self.ema_model or self.model, split, predictor=adapt)

    def adapt(
        self,
        batches: Iterable[Mapping[str, Tensor]] = (),
        method: Adaptation | AdaptationMethod | None = None,
    ) -> Adapted:
        """A copy of the model that adapts to the rows that it predicts, without their labels; the model stays as it is.

        Its probe knows rows of the validation split. With an average, it is the averaged model's copy.

        Args:
            batches: What it adapts to before it is asked for predictions; see `Adapted.draws` for what they hold.
            method: How; as the file says (`adaptation`) where None.

        Raises:
            LearnerError: Nobody said how, or the method cannot adapt this model.

        Example:
            ``learner.evaluate(adapt=learner.adapt(method=Entropy()))``
        """
        how = self.adaptation if method is None else method
        return adapt_to(self.loaders, self.ema_model or self.model, how, seed=self._loop.seed).adapt(batches)

    def relive(self, path: str | Path) -> RelivedStep:
        """Show a step again that had a value which is not finite: its batch, its nodes, losses and gradients.

        Training stops at such a step, and its error says where the step was saved. The model stands before that step
        afterwards: use a learner of its own, made from the same files.

        Args:
            path: The saved step.

        Raises:
            RunError: It is not there, or damaged.
        """
        return relive(self._loop, load_step(Path(path)))

    # --- what a copy finds out: the learner stays as it is, to the bit ------------------------------------------------

    def find_lr(
        self, *, phase: str | None = None, low: float = 1e-7, high: float = 10.0, steps: int = 100
    ) -> LearningRates:
        """Try learning rates from low to high, a step each, until the loss runs away (Smith 2015).

        https://arxiv.org/abs/1506.01186. Parameter groups keep their relation; the phase's schedule is left out.

        Args:
            phase: Whose objectives and nodes; the phase under way, or the first that will run, where None.
            low: The first learning rate.
            high: The last one.
            steps: How many are tried.

        Raises:
            LearnerError: An argument makes no sense, or the loss is no finite number from the start.

        Example:
            ``found = learner.find_lr(); print(found); Path("lr.svg").write_text(found.draw())``
        """
        from jumpml.learn.trials import find_lr

        return find_lr(self, phase=phase, low=low, high=high, steps=steps)

    def overfit_batch(self, steps: int = 200, *, phase: str | None = None) -> OverfitReport:
        """Learn one batch by heart, without dropout, at the optimizer's own learning rate.

        What cannot learn a single batch will learn nothing: a target that does not belong to its row, a node that no
        gradient reaches, a rate that is far off.

        Args:
            steps: Updates on the batch.
            phase: See `find_lr`.

        Raises:
            LearnerError: There are fewer than 10 steps.
            NonFiniteLossError: A loss became NaN or infinite.
        """
        from jumpml.learn.trials import overfit_batch

        return overfit_batch(self, steps, phase)

    def dry_run(self, batches: int = 2) -> RunHistory:
        """Run every phase on a few batches, with validation and a checkpoint that is written and read back.

        Args:
            batches: How many, of each split.

        Raises:
            JumpMLError: What would go wrong later.
        """
        from jumpml.learn.trials import dry_run

        return dry_run(self, batches)

    def profile(self, steps: int = 10, *, phase: str | None = None) -> StepProfile:
        """Say where the time and the memory of a step go, by node.

        Args:
            steps: Steps that are timed.
            phase: See `find_lr`.

        Raises:
            LearnerError: There is no step to time.
        """
        from jumpml.learn.trials import profile_step

        return profile_step(self, steps, phase)

    def batch_sizes(
        self, *, sizes: Sequence[int] | None = None, memory: str | int | None = None, phase: str | None = None
    ) -> BatchSizes:
        """Measure time and memory of a step by batch size, and say how many rows fit.

        On a GPU sizes are doubled until its memory is full. A CPU's memory cannot be filled to try it out: there the
        peak is measured at a few sizes, and a straight line through them says what fits into the memory that you name.

        Args:
            sizes: Those to measure; from a quarter of the present one, doubled, where None.
            memory: What training may hold, without the data: ``"4GB"``, or bytes.
            phase: See `find_lr`.

        Raises:
            LearnerError: A size or the memory makes no sense, or the first size does not fit; or several processes
                learn, of which each would measure something else.
        """
        from jumpml.learn.trials import batch_sizes

        return batch_sizes(self, sizes=sizes, memory=memory, phase=phase)

    def restore_last_good(self) -> int | None:
        """Give the model, and its average, the weights as they were when losses were last read and all was finite.

        Only a learner that writes no checkpoints keeps them, one copy on the device. The optimizer begins afresh.

        Returns:
            After which step that was; None where there is nothing.
        """
        return self._run.states.restore_last_good()

    @property
    def history(self) -> RunHistory:
        """Figures by epoch, and by example; it prints as a table and draws itself."""
        examples = self._recorder.history(self.loaders.train.rows) if self._recorder else {}
        journal = self._run.journal
        return RunHistory(
            epochs=list(journal.records),
            course=journal.course.points,
            examples=examples,
            tasks=tuple(self.model.tasks),
        )

    @property
    def unsaved(self) -> str:
        """In words, which checkpoint could not be written up to now, and which is the last good one; mostly empty.

        A write that fails does not stop the training: it is told in a warning and tried again, last at the end.
        """
        return keeper.unsaved if (keeper := self._run.states.keeper) else ""

    @property
    def ema_model(self) -> Model | None:
        """The averaged model; None where weights are not averaged."""
        return average.model if (average := self._run.average) else None

    @property
    def files(self) -> Mapping[str, Any]:
        """What the run was made from, by kind, as JSON has it; a resume after a change says what was changed."""
        return self._run.states.files

    @files.setter
    def files(self, files: Mapping[str, Any]) -> None:
        self._run.states.files = files

    @property
    def progress(self) -> Progress:
        """Where training stands."""
        return self._loop.progress

    @property
    def stage(self) -> Stage | None:
        """The phase that is set up."""
        return self._loop.stage

    @property
    def random(self) -> RandomState:
        """The learner's own global generators, inside ``with``: a loop by hand draws dropout's masks from them there.

        Outside it draws from the program's, which no checkpoint holds.
        """
        return self._loop.random

    # --- a loop by hand ----------------------------------------------------------------------------------------------

    def remaining(self) -> Iterator[dict[str, Tensor]]:
        """What is left of the open epoch, in training mode; of the supervised phase where none was begun."""
        if self.stage is None:
            self._run.enter("supervised")
        return self._loop.remaining()

    def windows(self) -> Iterator[list[dict[str, Tensor]]]:
        """What is left of the open epoch, as many batches at a time as ``accumulate`` says."""
        if self.stage is None:
            self._run.enter("supervised")
        return self._loop.windows()

    def step(self, *batches: Mapping[str, Tensor]) -> None:
        """One update of the weights, on one batch or on several as if they were one.

        Args:
            batches: Featurised values, as the train loader serves them.

        Raises:
            LearnerError: There is no batch, no loss depends on a parameter that trains, or the learning rate was moved
                from outside though the phase has a schedule.
        """
        self._run.step(batches)

    # --- what hooks call ------------------------------------------------------------------------------------------

    @property
    def weights(self) -> Mapping[str, float]:
        """By objective, what its mean is multiplied by in the step that is under way; some move over a phase."""
        return self._loop.weights.now

    @property
    def compiled(self) -> bool:
        """Whether losses are computed by code that `torch.compile` makes."""
        return self._loop.execution.compile is not None

    @property
    def hooks(self) -> Sequence[Hook]:
        """What joins the loop."""
        return [*self._loop.hooks]

    @property
    def skips_updates(self) -> bool:
        """Whether an update whose gradients are not finite is left out, and the run goes on."""
        return self._loop.update.skips

    def note(self, text: str) -> None:
        """Say in the open epoch's record what happened at its end."""
        self._run.journal.note(text)

    def stop_task(self, task: str, reason: str) -> None:
        """Leave a task out of what remains of the phase that is under way: what it alone reads is frozen.

        Its objective no longer counts, nor does any other of which all that it reads is the task's alone.

        Args:
            task: The task.
            reason: Why, in words; it stands in the epoch's record.

        Raises:
            LearnerError: No phase is under way, the task does not learn in it, or nothing else does.
        """
        self._run.stop_task(task)
        self.note(reason)

    def end_phase(self, reason: str) -> None:
        """Let the phase that is under way be over with the open epoch.

        Args:
            reason: Why, in words; it stands in the epoch's record.
        """
        if self.progress.phase is not None:
            self.progress.ended[self.progress.phase] = reason
            self.note(reason)


def _average_of(model: Model, ema: float | None, hooks: Sequence[Hook]) -> EMA | SWA | None:
    """The one average of the weights that a learner may keep."""
    averages = [*([] if ema is None else [EMA(model, ema)]), *(hook for hook in hooks if isinstance(hook, SWA))]
    if len(averages) > 1:
        raise LearnerError("ema and swa: a learner keeps one average. Leave one of them out.")
    return next(iter(averages), None)


def _bind(model: Model, loaders: DataLoaders) -> None:
    """Let the loaders serve what the model reads, once it is known to fit."""
    loaders.bind([name for name in model.inputs if name in loaders.readable])
    values = {name: loaders.info(name) for name in loaders.readable}
    model.check_fields(loaders.fields, values, loaders.features.undoable())
    check_lengths(model, loaders)
