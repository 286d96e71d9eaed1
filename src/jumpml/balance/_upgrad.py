"""Unconflicting projection of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.balance._balancer import GradientBalancer
from jumpml.balance._factor import factor

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array


@final
class UPGrad(GradientBalancer):
    """The mean of the gradients, each first turned so far that it hurts no objective.

    UPGrad (Quinton & Rey 2024, https://arxiv.org/abs/2406.16232): each gradient is projected onto the dual cone of all,
    the directions along which no loss rises. An update so small that losses are straight raises none.

    Args:
        at: The node on whose value gradients are taken and combined; the shared parameters where None.

    Example:
        >>> import numpy as np
        >>> gradients = np.array([[1.0, 0.0], [-1.0, 0.5]])  # the second objective's pulls the other way
        >>> multipliers = UPGrad().multipliers(gradients @ gradients.T, np.ones(2))
        >>> bool((gradients @ (multipliers @ gradients) > 0).all())
        True
    """

    kind = "upgrad"

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """The sum of the projections' own."""
        from scipy.optimize import nnls

        root, count = factor(gramian), len(gramian)
        # the projection of u has the least norm among all v with v >= u: what is added to u is not negative
        return sum((start + nnls(root, -root @ start)[0] for start in np.eye(count) / count), np.zeros(count))
