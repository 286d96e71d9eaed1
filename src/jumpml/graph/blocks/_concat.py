"""Several values side by side as one."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class Concat(nn.Module):
    """Join its inputs along one axis, in the order in which the node lists them.

    Shapes: inputs ``[batch, a, *rest]``, ``[batch, b, *rest]``, ... to ``[batch, a + b + ..., *rest]`` for ``dim=1``.

    Args:
        dim: The axis, counting the batch as 0.

    Raises:
        ValueError: ``dim`` is 0, which would mix rows.

    Example:
        >>> Concat()(torch.zeros(4, 2), torch.zeros(4, 3)).shape
        torch.Size([4, 5])
    """

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        if dim == 0:
            raise ValueError(
                "dim=0 is the batch: joining along it would mix rows. Use dim=1 or more, or -1 for the last axis."
            )
        self.dim = dim

    def forward(self, *inputs: Tensor) -> Tensor:
        """Join the inputs."""
        return torch.cat(inputs, self.dim)

    def extra_repr(self) -> str:
        """What `print` shows between the brackets."""
        return f"dim={self.dim}"
