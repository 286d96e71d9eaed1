"""Rows that are equal in every field."""

from __future__ import annotations

from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.data._disk import let_go
from jumpml.data.kinds import Column, RawColumn
from jumpml.data.splits._keys import codes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.data._files import FileColumn

BLOCK_BYTES = 2**24  # of a block's rows; the arithmetic needs a few times as much


def row_keys(values: Iterable[Tensor], rows: Tensor | None = None) -> NDArray[np.uint64]:
    """A 64-bit key of each row, computed in blocks, so that little memory is needed beside the values.

    Equal rows have equal keys. Two given rows that differ have equal keys with a probability of 2**-64: that there is
    any such pair among 10 million rows has one of 3 in a million.

    Args:
        values: The fields' decoded values, each ``[all rows, ...]``.
        rows: int64 row numbers; all rows where None.

    Returns:
        uint64 ``[rows]``; equal keys mean equal values in every field, and missing equals missing.

    References:
        Lemire, Kaser: Strongly Universal String Hashing is Fast. The Computer Journal 57(11), 2014 (multilinear).

    Example:
        >>> keys = row_keys([torch.tensor([1, 2, 1]), torch.tensor([[0.5], [0.5], [0.5]])])
        >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
        (True, False)
    """
    fields = list(values)
    count = len(fields[0]) if rows is None else len(rows)
    width = sum(prod(field.shape[1:]) * field.element_size() // 4 for field in fields)
    # Fixed factors: keys of different calls can be compared.
    factors = np.random.default_rng(2014).integers(0, 2**64, (2, width + 1), dtype=np.uint64)
    keys = np.empty(count, dtype=np.uint64)
    block = max(1, BLOCK_BYTES // (4 * width))
    for start in range(0, count, block):
        chosen = slice(start, start + block) if rows is None else rows[start : start + block]
        words = np.concatenate([_words(field[chosen]) for field in fields], axis=1)
        for field in fields:
            let_go(field)
        # Modulo 2**64, as the method wants it; the upper halves of the sums are what is random enough.
        first, second = (np.einsum("rw,w->r", words, factor[1:]) + factor[0] for factor in factors)
        keys[start : start + block] = (first & np.uint64(0xFFFFFFFF << 32)) | (second >> np.uint64(32))
    return keys


def comparable(column: Column | FileColumn | RawColumn) -> Tensor:
    """What rows are compared by: decoded values, else numbers for the different texts, or places of files."""
    if isinstance(column, Column):
        return column.values
    if isinstance(column, RawColumn) and column.stored is not None:
        return column.stored.codes()
    if isinstance(column, RawColumn) and column.values.dtype.kind in "buif":
        return torch.from_numpy(column.values.astype(np.float64))
    values = column.values if isinstance(column, RawColumn) else np.array([*column.blobs, None], dtype=object)[:-1]
    return torch.from_numpy(codes_of(values))


def _words(rows: Tensor) -> NDArray[np.uint64]:
    """The rows' bytes as 32-bit words; -0.0 as 0.0, and every NaN alike."""
    values = rows.cpu().flatten(1) if rows.ndim > 1 else rows.cpu()[:, None]
    if values.is_floating_point():
        values = torch.where(values.isnan(), torch.nan, values + 0)
    return np.ascontiguousarray(values.numpy()).view(np.uint32).astype(np.uint64)


def shared_rows(keys: Mapping[str, NDArray[np.uint64]]) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Rows that stand in two splits.

    Args:
        keys: From `row_keys`, by split, train first.

    Yields:
        A split, an earlier one, and int64 ``[rows, 2]``: positions in the split of its rows that stand in the earlier
        one too, and of the first equal one there. Only pairs of splits that share rows.
    """
    order = {split: np.argsort(of_split, kind="stable") for split, of_split in keys.items()}
    ascending = {split: of_split[order[split]] for split, of_split in keys.items()}
    for earlier, later in combinations(keys, 2):
        first = np.searchsorted(ascending[earlier], ascending[later]).clip(max=len(order[earlier]) - 1)
        shared = np.flatnonzero(ascending[earlier][first] == ascending[later])
        if len(shared):
            pairs = np.stack([order[later][shared], order[earlier][first[shared]]], axis=1)
            yield later, earlier, pairs[np.argsort(pairs[:, 0])]
