"""The plain sum, with a look at how its parts' gradients lie to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.learn.steps._at_node import given_in
from jumpml.learn.steps._combined import added, rows_of_shared
from jumpml.learn.steps._gramian import cosines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import Loss
    from jumpml.learn._hook import Step
    from jumpml.learn.steps._descent import Descent, Starts

    Gradients = list[Tensor | None]


@final
class Watched:
    """Takes the place of a `Descent` and does what it does; before some updates gradients are taken one by one too.

    They go nowhere: what parameters get is the plain descent's, to the bit.

    Args:
        plain: The sum.
        names: The objectives that are compared.
        trained: The parameters that train; those of them that two objectives reach are compared on.
        at: What a node gives, its value or each part of it, where gradients by that are compared instead.
        due: Whether the coming update is one of those.
    """

    early = False  # what is told of gradients are angles

    def __init__(
        self,
        plain: Descent,
        names: Sequence[str],
        trained: Sequence[nn.Parameter],
        at: Collection[str],
        due: Callable[[], bool],
    ) -> None:
        self._plain, self._names, self._trained, self._at, self._due = plain, names, trained, at, due
        self._found: dict[str, Gradients] = {}
        self._seen: list[tuple[list[str], Tensor]] = []  # gradients' inner products, still on the device
        self._looks = False

    def __call__(self, starts: Starts, step: Step, *, alone: bool) -> None:
        """Add the gradients to the parameters', as `Descent` does."""
        self._looks = self._due()
        if self._looks:
            self._look(starts, step)
        self._plain.back(starts.values())

    def finish(self, losses: Mapping[str, Loss], rows: int) -> None:
        """All batches of an update have gone by: how their gradients lie to each other waits until it is read."""
        self._plain.finish(losses, rows)
        if self._looks and not self._at:
            self._compare(losses)

    def figures(self) -> dict[str, float]:
        """By pair, the mean of the cosines since the last time, read from the device at once."""
        seen, self._seen = self._seen, []
        told: dict[str, list[float]] = {}
        for names, gramian in seen:
            for pair, value in cosines(names, gramian.cpu().double().numpy()).items():
                told.setdefault(pair, []).append(value)
        return {pair: sum(values) / len(values) for pair, values in told.items()}

    def _compare(self, losses: Mapping[str, Loss]) -> None:
        """On the parameters, which two objectives reach."""
        waiting, self._found = self._found, {}
        names, none = self._plain.sums.objectives(self._names, losses, waiting), [None] * len(self._trained)
        waiting = {name: waiting.get(name, none) for name in names}
        found = self._plain.sums.lists("apart", waiting, self._trained)  # for itself: what is learned keeps its bits
        several = [sum(found[name][place] is not None for name in names) > 1 for place in range(len(self._trained))]
        shared = [place for place, more in enumerate(several) if more]
        if names:
            vectors = rows_of_shared(names, found, self._trained, shared).float()
            self._seen.append((names, vectors @ vectors.T))

    def _look(self, starts: Starts, step: Step) -> None:
        """Take the gradients of a batch; by a node's value each batch is for itself, since its rows are other ones."""
        calls = given_in(step, self._at)
        by = calls if self._at else self._trained
        for name in self._names if by else ():
            if name in starts:
                value, gradient = starts[name]
                scaled = self._plain.scale([gradient])
                found = torch.autograd.grad(value, by, scaled, retain_graph=True, allow_unused=True)
                if any(part is not None for part in found):
                    self._found[name] = added(self._found.get(name), found)
        if not self._at:
            return
        found, self._found = self._found, {}
        if names := self._plain.sums.objectives(self._names, step.losses, found):
            vectors = rows_of_shared(names, found, calls, range(len(calls))).float()
            self._seen.append((names, self._plain.processes.sum([vectors @ vectors.T])[0]))
