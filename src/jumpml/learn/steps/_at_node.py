"""Gradients that are combined at a node, before one backward pass of all that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.learn.steps._combined import rows_of_shared
from jumpml.learn.steps._gramian import Weights, weigh
from jumpml.learn.steps._means import means_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from jumpml.balance import GradientBalancer
    from jumpml.core import Loss
    from jumpml.learn._hook import Step
    from jumpml.learn.steps._descent import Descent, Gradients, Starts


@final
class AtNode:
    """Takes the place of a `Descent`: what flows back into a node is combined as a balancer says.

    Each objective's gradient by the node's value is taken first, which goes no further back than the node. Then one
    backward pass goes from all losses, in which the combination takes the place of what arrives there. So everything
    behind the node has its plain gradient, and what reaches the nodes before it by another way stays as it is. Several
    batches of one update are combined each for itself.

    Args:
        plain: The sum.
        balancer: What says it.
        at: What the node gives: its value, or each part of it.
    """

    early = True

    def __init__(self, plain: Descent, balancer: GradientBalancer, at: Collection[str]) -> None:
        self._plain, self._balancer, self._at = plain, balancer, at
        self._weights: Weights | None = None

    def __call__(self, starts: Starts, step: Step, *, alone: bool) -> None:
        """Add a batch's gradients to the parameters'."""
        calls = given_in(step, self._at)
        found = self._gradients(starts, calls) if calls else {}
        names = self._plain.sums.objectives(self._balancer.names, step.losses, found)
        if not names:
            self._plain.back(starts.values())
            return
        vectors = rows_of_shared(names, found, calls, range(len(calls))).float()
        plain, gramian = self._plain, vectors @ vectors.T  # of this process's rows
        means = means_of(names, step.losses, plain.weights, step.rows, plain.processes, beside=[gramian])
        (gramian,) = means.beside
        self._weights = weigh(self._balancer, names, gramian, means.values, plain.scale)
        combined = (self._weights.together.to(vectors) @ vectors).split([call.numel() for call in calls])
        others = self._others([start for name, start in starts.items() if name not in found], calls)
        handles = []
        for call, part, other in zip(calls, combined, others, strict=True):
            gradient = part.view_as(call).to(call.dtype)
            handles.append(call.register_hook(_Instead(gradient if other is None else gradient + other)))
        own = self._weights.own
        self._plain.back(
            (value, gradient if own.get(name, 1.0) == 1 else gradient * own[name])
            for name, (value, gradient) in starts.items()
        )
        for handle in handles:
            handle.remove()

    def finish(self, losses: Mapping[str, Loss], rows: int) -> None:
        """Each batch has been combined."""
        self._plain.finish(losses, rows)

    def figures(self) -> dict[str, float]:
        """The last batch's multipliers, and the cosines between gradients."""
        return {} if self._weights is None else self._weights.figures()

    def _gradients(self, starts: Starts, calls: Sequence[Tensor]) -> dict[str, Gradients]:
        """By objective that depends on the node, the gradients by what it gave."""
        found = {}
        for name in self._balancer.names:
            if name in starts:
                value, gradient = starts[name]
                by_call = torch.autograd.grad(
                    value, calls, self._plain.scale([gradient]), retain_graph=True, allow_unused=True
                )
                if any(part is not None for part in by_call):
                    found[name] = [*by_call]
        return found

    def _others(self, starts: Sequence[tuple[Tensor, Tensor]], calls: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """What objectives that are not balanced send into the node."""
        if not starts:
            return [None] * len(calls)
        values, gradients = zip(*starts, strict=True)
        return torch.autograd.grad(values, calls, self._plain.scale([*gradients]), retain_graph=True, allow_unused=True)


def given_in(step: Step, at: Collection[str]) -> list[Tensor]:
    """What a node gave in a batch, in each view of it, as far as gradients go there.

    Args:
        step: The batch's.
        at: The node's value, or each part of it.
    """
    return [value for key, value in step.values.items() if key.partition("@")[0] in at and value.requires_grad]


class _Instead:
    """Gives another gradient than came."""

    def __init__(self, gradient: Tensor) -> None:
        self._gradient = gradient

    def __call__(self, came: Tensor) -> Tensor:
        return self._gradient
