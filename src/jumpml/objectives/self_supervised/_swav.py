"""Self-supervision by predicting a view's cluster from the other view."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import nn

from jumpml.objectives._temperature import checked_temperature
from jumpml.objectives.self_supervised._checks import checked_count, drawn_crops
from jumpml.objectives.self_supervised._sinkhorn import sinkhorn
from jumpml.objectives.self_supervised._two_views import TwoViews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class SwAV(TwoViews):
    """Swapped assignment: each view tells to which prototypes the other one belongs.

    Caron et al. 2020, https://arxiv.org/abs/2006.09882, equations 1 to 6: prototypes are vectors of length 1 that are
    learned along; a view's assignment to them is made over the batch by `sinkhorn`, so that every prototype gets as
    much, and has no gradient. The loss is the cross-entropy of the other views' softmax, over the temperature, to it;
    the mean over rows and over pairs of views. With two policies the first one's draws, the global crops, make the
    assignments, which all other draws tell.

    Prototypes are brought back to length 1 after each update. A batch should have about as many rows as there are
    prototypes, or more: with few rows the loss stays at the logarithm of their number.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two: of global crops and of local ones.
        crops: How often each of two policies is drawn; ``(2, 4)`` where None.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        prototypes: How many there are.
        temperature: What scores are divided by; above 0. The paper has 0.1, for batches of thousands of rows.
        epsilon: What scores are divided by for the assignments: the smaller, the harder they are; above 0.
        iterations: How often `sinkhorn` normalizes.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, or a number is out of its range.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> objective = SwAV("encoder", views="strong", prototypes=10)
        >>> objective.connect([ValueInfo(shape=(16,))], {})
        >>> objective(torch.randn(8, 16), torch.randn(8, 16)).value.shape
        torch.Size([])
    """

    why_two = "assignments are balanced over rows"
    if_collapsed = "take fewer `prototypes`, larger batches, or a lower `epsilon`"

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        crops: Sequence[int] | None = None,
        projector: Sequence[int] = (128, 128),
        prototypes: int = 64,
        temperature: float = 0.2,
        epsilon: float = 0.05,
        iterations: int = 3,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, projector=projector, weight=weight, when=when)
        self.targets, self.draws = drawn_crops(self, crops)
        self.num_prototypes = checked_count(self, prototypes, "prototypes", least=2)
        self.temperature = checked_temperature(self, temperature)
        self.epsilon = checked_temperature(self, epsilon, "an epsilon")
        self.iterations = checked_count(self, iterations, "iterations")

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row and make projector and prototypes, from torch's global generator."""
        super().connect(values, parameters)
        self.prototypes = nn.Linear(self.width, self.num_prototypes, bias=False)
        self.after_update()

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of all draws' projections, ``[rows, width]`` each, the global ones first; a scalar."""
        scores = [self.prototypes(F.normalize(view, dim=1)) for view in projections]
        told = [F.log_softmax(score / self.temperature, dim=1) for score in scores]
        terms = []
        for place, score in enumerate(scores[: self.targets]):
            assigned = sinkhorn(score.detach(), self.epsilon, self.iterations)
            terms += [-(assigned * other).sum(1).mean() for at, other in enumerate(told) if at != place]
        return torch.stack(terms).mean()

    @torch.no_grad()
    def after_update(self, epoch: float = 0.0, epochs: float = 1.0) -> None:
        """Bring the prototypes back to length 1."""
        weight = self.prototypes.weight
        weight.copy_(F.normalize(weight, dim=1))
