"""How far numbers are from a target, one loss a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, mean_of_rows, same_rows, shaped_like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo


@final
class MeanSquaredError(ObjectiveModule):
    """Squared difference, averaged over each row's elements.

    Args:
        inputs: The prediction and the target, of equal shape, or of equal size with one of them flat: a `Head` gives a
            target ``[batch, steps, channels]`` as ``[batch, steps * channels]``.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> import torch
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
