"""A copy of a learner that learns for a while and is thrown away."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jumpml.core import Course, LearnerError
from jumpml.learn._progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.learn._learner import Learner
    from jumpml.learn._phase import Phase
    from jumpml.learn._progress import Saving
    from jumpml.learn.logs._logs import StepRecord


@contextmanager
def trial_of(
    learner: Learner,
    *,
    loaders: DataLoaders | None = None,
    phases: Mapping[str, Phase] | None = None,
    saving: Saving | None = None,
) -> Iterator[Learner]:
    """A learner like this one on the same data, with weights, moments and hooks of its own, which logs nothing.

    Nothing of the learner is touched, so that not even a crash or Ctrl-C leaves a trace in it; its loaders stand
    afterwards where they stood.

    Args:
        learner: The learner.
        loaders: Other loaders than its own.
        phases: Other phases than its own.
        saving: Where the copy saves; nowhere where None.

    Raises:
        LearnerError: A hook, or a module of the model, cannot be copied.
    """
    loaders = learner.loaders if loaders is None else loaders
    run = learner._run
    dropped = (run.states.keeper, run.states.saving, learner.stage)
    memo: dict[int, Any] = {id(part): None for part in dropped if part is not None}
    memo |= {id(learner.loaders): loaders, id(learner.phases): dict(phases or learner.phases)}
    memo |= {id(run.journal.logs): (), id(run.journal.records): [], id(run.journal.course): Course()}
    with learner.loaders.borrowed(), loaders.borrowed():
        try:
            trial = copy.deepcopy(learner, memo)
        except Exception as error:  # whatever a user's hook or module holds
            raise LearnerError(
                f"the learner cannot be copied, and only a copy may learn here: {type(error).__name__}: {error}. "
                "A hook or module of yours that holds a file or a process needs a method __deepcopy__."
            ) from error
        if saving is not None:
            trial._run.states.keep(saving)
        yield trial


def phase_of(learner: Learner, phase: str | None) -> str:
    """The phase that is asked for; else the one under way, or the first that will run.

    Raises:
        LearnerError: None will.
    """
    if phase is not None:
        return phase
    if learner.progress.phase is not None:
        return learner.progress.phase
    runs = (name for name, each in learner.phases.items() if each.epochs and learner.model.active(name))
    first = next(runs, None)
    if first is None:
        raise LearnerError("no phase would run: each has no epochs, or no objective that is active in it.")
    return first


def without_schedules(phases: Mapping[str, Phase]) -> dict[str, Phase]:
    """The phases at the optimizer's own learning rates, which nothing moves."""
    return {name: replace(phase, lr=None, schedule=None) for name, phase in phases.items()}


def batches_of(trial: Learner, phase: str) -> Iterator[dict[str, Tensor]]:
    """The batches of the phase, epoch after epoch without end."""
    while True:
        yield from trial.remaining()
        read(trial)
        trial._loop.close_epoch(phase)


def windows_of(trial: Learner, phase: str) -> Iterator[list[dict[str, Tensor]]]:
    """The batches of each update of the phase, epoch after epoch without end."""
    while True:
        yield from trial._loop.windows()
        read(trial)
        trial._loop.close_epoch(phase)


def read(trial: Learner) -> list[StepRecord]:
    """The steps since the last reading.

    Raises:
        NonFinite: A loss is NaN or infinite.
    """
    return [*trial._loop.read()]


def afresh(trial: Learner) -> None:
    """Let a copy begin with its first phase, whatever the learner has done."""
    trial._loop.progress = Progress()
