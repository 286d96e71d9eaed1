"""How unlikely numbers are under a predicted distribution, one loss a row."""

from __future__ import annotations

from math import log, pi
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import check_numbers, mean_of_rows, shaped_like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class GaussianNLL(ObjectiveModule):
    """Negative log-likelihood of numbers under a normal distribution whose mean and variance are predicted.

    ``(v + (t - m)^2 e^-v + ln 2 pi) / 2`` with v the logarithm of the variance (Nix & Weigend 1994,
    https://doi.org/10.1109/ICNN.1994.374138), averaged over each row's elements.

    Args:
        inputs: The mean, the logarithm of the variance, and the target, of equal shape or size.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> objective = GaussianNLL(("mean", "log_variance", "paid"))
        >>> objective(torch.zeros(1, 1), torch.zeros(1, 1), torch.tensor([[2.0]])).value
        tensor([2.9189])
    """

    roles = ("mean", "log_variance", "target")

    def __init__(
        self, inputs: Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for equal shapes."""
        super().connect(values, parameters)
        mean, log_variance, target = values
        check_numbers(self, (0, mean), (2, target))
        check_numbers(self, (1, log_variance), (2, target))

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """All rows that have a target, be it in part."""
        return present

    def forward(self, mean: Tensor, log_variance: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row; it may be below 0.

        Args:
            mean: ``[batch]`` or ``[batch, *]``.
            log_variance: Of the mean's shape, or as many numbers a row.
            target: The same; NaN where missing, in a table's rows also where single elements are, which do not count.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: They hold different numbers of elements.
        """
        target, known = self.known_elements(shaped_like(mean, target, self.error), present)
        log_variance = shaped_like(mean, log_variance, self.error)
        value = log_variance + (target - mean).square() * (-log_variance).exp() + log(2 * pi)
        return Loss(mean_of_rows(value, known) / 2, present)


@final
class PoissonNLL(ObjectiveModule):
    """Negative log-likelihood of counts under a Poisson distribution whose logarithm of the rate is predicted.

    ``e^r - t r + ln t!``, averaged over each row's elements (the loss of Poisson regression; Nelder & Wedderburn 1972,
    https://doi.org/10.2307/2344614).

    Args:
        inputs: The logarithm of the rate and the counts, of equal shape or size.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> objective = PoissonNLL(("log_rate", "visits"))
        >>> objective(torch.zeros(2, 1), torch.tensor([[0.0], [2.0]])).value
        tensor([1.0000, 1.6931])
    """

    roles = ("log_rate", "target")

    def __init__(
        self, inputs: Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for equal shapes."""
        super().connect(values, parameters)
        log_rate, target = values
        check_numbers(self, (0, log_rate), (1, target))

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """All rows that have a target, be it in part."""
        return present

    def forward(self, log_rate: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            log_rate: ``[batch]`` or ``[batch, *]``.
            target: Of that shape, or as many numbers a row; NaN where missing, in a table's rows also where single
                elements are, which do not count.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The two hold different numbers of elements.
        """
        target, known = self.known_elements(shaped_like(log_rate, target, self.error), present)
        return Loss(mean_of_rows(log_rate.exp() - target * log_rate + torch.lgamma(target + 1), known), present)
