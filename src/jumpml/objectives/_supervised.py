"""The objectives that compare a prediction with a target, one loss a row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, mean_of_rows, same_rows, shaped_like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo

MISSING = -1  # the code of an absent category, see core's decoding table


@final
class CrossEntropy(ObjectiveModule):
    """Softmax cross entropy of logits ``[batch, classes]`` against class codes ``[batch]``.

    A batch may hold shares of the classes in place of codes, float32 ``[batch, classes]``, as mixup makes them.

    Args:
        inputs: The logits and the target field.
        label_smoothing: The share of the target that is spread over all classes, in [0, 1)
            (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The smoothing is out of range.

    Example:
        >>> objective = CrossEntropy(("digit", "label"))
        >>> objective(torch.zeros(2, 4), torch.tensor([3, -1])).value
        tensor([1.3863, 0.0000])
    """

    roles = ("logits", "target")

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        label_smoothing: float = 0.0,
        weight: float = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not 0 <= label_smoothing < 1:
            raise self.error(f"expected label_smoothing in [0, 1), got {label_smoothing}.")
        self.label_smoothing = label_smoothing

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for ``[batch, classes]`` logits and ``[batch]`` codes."""
        logits, target = values
        if logits and (len(logits.shape) != 1 or logits.shape[0] < 2 or logits.dtype != "float32"):
            fix = "Use a linear node with one output a class; for a single logit take kind: binary."
            raise self.wrong_shape(0, "[batch, classes] float32 with two classes or more", logits, fix)
        if target and (target.shape != () or target.dtype != "int64"):
            fix = "Use a category field without features; for a number take kind: regression."
            raise self.wrong_shape(1, "class codes [batch] int64", target, fix)
        if logits and target and target.classes not in {None, logits.shape[0]}:
            raise self.error(
                f"{self.inputs[1]!r} has {target.classes} classes, and {self.inputs[0]!r} is {logits}. "
                f"Give the logits {target.classes} columns."
            )

    def forward(self, logits: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row; 0 where the target is missing.

        Args:
            logits: ``[batch, classes]``.
            target: Class codes, int64 ``[batch]``; -1 where missing. Or shares of the classes, float32
                ``[batch, classes]``.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        # ignore_index skips missing targets inside the kernel, so that no mask or clamp costs anything
        value = F.cross_entropy(
            logits, target, ignore_index=MISSING, reduction="none", label_smoothing=self.label_smoothing
        )
        return Loss(value, present)


@final
class BinaryCrossEntropy(ObjectiveModule):
    """Sigmoid cross entropy of logits against 0 and 1: one a row, or one a label, whose losses are averaged.

    Args:
        inputs: The logits and the target field: a category of two classes, a number that is 0 or 1, or several labels.
        positive_weight: What the loss of a positive row, or of a label that a row has, is multiplied by; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The positive weight is not above 0.

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
        positive_weight: float = 1.0,
        weight: float = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not 0 < positive_weight < float("inf"):
            raise self.error(f"expected a positive_weight above 0, got {positive_weight}.")
        # a buffer follows the model to its device; the value comes from the file, not from a checkpoint
        held = None if positive_weight == 1.0 else torch.tensor(float(positive_weight))
        self.register_buffer("positive_weight", held, persistent=False)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one logit a target."""
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

    def forward(self, logits: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            logits: ``[batch]`` or ``[batch, labels]``.
            target: int64 or float, ``[batch]`` or ``[batch, labels]``; -1 or NaN where missing. Beside one logit a row
                also shares of both classes, ``[batch, 2]``.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The two hold different numbers of elements.
        """
        if target.numel() == 2 * logits.numel() and target.shape[1:] == (2,):
            target = target[:, 1]
        target = filled(shaped_like(logits, target, self.error), present)
        if not target.is_floating_point():
            target = target.to(logits.dtype)
        value = F.binary_cross_entropy_with_logits(logits, target, reduction="none", pos_weight=self.positive_weight)
        return Loss(mean_of_rows(value), present)


@final
class MeanSquaredError(ObjectiveModule):
    """Squared difference, averaged over each row's elements.

    Args:
        inputs: The prediction and the target, of equal shape, or of equal size with one of them flat: a `Head` gives a
            target ``[batch, steps, channels]`` as ``[batch, steps * channels]``.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> objective = MeanSquaredError(("age", "years"))
        >>> objective(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])).value
        tensor([0., 4.])
    """

    roles = ("prediction", "target")

    def __init__(
        self, inputs: Sequence[str], *, weight: float = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for equal shapes."""
        prediction, target = values
        if target and target.dtype != "float32":
            raise self.wrong_shape(1, "float32", target, "For classes take kind: multiclass or binary.")
        if prediction and prediction.dtype != "float32":
            raise self.wrong_shape(0, "float32", prediction, "Put a layer of real numbers at its end.")
        if prediction and target and not same_rows(prediction.shape, target.shape):
            fix = f"Give {self.inputs[0]!r} the target's shape."
            raise self.wrong_shape(0, f"{target} like {self.inputs[1]!r}", prediction, fix)

    def forward(self, prediction: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            prediction: ``[batch]`` or ``[batch, *]``.
            target: Of the prediction's shape, or as many numbers a row; NaN where missing.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The two hold different numbers of elements.
        """
        target = filled(shaped_like(prediction, target, self.error), present)
        return Loss(mean_of_rows(F.mse_loss(prediction, target, reduction="none")), present)
