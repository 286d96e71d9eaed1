"""Gradients of all processes, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Mapping, Sequence

    from torch import Tensor

    from jumpml.learn.processes._processes import Processes


class Sums:
    """Adds up what each process has, where some of it may not be there.

    What gradients there are is agreed upon when the same objectives run for the first time, so that no later step has
    to ask; one that is not there in one process, and in another is, counts 0 in the former.

    Args:
        processes: Whose gradients they are.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._there: dict[Hashable, list[bool]] = {}

    def there(self, key: Hashable, found: Sequence[bool]) -> list[bool]:
        """What is there in any process.

        Args:
            key: What is asked; equal in all processes, and with it the number of answers.
            found: What is there in this one.

        Raises:
            LearnerError: Something is there now that was in no process when this was first asked.
        """
        if self._processes.alone:
            return [*found]
        there = self._there.get(key)
        if there is None:
            there = self._there[key] = [any(of_one) for of_one in zip(*self._processes.gather([*found]), strict=True)]
        if any(own and not known for own, known in zip(found, there, strict=True)):
            raise LearnerError(
                "distribute: a gradient reaches what none reached in the first step: a node or an objective computes "
                "something else from batch to batch. Train such a model in one process."
            )
        return there

    def objectives(self, names: Iterable[str], ran: Container[str], found: Container[str]) -> list[str]:
        """Objectives that have a gradient in any process.

        Args:
            names: Those that are asked for.
            ran: Those that ran, in all processes alike.
            found: Those that have one in this process.

        Raises:
            LearnerError: See `there`.
        """
        ran_too = [name for name in names if name in ran]
        there = self.there(("objectives", *ran_too), [name in found for name in ran_too])
        return [name for name, known in zip(ran_too, there, strict=True) if known]

    def lists(
        self,
        key: Hashable,
        found: Mapping[str, Sequence[Tensor | None]],
        like: Sequence[Tensor],
        share: Tensor | None = None,
    ) -> dict[str, list[Tensor | None]]:
        """The sums of several lists, by name, in one message; see `__call__`.

        Args:
            key: What they are of beside their names; equal in all processes, as the names are.
            found: This one's.
            like: Tensors of the shapes of each list's.
            share: See `__call__`.
        """
        flat = [value for values in found.values() for value in values]
        sums, count = self((key, *found), flat, [*like] * len(found), share), len(like)
        return {name: sums[count * place : count * (place + 1)] for place, name in enumerate(found)}

    def __call__(
        self, key: Hashable, found: Sequence[Tensor | None], like: Sequence[Tensor], share: Tensor | None = None
    ) -> list[Tensor | None]:
        """The sums, None where no process has anything.

        Args:
            key: What they are of; equal in all processes.
            found: This one's.
            like: Tensors of their shapes, as which the sums lie in memory: fused updates go through parameter and
                gradient as through one list.
            share: A scalar, by the sum of which the sums are divided; it goes in the same message.

        Raises:
            LearnerError: There is one now where no process had one before, or one is sparse.
        """
        if self._processes.alone:
            return [*found]
        there = self.there(key, [value is not None for value in found])
        wanted = [place for place, known in enumerate(there) if known]
        values = [torch.zeros_like(like[at]) if (value := found[at]) is None else value for at in wanted]
        if any(value.is_sparse for value in values):
            raise LearnerError(
                "distribute: a gradient is sparse, and those of several processes are not added up so. Make the module "
                "with sparse=False."
            )
        sums: list[Tensor | None] = [None] * len(there)
        for place, total in zip(wanted, self._divided(values, share), strict=True):
            own = like[place]
            sums[place] = total if own.is_contiguous() else torch.empty_like(own).copy_(total)
        return sums

    def _divided(self, values: Sequence[Tensor], share: Tensor | None) -> list[Tensor]:
        """The sums, by that of the share."""
        if share is None or not values:
            return self._processes.sum(values)
        *sums, shares = self._processes.sum([*values, share])
        torch._foreach_div_(sums, shares)
        return sums
