"""A context that foretells the vectors to come, told from those of other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import nn

from jumpml.core import Loss, ValueInfo
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._precision import in_full_precision
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._causal import check_steps, refuse_peeking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Weight
    from jumpml.graph import IndexMap, Model


@final
class CPC(ObjectiveModule):
    """Contrastive predictive coding (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748).

    A linear layer of the context at step t foretells the latent vector at ``t + k``, one layer for each k up to
    ``ahead``; the answer is told from the latent vectors that the batch's other rows have at that step, by the product
    (InfoNCE). The loss is the mean over rows, steps and k. The layers belong to the objective and are not deployed.

    When the model is built, the last step of each field behind it is changed: a context that moves before the latent
    vectors do has read what it is to foretell, and is refused.

    Args:
        inputs: The latent vectors, ``[batch, steps, width]``, and the context of as many steps, each made of the latent
            vectors up to there; the latent vectors themselves where it is left out.
        ahead: How many steps are foretold; fewer than there are.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: ``ahead`` is below 1.

    Example:
        >>> objective = CPC(("latent", "context"), ahead=2)
        >>> objective.connect([ValueInfo(shape=(6, 4)), ValueInfo(shape=(6, 8))], {})
        >>> objective(torch.zeros(5, 6, 4), torch.zeros(5, 6, 8)).value.detach()  # ln 5
        tensor(1.6094)
    """

    roles = ("latent", "context")
    needs_learning = True
    if_collapsed = "foretell more steps (`ahead`), or take larger batches, which have more rows to be told from"
    optional = 1
    per_example = False

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        ahead: int = 4,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if ahead < 1:
            raise self.error(f"expected to look ahead by one step or more, got {ahead}.")
        self.ahead = ahead
        self.predictor = nn.ModuleList()
        self._fields: tuple[str, ...] = ()

    def reach(self, fields: Sequence[str]) -> None:
        """Be told the fields behind the latent vectors, whose later steps are not to be read."""
        self._fields = tuple(fields)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for as many steps, and make the layers."""
        super().connect(values, parameters)
        latent, context = values[0], values[-1]
        for place, value in enumerate(values):
            check_steps(self, place, value)
        if latent is None or context is None:
            raise self.error(f"the shapes of {' and '.join(map(repr, self.inputs))} must be known. Name nodes.")
        if context.shape[0] != latent.shape[0]:
            expected = f"a vector at each of the {latent.shape[0]} steps of {self.inputs[0]!r}"
            raise self.wrong_shape(1, expected, context, "Let it read the latent vectors, step by step.")
        if self.ahead >= latent.shape[0]:
            steps = latent.shape[0]
            raise self.error(f"expected to look ahead by less than the {steps} steps that there are, got {self.ahead}.")
        self.predictor.extend(nn.Linear(context.shape[1], latent.shape[1], bias=False) for _ in range(self.ahead))

    def remember(self, model: Model) -> None:
        """Refuse a context that reads ahead."""
        latent, context = self.inputs[0], self.inputs[-1]
        if model.node_of(latent) is None:
            refuse_peeking(self, model, latent, context)
        for field in self._fields:
            refuse_peeking(self, model, field, context, latent)

    def outgrow(self, model: Model, index_map: IndexMap) -> None:
        """Nothing is kept of the model."""

    def forward(self, latent: Tensor, context: Tensor | None = None, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch; 0 where fewer than two rows are present.

        Args:
            latent: ``[batch, steps, width]``.
            context: ``[batch, steps, *]``.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The batch has one row, so that there is no other to be told from.
        """
        if len(latent) < 2:
            fix = "Choose a batch_size that leaves no single row over at the end of an epoch."
            raise self.error(f"expected two rows or more in a batch, to tell them apart; got {len(latent)}. {fix}")
        context = filled(latent if context is None else context, present)
        latent = filled(latent, present)
        ahead = enumerate(self.predictor, start=1)
        losses = [self._foretold(k, layer(context[:, :-k]), latent[:, k:], present) for k, layer in ahead]
        return Loss(torch.stack(losses).mean())

    def _foretold(self, k: int, foretold: Tensor, latent: Tensor, present: Tensor | None) -> Tensor:
        """InfoNCE of what is foretold, ``[batch, steps - k, width]``, for the latent vectors of these steps."""
        similarity = in_full_precision(torch.matmul, foretold.transpose(0, 1), latent.permute(1, 2, 0))  # by step
        if present is None:
            return -similarity.log_softmax(2).diagonal(dim1=1, dim2=2).mean()
        # rows that are not there are told from each other, so that no softmax is of nothing, and do not count
        apart = present[:, None] & ~present
        chance = similarity.masked_fill(apart, float("-inf")).log_softmax(2).diagonal(dim1=1, dim2=2)
        return -torch.where(present, chance, 0.0).sum() / (present.sum() * len(chance)).clamp(min=1)
