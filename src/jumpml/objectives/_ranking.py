"""Rows in the right order."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Ranking(ObjectiveModule):
    """Of each two rows the one with the larger target has the larger score.

    The mean over pairs of ``ln(1 + e^(s_j - s_i))`` where i is to be above j (RankNet: Burges et al. 2005,
    https://doi.org/10.1145/1102351.1102363), or with a margin ``max(0, margin + s_j - s_i)`` (Herbrich et al. 2000).
    Targets that are equal make no pair.

    Args:
        inputs: The score, one number a row, and what orders the rows: a number or a code. With a third, class codes,
            only rows of one group are compared, such as the answers to one query.
        margin: By how much scores are to differ; RankNet's smooth loss where None.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The margin is not above 0.

    Example:
        >>> objective = Ranking(("score", "relevance"), margin=1.0)
        >>> score, relevance = torch.tensor([[2.0], [0.5], [0.0]]), torch.tensor([[1.0], [0.0], [3.0]])
        >>> objective(score, relevance).value  # (0 + 3 + 1.5) / 3
        tensor(1.5000)
    """

    roles = ("score", "target", "group")
    optional = 1
    per_example = False

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        margin: float | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if margin is not None and not 0 < margin < float("inf"):
            raise self.error(f"expected a margin above 0, got {margin}.")
        self.margin = margin

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one score, one target and one group a row."""
        score, target, *group = values
        if score and (score.shape not in {(), (1,)} or score.dtype != "float32"):
            raise self.wrong_shape(0, "[batch] or [batch, 1] float32", score, "Use a linear node with one output.")
        if target and target.shape not in {(), (1,)}:
            raise self.wrong_shape(1, "one number or code a row", target, "Use a number or a category.")
        if group and group[0] and (group[0].shape != () or group[0].dtype != "int64"):
            raise self.wrong_shape(2, "codes [batch] int64", group[0], "Use a category field without features.")

    def forward(
        self, score: Tensor, target: Tensor, group: Tensor | None = None, present: Tensor | None = None
    ) -> Loss:
        """The loss of the whole batch.

        Args:
            score: ``[batch]`` or ``[batch, 1]``.
            target: The same, float or int64; NaN or -1 where missing.
            group: int64 ``[batch]``; None where all rows are compared.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        score, target = filled(score, present).flatten(), filled(target, present).flatten()
        pairs = target[:, None] > target
        if group is not None:
            pairs = pairs & (group[:, None] == group)
        if present is not None:
            pairs = pairs & present[:, None] & present
        lead = score[:, None] - score
        value = F.softplus(-lead) if self.margin is None else F.relu(self.margin - lead)
        return Loss(torch.where(pairs, value, 0.0).sum() / pairs.sum().clamp(min=1))
