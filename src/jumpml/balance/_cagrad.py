"""Conflict-averse gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.balance._balancer import GradientBalancer
from jumpml.balance._factor import factor
from jumpml.core import positive

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array


@final
class CAGrad(GradientBalancer):
    """Near the mean of the gradients, the direction along which the objective that gains least gains most.

    Conflict-averse gradient descent (Liu et al. 2021, https://arxiv.org/abs/2110.14048).

    Args:
        c: How far from the mean it may be, as a share of the mean's norm: near 0 it is the mean.
        at: The node on whose value gradients are taken and combined; the shared parameters where None.

    Raises:
        LearnerError: `c` is not above 0.

    Example:
        >>> import numpy as np
        >>> gradients = np.array([[4.0, 0.0], [-1.0, 0.5]])
        >>> near, far = (CAGrad(c).multipliers(gradients @ gradients.T, np.ones(2)) @ gradients for c in (0.1, 0.9))
        >>> bool(gradients[1] @ far > gradients[1] @ near)  # the second objective gains
        True
    """

    kind = "cagrad"

    def __init__(self, c: float = 0.5, at: str | None = None) -> None:
        super().__init__(at)
        self.alone = at is not None  # parameters that are shared are so by two or more
        self._c = positive("cagrad", "c", c)

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """Of the mean, and of what is added to it."""
        root, count = factor(gramian), len(gramian)
        mean = root.mean(1)
        radius = self._c * float(np.linalg.norm(mean))
        weights = _least(root, mean, radius)
        size = float(np.linalg.norm(root @ weights))
        return np.full(count, 1 / count) + (radius / size * weights if size > 1e-8 else 0.0)

    def identity(self) -> str:
        """With its radius."""
        return f"{super().identity()}, c {self._c:g}"


def _least(root: Array, mean: Array, radius: float) -> Array:
    """The convex weights at which ``mean . R w + radius |R w|`` is least, as the paper's dual has it."""
    from scipy.optimize import minimize

    count = root.shape[1]

    def value(weights: Array) -> tuple[float, Array]:
        combined = root @ weights
        size = float(np.linalg.norm(combined)) + 1e-12
        return float(mean @ combined) + radius * size, root.T @ (mean + radius / size * combined)

    start = np.full(count, 1 / count)
    one = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}
    options = {"ftol": 1e-12, "maxiter": 200}
    found = minimize(
        value, start, jac=True, bounds=[(0, 1)] * count, constraints=one, method="SLSQP", options=options
    ).x.clip(min=0)
    return found / found.sum()
