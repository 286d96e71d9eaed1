"""Self-supervision by predicting one view of a row from the other, with no contrast and no slow copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch.nn.functional as F
from torch import nn

from jumpml.objectives.self_supervised._checks import checked_widths
from jumpml.objectives.self_supervised._projector import make_projector
from jumpml.objectives.self_supervised._two_views import TwoViews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class SimSiam(TwoViews):
    """A predictor makes of one view's projection that of the other, which gets no gradient.

    Chen & He 2021, https://arxiv.org/abs/2011.10566, equation 2: minus the cosine between prediction and projection,
    the mean over rows and over both directions; -1 at best. That the other view gets no gradient, and that the
    projector ends with a batch normalization, keeps it from giving one value for all rows.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers, as `make_projector` makes them, with a batch normalization without
            weights at its end; none of it where empty. It belongs to the objective and is not deployed.
        predictor: Widths of the predictor's inner layers, a bottleneck; it gives what the projector does.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, or the predictor has no layer.

    Example:
        >>> import torch
        >>> from jumpml.core import ValueInfo
        >>> objective = SimSiam("encoder", views="strong", projector=(32, 32), predictor=(8,))
        >>> objective.connect([ValueInfo(shape=(16,))], {})
        >>> objective(torch.randn(8, 16), torch.randn(8, 16)).value.shape
        torch.Size([])
    """

    why_two = "batch normalization needs two"
    if_collapsed = "give the projector a layer, narrow the `predictor`, or lower the learning rate"

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        projector: Sequence[int] = (128, 128),
        predictor: Sequence[int] = (32,),
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, projector=projector, weight=weight, when=when)
        self.predictor_widths = checked_widths(self, predictor, "inner predictor")
        self.predictor = nn.Sequential()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row and make projector and predictor, from torch's global generator."""
        super().connect(values, parameters)
        if self.widths:
            self.projector.append(nn.BatchNorm1d(self.width, affine=False))
        self.predictor = make_projector(self.width, (*self.predictor_widths, self.width))

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of two projections, ``[rows, width]``; a scalar."""
        first, second = projections
        forth = cosine(self.predictor(first), second.detach())
        back = cosine(self.predictor(second), first.detach())
        return -(forth + back) / 2


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """The mean over rows of the cosine between two vectors, ``[rows, width]`` each."""
    return F.cosine_similarity(first, second).mean()
