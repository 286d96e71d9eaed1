"""Rows that are equal in every field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor


def row_groups(values: Iterable[Tensor]) -> NDArray[np.int64]:
    """Number the different rows.

    Args:
        values: The fields' decoded values, each ``[rows, ...]``.

    Returns:
        int64 ``[rows]``; equal numbers mean equal values in every field, and missing equals missing.

    Example:
        >>> import torch
        >>> row_groups([torch.tensor([1, 2, 1]), torch.tensor([[0.5], [0.5], [0.5]])]).tolist()
        [0, 1, 0]
    """
    # Adding 0 turns -0.0 into 0.0; the bytes of all fields side by side make one sortable key a row.
    parts = [(column.cpu() + 0).flatten(1) if column.ndim > 1 else column.cpu()[:, None] for column in values]
    raw = np.concatenate([part.numpy().view(np.uint8) for part in parts], axis=1)
    keys = np.ascontiguousarray(raw).view(np.dtype((np.void, raw.shape[1]))).reshape(-1)
    return np.unique(keys, return_inverse=True)[1]


def rows_in_both(groups: NDArray[np.int64], first: Tensor, second: Tensor) -> list[tuple[int, int]]:
    """Pairs of equal rows of two splits: for each such row of the second, one of the first.

    Args:
        groups: From `row_groups`.
        first: Row numbers of a split.
        second: Row numbers of another.
    """
    by_group: dict[int, int] = {}
    for row in first.tolist():
        by_group.setdefault(int(groups[row]), row)
    return [(by_group[int(groups[row])], row) for row in second.tolist() if int(groups[row]) in by_group]
