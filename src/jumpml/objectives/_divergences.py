"""How far directions and distributions are from each other, one loss a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, mean_of_rows, shaped_like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Cosine(ObjectiveModule):
    """One minus the cosine between two vectors, 0 where they point the same way and 2 where against each other.

    Args:
        inputs: Two values of one shape, each row as one vector; nodes or a field.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> import torch
        >>> Cosine(("image_code", "text_code"))(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])).value
        tensor([1.])
    """

    roles = ("first", "second")

    def __init__(
        self, inputs: Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one shape."""
        super().connect(values, parameters)
        first, second = values
        if first and second and (first != second or first.dtype != "float32"):
            raise self.wrong_shape(0, f"float32 like {self.inputs[1]!r}, {second}", first, "Give both one width.")

    def forward(self, first: Tensor, second: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            first: ``[batch, *]``.
            second: Of the same shape.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.

        Raises:
            ObjectiveError: The shapes differ.
        """
        present = self.whole_rows(present, first, second)
        first, second = filled(first, present), filled(shaped_like(first, second, self.error), present)
        width = (len(first), -1) if len(first) else (0, 1)
        return Loss(1 - F.cosine_similarity(first.reshape(width), second.reshape(width), dim=1), present)


@final
class KullbackLeibler(ObjectiveModule):
    """Kullback-Leibler divergence of predicted classes from a distribution over them that is given.

    ``sum_c t_c (ln t_c - ln p_c)`` (Kullback & Leibler 1951, https://doi.org/10.1214/aoms/1177729694); at
    positions, the mean over them. The target gets no gradient.

    Args:
        inputs: Logits ``[batch, classes, *]`` and the target, of that shape: a field of shares, or another node.
        target: Whether the target holds ``probabilities`` that sum to 1, or ``logits``.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The target is neither.

    Example:
        >>> import torch
        >>> objective = KullbackLeibler(("digit", "votes"))
        >>> objective(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).value
        tensor([0.6931])
    """

    roles = ("logits", "target")

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        target: str = "probabilities",
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if target not in {"probabilities", "logits"}:
            raise self.error(f"expected target as 'probabilities' or 'logits', got {target!r}.")
        self.target = target

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one shape, with two classes or more."""
        super().connect(values, parameters)
        logits, target = values
        if logits and (not logits.shape or logits.shape[0] < 2 or logits.dtype != "float32"):
            fix = "Use a linear node with one output a class."
            raise self.wrong_shape(0, "[batch, classes] float32 with two classes or more", logits, fix)
        if logits and target and logits != target:
            codes = target.dtype == "int64"
            fix = "For class codes take kind: cross_entropy." if codes else "Give both as many classes."
            raise self.wrong_shape(1, f"one share a class, {logits}", target, fix)

    def forward(self, logits: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            logits: ``[batch, classes, *]``.
            target: Of that shape; NaN where missing. A row of which single shares are missing does not count.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        target = shaped_like(logits, target, self.error).detach()
        present = self.whole_rows(present, logits, target)
        target = filled(target, present)
        as_logits = self.target == "logits"
        target = F.log_softmax(target, dim=1) if as_logits else target
        value = F.kl_div(F.log_softmax(logits, dim=1), target, reduction="none", log_target=as_logits)
        return Loss(mean_of_rows(value.sum(1)), present)
