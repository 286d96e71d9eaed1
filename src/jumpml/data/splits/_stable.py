"""Splits that stay as they are when rows are added or come in another order."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from jumpml.core import DataError
from jumpml.data.splits._splits import SPLITS, Splits, shares_problem, splits_of, unusable_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def stable_split(
    keys: Sequence[object] | NDArray,
    *,
    train: float = 0.7,
    val: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    usable: NDArray[np.bool_] | None = None,
) -> Splits:
    """Let the hash of each row's key decide, whatever other rows there are.

    Rows of equal key are in one split. Shares are those of the hash's range: with n different keys a share p is met to
    about ``sqrt(p (1 - p) / n)``, and no class keeps its share exactly.

    Args:
        keys: A text or a number a row, none missing; a whole number is one, however it is stored.
        train: Share of the keys; the three shares sum to 1.
        val: Likewise.
        test: Likewise.
        seed: Another seed draws another split.
        usable: bool ``[rows]``; the other rows are in no split.

    Returns:
        int64 row numbers by split, ascending.

    Raises:
        DataError: A key is missing, the shares do not sum to 1, or a split is empty.

    Example:
        >>> keys = [f"patient {number}" for number in range(100)]
        >>> splits = stable_split(keys)
        >>> more = stable_split(["new patient", *keys])
        >>> all(set((splits[name] + 1).tolist()) <= set(more[name].tolist()) for name in splits)
        True
    """
    problem = shares_problem(train, val, test)
    if problem:
        raise DataError(problem)
    ends = (np.cumsum([train, val]) * 2.0**64).tolist()
    salt = seed.to_bytes(16, "little", signed=True)
    parts = np.full(len(keys), -1)
    values = keys.tolist() if isinstance(keys, np.ndarray) else keys
    for row in range(len(parts)) if usable is None else np.flatnonzero(usable).tolist():
        place = _hash(values[row], salt)
        if place < 0:
            raise DataError(f"the key of row {row} is missing.")
        parts[row] = (place >= ends[0]) + (place >= ends[1])
    for part, name in enumerate(SPLITS):
        if not (parts == part).any():
            raise DataError(f"the {name} split is empty: no key's hash fell into its share.")
    return splits_of(parts, unusable_rows(usable))


def _hash(key: object, salt: bytes) -> int:
    """A number in [0, 2**64); -1 for a missing key."""
    if key is None or (isinstance(key, float) and math.isnan(key)):
        return -1
    text = str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)
    return int.from_bytes(blake2b(text.encode(), digest_size=8, salt=salt).digest(), "little")
