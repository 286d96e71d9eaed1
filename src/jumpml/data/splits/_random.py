"""Which rows are for training, validation and the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jumpml.core import DataError, derive_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

SPLITS = ("train", "val", "test")


def random_split(
    count: int,
    *,
    train: float = 0.7,
    val: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    strata: NDArray | None = None,
    groups: NDArray | None = None,
) -> dict[str, Tensor]:
    """Deal rows to three splits by chance.

    Args:
        count: Rows.
        train: Share of the rows; the three shares sum to 1.
        val: Likewise.
        test: Likewise.
        seed: Another seed draws another split.
        strata: ``[count]``, texts or numbers; each value keeps its share in every split.
        groups: int64 ``[count]``; rows of equal value stay in one split, and the shares are those of the groups.

    Returns:
        int64 row numbers by split, ascending. Every row is in exactly one.

    Raises:
        DataError: The shares do not sum to 1, a split is empty, or a stratum is too small.

    Example:
        >>> {name: len(rows) for name, rows in random_split(20, train=0.7, val=0.1, test=0.2).items()}
        {'train': 14, 'val': 2, 'test': 4}
    """
    shares = (train, val, test)
    if groups is None:
        dealt = _deal(count, shares, seed, strata)
        return {name: torch.from_numpy(np.sort(rows)) for name, rows in dealt.items()}
    _, firsts, group_of = np.unique(groups, return_index=True, return_inverse=True)
    dealt = _deal(len(firsts), shares, seed, None if strata is None else strata[firsts])
    return {name: torch.from_numpy(np.flatnonzero(np.isin(group_of, chosen))) for name, chosen in dealt.items()}


def _deal(count: int, shares: tuple[float, float, float], seed: int, strata: NDArray | None) -> dict[str, NDArray]:
    from sklearn.model_selection import train_test_split

    sizes = _sizes(count, shares)
    rows = np.arange(count)
    draw: dict[str, Any] = {"random_state": np.random.RandomState(derive_seed(seed, "split") % 2**32)}
    try:
        rest, test = train_test_split(rows, test_size=sizes["test"], stratify=strata, **draw)
        left = None if strata is None else strata[rest]
        train, val = train_test_split(rest, test_size=sizes["val"], stratify=left, **draw)
    except ValueError:
        if strata is None:
            raise
        raise DataError(_too_small(strata, sizes)) from None
    return {"train": np.asarray(train), "val": np.asarray(val), "test": np.asarray(test)}


def _too_small(strata: NDArray, sizes: Mapping[str, int]) -> str:
    values, counts = np.unique(strata, return_counts=True)
    smallest, split = int(counts.argmin()), min(sizes, key=lambda name: sizes[name])
    return (
        "to keep every class's share, each class needs a few rows for each split and each split a row a class; "
        f"the smallest class, {str(values[smallest])!r}, has {counts[smallest]}, "
        f"and the {split} split has {sizes[split]} for {len(values)} classes."
    )


def shares_problem(train: float, val: float, test: float) -> str:
    """Why rows cannot be dealt by these shares; empty where they can."""
    total = train + val + test
    if abs(total - 1) <= 1e-6:  # .7 + .15 + .15 differs from 1 by rounding
        return ""
    return f"expected shares of train, val and test that sum to 1, got {train:g} + {val:g} + {test:g} = {total:g}."


def _sizes(count: int, shares: tuple[float, float, float]) -> dict[str, int]:
    problem = shares_problem(*shares)
    if problem:
        raise DataError(problem)
    val, test = (int(count * share + 0.5) for share in shares[1:])
    sizes = {"train": count - val - test, "val": val, "test": test}
    for (name, size), share in zip(sizes.items(), shares, strict=True):
        if size < 1:
            raise DataError(f"the {name} split is empty: a share of {share:g} of {count} rows.")
    return sizes
