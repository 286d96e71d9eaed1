"""The coming values of a series, foretold at each of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import nn

from jumpml.core import Loss, ValueInfo
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._precision import in_single
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._causal import check_steps, refuse_peeking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Weight
    from jumpml.graph import IndexMap, Model


@final
class NextValue(ObjectiveModule):
    """A causal node foretells at each step the next values of the series that it reads.

    What language models learn, for series (Liu et al. 2024, https://arxiv.org/abs/2402.02368): a linear layer of the
    vector at step t gives the values at ``t + 1`` to ``t + horizon``, and a row's loss is the mean squared difference
    over those that exist and are known. The layer belongs to the objective and is not deployed.

    When the model is built, the last step of the series is changed: a node that moves at an earlier step has read what
    it is to foretell, and is refused.

    Args:
        inputs: The node, ``[batch, steps, width]``, and the series, ``[batch, steps, channels]``.
        horizon: How many steps are foretold; fewer than there are.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The horizon is below 1.

    Example:
        >>> objective = NextValue(("past", "load"))
        >>> objective.connect([ValueInfo(shape=(3, 8)), ValueInfo(shape=(3, 1))], {})
        >>> _ = [nn.init.zeros_(p) for p in objective.parameters()]
        >>> objective(torch.zeros(1, 3, 8), torch.tensor([[[5.0], [1.0], [3.0]]])).value.detach()  # (1 + 9) / 2
        tensor([5.])
    """

    roles = ("past", "series")
    needs_learning = True
    if_collapsed = "foretell more steps (`horizon`), for which it has to know more than the last value"

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        horizon: int = 1,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if horizon < 1:
            raise self.error(f"expected a horizon of one step or more, got {horizon}.")
        self.horizon = horizon
        self.predictor = nn.Sequential()

    def reach(self, fields: Sequence[str]) -> None:
        """Only the series matters, whatever else the node reads."""

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for as many steps, and make the layer."""
        super().connect(values, parameters)
        past, series = values
        check_steps(self, 0, past)
        if series is None or past is None:
            raise self.error(f"the shapes of {' and '.join(map(repr, self.inputs))} must be known. Give it the data.")
        if len(series.shape) != 2 or series.dtype != "float32":
            raise self.wrong_shape(1, "[batch, steps, channels] float32", series, "Name a field of kind series.")
        if series.shape[0] != past.shape[0]:
            expected = f"a vector at each of the {series.shape[0]} steps of {self.inputs[1]!r}"
            raise self.wrong_shape(0, expected, past, "Name a node that gives every step of it.")
        if self.horizon >= series.shape[0]:
            steps = series.shape[0]
            raise self.error(f"expected a horizon of less than the {steps} steps that there are, got {self.horizon}.")
        self.predictor.append(nn.Linear(past.shape[1], self.horizon * series.shape[1]))

    def remember(self, model: Model) -> None:
        """Refuse a node that reads ahead."""
        refuse_peeking(self, model, self.inputs[1], self.inputs[0])

    def outgrow(self, model: Model, index_map: IndexMap) -> None:
        """Nothing is kept of the model."""

    def forward(self, past: Tensor, series: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row; a row of which no later value is known does not count.

        Args:
            past: ``[batch, steps, width]``.
            series: ``[batch, steps, channels]``; NaN where a value is missing.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        there, coming = self.counted(past, series, present=present), self._coming(series)
        foretold = in_single(self.predictor(filled(past, present)[:, :-1])).view(coming.shape)
        known = ~coming.isnan()
        square = torch.where(known, foretold - torch.where(known, coming, 0.0), 0.0).square()
        return Loss(square.flatten(1).sum(1) / known.flatten(1).sum(1).clamp(min=1), there)

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows of which a later value is known."""
        series = inputs[1]
        if series is None:
            return present
        known = ~series[:, 1:].isnan().flatten(1).all(1)
        return known if present is None else known & present

    def _coming(self, series: Tensor) -> Tensor:
        """``[batch, steps - 1, horizon, channels]``: at each step but the last the next ones; NaN behind the end."""
        behind = series.new_full((len(series), self.horizon - 1, series.shape[2]), float("nan"))
        return torch.cat([series[:, 1:], behind], 1).unfold(1, self.horizon, 1).transpose(2, 3)
