"""A multilayer perceptron with shortcuts."""

from __future__ import annotations

import copy
from typing import Any, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._residual import fresh, zero
from jumpml.graph.blocks._sizes import check_sizes


@final
class ResidualMLP(nn.Module):
    """A linear layer, then small networks that each add something to what came before.

    The ResNet for tables of Gorishniy et al. 2021 (https://arxiv.org/abs/2106.11959), after He et al. 2016
    (https://arxiv.org/abs/1603.05027): each network is a batch normalization, a linear layer, ReLU, and a linear layer
    back. It reads a table's features as they are, or the vectors of a `TabularEmbedding`.

    Shapes: ``[batch, *any]``, flattened row by row, to ``[batch, width]``. Initialisation: that of ``torch.nn.Linear``.

    Args:
        width: Of the output, and of what is added to it.
        depth: How many networks.
        expand: How many times wider their inner layer is.
        dropout: The share of their inner layer's outputs that is set to zero while training.

    Raises:
        ValueError: ``width`` or ``depth`` is no whole number of 1 or more.

    Example:
        >>> ResidualMLP(32, depth=2)(torch.zeros(4, 13)).shape
        torch.Size([4, 32])
    """

    def __init__(self, width: int, depth: int, expand: float = 2.0, dropout: float = 0.0) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth)
        with lazy_layers_are_meant():
            self.inward = nn.Sequential(nn.Flatten(), nn.LazyLinear(width))
        self.layers = nn.ModuleList(_network(width, int(width * expand), dropout) for _ in range(depth))
        self.norm = nn.BatchNorm1d(width)

    def forward(self, input: Tensor) -> Tensor:
        """One vector a row."""
        values = self.inward(input)
        for layer in self.layers:
            values = values + layer(values)
        return torch.relu(self.norm(values))

    def deepen(self) -> None:
        """Put one more network behind the others, which adds zeros at first."""
        network: Any = fresh(copy.deepcopy(self.layers[-1]))
        zero(network[-1])
        self.layers.append(network)


def _network(width: int, hidden: int, dropout: float) -> nn.Sequential:
    last = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, hidden), nn.ReLU(), *last, nn.Linear(hidden, width))
