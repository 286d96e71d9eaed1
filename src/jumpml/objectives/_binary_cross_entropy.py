"""Yes or no, once a row or once a label."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._class_weights import BALANCED
from jumpml.objectives._cross_entropy import SURE
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import mean_of_rows, same_rows, shaped_like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class BinaryCrossEntropy(ObjectiveModule):
    """Sigmoid cross entropy of logits against 0 and 1: one a row, or one a label, whose losses are averaged.

    Args:
        inputs: The logits and the target field: a category of two classes, a number that is 0 or 1, or several labels.
        positive_weight: What the loss of a positive row, or of a label that a row has, is multiplied by; above 0. With
            ``balanced`` the train rows' negatives over their positives: of a category of two classes, or of each label
            of a multilabel, where a label that no row has, or every row, counts as if one had it, or had not.
        focal: The power of one minus the probability of what is true that a loss is multiplied by, so that what is
            learned already counts less (Lin et al. 2017, https://arxiv.org/abs/1708.02002, who take 2); 0 switches it
            off.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The positive weight is not above 0, or the power below 0.

    Example:
        >>> objective = BinaryCrossEntropy(("benign", "diagnosis"), positive_weight=2.0)
        >>> objective(torch.zeros(2, 1), torch.tensor([0, 1])).value
        tensor([0.6931, 1.3863])
        >>> objective(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])).value
        tensor([1.0397])
    """

    roles = ("logits", "target")
    positive_weight: Tensor | None

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        positive_weight: float | str = 1.0,
        focal: float = 0.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        self._balanced = positive_weight == BALANCED
        if not self._balanced and (isinstance(positive_weight, str) or not 0 < positive_weight < float("inf")):
            raise self.error(f"expected a positive_weight above 0, or {BALANCED!r}; got {positive_weight!r}.")
        if not 0 <= focal < float("inf"):
            raise self.error(f"expected focal as a power of 0 or more, got {focal}.")
        self.focal = focal
        # a buffer follows the model to its device; the value comes from the file, not from a checkpoint
        held = None if positive_weight in {1.0, BALANCED} else torch.tensor(float(positive_weight))
        self.register_buffer("positive_weight", held, persistent=False)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one logit a target."""
        super().connect(values, parameters)
        logits, target = values
        if logits and (len(logits.shape) > 1 or logits.dtype != "float32"):
            fix = "Use a linear node with one output, or one a label."
            raise self.wrong_shape(0, "[batch] or [batch, labels] float32", logits, fix)
        if target and len(target.shape) > 1:
            fix = "Use a category of two classes, a number that is 0 or 1, or a multilabel field."
            raise self.wrong_shape(1, "[batch] or [batch, labels]", target, fix)
        if logits and target and not same_rows(logits.shape, target.shape):
            several = f"Use a linear node with {prod(target.shape)} outputs, one a label."
            single = "Use a linear node with one output; for one logit a class take kind: multiclass."
            fix = several if prod(target.shape) > 1 else single
            raise self.wrong_shape(0, f"one logit for each of {target} in {self.inputs[1]!r}", logits, fix)
        if self._balanced and (self.positive_weight is None or (target and target.class_counts)):
            self.positive_weight = self._weigh(target)

    def _weigh(self, target: ValueInfo | None) -> Tensor:
        if target and target.class_counts and target.shape == (len(target.class_counts),):
            positives = torch.tensor([*target.class_counts.values()], dtype=torch.float64)
            negatives = (target.counted or 0) - positives
            return (negatives.clamp(min=1) / positives.clamp(min=1)).float()
        counts = [*target.class_counts.values()] if target and target.class_counts else []
        if len(counts) != 2 or 0 in counts:
            rows = f"{counts[0]} and {counts[1]}" if len(counts) == 2 else "none that are known"
            needs = f"{BALANCED!r} needs train rows of both classes of {self.inputs[1]!r}; there are {rows}."
            takes = "a category of two classes or a multilabel"
            fix = f"Give the data to load_model, and take {takes} as target; or write a number."
            raise self.error(f"positive_weight: {needs} {fix}")
        return torch.tensor(counts[0] / counts[1])

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """All rows that have a target, be it in part."""
        return present

    def forward(self, logits: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            logits: ``[batch]`` or ``[batch, labels]``.
            target: int64 or float, ``[batch]`` or ``[batch, labels]``; -1 or NaN where missing, in a table's rows also
                where single labels are, which do not count. Beside one logit a row also shares of both classes,
                ``[batch, 2]``.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The two hold different numbers of elements.
        """
        if target.numel() == 2 * logits.numel() and target.shape[1:] == (2,):
            target = target[:, 1]
        target, known = self.known_elements(shaped_like(logits, target, self.error), present)
        if not target.is_floating_point():
            target = target.to(logits.dtype)
        if self.focal:
            value = self._focal(logits, target)
        else:
            value = F.binary_cross_entropy_with_logits(
                logits, target, reduction="none", pos_weight=self.positive_weight
            )
        return Loss(mean_of_rows(value, known), present)

    def _focal(self, logits: Tensor, target: Tensor) -> Tensor:
        """Both losses that an element could have, by how unsure it is of them and by how much each is true."""
        positive = F.softplus(-logits) * torch.sigmoid(-logits).clamp(min=SURE) ** self.focal
        negative = F.softplus(logits) * torch.sigmoid(logits).clamp(min=SURE) ** self.focal
        weight = 1.0 if self.positive_weight is None else self.positive_weight
        return target * positive * weight + (1 - target) * negative
