"""How much of each class a segmentation covers, one loss a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._cross_entropy import MISSING, shares_of
from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Dice(ObjectiveModule):
    """One minus the Dice coefficient of predicted and true pixels, averaged over the classes.

    ``(2 sum p t + s) / (sum p + sum t + s)`` over a row's positions (Milletari et al. 2016,
    https://arxiv.org/abs/1606.04797, without their squares, as Sudre et al. 2017, https://arxiv.org/abs/1707.03237).
    Small regions count as much as large ones; it is often added to a cross entropy.

    Args:
        inputs: Logits ``[batch, classes, *]`` and class codes ``[batch, *]``, such as a mask's.
        smooth: What is added above and below, so that a class that is neither predicted nor there loses nothing; above
            0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The smoothing is not above 0.

    Example:
        >>> objective = Dice(("pixels", "mask"), smooth=1.0)
        >>> objective(torch.zeros(1, 2, 2), torch.tensor([[0, 0]])).value  # (1 - 3/4 + 1 - 1/2) / 2
        tensor([0.3750])
    """

    roles = ("logits", "target")

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        smooth: float = 1.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not 0 < smooth < float("inf"):
            raise self.error(f"expected smooth above 0, got {smooth}.")
        self.smooth = smooth

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for logits and codes at the same positions."""
        logits, target = values
        if logits and (len(logits.shape) < 2 or logits.shape[0] < 2 or logits.dtype != "float32"):
            fix = "It measures regions; for one class a row take kind: cross_entropy."
            raise self.wrong_shape(0, "[batch, classes, *] float32 with two classes or more", logits, fix)
        if target and (target.dtype != "int64" or (logits and target.shape != logits.shape[1:])):
            where = f" at the positions of {self.inputs[0]!r}, {logits}" if logits else ""
            raise self.wrong_shape(1, f"class codes [batch, *] int64{where}", target, "Use a mask of their size.")
        if logits and target and target.classes not in {None, logits.shape[0]}:
            expected = f"{target.classes} classes, as {self.inputs[1]!r} has"
            raise self.wrong_shape(0, expected, logits, f"Give it {target.classes} channels.")

    def forward(self, logits: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row; positions whose code is missing do not count, nor do rows without any other.

        Args:
            logits: ``[batch, classes, *]``.
            target: int64 ``[batch, *]``; -1 where missing.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        known = target != MISSING
        if present is not None:
            known = known & present.view(-1, *[1] * (target.ndim - 1))
        probabilities = torch.where(known.unsqueeze(1), F.softmax(logits, dim=1), 0.0).flatten(2)
        shares = shares_of(torch.where(known, target, MISSING), logits).flatten(2)
        shared = (probabilities * shares).sum(2)
        total = probabilities.sum(2) + shares.sum(2)
        value = 1 - (2 * shared + self.smooth) / (total + self.smooth)
        return Loss(value.mean(1), known.flatten(1).any(1))

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows with a position whose code is known."""
        there = (inputs[1] != MISSING).flatten(1).any(1) if inputs[1] is not None else None
        return present if there is None else there if present is None else there & present
