"""Losses that are multiplied before one backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.balance import LossBalancer
from jumpml.learn.steps._combined import Combined
from jumpml.learn.steps._means import means_of, there_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import Loss
    from jumpml.learn._hook import Step
    from jumpml.learn.steps._descent import Descent, Starts


@final
class Weighed:
    """Takes the place of a `Descent`: each loss is multiplied as a balancer says.

    Where multipliers depend on the losses of an update, and that has several batches, gradients are taken objective by
    objective, and multiplied when all losses are known.

    Args:
        plain: The sum.
        balancer: What says it.
        trained: The parameters that train.
        looked_at: Those on which a balancer that has a node compares gradients, as far as they train.
    """

    def __init__(
        self,
        plain: Descent,
        balancer: LossBalancer,
        trained: Sequence[nn.Parameter],
        looked_at: Sequence[nn.Parameter] = (),
    ) -> None:
        self._plain, self._balancer, self._looked_at = plain, balancer, looked_at
        self.early = bool(looked_at)
        self._observes = type(balancer).observe is not LossBalancer.observe
        self._apart = Combined(plain, balancer, trained) if balancer.foresees else None
        self._now: Sequence[Tensor] = ()  # the multipliers of the update that is under way
        self._seen: dict[str, Tensor] = {}
        self.multipliers: Tensor | None = None

    def __call__(self, starts: Starts, step: Step, *, alone: bool) -> None:
        """Add the gradients to the parameters', as `Descent` does."""
        if self._apart is not None and not alone:
            self._apart(starts, step, alone=alone)
            return
        if self._looked_at:
            self._look(starts)
        if not self._now:
            self._weigh(step.losses, step.rows)
        factors = dict(zip(self._balancer.names, self._now, strict=True))
        self._plain.back(
            (value, gradient * factors[name] if name in factors else gradient)
            for name, (value, gradient) in starts.items()
        )

    def finish(self, losses: Mapping[str, Loss], rows: int) -> None:
        """The balancer learns from the update."""
        if self._apart is not None and self._apart.under_way:
            self._apart.finish(losses, rows)
            self.multipliers = self._apart.multipliers
            return
        self._plain.finish(losses, rows)
        self._now = ()
        if not self._observes:
            return
        if self._balancer.at is not None:
            seen, self._seen = self._seen, {}
            if not any(self._plain.sums.there(("looked at", frozenset(losses)), [bool(seen)])):
                return  # in a phase in which the node is frozen there is nothing to compare: weights stay
            self._balancer.look(self._norms(seen))
        self._balancer.observe(*self._told(losses, rows))

    def figures(self) -> dict[str, float]:
        """The last update's multipliers, read from the device."""
        values = [] if self.multipliers is None else self.multipliers.tolist()
        return {f"balance/{name}": value for name, value in zip(self._balancer.names, values, strict=False)}

    def _weigh(self, losses: Mapping[str, Loss], rows: int) -> None:
        told = self._told(losses, rows) if self._balancer.foresees else (None, None)
        self.multipliers = self._balancer.multipliers(*told)
        self._now = self.multipliers.unbind()

    def _told(self, losses: Mapping[str, Loss], rows: int) -> tuple[Tensor, Tensor | None]:
        """Each objective's mean, and those that count."""
        names, plain = self._balancer.names, self._plain
        means = means_of(names, losses, plain.weights, rows, plain.processes)
        return means.values, there_of(names, losses, plain.weights, means)

    def _look(self, starts: Starts) -> None:
        """Add up each loss's gradient on the parameters that are compared."""
        for name in self._balancer.names:
            if name not in starts:
                continue
            value, gradient = starts[name]
            found = torch.autograd.grad(
                value, self._looked_at, self._plain.scale([gradient]), retain_graph=True, allow_unused=True
            )
            flat = [torch.zeros_like(p) if g is None else g for p, g in zip(self._looked_at, found, strict=True)]
            vector = torch.cat([part.flatten() for part in flat])
            self._seen[name] = self._seen[name] + vector if name in self._seen else vector

    def _norms(self, seen: Mapping[str, Tensor]) -> Tensor:
        """How long the gradients of all processes are together."""
        zero = torch.cat([torch.zeros_like(parameter).flatten() for parameter in self._looked_at])
        vectors = self._plain.processes.sum([seen.get(name, zero) for name in self._balancer.names])
        norms = torch.stack([vector.norm() for vector in vectors])
        (scale,) = self._plain.scale([torch.ones_like(norms)])
        return norms / scale
