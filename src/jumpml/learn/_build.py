"""From the learner file to a learner."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from jumpml.core import LearnerError, PhaseSpec, Problem, derive_seed, did_you_mean, refusal, with_lines
from jumpml.graph import Branch, Deepen, LowRank, Merge, Shrink, Widen
from jumpml.learn._learner import Learner
from jumpml.learn._phase import Phase
from jumpml.learn._progress import Saving
from jumpml.learn._told import told_by
from jumpml.learn._validation import wrong_figure
from jumpml.learn.adapting import build_adaptation, find_adaptation_problems
from jumpml.learn.continual._replay import Replay, too_many
from jumpml.learn.examples._build_examples import build_difficulty, build_example_hooks
from jumpml.learn.hooks._build_hooks import build_hooks, build_probes, find_hook_problems
from jumpml.learn.hooks._embedding_probe import find_probe_problems, measured_by
from jumpml.learn.hooks._grow import AtEpoch, Grow, GrowthRule, OnPlateau, find_growth_problems
from jumpml.learn.hooks._swa import with_swa
from jumpml.learn.initial._build_initialize import begin, build_drawing
from jumpml.learn.initial._initialize import find_drawing_problems
from jumpml.learn.logs._csv_log import CsvLog
from jumpml.learn.logs._logs import JsonlLog, Log, TensorBoardLog
from jumpml.learn.logs._progress_log import ProgressLog
from jumpml.learn.logs._trackers import MLflowLog, WandbLog
from jumpml.learn.misfits._misfits import find_misfits
from jumpml.learn.misfits._wrong_phases import idle
from jumpml.learn.misfits._wrong_processes import wrong_processes
from jumpml.learn.optimizers._joint import joined, names_of
from jumpml.learn.optimizers._optimizers import find_optimizer_problems, make_optimizer
from jumpml.learn.optimizers._param_groups import Group
from jumpml.learn.processes._devices import device_of, own_device
from jumpml.learn.processes._processes import Processes, started
from jumpml.learn.schedules._build_schedules import build_schedule, find_schedule_problems
from jumpml.learn.steps._execution import Compile
from jumpml.learn.teaching._build_teaching import build_teaching
from jumpml.learn.teaching._wrong_teaching import find_teaching_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch.optim import Optimizer

    from jumpml.core import GrowSpec, LearnerSpec
    from jumpml.data import DataLoaders
    from jumpml.graph import Model, Surgery
    from jumpml.learn._hook import Hook
    from jumpml.learn.examples._build_examples import HowHard
    from jumpml.learn.schedules._schedules import Schedule

DEFAULT_EPOCHS = 10
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
    phases = _phases(spec, loaders, model, how_hard, own_optimizer=optimizer is None)
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
        raise with_lines(refusal(LearnerError, _placed(error.problems, spec)), spec) from None
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


def _phases(
    spec: LearnerSpec, loaders: DataLoaders, model: Model, how_hard: HowHard, *, own_optimizer: bool
) -> dict[str, Phase]:
    """The phases, once all that can be found wrong before they begin is told."""
    schedules = [*_wrong_schedules(spec)]
    if schedules:  # of these no phase can be made
        raise with_lines(refusal(LearnerError, schedules), spec)
    phases = build_phases(spec)
    measured = measured_by(build_probes(spec), model)
    problems = [*_problems(spec, model, measured, own_optimizer=own_optimizer)]
    count = started() if spec.distribute.kind == "ddp" else 1
    problems += find_misfits(model, loaders, phases, measured, count)
    problems += find_growth_problems(build_rules(spec), model, phases, loaders, measured)
    problems += find_probe_problems(build_probes(spec), model, loaders)
    problems += find_drawing_problems(build_drawing(spec), model)
    problems += find_adaptation_problems(spec.adapt, model, loaders)
    if (teaching := build_teaching(spec.curriculum, how_hard)) is not None:
        problems += find_teaching_problems(teaching, model, loaders, phases, count)
    if problems:
        raise with_lines(refusal(LearnerError, _placed(problems, spec)), spec)
    return phases


def _replay(spec: LearnerSpec) -> list[Hook]:
    if spec.replay is None:
        return []
    options = spec.replay.model_dump(exclude={"kind"})
    return [Replay(**options, seed=derive_seed(spec.seed, "replay"))]


def build_phases(spec: LearnerSpec) -> dict[str, Phase]:
    """The phases in their order: the file's, with the two that are always there before and after where it is silent."""
    named = dict(spec.phases)
    first = {} if "self_supervised" in named else {"self_supervised": PhaseSpec()}
    last = {} if "supervised" in named else {"supervised": PhaseSpec()}
    phases = {}
    for name, phase in {**first, **named, **last}.items():
        phases[name] = Phase(
            epochs=DEFAULT_EPOCHS if phase.epochs is None else phase.epochs,
            train=_several(phase.train),
            freeze=phase.freeze,
            lr=phase.lr,
            data=(phase.data,) if isinstance(phase.data, str) else phase.data or (),
            schedule=_schedule(spec, name, phase),
            consolidate=phase.consolidate,
        )
    return phases


def build_rules(spec: LearnerSpec) -> list[GrowthRule]:
    """What the file says of growth, as rules."""
    rules = []
    for told in spec.grow:
        when, plateau = told.trigger, told.trigger.plateau
        trigger = (
            AtEpoch(epoch=when.epoch or 1, phase=when.phase)
            if plateau is None
            else OnPlateau(**plateau.model_dump(), phase=when.phase)
        )
        rules.append(GrowthRule(trigger=trigger, surgery=_surgery(told)))
    return rules


def _surgery(told: GrowSpec) -> Surgery:
    if told.merge:
        return Merge(told.node)
    if told.branch is not None:
        return Branch(told.node, **told.branch.model_dump())
    kinds = (Widen, Shrink, Deepen, LowRank)
    (made,) = (kind(told.node, value) for kind in kinds if (value := getattr(told, kind.kind)) is not None)
    return made


def _schedule(spec: LearnerSpec, name: str, phase: PhaseSpec) -> Schedule | tuple[Schedule, ...] | None:
    """A phase's schedule, its own or the learner's; at its end that of the averaging."""
    schedule, swa = build_schedule(phase.schedule or spec.schedule), spec.swa
    if swa is None or swa.lr is None or swa.phase != name:
        return schedule
    epochs = DEFAULT_EPOCHS if phase.epochs is None else phase.epochs
    return with_swa(schedule, epochs, start=swa.start, lr=swa.lr, anneal=swa.anneal)


def build_optimizer(spec: LearnerSpec, model: Model) -> Optimizer:
    """The optimizer that the file names.

    Raises:
        SpecError: Torch's class does not take these arguments.
    """
    try:
        return make_optimizer(model, **_optimizer_options(spec))
    except LearnerError as error:
        raise with_lines(error, spec) from None


def _optimizer_options(spec: LearnerSpec) -> dict[str, Any]:
    """What the file says of the optimizer, as `make_optimizer` takes it."""
    said = spec.optimizer
    groups = [
        Group(nodes=_several(one.nodes), lr=one.lr, kind=one.kind, arguments=one.model_extra or {})
        for one in said.groups
    ]
    told = {"kind": said.kind, "lr": said.lr, "layer_decay": said.layer_decay, "no_decay": said.no_decay}
    return {**told, "groups": groups, "arguments": said.model_extra or {}}


def _several(patterns: str | tuple[str, ...]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else patterns


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


def _problems(spec: LearnerSpec, model: Model, measured: Collection[str], *, own_optimizer: bool) -> Iterator[Problem]:
    """What the file asks for and there is not."""
    if own_optimizer:
        yield from find_optimizer_problems(model, **_optimizer_options(spec))
    yield from wrong_processes(spec.device, together=spec.distribute.kind == "ddp")
    # the other phases are looked at wherever they come from
    asked = spec.phases.get("self_supervised")
    if asked and asked.epochs != 0 and not model.active("self_supervised"):
        yield idle("self_supervised")
    run = [name for name, phase in spec.phases.items() if phase.epochs != 0]
    if "self_supervised" in run and "supervised" in run[: run.index("self_supervised")]:  # so `--set` may have put it
        text = "it would run after `supervised`, since phases follow each other as they are written."
        yield Problem(("phases", "self_supervised"), text, "Write it above `supervised`, or give it another name.")
    for name, phase in spec.phases.items():
        if phase.lr is not None and getattr(phase.schedule or spec.schedule, "kind", None) == "one_cycle":
            fix = "Set the schedule's max_lr instead."
            yield Problem(("phases", name, "lr"), "a one_cycle schedule sets the learning rate itself.", fix)
    if spec.replay and spec.replay.batch > spec.replay.rows:
        yield Problem(("replay", "batch"), too_many(spec.replay.batch, spec.replay.rows))
    for name in spec.replay.when if spec.replay and spec.replay.when != "all" else ():
        if name not in build_phases(spec):
            near = did_you_mean(name, build_phases(spec))
            yield Problem(("replay", "when"), f"there is no phase {name!r}.", near)
    yield from find_hook_problems(spec, model, build_phases(spec), measured)
    if spec.checkpoint and spec.checkpoint.best:
        best = spec.checkpoint.best
        yield from wrong_figure(("checkpoint", "best", "metric"), best.metric, model, best.mode, measured)


def _wrong_schedules(spec: LearnerSpec) -> Iterator[Problem]:
    yield from find_schedule_problems(("schedule",), spec.schedule)
    for name, phase in spec.phases.items():
        yield from find_schedule_problems(("phases", name, "schedule"), phase.schedule)


def _placed(problems: Iterable[Problem], spec: LearnerSpec) -> list[Problem]:
    """Problems of phases' schedules where the file says them: once for all phases that have none of their own."""
    found = []
    for problem in problems:
        kind, name, *key = (*problem.path, "", "")[:3]
        own = name in spec.phases and spec.phases[str(name)].schedule is not None
        shared = kind == "phases" and key == ["schedule"] and not own
        found.append(replace(problem, path=problem.path[2:]) if shared else problem)
    return list(dict.fromkeys(found))
