"""The shortest convex combination of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.balance._balancer import GradientBalancer
from jumpml.balance._factor import factor

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array


@final
class MGDA(GradientBalancer):
    """The convex combination of the gradients that has the least norm.

    Multiple-gradient descent (Désidéri 2012, https://doi.org/10.1016/j.crma.2012.03.014; Sener & Koltun 2018,
    https://arxiv.org/abs/1810.04650): along it no loss rises, and where there is no such direction it is zero. It leans
    to the objective with the smallest gradient. Solved exactly, where others step towards it (Frank-Wolfe).

    Args:
        at: The node on whose value gradients are taken and combined; the shared parameters where None.

    Example:
        >>> import numpy as np
        >>> MGDA().multipliers(np.diag([1.0, 4.0]), np.ones(2))  # gradients at right angles
        array([0.8, 0.2])
    """

    kind = "mgda"

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """The weights of the combination, which sum to one."""
        from scipy.optimize import nnls

        # |R x|^2 + (sum x - 1)^2 is least, for x >= 0, where x is along the weights of the least norm
        rows = np.vstack([factor(gramian), np.ones(len(gramian))])
        found = nnls(rows, np.eye(len(rows))[-1])[0]
        return found / found.sum()
