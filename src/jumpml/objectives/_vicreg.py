"""Self-supervision by two views that shall agree while their dimensions stay alive and apart."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import nn

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight

EPSILON = 1e-4  # inside the square root of the variance, as in the paper


@final
class VICReg(ObjectiveModule):
    """Variance-invariance-covariance regularization (Bardes et al. 2022, https://arxiv.org/abs/2105.04906).

    Both views go through a projector of linear layers with batch normalization and ReLU between them. As in the
    authors' own code, the invariance term is averaged over dimensions and the variance term over the two views.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, on two views shall agree.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers. It belongs to the objective and is not deployed.
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

    roles = ("embedding",)
    per_example = False

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
        super().__init__(inputs, views=views, weight=weight, when=when)
        if not self.views:
            raise self.error("expected one view, which is drawn twice, or two; got none.")
        if not projector:
            raise self.error("expected the widths of one projector layer or more, got none.")
        self.widths = tuple(projector)
        self.invariance, self.variance, self.covariance = invariance, variance, covariance
        self.projector = nn.Sequential()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row and make the projector, from torch's global generator."""
        super().connect(values, parameters)
        (embedding,) = values
        if embedding is None:
            raise self.error(f"the shape of {self.inputs[0]!r} must be known. Name a node.")
        if len(embedding.shape) != 1 or embedding.dtype != "float32":
            fix = "Flatten or pool it in a node first, such as torch.nn.Flatten."
            raise self.wrong_shape(0, "[batch, width] float32", embedding, fix)
        for read, made in pairwise((*embedding.shape, *self.widths[:-1])):
            self.projector.extend([nn.Linear(read, made), nn.BatchNorm1d(made), nn.ReLU()])
        last = (*embedding.shape, *self.widths)[-2]
        self.projector.append(nn.Linear(last, self.widths[-1], bias=False))

    def forward(self, first: Tensor, second: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch.

        Args:
            first: The embedding of one view, ``[batch, width]``.
            second: That of the other.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.

        Raises:
            ObjectiveError: Fewer than two rows count, so that there is no variance.
        """
        present = self.whole_rows(present, first, second)
        if present is not None:
            first, second = first[present], second[present]
        if len(first) < 2:
            fix = "Choose a batch_size that leaves no single row over at the end of an epoch."
            raise self.error(f"expected two rows or more in a batch, since variance needs two; got {len(first)}. {fix}")
        first, second = self.projector(first), self.projector(second)
        loss = self.invariance * F.mse_loss(first, second)
        for view in (first, second):
            centred = view - view.mean(0)
            loss = loss + self.variance / 2 * F.relu(1 - (centred.var(0) + EPSILON).sqrt()).mean()
            loss = loss + self.covariance * _covariance(centred)
        return Loss(loss)


def _covariance(centred: Tensor) -> Tensor:
    """The sum of the squared covariances of different dimensions, over the number of dimensions."""
    rows, width = centred.shape
    covariance = centred.T @ centred / (rows - 1)
    same = torch.eye(width, dtype=torch.bool, device=centred.device)
    return covariance.masked_fill(same, 0.0).square().sum() / width
