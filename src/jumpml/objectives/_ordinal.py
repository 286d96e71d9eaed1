"""The objective of classes that have an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Corn(ObjectiveModule):
    """CORN: classes in an order, told by whether each next one is reached (Shi, Cao and Raschka 2021).

    https://arxiv.org/abs/2111.08851. The logit at place k is of the chance to be above class k among the rows that are
    not below it, so the chance to be above a class is a product, which can only fall from class to class. A row's loss
    is the sum of the binary cross entropies of the places that it reaches: minus the logarithm of its class's
    probability. (The paper divides the batch's sum by the number of such pairs, here it is that of rows.)

    Args:
        inputs: The logits and the target field, whose classes stand in their order.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> objective = Corn(("quality", "grade"))
        >>> objective(torch.zeros(3, 2), torch.tensor([0, 1, 2])).value  # chances of 1/2, 1/4 and 1/4
        tensor([0.6931, 1.3863, 1.3863])
    """

    roles = ("logits", "target")

    def __init__(
        self, inputs: Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for ``[batch, classes - 1]`` logits and ``[batch]`` codes."""
        logits, target = values
        if logits and (len(logits.shape) != 1 or logits.dtype != "float32"):
            fix = "Use a linear node with one output less than there are classes."
            raise self.wrong_shape(0, "[batch, classes - 1] float32", logits, fix)
        if target and (target.shape != () or target.dtype != "int64"):
            fix = "Use a category field without features; for a number take kind: regression."
            raise self.wrong_shape(1, "class codes [batch] int64", target, fix)
        if logits and target and target.classes not in {None, logits.shape[0] + 1}:
            raise self.error(
                f"{self.inputs[1]!r} has {target.classes} classes, and {self.inputs[0]!r} is {logits}. "
                f"Give the logits {(target.classes or 0) - 1} columns, one less than there are classes."
            )

    def forward(self, logits: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            logits: ``[batch, classes - 1]``.
            target: Class codes, int64 ``[batch]``; -1 where missing, which gives 0.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        place, code = torch.arange(logits.shape[1], device=logits.device), target.unsqueeze(1)
        value = F.binary_cross_entropy_with_logits(logits, (code > place).to(logits.dtype), reduction="none")
        return Loss(torch.where(code >= place, value, 0.0).sum(1), present)
