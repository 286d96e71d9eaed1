"""Penalties on a node's output, one loss a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, mean_of_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo


class _Penalty(ObjectiveModule):
    roles = ("activation",)

    def __init__(
        self, inputs: str | Sequence[str], *, weight: float = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for real numbers."""
        (activation,) = values
        if activation and activation.dtype != "float32":
            raise self.wrong_shape(0, "float32", activation, "A penalty needs numbers that a gradient can change.")


@final
class L1(_Penalty):
    """Mean absolute value of a node's output.

    Args:
        inputs: The node.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> import torch
        >>> L1("encoder")(torch.tensor([[1.0, -3.0]])).value
        tensor([2.])
    """

    def forward(self, activation: Tensor, present: Tensor | None = None) -> Loss:
        """The mean absolute value of each row of ``[batch, *]``, ``[batch]``."""
        return Loss(mean_of_rows(filled(activation, present).abs()), present)


@final
class L2(_Penalty):
    """Mean square of a node's output.

    Args:
        inputs: The node.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> import torch
        >>> L2("encoder")(torch.tensor([[1.0, -3.0]])).value
        tensor([5.])
    """

    def forward(self, activation: Tensor, present: Tensor | None = None) -> Loss:
        """The mean square of each row of ``[batch, *]``, ``[batch]``."""
        return Loss(mean_of_rows(filled(activation, present).square()), present)
