"""Self-supervision by two views that shall agree while their dimensions stay alive and apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.objectives.self_supervised._checks import checked_widths
from jumpml.objectives.self_supervised._two_views import TwoViews

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Weight

EPSILON = 1e-4  # inside the square root of the variance, as in the paper


@final
class VICReg(TwoViews):
    """Variance-invariance-covariance regularization (Bardes et al. 2022, https://arxiv.org/abs/2105.04906).

    As in the authors' own code, the invariance term is averaged over dimensions and the variance term over the two
    views.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, on two views shall agree.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers, with batch normalization and ReLU between them. It belongs to the
            objective and is not deployed.
        invariance: Weight of the squared difference between the two views.
        variance: Weight of the hinge that keeps each dimension's standard deviation above 1.
        covariance: Weight of the squared covariances between dimensions.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, or the projector has no layer.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> objective = VICReg("encoder", views="strong", projector=(32, 32), when="self_supervised")
        >>> objective.connect([ValueInfo(shape=(16,))], {})
        >>> objective(torch.randn(8, 16), torch.randn(8, 16)).value.shape
        torch.Size([])
    """

    if_collapsed = "raise `variance`, which holds the rows apart, or make the views differ more"

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        projector: Sequence[int] = (128, 128),
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, projector=projector, weight=weight, when=when)
        checked_widths(self, projector, "projector")
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of two projections, ``[rows, width]``; a scalar."""
        first, second = projections
        loss = self.invariance * F.mse_loss(first, second)
        for view in (first, second):
            centred = view - view.mean(0)
            loss = loss + self.variance / 2 * F.relu(1 - (centred.var(0) + EPSILON).sqrt()).mean()
            loss = loss + self.covariance * _covariance(centred)
        return loss


def _covariance(centred: Tensor) -> Tensor:
    """The sum of the squared covariances of different dimensions, over the number of dimensions."""
    rows, width = centred.shape
    covariance = centred.T @ centred / (rows - 1)
    same = torch.eye(width, dtype=torch.bool, device=centred.device)
    return covariance.masked_fill(same, 0.0).square().sum() / width
