"""Contrast: what belongs together is found among all rows of the batch."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import nn

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._precision import in_full_precision
from jumpml.objectives._temperature import checked_temperature
from jumpml.objectives.self_supervised._projector import rows_that_count
from jumpml.objectives.self_supervised._two_views import TwoViews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight

SHARPEST = 100.0  # the largest factor of similarities, as in the paper: beyond it training is unstable


@final
class NTXent(TwoViews):
    """SimCLR: each view finds the other view of its row among all views of the batch.

    The normalized, temperature-scaled cross-entropy (Chen et al. 2020, https://arxiv.org/abs/2002.05709, equation 1):
    ``-log softmax`` of the cosine to the other view, over the temperature, among the cosines to all other views of the
    batch; the mean over both views of all rows. Other rows are what it learns from: the larger the batch, the better.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        temperature: What cosines are divided by; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, or the temperature is not above 0.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> objective = NTXent("encoder", views="strong", projector=(), temperature=1.0)
        >>> objective.connect([ValueInfo(shape=(2,))], {})
        >>> objective(torch.eye(2), torch.eye(2)).value  # -ln(e / (e + 1 + 1))
        tensor(0.5514)
    """

    why_two = "a row is contrasted with others"
    if_collapsed = "lower `temperature`, take larger batches, or make the views differ more"

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        projector: Sequence[int] = (128, 128),
        temperature: float = 0.5,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, projector=projector, weight=weight, when=when)
        self.temperature = checked_temperature(self, temperature)

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of two projections, ``[rows, width]``; a scalar."""
        unit = F.normalize(torch.cat(projections), dim=1)
        logits = (unit @ unit.T / self.temperature).fill_diagonal_(float("-inf"))
        partner = torch.arange(len(unit), device=unit.device).roll(len(projections[0]))
        return F.cross_entropy(logits, partner)


@final
class CLIP(ObjectiveModule):
    """Two nodes in one space: each row's two embeddings find each other among the batch's.

    Contrastive language-image pre-training (Radford et al. 2021, https://arxiv.org/abs/2103.00020, figure 3), for any
    two modalities: the cross-entropy of the cosines over a temperature, from the first embedding to the second and
    back, averaged. The temperature is learned, by its logarithm, and held at 1/100 or above.

    Args:
        inputs: Two nodes of one width, ``[batch, width]`` each: what is projected into one space, and deployed so.
        temperature: What cosines are divided by at first; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The temperature is not above 0.

    Example:
        >>> objective = CLIP(("image_code", "text_code"), temperature=1.0)
        >>> objective(torch.eye(2), torch.eye(2)).value.detach()  # -ln(e / (e + 1))
        tensor(0.3133)
    """

    roles = ("first", "second")
    per_example = False
    needs_learning = True
    if_collapsed = "take larger batches, or a higher `temperature` to begin with"

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        temperature: float = 0.07,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        self.log_scale = nn.Parameter(torch.tensor(-log(checked_temperature(self, temperature))))

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for two vectors a row, of one width."""
        super().connect(values, parameters)
        first, second = values
        for position, value in enumerate(values):
            if value and (len(value.shape) != 1 or value.dtype != "float32"):
                fix = "Flatten or pool it in a node first, such as torch.nn.Flatten."
                raise self.wrong_shape(position, "[batch, width] float32", value, fix)
        if first and second and first.shape != second.shape:
            fix = "Give both nodes one width, by a linear layer at the end of each."
            raise self.wrong_shape(1, f"{first} like {self.inputs[0]!r}", second, fix)

    def forward(self, first: Tensor, second: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch.

        Args:
            first: ``[batch, width]``.
            second: Of the same shape.
            present: bool ``[batch]``, the rows that have both; None where all do.

        Raises:
            ObjectiveError: Fewer than two rows count.
        """
        first, second = rows_that_count(self, present, first, second, why=NTXent.why_two)
        return Loss(in_full_precision(self._compare, first, second))

    def _compare(self, first: Tensor, second: Tensor) -> Tensor:
        logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T * self.log_scale.exp()
        own = torch.arange(len(first), device=first.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2

    @torch.no_grad()
    def after_update(self, epoch: float = 0.0, epochs: float = 1.0) -> None:
        """Hold the temperature at 1/100 or above."""
        self.log_scale.clamp_(max=log(SHARPEST))
