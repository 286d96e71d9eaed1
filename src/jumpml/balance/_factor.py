"""A Gramian as the inner products of short vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array


def factor(gramian: Array) -> Array:
    """A matrix ``[objectives, objectives]`` whose columns have these inner products, scaled to 1 at most.

    Args:
        gramian: Positive semi-definite up to rounding.
    """
    values, vectors = np.linalg.eigh(gramian / np.diagonal(gramian).max())
    return np.sqrt(values.clip(min=0))[:, None] * vectors.T
