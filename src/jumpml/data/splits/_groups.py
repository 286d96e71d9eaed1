"""Rows that must stay together, dealt so that shares of rows and of strata come near what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jumpml.core import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def deal_groups(
    groups: NDArray, shares: Sequence[float], generator: np.random.Generator, strata: NDArray | None = None
) -> NDArray[np.int64]:
    """Deal whole groups to parts, large ones first, each to the part that is furthest behind its share.

    Groups that count alike (as many rows of each stratum) are dealt at once, so that millions of small groups cost no
    more than a few. What a part is behind is summed over rows and strata, each relative to its total, as in
    scikit-learn's ``StratifiedGroupKFold``, but for parts of any share.

    Args:
        groups: ``[rows]``; rows of equal value stay together.
        shares: Of the rows, by part; they sum to 1.
        generator: Draws among groups that count alike, and the order of groups of about one size.
        strata: Values ``[rows]``, or 0 and 1 as ``[rows, labels]``; each keeps its share as far as groups allow.

    Returns:
        int64 ``[rows]``: each row's part. None is empty.

    Raises:
        DataError: There are fewer groups than parts.
    """
    distinct, group_of = np.unique(groups, return_inverse=True)
    if len(distinct) < len(shares):
        raise DataError(f"{len(shares)} splits need at least as many groups, got {len(distinct)}.")
    counts, kind_of = _kinds(group_of, len(distinct), strata)
    members = np.split(np.argsort(kind_of, kind="stable"), np.bincount(kind_of, minlength=len(counts)).cumsum()[:-1])
    order = np.lexsort((generator.permutation(len(counts)), -np.frexp(counts[:, 0])[1]))  # by powers of two, downwards
    sizes = np.array([len(of_kind) for of_kind in members])
    dealt = _deal_kinds(counts[order], sizes[order], np.asarray(shares))
    parts = np.empty(len(distinct), dtype=np.int64)
    for kind, taken in zip(order, dealt, strict=True):
        parts[generator.permutation(members[kind])] = np.repeat(np.arange(len(shares)), taken)
    return parts[group_of]


def merged(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """The finest groups that neither grouping cuts: rows that one of them keeps together stay so.

    Args:
        first: ``[rows]``, numbers from 0.
        second: Likewise.

    Example:
        >>> merged(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
        [0, 0, 0, 1]
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    number = int(first.max()) + 1
    size = number + int(second.max()) + 1
    linked = csr_matrix((np.ones(len(first), dtype=bool), (first, second + number)), shape=(size, size))
    return connected_components(linked, directed=False)[1][first]


def _kinds(group_of: NDArray, number: int, strata: NDArray | None) -> tuple[NDArray, NDArray]:
    """The different counts that groups have of rows and of each stratum, ``[kinds, 1 + strata]``; each group's kind."""
    from scipy.sparse import csr_matrix

    if strata is None:
        carried, pattern_of = np.ones((1, 1)), np.zeros(len(group_of), dtype=np.int64)
    elif strata.ndim == 1:
        distinct, pattern_of = np.unique(strata, return_inverse=True)
        carried = np.hstack([np.ones((len(distinct), 1)), np.eye(len(distinct))])
    else:
        distinct, pattern_of = np.unique(strata > 0, axis=0, return_inverse=True)
        carried = np.hstack([np.ones((len(distinct), 1)), distinct])
    kind_of = np.empty(number, dtype=np.int64)
    single = np.bincount(group_of) == 1  # most groups, where equal rows are kept together: not worth a row of counts
    alone = single[group_of]
    kind_of[group_of[alone]] = pattern_of.reshape(-1)[alone]
    others = np.flatnonzero(~single)
    if not len(others):
        return carried, kind_of
    place = np.cumsum(~single) - 1
    pairs = (place[group_of[~alone]], pattern_of.reshape(-1)[~alone])
    rows = csr_matrix((np.ones(len(pairs[0])), pairs), shape=(len(others), len(carried))) @ carried
    counts, kind_of_others = np.unique(rows, axis=0, return_inverse=True)
    kind_of[others] = len(carried) + kind_of_others.reshape(-1)
    return np.vstack([carried, counts]), kind_of


def _deal_kinds(counts: NDArray, sizes: NDArray, shares: NDArray) -> NDArray[np.int64]:
    """How many groups of each kind go to each part: int64 ``[kinds, parts]``."""
    totals = sizes @ counts
    weights = 1 / np.maximum(totals, 1)
    held = np.zeros((len(shares), counts.shape[1]))
    seen = np.zeros(counts.shape[1])
    later = sizes.sum() - sizes.cumsum()
    dealt = np.zeros((len(counts), len(shares)), dtype=np.int64)
    for kind, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        seen += size * count
        # The numbers of groups that bring the parts nearest to their shares of what was seen; they sum to `size`.
        needs = (np.outer(shares, seen) - held) @ (weights * count) / (count @ (weights * count))
        empty = ~dealt.any(0)
        forced = max(0, int(empty.sum() - later[kind]))  # else too few groups are left to fill every part
        first = np.argsort(np.where(empty, -needs, np.inf), kind="stable")[: min(forced, size)]
        dealt[kind, first] = 1
        dealt[kind] += _apportion(size - len(first), needs - dealt[kind])
        held += np.outer(dealt[kind], count)
    return dealt


def _apportion(number: int, needs: NDArray) -> NDArray[np.int64]:
    """Whole numbers that sum to ``number``, in proportion to the positive needs; the largest remainders round up."""
    positive = np.maximum(needs, 0)
    if not positive.any():
        positive = np.ones(len(needs))
    quotas = positive * number / positive.sum()
    whole = np.floor(quotas + 1e-9).astype(np.int64)
    whole[np.argsort(whole - quotas, kind="stable")[: number - whole.sum()]] += 1
    return whole
