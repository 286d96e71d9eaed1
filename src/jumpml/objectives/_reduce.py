"""From one loss a row to one loss a batch."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import torch

ONE_THREAD = 1 << 14  # values that torch sums in one thread, alone or in a row of a matrix; it may split up more

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
    value, rows = _parts(loss)
    return value.sum() / rows


def reduce_all(losses: Sequence[Loss]) -> Tensor:
    """`reduce` of each of several losses, ``[losses]``: the same bits, with few calls for all.

    Args:
        losses: One or more; see `reduce`.

    Example:
        >>> from jumpml.core import Loss
        >>> reduce_all([Loss(torch.tensor([1.0, 3.0])), Loss(torch.tensor(5.0))])
        tensor([2., 5.])
    """
    parts = [_means(list(alike)) for _, alike in groupby(losses, key=lambda loss: loss.value.shape)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _means(losses: Sequence[Loss]) -> Tensor:
    """The means of losses of one shape."""
    if all(loss.present is None for loss in losses):
        return _sums([loss.value for loss in losses]) / losses[0].value.numel()
    values, rows = zip(*map(_parts, losses), strict=True)
    return _sums(values) / torch.stack([torch.as_tensor(row, device=values[0].device) for row in rows])


def _parts(loss: Loss) -> tuple[Tensor, Tensor | int]:
    """Values with nothing at the rows that do not count, and the number of those that do, at least one."""
    value, present = loss
    if present is None:
        return value, value.numel()
    return torch.where(present, value, 0.0), present.sum().clamp(min=1)


def _sums(values: Sequence[Tensor]) -> Tensor:
    """The sum of each of several values of one shape."""
    first = values[0]
    if first.ndim == 1 and len(first) <= ONE_THREAD:
        return torch.stack(list(values)).sum(1)  # one call for all, and the same bits
    return torch.stack([value.sum() for value in values])
