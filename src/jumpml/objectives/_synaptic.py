"""A penalty on parameters that weighs them by what their way has done for the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.objectives._anchored import Started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Weight


@final
class SI(Started):
    """Synaptic intelligence: the squared distance of parameters from their anchors, weighted by their importance.

    ``sum_i O_i (p_i - a_i)^2`` (Zenke et al. 2017, https://arxiv.org/abs/1703.04200), zero until `consolidate`. While a
    task is learned, each parameter gathers by how much its steps have lowered the loss: ``w_i``, the sum of minus the
    gradient times the step. At its end the importance ``O_i`` grows by ``w_i / (d_i^2 + damping)``, where ``d_i`` is
    how far the parameter has come, and by nothing where ``w_i`` is negative.

    A learner calls `before_step` and `after_step`; a loop of your own does so around ``optimizer.step()``. The gradient
    is that of the whole loss, less this penalty's own part.

    Args:
        parameters_of: Patterns of the nodes whose parameters are held.
        damping: What keeps the importance of a parameter that has hardly moved within bounds; above 0.
        weight: What the penalty is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: No pattern is given, or the damping is not above 0.

    Example:
        >>> p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> objective = SI("all", damping=0.1)
        >>> objective.connect([], {"p": p})
        >>> optimizer = torch.optim.SGD([p], lr=0.1)
        >>> for _ in range(5):
        ...     optimizer.zero_grad()
        ...     p[0].square().backward()  # the second one is of no use
        ...     objective.before_step(weight=0)
        ...     optimizer.step()
        ...     objective.after_step()
        >>> objective.consolidate()
        >>> objective.of_each("importance")[0].gt(0).tolist()
        [True, False]
    """

    held_beside = ("importance", "path")

    def __init__(
        self,
        parameters_of: str | Sequence[str] = "all",
        *,
        damping: float = 0.1,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(parameters_of, weight=weight, when=when)
        if not 0 < damping < float("inf"):
            raise self.error(f"expected a damping above 0, got {damping}.")
        self.damping = damping
        self._step: tuple[list[int], list[Tensor], list[Tensor]] = [], [], []  # of a step under way, so no state

    def forward(self, present: Tensor | None = None) -> Loss:
        """The penalty, a scalar. It reads no rows, so none can be absent."""
        importance = self.of_each("importance")
        terms = [
            (o * (held - anchor).square()).sum() for o, (held, anchor) in zip(importance, self.pairs(), strict=True)
        ]
        return Loss(torch.stack(terms).sum())

    @torch.no_grad()
    def before_step(self, weight: float | None = None) -> None:
        """Note the gradients, and where the parameters are.

        Args:
            weight: What this penalty was multiplied by in the loss: its weight where None, 0 where it took no part.
        """
        weight = self.weight if weight is None else weight
        held = list(self._held.values())
        moving = [index for index, parameter in enumerate(held) if parameter.grad is not None]
        before = [held[index].clone() for index in moving]
        gradients = [held[index].grad.clone() for index in moving]  # type: ignore[union-attr]
        if weight and moving:
            anchor, importance = (self.of_each(kept) for kept in ("anchor", "importance"))
            away = torch._foreach_sub(before, [anchor[index] for index in moving])
            torch._foreach_addcmul_(gradients, away, [importance[index] for index in moving], value=-2 * weight)
        self._step = moving, before, gradients

    @torch.no_grad()
    def after_step(self) -> None:
        """Add to the path what the step has done."""
        moving, before, gradients = self._step
        if moving:
            held, path = list(self._held.values()), self.of_each("path")
            moved = torch._foreach_sub([held[index].detach() for index in moving], before)
            for index, step, gradient in zip(moving, moved, gradients, strict=True):
                # a gradient that overflowed in float16 has moved nothing: 0, and not 0 times infinity
                path[index].sub_(torch.where(step == 0, 0.0, step * gradient))
        self._step = [], [], []

    @torch.no_grad()
    def consolidate(self) -> None:
        """Turn what the path has gathered into importance, and hold the parameters where they are now."""
        for importance, path, (held, anchor) in zip(
            self.of_each("importance"), self.of_each("path"), self.pairs(), strict=True
        ):
            importance.add_((path / ((held - anchor).square() + self.damping)).clamp(min=0))
            path.zero_()
        self.move_anchors()
