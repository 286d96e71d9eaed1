"""From one loss a row to one loss a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Loss


def reduce(loss: Loss) -> Tensor:
    """The mean over the rows that count.

    Where no row does, the answer is a zero whose gradient is zero: in a sum that is the same as leaving the objective
    out, and finding it out would make the host wait for the device at every step.

    Args:
        loss: ``[batch]`` values with the rows that count, or a scalar.

    Returns:
        A scalar. What stands at absent rows, be it NaN, changes neither it nor its gradient.

    Example:
        >>> from jumpml.core import Loss
        >>> reduce(Loss(torch.tensor([1.0, 3.0, float("nan")]), torch.tensor([True, True, False])))
        tensor(2.)
    """
    total, rows = _parts(loss)
    return total / rows


def reduce_all(losses: Sequence[Loss]) -> Tensor:
    """`reduce` of each of several losses, ``[losses]``: the same bits, with one division for all.

    Args:
        losses: One or more; see `reduce`.

    Example:
        >>> from jumpml.core import Loss
        >>> reduce_all([Loss(torch.tensor([1.0, 3.0])), Loss(torch.tensor(5.0))])
        tensor([2., 5.])
    """
    totals, rows = zip(*map(_parts, losses), strict=True)
    return torch.stack(totals) / torch.tensor(rows, device=totals[0].device)


def _parts(loss: Loss) -> tuple[Tensor, Tensor | int]:
    """The sum over the rows that count, and their number; where none does, nothing over one."""
    value, present = loss
    if present is None:
        return value.sum(), value.numel()
    return torch.where(present, value, 0.0).sum(), present.sum().clamp(min=1)
