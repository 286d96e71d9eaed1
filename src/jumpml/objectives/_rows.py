"""Small arithmetic on rows that several objectives share."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jumpml.core import ObjectiveError


def mean_of_rows(x: Tensor) -> Tensor:
    """``[batch, *]`` to the mean of each row, ``[batch]``."""
    return x.flatten() if x.shape[1:].numel() == 1 else x.flatten(1).mean(1)


def same_rows(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two rows can be compared element by element: shapes are equal, or sizes are and one of them is flat."""
    return first == second or (prod(first) == prod(second) and min(len(first), len(second)) < 2)


def shaped_like(x: Tensor, other: Tensor, error: Callable[[str], ObjectiveError]) -> Tensor:
    """`other` in the shape of `x`: ``[batch]`` against ``[batch, 1]`` would broadcast to ``[batch, batch]``."""
    if x.shape == other.shape:
        return other
    if not same_rows(x.shape[1:], other.shape[1:]) or len(x) != len(other):
        raise error(f"expected equal shapes, got {list(x.shape)} and {list(other.shape)}.")
    return other.reshape(x.shape)


def filled(x: Tensor, present: Tensor | None) -> Tensor:
    """Zeros at absent rows: a NaN there would reach the gradient, since NaN times zero is NaN. Codes have no NaN."""
    if present is None or not x.is_floating_point():
        return x
    return torch.where(present.view(-1, *[1] * (x.dim() - 1)), x, 0.0)
