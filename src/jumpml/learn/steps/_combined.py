"""Gradients that are taken objective by objective, and combined where parameters are shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.balance import GradientBalancer
from jumpml.learn.steps._gramian import Weights, weigh
from jumpml.learn.steps._means import means_of, there_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.balance import LossBalancer
    from jumpml.core import Loss
    from jumpml.learn._hook import Step
    from jumpml.learn.steps._descent import Descent, Gradients, Starts


@final
class Combined:
    """Takes the place of a `Descent`: a backward pass for each objective that is balanced, and one for all others.

    The gradients on the parameters that two or more of them share are combined as a balancer says, once an update;
    parameters of one objective alone have its own gradient.

    Args:
        plain: The sum.
        balancer: What says it.
        trained: The parameters that train.

    Attributes:
        under_way: Whether there are gradients that are not combined yet.
        multipliers: Of a balancer of losses, the last.
    """

    early = False

    def __init__(
        self, plain: Descent, balancer: GradientBalancer | LossBalancer, trained: Sequence[nn.Parameter]
    ) -> None:
        self._plain, self._balancer, self._trained = plain, balancer, trained
        self._found: dict[str, Gradients] = {}
        self._weights: Weights | None = None
        self.under_way = False
        self.multipliers: Tensor | None = None

    def __call__(self, starts: Starts, step: Step, *, alone: bool) -> None:
        """Take a batch's gradients; those of the objectives that are balanced wait for `finish`."""
        self.under_way = True
        names = [name for name in self._balancer.names if name in starts]
        rest = [start for name, start in starts.items() if name not in names]
        for name in names:
            value, gradient = starts[name]
            again = bool(rest) or name != names[-1]
            scaled = self._plain.scale([gradient])
            found = torch.autograd.grad(value, self._trained, scaled, retain_graph=again, allow_unused=True)
            self._found[name] = added(self._found.get(name), found)
        if rest:
            self._plain.back(rest)

    def finish(self, losses: Mapping[str, Loss], rows: int) -> None:
        """Combine the gradients, and add them to the parameters'."""
        waiting, self._found, self.under_way = self._found, {}, False
        found = gathered(self._plain, self._balancer.names, losses, waiting, self._trained)
        if not found:
            return
        owners = [[name for name in found if found[name][place] is not None] for place in range(len(self._trained))]
        shared = [place for place, names in enumerate(owners) if len(names) > 1]
        names = [*found]
        vectors = rows_of_shared(names, found, self._trained, shared)
        together, alone = self._ask(names, losses, rows, vectors)
        if shared:
            self._hand_out(shared, together.to(vectors) @ vectors)
        for place, (parameter, own) in enumerate(zip(self._trained, owners, strict=True)):
            if len(own) == 1 and (gradient := found[own[0]][place]) is not None:
                factor = alone[own[0]]
                _add(parameter, gradient if isinstance(factor, float) and factor == 1 else gradient * factor)

    def _ask(
        self, names: Sequence[str], losses: Mapping[str, Loss], rows: int, vectors: Tensor
    ) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        """What gradients count where they meet, in the order of the names, and where one is alone."""
        balancer, plain = self._balancer, self._plain
        if isinstance(balancer, GradientBalancer):
            means = means_of(names, losses, plain.weights, rows, plain.processes).values
            asked = self._weights = weigh(balancer, names, vectors @ vectors.T, means, plain.scale)
            return asked.together, asked.own
        means = means_of(balancer.names, losses, plain.weights, rows, plain.processes)
        self.multipliers = balancer.multipliers(means.values, there_of(balancer.names, losses, plain.weights, means))
        by_name = dict(zip(balancer.names, self.multipliers.unbind(), strict=True))
        return torch.stack([by_name[name] for name in names]), by_name

    def figures(self) -> dict[str, float]:
        """The last update's multipliers, and the cosines between gradients."""
        return {} if self._weights is None else self._weights.figures()

    def _hand_out(self, shared: Sequence[int], combined: Tensor) -> None:
        parameters = [self._trained[place] for place in shared]
        for parameter, part in zip(parameters, combined.split([p.numel() for p in parameters]), strict=True):
            gradient = part.view_as(parameter)
            # fused updates go through parameter and gradient as through one list
            _add(parameter, gradient if parameter.is_contiguous() else torch.empty_like(parameter).copy_(gradient))


def added(before: Gradients | None, now: Sequence[Tensor | None]) -> Gradients:
    """A batch's gradients, and those of the batches before it; None where there is none."""
    if before is None:
        return [*now]
    return [b if a is None else a if b is None else a + b for a, b in zip(before, now, strict=True)]


def gathered(
    plain: Descent,
    names: Sequence[str],
    losses: Mapping[str, Loss],
    waiting: Mapping[str, Gradients],
    trained: Sequence[nn.Parameter],
) -> Mapping[str, Gradients]:
    """Gradients of all processes, of the objectives that have one in any; the parameters' own are added up with them.

    Args:
        plain: What knows the processes.
        names: The objectives, in their order.
        losses: Of the update.
        waiting: By objective, this process's gradients by what trains.
        trained: The parameters that train.
    """
    none: Gradients = [None] * len(trained)
    there = plain.sums.objectives(names, losses, waiting)
    return plain.add_up(losses, {name: waiting.get(name, none) for name in there})


def rows_of_shared(
    names: Sequence[str], found: Mapping[str, Gradients], by: Sequence[Tensor], shared: Sequence[int]
) -> Tensor:
    """Each objective's gradient by what is shared, ``[objectives, elements]``.

    Args:
        names: The objectives.
        found: By objective that has any, its gradient by each of the tensors.
        by: The tensors, such as all parameters.
        shared: The places of those that are shared.
    """
    if not shared:
        return torch.zeros(len(names), 0, device=by[0].device)
    return torch.stack([torch.cat([_flat(found.get(name), by, place) for place in shared]) for name in names])


def _flat(gradients: Gradients | None, by: Sequence[Tensor], place: int) -> Tensor:
    gradient = None if gradients is None else gradients[place]
    return torch.zeros_like(by[place]).flatten() if gradient is None else gradient.flatten()


def _add(parameter: nn.Parameter, gradient: Tensor) -> None:
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
