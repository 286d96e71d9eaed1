"""Rows dealt to splits and folds by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from jumpml.core import DataError, derive_seed
from jumpml.data.splits._groups import deal_groups
from jumpml.data.splits._multilabel import evened, iterative_stratification
from jumpml.data.splits._splits import SPLITS, Splits, shares_problem, sizes_of, splits_of, unusable_rows, usable_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def random_split(
    count: int,
    *,
    train: float = 0.7,
    val: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    strata: NDArray | None = None,
    names: Sequence[str] | None = None,
    groups: NDArray | None = None,
    usable: NDArray[np.bool_] | None = None,
) -> Splits:
    """Deal rows to three splits by chance.

    Args:
        count: Rows.
        train: Share of the rows; the three shares sum to 1.
        val: Likewise.
        test: Likewise.
        seed: Another seed draws another split.
        strata: ``[count]``, texts or numbers; each value keeps its share in every split. Or 0 and 1 as
            ``[count, labels]``, for rows of several labels: each label keeps its share, by iterative stratification.
        names: What to call the strata in errors, where ``strata`` are codes from 0.
        groups: ``[count]``; rows of equal value stay in one split, and shares come as near as whole groups allow.
        usable: bool ``[count]``; the other rows are in no split.

    Returns:
        int64 row numbers by split, ascending. Every usable row is in exactly one.

    Raises:
        DataError: The shares do not sum to 1, a split is empty, a stratum is too small, or groups are too few.

    Example:
        >>> {name: len(rows) for name, rows in random_split(20, train=0.7, val=0.1, test=0.2).items()}
        {'train': 14, 'val': 2, 'test': 4}
    """
    problem = shares_problem(train, val, test)
    if problem:
        raise DataError(problem)
    rows = usable_rows(count, usable)
    parts = np.full(count, -1)
    parts[rows] = _deal((train, val, test), SPLITS, seed, _Rows(count, strata, names, groups).take(rows))
    return splits_of(parts, unusable_rows(usable))


def fold_split(
    count: int,
    *,
    of: int,
    use: int,
    val: float = 0.15,
    seed: int = 0,
    strata: NDArray | None = None,
    names: Sequence[str] | None = None,
    groups: NDArray | None = None,
    usable: NDArray[np.bool_] | None = None,
) -> Splits:
    """Deal rows to folds by chance; one fold is the test, the others are train and val.

    Args:
        count: Rows.
        of: Folds.
        use: The fold that is the test, from 0. Over all folds, every usable row is in the test once.
        val: Share of the other folds' rows.
        seed: Another seed draws other folds.
        strata: As for `random_split`.
        names: As for `random_split`.
        groups: As for `random_split`.
        usable: As for `random_split`.

    Returns:
        int64 row numbers by split, ascending.

    Raises:
        DataError: There are fewer rows, rows of a stratum, or groups than folds; or a split is empty.

    References:
        Stone: Cross-Validatory Choice and Assessment of Statistical Predictions. Journal of the Royal Statistical
        Society B 36(2), 1974.

    Example:
        >>> {name: len(rows) for name, rows in fold_split(20, of=5, use=0, val=0.25).items()}
        {'train': 12, 'val': 4, 'test': 4}
    """
    if not 0 <= use < of:
        raise DataError(f"expected a fold from 0 to {of - 1}, got {use}.")
    rows = usable_rows(count, usable)
    told = _Rows(count, strata, names, groups)
    folds = _folds(of, seed, told.take(rows))
    parts = np.full(count, -1)
    parts[rows] = np.where(folds == use, SPLITS.index("test"), 0)
    parts = cut_val(parts, val=val, seed=derive_seed(seed, "fold", use), strata=strata, names=names, groups=groups)
    return splits_of(parts, unusable_rows(usable))


def cut_val(
    parts: NDArray[np.int64],
    *,
    val: float = 0.15,
    seed: int = 0,
    strata: NDArray | None = None,
    names: Sequence[str] | None = None,
    groups: NDArray | None = None,
) -> NDArray[np.int64]:
    """Move a share of the train rows to val, by chance.

    Args:
        parts: int64 ``[rows]``: each row's part, 0 train, 1 val, 2 test, -1 none.
        val: Share of the train rows.
        seed: Another seed moves others.
        strata: As for `random_split`.
        names: As for `random_split`.
        groups: As for `random_split`; only train rows are kept together.

    Returns:
        Each row's part.

    Raises:
        DataError: A split is empty, a stratum is too small, or groups are too few.
    """
    parts, train = parts.copy(), np.flatnonzero(parts == 0)
    rows = _Rows(len(parts), strata, names, groups).take(train)
    parts[train] = _deal((1 - val, val), SPLITS[:2], seed, rows)
    return parts


@dataclass(frozen=True)
class _Rows:
    """What is told of the rows that are dealt."""

    count: int
    strata: NDArray | None
    names: Sequence[str] | None
    groups: NDArray | None

    def __post_init__(self) -> None:
        for name, values in (("strata", self.strata), ("groups", self.groups)):
            if values is not None and len(values) != self.count:
                raise DataError(f"expected {name} of {self.count} rows, got {len(values)}.")

    def take(self, rows: NDArray) -> _Rows:
        """The same of some rows; without groups where none has two of them."""
        strata = None if self.strata is None else self.strata[rows]
        groups = None if self.groups is None else self.groups[rows]
        if groups is not None and len(np.unique(groups)) == len(rows):
            groups = None
        return _Rows(len(rows), strata, self.names, groups)

    def smallest(self) -> tuple[str, int, int]:
        """Name and size of the smallest stratum, and the number of strata."""
        values, counts = np.unique(cast("NDArray", self.strata), return_counts=True)
        smallest = int(counts.argmin())
        name = str(values[smallest]) if self.names is None else self.names[int(values[smallest])]
        return name, int(counts[smallest]), len(values)


def _deal(shares: Sequence[float], names: Sequence[str], seed: int, rows: _Rows) -> NDArray[np.int64]:
    """Each row's part."""
    sizes = sizes_of(rows.count, shares, names)
    generator = np.random.default_rng(derive_seed(seed, "split"))
    if rows.groups is not None:
        return deal_groups(rows.groups, shares, generator, rows.strata)
    if rows.strata is None or rows.strata.ndim == 1:
        return _cut(sizes, names, seed, rows)
    return evened(iterative_stratification(rows.strata, shares, generator), rows.strata, sizes)


def _cut(sizes: Sequence[int], names: Sequence[str], seed: int, rows: _Rows) -> NDArray[np.int64]:
    """Parts of exactly these sizes; each stratum within a row or two of its share."""
    from sklearn.model_selection import train_test_split

    parts, left = np.zeros(rows.count, dtype=np.int64), np.arange(rows.count)
    draw: dict[str, Any] = {"random_state": np.random.RandomState(derive_seed(seed, "split") % 2**32)}
    for part in reversed(range(1, len(sizes))):
        try:
            strata = None if rows.strata is None else rows.strata[left]
            left, chosen = train_test_split(left, test_size=sizes[part], stratify=strata, **draw)
        except ValueError:
            if rows.strata is None:
                raise
            raise DataError(_too_small(dict(zip(names, sizes, strict=True)), rows)) from None
        parts[np.asarray(chosen)] = part
    return parts


def _folds(of: int, seed: int, rows: _Rows) -> NDArray[np.int64]:
    """Each row's fold."""
    if rows.count < of:
        raise DataError(f"{of} folds need at least as many rows, got {rows.count}.")
    generator = np.random.default_rng(derive_seed(seed, "folds"))
    if rows.groups is not None:
        return deal_groups(rows.groups, [1 / of] * of, generator, rows.strata)
    if rows.strata is not None and rows.strata.ndim == 2:
        sizes = [len(range(fold, rows.count, of)) for fold in range(of)]
        return evened(iterative_stratification(rows.strata, [1 / of] * of, generator), rows.strata, sizes)
    order = generator.permutation(rows.count)
    if rows.strata is not None:
        name, size, _ = rows.smallest()
        if size < of:
            raise DataError(f"{of} folds need at least {of} rows of each class; the smallest, {name!r}, has {size}.")
        order = order[np.argsort(rows.strata[order], kind="stable")]
    folds = np.empty(rows.count, dtype=np.int64)
    folds[order] = np.arange(rows.count) % of  # in turn, along the strata: folds and strata are even to one row
    return folds


def _too_small(sizes: dict[str, int], rows: _Rows) -> str:
    split = min(sizes, key=lambda name: sizes[name])
    name, size, number = rows.smallest()
    return (
        "to keep every class's share, each class needs a few rows for each split and each split a row a class; "
        f"the smallest class, {name!r}, has {size}, and the {split} split has {sizes[split]} for {number} classes."
    )
