"""Independent component alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.balance._balancer import GradientBalancer

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array


@final
class AlignedMTL(GradientBalancer):
    """The mean of gradients that were made orthogonal and of one length, near what they are.

    Aligned-MTL (Senushkin et al. 2023, https://arxiv.org/abs/2305.19000): the matrix of the gradients is replaced by
    the nearest with all singular values alike, the least of its own.

    Args:
        at: The node on whose value gradients are taken and combined; the shared parameters where None.

    Example:
        >>> import numpy as np
        >>> AlignedMTL().multipliers(np.diag([1.0, 4.0]), np.ones(2))  # both as long as the first, over two
        array([0.5 , 0.25])
    """

    kind = "aligned_mtl"

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """Of the mean of the aligned gradients."""
        values, vectors = np.linalg.eigh(gramian)
        kept = values > values.max() * len(values) * np.finfo(np.float32).eps  # the gradients have no more
        values, vectors = values[kept], vectors[:, kept]
        aligned = (vectors * np.sqrt(values.min() / values)) @ vectors.T
        return aligned.mean(1)
