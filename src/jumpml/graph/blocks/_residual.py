"""What a deeper model has behind a layer."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class Residual(nn.Module):
    """Adds a small network of a value to it; that begins with zeros, so that at first nothing is added.

    Shapes: ``[batch, *, width]`` to the same; with ``space``, ``[batch, width, *space]``.

    Args:
        width: Of the value, and of the network's inner layer.
        space: How many axes of space there are behind the channels, 0 to 3; with some, the network convolves.

    Example:
        >>> Residual(4)(torch.ones(2, 4)).sum().item()
        8.0
    """

    def __init__(self, width: int, space: int = 0) -> None:
        super().__init__()
        self.space = space
        if space:
            convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[space - 1]
            self.inward: nn.Module = convolution(width, width, 3, padding=1)
            self.outward: nn.Module = convolution(width, width, 3, padding=1)
        else:
            self.inward, self.outward = nn.Linear(width, width), nn.Linear(width, width)
        zero(self.outward)

    def forward(self, input: Tensor) -> Tensor:
        """The value, and what the network adds."""
        return input + self.outward(torch.relu(self.inward(input)))


def zero(module: nn.Module) -> None:
    """Let a layer give zeros."""
    for parameter in module.parameters(recurse=False):
        nn.init.zeros_(parameter)


def fresh(module: nn.Module) -> nn.Module:
    """Draw all of a module's parameters anew, as torch's layers do."""
    for inner in module.modules():
        reset = getattr(inner, "reset_parameters", None)
        if reset is not None:
            reset()
    return module


def width_of(layers: nn.Module) -> int:
    """The width of what the last layer with weights gives."""
    return [inner.weight.shape[0] for inner in layers.modules() if isinstance(inner, (nn.Linear, _Convolution))][-1]


_Convolution = nn.modules.conv._ConvNd
