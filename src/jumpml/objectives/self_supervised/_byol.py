"""Self-supervision by predicting what a slow copy gives of the other view."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import nn

from jumpml.objectives.self_supervised._checks import checked_widths
from jumpml.objectives.self_supervised._projector import make_projector
from jumpml.objectives.self_supervised._simsiam import cosine
from jumpml.objectives.self_supervised._slow_views import SlowViews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class BYOL(SlowViews):
    """Bootstrap your own latent: what one view predicts is what a slow copy of the model gives of the other.

    Grill et al. 2020, https://arxiv.org/abs/2006.07733, equation 2: the squared distance between prediction and target,
    both of length 1, which is two minus twice their cosine; the mean over rows, and the sum of both directions. It has
    no contrast between rows, and so asks little of the batch's size.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        predictor: Widths of the predictor's inner layers; it gives what the projector does.
        momentum: The share of the slow copy that stays at each update, from 0 to 1, or a schedule of it.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, the predictor has no layer, or the momentum is not from 0 to 1.

    Example:
        >>> import torch
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"encoder": Node(nn.Linear(4, 8), "x")},
        ...     objectives={"agree": BYOL("encoder", views="strong")})
        >>> batch = {"x": torch.randn(5, 4), "x@strong.0": torch.randn(5, 4), "x@strong.1": torch.randn(5, 4)}
        >>> model.losses(batch)["agree"].shape
        torch.Size([])
    """

    if_collapsed = "raise `momentum`, or lower the learning rate"

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        projector: Sequence[int] = (128, 128),
        predictor: Sequence[int] = (128,),
        momentum: Weight = 0.99,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, momentum=momentum, views=views, projector=projector, weight=weight, when=when)
        self.predictor_widths = checked_widths(self, predictor, "inner predictor")
        self.predictor = nn.Sequential()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row and make projector and predictor, from torch's global generator."""
        super().connect(values, parameters)
        self.predictor = make_projector(self.width, (*self.predictor_widths, self.width))

    def projections(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What is predicted of each view, and the slow copy's projections."""
        own, slow = self.both(inputs)
        return [*(self.predictor(view) for view in own), *slow]

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of predictions and targets, ``[rows, width]`` each; a scalar."""
        first, second, slow_first, slow_second = projections
        return 4 - 2 * (cosine(first, slow_second) + cosine(second, slow_first))
