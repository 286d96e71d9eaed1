"""How far numbers are from a target, one loss a row."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, final

import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import check_numbers, mean_of_rows, shaped_like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


class _Distance(ObjectiveModule):
    roles = ("prediction", "target")

    def __init__(
        self, inputs: Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for equal shapes."""
        super().connect(values, parameters)
        prediction, target = values
        check_numbers(self, (0, prediction), (1, target))

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """All rows that have a target, be it in part."""
        return present

    def forward(self, prediction: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            prediction: ``[batch]`` or ``[batch, *]``.
            target: Of the prediction's shape, or as many numbers a row; NaN where missing, in a table's rows also
                where single elements are, which do not count.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The two hold different numbers of elements.
        """
        target, known = self.known_elements(shaped_like(prediction, target, self.error), present)
        return Loss(mean_of_rows(self._distance(prediction, target), known), present)

    @abstractmethod
    def _distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        """That of each element."""


@final
class MeanSquaredError(_Distance):
    """Squared difference, averaged over each row's elements.

    Args:
        inputs: The prediction and the target, of equal shape, or of equal size with one of them flat: a `Head` gives a
            target ``[batch, steps, channels]`` as ``[batch, steps * channels]``.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> import torch
        >>> objective = MeanSquaredError(("age", "years"))
        >>> objective(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])).value
        tensor([0., 4.])
    """

    def _distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(prediction, target, reduction="none")


@final
class MeanAbsoluteError(_Distance):
    """Absolute difference, averaged over each row's elements: its least is at the median, whatever a few rows say.

    Args:
        inputs: The prediction and the target, as `MeanSquaredError`'s.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> import torch
        >>> MeanAbsoluteError(("age", "years"))(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])).value
        tensor([0., 2.])
    """

    def _distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(prediction, target, reduction="none")


@final
class Huber(_Distance):
    """Half the square of small differences, a straight line beyond (Huber 1964, https://doi.org/10.1214/aoms/1177703732).

    Averaged over each row's elements.

    Args:
        inputs: The prediction and the target, as `MeanSquaredError`'s.
        delta: The difference at which the line begins; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: Delta is not above 0.

    Example:
        >>> import torch
        >>> Huber(("age", "years"))(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])).value
        tensor([0.0000, 1.5000])
    """

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        delta: float = 1.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not 0 < delta < float("inf"):
            raise self.error(f"expected a delta above 0, got {delta}.")
        self.delta = delta

    def _distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(prediction, target, reduction="none", delta=self.delta)
