"""What a node becomes that a branch is added to."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

BRANCH = "grown_branch"  # the argument under which a module that names its arguments gets the branch


@final
class GatedSum(nn.Module):
    """What a module gives, plus a branch times a gate that is zero at first.

    Bachlechner et al. 2021 (https://arxiv.org/abs/2003.04887) begin a residual network so: the gate has a gradient at
    once, and the branch as soon as the gate has moved.

    Args:
        inner: The module whose place it takes.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        like = next(inner.parameters(), torch.zeros(()))
        self.gate = nn.Parameter(torch.zeros((), device=like.device, dtype=like.dtype))
        self.train(inner.training)

    def forward(self, *values: Tensor, **named: Any) -> Tensor:
        """The sum; the branch comes last, or as `grown_branch`.

        Raises:
            ValueError: Module and branch give no two tensors of one shape.
        """
        branch = named.pop(BRANCH) if BRANCH in named else values[-1]
        given = self.inner(**named) if named else self.inner(*values[:-1])
        if not isinstance(given, Tensor) or given.shape != branch.shape:
            what = list(given.shape) if isinstance(given, Tensor) else f"a {type(given).__name__}"
            raise ValueError(
                f"the branch gives {list(branch.shape)}, and what it is added to {what}: they must be alike."
            )
        return given + self.gate * branch
