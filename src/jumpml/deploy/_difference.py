"""How far two arrays of outputs are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-4  # of the largest output: float32 kernels add up in another order


def largest_difference(first: NDArray, second: NDArray) -> float:
    """The largest absolute difference; infinite where only one of two elements is a number.

    Example:
        >>> largest_difference(np.array([1.0, np.nan]), np.array([1.5, np.nan]))
        0.5
    """
    first, second = first.astype(np.float64).reshape(-1), second.astype(np.float64).reshape(-1)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    apart = np.abs(first[~same] - second[~same])
    return float(np.where(np.isnan(apart), np.inf, apart).max(initial=0.0))


def scale(values: NDArray) -> float:
    """What the tolerance is a share of: the largest absolute value, but at least 1."""
    return max(1.0, float(np.abs(values).max(initial=0.0)))
