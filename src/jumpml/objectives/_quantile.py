"""Quantiles of numbers, one loss a row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import mean_of_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Quantile(ObjectiveModule):
    """Pinball loss, whose least is at the quantiles of the target (Koenker & Bassett 1978, https://doi.org/10.2307/1913643).

    ``q (t - p)`` where the target t is above the prediction p of the quantile q, ``(1 - q) (p - t)`` where it is below;
    averaged over each row's elements and over the quantiles.

    Args:
        inputs: The prediction, one number for each of a row's elements and quantiles, and the target. The quantiles are
            the last axis, or the innermost of a flat row: for a target ``[batch, 2]`` and three quantiles it is
            ``[batch, 2, 3]`` or ``[batch, 6]``.
        quantiles: In (0, 1), rising.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no quantile, one is out of range, or they do not rise.

    Example:
        >>> objective = Quantile(("price", "paid"), quantiles=(0.25, 0.75))
        >>> objective(torch.tensor([[1.0, 1.0]]), torch.tensor([[3.0]])).value  # (0.25 * 2 + 0.75 * 2) / 2
        tensor([1.])
    """

    roles = ("prediction", "target")
    quantiles: Tensor

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        levels = tuple(quantiles)
        if not levels or not all(0 < level < 1 for level in levels) or sorted({*levels}) != [*levels]:
            raise self.error(f"expected quantiles in (0, 1) that rise, such as 0.1, 0.5, 0.9; got {[*levels]}.")
        self.register_buffer("quantiles", torch.tensor(levels), persistent=False)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one number for each element and quantile."""
        super().connect(values, parameters)
        prediction, target = values
        if target and target.dtype != "float32":
            raise self.wrong_shape(1, "float32", target, "Classes have no quantiles.")
        if prediction and prediction.dtype != "float32":
            raise self.wrong_shape(0, "float32", prediction, "Put a layer of real numbers at its end.")
        if prediction and target and not self._fit(prediction.shape, target.shape):
            count, size = len(self.quantiles), prod(target.shape)
            expected = f"{size} x {count} numbers a row, {count} quantiles for each of {target} in {self.inputs[1]!r}"
            raise self.wrong_shape(0, expected, prediction, f"Use a linear node with {size * count} outputs.")

    def _fit(self, prediction: tuple[int, ...], target: tuple[int, ...]) -> bool:
        count = len(self.quantiles)
        flat = len(prediction) < 2 or target in {(), (1,)}
        return prediction == (*target, count) or (flat and prod(prediction) == prod(target) * count)

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """All rows that have a target, be it in part."""
        return present

    def forward(self, prediction: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            prediction: ``[batch, *, quantiles]``, or as many numbers a row.
            target: ``[batch, *]``; NaN where missing.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: The prediction holds another number of elements.
        """
        if not self._fit(tuple(prediction.shape[1:]), tuple(target.shape[1:])) or len(prediction) != len(target):
            count = len(self.quantiles)
            raise self.error(f"expected {count} times {list(target.shape)} numbers, got {list(prediction.shape)}.")
        target, known = self.known_elements(target, present)
        target = target.unsqueeze(-1)
        known = None if known is None else known.unsqueeze(-1).expand(*known.shape, len(self.quantiles))
        distance = target - prediction.reshape(*target.shape[:-1], len(self.quantiles))
        levels = self.quantiles.to(prediction.dtype)
        return Loss(mean_of_rows(torch.maximum(levels * distance, (levels - 1) * distance), known), present)
