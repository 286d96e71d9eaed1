"""Impartial gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.balance._balancer import GradientBalancer

if TYPE_CHECKING:
    from jumpml.balance._balancer import Array


@final
class IMTLG(GradientBalancer):
    """The combination that goes equally far along each gradient's direction, however long the gradients are.

    IMTL-G (Liu et al. 2021, https://openreview.net/forum?id=IMPnRXEWpvr). Its weights sum to one; some may be negative.

    Args:
        at: The node on whose value gradients are taken and combined; the shared parameters where None.

    Example:
        >>> import numpy as np
        >>> IMTLG().multipliers(np.diag([1.0, 900.0]), np.ones(2)).round(4)  # the second is thirty times as long
        array([0.9677, 0.0323])
    """

    kind = "imtl_g"

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """The weights; zeros where they have no sum."""
        sizes = np.sqrt(np.diagonal(gramian))
        cosines = gramian / np.outer(sizes, sizes)  # so that rank is no matter of the gradients' sizes
        found = np.linalg.pinv(cosines, hermitian=True, rcond=1e-10) @ np.ones(len(gramian)) / sizes
        total = found.sum()
        return found / total if abs(total) > 1e-12 * abs(found).sum() else np.zeros_like(found)
