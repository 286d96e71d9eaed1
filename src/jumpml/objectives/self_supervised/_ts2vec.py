"""Vectors of steps that agree on two views, at every scale of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._precision import in_full_precision
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._causal import check_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class TS2Vec(ObjectiveModule):
    """Hierarchical contrast over steps and rows (Yue et al. 2022, https://arxiv.org/abs/2106.10466).

    A step's vector on one view belongs to the same step's on the other: against that step of the batch's other rows,
    and against the row's other steps, both of either view. Vectors are compared by their product, as in the authors'
    own code. Then each two steps become one by their maximum, and it begins anew, until a single step is left; the loss
    is the mean over these scales.

    Both views must leave steps where they are: what hides, scales or adds noise does, what crops or reorders does not.
    Stretches that a view hides are the context that differs, as the authors' random crops make it.

    Args:
        inputs: The node, ``[batch, steps, width]``.
        views: One policy, drawn twice, or two policies.
        instance: How much the contrast with other rows counts, from 0 to 1; that with other steps counts the rest.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, or ``instance`` is not from 0 to 1.

    Example:
        >>> from math import log
        >>> objective = TS2Vec("steps", views="hide")
        >>> same = torch.zeros(2, 4, 3)  # of three others a row, then of seven, three and one of a row's steps
        >>> scales = [log(3) + log(7), log(3) + log(3), log(3)]
        >>> abs(float(objective(same, same).value) - sum(scales) / 2 / 3) < 1e-6
        True
    """

    roles = ("steps",)
    needs_learning = True
    if_collapsed = "let views hide more, or take larger batches, which have more rows to be told from"
    per_example = False

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        instance: float = 0.5,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, weight=weight, when=when)
        if not self.views:
            raise self.error("expected one view, which is drawn twice, or two; got none.")
        if not 0 <= instance <= 1:
            raise self.error(f"expected instance from 0 to 1, got {instance}.")
        self.instance = instance

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for a vector a step."""
        super().connect(values, parameters)
        check_steps(self, 0, values[0])

    def forward(self, first: Tensor, second: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch; 0 where no row is present.

        Args:
            first: The vectors on one view, ``[batch, steps, width]``.
            second: Those on the other.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The batch has one row, so that there is no other to be told from.
        """
        if len(first) < 2:
            fix = "Choose a batch_size that leaves no single row over at the end of an epoch."
            raise self.error(f"expected two rows or more in a batch, to tell them apart; got {len(first)}. {fix}")
        first, second = (filled(view, present) for view in (first, second))
        there = torch.ones(len(first), dtype=torch.bool, device=first.device) if present is None else present
        scales: list[Tensor] = []
        while True:
            rows = self.instance * self._among_rows(first, second, there)
            if first.shape[1] == 1:
                scales.append(rows)
                return Loss(torch.stack(scales).mean())
            scales.append(rows + (1 - self.instance) * self._among_steps(first, second, there))
            first, second = (F.max_pool1d(view.transpose(1, 2), 2).transpose(1, 2) for view in (first, second))

    def _among_rows(self, first: Tensor, second: Tensor, there: Tensor) -> Tensor:
        by_step = there.expand(first.shape[1], -1)
        return _mean(pairs_apart(first.transpose(0, 1), second.transpose(0, 1), by_step), by_step)

    def _among_steps(self, first: Tensor, second: Tensor, there: Tensor) -> Tensor:
        of_row = there[:, None].expand(-1, first.shape[1])
        return _mean(pairs_apart(first, second, torch.ones_like(of_row)), of_row)


def pairs_apart(first: Tensor, second: Tensor, there: Tensor) -> Tensor:
    """Cross entropy of telling an item's partner from all other items of its group.

    Args:
        first: ``[groups, items, width]``.
        second: Their partners.
        there: bool ``[groups, items]``: others are told from these alone.

    Returns:
        The mean over both directions, ``[groups, items]``; anything where an item is not there.
    """
    items = first.shape[1]
    both = torch.cat([first, second], 1)
    similarity = in_full_precision(lambda x: x @ x.transpose(1, 2), both)
    itself = torch.eye(2 * items, dtype=torch.bool, device=both.device)
    known = torch.cat([there, there], 1)
    # one that is not there has partners of zeros to be told from, so that no softmax is of nothing
    apart = itself | (~known[:, None, :] & known[:, :, None])
    chance = similarity.masked_fill(apart, float("-inf")).log_softmax(2)
    forth = chance[:, :items, items:].diagonal(dim1=1, dim2=2)
    back = chance[:, items:, :items].diagonal(dim1=1, dim2=2)
    return -(forth + back) / 2


def _mean(values: Tensor, there: Tensor) -> Tensor:
    return torch.where(there, values, 0.0).sum() / there.sum().clamp(min=1)
