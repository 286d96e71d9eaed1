"""From losses to gradients."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import torch

from jumpml.core import LearnerError, did_you_mean
from jumpml.learn.processes._processes import ALONE
from jumpml.learn.processes._sums import Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import Loss
    from jumpml.learn._hook import Step
    from jumpml.learn.processes._processes import Processes
    from jumpml.learn.steps._window import Window

    Starts = dict[str, tuple[Tensor, Tensor]]  # by objective, its value and the gradient by it
    Gradients = list[Tensor | None]


NONE: Mapping[str, Any] = {}


@cache
def directly() -> Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], None]:
    """What `torch.autograd.backward` calls once it has made sure of shapes, which are right here by their making.

    It is no public part of torch: where this torch has another, `torch.autograd.backward` itself.
    """
    try:
        run = torch.autograd.Variable._execution_engine.run_backward  # pyright: ignore

        def backward(roots: tuple[Tensor, ...], gradients: tuple[Tensor, ...]) -> None:
            run(roots, gradients, False, False, (), allow_unreachable=True, accumulate_grad=True)

        with torch.inference_mode(False), torch.enable_grad():
            weight = torch.ones(2, device="cpu", requires_grad=True)
            backward((weight * 3,), (torch.tensor([1.0, 2.0], device="cpu"),))
        if weight.grad is not None and weight.grad.tolist() == [3.0, 6.0]:
            return backward
    except (AttributeError, TypeError, RuntimeError):
        pass
    return torch.autograd.backward


class Descends(Protocol):
    """What makes gradients of losses: a sum, or what a balancer puts in its place.

    Attributes:
        early: Whether it goes by the size of gradients before those of all processes are added up.
    """

    early: bool

    def __call__(self, starts: Starts, step: Step, *, alone: bool) -> None:
        """Take in a batch.

        Args:
            starts: What a backward pass begins with; see `Descent.starts`.
            step: What is told of the batch.
            alone: Whether it is all of its update.
        """
        ...

    def finish(self, losses: Mapping[str, Loss], rows: int) -> None:
        """All batches of an update have gone by: their gradients, of all processes, are to be the parameters'.

        Args:
            losses: Theirs, as of one.
            rows: How many rows they have together.
        """
        ...


class Descent:
    """The gradient of the weighted sum of the objectives' means, handed to the rows at once.

    The same bits as a backward pass from that sum, with neither mean nor sum in the graph: on a small net those nodes
    cost as much as a layer.

    Args:
        weights: By objective, what its mean is multiplied by; looked at in each step.
        moving: The objectives whose weight moves.
        scale: What is made of the gradients by losses before they go back.
        trained: The parameters whose gradients are added up where several processes learn.
        processes: These.

    Attributes:
        weights: The same.
        scale: The same.
        processes: The same.
        sums: What adds up gradients of all processes.
        share: This process's in the update that is under way; see `Window`.
    """

    early = False

    def __init__(
        self,
        weights: Mapping[str, float],
        moving: Collection[str] = (),
        scale: Callable[[list[Tensor]], list[Tensor]] = list,
        *,
        trained: Sequence[nn.Parameter] = (),
        processes: Processes = ALONE,
    ) -> None:
        self.weights, self.scale, self._moving = weights, scale, frozenset(moving)
        self.processes, self.sums, self._trained = processes, Sums(processes), trained
        self._uniform: dict[tuple[torch.Size, float], Tensor] = {}
        self._joined = False
        self.share: Tensor | None = None

    def __call__(self, starts: Starts, step: Step, *, alone: bool) -> None:
        """Add the gradients to the parameters'."""
        self.back(starts.values())

    def finish(self, losses: Mapping[str, Loss], rows: int) -> None:
        """A sum has done its work, but for what other processes have."""
        self.add_up(losses, {})

    def add_up(self, losses: Mapping[str, Loss], apart: Mapping[str, Gradients]) -> Mapping[str, Gradients]:
        """Let the parameters have the gradients of all processes, in one message with others that wait apart.

        Args:
            losses: Of the update.
            apart: By objective, its gradients; the same objectives in all processes.

        Returns:
            Those of all processes.
        """
        if self.processes.alone:
            return apart
        key, self._joined = (frozenset(losses), self._joined), False
        own = {"": [parameter.grad for parameter in self._trained]}
        sums = self.sums.lists(key, {**own, **apart}, self._trained, self.share)
        for parameter, gradient in zip(self._trained, sums.pop(""), strict=True):
            parameter.grad = gradient
        return sums

    def starts(
        self,
        losses: Mapping[str, Loss],
        window: Window | None = None,
        rows: int = 0,
        counts: Mapping[str, Tensor] = NONE,
    ) -> Starts:
        """By objective that depends on what trains, its value, and the gradient by it of its weighted mean.

        Args:
            losses: A batch's.
            window: The batches that it belongs to, where it is not alone.
            rows: Then the batch's.
            counts: By objective, what the gradient of each row's loss is multiplied by; see `Hook.weigh`.

        Raises:
            LearnerError: No loss depends on a parameter that trains.
        """
        found = {}
        for name, loss in losses.items():
            if loss.value.requires_grad:
                if window is None:
                    gradient = self._gradient(name, *loss)
                else:
                    gradient = window.gradient(name, loss, self.weights[name], rows)
                found[name] = loss.value, gradient * counts[name] if name in counts else gradient
        if not found:
            names = ", ".join(repr(name) for name in losses)
            raise LearnerError(
                f"nothing to learn: the losses ({names}) depend on no parameter that trains in this phase."
            )
        return found

    def join(self, value: Tensor) -> None:
        """Add the gradient of a scalar that is of no batch, and of which each process takes its part."""
        self._joined = True
        one = torch.ones_like(value)
        self.back([(value, one if self.share is None else one * self.share)])

    def back(self, starts: Iterable[tuple[Tensor, Tensor]]) -> None:
        """One backward pass from values and the gradients by them, which adds to the parameters' gradients."""
        roots, gradients = zip(*starts, strict=True)
        on_cpu = roots[0].device.type == "cpu"  # elsewhere the engine has threads, for which torch prepares more
        (directly() if on_cpu else torch.autograd.backward)(roots, tuple(self.scale([*gradients])))

    def _gradient(self, name: str, value: Tensor, present: Tensor | None) -> Tensor:
        weight = self.weights[name]
        if present is not None:
            return present.to(value.dtype) * (weight / present.sum().clamp(min=1).to(value.dtype))
        key = (value.shape, weight)
        known = self._uniform.get(key)
        if known is None or known.device != value.device or known.dtype != value.dtype:
            known = torch.full_like(value, weight, requires_grad=False) / max(1, value.numel())
            if name not in self._moving:  # what is hardly asked for again is not kept
                self._uniform[key] = known
        return known


def check_weights(name: str, weights: Tensor, losses: Mapping[str, Loss]) -> None:
    """Look at what rows are said to count.

    Args:
        name: The objective.
        weights: What each row counts.
        losses: The batch's.

    Raises:
        LearnerError: There is no such objective, it has no loss a row, or the weights are not one a row.
    """
    if name not in losses:
        raise LearnerError(f"rows are weighed of an objective {name!r} that did not run. {did_you_mean(name, losses)}")
    shape = tuple(losses[name].value.shape)
    if not shape:
        raise LearnerError(
            f"objective {name!r} has one loss for a whole batch: there is no row of it to weigh. Leave it out."
        )
    if tuple(weights.shape) != shape:
        raise LearnerError(f"objective {name!r}: expected a weight a row, {list(shape)}, got {list(weights.shape)}.")
