"""Multi-task learning as a bargaining game."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.balance._balancer import GradientBalancer
from jumpml.core import positive

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array

_STEPS = 100
_RIDGE = 1e-9  # where gradients cancel each other the bargain has no end


@final
class NashMTL(GradientBalancer):
    """The direction on which the objectives agree as players do that bargain: each gains the same share.

    Nash-MTL (Navon et al. 2022, https://arxiv.org/abs/2202.01017): multipliers ``a`` with ``G a = 1 / a``, of the
    Gramian ``G`` over its norm, so that an update is as long as gradients are. The authors come near them by some steps
    of a general solver; they are where a function is least that is strictly convex, and Newton's method finds them.

    Args:
        max_norm: An update that is longer is cut down to this norm; none is where None.
        at: The node on whose value gradients are taken and combined; the shared parameters where None.

    Raises:
        LearnerError: The norm is not above 0.

    Example:
        >>> import numpy as np
        >>> gramian = np.diag([1.0, 4.0])
        >>> multipliers = NashMTL(max_norm=None).multipliers(gramian, np.ones(2))
        >>> bool(np.allclose(gramian / np.linalg.norm(gramian) @ multipliers, 1 / multipliers))
        True
    """

    kind = "nash_mtl"

    def __init__(self, max_norm: float | None = 1.0, at: str | None = None) -> None:
        super().__init__(at)
        self.alone = at is not None  # parameters that are shared are so by two or more
        self._max_norm = None if max_norm is None else positive("nash_mtl", "max_norm", max_norm)

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """Where the bargain ends."""
        found = _bargain(gramian / np.linalg.norm(gramian))
        norm = float(np.sqrt(max(0.0, found @ gramian @ found)))
        return found * (self._max_norm / norm) if self._max_norm is not None and norm > self._max_norm else found

    def identity(self) -> str:
        """With its bound."""
        return f"{super().identity()}, max_norm {self._max_norm}"


def _bargain(gramian: Array) -> Array:
    """Where ``a G a / 2 - sum log a`` is least: Newton's steps, shortened while they overshoot."""
    count = len(gramian)
    gramian = gramian + _RIDGE * np.eye(count)
    found = 1 / np.sqrt(np.diagonal(gramian) * count)
    for _ in range(_STEPS):
        slope = gramian @ found - 1 / found
        step = np.linalg.solve(gramian + np.diag(found**-2), slope)
        drop = float(np.sqrt(slope @ step))  # Newton's decrement: the function is self-concordant
        found = found - step / (1 + drop if drop > 0.25 else 1)
        if drop < 1e-10:
            break
    return found
