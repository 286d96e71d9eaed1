"""From the learner file to a learner."""

from __future__ import annotations

import logging
from functools import cache, partial
from typing import TYPE_CHECKING

from jumpml.core import LearnerError, derive_seed, refusal, with_lines
from jumpml.learn._build_phases import checked_phases, placed
from jumpml.learn._learner import Learner
from jumpml.learn._progress import Saving
from jumpml.learn._told import told_by
from jumpml.learn.adapting import build_adaptation
from jumpml.learn.continual._replay import Replay
from jumpml.learn.examples._build_examples import build_difficulty, build_example_hooks
from jumpml.learn.hooks._build_growth import build_rules
from jumpml.learn.hooks._build_hooks import build_hooks
from jumpml.learn.hooks._grow import Grow
from jumpml.learn.initial._build_initialize import begin
from jumpml.learn.logs._csv_log import CsvLog
from jumpml.learn.logs._logs import JsonlLog, Log, TensorBoardLog
from jumpml.learn.logs._progress_log import ProgressLog
from jumpml.learn.logs._trackers import MLflowLog, WandbLog
from jumpml.learn.optimizers._build_optimizer import build_optimizer
from jumpml.learn.optimizers._joint import joined, names_of
from jumpml.learn.processes._devices import device_of, own_device
from jumpml.learn.processes._processes import Processes
from jumpml.learn.steps._execution import Compile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch.optim import Optimizer

    from jumpml.core import LearnerSpec
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._hook import Hook

_LOG = logging.getLogger("jumpml")


def build_learner(
    spec: LearnerSpec,
    loaders: DataLoaders,
    model: Model,
    optimizer: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer] | None,
    folder: Path,
    *,
    hooks: Sequence[Hook] = (),
    log: Sequence[Log] = (),
    alone: bool = False,
) -> Learner:
    """Make a learner as the file says.

    Args:
        spec: The learner file.
        loaders: The data.
        model: The model.
        optimizer: One made in code, or several, which wins over the file's; None takes the file's.
        folder: The run's folder; it is made when something is first written.
        hooks: What joins the loop beside what the file asks for.
        log: Where figures go beside where the file says.
        alone: Whether this process is to do without the others, though the file says `distribute`: for a look.

    Raises:
        SpecError: The file asks for what there is not.
        JumpMLError: Data and model do not fit it; the text has the file's own mistakes too.
    """
    how_hard = cache(partial(build_difficulty, spec, loaders))  # a reference model is asked once, and only if need be
    phases = checked_phases(spec, loaders, model, how_hard, own_optimizer=optimizer is None)
    initialized = begin(spec, model, loaders, folder)
    examples = build_example_hooks(spec, how_hard)
    if optimizer is None:
        optimizer = build_optimizer(spec, model)
    elif "optimizer" in spec.model_fields_set:
        optimizer = joined(optimizer)
        given = f"{names_of(optimizer)}, lr {optimizer.param_groups[0]['lr']:g}"
        _LOG.warning("The optimizer given in code (%s) is used, not the one of %s.", given, spec.source)
    try:
        learner = Learner(
            loaders,
            model,
            optimizer,
            phases=phases,
            seed=spec.seed,
            device=own_device(device_of(spec.device)),
            accumulate=spec.accumulate,
            clip_norm=spec.clip_norm,
            clip_value=spec.clip_value,
            precision=spec.precision,
            compile=spec.compile if isinstance(spec.compile, bool) else Compile(**dict(spec.compile)),
            channels_last=spec.channels_last,
            ema=spec.ema.decay if spec.ema else None,
            saving=_saving(spec, folder),
            record_examples=spec.record_examples,
            distribute="none" if alone else spec.distribute.kind,
            log=[*_logs(spec, model, folder), *log],
            hooks=[
                *_replay(spec),
                *build_hooks(spec, how_hard),
                *examples,
                *([Grow(rules)] if (rules := build_rules(spec)) else []),
                *hooks,
            ],
        )
    except LearnerError as error:
        if not error.problems:
            raise
        raise with_lines(refusal(LearnerError, placed(error.problems, spec)), spec) from None
    learner.files = told_by(spec, model.spec, loaders.spec)
    learner.initialized = initialized
    learner.adaptation = build_adaptation(spec.adapt)
    return learner


def join_processes(spec: LearnerSpec) -> Processes:
    """Those that learn together as the file says, joined; this one alone where it says nothing of that.

    Raises:
        LearnerError: They cannot be joined.
    """
    return Processes.meant_by(spec.distribute.kind)


def _replay(spec: LearnerSpec) -> list[Hook]:
    if spec.replay is None:
        return []
    options = spec.replay.model_dump(exclude={"kind"})
    return [Replay(**options, seed=derive_seed(spec.seed, "replay"))]


def _saving(spec: LearnerSpec, folder: Path) -> Saving | None:
    options = spec.checkpoint
    if options is None:
        return None
    return Saving(
        folder=folder / "checkpoints",
        epochs=options.every.epochs,
        steps=options.every.steps,
        keep=options.keep,
        best=options.best.metric if options.best else None,
        mode=options.best.mode if options.best else "auto",
    )


def _logs(spec: LearnerSpec, model: Model, folder: Path) -> list[Log]:
    settings = {"learner": spec.model_dump(mode="json")}
    if model.spec is not None:
        settings["model"] = model.spec.model_dump(mode="json", exclude_defaults=True)
    made: dict[str, Callable[[], Log]] = {
        "progress": lambda: ProgressLog(watched=_watched(spec)),
        "jsonl": lambda: JsonlLog(folder),
        "csv": lambda: CsvLog(folder),
        "tensorboard": lambda: TensorBoardLog(folder / "tensorboard"),
        "mlflow": lambda: MLflowLog(folder, settings),
        "wandb": lambda: WandbLog(folder, settings),
    }
    return [made[name]() for name in dict.fromkeys(spec.log)]


def _watched(spec: LearnerSpec) -> set[str]:
    """The figures by which the best checkpoint is chosen and a phase ends."""
    best = spec.checkpoint.best if spec.checkpoint else None
    stop = spec.early_stop
    figures = {best.metric if best else None, stop.watched if stop else None}
    figures |= {f"val/{name}/{task.metric}" for name, task in (stop.tasks if stop else {}).items()}
    return {figure for figure in figures if figure is not None}
