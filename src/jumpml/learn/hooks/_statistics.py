"""What gradients and activations are like, node by node."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.learn._hook import Hook
from jumpml.learn.processes._processes import ALONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.graph import Growth, Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage

_KINDS = ("gradient", "update", "idle", "activation")


@final
class Statistics(Hook):
    """By node: the gradient's norm, the update's size beside the weights', the share of units without a gradient.

    And the root mean square of what it gives. Taken of one step each time that the log is written, so that they cost
    next to nothing, and read from the device then. A unit is a row of a weight matrix, or a filter; one that has no
    gradient in a whole batch is dead behind a ReLU, or nothing that is learned depends on it.

    In a loop of your own, call `before` when gradients are there, `after` when the weights have moved, then `read`.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> net(torch.ones(4, 2)).sum().backward()
        >>> statistics = Statistics()
        >>> statistics.before({"first": [*net[0].parameters()], "last": [*net[2].parameters()]})
        >>> optimizer.step()
        >>> statistics.after()
        >>> sorted(statistics.read())
        ['gradient/first', 'gradient/last', 'idle/first', 'idle/last', 'update/first', 'update/last']
    """

    name = "statistics"

    def __init__(self) -> None:
        self._model: Model | None = None
        self._processes = ALONE
        self._due = True
        self._held: list[tuple[str, nn.Parameter, Tensor]] = []
        self._found: dict[str, tuple[list[str], Tensor]] = {}

    def attach(self, learner: Learner) -> None:
        """Its model has the nodes."""
        self._model, self._processes = learner.model, learner.processes

    def enter(self, stage: Stage) -> None:
        """What was taken of the phase before is of other parameters."""
        self._forget()

    def grew(self, growth: Growth) -> None:
        """Likewise."""
        self._forget()

    def differentiated(self, stage: Stage) -> None:
        """Look at the gradients, once between two readings."""
        if self._due and self._model is not None:
            trained = {id(parameter) for parameter in stage.trained}
            nodes = {name: self._model.node(name).parameters() for name in self._model.node_names}
            self.before({name: [p for p in own if id(p) in trained] for name, own in nodes.items()})

    def updated(self, step: Step) -> None:
        """Look at how far the weights moved, and at what nodes gave."""
        if self._held:
            self.after()
            values = {name: value.detach() for name, value in step.values.items() if value.is_floating_point()}
            if values:
                self._found["activation"] = [*values], self._sizes([*values.values()])

    def _sizes(self, values: Sequence[Tensor]) -> Tensor:
        """The root mean squares, ``[values]``; of the rows of all processes."""
        if self._processes.alone:
            return torch.stack([value.float().square().mean().sqrt() for value in values])
        squares = torch.stack([value.float().square().sum() for value in values])
        counts = squares.new_tensor([value.numel() for value in values])
        squares, counts = self._processes.sum([squares, counts])
        return (squares / counts).sqrt()

    def before(self, nodes: Mapping[str, Sequence[nn.Parameter]]) -> None:
        """Take in the gradients.

        Args:
            nodes: By name, parameters; what has no gradient is left out.
        """
        there = [(name, p) for name, own in nodes.items() for p in own if p.grad is not None]
        if not there:
            return
        names, parameters = [name for name, _ in there], [p for _, p in there]
        gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
        self._found = {"gradient": (names, torch.stack(torch._foreach_norm(gradients)).float())}
        units = [(name, g) for name, g in zip(names, gradients, strict=True) if g.ndim > 1]
        if units:
            idle = [(gradient.flatten(1).abs().amax(1) == 0).float().mean() for _, gradient in units]
            self._found["idle"] = [name for name, _ in units], torch.stack(idle)
        self._held = [(name, p, p.detach().clone()) for name, p in there]
        self._due = False

    def after(self) -> None:
        """Take in how far the weights moved."""
        weights = [p.detach() for _, p, _ in self._held]
        moved = torch._foreach_norm(torch._foreach_sub(weights, [old for _, _, old in self._held]))
        sizes = torch._foreach_norm(weights)
        both = torch.stack([torch.stack(moved).float(), torch.stack(sizes).float()])
        self._found["update"] = [name for name, _, _ in self._held], both
        self._held = []

    def read(self) -> dict[str, float]:
        """The figures that were taken, by ``<kind>/<node>``; they are forgotten, and the next step's will be taken."""
        figures: dict[str, float] = {}
        for kind in _KINDS:
            names, values = self._found.get(kind, ([], torch.empty(0)))
            for name in dict.fromkeys(names):
                own = [place for place, other in enumerate(names) if other == name]
                figures[f"{kind}/{name}"] = _figure(kind, values.tolist(), own)
        self._forget()
        return figures

    def _forget(self) -> None:
        self._found, self._held, self._due = {}, [], True


def _figure(kind: str, values: list[Any], own: list[int]) -> float:
    """One node's figure, of what its parameters have."""
    if kind == "update":
        moved, sizes = (math.sqrt(sum(part[place] ** 2 for place in own)) for part in values)
        return moved / sizes if sizes else 0.0
    if kind == "gradient":
        return math.sqrt(sum(values[place] ** 2 for place in own))
    return sum(values[place] for place in own) / len(own)
