"""From what a file says of phases to these, and what is wrong with a learner file beside its model and its data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jumpml.core import LearnerError, PhaseSpec, Problem, did_you_mean, refusal, with_lines
from jumpml.learn._phase import Phase
from jumpml.learn._validation import wrong_figure
from jumpml.learn.adapting import find_adaptation_problems
from jumpml.learn.continual._replay import too_many
from jumpml.learn.hooks._build_growth import build_rules
from jumpml.learn.hooks._build_hooks import build_probes, find_hook_problems
from jumpml.learn.hooks._embedding_probe import find_probe_problems, measured_by
from jumpml.learn.hooks._grow import find_growth_problems
from jumpml.learn.hooks._swa import with_swa
from jumpml.learn.initial._build_initialize import build_drawing
from jumpml.learn.initial._initialize import find_drawing_problems
from jumpml.learn.misfits._misfits import find_misfits
from jumpml.learn.misfits._wrong_phases import idle
from jumpml.learn.misfits._wrong_processes import wrong_processes
from jumpml.learn.optimizers._build_optimizer import optimizer_options
from jumpml.learn.optimizers._optimizers import find_optimizer_problems
from jumpml.learn.processes._processes import started
from jumpml.learn.schedules._build_schedules import build_schedule, find_schedule_problems
from jumpml.learn.teaching._build_teaching import build_teaching
from jumpml.learn.teaching._wrong_teaching import find_teaching_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from jumpml.core import LearnerSpec
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn.examples._build_examples import HowHard
    from jumpml.learn.schedules._schedules import Schedule

DEFAULT_EPOCHS = 10


def build_phases(spec: LearnerSpec) -> dict[str, Phase]:
    """The phases in their order: the file's, with the two that are always there before and after where it is silent."""
    named = dict(spec.phases)
    first = {} if "self_supervised" in named else {"self_supervised": PhaseSpec()}
    last = {} if "supervised" in named else {"supervised": PhaseSpec()}
    phases = {}
    for name, phase in {**first, **named, **last}.items():
        phases[name] = Phase(
            epochs=DEFAULT_EPOCHS if phase.epochs is None else phase.epochs,
            train=(phase.train,) if isinstance(phase.train, str) else phase.train,
            freeze=phase.freeze,
            lr=phase.lr,
            data=(phase.data,) if isinstance(phase.data, str) else phase.data or (),
            schedule=_schedule(spec, name, phase),
            consolidate=phase.consolidate,
        )
    return phases


def _schedule(spec: LearnerSpec, name: str, phase: PhaseSpec) -> Schedule | tuple[Schedule, ...] | None:
    """A phase's schedule, its own or the learner's; at its end that of the averaging."""
    schedule, swa = build_schedule(phase.schedule or spec.schedule), spec.swa
    if swa is None or swa.lr is None or swa.phase != name:
        return schedule
    epochs = DEFAULT_EPOCHS if phase.epochs is None else phase.epochs
    return with_swa(schedule, epochs, start=swa.start, lr=swa.lr, anneal=swa.anneal)


def checked_phases(
    spec: LearnerSpec, loaders: DataLoaders, model: Model, how_hard: HowHard, *, own_optimizer: bool
) -> dict[str, Phase]:
    """The phases that a file says, once all that can be found wrong before they begin is told.

    Args:
        spec: The file.
        loaders: The data.
        model: The model.
        how_hard: Tells how hard rows are, where a teacher's arms differ in that.
        own_optimizer: Whether the optimizer is the file's.

    Raises:
        LearnerError: Something is wrong; the text has all of it, with the lines of the file.
    """
    schedules = [*_wrong_schedules(spec)]
    if schedules:  # of these no phase can be made
        raise with_lines(refusal(LearnerError, schedules), spec)
    phases = build_phases(spec)
    if "supervised" not in spec.phases and not model.active("supervised") and any(map(model.active, spec.phases)):
        phases["supervised"] = replace(phases["supervised"], epochs=0)  # the file's own phases are all that there are
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
        raise with_lines(refusal(LearnerError, placed(problems, spec)), spec)
    return phases


def _problems(spec: LearnerSpec, model: Model, measured: Collection[str], *, own_optimizer: bool) -> Iterator[Problem]:
    """What the file asks for and there is not."""
    if own_optimizer:
        yield from find_optimizer_problems(model, **optimizer_options(spec))
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


def placed(problems: Iterable[Problem], spec: LearnerSpec) -> list[Problem]:
    """Problems where the file says them: a shared schedule's once, and not in each phase that has none of its own."""
    found = []
    for problem in problems:
        kind, name, *key = (*problem.path, "", "")[:3]
        own = name in spec.phases and spec.phases[str(name)].schedule is not None
        shared = kind == "phases" and key == ["schedule"] and not own
        found.append(replace(problem, path=problem.path[2:]) if shared else problem)
    return list(dict.fromkeys(found))
