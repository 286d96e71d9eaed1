"""Self-supervision by dimensions that agree between two views and tell nothing of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch.nn.functional as F

from jumpml.objectives.self_supervised._two_views import TwoViews

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Weight


@final
class BarlowTwins(TwoViews):
    """The correlations between two views' dimensions are those of the identity matrix.

    Zbontar et al. 2021, https://arxiv.org/abs/2103.03230, equation 1: the sum over dimensions of ``(1 - C_ii)^2``, and
    over pairs of different ones of ``C_ij^2``, with C the correlation of dimension i on the first view with j on the
    second, over the rows of the batch. It wants wide projectors, and asks less of the batch than a contrast does.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        redundancy: Weight of the correlations between different dimensions.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, or the redundancy is negative.

    Example:
        >>> import torch
        >>> from jumpml.core import ValueInfo
        >>> objective = BarlowTwins("encoder", views="strong", projector=(), redundancy=0.1)
        >>> objective.connect([ValueInfo(shape=(2,))], {})
        >>> x = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
        >>> objective(x, x).value  # both dimensions tell the same: .1 * (1 + 1)
        tensor(0.2000)
    """

    why_two = "a correlation needs two"
    if_collapsed = "raise `redundancy`, or make the views differ more"

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        projector: Sequence[int] = (128, 128),
        redundancy: float = 0.005,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, projector=projector, weight=weight, when=when)
        if not redundancy >= 0:
            raise self.error(f"expected a redundancy of 0 or more, got {redundancy}.")
        self.redundancy = redundancy

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of two projections, ``[rows, width]``; a scalar."""
        first, second = (F.batch_norm(view, None, None, training=True) for view in projections)
        correlation = first.T @ second / len(first)
        own = correlation.diagonal()
        agreement = (1 - own).square().sum()
        between = correlation.square().sum() - own.square().sum()
        return agreement + self.redundancy * between
