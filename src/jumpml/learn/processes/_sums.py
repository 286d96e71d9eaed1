"""Gradients of all processes, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from torch import Tensor

    from jumpml.learn.processes._processes import Processes


class Sums:
    """Adds up what each process has, where some of it may not be there.

    Which parameters a gradient reaches is agreed upon when the same objectives run for the first time, so that no later
    step has to ask; one that reaches none in one process, and in another does, counts 0 there.

    Args:
        processes: Whose gradients they are.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._there: dict[Hashable, list[bool]] = {}

    def __call__(self, key: Hashable, found: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor | None]:
        """The sums, None where no process has anything.

        Args:
            key: What they are of; equal in all processes.
            found: This one's.
            like: Tensors of their shapes.

        Raises:
            LearnerError: There is one now where no process had one before.
        """
        if self._processes.alone:
            return [*found]
        there = self._there.get(key)
        if there is None:
            told = self._processes.gather([value is not None for value in found])
            there = self._there[key] = [any(of_one) for of_one in zip(*told, strict=True)]
        if any(value is not None and not known for value, known in zip(found, there, strict=True)):
            raise LearnerError(
                "distribute: a gradient reaches a parameter that none reached in the first step: a node runs other "
                "modules from batch to batch. Train such a model in one process."
            )
        wanted = [place for place, known in enumerate(there) if known]
        values = [torch.zeros_like(like[at]) if (value := found[at]) is None else value for at in wanted]
        sums = dict(zip(wanted, self._processes.sum(values), strict=True))
        return [sums.get(place) for place in range(len(there))]
