"""Views near each other, in a space where embeddings are spread like a standard normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.objectives.self_supervised._checks import checked_count, drawn_crops
from jumpml.objectives.self_supervised._two_views import TwoViews

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Weight

FARTHEST, KNOTS = 3.0, 17  # where the characteristic functions are compared: from 0 to 3, as in the authors' code


@final
class LeJEPA(TwoViews):
    """All views of a row lie near their mean, and embeddings are spread like a standard normal distribution.

    Balestriero & LeCun 2025, https://arxiv.org/abs/2511.08544: ``(1 - regularization)`` times the squared distance of
    each draw's projection to the mean of the row's global ones, averaged over dimensions, plus ``regularization`` times
    SIGReg, the statistic of Epps and Pulley along random directions: `epps_pulley`. Nothing else keeps it from giving
    one value for all rows: there is no slow copy, no predictor, and no draw without gradient. Small batches do, and the
    value of its loss goes along with how good the embedding is.

    In training the directions are drawn anew in each step, from torch's global generator, whose state a learner's
    checkpoint holds; in evaluation they are always the same.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two: of global crops and of local ones.
        crops: How often each of two policies is drawn; ``(2, 4)`` where None.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        slices: How many directions.
        regularization: The share of SIGReg in the loss, from 0 to 1.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, no direction, or the share is not from 0 to 1.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> objective = LeJEPA("encoder", views="strong", slices=64)
        >>> objective.connect([ValueInfo(shape=(16,))], {})
        >>> objective(torch.randn(8, 16), torch.randn(8, 16)).value.shape
        torch.Size([])
    """

    why_two = "a distribution needs two"
    if_collapsed = "raise `regularization`"

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        crops: Sequence[int] | None = None,
        projector: Sequence[int] = (128, 128),
        slices: int = 256,
        regularization: float = 0.05,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, projector=projector, weight=weight, when=when)
        self.targets, self.draws = drawn_crops(self, crops)
        self.slices = checked_count(self, slices, "slices")
        if not 0 <= regularization <= 1:
            raise self.error(f"expected a regularization from 0 to 1, got {regularization}.")
        self.regularization = regularization

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of all draws' projections, ``[rows, width]`` each, the global ones first; a scalar."""
        views = torch.stack(projections)
        distance = (views - views[: self.targets].mean(0)).square().mean()
        statistic = epps_pulley(views @ self._directions(views)).mean()
        return (1 - self.regularization) * distance + self.regularization * statistic

    def _directions(self, views: Tensor) -> Tensor:
        """Vectors of length 1, uniform on the sphere: ``[width, slices]``."""
        generator = None if self.training else torch.Generator(views.device).manual_seed(0)
        shape = (views.shape[2], self.slices)
        drawn = torch.randn(shape, dtype=views.dtype, device=views.device, generator=generator)
        return F.normalize(drawn, dim=0)


def epps_pulley(samples: Tensor) -> Tensor:
    """How far samples are from a standard normal distribution, by their characteristic function.

    The number of samples times the integral over t of ``|mean(exp(i t x)) - exp(-t^2 / 2)|^2 exp(-t^2 / 2)`` (Epps &
    Pulley 1983, https://doi.org/10.1093/biomet/70.3.723), by the trapezoidal rule at 17 points from 0 to 3, counted
    twice since it is even.

    Args:
        samples: ``[*, samples, directions]``.

    Returns:
        ``[*, directions]``.

    Example:
        >>> epps_pulley(torch.zeros(4, 1))  # 4 times the integral of (1 - exp(-t^2 / 2))^2 exp(-t^2 / 2)
        tensor([1.6082])
    """
    count = samples.shape[-2]
    t = torch.linspace(0, FARTHEST, KNOTS, dtype=samples.dtype, device=samples.device)[1:]  # at 0 nothing differs
    normal = (-t.square() / 2).exp()
    weights = 2 * FARTHEST / (KNOTS - 1) * normal
    weights[-1] /= 2
    angles = samples.unsqueeze(-1) * t
    # a sum and a division of it cost less on the way back than a mean does
    error = (angles.cos().sum(-3) / count - normal).square() + (angles.sin().sum(-3) / count).square()
    return count * (error @ weights)
