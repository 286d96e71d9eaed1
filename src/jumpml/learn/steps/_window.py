"""Several batches as one, in one process or in several: what each has in the means of the losses."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError, Loss
from jumpml.learn.processes._processes import ALONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.learn._hook import Step
    from jumpml.learn.processes._processes import Processes
    from jumpml.learn.steps._execution import Losses

_HOW = "Give it a method counted(*inputs, present) that tells of the fields alone which rows count."


class Window:
    """The batches of one update. Their rows are counted before the first is learned from, and nothing is read.

    So an objective's mean is over the rows that count in all batches together, however they are spread: N batches of k
    are one of N times k, for losses that are a row's own. Of a loss of a whole batch it is the mean by rows.

    Several processes need not ask each other before where all rows of all batches count: they divide by a number that
    all know, and how many rows there are goes with the gradients, which are divided once more when they are added up.

    Args:
        plan: The phase's losses.
        batches: As hooks have served them.
        processes: Those that have such batches each; together they are one.
        divisor: That number, about as many rows as there are. None where gradients are looked at before they are added
            up: then processes ask first in any case.

    Attributes:
        rows: Of this process's batches.
        single: Whether this process has but one.
        share: The rows by what they are divided by, where several processes learn: gradients are yet to be divided by
            the sum over all of them.
    """

    def __init__(
        self,
        plan: Losses,
        batches: Sequence[Mapping[str, Tensor]],
        processes: Processes = ALONE,
        divisor: int | None = None,
    ) -> None:
        self.rows, self.single = sum(map(rows_of, batches)), len(batches) == 1
        counted = [plan.counted(batch) for batch in batches]
        self._own = {
            name: reduce(torch.add, [_sum(rows[name], batch) for rows, batch in zip(counted, batches, strict=True)])
            for name in counted[0]
            if any(rows[name] is not None for rows in counted)
        }
        self._counts, self._divisor, self.share = self._own, self.rows, None
        if not processes.alone:
            rows = torch.full((), self.rows, device=next(iter(batches[0].values())).device)
            whole: int | Tensor | None = None if self._own else divisor
            if whole is None:
                whole, *counts = processes.sum([rows, *self._own.values()])
                self._counts = dict(zip(self._own, counts, strict=True))
            self._divisor, self.share = whole, rows / whole
        self._found: dict[str, Tensor] = {}

    def gradient(self, name: str, loss: Loss, weight: float, rows: int) -> Tensor:
        """What one batch's loss is multiplied by, row by row, on the way to its gradient.

        Args:
            name: The objective.
            loss: The batch's.
            weight: What the mean is multiplied by.
            rows: The batch's.

        Raises:
            LearnerError: The loss counts rows of which nothing could be told before.
        """
        value, present = loss
        if present is None:
            if isinstance(self._divisor, torch.Tensor):
                own = torch.full_like(value, weight * rows / max(1, value.numel()), requires_grad=False)
                return own / self._divisor.to(value.dtype)
            return torch.full_like(value, weight * rows / (self._divisor * max(1, value.numel())), requires_grad=False)
        if name not in self._counts:
            raise LearnerError(
                f"objective {name!r} counts rows by a mask of its own, and where several batches or processes learn as "
                f"one these must be known before. {_HOW}"
            )
        found = present.sum()
        self._found[name] = self._found[name] + found if name in self._found else found
        return present.to(value.dtype) * (weight / self._counts[name].clamp(min=1).to(value.dtype))

    def losses(self, steps: Sequence[Step]) -> dict[str, Loss]:
        """The losses of all batches, as of one."""
        return {name: self._joined([(step.rows, step.losses[name]) for step in steps]) for name in steps[0].losses}

    def miscounted(self) -> dict[str, Tensor]:
        """By objective, whether other rows counted than was told before: a flag on the device."""
        return {name: found != self._own[name] for name, found in self._found.items()}

    def _joined(self, parts: Sequence[tuple[int, Loss]]) -> Loss:
        if not parts[0][1].value.ndim:
            return Loss(torch.stack([loss.value * (rows / self.rows) for rows, loss in parts]).sum())
        value = torch.cat([loss.value for _, loss in parts])
        if all(loss.present is None for _, loss in parts):
            return Loss(value)
        return Loss(value, torch.cat([_there(loss) for _, loss in parts]))


def rows_of(batch: Mapping[str, Tensor]) -> int:
    """How many rows a batch has."""
    return next(iter(batch.values())).shape[0]


def _sum(present: Tensor | None, batch: Mapping[str, Tensor]) -> Tensor:
    if present is not None:
        return present.sum()
    value = next(iter(batch.values()))
    return torch.full((), value.shape[0], device=value.device)


def _there(loss: Loss) -> Tensor:
    return torch.ones_like(loss.value, dtype=torch.bool) if loss.present is None else loss.present


def miscount(name: str) -> LearnerError:
    """The error for an objective that counts other rows than it told."""
    return LearnerError(f"objective {name!r} counted other rows than it had told before, so its mean is wrong. {_HOW}")
