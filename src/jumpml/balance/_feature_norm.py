"""Gradients of one length at a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.balance._balancer import GradientBalancer

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array

_LEAST = 1e-8


@final
class FeatureNorm(GradientBalancer):
    """All objectives' gradients at a node as long as the longest, and losses by their logarithm.

    Dual balancing (DB-MTL, Lin et al. 2023, https://arxiv.org/abs/2308.12029), on features as the paper has it for
    speed: without the running mean of gradients, which those of a batch's own rows do not have.

    Args:
        at: The node on whose value gradients are taken and combined.
        log: Whether losses count by their logarithm, so that what comes after the node does not depend on their units
            either. A loss that is not above 0 counts as it is.

    Example:
        >>> import numpy as np
        >>> FeatureNorm(at="encoder", log=False).multipliers(np.diag([1.0, 4.0]), np.ones(2)).round(6)
        array([2., 1.])
    """

    kind = "feature_norm"

    def __init__(self, at: str, *, log: bool = True) -> None:
        super().__init__(at)
        self._log = self.alone = log

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """The longest norm over each."""
        own = self.own(means)
        norms = own * np.sqrt(np.diagonal(gramian))
        return own * norms.max() / norms

    def own(self, means: Array) -> Array:
        """One over each loss, as the gradient of its logarithm has it."""
        return 1 / np.where(means > 0, means + _LEAST, 1.0) if self._log else np.ones_like(means)

    def identity(self) -> str:
        """With what losses count by."""
        return f"{super().identity()}, log {self._log}"
