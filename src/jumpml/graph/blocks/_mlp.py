"""The multilayer perceptron."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._residual import Residual, width_of
from jumpml.graph.blocks._sizes import check_widths

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class MLP(nn.Module):
    """Linear layers with ReLU between them; the last layer is linear, so its output may be logits or any number.

    Shapes: ``[batch, *any]``, flattened row by row, to ``[batch, widths[-1]]``. Initialisation: that of
    ``torch.nn.Linear``.

    Args:
        widths: The width of each layer's output.
        dropout: The share of each hidden layer's outputs that is set to zero while training (Srivastava et al. 2014,
            https://jmlr.org/papers/v15/srivastava14a.html).

    Raises:
        ValueError: ``widths`` is empty, or a width is no whole number of 1 or more.

    Example:
        >>> import torch
        >>> MLP([128, 10])(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4, 10])
    """

    def __init__(self, widths: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        check_widths(widths)
        with lazy_layers_are_meant():
            layers: list[nn.Module] = [nn.Flatten(), nn.LazyLinear(widths[0])]
        for before, after in pairwise(widths):
            layers += [nn.ReLU(), *([nn.Dropout(dropout)] if dropout else []), nn.Linear(before, after)]
        self.layers = nn.Sequential(*layers)

    def forward(self, input: Tensor) -> Tensor:
        """The last layer's output."""
        return self.layers(input)

    def deepen(self) -> None:
        """Put one more layer behind, which adds zeros at first."""
        self.layers.append(Residual(width_of(self.layers)))
