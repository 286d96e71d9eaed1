"""Phases in which nothing is learned, or that ask for what there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim import SGD

from jumpml.core import GraphError, LearnerError, Problem, did_you_mean, refusal
from jumpml.learn._validation import wrong_figure
from jumpml.learn.continual._consolidation import why_vain
from jumpml.learn.schedules._schedules import TorchSchedule, plateaus_of, schedules_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from torch.optim import Optimizer

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._phase import Phase


def idle(name: str) -> Problem:
    """That no objective is active in a phase."""
    fix = f"Give an objective `when: [{name}]`, or leave the phase out (`epochs: 0`)."
    return Problem(("phases", name), "no objective is active in this phase.", fix)


def refuse_idle(name: str, model: Model) -> None:
    """Refuse a phase without objectives.

    Raises:
        LearnerError: None is active in it.
    """
    if not model.active(name):
        raise refusal(LearnerError, [idle(name)])


def idle_phases(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    for name, phase in phases.items():
        # self-supervision is there without being asked for, and passed over where nothing is active in it
        if phase.epochs and name != "self_supervised" and not model.active(name):
            yield idle(name)


def vain_consolidation(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    missing = why_vain(model)
    for name, phase in phases.items():
        if phase.consolidate and missing:
            fix = "Leave it out, or give the model what is missing."
            yield Problem(("phases", name, "consolidate"), missing, fix)


def unmeasured_plateaus(model: Model, phases: Mapping[str, Phase], measured: Collection[str]) -> Iterator[Problem]:
    """Schedules that follow a figure that there is not."""
    for name, phase in phases.items():
        for plateau in plateaus_of(phase.schedule) if phase.epochs and model.active(name) else ():
            path = ("phases", name, "schedule", "metric")
            learned = {*model.active(name)} & {*model.tasks}
            if not learned and plateau.metric.removeprefix("val/") not in measured:
                text = f"no task is learned in phase {name!r}, and so nothing is measured that the rate could follow."
                yield Problem(path, text, "Give that phase a schedule of its own.")
            else:
                yield from wrong_figure(path, plateau.metric, model, plateau.mode, measured)


def wrong_schedulers(phases: Mapping[str, Phase], optimizer: Optimizer) -> Iterator[Problem]:
    """Schedulers of torch that refuse their arguments; they are made for an optimizer with as many groups."""
    for name, phase in phases.items():
        for schedule in schedules_of(phase.schedule):
            if isinstance(schedule, TorchSchedule):
                groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in optimizer.param_groups]
                try:
                    schedule.scheduler(SGD(groups, lr=1.0, momentum=0.9), **schedule.arguments)
                except (TypeError, ValueError) as error:
                    kind = getattr(schedule.scheduler, "__name__", str(schedule.scheduler))
                    yield Problem(("phases", name, "schedule"), f"{kind} refuses its arguments: {error}.")


def wrong_patterns(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    for name, phase in phases.items():
        for key, patterns in (("train", phase.train), ("freeze", phase.freeze)):
            try:
                model.select(patterns)
            except GraphError as error:
                yield Problem(("phases", name, key), str(error))


def unknown_data(loaders: DataLoaders, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    known = loaders.train.datasets
    for name, phase in phases.items():
        for dataset in phase.data:
            if dataset not in known:
                text = f"there is no data set {dataset!r} whose train rows could be drawn."
                yield Problem(("phases", name, "data"), text, did_you_mean(dataset, known))
