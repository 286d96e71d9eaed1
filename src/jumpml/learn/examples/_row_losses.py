"""The last loss of each row, as training saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import POSITION, Problem, did_you_mean
from jumpml.learn.processes._processes import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss
    from jumpml.graph import Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn.processes._processes import Processes


@final
class RowLosses:
    """Keeps the last loss of each train row, without a look at the device in a step.

    Of several objectives it is their mean by their weights, over those that count the row. Of a row that comes twice in
    a batch the higher one stays. Where several processes learn, each knows those of its own rows until `agree`.

    Args:
        rows: How many train rows there are.
        device: Where losses are.
        processes: Those that learn together.
    """

    def __init__(self, rows: int, device: torch.device, processes: Processes = ALONE) -> None:
        self.last = torch.full((rows,), torch.nan, device=device)
        self._processes, self._noted = processes, 0
        # in which batch it was noted, where others may know of a later one
        self._when = torch.full((0 if processes.alone else rows,), -1, device=device)

    def note(self, step: Step, objectives: Sequence[str], weights: Mapping[str, float]) -> None:
        """Take in a batch's.

        Args:
            step: What was learned from; its batch has each row's place.
            objectives: Whose losses count; those that did not run are left out.
            weights: By objective, what its mean is multiplied by.
        """
        told = {name: step.losses[name] for name in objectives if name in step.losses}
        self._noted += 1
        if not told:
            return
        loss, place = row_loss(told, weights), step.batch[POSITION]
        kept = torch.where(loss.isnan(), self.last[place], loss)  # what no objective counts stays
        self.last.scatter_reduce_(0, place, kept, "amax", include_self=False)
        if not self._processes.alone:
            self._when.scatter_reduce_(0, place, torch.where(loss.isnan(), -1, self._noted), "amax")

    def agree(self) -> None:
        """Let all processes have the last loss of every row."""
        if self._processes.alone:
            return
        told = self._processes.gather((self.last.cpu(), self._when.cpu()))
        last, when = (torch.stack(of_all) for of_all in zip(*told, strict=True))
        latest = when.amax(0)
        newest = last.where(when == latest, -torch.inf).amax(0)
        self.last.copy_(newest.where(latest >= 0, torch.nan))
        self._when.copy_(latest)

    def state_dict(self) -> dict[str, Any]:
        """The losses, which all processes know then."""
        self.agree()
        return {"last": self.last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of other rows is of no use."""
        if len(state["last"]) == len(self.last):
            self.last = state["last"].to(self.last).clone()
            self._noted = 0
            if not self._processes.alone:
                self._when = torch.where(self.last.isnan(), -1, 0)


def row_loss(losses: Mapping[str, Loss], weights: Mapping[str, float]) -> Tensor:
    """The mean of several objectives' losses by their weights, a row; NaN where none counts it.

    Args:
        losses: By objective, one loss a row.
        weights: By objective.
    """
    total, count = torch.zeros(()), torch.zeros(())
    for name, (value, present) in losses.items():
        there = torch.ones_like(value, dtype=torch.float32) if present is None else present.float()
        weight = there * weights[name]
        total = total.to(value.device) + torch.where(weight > 0, value.detach().float(), 0.0) * weight
        count = count.to(value.device) + weight
    return total / count  # 0 / 0 where none counts it


def by_row(model: Model, phase: str, of: Sequence[str] | None) -> tuple[str, ...]:
    """The active objectives that have a loss a row, and read values.

    Args:
        model: Whose they are.
        phase: In which they are active.
        of: Those that are meant; all where None.
    """
    found = ((name, model.objectives[name]) for name in model.active(phase) if of is None or name in of)
    return tuple(name for name, objective in found if objective.per_example and objective.inputs)


def find_row_problems(
    path: tuple[str | int, ...], learner: Learner, phases: Sequence[str], of: Sequence[str] | None, what: str
) -> Iterator[Problem]:
    """Why rows have no losses of their own.

    Args:
        path: Where that is asked for.
        learner: Its model and data.
        phases: In which it is asked for.
        of: The objectives that are meant; all where None.
        what: What asks for it.
    """
    model = learner.model
    for name in of or ():
        if name not in model.objectives:
            near = did_you_mean(name, model.objectives)
            yield Problem((*path, "of"), f"there is no objective {name!r}.", near)
        elif not (model.objectives[name].per_example and model.objectives[name].inputs):
            text = f"{what} needs a loss for each row, and objective {name!r} has one for a whole batch."
            yield Problem((*path, "of"), text, "Name objectives that have a loss a row, as those of tasks do.")
    known = all(name in model.objectives for name in of or ())
    if known and phases and not any(by_row(model, phase, of) for phase in phases):
        told = ", ".join(dict.fromkeys(name for phase in phases for name in model.active(phase))) or "none"
        text = f"{what} needs a loss for each row, and no active objective has one: there is {told}."
        yield Problem(path, text, "Let a task or another objective with a loss a row be active.")
    if learner.loaders.mixes_rows:
        text = f"{what} needs a loss for each row, and augmentation mixes rows, so that no loss is one row's own."
        yield Problem(path, text, "Leave mixup and cutmix out, or this.")
